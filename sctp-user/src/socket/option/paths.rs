//! Options about the peer's addresses.

use core::time::Duration;
use std::io;
use std::net::IpAddr;

use super::{AssocSel, GetOpt, PathSel, Place, SetOpt, option};
use crate::config::AssocConfig;
use crate::error::PathError;
use crate::event::AssocId;
use crate::net::Channel;
use crate::socket::errno;
use crate::stack::PathOptions;

/// How the path MTU is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pmtud {
    /// By searching (SPP_PMTUD_ENABLE).
    Enabled,
    /// Not at all: packets have at most so many bytes, IP header included (SPP_PMTUD_DISABLE and spp_pathmtu).
    Fixed(usize),
}

/// SCTP_PEER_ADDR_PARAMS (RFC 6458 section 8.1.12). What is `None` or zero stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerAddrParams {
    /// HB.interval (spp_hbinterval); zero, which is not the same as `None`, is one RTO (SPP_HB_TIME_IS_ZERO). Switches HEARTBEATs on.
    pub hb_interval: Option<Duration>,
    /// Whether periodic HEARTBEATs are sent (SPP_HB_ENABLE, SPP_HB_DISABLE).
    pub heartbeats: Option<bool>,
    /// Send a HEARTBEAT at once (SPP_HB_DEMAND); read as false.
    pub heartbeat_now: bool,
    /// Path.Max.Retrans (spp_pathmaxrxt).
    pub path_max_retrans: u32,
    /// The path MTU.
    pub pmtud: Option<Pmtud>,
    /// IPv6 flow label, 20 bits (spp_ipv6_flowlabel).
    pub flow_label: Option<u32>,
    /// DSCP, 0 to 63 (spp_dscp).
    pub dscp: Option<u8>,
}

impl PeerAddrParams {
    /// Changes nothing.
    pub const UNCHANGED: Self =
        Self { hb_interval: None, heartbeats: None, heartbeat_now: false, path_max_retrans: 0, pmtud: None, flow_label: None, dscp: None };

    fn of(options: &PathOptions) -> Self {
        Self {
            hb_interval: options.hb_interval,
            heartbeats: Some(options.hb_interval.is_some()),
            heartbeat_now: false,
            path_max_retrans: options.path_max_retrans,
            pmtud: Some(options.mtu.map_or(Pmtud::Enabled, Pmtud::Fixed)),
            flow_label: Some(options.flow_label),
            dscp: Some(options.dscp),
        }
    }

    /// HB.interval after the change; `usual` if HEARTBEATs are switched on without one.
    fn interval(&self, old: Option<Duration>, usual: Option<Duration>) -> Option<Duration> {
        match (self.heartbeats, self.hb_interval) {
            (Some(false), _) => None,
            (_, Some(new)) => Some(new),
            (Some(true), None) => old.or(usual).or(Some(Duration::from_secs(30))),
            (None, None) => old,
        }
    }

    fn change(&self, options: &mut PathOptions, usual: Option<Duration>) {
        options.hb_interval = self.interval(options.hb_interval, usual);
        if self.path_max_retrans > 0 {
            options.path_max_retrans = self.path_max_retrans;
        }
        match self.pmtud {
            Some(Pmtud::Enabled) => options.mtu = None,
            Some(Pmtud::Fixed(mtu)) => options.mtu = Some(mtu),
            None => {}
        }
        options.flow_label = self.flow_label.unwrap_or(options.flow_label);
        options.dscp = self.dscp.unwrap_or(options.dscp);
    }

    /// The values that paths begin with.
    fn configure(&self, cfg: &mut AssocConfig, settled: bool) {
        cfg.hb_interval = self.interval(cfg.hb_interval, None);
        if self.path_max_retrans > 0 {
            cfg.path_max_retrans = self.path_max_retrans;
        }
        match self.pmtud {
            Some(Pmtud::Enabled) if !settled => cfg.pmtu_discovery = true,
            Some(Pmtud::Fixed(mtu)) if !settled => (cfg.pmtu_discovery, cfg.mtu) = (false, mtu),
            _ => {}
        }
        cfg.flow_label = self.flow_label.unwrap_or(cfg.flow_label);
        cfg.dscp = self.dscp.unwrap_or(cfg.dscp);
    }

