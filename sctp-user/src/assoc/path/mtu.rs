//! What the search for the path MTU has to do with a path: probes that leave on it, and the sizes that follow from it.

use core::time::Duration;
use std::net::IpAddr;

use super::pmtu::Pmtu;
use super::{HeartbeatInfo, Path, PathId, Paths};
use crate::config::AssocConfig;
use crate::net::Channel;
use crate::time::Time;
use crate::wire::packet::COMMON_HEADER_LEN;

/// What fits into a packet on a path; it is asked for many times for each. None is longer than 64 KiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Room {
    mtu: u32,
    chunks: u32,
    /// What the layers below take of the MTU.
    lower: u16,
}

impl Room {
    /// In packets of `mtu` bytes, IP header included, to `addr`.
    pub(super) fn of(mtu: usize, addr: IpAddr, channel: Channel) -> Self {
        let lower = lower_headers(addr, channel);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        // Even a nonsensical MTU leaves room for one small chunk.
        let chunks = number(mtu.saturating_sub(usize::from(lower) + COMMON_HEADER_LEN).max(64)) & !3;
        Self { mtu: number(mtu), chunks, lower }
    }

    /// The path MTU.
    pub(super) fn mtu(self) -> usize {
        self.mtu as usize
    }

    /// PMDCS.
    pub(super) fn chunks(self) -> usize {
        self.chunks as usize
    }

    /// Length of the IP packet that an SCTP packet of `len` bytes becomes.
    fn with_lower(self, len: usize) -> usize {
        len + usize::from(self.lower)
    }
}

impl Path {
    /// Sets the path MTU as a search would.
    #[cfg(test)]
    pub(crate) fn set_mtu(&mut self, mtu: usize) {
        self.room = Room::of(mtu, self.addr, self.channel);
        self.cc.on_mtu(self.pmdcs());
    }

    /// Takes over what the search came to; answers the new path MTU if it changed.
    pub(crate) fn take_mtu(&mut self) -> Option<usize> {
        if self.mtu() == self.pmtu.size() {
            return None;
        }
        self.room = Room::of(self.pmtu.size(), self.addr, self.channel);
        self.cc.on_mtu(self.pmdcs());
        Some(self.mtu())
    }

    /// The path MTU, if it is not searched for.
    pub(crate) fn fixed_mtu(&self) -> Option<usize> {
        self.pmtu.fixed()
    }

    /// Packets are built for `mtu` bytes from now on; `None` has the search begin anew, if the association searches.
    pub(crate) fn fix_mtu(&mut self, cfg: &AssocConfig, mtu: Option<usize>) {
        if mtu != self.fixed_mtu() {
            self.pmtu = mtu.map_or_else(|| Pmtu::new(cfg, self.addr), |size| Pmtu::fixed_at(cfg, self.addr, size));
        }
    }

    /// Whether the search may send: the address is the peer's, and somebody seems to be there.
    fn may_probe(&self) -> bool {
        self.confirmed && !self.stranded && !self.has_failed()
    }

    /// Whether [`Path::send_probe`] may have one to send.
    fn may_be_probed(&self) -> bool {
        self.pmtu.may_be_due() && self.may_probe()
    }

    /// When [`Path::on_pmtu_timer`] is to be called.
    pub(crate) fn pmtu_deadline(&self) -> Option<Time> {
        self.pmtu.deadline().filter(|_| self.may_probe())
    }

    /// A timer of the search may have expired.
    pub(crate) fn on_pmtu_timer(&mut self, now: Time) {
        if self.may_probe() {
            self.pmtu.on_timer(now, self.error_count == 0);
        }
    }

    /// A probe that is to be sent now on this path, which is number `id`: what its HEARTBEAT carries, and the length of its SCTP
    /// packet in bytes.
    pub(crate) fn send_probe(&mut self, now: Time, id: PathId, nonce: impl FnOnce() -> u64) -> Option<(HeartbeatInfo, usize)> {
        let size = if self.may_probe() { self.pmtu.due(now)? } else { return None };
        let nonce = nonce();
        self.pmtu.on_probe_sent(now, nonce, self.rto);
        self.stats.out_heartbeats += 1;
        Some((HeartbeatInfo::new(id, nonce, now), COMMON_HEADER_LEN + Room::of(size, self.addr, self.channel).chunks()))
    }

    /// A HEARTBEAT ACK came: if it answers a probe, the round-trip time, and where the probe had left from.
    pub(super) fn on_probe_ack(&mut self, now: Time, info: &HeartbeatInfo) -> Option<(Duration, Option<IpAddr>)> {
        self.pmtu.on_probe_ack(now, info.nonce()).map(|rtt| (rtt, self.local))
    }

