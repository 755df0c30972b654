//! `rsp server`: an element of a pool that echoes, computes images, or plays ping-pong.
#![allow(clippy::disallowed_methods, reason = "edge: a thread for each session")]

use std::fmt::Display;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use registrar::cli::{identifier, milliseconds};
use registrar::report::{Report, say};
use registrar::signal::Stop;
use rserpool::api::{ElementConfig, Error, PoolListener};
use rserpool::node::pool::ListenerConfig;
use rserpool::wire::{ElementId, PolicyParam};
use sctp_user::socket::MonoClock;
use tools::policy::PolicyChoice;
use tools::priority;
use tools::service::fractal::job::JobConfig;
use tools::service::{echo, fractal, pingpong};

use crate::pool::{ElementSession, PoolOptions, Role};

/// How often to look for a request to stop.
const TICK: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  rsp server --echo                          an element of the pool EchoPool: try `rsp terminal`
  rsp server --fractal                       an element of the pool FractalGeneratorPool: try `rsp fractal`
  rsp server --pingpong                      an element of the pool PingPongPool: try `rsp pingpong`
  rsp server --echo --pool Mine              another pool
  rsp server --fractal --policy least-used   users get the element with the fewest sessions
  rsp server --echo --registrar 192.0.2.7    if announces do not come through

A registrar must run somewhere: `registrar`, or `rsp registrar`. It runs until SIGINT (Ctrl-C) or SIGTERM.";

/// Flags of `rsp server`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Send each message back (the default)
    #[arg(long, conflicts_with_all = ["fractal", "pingpong"])]
    echo: bool,
    /// Compute images (Fractal Generator Protocol)
    #[arg(long, conflicts_with = "pingpong")]
    fractal: bool,
    /// Answer pings and number the answers (Ping Pong Protocol)
    #[arg(long)]
    pingpong: bool,
    /// Identifier of this element, e.g. 0x1234abcd [default: random]
    #[arg(long, value_name = "ID", value_parser = identifier)]
    identifier: Option<u32>,
    /// How users choose among the pool's elements: round-robin, weighted-round-robin:WEIGHT, least-used, ...
    #[arg(long, value_name = "NAME[:VALUE...]", default_value = "round-robin", value_parser = PolicyChoice::parse)]
    policy: PolicyChoice,
    /// Register again once in so many milliseconds
    #[arg(long, value_name = "MS", default_value = "30000", value_parser = milliseconds)]
    rereg_interval: Duration,
    /// Most sessions at once; further users are sent on to other elements
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_threads: u16,
    /// Fractal: send points at the latest after so many milliseconds
    #[arg(long, value_name = "MS", default_value = "1000", value_parser = milliseconds)]
    data_max_time: Duration,
    /// Fractal: send a cookie at the latest after so many milliseconds
    #[arg(long, value_name = "MS", default_value = "1000", value_parser = milliseconds)]
    cookie_max_time: Duration,
    /// Fractal: send a cookie at the latest after so many messages
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    cookie_max_packets: u32,
    /// Fractal: send (x * y) mod 256 instead of computing
    #[arg(long)]
    test_mode: bool,
    /// Ping-pong: fail on purpose after so many replies of a session, so that its user moves on to another element
    #[arg(long, value_name = "N", requires = "pingpong", value_parser = clap::value_parser!(u64).range(1..))]
    failure_after: Option<u64>,
    /// Tell users which other elements of the pool to go to if this one fails; RSPLIB's users cannot read that
    #[arg(long)]
    business_card: bool,
    #[command(flatten)]
    pool: PoolOptions,
}

#[derive(Clone, Copy)]
enum Service {
    Echo,
    Fractal(JobConfig),
    PingPong { failure_after: Option<u64> },
}

impl Options {
    fn service(&self) -> Service {
        if self.fractal {
            return Service::Fractal(JobConfig {
                data_max_time: self.data_max_time,
                cookie_max_time: self.cookie_max_time,
                cookie_max_packets: self.cookie_max_packets,
                test_mode: self.test_mode,
            });
        }
        if self.pingpong { Service::PingPong { failure_after: self.failure_after } } else { Service::Echo }
    }
}

