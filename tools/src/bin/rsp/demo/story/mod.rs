//! What happens in the demo: processes start, an image begins, one element is killed, then the elements' home registrar, and
//! another element is frozen.

mod registrars;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use registrar::report::Line;
use registrar::signal::Stop;
use tools::service::fractal::palette::Tint;

use self::registrars::{NAMES as REGISTRAR_NAMES, Registrars};
use super::family::{ChildId, Event, Family};
use super::plan::{HeldPort, Plan};
use super::timeline::Timeline;

/// What the user writes, in the plan's directory: see [`Plan::file`].
pub(super) const IMAGE: &str = "demo.png";
/// The image tinted by element.
pub(super) const ELEMENTS: &str = "demo-elements.png";
/// The iterations of each pixel.
pub(super) const VALUES: &str = "demo.values";

const ELEMENT_NAMES: [&str; 3] = ["element A", "element B", "element C"];
const USER: &str = "user";
/// All processes.
#[rustfmt::skip]
pub(super) const ROLES: [&str; 7] = [
    REGISTRAR_NAMES[0], REGISTRAR_NAMES[1], REGISTRAR_NAMES[2], ELEMENT_NAMES[0], ELEMENT_NAMES[1], ELEMENT_NAMES[2], USER,
];

/// Percent of the image at which the serving element is killed.
const KILL_AT: u64 = 15;
/// Percent of the image at which the elements' home registrar is killed.
const TAKEOVER_AT: u64 = 25;
/// Percent of the image at which the serving element is frozen, if all elements have a home again.
const FREEZE_AT: u64 = 70;
/// Longest gap after SIGKILL on an idle machine.
const KILL_TARGET: Duration = Duration::from_millis(300);
/// Longest gap after SIGSTOP on an idle machine.
const FREEZE_TARGET: Duration = Duration::from_millis(1500);
/// How long a process may take until it is ready.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// How long the image may take in all.
const IMAGE_PATIENCE: Duration = Duration::from_secs(90);
/// How often to look for a request to stop.
const TICK: Duration = Duration::from_millis(50);

/// The file that a process captures to.
pub(super) fn capture_name(role: &str) -> String {
    format!("{}.pcapng", role.replace(' ', "-"))
}

/// An interruption: of the image, or of the elements' registrations.
#[derive(Debug)]
pub(super) struct Gap {
    /// What caused it.
    pub(super) cause: &'static str,
    /// From the last byte of the old element to the first one of the new, by the user's clock; of the registrations until the
    /// last element has a home again.
    pub(super) length: Duration,
    /// How long it should be at most.
    pub(super) target: Duration,
}

/// How it went.
#[derive(Debug)]
pub(super) struct Outcome {
    /// One for each element lost, and one for the registrar.
    pub(super) gaps: Vec<Gap>,
}

struct Element {
    child: ChildId,
    name: &'static str,
    identifier: u32,
}

/// What was done to an element.
struct Blow {
    signal: &'static str,
    target: Duration,
    at: Duration,
}

/// The demo while it runs.
pub(super) struct Story<'a> {
    plan: &'a Plan,
    timeline: &'a Timeline,
    stop: &'a Stop,
    family: &'a mut Family,
    log: Option<&'a str>,
    registrars: Registrars,
    elements: Vec<Element>,
    /// Identifier of the element that serves the session.
    serving: Option<u32>,
    /// Elements no longer able to serve, in order.
    blows: Vec<Blow>,
    gaps: Vec<Gap>,
    /// Who computed how much.
    shares: Vec<String>,
}

impl<'a> Story<'a> {
    /// Everything is ready to begin.
    pub(super) fn new(plan: &'a Plan, timeline: &'a Timeline, stop: &'a Stop, family: &'a mut Family, log: Option<&'a str>) -> Self {
        Self {
            plan,
            timeline,
            stop,
            family,
            log,
            registrars: Registrars::default(),
            elements: Vec::new(),
            serving: None,
            blows: Vec::new(),
            gaps: Vec::new(),
            shares: Vec::new(),
        }
    }

