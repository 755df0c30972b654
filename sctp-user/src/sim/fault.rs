//! What can go wrong with hosts and links: a script of faults is plain data, so that a test can draw, print and shrink it.
#![allow(clippy::indexing_slicing, reason = "host ids index a vector that never shrinks; what a test passes wrongly shall fail loudly")]

use core::time::Duration;
use std::net::IpAddr;

use super::host::{HostId, State};
use super::link::LinkConfig;
use super::world::{Item, World};
use crate::net::AddrChange;
use crate::time::Time;

/// How a host that is frozen treats packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pause {
    /// Its socket buffers hold up to this many packets; more are lost. They are handed over when it goes on.
    Queue(usize),
    /// All packets are lost.
    Lose,
}

/// How a host ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Crash {
    /// The whole machine is gone: silence.
    Machine,
    /// One process is gone: its machine answers with ICMP port unreachable, and the other hosts of the same address are told at
    /// once that these SCTP ports died, as the processes that share a port are.
    Process {
        /// The SCTP ports that the process held.
        sctp_ports: Vec<u16>,
    },
}

/// A fault, or its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// No packet leaves `from` for `to` any more; those under way still arrive.
    Cut {
        /// Sender's address.
        from: IpAddr,
        /// Receiver's address.
        to: IpAddr,
    },
    /// No packet passes between the two addresses.
    Partition {
        /// One side.
        a: IpAddr,
        /// The other side.
        b: IpAddr,
    },
    /// Undoes [`Fault::Cut`] and [`Fault::Partition`], in both directions.
    Heal {
        /// One side.
        a: IpAddr,
        /// The other side.
        b: IpAddr,
    },
    /// Changes a link, in one direction.
    Link {
        /// Sender's address.
        from: IpAddr,
        /// Receiver's address.
        to: IpAddr,
        /// What it does from now on.
        cfg: Box<LinkConfig>,
    },
    /// Freezes a host: no timer runs, nothing is received or sent.
    Pause {
        /// Which.
        host: HostId,
        /// What happens to its packets.
        packets: Pause,
    },
    /// Lets a frozen host go on.
    Resume {
        /// Which.
        host: HostId,
    },
    /// Ends a host; see [`super::World::restart`].
    Crash {
        /// Which.
        host: HostId,
        /// How.
        how: Crash,
    },
    /// A host's clock leaps ahead, as after the suspension of a machine.
    ClockJump {
        /// Which.
        host: HostId,
        /// How far.
        by: Duration,
    },
    /// A host has other addresses from now on.
    Addresses {
        /// Which.
        host: HostId,
        /// All of them.
        addrs: Vec<IpAddr>,
    },
    /// A NAT before the host shows another UDP port to the world from now on.
    Rebind {
        /// Which.
        host: HostId,
        /// The port that the host itself uses.
        inner: u16,
        /// The port that others see and answer to.
        outer: u16,
    },
}

impl World {
    /// Has a fault happen at a time; at once if that is past.
    pub fn at(&mut self, when: Time, fault: Fault) {
        self.schedule(when, Item::Fault(fault));
    }

    /// Has a function called at a time; at once if that is past.
    pub fn call_at(&mut self, when: Time, f: impl FnOnce(&mut Self) + 'static) {
        self.schedule(when, Item::Call(Box::new(f)));
    }

    /// Has a fault happen now.
    pub fn apply(&mut self, fault: Fault) {
        self.observer.mark(self.now, b"fault");
        match fault {
            Fault::Cut { from, to } => self.link(from, to).cut = true,
            Fault::Partition { a, b } => self.set_cut(a, b, true),
            Fault::Heal { a, b } => self.set_cut(a, b, false),
            Fault::Link { from, to, cfg } => self.set_link(from, to, *cfg),
            Fault::Pause { host, packets } => {
                let host = &mut self.hosts[host.0];
                if host.state == State::Up {
                    host.state = State::Frozen(packets);
                }
            }
            Fault::Resume { host } => self.resume(host),
            Fault::Crash { host, how } => self.crash(host, how),
            Fault::ClockJump { host, by } => self.hosts[host.0].cfg.clock_ahead += by,
            Fault::Addresses { host, addrs } => {
                self.hosts[host.0].cfg.addrs.clone_from(&addrs);
                self.call(host, |node, now| node.handle_addresses(now, AddrChange::Set(addrs)));
            }
            Fault::Rebind { host, inner, outer } => {
                let nat = &mut self.hosts[host.0].nat;
                nat.retain(|(i, _)| *i != inner);
                nat.push((inner, outer));
            }
        }
    }

    fn set_cut(&mut self, a: IpAddr, b: IpAddr, cut: bool) {
        self.link(a, b).cut = cut;
        self.link(b, a).cut = cut;
    }

    fn resume(&mut self, host: HostId) {
        let h = &mut self.hosts[host.0];
        if !matches!(h.state, State::Frozen(_)) {
            return;
        }
        h.state = State::Up;
        let inbox = core::mem::take(&mut h.inbox);
        // As in a real process: what waits in the sockets is read before the timers are looked at.
        for (wire, channel) in inbox {
            self.receive_train(host, channel, &[wire]);
        }
        self.drain(host);
    }

    fn crash(&mut self, host: HostId, how: Crash) {
        let h = &mut self.hosts[host.0];
        h.node = None;
        h.deadline = None;
        h.inbox.clear();
        match how {
            Crash::Machine => h.state = State::Off,
            Crash::Process { sctp_ports } => {
                h.state = State::Ended;
                let addrs = h.cfg.addrs.clone();
                for other in (0..self.hosts.len()).map(HostId).filter(|o| *o != host) {
                    if self.hosts[other.0].cfg.addrs.iter().any(|a| addrs.contains(a)) {
                        self.call(other, |node, now| node.handle_ports_died(now, &sctp_ports));
                    }
                }
            }
        }
    }
}
