//! When a message is given up: the PR-SCTP policies (RFC 3758 section 4.1, RFC 7496 section 3).

use crate::event::{PrPolicy, Reliability};
use crate::time::Time;

/// [`Reliability`] of a message that was handed in.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Policy {
    /// It is never given up.
    #[default]
    Reliable,
    /// Its lifetime ends then.
    Until(Time),
    /// It is sent again so often.
    Retransmissions(u32),
    /// It makes room for what is more important.
    Priority(u32),
}

impl Policy {
    /// Of a message that is handed in now.
    pub(super) fn new(now: Time, reliability: Reliability) -> Self {
        match reliability {
            Reliability::Full => Self::Reliable,
            Reliability::Lifetime(life) => Self::Until(now + life),
            Reliability::Retransmissions(n) => Self::Retransmissions(n),
            Reliability::Priority(n) => Self::Priority(n),
        }
    }

    /// Which one it is, without its value.
    pub(super) fn kind(self) -> Option<PrPolicy> {
        match self {
            Self::Reliable => None,
            Self::Until(_) => Some(PrPolicy::Lifetime),
            Self::Retransmissions(_) => Some(PrPolicy::Retransmissions),
            Self::Priority(_) => Some(PrPolicy::Priority),
        }
    }

    /// Whether it has a lifetime.
    pub(super) fn may_expire(self) -> bool {
        matches!(self, Self::Until(_))
    }

    /// Whether the lifetime has ended (RFC 3758 section 4.1 rules TR3 and TR4).
    pub(super) fn is_expired(self, now: Time) -> bool {
        matches!(self, Self::Until(end) if end <= now)
    }

    /// Whether a chunk that was sent again `resends` times must not be sent once more.
    pub(super) fn is_spent(self, now: Time, resends: u32) -> bool {
        match self {
            Self::Reliable | Self::Priority(_) => false,
            Self::Until(_) => self.is_expired(now),
            Self::Retransmissions(limit) => resends >= limit,
        }
    }

    /// How unimportant the message is when room is wanted: those of a priority give way to smaller numbers, and to all others (RFC
    /// 7496 section 3.2: messages that are sent reliably come before any priority).
    pub(super) fn rank(self) -> Option<u32> {
        match self {
            Self::Priority(n) => Some(n),
            _ => None,
        }
    }
}
