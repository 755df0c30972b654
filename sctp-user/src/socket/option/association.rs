//! Options that are values of the configuration of associations.

use core::time::Duration;
use std::io;

use super::{AssocSel, GetOpt, Place, SetOpt, option};
use crate::socket::errno;

/// SCTP_INITMSG (RFC 6458 section 8.1.3), for associations to come. Zero leaves a value as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InitMsg {
    /// Outbound streams to ask for.
    pub num_ostreams: u16,
    /// Most inbound streams.
    pub max_instreams: u16,
    /// Max.Init.Retransmits.
    pub max_attempts: u32,
    /// Longest time-out of INIT and COOKIE ECHO; as read, zero stands for RTO.Max.
    pub max_init_timeo: Duration,
}

impl InitMsg {
    /// Changes nothing.
    pub const UNCHANGED: Self = Self { num_ostreams: 0, max_instreams: 0, max_attempts: 0, max_init_timeo: Duration::ZERO };
}

option!(InitMsg, "SCTP_INITMSG", ());

impl GetOpt for InitMsg {
    fn get(place: &mut Place<'_>, (): ()) -> io::Result<Self> {
        let cfg = place.endpoint()?.assoc;
        Ok(Self {
            num_ostreams: cfg.outbound_streams,
            max_instreams: cfg.max_inbound_streams,
            max_attempts: cfg.max_init_retransmits,
            max_init_timeo: cfg.max_init_timeout.unwrap_or_default(),
        })
    }
}

impl SetOpt for InitMsg {
    fn set(&self, place: &mut Place<'_>, (): ()) -> io::Result<()> {
        if place.is_stream() {
            return Err(errno::invalid("the association is there already: give EndpointConfig to connect_with"));
        }
        place.configure(AssocSel::Future, |cfg| {
            if self.num_ostreams > 0 {
                cfg.outbound_streams = self.num_ostreams;
            }
            if self.max_instreams > 0 {
                cfg.max_inbound_streams = self.max_instreams;
            }
            if self.max_attempts > 0 {
                cfg.max_init_retransmits = self.max_attempts;
            }
            if !self.max_init_timeo.is_zero() {
                cfg.max_init_timeout = Some(self.max_init_timeo);
            }
        })
    }
}

/// An option that is one value of the configuration.
macro_rules! value {
    ($(#[$doc:meta])* $name:ident($type:ty), $rfc:literal, $scope:ty, |$cfg:ident| $read:expr, |$value:ident| $write:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name(pub $type);

        option!($name, $rfc, $scope);

        impl GetOpt for $name {
            fn get(place: &mut Place<'_>, scope: $scope) -> io::Result<Self> {
                let $cfg = place.config(read_scope(scope))?;
                Ok(Self($read))
            }
        }

        impl SetOpt for $name {
            fn set(&self, place: &mut Place<'_>, scope: $scope) -> io::Result<()> {
                let $value = self.0;
                let sel = write_scope(place, scope);
                place.configure(sel, |$cfg| $write)
            }
        }
    };
}

/// A scope as the selection that it is read from.
trait Scope {
    fn selection(self) -> Option<AssocSel>;
}

impl Scope for () {
    fn selection(self) -> Option<AssocSel> {
        None
    }
}

impl Scope for AssocSel {
    fn selection(self) -> Option<AssocSel> {
        Some(self)
    }
}

fn read_scope(scope: impl Scope) -> AssocSel {
    scope.selection().unwrap_or(AssocSel::Future)
}

/// What belongs to the whole socket is set for the associations that there are, too.
fn write_scope(place: &Place<'_>, scope: impl Scope) -> AssocSel {
    scope.selection().unwrap_or_else(|| place.whole())
}

value! {
    /// SCTP_NODELAY (RFC 6458 section 8.1.5): small messages do not wait for others (Nagle's rule is off).
    NoDelay(bool), "SCTP_NODELAY", (), |cfg| !cfg.nagle, |on| cfg.nagle = !on
}
value! {
    /// SO_RCVBUF (RFC 6458 section 8.1.6): receive buffer of each association in bytes, at least 1500.
    RcvBuf(usize), "SO_RCVBUF", (), |cfg| cfg.recv_buffer, |bytes| cfg.recv_buffer = bytes
}
value! {
    /// SO_SNDBUF (RFC 6458 section 8.1.7): send buffer of each association in bytes.
    SndBuf(usize), "SO_SNDBUF", (), |cfg| cfg.send_buffer, |bytes| cfg.send_buffer = bytes
}
value! {
    /// SCTP_DISABLE_FRAGMENTS (RFC 6458 section 8.1.11): messages that do not fit one packet are refused with EMSGSIZE.
    DisableFragments(bool), "SCTP_DISABLE_FRAGMENTS", (), |cfg| !cfg.fragment, |on| cfg.fragment = !on
}
value! {
    /// SCTP_MAXSEG (RFC 6458 section 8.1.16): most user data in one DATA chunk, in bytes; 0 fills packets.
    MaxSeg(usize), "SCTP_MAXSEG", AssocSel, |cfg| cfg.max_fragment.unwrap_or(0), |n| cfg.max_fragment = Some(n).filter(|n| *n > 0)
}
value! {
    /// SCTP_MAX_BURST (RFC 6458 section 8.1.24), in packets; 0 switches the limit off.
    MaxBurst(u32), "SCTP_MAX_BURST", AssocSel,
    |cfg| u32::try_from(cfg.max_burst).unwrap_or(0),
    |n| cfg.max_burst = if n == 0 { usize::MAX } else { usize::try_from(n).unwrap_or(usize::MAX) }
}

/// SCTP_AUTOCLOSE (RFC 6458 section 8.1.8), of one-to-many sockets: associations without user data for so long are shut down; zero
/// for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AutoClose(pub Duration);

option!(AutoClose, "SCTP_AUTOCLOSE", ());

impl GetOpt for AutoClose {
    fn get(place: &mut Place<'_>, (): ()) -> io::Result<Self> {
        Ok(Self(place.config(AssocSel::Future)?.autoclose.unwrap_or_default()))
    }
}

impl SetOpt for AutoClose {
    fn set(&self, place: &mut Place<'_>, (): ()) -> io::Result<()> {
        if place.is_stream() || !place.is_one_to_many()? {
            return Err(errno::not_supported());
        }
        place.configure(AssocSel::All, |cfg| cfg.autoclose = Some(self.0).filter(|d| !d.is_zero()))
    }
}

/// SCTP_PARTIAL_DELIVERY_POINT (RFC 6458 section 8.1.21), in bytes: a longer message is handed out in parts; 0 waits until the
/// receive buffer is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartialDeliveryPoint(pub usize);

option!(PartialDeliveryPoint, "SCTP_PARTIAL_DELIVERY_POINT", ());

impl GetOpt for PartialDeliveryPoint {
    fn get(place: &mut Place<'_>, (): ()) -> io::Result<Self> {
        Ok(Self(place.config(AssocSel::Future)?.partial_delivery_point.map_or(0, |n| n.saturating_sub(1))))
    }
}

impl SetOpt for PartialDeliveryPoint {
    fn set(&self, place: &mut Place<'_>, (): ()) -> io::Result<()> {
        if self.0 > place.config(AssocSel::Future)?.recv_buffer {
            return Err(errno::invalid("above the receive buffer"));
        }
        let sel = place.whole();
        place.configure(sel, |cfg| {
            // The point is exceeded by messages that are longer.
            cfg.partial_delivery_point = Some(self.0).filter(|n| *n > 0).map(|n| n.saturating_add(1));
        })
    }
}
