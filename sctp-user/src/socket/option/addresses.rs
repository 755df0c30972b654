//! Options about our addresses and what we say of ourselves (RFC 5061).

use std::io;
use std::net::IpAddr;

use super::{AssocSel, GetOpt, Place, SetOpt, option};
use crate::socket::errno;

/// SCTP_AUTO_ASCONF (RFC 6458 section 8.1.23): whether peers are told when addresses of this host come and go, if the socket is bound to
/// all of them. On from the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AutoAsconf(pub bool);

option!(AutoAsconf, "SCTP_AUTO_ASCONF", ());

impl GetOpt for AutoAsconf {
    fn get(place: &mut Place<'_>, (): ()) -> io::Result<Self> {
        place.config(AssocSel::Future).map(|cfg| Self(cfg.auto_asconf))
    }
}

impl SetOpt for AutoAsconf {
    fn set(&self, place: &mut Place<'_>, (): ()) -> io::Result<()> {
        let whole = place.whole();
        place.configure(whole, |cfg| cfg.auto_asconf = self.0)
    }
}

/// SCTP_ADAPTATION_LAYER (RFC 6458 section 8.1.10): the indication that peers of associations to come are told; `None` for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdaptationLayer(pub Option<u32>);

option!(AdaptationLayer, "SCTP_ADAPTATION_LAYER", ());

impl GetOpt for AdaptationLayer {
    fn get(place: &mut Place<'_>, (): ()) -> io::Result<Self> {
        place.config(AssocSel::Future).map(|cfg| Self(cfg.adaptation))
    }
}

impl SetOpt for AdaptationLayer {
    fn set(&self, place: &mut Place<'_>, (): ()) -> io::Result<()> {
        if place.is_stream() {
            return Err(errno::invalid("the association is there already: give EndpointConfig to connect_with"));
        }
        place.configure(AssocSel::Future, |cfg| cfg.adaptation = self.0)
    }
}

/// SCTP_SET_PEER_PRIMARY_ADDR (RFC 6458 section 8.3.1): asks the peer to send to this address of ours. It can only be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetPeerPrimaryAddr(pub IpAddr);

option!(SetPeerPrimaryAddr, "SCTP_SET_PEER_PRIMARY_ADDR", AssocSel);

impl SetOpt for SetPeerPrimaryAddr {
    fn set(&self, place: &mut Place<'_>, sel: AssocSel) -> io::Result<()> {
        let id = place.existing(sel)?;
        let now = place.now;
        place.assoc(id)?.set_peer_primary(now, self.0).map_err(errno::address_error)?;
        place.node.pump(now);
        Ok(())
    }
}
