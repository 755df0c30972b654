//! The states of an association (RFC 9260 section 4).

/// State of an association. CLOSED is the absence of one.
///
/// What leads from one to another is in `tests/tests/rfc9260/state_table.rs`, which drives a stack through every cell of its
/// table, and drawn from it in `ARCHITECTURE.md`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// INIT sent.
    CookieWait,
    /// COOKIE ECHO sent.
    CookieEchoed,
    /// Data flows.
    Established,
    /// The user wants to close; data is still outstanding.
    ShutdownPending,
    /// SHUTDOWN sent.
    ShutdownSent,
    /// SHUTDOWN received; own data is still outstanding.
    ShutdownReceived,
    /// SHUTDOWN ACK sent.
    ShutdownAckSent,
    /// Over: kept only until the user has read what had arrived.
    Closed,
}

impl State {
    /// The name as the RFC writes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CookieWait => "COOKIE-WAIT",
            Self::CookieEchoed => "COOKIE-ECHOED",
            Self::Established => "ESTABLISHED",
            Self::ShutdownPending => "SHUTDOWN-PENDING",
            Self::ShutdownSent => "SHUTDOWN-SENT",
            Self::ShutdownReceived => "SHUTDOWN-RECEIVED",
            Self::ShutdownAckSent => "SHUTDOWN-ACK-SENT",
            Self::Closed => "CLOSED",
        }
    }

    /// Whether the handshake is still going on.
    pub(crate) const fn is_opening(self) -> bool {
        matches!(self, Self::CookieWait | Self::CookieEchoed)
    }

    /// Whether the user may hand in messages (RFC 9260 section 9.2: not once a shutdown has begun).
    pub(crate) const fn accepts_sends(self) -> bool {
        matches!(self, Self::CookieWait | Self::CookieEchoed | Self::Established)
    }

    /// Whether DATA may leave, new or again. In COOKIE-ECHOED it may ride behind the COOKIE ECHO (section 5.1).
    pub(crate) const fn sends_data(self) -> bool {
        matches!(self, Self::CookieEchoed | Self::Established | Self::ShutdownPending | Self::ShutdownReceived)
    }

    /// Whether DATA that arrives is taken; in other states it is discarded (section 6).
    pub(crate) const fn receives_data(self) -> bool {
        matches!(self, Self::Established | Self::ShutdownPending | Self::ShutdownSent)
    }

    /// Whether a HEARTBEAT is answered (section 8.3; rulings section 1 row 7).
    pub(crate) const fn answers_heartbeats(self) -> bool {
        matches!(self, Self::CookieEchoed | Self::Established | Self::ShutdownPending | Self::ShutdownReceived)
    }

    /// Whether HEARTBEATs are sent: no more once SHUTDOWN or SHUTDOWN ACK is out.
    pub(crate) const fn sends_heartbeats(self) -> bool {
        matches!(self, Self::Established | Self::ShutdownPending | Self::ShutdownReceived)
    }
}
