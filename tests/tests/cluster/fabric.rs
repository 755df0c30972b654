//! What a cluster runs on: hosts with registrars or clients, and the network between them. The same plan runs on message channels
//! ([`crate::channel`]) and on whole SCTP stacks ([`crate::stacks`]).

use core::time::Duration;

use rserpool::asap::{Asap, AsapConfig, ElementKey, ElementSpec};
use rserpool::registrar::Registrar;
use rserpool::registrar::config::RegistrarConfig;
use rserpool::wire::{ElementId, PolicyParam, PoolElement, PoolHandle};
use sctp_user::Time;

/// The SCTP port of a client's ASAP endpoint.
pub(crate) const CLIENT_PORT: u16 = 4_000;

/// How a host ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// Its process: the machine says so to who speaks to it.
    Process,
    /// The whole machine: silence.
    Machine,
}

/// How well packets travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Weather {
    /// Packets of associations that are lost, in per mille.
    pub(crate) loss: u64,
    /// Multicast datagrams that are lost, in per mille.
    pub(crate) multicast_loss: u64,
    /// Most that a multicast datagram is held back.
    pub(crate) multicast_delay: Duration,
    /// Multicast datagrams that come twice, in per mille.
    pub(crate) multicast_twice: u64,
}

impl Weather {
    pub(crate) const FAIR: Self = Self { loss: 0, multicast_loss: 0, multicast_delay: Duration::ZERO, multicast_twice: 0 };
}

/// What a client is told to do.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Register(ElementSpec),
    Update(ElementKey, PolicyParam),
    Deregister(ElementKey),
    Resolve(PoolHandle, usize),
    Report(ElementKey),
}

/// Elements that a resolution named.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) at: Time,
    /// The registrar's host, if the network knows.
    pub(crate) registrar: Option<usize>,
    /// The user's host.
    pub(crate) user: usize,
    pub(crate) handle: PoolHandle,
    pub(crate) elements: Vec<PoolElement>,
}

/// Hosts and their network, by number of the host.
pub(crate) trait Fabric {
    fn now(&self) -> Time;

    /// Lets time pass.
    fn run_until(&mut self, until: Time);

    /// Starts a registrar, or a client, on a host that is not running.
    fn boot_registrar(&mut self, host: usize, cfg: RegistrarConfig);
    fn boot_client(&mut self, host: usize, cfg: AsapConfig);

    fn kill(&mut self, host: usize, end: End);

    /// The process stands still, its machine runs.
    fn freeze(&mut self, host: usize);

    /// It goes on; its clock has leapt ahead by `leap` meanwhile, beside the time that has passed.
    fn resume(&mut self, host: usize, leap: Duration);

    /// No packet leaves one host for the other any more, or they do again.
    fn cut(&mut self, from: usize, to: usize, cut: bool);

    fn set_weather(&mut self, weather: Weather);

    /// The registrar of a host that is not dead.
    fn registrar(&self, host: usize) -> Option<&Registrar>;

    /// The client of a host that is not dead.
    fn client(&self, host: usize) -> Option<&Asap>;

    /// Tells a client to do something, if it runs.
    fn command(&mut self, host: usize, command: Command);

    /// The answers to resolutions since the last call, as a user got them.
    fn take_user_answers(&mut self) -> Vec<Answer>;

    /// The answers that registrars sent since the last call, if the network sees them.
    fn take_registrar_answers(&mut self) -> Vec<Answer>;

    /// The longest silence after which an association is lost.
    fn detection(&self) -> Duration;

    /// How many takeovers registrars have completed.
    fn takeovers(&self) -> usize;

    /// Ends the recording, if there is one, and returns what is not in a file already.
    fn recorded(&mut self) -> Vec<String>;

    /// A number that two runs share only if the same happened in both.
    fn trace_hash(&self) -> u64;

    /// Something that the story wants in the trace.
    fn remark(&mut self, text: &dyn Fn() -> String);

    /// How many messages have arrived over associations, if the network counts.
    fn messages(&self) -> usize;

    /// The most bytes that ever waited in the network at once, as far as it knows.
    fn longest_backlog(&self) -> usize;
}

/// Which element an answer, or anything else, is about.
pub(crate) fn key(handle: &PoolHandle, id: ElementId) -> ElementKey {
    ElementKey { handle: handle.clone(), id }
}
