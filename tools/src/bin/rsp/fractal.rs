//! `rsp fractal`: asks a pool for an image and writes it as PNG.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use registrar::cli::{identifier, milliseconds};
use registrar::report::{Report, say};
use registrar::signal::Stop;
use sctp_user::socket::MonoClock;
use tools::service::fractal::POOL_HANDLE;
use tools::service::fractal::fetch::{News, Request, fetch};
use tools::service::fractal::image::{Image, MAX_PIXELS};
use tools::service::fractal::palette::Tint;
use tools::service::fractal::picture::{self, Style};
use tools::service::fractal::wire::{Algorithm, Complex, MAX_ITERATIONS, MAX_SIZE, Parameter};

use crate::pool::{PoolOptions, Role};

const EXAMPLES: &str = "\
Examples:
  rsp fractal                                          fractal.png from the pool FractalGeneratorPool (`rsp server --fractal`)
  rsp fractal --size 1920x1080 --iterations 5000       larger, finer
  rsp fractal --area 0.737,0.095,0.761,0.115           a valley of spirals
  rsp fractal --exponent 3 --area=-1.5,-1.5,1.5,1.5    another formula
  rsp fractal --elements-out who.png                   and who computed what";

/// Flags of `rsp fractal`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Size of the image in pixels
    #[arg(long, value_name = "WxH", default_value = "840x720", value_parser = size)]
    size: (u32, u32),
    /// Iterations after which a point counts as inside
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_ITERATIONS)))]
    iterations: u32,
    /// Corners in the complex plane: real and imaginary part of the first pixel and of the corner opposite
    #[arg(long, value_name = "RE,IM,RE,IM", default_value = "-0.7,-1.2,2.1,1.2", value_parser = area, allow_hyphen_values = true)]
    area: (Complex, Complex),
    /// Use z^N - c instead of z^2 - c
    #[arg(long, value_name = "N", value_parser = exponent)]
    exponent: Option<f64>,
    /// Where to write the image
    #[arg(long, value_name = "FILE", default_value = "fractal.png")]
    out: PathBuf,
    /// Where to write the image tinted by the element that computed each part
    #[arg(long, value_name = "FILE")]
    elements_out: Option<PathBuf>,
    /// Give an element up if no new pixel comes for so many milliseconds
    #[arg(long, value_name = "MS", default_value = "1500", value_parser = milliseconds)]
    progress_timeout: Duration,
    /// Where to write the iterations of each pixel, 4 bytes each
    #[arg(long, value_name = "FILE", hide = true)]
    values_out: Option<PathBuf>,
    /// Elements in the order of their colours
    #[arg(long, value_name = "ID,...", hide = true, value_delimiter = ',', value_parser = identifier)]
    tints: Vec<u32>,
    #[command(flatten)]
    pool: PoolOptions,
}

impl Options {
    fn parameter(&self) -> Parameter {
        let ((width, height), (c1, c2)) = (self.size, self.area);
        let algorithm = if self.exponent.is_some() { Algorithm::MandelbrotN } else { Algorithm::Mandelbrot };
        Parameter { width, height, max_iterations: self.iterations, algorithm, c1, c2, n: self.exponent.unwrap_or(2.0) }
    }
}

/// Fetches one image.
pub(crate) fn run(options: &Options) -> Result<()> {
    options.pool.transport.init_log("error")?;
    let stop = Stop::for_program(&options.pool.child)?;
    for path in [Some(&options.out), options.elements_out.as_ref(), options.values_out.as_ref()].into_iter().flatten() {
        check_writable(path)?;
    }
    let request = Request { parameter: options.parameter(), elements: options.tints.clone(), progress_timeout: options.progress_timeout };
    let member = options.pool.start(POOL_HANDLE, Role::User)?;
    let mut session = member.session()?;
    let clock = MonoClock::new();
    let teller = Teller::new(options.pool.child.report, request.parameter.pixels());
    let image = fetch(&mut session, &request, || clock.now(), || stop.is_requested(), |news| teller.tell(&news));
    teller.bar.finish_and_clear();
    let image = image?;
    session.close();
    save(options, &image)?;
    teller.summary(options, &image);
    Ok(())
}

/// Found out before the work begins: whether there will be a place for its result.
fn check_writable(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() || !parent.is_dir() {
        bail!("cannot write {}: name a file in a directory that exists", path.display());
    }
    Ok(())
}

