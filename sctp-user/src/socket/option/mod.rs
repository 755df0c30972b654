//! Socket options of RFC 6458 section 8 as types: each is a struct, and what it is set for is part of its type.
//!
//! ```no_run
//! use core::time::Duration;
//! use sctp_user::socket::option::{AssocSel, NoDelay, PeerAddrParams, RtoInfo, Status};
//! # fn main() -> std::io::Result<()> {
//! # let (socket, stream): (sctp_user::socket::SctpSocket, sctp_user::socket::SctpStream) = panic!();
//! // For the associations that the socket will have, and those that it has:
//! socket.set_option(AssocSel::All, &RtoInfo { min: Duration::from_millis(200), ..RtoInfo::UNCHANGED })?;
//! // A one-to-one socket has one association, which need not be named:
//! stream.set_option((), &NoDelay(true))?;
//! println!("{}", stream.option::<Status>(())?.state);
//! // For one address of the peer:
//! let path = stream.peer_addrs()?[0].ip();
//! stream.set_option(path, &PeerAddrParams { hb_interval: Some(Duration::from_secs(5)), ..PeerAddrParams::UNCHANGED })?;
//! # Ok(())
//! # }
//! ```

mod addresses;
mod association;
mod auth;
mod interleaving;
mod message;
mod partial_reliability;
mod paths;
mod place;
mod status;
mod streams;
mod timing;

use std::io;
use std::net::{IpAddr, SocketAddr};

pub use self::addresses::{AdaptationLayer, AutoAsconf, SetPeerPrimaryAddr};
pub use self::association::{AutoClose, DisableFragments, InitMsg, MaxBurst, MaxSeg, NoDelay, PartialDeliveryPoint, RcvBuf, SndBuf};
pub use self::auth::{AuthActiveKey, AuthChunk, AuthDeactivateKey, AuthDeleteKey, AuthKey, HmacIdent, LocalAuthChunks, PeerAuthChunks};
pub use self::interleaving::{InterleavingSupported, Scheduler, SchedulerValue, StreamSel};
pub use self::message::{Context, DefaultPrInfo, DefaultSndInfo, EventOption, ExplicitEor, FragmentInterleave, Linger, Subscription};
pub use self::partial_reliability::{PrAssocStatus, PrSel, PrStreamSel, PrStreamStatus, PrSupported};
pub use self::paths::{PeerAddrParams, PeerAddrThresholds, Pmtud, PrimaryAddr, RemoteUdpEncapsPort};
#[doc(hidden)]
pub use self::place::Place;
pub use self::status::{AssocIdList, AssocNumber, PeerAddrInfo, Status};
pub use self::streams::{AddStreams, EnableStreamReset, ResetAssoc, ResetStreams};
pub use self::timing::{AssocParams, DelayedSack, RtoInfo};
use super::{SctpListener, SctpSocket, SctpStream};
use crate::event::AssocId;

/// Which associations of a socket an option is about (RFC 6458 section 7.2). A one-to-one socket has only one: there it is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum AssocSel {
    /// Those that are opened from now on (SCTP_FUTURE_ASSOC).
    #[default]
    Future,
    /// Those that there are (SCTP_CURRENT_ASSOC). Nothing can be read of them together.
    Current,
    /// Both (SCTP_ALL_ASSOC). Nothing can be read of them together.
    All,
    /// This one.
    Assoc(AssocId),
}

impl From<()> for AssocSel {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<AssocId> for AssocSel {
    fn from(id: AssocId) -> Self {
        Self::Assoc(id)
    }
}

/// Which paths an option is about.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PathSel {
    /// The associations.
    pub assoc: AssocSel,
    /// An address of the peer; `None` for all, and for those of associations to come.
    pub addr: Option<IpAddr>,
}

