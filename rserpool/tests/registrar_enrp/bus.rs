//! What stands in for the network: associations as pairs of ordered channels, and multicast.
//!
//! A message that cannot be delivered waits; what waits for longer than [`PATIENCE`] ends its association at both ends
//! that live. A process that dies is known to be dead at the other ends of its associations after one latency; a host
//! that vanishes is not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use sctp_user::Time;

/// One way.
pub(crate) const LATENCY: Duration = Duration::from_millis(5);
/// After this time an association gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// A process, by its place in the list.
pub(crate) type Host = usize;

/// One end of an association.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct End {
    pub(crate) host: Host,
    pub(crate) key: u32,
}

/// What reaches a process.
#[derive(Clone, Debug)]
pub(crate) enum Arrival {
    Connected { key: u32, token: Option<u64>, local: u16, peer: SocketAddr },
    Failed { token: u64 },
    Message { key: u32, ppid: u32, bytes: Bytes },
    Lost { key: u32, aborted: bool },
    Datagram { src: SocketAddr, bytes: Bytes },
}

#[derive(Debug)]
struct Assoc {
    ends: [End; 2],
    /// What waits for a way, to each end.
    waiting: [VecDeque<(u32, Bytes)>; 2],
    stuck: Option<Time>,
}

#[derive(Debug, Default)]
pub(crate) struct Bus {
    /// Where who is.
    pub(crate) hosts: BTreeMap<IpAddr, Host>,
    listening: BTreeSet<SocketAddr>,
    assocs: Vec<Option<Assoc>>,
    of_end: BTreeMap<End, usize>,
    arrivals: BTreeMap<(Time, u64), (Host, Arrival)>,
    serial: u64,
    next_key: u32,
    pub(crate) cut: BTreeSet<(Host, Host)>,
    pub(crate) gone: BTreeSet<Host>,
    /// Hosts that hear multicast.
    pub(crate) group: BTreeSet<Host>,
}

impl Bus {
    pub(crate) fn listen(&mut self, at: SocketAddr) {
        self.listening.insert(at);
    }

    fn post(&mut self, at: Time, host: Host, arrival: Arrival) {
        self.serial += 1;
        self.arrivals.insert((at, self.serial), (host, arrival));
    }

    pub(crate) fn next(&self) -> Option<Time> {
        let stuck = self.assocs.iter().flatten().filter_map(|a| a.stuck).map(|t| t + PATIENCE).min();
        [self.arrivals.keys().next().map(|(t, _)| *t), stuck].into_iter().flatten().min()
    }

    pub(crate) fn pop(&mut self, now: Time) -> Option<(Host, Arrival)> {
        let overdue: Vec<usize> = (0..self.assocs.len())
            .filter(|n| self.assocs[*n].as_ref().is_some_and(|a| a.stuck.is_some_and(|t| t + PATIENCE <= now)))
            .collect();
        for n in overdue {
            self.end(now, n, false);
        }
        let (&(at, serial), _) = self.arrivals.first_key_value()?;
        if at > now {
            return None;
        }
        let (host, arrival) = self.arrivals.remove(&(at, serial)).unwrap();
        if self.gone.contains(&host) { self.pop(now) } else { Some((host, arrival)) }
    }

    fn reachable(&self, a: Host, b: Host) -> bool {
        !self.cut.contains(&(a.min(b), a.max(b))) && !self.gone.contains(&a) && !self.gone.contains(&b)
    }

    pub(crate) fn connect(&mut self, now: Time, host: Host, from: SocketAddr, token: u64, addrs: &[SocketAddr]) {
        let to = addrs.iter().find_map(|a| self.hosts.get(&a.ip()).map(|h| (*h, *a)));
        match to {
            Some((peer, at)) if self.reachable(host, peer) => {
                if !self.listening.contains(&at) {
                    self.post(now + LATENCY * 2, host, Arrival::Failed { token });
                    return;
                }
                let mut end = |host| {
                    self.next_key += 1;
                    End { host, key: self.next_key }
                };
                let (near, far) = (end(host), end(peer));
                let n = self.assocs.len();
                self.assocs.push(Some(Assoc { ends: [near, far], waiting: Default::default(), stuck: None }));
                self.of_end.insert(near, n);
                self.of_end.insert(far, n);
                self.post(now + LATENCY * 2, host, Arrival::Connected { key: near.key, token: Some(token), local: from.port(), peer: at });
                self.post(now + LATENCY * 3, peer, Arrival::Connected { key: far.key, token: None, local: at.port(), peer: from });
            }
            _ => self.post(now + PATIENCE, host, Arrival::Failed { token }),
        }
    }

