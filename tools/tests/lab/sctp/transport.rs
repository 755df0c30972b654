//! What carries SCTP between the two ends.

use sctp_user::Channel;
use sctp_user::socket::{Runtime, RuntimeBuilder};

/// The port of UDP encapsulation, at either end.
pub(crate) const UDP: u16 = 9899;

/// How packets travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    /// RFC 6951.
    Udp,
    /// IP protocol 132.
    Raw,
}

impl Transport {
    /// A runtime that has this transport only.
    pub(crate) fn runtime(self) -> RuntimeBuilder {
        match self {
            Self::Udp => Runtime::builder().udp_port(UDP).share(false),
            Self::Raw => Runtime::builder().no_udp().raw(),
        }
    }

    pub(crate) fn channel(self) -> Channel {
        match self {
            Self::Udp => Channel::Udp { local: UDP, remote: UDP },
            Self::Raw => Channel::Raw,
        }
    }

    /// Options of the peer: this transport, and timers for a test.
    pub(crate) fn options(self) -> Vec<String> {
        let udp = if self == Self::Udp { UDP } else { 0 };
        vec![format!("udp={udp}"), "rto=500:200:2000".into(), "retrans=20:5".into(), "hb=1000".into()]
    }
}
