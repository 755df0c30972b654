//! The registrars: three, of which the elements' home is killed.
//!
//! The elements register while there is one registrar, so that it is the home of them all; the others learn of them from it.

use std::time::Duration;

use anyhow::{Context, Result};
use registrar::report::Line;

use super::{ChildId, Gap, Story};

/// What they are called; the first one is the home.
pub(super) const NAMES: [&str; 3] = ["registrar 1", "registrar 2", "registrar 3"];

/// Longest time without a home on an idle machine.
const TARGET: Duration = Duration::from_millis(1500);

#[derive(Clone, Copy)]
struct Registrar {
    child: ChildId,
    name: &'static str,
    identifier: u32,
}

/// The home registrar was killed.
struct Takeover {
    at: Duration,
    /// Elements that have not agreed to a new home yet.
    homeless: Vec<u32>,
    /// How long it took until all had.
    took: Option<Duration>,
}

/// The demo's registrars.
#[derive(Default)]
pub(super) struct Registrars {
    all: Vec<Registrar>,
    takeover: Option<Takeover>,
}

impl Registrars {
    /// Whether the home is still there, with all the others.
    pub(super) const fn are_complete(&self) -> bool {
        self.takeover.is_none()
    }

    /// How long elements were without a home, once all have one again.
    pub(super) fn gap(&self) -> Option<Gap> {
        let length = self.takeover.as_ref()?.took?;
        Some(Gap { cause: "the registrar's death", length, target: TARGET })
    }

    fn name_of(&self, identifier: u32) -> &'static str {
        self.all.iter().find(|r| r.identifier == identifier).map_or("another registrar", |r| r.name)
    }
}

fn number(line: &Line, key: &str) -> Result<u32> {
    line.number(key).and_then(|n| u32::try_from(n).ok()).with_context(|| format!("a registrar without {key}"))
}

impl Story<'_> {
    /// Starts the one that will be the elements' home.
    pub(super) fn start_first_registrar(&mut self) -> Result<()> {
        let child = self.spawn_registrar(NAMES[0])?;
        self.registrar_is_ready(child, NAMES[0])?;
        self.wait_for(child, "serving").map(drop)
    }

    /// Starts the others, which take part when they have learnt what the first one knows.
    pub(super) fn start_other_registrars(&mut self) -> Result<()> {
        let mut started = Vec::new();
        for name in NAMES.into_iter().skip(1) {
            started.push((self.spawn_registrar(name)?, name));
        }
        for (child, name) in started {
            self.registrar_is_ready(child, name)?;
            let elements = self.wait_for(child, "serving")?.number("elements").unwrap_or_default();
            self.timeline.say(format_args!("{name} has learnt of {elements} elements from its peers"));
        }
        Ok(())
    }

    fn spawn_registrar(&mut self, name: &'static str) -> Result<ChildId> {
        let presence = self.plan.presence.to_string();
        self.spawn(name, &["registrar", "--loopback-only", "--announce-interval", "100", "--enrp-announce", &presence])
    }

    fn registrar_is_ready(&mut self, child: ChildId, name: &'static str) -> Result<()> {
        let ready = self.wait_for(child, "ready")?;
        let identifier = number(&ready, "identifier")?;
        let (asap, enrp) = (number(&ready, "asap")?, number(&ready, "enrp")?);
        self.timeline.say(format_args!("{name} {identifier:#010x} is ready on SCTP ports {asap} (ASAP) and {enrp} (ENRP)"));
        self.registrars.all.push(Registrar { child, name, identifier });
        Ok(())
    }

    /// Kills the elements' home.
    pub(super) fn strike_registrar(&mut self, percent: u64) -> Result<()> {
        let Some(&home) = self.registrars.all.first() else { return Ok(()) };
        let homeless: Vec<u32> = self.elements.iter().filter(|e| !self.family.is_hit(e.child)).map(|e| e.identifier).collect();
        let at = self.timeline.elapsed();
        self.family.kill(home.child)?;
        let n = homeless.len();
        self.timeline.say(format_args!("{}, the home of {n} elements, is killed with SIGKILL, at {percent} % of the image", home.name));
        self.registrars.takeover = Some(Takeover { at, homeless, took: None });
        Ok(())
    }

    /// Takes in what a registrar reported.
    pub(super) fn told_by_registrar(&mut self, child: ChildId, line: &Line) {
        let Some(teller) = self.registrars.all.iter().find(|r| r.child == child).copied() else { return };
        let now = self.timeline.elapsed();
        let Some(takeover) = &mut self.registrars.takeover else { return };
        let after = now.saturating_sub(takeover.at);
        let ms = 1e3 * after.as_secs_f64();
        match line.event() {
            // All of them report it; the one that did it is the one to be believed.
            "taken_over" if line.number("by") == Some(teller.identifier.into()) => {
                let (elements, dead) = (line.number("elements").unwrap_or_default(), number(line, "target").unwrap_or_default());
                let dead = self.registrars.name_of(dead);
                self.timeline.say(format_args!("{} has taken over {elements} elements of {dead} after {ms:.1} ms", teller.name));
            }
            // Elements wait for the registrar that takes over, but not for ever.
            how @ ("adopted" | "registered") => {
                let element = number(line, "element").unwrap_or_default();
                let before = takeover.homeless.len();
                takeover.homeless.retain(|id| *id != element);
                if takeover.homeless.len() == before {
                    return;
                }
                if takeover.homeless.is_empty() {
                    takeover.took = Some(after);
                }
                let (label, name) = (self.label(Some(element)), teller.name);
                if how == "adopted" {
                    self.timeline.say(format_args!("{label} has {name} as its new home after {ms:.1} ms"));
                } else {
                    self.timeline.say(format_args!("{label} has found {name} by itself after {ms:.1} ms"));
                }
            }
            _ => {}
        }
    }
}
