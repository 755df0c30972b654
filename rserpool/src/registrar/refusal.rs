//! Why things are refused: counted always, logged at most once a second for each reason.

use core::fmt;
use core::time::Duration;

use sctp_user::Time;

use super::{Registrar, RegistrarEvent};

/// How long a reason is not logged again.
const QUIET: Duration = Duration::from_secs(1);

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// Why something was refused, ignored, or ended.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum RefusalReason {
            $($(#[$doc])* $name,)+
        }

        impl RefusalReason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// A few words about it.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

reasons! {
    /// There are as many associations as there may be.
    Associations = "too many associations";
    /// The peer's address prefix has as many associations as it may have.
    PeerAssociations = "too many associations of one address prefix";
    /// The peer's address prefix opens associations too fast.
    AssociationRate = "associations opened too fast";
    /// An association says too much.
    MessageRate = "too many messages on one association";
    /// The peer's address prefix registers and deregisters too fast.
    RegistrationRate = "registrations too fast";
    /// The peer's address prefix resolves too fast.
    ResolutionRate = "resolutions too fast";
    /// The peer's address prefix reports too fast.
    ReportRate = "unreachable reports too fast";
    /// Announces come too fast from one address prefix.
    AnnounceRate = "announces too fast";
    /// The peer's address prefix sends too much that is not understood.
    ErrorRate = "errors too fast";
    /// Too many requests wait for the fate of an identifier.
    Waiting = "too many requests waiting";
    /// Too much waits to be sent to a peer that takes nothing.
    Backlog = "too many bytes waiting to be sent";
    /// An answer is longer than a message can be.
    Length = "answer too long";
    /// There is no room for another subscription.
    Subscriptions = "too many subscriptions";
    /// There are as many peers, or associations with them, as there may be.
    Peers = "too many registrars";
    /// A registrar says of itself that it is nobody.
    NoSender = "message of nobody";
    /// Pools or elements are as many as they may be.
    Resources = "too many pools or elements";
    /// A registrar from this address is not allowed.
    RegistrarNotAllowed = "registrar not allowed";
    /// An element of this pool, or from this address, is not allowed.
    ElementNotAllowed = "element not allowed";
    /// A user from this address is not allowed.
    UserNotAllowed = "user not allowed";
    /// An element deregisters another one.
    NotItsOwn = "deregistration of another's element";
    /// A registration has an invalid value.
    InvalidValues = "registration with invalid values";
    /// The identifier belongs to another element that lives.
    IdentifierTaken = "identifier taken";
    /// The policy is not the pool's.
    PolicyDiffers = "another policy than the pool's";
    /// The kind of transport is not the pool's.
    TransportDiffers = "another transport than the pool's";
    /// The use of the transport for control is not the pool's.
    ControlDiffers = "another control channel use than the pool's";
    /// A message was not understood.
    Malformed = "malformed message";
    /// A message had another payload protocol identifier.
    WrongProtocol = "wrong payload protocol identifier";
    /// A peer told an error.
    RemoteError = "error told by a peer";
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// When each reason was last logged, and how often it was not.
#[derive(Debug, Default)]
pub(super) struct LogLimit([Logged; RefusalReason::ALL.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct Logged {
    at: Option<Time>,
    unsaid: u64,
}

impl LogLimit {
    /// Whether an event may be logged, and how many were not since the last one.
    fn admit(&mut self, now: Time, why: RefusalReason) -> Option<u64> {
        let at = RefusalReason::ALL.iter().position(|r| *r == why)?;
        let logged = self.0.get_mut(at)?;
        if logged.at.is_some_and(|t| now.saturating_since(t) < QUIET) {
            logged.unsaid += 1;
            return None;
        }
        logged.at = Some(now);
        Some(core::mem::take(&mut logged.unsaid))
    }
}

impl Registrar {
    /// Counts a refusal, and logs it unless it was logged a moment ago.
    pub(super) fn refused(&mut self, now: Time, why: RefusalReason, event: RegistrarEvent) {
        self.stats.count_refusal(why);
        let Some(unsaid) = self.log.admit(now, why) else { return };
        if unsaid > 0 {
            self.event(RegistrarEvent::Unsaid { why, count: unsaid });
        }
        self.event(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second() {
        let mut log = LogLimit::default();
        let mut at = |ms| log.admit(Time::from_millis(ms), RefusalReason::Malformed);
        assert_eq!([at(0), at(1), at(999), at(1_000), at(5_000)], [Some(0), None, None, Some(2), Some(0)]);
    }
}
