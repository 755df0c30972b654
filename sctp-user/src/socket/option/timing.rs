//! Options about time-outs and retransmissions.

use core::time::Duration;
use std::io;

use super::{AssocSel, GetOpt, Place, SetOpt, option};

/// SCTP_RTOINFO (RFC 6458 section 8.1.1). A duration of zero leaves a value as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtoInfo {
    /// RTO.Initial.
    pub initial: Duration,
    /// RTO.Max.
    pub max: Duration,
    /// RTO.Min.
    pub min: Duration,
}

impl RtoInfo {
    /// Changes nothing.
    pub const UNCHANGED: Self = Self { initial: Duration::ZERO, max: Duration::ZERO, min: Duration::ZERO };
}

option!(RtoInfo, "SCTP_RTOINFO", AssocSel);

impl GetOpt for RtoInfo {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        let cfg = place.config(sel)?;
        Ok(Self { initial: cfg.rto_initial, max: cfg.rto_max, min: cfg.rto_min })
    }
}

/// A new value, unless it is zero.
fn change(value: &mut Duration, new: Duration) {
    if !new.is_zero() {
        *value = new;
    }
}

impl SetOpt for RtoInfo {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        place.configure(sel, |cfg| {
            change(&mut cfg.rto_initial, self.initial);
            change(&mut cfg.rto_max, self.max);
            change(&mut cfg.rto_min, self.min);
        })
    }
}

/// SCTP_ASSOCINFO (RFC 6458 section 8.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AssocParams {
    /// Association.Max.Retrans; zero leaves it as it is.
    pub max_retrans: u32,
    /// Valid.Cookie.Life; zero leaves it as it is.
    pub cookie_life: Duration,
    /// Addresses of the peer; read only.
    pub peer_destinations: usize,
    /// The peer's receive window in bytes; read only.
    pub peer_window: usize,
    /// Our receive window when nothing waits, in bytes; read only.
    pub local_window: usize,
}

impl AssocParams {
    /// Changes nothing.
    pub const UNCHANGED: Self = Self { max_retrans: 0, cookie_life: Duration::ZERO, peer_destinations: 0, peer_window: 0, local_window: 0 };
}

option!(AssocParams, "SCTP_ASSOCINFO", AssocSel);

impl GetOpt for AssocParams {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        let cfg = place.config(sel)?;
        let mut out =
            Self { max_retrans: cfg.assoc_max_retrans, cookie_life: cfg.cookie_life, local_window: cfg.recv_buffer, ..Self::UNCHANGED };
        if let Some(id) = place.single(sel)? {
            let assoc = place.assoc(id)?;
            (out.peer_destinations, out.peer_window) = (assoc.paths().len(), assoc.status().peer_window);
        }
        Ok(out)
    }
}

impl SetOpt for AssocParams {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        place.configure(sel, |cfg| {
            if self.max_retrans > 0 {
                cfg.assoc_max_retrans = self.max_retrans;
            }
            change(&mut cfg.cookie_life, self.cookie_life);
        })
    }
}

/// SCTP_DELAYED_SACK (RFC 6458 section 8.1.19). Zero leaves a value as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DelayedSack {
    /// SACK.Delay, at most 500 ms.
    pub delay: Duration,
    /// Packets with DATA for each of which, at the latest, a SACK is sent at once; 1 switches the delay off.
    pub frequency: u32,
}

option!(DelayedSack, "SCTP_DELAYED_SACK", AssocSel);

impl GetOpt for DelayedSack {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        let cfg = place.config(sel)?;
        Ok(Self { delay: cfg.sack_delay, frequency: cfg.sack_frequency })
    }
}

impl SetOpt for DelayedSack {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        place.configure(sel, |cfg| {
            change(&mut cfg.sack_delay, self.delay);
            if self.frequency > 0 {
                cfg.sack_frequency = self.frequency;
            }
        })
    }
}
