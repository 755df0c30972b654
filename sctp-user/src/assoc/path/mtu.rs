//! What the search for the path MTU has to do with a path: probes that leave on it, and the sizes that follow from it.

use core::time::Duration;
use std::net::IpAddr;

use super::{HeartbeatInfo, Path, PathId, Paths, chunk_room};
use crate::net::Channel;
use crate::time::Time;
use crate::wire::packet::COMMON_HEADER_LEN;

impl Path {
    /// Sets the path MTU as a search would.
    #[cfg(test)]
    pub(crate) fn set_mtu(&mut self, mtu: usize) {
        self.mtu = mtu;
        self.cc.on_mtu(self.pmdcs());
    }

    /// Takes over what the search came to; answers the new path MTU if it changed.
    pub(crate) fn take_mtu(&mut self) -> Option<usize> {
        if self.mtu == self.pmtu.size() {
            return None;
        }
        self.mtu = self.pmtu.size();
        self.cc.on_mtu(self.pmdcs());
        Some(self.mtu)
    }

    /// Whether the search may send: the address is the peer's, and somebody seems to be there.
    fn may_probe(&self) -> bool {
        self.confirmed && !self.has_failed()
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
        Some((HeartbeatInfo::new(id, nonce, now), COMMON_HEADER_LEN + chunk_room(size, self.addr, self.channel)))
    }

    /// A HEARTBEAT ACK came: if it answers a probe, the round-trip time, and where the probe had left from.
    pub(super) fn on_probe_ack(&mut self, now: Time, info: &HeartbeatInfo) -> Option<(Duration, Option<IpAddr>)> {
        self.pmtu.on_probe_ack(now, info.nonce()).map(|rtt| (rtt, self.local))
    }

    /// A DATA chunk arrived that left in an SCTP packet of `len` bytes and was never sent again.
    pub(crate) fn on_data_arrived(&mut self, len: usize) {
        self.pmtu.on_data_acked(len + lower_headers(self.addr, self.channel));
    }

    /// A validated report of a link that carries `mtu` bytes at most; whether anything came of it.
    pub(crate) fn on_too_big(&mut self, mtu: usize) -> bool {
        self.pmtu.on_too_big(mtu)
    }
}

impl Paths {
    /// DATA leaves on path `id` in an SCTP packet of `len` bytes that IP may not fragment.
    pub(crate) fn on_data_sent(&mut self, id: PathId, len: usize) {
        let Some(p) = self.get_mut(id) else { return };
        p.pmtu.on_data_sent(len + lower_headers(p.addr, p.channel));
        let full = len + 4 > p.max_packet();
        if full && !p.pmtu.is_wanted() {
            self.iter_mut().for_each(|(_, p)| p.pmtu.want());
        }
    }

    /// AMDCS (RFC 9260 section 7.3): the longest chunk, header included, that fits a packet on every confirmed path, so that it
    /// can be sent again on any of them without IP fragmentation.
    pub(crate) fn amdcs(&self) -> usize {
        self.iter().filter(|(_, p)| p.confirmed).map(|(_, p)| p.pmdcs()).min().unwrap_or(usize::MAX)
    }
}

/// Length of the headers below SCTP on packets to `addr`.
pub(super) fn lower_headers(addr: IpAddr, channel: Channel) -> usize {
    let ip = if addr.is_ipv6() { 40 } else { 20 };
    let encap = match channel {
        Channel::Udp { .. } | Channel::Datagram { .. } => 8,
        Channel::Raw | Channel::Lower(_) => 0,
    };
    ip + encap
}
