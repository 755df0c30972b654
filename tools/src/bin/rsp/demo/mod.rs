//! `rsp demo`: a pool that survives the loss of its servers, to be watched.
//!
//! | file | what |
//! | --- | --- |
//! | [`plan`] | ports, names and the image of this run |
//! | [`family`] | the processes it starts, and their end |
//! | [`story`] | what is done to them when |
//! | [`timeline`] | what the reader sees |
//! | [`reference`](mod@reference) | the image computed locally, to compare with |

mod family;
mod plan;
mod reference;
mod story;
mod timeline;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use registrar::cli::CommonOptions;
use registrar::signal::Stop;
use tools::capture::{self, Source};

use self::family::Family;
use self::plan::Plan;
use self::reference::Reference;
use self::story::{Outcome, Story};
use self::timeline::Timeline;

const EXAMPLES: &str = "\
Examples:
  rsp demo                         writes demo.png and demo-elements.png here
  rsp demo --out /tmp              writes them there
  rsp demo --pcap demo.pcapng      and shows what all its SCTP stacks sent and received: open it in Wireshark";

/// Flags of `rsp demo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Directory for demo.png and demo-elements.png
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    #[command(flatten)]
    common: CommonOptions,
}

/// Runs the demo.
pub(crate) fn run(options: &Options) -> Result<()> {
    registrar::log::init(options.common.log.as_deref(), "warn")?;
    let stop = Stop::on_signals().context("cannot catch signals")?;
    plan::check_writable(&options.out)?;
    let port = plan::hold_port(options.common.udp_port)?;
    let plan = Plan::new(port.number, &options.out)?;
    let reference = Reference::start(plan.parameter)?;
    let timeline = Timeline::start(plan.parameter.pixels());
    let mut family = Family::new()?;
    let told = Story::new(&plan, &timeline, &stop, &mut family, options.common.log.as_deref()).tell(port);
    timeline.finish();
    family.end();
    // What was captured may explain a failure, so it is written in any case.
    if let Some(path) = &options.common.pcap {
        let packets = capture::merge(&captures(&plan), path)?;
        timeline.say(format_args!("{packets} packets in {}", path.display()));
    }
    let outcome = told?;
    let pictures = publish(&plan, options)?;
    let image = fs::read(plan.file(story::VALUES)).context("the user left no image")?;
    let differences = reference.count_differences(&image)?;
    if differences > 0 {
        bail!("{differences} of {} pixels differ from the locally computed image", plan.parameter.pixels());
    }
    timeline.say(format_args!("all {} pixels equal the locally computed image", plan.parameter.pixels()));
    let [image, elements] = pictures.map(|path| path.display().to_string());
    timeline.say(format_args!("pictures: {image}, and {elements} tinted by element"));
    judge(&outcome)
}

/// Copies the pictures to where they were asked for.
fn publish(plan: &Plan, options: &Options) -> Result<[PathBuf; 2]> {
    let mut paths = [story::IMAGE, story::ELEMENTS].map(|name| options.out.join(name));
    for (path, name) in paths.iter_mut().zip([story::IMAGE, story::ELEMENTS]) {
        fs::copy(plan.file(name), &*path).with_context(|| format!("cannot write {}", path.display()))?;
        if let Ok(short) = path.strip_prefix(".") {
            *path = short.to_path_buf();
        }
    }
    Ok(paths)
}

fn captures(plan: &Plan) -> Vec<Source> {
    story::ROLES.iter().map(|name| Source { name: (*name).into(), path: plan.file(&story::capture_name(name)) }).collect()
}

/// A gap ten times as long as it should be at most is an error, whatever the machine was busy with.
fn judge(outcome: &Outcome) -> Result<()> {
    for gap in &outcome.gaps {
        if gap.length > 10 * gap.target {
            bail!("the gap after {} was {} ms long: more than ten times {} ms", gap.cause, gap.length.as_millis(), gap.target.as_millis());
        }
    }
    Ok(())
}
