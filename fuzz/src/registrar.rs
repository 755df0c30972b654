//! A registrar among arbitrary clients, peers and strangers: associations, messages, datagrams and time in any order.
//!
//! Whatever they do: no panic, no timer that is due for ever, a bounded number of outputs for each input, everything that it
//! sends can be decoded, its handlespace agrees with itself, its memory stays within its limits, and after all have gone away
//! nothing of them is left. A twin, to which the same happens, does the same.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use arbitrary::{Arbitrary, Unstructured};
use rserpool::handlespace::Limits;
use rserpool::registrar::config::{AnnounceTarget, RegistrarConfig};
use rserpool::registrar::enrp::config::Arbitration;
use rserpool::registrar::{AssocKey, CloseHow, ConnectToken, Input, Output, Registrar, Service};
use rserpool::wire::{ASAP_PPID, AsapMessage, ENRP_PPID, EnrpMessage, RegistrarId};
use sctp_user::{SeededEntropy, Time};

use crate::pool_messages::{Host, Port, Sent};

const MAX_OPS: usize = 200;
/// What the limits below allow to be said because of one input, with room to spare: more is a loop.
const MAX_OUTPUTS: usize = 1_000;
/// Timers that may fire within one step.
const MAX_TIMERS: usize = 100_000;
/// Associations that the outside opens, at most.
const MAX_ASSOCS: usize = 12;
/// Associations that the registrar opens and hears nothing about for now.
const MAX_CONNECTS: usize = 200;
/// What the two registrars and this harness may hold at one time, in bytes.
const MAX_MEMORY: u64 = 4 << 20;
/// After so long without a word from anybody everything has been found out.
const SILENCE: Duration = Duration::from_secs(900);

#[derive(Arbitrary, Debug)]
enum Op {
    /// Somebody opens an association.
    Connect {
        enrp: bool,
        host: Host,
        port: Port,
    },
    /// The registrar's oldest attempt succeeds, or fails.
    Answer {
        up: bool,
    },
    Lose {
        which: u8,
        aborted: bool,
    },
    Restart {
        which: u8,
    },
    Say {
        which: u8,
        message: Sent,
        how: Way,
    },
    Announce {
        host: Host,
        message: Sent,
        how: Way,
    },
    Addresses {
        hosts: u8,
    },
    Advance {
        ms: u16,
    },
    /// To the next timer.
    Next,
}

/// Whether a message goes where its protocol belongs.
#[derive(Arbitrary, PartialEq, Eq, Debug)]
enum Way {
    Right,
    RightToo,
    RightAgain,
    WrongService,
    WrongPpid,
}

/// What is connected to the registrar.
struct Link {
    service: Service,
    /// Whether the registrar has closed it.
    closing: bool,
}

struct Bed {
    twins: [Registrar; 2],
    now: Time,
    links: BTreeMap<AssocKey, Link>,
    connects: VecDeque<(ConnectToken, Service, Vec<SocketAddr>)>,
    next: u32,
}

/// How the registrar is configured.
#[derive(Arbitrary, Debug)]
struct Setup {
    seed: u64,
    /// Whether it announces itself and looks for peers by multicast.
    multicast: bool,
    /// Whether it has a configured peer.
    contact: Option<(Host, Port)>,
    suggest: bool,
    higher_wins: bool,
    small_tables: bool,
}

