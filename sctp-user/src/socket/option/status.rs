//! Options that can only be read (RFC 6458 section 8.2).

use core::time::Duration;
use std::io;
use std::net::IpAddr;

use super::{AssocSel, GetOpt, PathSel, Place, option};
use crate::event::{AssocId, PathState};
use crate::socket::errno;
use crate::stack::PathStatus;

/// SCTP_STATUS (RFC 6458 section 8.2.1).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The state as RFC 9260 section 4 names it, such as "ESTABLISHED".
    pub state: &'static str,
    /// The peer's receive window in bytes (sstat_rwnd).
    pub peer_window: usize,
    /// DATA chunks sent and not acknowledged (sstat_unackdata).
    pub unacked: usize,
    /// Messages that wait to be received (sstat_penddata).
    pub pending: usize,
    /// Streams that the peer may send on (sstat_instrms).
    pub inbound_streams: u16,
    /// Streams that we may send on (sstat_outstrms).
    pub outbound_streams: u16,
    /// Longest message that goes in one chunk (sstat_fragmentation_point).
    pub fragmentation_point: usize,
    /// The primary path (sstat_primary).
    pub primary: PeerAddrInfo,
}

option!(Status, "SCTP_STATUS", AssocSel);

impl GetOpt for Status {
    fn get(place: &mut Place<'_>, sel: AssocSel) -> io::Result<Self> {
        let id = place.existing(sel)?;
        let waiting = usize::from(place.node.has_next(id));
        let assoc = place.assoc(id)?;
        let (status, paths) = (assoc.status(), assoc.paths());
        Ok(Self {
            state: status.state,
            peer_window: status.peer_window,
            unacked: status.unacked,
            pending: status.pending + waiting,
            inbound_streams: status.inbound_streams,
            outbound_streams: status.outbound_streams,
            fragmentation_point: status.fragmentation_point,
            primary: PeerAddrInfo::of(paths.first().ok_or_else(errno::gone)?),
        })
    }
}

/// SCTP_GET_PEER_ADDR_INFO (RFC 6458 section 8.2.2). More of a path is in [`PathStatus`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PeerAddrInfo {
    /// The peer's address.
    pub addr: IpAddr,
    /// Whether it is of use.
    pub state: PathState,
    /// Congestion window in bytes.
    pub cwnd: usize,
    /// Smoothed round-trip time, once measured.
    pub srtt: Option<Duration>,
    /// Retransmission time-out.
    pub rto: Duration,
    /// Path MTU in bytes, IP header included.
    pub mtu: usize,
}

impl PeerAddrInfo {
    fn of(path: &PathStatus) -> Self {
        Self { addr: path.addr, state: path.state, cwnd: path.cwnd, srtt: path.srtt, rto: path.rto, mtu: path.mtu }
    }
}

option!(PeerAddrInfo, "SCTP_GET_PEER_ADDR_INFO", PathSel);

impl GetOpt for PeerAddrInfo {
    /// Of the primary path, if no address is selected.
    fn get(place: &mut Place<'_>, sel: PathSel) -> io::Result<Self> {
        let id = place.existing(sel.assoc)?;
        let paths = place.assoc(id)?.paths();
        let wanted = |p: &&PathStatus| sel.addr.is_none_or(|a| a.to_canonical() == p.addr);
        paths.iter().find(wanted).map(Self::of).ok_or_else(|| errno::path_error(crate::error::PathError::UnknownAddress))
    }
}

/// SCTP_GET_ASSOC_NUMBER (RFC 6458 section 8.2.5): how many associations a one-to-many socket has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AssocNumber(pub usize);

option!(AssocNumber, "SCTP_GET_ASSOC_NUMBER", ());

impl GetOpt for AssocNumber {
    fn get(place: &mut Place<'_>, (): ()) -> io::Result<Self> {
        AssocIdList::get(place, ()).map(|list| Self(list.0.len()))
    }
}

/// SCTP_GET_ASSOC_ID_LIST (RFC 6458 section 8.2.6): the associations of a one-to-many socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssocIdList(pub Vec<AssocId>);

option!(AssocIdList, "SCTP_GET_ASSOC_ID_LIST", ());

impl GetOpt for AssocIdList {
    fn get(place: &mut Place<'_>, (): ()) -> io::Result<Self> {
        if !place.is_one_to_many()? {
            return Err(errno::not_supported());
        }
        Ok(Self(place.node.living(place.ep)))
    }
}
