//! The paths of an association, for its user: reading them, and the choices of RFC 9260 section 11.1.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Assoc, PathOptions, PathStatus, Stack};
use crate::assoc::path::{Limits, Path, Paths, source};
use crate::config::{AssocConfig, PrivateChannel};
use crate::error::PathError;
use crate::event::{AssocId, EndpointId};
use crate::net::{Channel, Meta, PeerAddr};
use crate::time::Time;

impl Stack {
    /// Our addresses on a channel that an endpoint uses.
    pub(super) fn own_addresses(&self, ep: EndpointId, channel: Channel) -> Vec<IpAddr> {
        let bound = self.ports.get(ep).map(|e| &e.bind).filter(|b| !b.is_empty());
        match (self.cfg.private(channel), bound) {
            (Some(p), bound) => p.local.iter().copied().filter(|a| bound.is_none_or(|b| b.contains(a))).collect(),
            (None, Some(bound)) => bound.clone(),
            (None, None) => self.host.clone(),
        }
    }

    /// Whether a packet claims an address of a channel that it did not come by.
    pub(super) fn is_misplaced(&self, meta: &Meta) -> bool {
        let elsewhere = |p: &PrivateChannel| p.channel != meta.channel && (p.local.contains(&meta.dst) || p.remote.contains(&meta.src));
        self.cfg.private_channels.iter().any(elsewhere)
    }

    /// What holds for an association over `channel` besides what the user wants.
    pub(super) fn fit(&self, cfg: Arc<AssocConfig>, channel: Channel) -> Arc<AssocConfig> {
        match self.cfg.private(channel) {
            Some(p) => p.fit(cfg),
            None => cfg,
        }
    }

    /// The addresses by which a peer can reach an endpoint.
    pub(super) fn usable_addresses(&self, ep: EndpointId, cfg: &AssocConfig, peer: IpAddr, channel: Channel) -> Vec<IpAddr> {
        source::usable(cfg, &self.own_addresses(ep, channel), peer, channel)
    }

    /// The addresses by which a peer with these addresses can reach us: those of every channel that leads to it.
    pub(super) fn own_addresses_towards(&self, ep: EndpointId, cfg: &AssocConfig, peer: &[PeerAddr]) -> Vec<IpAddr> {
        let (mut own, mut seen) = (Vec::new(), Vec::<Option<&PrivateChannel>>::new());
        for p in peer {
            let channel = p.channel.unwrap_or(self.cfg.default_channel);
            // On all channels without addresses of their own they are the host's.
            if !seen.contains(&self.cfg.private(channel)) {
                seen.push(self.cfg.private(channel));
                own.extend(self.usable_addresses(ep, cfg, p.addr.ip().to_canonical(), channel));
            }
        }
        own
    }

    /// Whether a packet came to an address by which its sender was told that it can reach the endpoint with this SCTP port.
    pub(super) fn is_own(&self, port: u16, meta: &Meta) -> bool {
        self.ports.by_port(port).is_some_and(|(ep, e)| self.usable_addresses(ep, &e.assoc, meta.src, meta.channel).contains(&meta.dst))
    }

    /// Whether a peer's listed address may be a path: see [`source::believed`].
    pub(super) fn is_believed(&self, addr: IpAddr, known: IpAddr) -> bool {
        source::believed(addr, known, &self.host)
    }

    /// The peer of an association that a cookie opened or restarted was told our addresses in the INIT ACK.
    pub(super) fn know_own_addresses(&mut self, id: AssocId) {
        let Some(core) = self.assocs.get(id).map(|a| &a.core) else { return };
        let Some(first) = core.paths.get(core.paths.primary()) else { return };
        let own = self.usable_addresses(core.ep, &core.cfg, first.addr, first.channel);
        if let Some(a) = self.assocs.get_mut(id) {
            a.core.know_local(own);
        }
    }
}