impl Setup {
    /// Limits that a short story can reach.
    fn config(&self) -> RegistrarConfig {
        let mut cfg = RegistrarConfig::default();
        cfg.id = RegistrarId(1);
        cfg.max_associations = 8;
        cfg.max_associations_per_peer = 4;
        cfg.max_elements_per_association = 6;
        cfg.max_elements_per_peer = 8;
        cfg.limits = Limits { pools: 4, elements: 12, elements_per_pool: 6 };
        cfg.subscriptions.per_association = 3;
        cfg.subscriptions.total = 8;
        cfg.rates.max_prefixes = 4;
        if self.multicast {
            let target = |port| AnnounceTarget { source: IpAddr::from([10, 0, 0, 2]), group: SocketAddr::from(([239, 0, 0, 50], port)) };
            cfg.announce.targets.push(target(3863));
            cfg.enrp.targets.push(target(9901));
        }
        cfg.enrp.peers.extend(self.contact.map(|(host, port)| vec![host.at(port)]));
        cfg.enrp.suggest_takeovers = self.suggest;
        if self.higher_wins {
            cfg.enrp.arbitration = Arbitration::HigherWins;
        }
        cfg.enrp.max_peers = 4;
        cfg.enrp.max_table_sessions = 2;
        cfg.enrp.max_adoption_connects = 2;
        if self.small_tables {
            cfg.enrp.max_table_bytes = 256;
            cfg.enrp.max_table_elements = 2;
        }
        cfg
    }
}

impl Bed {
    fn new(setup: &Setup) -> Self {
        let one = || Registrar::new(setup.config(), Box::new(SeededEntropy::new(setup.seed)));
        Self { twins: [one(), one()], now: Time::from_millis(1_000), links: BTreeMap::new(), connects: VecDeque::new(), next: 1 }
    }

    fn key(&self, which: u8) -> Option<AssocKey> {
        self.links.keys().nth(usize::from(which) % self.links.len().max(1)).copied()
    }

    /// An association with a service.
    fn key_at(&self, which: u8, service: Service) -> Option<AssocKey> {
        let count = self.links.values().filter(|l| l.service == service).count();
        self.links.iter().filter(|(_, l)| l.service == service).nth(usize::from(which) % count.max(1)).map(|(k, _)| *k)
    }

    fn give(&mut self, input: Input<'_>) {
        let now = self.now;
        self.twins.iter_mut().for_each(|r| r.handle(now, input));
        self.drain();
    }

    fn connected(&mut self, service: Service, token: Option<ConnectToken>, peer: &[SocketAddr]) {
        let assoc = AssocKey(self.next);
        self.next += 1;
        self.links.insert(assoc, Link { service, closing: false });
        self.give(Input::Connected { assoc, service, token, peer });
    }