fn save(options: &Options, image: &Image) -> Result<()> {
    let cannot = |path: &Path| format!("cannot write {}", path.display());
    picture::save(image, Style::Plain, &options.out).with_context(|| cannot(&options.out))?;
    if let Some(path) = &options.elements_out {
        picture::save(image, Style::Elements, path).with_context(|| cannot(path))?;
    }
    if let Some(path) = &options.values_out {
        let bytes: Vec<u8> = image.values().iter().flat_map(|value| value.to_be_bytes()).collect();
        std::fs::write(path, bytes).with_context(|| cannot(path))?;
    }
    Ok(())
}

/// Tells what happens: to the demo, or to a human.
struct Teller {
    report: bool,
    bar: ProgressBar,
}

impl Teller {
    fn new(report: bool, pixels: u64) -> Self {
        let target = if report || !io::stderr().is_terminal() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(pixels), target);
        if let Ok(style) = ProgressStyle::with_template("{percent:>3} % [{wide_bar}] {elapsed}, {eta} to go") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { report, bar }
    }

    fn tell(&self, news: &News) {
        match news {
            News::Progress { done } => {
                let before = self.bar.position();
                self.bar.set_position(*done);
                // A line for each percent is enough.
                let percent = |pixels: u64| 100 * pixels / self.bar.length().unwrap_or(1).max(1);
                if self.report && percent(before) != percent(*done) {
                    Report::new("progress").with("done", done).print();
                }
            }
            News::Serving { element, gap } => self.serving(*element, *gap),
            News::Lost { element, reason } if self.report => {
                Report::new("lost").with("element", hex(*element)).with("reason", reason).print();
            }
            News::Lost { element, reason } => self.say(&format!("FAILOVER: element {} is lost: {reason}", hex(*element))),
        }
    }

    fn serving(&self, element: u32, gap: Option<Duration>) {
        if self.report {
            let report = Report::new("serving").with("element", hex(element));
            match gap {
                Some(gap) => report.with("gap_us", gap.as_micros()).print(),
                None => report.print(),
            }
            return;
        }
        match gap {
            Some(gap) => self.say(&format!("element {} goes on, after a gap of {} ms", hex(element), gap.as_millis())),
            None => self.say(&format!("element {} serves", hex(element))),
        }
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| say(format_args!("{line}")));
    }

    fn summary(&self, options: &Options, image: &Image) {
        for (index, (element, pixels)) in image.shares().into_iter().enumerate().filter(|(_, (_, pixels))| *pixels > 0) {
            if self.report {
                Report::new("share").with("element", hex(element)).with("pixels", pixels).print();
            } else {
                let percent = 100.0 * pixels as f64 / image.total() as f64;
                say(format_args!("element {} computed {percent:.1} % of the pixels ({})", hex(element), Tint::of(index)));
            }
        }
        if self.report {
            Report::new("complete").print();
        } else {
            say(format_args!("{} pixels written to {}", image.total(), options.out.display()));
        }
    }
}

fn hex(element: u32) -> String {
    format!("{element:#010x}")
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse::<u32>().ok()?, h.parse::<u32>().ok()?)));
    let sound = |side: u32| (1..=MAX_SIZE).contains(&side);
    let fits = |&(w, h): &(u32, u32)| sound(w) && sound(h) && u64::from(w) * u64::from(h) <= MAX_PIXELS;
    parsed.filter(fits).ok_or_else(|| format!("a size is WIDTHxHEIGHT, each from 1 to {MAX_SIZE}, at most {MAX_PIXELS} pixels in all"))
}

fn area(text: &str) -> Result<(Complex, Complex), String> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|n| n.trim().parse().ok().filter(|n: &f64| n.is_finite())).collect();
    match numbers.as_deref() {
        Some(&[a, b, c, d]) => Ok((Complex { re: a, im: b }, Complex { re: c, im: d })),
        _ => Err("an area is four numbers: RE,IM,RE,IM".into()),
    }
}

fn exponent(text: &str) -> Result<f64, String> {
    let parsed = text.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    parsed.ok_or_else(|| "an exponent is a number above zero".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_strictly() {
        assert_eq!(size("840x720"), Ok((840, 720)));
        for bad in ["840", "840x", "0x5", "65537x1", "65536x65536", "-1x5", "8 x 8"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(area("-1, 0.5,2,3e1"), Ok((Complex { re: -1.0, im: 0.5 }, Complex { re: 2.0, im: 30.0 })));
        for bad in ["1,2,3", "1,2,3,4,5", "1,2,3,x", "1,2,3,inf", ""] {
            assert!(area(bad).is_err(), "{bad}");
        }
        assert_eq!(exponent("2.5"), Ok(2.5));
        assert!(exponent("0").is_err() && exponent("NaN").is_err());
    }
}