    /// From the first process to the complete image. `port` is held until the registrar has it.
    pub(super) fn tell(mut self, port: HeldPort) -> Result<Outcome> {
        self.timeline.say(format_args!(
            "SCTP over UDP port {}, announces to {}, pool {}, all on the loopback interface",
            self.plan.udp_port, self.plan.announce, self.plan.pool
        ));
        self.start_first_registrar()?;
        drop(port);
        self.start_elements()?;
        self.start_other_registrars()?;
        let user = self.start_user()?;
        self.watch(user)?;
        let Some(takeover) = self.registrars.gap() else { bail!("the image was complete before all elements had a new home") };
        if self.gaps.len() < 2 {
            bail!("the image was complete before both elements were lost");
        }
        self.gaps.push(takeover);
        Ok(Outcome { gaps: self.gaps })
    }

    fn start_elements(&mut self) -> Result<()> {
        let pool = self.plan.pool.clone();
        let mut started = Vec::new();
        for name in ELEMENT_NAMES {
            // Points go out often, so that the gap is that of the network and not of the computation.
            let args = ["server", "--fractal", "--loopback-only", "--pool", &pool, "--data-max-time", "20"];
            started.push((self.spawn(name, &args)?, name));
        }
        for (index, (child, name)) in started.into_iter().enumerate() {
            let line = self.wait_for(child, "registered")?;
            let identifier = line.number("element").and_then(|id| u32::try_from(id).ok()).context("an element without identifier")?;
            self.timeline.say(format_args!("{name} {identifier:#010x} has registered ({})", Tint::of(index)));
            self.elements.push(Element { child, name, identifier });
        }
        Ok(())
    }

    fn start_user(&mut self) -> Result<ChildId> {
        let p = &self.plan.parameter;
        let (size, iterations) = (format!("{}x{}", p.width, p.height), p.max_iterations.to_string());
        let corners = format!("{},{},{},{}", p.c1.re, p.c1.im, p.c2.re, p.c2.im);
        let tints = self.elements.iter().map(|e| e.identifier.to_string()).collect::<Vec<_>>().join(",");
        let [image, elements, values] = [IMAGE, ELEMENTS, VALUES].map(|name| self.plan.file(name).display().to_string());
        let pool = self.plan.pool.clone();
        #[rustfmt::skip]
        let args = [
            "fractal", "--loopback-only", "--pool", &pool, "--size", &size, "--iterations", &iterations, "--area", &corners,
            "--out", &image, "--elements-out", &elements, "--values-out", &values, "--tints", &tints,
        ];
        let child = self.spawn(USER, &args)?;
        self.timeline.say(format_args!("the user asks the pool for {size} pixels of at most {iterations} iterations"));
        Ok(child)
    }

    fn spawn(&mut self, role: &str, args: &[&str]) -> Result<ChildId> {
        let mut args: Vec<String> = args.iter().map(ToString::to_string).collect();
        args.extend(["--report".into(), "--stop-on-eof".into()]);
        args.extend(["--udp-port".into(), self.plan.udp_port.to_string()]);
        args.extend(["--announce".into(), self.plan.announce.to_string()]);
        args.extend(["--pcap".into(), self.plan.file(&capture_name(role)).display().to_string()]);
        if let Some(log) = self.log {
            args.extend(["--log".into(), log.into()]);
        }
        self.family.spawn(role, &args)
    }

    /// Waits until `child` reports `event`.
    fn wait_for(&mut self, child: ChildId, event: &str) -> Result<Line> {
        if let Some(line) = self.family.take_put_off(child, event) {
            return Ok(line);
        }
        let deadline = self.timeline.elapsed() + START_PATIENCE;
        while self.timeline.elapsed() < deadline {
            match self.next()? {
                Some(Event::Line(id, line)) if id == child && line.event() == event => return Ok(line),
                // Children start at the same time: what another one reports too early is asked for later.
                Some(Event::Line(id, line)) => self.family.put_off(id, line),
                Some(Event::Closed(id)) => bail!("{}", self.family.obituary(id)),
                Some(Event::Said(..)) | None => {}
            }
        }
        bail!("{} was not ready within {} s", self.family.name(child), START_PATIENCE.as_secs())
    }

    /// The next event, or the end if it was asked for.
    fn next(&mut self) -> Result<Option<Event>> {
        if self.stop.is_requested() {
            bail!("interrupted");
        }
        let event = self.family.next(TICK);
        if let (Some(_), Some(Event::Said(id, text))) = (self.log, &event) {
            self.timeline.say(format_args!("[{}] {text}", self.family.name(*id)));
        }
        Ok(event)
    }