impl Assoc<'_> {
    /// All paths, the primary path first.
    #[must_use]
    pub fn paths(&self) -> Vec<PathStatus> {
        let Some(core) = self.core() else { return Vec::new() };
        let mut all: Vec<_> = core.paths.iter().map(|(id, p)| status(&core.paths, id, p)).collect();
        all.sort_by_key(|p| !p.primary);
        all
    }

    /// Makes the path to `addr` the primary path (RFC 9260 section 11.1.7): new data goes there from now on.
    ///
    /// # Errors
    /// The peer has no such address, or it is not confirmed.
    pub fn set_primary(&mut self, now: Time, addr: IpAddr) -> Result<(), PathError> {
        let done = self.stack.with_assoc(now, self.id, |a, _| a.core.set_primary(addr.to_canonical()));
        self.stack.touch(self.id);
        done.unwrap_or(Err(PathError::UnknownAddress))
    }

    /// Sends a HEARTBEAT to `addr` at once (RFC 9260 section 11.1.10); several may be outstanding. [`PathStatus::answer`] tells how
    /// long the answer took. Nothing is sent to an address that none of ours reaches, as to IPv6 from a host that has lost its own.
    ///
    /// # Errors
    /// The peer has no such address.
    pub fn request_heartbeat(&mut self, now: Time, addr: IpAddr) -> Result<(), PathError> {
        let id = self.find_path(addr)?;
        self.stack.with_assoc(now, self.id, |a, _| a.core.heartbeat_on(id));
        self.stack.touch(self.id);
        Ok(())
    }

    /// What is set for the path to `addr`.
    ///
    /// # Errors
    /// The peer has no such address.
    pub fn path_options(&self, addr: IpAddr) -> Result<PathOptions, PathError> {
        let id = self.find_path(addr)?;
        let path = self.core().and_then(|c| c.paths.get(id)).ok_or(PathError::UnknownAddress)?;
        let limits = path.limits;
        Ok(PathOptions {
            hb_interval: limits.hb_interval,
            path_max_retrans: limits.max_retrans,
            pf_max_retrans: (limits.pf_max_retrans < u32::MAX).then_some(limits.pf_max_retrans),
            mtu: path.fixed_mtu(),
            dscp: path.dscp(),
            flow_label: path.flow_label(),
        })
    }

    /// Sets the options of the path to `addr`; [`Assoc::reconfigure`] sets those of all paths.
    ///
    /// # Errors
    /// The peer has no such address, or a value is out of range.
    pub fn set_path_options(&mut self, now: Time, addr: IpAddr, options: PathOptions) -> Result<(), PathError> {
        let id = self.find_path(addr)?;
        let low = if addr.to_canonical().is_ipv6() { 1280 } else { 576 };
        if options.dscp > 63 || options.flow_label > 0xf_ffff || options.mtu.is_some_and(|mtu| !(low..=65_535).contains(&mtu)) {
            return Err(PathError::OutOfRange);
        }
        let limits = Limits {
            max_retrans: options.path_max_retrans.min(u32::MAX - 1),
            pf_max_retrans: options.pf_max_retrans.unwrap_or(u32::MAX),
            hb_interval: options.hb_interval,
        };
        self.stack.with_assoc(now, self.id, |a, ctx| {
            a.core.set_limits(ctx, id, limits);
            a.core.mark_path(id, options.dscp, options.flow_label);
            a.core.fix_mtu(id, options.mtu);
        });
        self.stack.touch(self.id);
        Ok(())
    }

    /// Sends packets for `addr` over `channel` from now on, whatever the peer's packets come over (RFC 6951 section 6.1 is the case
    /// of UDP). A UDP port that the peer changes is followed still.
    ///
    /// # Errors
    /// The peer has no such address.
    pub fn set_channel(&mut self, now: Time, addr: IpAddr, channel: Channel) -> Result<(), PathError> {
        let id = self.find_path(addr)?;
        self.stack.with_assoc(now, self.id, |a, _| {
            if let Some(path) = a.core.paths.get_mut(id) {
                path.set_channel(channel);
                path.pinned = true;
            }
        });
        self.stack.touch(self.id);
        Ok(())
    }

    fn find_path(&self, addr: IpAddr) -> Result<crate::assoc::path::PathId, PathError> {
        self.core().and_then(|c| c.paths.find(addr.to_canonical())).ok_or(PathError::UnknownAddress)
    }
}

fn status(paths: &Paths, id: crate::assoc::path::PathId, p: &Path) -> PathStatus {
    let cc = p.cc.snapshot();
    PathStatus {
        addr: p.addr,
        local: p.local,
        channel: p.channel,
        state: paths.state(id),
        primary: id == paths.primary(),
        in_use: id == paths.data_path(),
        srtt: p.rtt.srtt(),
        rttvar: p.rtt.rttvar(),
        rto: p.rto(),
        cwnd: cc.cwnd,
        ssthresh: cc.ssthresh,
        partial_bytes_acked: cc.partial_bytes_acked,
        in_flight: p.in_flight,
        mtu: p.mtu(),
        error_count: p.error_count,
        heartbeats: p.limits.hb_interval.is_some(),
        answer: p.heartbeat.answer(),
        stats: p.stats,
    }
}