impl From<()> for PathSel {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<AssocSel> for PathSel {
    fn from(assoc: AssocSel) -> Self {
        Self { assoc, addr: None }
    }
}

impl From<AssocId> for PathSel {
    fn from(id: AssocId) -> Self {
        AssocSel::from(id).into()
    }
}

impl From<IpAddr> for PathSel {
    fn from(addr: IpAddr) -> Self {
        Self { assoc: AssocSel::default(), addr: Some(addr) }
    }
}

impl From<(AssocId, IpAddr)> for PathSel {
    fn from((id, addr): (AssocId, IpAddr)) -> Self {
        Self { assoc: id.into(), addr: Some(addr) }
    }
}

impl From<(AssocId, SocketAddr)> for PathSel {
    fn from((id, addr): (AssocId, SocketAddr)) -> Self {
        (id, addr.ip()).into()
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "nobody else is to implement it")]
    pub trait Sealed {}
}

/// A socket option.
pub trait SockOpt: sealed::Sealed + Sized {
    /// What it can be asked or set for: `()` for the whole socket, [`AssocSel`] or [`PathSel`].
    type Scope;
    /// The name that RFC 6458 gives it.
    const NAME: &'static str;
}

/// An option that can be read.
pub trait GetOpt: SockOpt {
    #[doc(hidden)]
    fn get(place: &mut Place<'_>, scope: Self::Scope) -> io::Result<Self>;
}

/// An option that can be set.
pub trait SetOpt: SockOpt {
    #[doc(hidden)]
    fn set(&self, place: &mut Place<'_>, scope: Self::Scope) -> io::Result<()>;
}

/// Declares what a type is the option of.
macro_rules! option {
    ($type:ty, $name:literal, $scope:ty) => {
        impl super::sealed::Sealed for $type {}

        impl super::SockOpt for $type {
            type Scope = $scope;
            const NAME: &'static str = $name;
        }
    };
}
use option;

impl SctpSocket {
    /// Reads an option (`getsockopt`).
    ///
    /// # Errors
    /// `NotConnected` if there is no such association, `InvalidInput` if several are selected, or for an address that the peer has not.
    pub fn option<O: GetOpt>(&self, scope: impl Into<O::Scope>) -> io::Result<O> {
        let scope = scope.into();
        self.handle.with(|node, now| O::get(&mut Place::socket(node, now, self.ep), scope))?
    }

    /// Sets an option (`setsockopt`). If it is set for several associations and one refuses, the others have it.
    ///
    /// # Errors
    /// As [`Self::option`]; `InvalidInput` for a value that is forbidden, with the reason.
    pub fn set_option<O: SetOpt>(&self, scope: impl Into<O::Scope>, value: &O) -> io::Result<()> {
        let scope = scope.into();
        self.handle.with(|node, now| value.set(&mut Place::socket(node, now, self.ep), scope))?
    }
}

impl SctpListener {
    /// Reads an option for the associations to come (`getsockopt`).
    ///
    /// # Errors
    /// `InvalidInput` if associations are selected: accepted streams have their own.
    pub fn option<O: GetOpt>(&self, scope: impl Into<O::Scope>) -> io::Result<O> {
        let scope = scope.into();
        self.handle.with(|node, now| O::get(&mut Place::socket(node, now, self.ep), scope))?
    }

    /// Sets an option for the associations to come (`setsockopt`).
    ///
    /// # Errors
    /// As [`Self::option`]; `InvalidInput` for a value that is forbidden, with the reason.
    pub fn set_option<O: SetOpt>(&self, scope: impl Into<O::Scope>, value: &O) -> io::Result<()> {
        let scope = scope.into();
        self.handle.with(|node, now| value.set(&mut Place::socket(node, now, self.ep), scope))?
    }
}

impl SctpStream {
    /// Reads an option (`getsockopt`); which association is meant is clear.
    ///
    /// # Errors
    /// `NotConnected` if the association is gone, `InvalidInput` for an address that the peer has not.
    pub fn option<O: GetOpt>(&self, scope: impl Into<O::Scope>) -> io::Result<O> {
        let scope = scope.into();
        self.handle.with(|node, now| O::get(&mut Place::stream(node, now, self.id)?, scope))?
    }

    /// Sets an option (`setsockopt`).
    ///
    /// # Errors
    /// As [`Self::option`]; `InvalidInput` for a value that is forbidden, with the reason.
    pub fn set_option<O: SetOpt>(&self, scope: impl Into<O::Scope>, value: &O) -> io::Result<()> {
        let scope = scope.into();
        self.handle.with(|node, now| value.set(&mut Place::stream(node, now, self.id)?, scope))?
    }
}