    /// A DATA chunk arrived that left in an SCTP packet of `len` bytes and was never sent again.
    pub(crate) fn on_data_arrived(&mut self, len: usize) {
        self.pmtu.on_data_acked(self.room.with_lower(len));
    }

    /// A validated report of a link that carries `mtu` bytes at most; whether anything came of it.
    pub(crate) fn on_too_big(&mut self, mtu: usize) -> bool {
        self.pmtu.on_too_big(mtu)
    }
}

impl Paths {
    /// Whether one of them may have a probe to send.
    pub(crate) fn may_be_probed(&self) -> bool {
        self.iter().any(|(_, p)| p.may_be_probed())
    }

    /// DATA leaves on path `id` in an SCTP packet of `len` bytes that IP may not fragment.
    pub(crate) fn on_data_sent(&mut self, id: PathId, len: usize) {
        let Some(p) = self.get_mut(id) else { return };
        p.pmtu.on_data_sent(p.room.with_lower(len));
        let full = len + 4 > p.max_packet();
        if full && !p.pmtu.is_wanted() {
            self.iter_mut().for_each(|(_, p)| p.pmtu.want());
        }
    }

    /// AMDCS (RFC 9260 section 7.3): the longest chunk, header included, that fits a packet on every confirmed path, so that it
    /// can be sent again on any of them without IP fragmentation. As long as none is confirmed, every path.
    pub(crate) fn amdcs(&self) -> usize {
        let least = |confirmed: bool| self.iter().filter(|(_, p)| p.confirmed || !confirmed).map(|(_, p)| p.pmdcs()).min();
        least(true).or_else(|| least(false)).unwrap_or(usize::MAX)
    }
}