    pub(crate) fn send(&mut self, now: Time, from: End, ppid: u32, bytes: Bytes) {
        let Some(&n) = self.of_end.get(&from) else { return };
        let Some(a) = self.assocs[n].as_mut() else { return };
        let side = usize::from(a.ends[0] == from);
        a.waiting[side].push_back((ppid, bytes));
        self.flush(now, n);
    }

    /// Delivers what waits, if there is a way.
    fn flush(&mut self, now: Time, n: usize) {
        let Some(a) = self.assocs[n].as_mut() else { return };
        let ends = a.ends;
        if !self.reachable(ends[0].host, ends[1].host) {
            if let Some(a) = self.assocs[n].as_mut().filter(|a| a.waiting.iter().any(|w| !w.is_empty())) {
                a.stuck.get_or_insert(now);
            }
            return;
        }
        let a = self.assocs[n].as_mut().unwrap();
        a.stuck = None;
        let waiting: [Vec<(u32, Bytes)>; 2] = [a.waiting[0].drain(..).collect(), a.waiting[1].drain(..).collect()];
        for (side, messages) in waiting.into_iter().enumerate() {
            for (ppid, bytes) in messages {
                // Later than the news of the association itself, which takes three latencies.
                self.post(now + LATENCY * 4, ends[side].host, Arrival::Message { key: ends[side].key, ppid, bytes });
            }
        }
    }

    fn end(&mut self, now: Time, n: usize, aborted: bool) {
        let Some(a) = self.assocs[n].take() else { return };
        for end in a.ends {
            self.of_end.remove(&end);
            self.post(now + LATENCY * 4, end.host, Arrival::Lost { key: end.key, aborted });
        }
    }

    pub(crate) fn close(&mut self, now: Time, from: End) {
        let Some(&n) = self.of_end.get(&from) else { return };
        let ends = self.assocs[n].as_ref().unwrap().ends;
        let way = self.reachable(ends[0].host, ends[1].host);
        let other = if ends[0] == from { ends[1] } else { ends[0] };
        if way {
            self.end(now, n, false);
        } else {
            // The other end finds out when it sends.
            self.of_end.remove(&from);
            self.post(now, from.host, Arrival::Lost { key: from.key, aborted: false });
            self.assocs[n].as_mut().unwrap().stuck.get_or_insert(now);
            let _ = other;
        }
    }

    /// The process is dead, and its port's owner says so; or the whole host is gone.
    pub(crate) fn kill(&mut self, now: Time, host: Host, noticed: bool) {
        let its: Vec<usize> =
            (0..self.assocs.len()).filter(|n| self.assocs[*n].as_ref().is_some_and(|a| a.ends.iter().any(|e| e.host == host))).collect();
        let addrs: Vec<IpAddr> = self.hosts.iter().filter(|(_, h)| **h == host).map(|(a, _)| *a).collect();
        if noticed {
            its.into_iter().for_each(|n| self.end(now, n, true));
            self.listening.retain(|l| !addrs.contains(&l.ip()));
        } else {
            self.gone.insert(host);
            its.into_iter().for_each(|n| self.flush(now, n));
        }
        self.group.remove(&host);
        self.arrivals.retain(|_, (h, _)| *h != host);
    }

    pub(crate) fn set_cut(&mut self, now: Time, a: Host, b: Host, cut: bool) {
        let pair = (a.min(b), a.max(b));
        if cut {
            self.cut.insert(pair);
        } else {
            self.cut.remove(&pair);
        }
        for n in 0..self.assocs.len() {
            self.flush(now, n);
        }
    }

    pub(crate) fn multicast(&mut self, now: Time, host: Host, src: SocketAddr, bytes: &Bytes) {
        for other in self.group.clone() {
            if self.reachable(host, other) {
                self.post(now + LATENCY, other, Arrival::Datagram { src, bytes: bytes.clone() });
            }
        }
    }
}