    fn set_path(&self, place: &mut Place<'_>, id: AssocId, addr: IpAddr) -> io::Result<()> {
        let now = place.now;
        let mut assoc = place.assoc(id)?;
        let usual = assoc.config().hb_interval;
        let mut options = assoc.path_options(addr).map_err(errno::path_error)?;
        self.change(&mut options, usual);
        assoc.set_path_options(now, addr, options).map_err(errno::path_error)?;
        if self.heartbeat_now {
            assoc.request_heartbeat(now, addr).map_err(errno::path_error)?;
        }
        Ok(())
    }
}

option!(PeerAddrParams, "SCTP_PEER_ADDR_PARAMS", PathSel);

impl GetOpt for PeerAddrParams {
    fn get(place: &mut Place<'_>, sel: PathSel) -> io::Result<Self> {
        if let (Some(id), Some(addr)) = (place.single(sel.assoc)?, sel.addr) {
            let options = place.assoc(id)?.path_options(addr).map_err(errno::path_error)?;
            return Ok(Self::of(&options));
        }
        if sel.addr.is_some() {
            return Err(errno::invalid("an address, but no association"));
        }
        let cfg = place.config(sel.assoc)?;
        Ok(Self::of(&PathOptions {
            hb_interval: cfg.hb_interval,
            path_max_retrans: cfg.path_max_retrans,
            pf_max_retrans: cfg.pf_max_retrans,
            mtu: (!cfg.pmtu_discovery).then_some(cfg.mtu),
            dscp: cfg.dscp,
            flow_label: cfg.flow_label,
        }))
    }
}

impl SetOpt for PeerAddrParams {
    fn set(&self, place: &mut Place<'_>, sel: PathSel) -> io::Result<()> {
        if let Some(addr) = sel.addr {
            let id = place.existing(sel.assoc)?;
            let addr = place.path(id, addr)?;
            self.set_path(place, id, addr)?;
        } else {
            let (future, ids) = place.several(sel.assoc)?;
            if future {
                place.configure(AssocSel::Future, |cfg| self.configure(cfg, false))?;
            }
            for id in ids {
                // All paths, and those to come.
                let now = place.now;
                let mut assoc = place.assoc(id)?;
                assoc.reconfigure(now, |cfg| self.configure(cfg, true)).map_err(errno::config_error)?;
                for addr in assoc.peer_addrs() {
                    self.set_path(place, id, addr.ip())?;
                }
            }
        }
        place.node.pump(place.now);
        Ok(())
    }
}

/// SCTP_PEER_ADDR_THLDS (RFC 7829 section 7.2): the thresholds of error counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerAddrThresholds {
    /// Path.Max.Retrans (spt_pathmaxrxt).
    pub path_max_retrans: u32,
    /// PotentiallyFailed.Max.Retrans (spt_pathpfthld); `None` switches that state off.
    pub pf_max_retrans: Option<u32>,
}

option!(PeerAddrThresholds, "SCTP_PEER_ADDR_THLDS", PathSel);

impl GetOpt for PeerAddrThresholds {
    fn get(place: &mut Place<'_>, sel: PathSel) -> io::Result<Self> {
        if let Some(addr) = sel.addr {
            let id = place.existing(sel.assoc)?;
            let options = place.assoc(id)?.path_options(addr).map_err(errno::path_error)?;
            return Ok(Self { path_max_retrans: options.path_max_retrans, pf_max_retrans: options.pf_max_retrans });
        }
        let cfg = place.config(sel.assoc)?;
        Ok(Self { path_max_retrans: cfg.path_max_retrans, pf_max_retrans: cfg.pf_max_retrans })
    }
}