/// Length of the headers below SCTP on packets to `addr`.
fn lower_headers(addr: IpAddr, channel: Channel) -> u16 {
    let ip = if addr.is_ipv6() { 40 } else { 20 };
    match channel {
        Channel::Udp { .. } | Channel::Datagram { .. } => ip + 8,
        Channel::Raw | Channel::Tun(_) => ip,
        // Its MTU is the longest packet that it takes from us.
        Channel::Lower(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: Channel = Channel::Udp { local: 9899, remote: 9899 };

    fn at(s: u64) -> Time {
        Time::from_millis(s * 1000)
    }

    fn path(addr: &str, change: impl FnOnce(&mut AssocConfig)) -> Path {
        let mut cfg = AssocConfig::rfc();
        change(&mut cfg);
        let mut p = Path::new(&cfg, Time::ZERO, addr.parse().unwrap(), None, UDP);
        p.confirmed = true;
        p.pmtu.want();
        p
    }

    /// Sends the probe that is due; answers its size on IPv4 and what its HEARTBEAT carries.
    fn probe(p: &mut Path, now: Time) -> Option<(usize, HeartbeatInfo)> {
        let (info, len) = p.send_probe(now, PathId(0), || now.as_nanos() + 1)?;
        Some((p.room.with_lower(len), info))
    }

    /// What is known of the path apart from its MTU.
    fn state(p: &Path) -> (usize, usize, Duration, u32, usize) {
        (p.cc.window(), p.cc.slow_start_threshold(), p.rto(), p.error_count, p.in_flight)
    }

    /// Lets every probe above `carries` bytes be lost, until none is due; answers the sizes tried.
    fn search(p: &mut Path, mut now: Time, carries: usize) -> Vec<usize> {
        let mut tried = Vec::new();
        while let Some((size, info)) = probe(p, now) {
            tried.push(size);
            if size <= carries {
                assert!(p.on_heartbeat_ack(now + Duration::from_millis(20), &info));
            } else {
                now = p.pmtu_deadline().unwrap();
                p.on_pmtu_timer(now);
            }
            p.take_mtu();
        }
        tried
    }

    /// The answers come at once; asked again and again for the base, the network would never be left in peace.
    #[test]
    fn a_path_below_the_base_is_not_asked_for_more_without_end() {
        let mut p = path("10.0.0.1", |_| {});
        let mut tried = Vec::new();
        while let Some((size, info)) = probe(&mut p, at(1)) {
            tried.push(size);
            assert!(tried.len() < 100, "{tried:?}");
            if size <= 819 {
                assert!(p.on_heartbeat_ack(at(1), &info));
            } else {
                assert!(p.on_too_big(819));
            }
            p.take_mtu();
        }
        assert_eq!(p.mtu(), 816);
        // Ten minutes later the path may have become better.
        p.pmtu.want();
        p.on_pmtu_timer(at(1_000));
        assert_eq!(probe(&mut p, at(1_000)).map(|(size, _)| size), Some(1_200));
    }

    /// Pitfall 101.
    #[test]
    fn lost_probes_touch_neither_window_nor_rto_nor_error_counters() {
        let mut p = path("10.0.0.1", |_| {});
        // The first flight arrives, in packets of 1500 bytes: that size needs no probe.
        p.on_data_arrived(1472);
        let before = state(&p);
        let tried = search(&mut p, at(1), 1500);
        assert_eq!(tried, [9000, 9000, 9000, 4352, 4352, 4352, 2304, 2304, 2304], "three of each, the usual sizes by halves");
        assert_eq!((p.mtu(), state(&p)), (1500, before));
    }

    #[test]
    fn the_probe_timer_is_the_rto_but_at_least_a_second() {
        let mut p = path("10.0.0.1", |c| c.rto_min = Duration::from_millis(50));
        p.on_rtt(Duration::from_millis(10));
        assert!(p.rto() < Duration::from_millis(100));
        probe(&mut p, at(1)).unwrap();
        assert_eq!(p.pmtu_deadline(), Some(at(2)));
        assert_eq!(probe(&mut p, at(1)), None, "one at a time");
    }

    /// Nothing of the assumed size has arrived yet: one T3 ends the assumption. A size that was confirmed gets a second chance.
    #[test]
    fn black_holes_show_as_repeated_timeouts_of_full_packets() {
        let mut p = path("10.0.0.1", |_| {});
        p.pmtu.on_data_sent(1500);
        p.on_timeout(at(1));
        assert_eq!(p.take_mtu(), Some(1200));
        // It may have been plain loss: the size before is tried first.
        assert_eq!(search(&mut p, at(2), 1500), [1200, 1500]);

        let mut p = path("10.0.0.1", |_| {});
        p.on_data_arrived(1472);
        for (large, falls) in [(true, false), (false, false), (true, true)] {
            p.pmtu.on_data_sent(if large { 1500 } else { 1200 });
            p.on_timeout(at(1));
            assert_eq!(p.take_mtu(), falls.then_some(1200));
        }
        // The base itself may be too much; below the minimum it never goes.
        p.pmtu.on_data_sent(1200);
        p.on_timeout(at(9));
        assert_eq!(p.take_mtu(), Some(576));
        for _ in 0..9 {
            p.pmtu.on_data_sent(576);
            p.on_timeout(at(10));
        }
        assert_eq!(p.take_mtu(), None);
        // The search begins anew and halves the table.
        assert_eq!(search(&mut p, at(20), 1500), [1200, 9000, 9000, 9000, 1472, 2304, 2304, 2304, 1492, 1500]);
        assert_eq!(p.mtu(), 1500);
    }

    #[test]
    fn what_is_lost_while_nothing_gets_through_says_nothing_about_sizes() {
        let mut p = path("10.0.0.1", |_| {});
        for s in 0..20 {
            p.error_count = 1;
            probe(&mut p, at(10 * s)).unwrap();
            p.on_pmtu_timer(at(10 * s + 9));
        }
        assert_eq!(p.take_mtu(), None);
    }

    #[test]
    fn an_unconfirmed_or_dead_path_is_not_probed() {
        let mut p = path("10.0.0.1", |_| {});
        p.confirmed = false;
        assert_eq!(probe(&mut p, at(1)), None);
        p.confirmed = true;
        p.fail();
        assert_eq!(probe(&mut p, at(1)), None);
    }

    #[test]
    fn on_ipv6_the_minimum_is_the_base() {
        let mut p = path("fd00::1", |_| {});
        assert!(!p.on_too_big(1279));
        for size in [1280, 9000] {
            let (probed, info) = probe(&mut p, at(1)).unwrap();
            assert_eq!(probed, size);
            p.on_probe_ack(at(1), &info);
        }
        assert_eq!(p.take_mtu(), Some(9000), "nothing above the base is used untried");
        for _ in 0..2 {
            p.pmtu.on_data_sent(9000);
            p.on_timeout(at(1));
        }
        assert_eq!(p.take_mtu(), Some(1280));
        p.pmtu.on_data_sent(1280);
        p.on_timeout(at(1));
        p.on_timeout(at(1));
        assert_eq!(p.take_mtu(), None);
        assert_eq!(probe(&mut p, at(2)).unwrap().0, 1280);
    }
}