    fn lose(&mut self, assoc: AssocKey, aborted: bool) {
        if self.links.remove(&assoc).is_some() {
            self.give(Input::Lost { assoc, aborted });
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Connect { enrp, host, port } if self.links.len() < MAX_ASSOCS => {
                self.connected(service(*enrp), None, &[host.at(*port)]);
            }
            Op::Connect { .. } => {}
            Op::Answer { up } => match self.connects.pop_front() {
                Some((token, service, addrs)) if *up => self.connected(service, Some(token), &addrs),
                Some((token, ..)) => self.give(Input::ConnectFailed { token }),
                None => {}
            },
            Op::Lose { which, aborted } => {
                if let Some(assoc) = self.key(*which) {
                    self.lose(assoc, *aborted);
                }
            }
            Op::Restart { which } => {
                if let Some(assoc) = self.key(*which) {
                    self.give(Input::Restarted { assoc });
                }
            }
            Op::Say { which, message, how } => {
                let to = service(message.is_enrp() != (*how == Way::WrongService));
                if let Some(assoc) = self.key_at(*which, to) {
                    let ppid = if message.is_enrp() == (*how == Way::WrongPpid) { ASAP_PPID } else { ENRP_PPID };
                    self.give(Input::Message { assoc, ppid, sid: 0, bytes: &message.bytes() });
                }
            }
            Op::Announce { host, message, how } => {
                let src = SocketAddr::new(host.ip(), 3863);
                let service = service(message.is_enrp() != (*how == Way::WrongService));
                self.give(Input::Datagram { service, src, bytes: &message.bytes() });
            }
            Op::Addresses { hosts } => {
                let addrs: Vec<IpAddr> = (0..8).filter(|n| hosts & (1 << n) != 0).map(|n| Host(n).ip()).collect();
                self.give(Input::Addresses(&addrs));
            }
            Op::Advance { ms } => self.pass(Duration::from_millis(u64::from(*ms))),
            Op::Next => {
                if let Some(t) = self.twins[0].poll_timeout() {
                    self.pass(t.saturating_since(self.now));
                }
            }
        }
    }

    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        let mut fired = 0;
        while let Some(due) = self.twins[0].poll_timeout().filter(|t| *t <= until) {
            assert_eq!(self.twins[1].poll_timeout(), Some(due));
            self.now = self.now.max(due);
            let now = self.now;
            self.twins.iter_mut().for_each(|r| r.handle_timeout(now));
            self.drain();
            fired += 1;
            assert!(fired < MAX_TIMERS, "timers without end");
        }
        self.now = until;
    }

    /// Takes out what both want done, which is the same, and looks at it.
    fn drain(&mut self) {
        let mut count = 0;
        let mut aborted = Vec::new();
        loop {
            let [first, second] = &mut self.twins;
            let out = first.poll_output();
            assert_eq!(out, second.poll_output(), "twins differ");
            let Some(out) = out else { break };
            count += 1;
            assert!(count <= MAX_OUTPUTS, "too much because of one input: {out:?}");
            match out {
                Output::Send { assoc, ppid, bytes, .. } => {
                    let link = self.links.get(&assoc);
                    let service = link.map_or_else(|| panic!("{assoc} is gone"), |l| l.service);
                    match service {
                        Service::Asap => {
                            assert_eq!(ppid, ASAP_PPID);
                            AsapMessage::decode(&bytes).unwrap_or_else(|e| panic!("{e} in what was sent"));
                        }
                        Service::Enrp => {
                            assert_eq!(ppid, ENRP_PPID);
                            let sent = EnrpMessage::decode(&bytes).unwrap_or_else(|e| panic!("{e} in what was sent"));
                            assert!(!sent.message.sender().is_undefined(), "nobody sends");
                        }
                    }
                }
                Output::Connect { token, service, addrs } => {
                    assert!(!addrs.is_empty(), "nowhere to connect to");
                    self.connects.push_back((token, service, addrs));
                    assert!(self.connects.len() <= MAX_CONNECTS, "connects without end");
                }
                Output::Close { assoc, how } => {
                    if let Some(link) = self.links.get_mut(&assoc) {
                        link.closing = true;
                        if how == CloseHow::Abort {
                            aborted.push(assoc);
                        }
                    }
                }
                Output::Event(event) => assert!(!event.to_string().contains('\n')),
                _ => {}
            }
        }
        self.twins[0].handlespace().audit().unwrap_or_else(|e| panic!("handlespace: {e}"));
        for assoc in aborted {
            self.lose(assoc, false);
        }
    }

    /// Everybody goes away, and nobody answers any more.
    fn finish(&mut self) {
        while let Some(assoc) = self.links.keys().next().copied() {
            self.lose(assoc, false);
        }
        let end = self.now + SILENCE;
        while self.now < end {
            while let Some((token, ..)) = self.connects.pop_front() {
                self.give(Input::ConnectFailed { token });
            }
            self.pass(Duration::from_secs(60));
        }
        let r = &self.twins[0];
        assert_eq!(r.association_count(), 0, "associations that are gone");
        assert_eq!(r.handlespace().element_count(), 0, "elements that are gone: {r:?}");
    }
}

const fn service(enrp: bool) -> Service {
    if enrp { Service::Enrp } else { Service::Asap }
}

/// An arbitrary story of a registrar.
pub fn registrar(data: &[u8]) {
    let cost = allocation_counter::measure(|| {
        let mut u = Unstructured::new(data);
        let Ok(setup) = Setup::arbitrary(&mut u) else { return };
        let mut bed = Bed::new(&setup);
        for _ in 0..MAX_OPS {
            if u.is_empty() {
                break;
            }
            let Ok(op) = Op::arbitrary(&mut u) else { break };
            bed.apply(&op);
        }
        bed.finish();
    });
    assert!(cost.bytes_max <= MAX_MEMORY, "{} bytes", cost.bytes_max);
}