    /// From the user's start to the complete image.
    fn watch(&mut self, user: ChildId) -> Result<()> {
        let deadline = self.timeline.elapsed() + IMAGE_PATIENCE;
        let mut complete = false;
        while !complete {
            if self.timeline.elapsed() > deadline {
                bail!("the image was not complete within {} s", IMAGE_PATIENCE.as_secs());
            }
            match self.next()? {
                Some(Event::Line(id, line)) if id == user => complete = self.heard(&line)?,
                Some(Event::Line(id, line)) => self.told_by_registrar(id, &line),
                Some(Event::Closed(id)) if !self.family.is_hit(id) => bail!("{}", self.family.obituary(id)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes in what the user reported, and says whether the image is complete.
    fn heard(&mut self, line: &Line) -> Result<bool> {
        let element = line.number("element").and_then(|id| u32::try_from(id).ok());
        match line.event() {
            "serving" => self.serves(element.context("no element")?, line.number("gap_us").map(Duration::from_micros)),
            "lost" => self.noticed(line),
            "progress" => self.advance(line.number("done").unwrap_or_default())?,
            "share" => {
                let percent = 100.0 * line.number("pixels").unwrap_or_default() as f64 / self.plan.parameter.pixels() as f64;
                self.shares.push(format!("{} {percent:.1} %", self.label(element)));
            }
            "complete" => {
                self.timeline.say(format_args!("the image is complete: {}", self.shares.join(", ")));
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    fn serves(&mut self, element: u32, gap: Option<Duration>) {
        let name = self.label(Some(element));
        self.serving = Some(element);
        let Some((blow, length)) = self.blows.get(self.gaps.len()).zip(gap) else {
            self.timeline.say(format_args!("{name} serves the session"));
            return;
        };
        let target = blow.target.as_millis();
        self.timeline
            .say(format_args!("{name} serves the session: the gap was {:.1} ms (target: {target} ms)", 1e3 * length.as_secs_f64()));
        self.gaps.push(Gap { cause: blow.signal, length, target: blow.target });
    }

    fn noticed(&mut self, line: &Line) {
        self.serving = None;
        let reason = line.text("reason");
        match self.blows.get(self.gaps.len()) {
            Some(blow) => {
                let after = self.timeline.elapsed().saturating_sub(blow.at);
                self.timeline.say(format_args!("the user noticed it after {:.1} ms: {reason}", 1e3 * after.as_secs_f64()));
            }
            None => self.timeline.say(format_args!("the user gave up on its element: {reason}")),
        }
    }

    fn advance(&mut self, done: u64) -> Result<()> {
        self.timeline.progress(done);
        let percent = 100 * done / self.plan.parameter.pixels();
        match (self.blows.len(), self.gaps.len()) {
            (0, _) if percent >= KILL_AT => self.strike("SIGKILL", KILL_TARGET, percent),
            (1, 1) if percent >= TAKEOVER_AT && self.registrars.are_complete() => self.strike_registrar(percent),
            (1, 1) if percent >= FREEZE_AT && self.registrars.gap().is_some() => self.strike("SIGSTOP", FREEZE_TARGET, percent),
            _ => Ok(()),
        }
    }

    /// Kills or freezes the element that serves the session.
    fn strike(&mut self, signal: &'static str, target: Duration, percent: u64) -> Result<()> {
        let Some(element) = self.serving.and_then(|id| self.elements.iter().find(|e| e.identifier == id)) else { return Ok(()) };
        let at = self.timeline.elapsed();
        let verb = if signal == "SIGKILL" {
            self.family.kill(element.child)?;
            "killed"
        } else {
            self.family.freeze(element.child)?;
            "frozen"
        };
        self.timeline.say(format_args!("{} is {verb} with {signal}, at {percent} % of the image", element.name));
        self.blows.push(Blow { signal, target, at });
        Ok(())
    }

    fn label(&self, identifier: Option<u32>) -> String {
        let known = self.elements.iter().find(|e| Some(e.identifier) == identifier);
        known.map_or_else(|| format!("element {:#010x}", identifier.unwrap_or_default()), |e| e.name.to_owned())
    }
}