/// Runs an element until a signal.
pub(crate) fn run(options: &Options) -> Result<()> {
    options.pool.transport.init_log("warn")?;
    let stop = Stop::for_program(&options.pool.child)?;
    let service = options.service();
    let handle = match service {
        Service::Echo => echo::POOL_HANDLE,
        Service::Fractal(_) => fractal::POOL_HANDLE,
        Service::PingPong { .. } => pingpong::POOL_HANDLE,
    };
    let member = options.pool.start(handle, Role::Element)?;
    let mut server =
        Server { service, stop, policy: options.policy.clone(), max_sessions: options.max_threads.into(), sessions: Vec::new() };
    let element = member.listen(element_config(options, &server))?;
    let id = element.key().id.0;
    if options.pool.child.report {
        Report::new("registered").with("element", format_args!("{id:#010x}")).print();
    } else {
        say(format_args!("element {id:#010x} has registered in pool {}", member.pool()));
    }
    server.serve_until_stopped(&element)?;
    // Out of the pool first, so that users who are sent on do not come back.
    drop(element);
    server.finish();
    member.finish()
}

fn element_config(options: &Options, server: &Server) -> ElementConfig {
    ElementConfig {
        id: options.identifier.map(ElementId),
        policy: server.policy_now(),
        interval: options.rereg_interval,
        listener: ListenerConfig { max_sessions: server.max_sessions, business_cards: options.business_card, ..ListenerConfig::default() },
        ..ElementConfig::default()
    }
}

/// An element at work.
struct Server {
    service: Service,
    stop: Stop,
    policy: PolicyChoice,
    max_sessions: usize,
    sessions: Vec<JoinHandle<()>>,
}

impl Server {
    fn serve_until_stopped(&mut self, element: &PoolListener) -> Result<()> {
        while !self.stop.is_requested() {
            let session = match element.accept(Some(TICK)) {
                Ok(session) => Some(session),
                Err(Error::Timeout) => None,
                Err(err) => return Err(err).context("cannot accept sessions"),
            };
            let changed = self.reap() | session.is_some();
            if let Some(session) = session {
                self.begin(ElementSession(session))?;
            }
            if changed && self.policy.follows_load() {
                element.update(self.policy_now())?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, session: ElementSession) -> Result<()> {
        let (service, stop) = (self.service, self.stop.clone());
        let serve = move || serve(session, service, &stop);
        let thread = thread::Builder::new().name("session".into()).spawn(serve).context("cannot start a thread")?;
        self.sessions.push(thread);
        Ok(())
    }

    /// Forgets sessions that have ended, and says whether there were any.
    fn reap(&mut self) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|session| !session.is_finished());
        self.sessions.len() < before
    }

    fn policy_now(&self) -> PolicyParam {
        self.policy.with_load(load(self.sessions.len(), self.max_sessions))
    }

    /// Sessions have been told to stop: they send what their users need to go on elsewhere.
    fn finish(&mut self) {
        for session in self.sessions.drain(..) {
            // A panic was printed already.
            drop(session.join());
        }
    }
}

fn serve(mut session: ElementSession, service: Service, stop: &Stop) {
    let stop = || stop.is_requested();
    let clock = MonoClock::new();
    let result = match service {
        Service::Echo => echo::serve(&mut session, TICK, stop).map_err(Broken::lost),
        Service::Fractal(config) => {
            priority::lower();
            fractal::serve::serve(&mut session, config, TICK, || clock.now(), stop).map_err(|err| match err {
                fractal::serve::ServeError::Io(err) => Broken::lost(err),
                other => Broken::bad(other),
            })
        }
        Service::PingPong { failure_after } => pingpong::serve::serve(&mut session, failure_after, TICK, stop).map_err(|err| match err {
            pingpong::serve::ServeError::Io(err) => Broken::lost(err),
            other => Broken::bad(other),
        }),
    };
    // Who breaks the protocol is sent away; everyone else gets what is still under way.
    match result {
        Err(Broken { why, abort }) => {
            tracing::info!("session: {why}");
            if abort {
                session.0.abort();
            }
        }
        Ok(()) => drop(session),
    }
}

/// How a session ended before its time.
struct Broken {
    why: String,
    /// Whether the user is to be told so.
    abort: bool,
}

impl Broken {
    fn lost(why: impl Display) -> Self {
        Self { why: why.to_string(), abort: false }
    }

    fn bad(why: impl Display) -> Self {
        Self { why: why.to_string(), abort: true }
    }
}

/// Load as RFC 5356 section 4.2 counts it: 0xffffffff is 100 %.
fn load(active: usize, max: usize) -> u32 {
    let (active, max) = (u64::try_from(active).unwrap_or(u64::MAX), u64::try_from(max).unwrap_or(1).max(1));
    let share = u64::from(u32::MAX).saturating_mul(active.min(max)) / max;
    u32::try_from(share).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_the_share_of_busy_threads() {
        assert_eq!(load(0, 4), 0);
        assert_eq!(load(1, 4), 0x3fff_ffff);
        assert_eq!(load(4, 4), u32::MAX);
        assert_eq!(load(9, 4), u32::MAX);
    }
}