impl SetOpt for PeerAddrThresholds {
    fn set(&self, place: &mut Place<'_>, sel: PathSel) -> io::Result<()> {
        let Some(addr) = sel.addr else {
            return place.configure(sel.assoc, |cfg| {
                (cfg.path_max_retrans, cfg.pf_max_retrans) = (self.path_max_retrans, self.pf_max_retrans);
            });
        };
        let id = place.existing(sel.assoc)?;
        let now = place.now;
        let mut assoc = place.assoc(id)?;
        let old = assoc.path_options(addr).map_err(errno::path_error)?;
        let new = PathOptions { path_max_retrans: self.path_max_retrans, pf_max_retrans: self.pf_max_retrans, ..old };
        assoc.set_path_options(now, addr, new).map_err(errno::path_error)?;
        place.node.pump(now);
        Ok(())
    }
}

/// SCTP_PRIMARY_ADDR (RFC 6458 section 8.1.9): the peer's address that data goes to while it works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrimaryAddr(pub IpAddr);

option!(PrimaryAddr, "SCTP_PRIMARY_ADDR", AssocSel);

impl GetOpt for PrimaryAddr {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        let id = place.existing(sel)?;
        place.assoc(id)?.peer_addrs().first().map(|a| Self(a.ip())).ok_or_else(errno::gone)
    }
}

impl SetOpt for PrimaryAddr {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        let id = place.existing(sel)?;
        let now = place.now;
        place.assoc(id)?.set_primary(now, self.0).map_err(errno::path_error)?;
        place.node.pump(now);
        Ok(())
    }
}

/// SCTP_REMOTE_UDP_ENCAPS_PORT (RFC 6951 section 6.1): the UDP port that the peer's SCTP is reached at; 0 is raw IP. The port of a peer
/// that is not connected yet goes with its address, in [`PeerAddr::channel`](crate::PeerAddr::channel).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemoteUdpEncapsPort(pub u16);

option!(RemoteUdpEncapsPort, "SCTP_REMOTE_UDP_ENCAPS_PORT", PathSel);

impl GetOpt for RemoteUdpEncapsPort {
    /// Of the primary path, if no address is selected.
    fn get(place: &mut Place<'_>, sel: PathSel) -> io::Result<Self> {
        let id = place.existing(sel.assoc)?;
        let paths = place.assoc(id)?.paths();
        let path = paths.iter().find(|p| sel.addr.is_none_or(|a| a.to_canonical() == p.addr));
        match path.map(|p| p.channel) {
            Some(Channel::Udp { remote, .. }) => Ok(Self(remote)),
            Some(_) => Ok(Self(0)),
            None => Err(errno::path_error(PathError::UnknownAddress)),
        }
    }
}

impl SetOpt for RemoteUdpEncapsPort {
    fn set(&self, place: &mut Place<'_>, sel: PathSel) -> io::Result<()> {
        let id = place.existing(sel.assoc)?;
        let cfg = place.node.stack.config();
        let ours = core::iter::once(&cfg.default_channel).chain(&cfg.further_channels);
        let wanted = |c: &Channel| match c {
            Channel::Udp { local, .. } if self.0 != 0 => Some(Channel::Udp { local: *local, remote: self.0 }),
            Channel::Raw if self.0 == 0 => Some(Channel::Raw),
            _ => None,
        };
        let Some(channel) = ours.filter_map(wanted).next() else {
            return Err(errno::invalid(if self.0 == 0 { "the runtime has no raw IP" } else { "the runtime has no UDP" }));
        };
        let now = place.now;
        let mut assoc = place.assoc(id)?;
        let all = assoc.peer_addrs().into_iter().map(|a| a.ip());
        let addrs: Vec<_> = sel.addr.map_or_else(|| all.collect(), |a| vec![a]);
        for addr in addrs {
            assoc.set_channel(now, addr, channel).map_err(errno::path_error)?;
        }
        place.node.pump(now);
        Ok(())
    }
}
