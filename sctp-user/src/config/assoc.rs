//! Configuration of an association.

use core::time::Duration;

use crate::error::ConfigError;

/// Parameters of one association (RFC 9260 section 16), copied on write for single associations.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AssocConfig {
    /// RTO.Initial.
    pub rto_initial: Duration,
    /// RTO.Min.
    pub rto_min: Duration,
    /// RTO.Max.
    pub rto_max: Duration,
    /// Max.Burst in packets.
    pub max_burst: usize,
    /// Association.Max.Retrans.
    pub assoc_max_retrans: u32,
    /// Path.Max.Retrans.
    pub path_max_retrans: u32,
    /// Max.Init.Retransmits.
    pub max_init_retransmits: u32,
    /// HB.interval; `None` switches the periodic HEARTBEAT off.
    pub hb_interval: Option<Duration>,
    /// HB.interval is at most this on paths in UDP to other hosts, to keep a NAT's mapping alive; `None` leaves HB.interval alone.
    pub nat_keepalive: Option<Duration>,
    /// SACK.Delay, at most 500 ms.
    pub sack_delay: Duration,
    /// Valid.Cookie.Life.
    pub cookie_life: Duration,
    /// Outbound streams that we ask for.
    pub outbound_streams: u16,
    /// Inbound streams that we accept (MIS).
    pub max_inbound_streams: u16,
    /// Receive buffer in bytes: the a_rwnd of an idle association. At least 1500.
    pub recv_buffer: usize,
    /// Send buffer in bytes: beyond it `send` answers `WouldBlock`.
    pub send_buffer: usize,
    /// Longest message in bytes that can be sent.
    pub max_message: usize,
    /// Longest message in bytes that is received: a longer one ends the association. `None` is no limit with
    /// [`AssocConfig::partial_delivery`], else [`AssocConfig::max_message`].
    pub max_received_message: Option<usize>,
    /// Whether a message that does not fit the receive buffer is handed out in parts (RFC 9260 section 6.9), each but the last
    /// with [`Message::more`](crate::Message::more). If not, a message is always whole, and the receive buffer grows by up to
    /// twice the longest message while one is put together.
    pub partial_delivery: bool,
    /// A message of which so many bytes have come is handed out in parts even if the receive buffer could hold it (RFC 6458
    /// section 8.1.21); `None` waits until the buffer is full.
    pub partial_delivery_point: Option<usize>,
    /// Path MTU in bytes, IP header included, that packets are built for: at first if [`AssocConfig::pmtu_discovery`] is on,
    /// else for good.
    pub mtu: usize,
    /// Whether the path MTU is searched for (RFC 8899), from [`AssocConfig::mtu`] up to [`AssocConfig::max_mtu`], and lowered where
    /// large packets vanish.
    pub pmtu_discovery: bool,
    /// The MTU of the interface in bytes, or what the search shall not exceed.
    pub max_mtu: usize,
    /// Most user data in one DATA chunk, in bytes; `None` fills packets (RFC 6458 section 8.1.16).
    pub max_fragment: Option<usize>,
    /// Whether longer messages than fit one DATA chunk may be sent, in fragments (RFC 9260 section 6.9); if not, they are refused.
    pub fragment: bool,
    /// Whether small messages wait for a full packet while data is outstanding (Nagle).
    pub nagle: bool,
    /// Whether the sender asks for an immediate SACK when it empties its queue or fills a window (I bit).
    pub sender_i_bit: bool,
    /// Whether a chunk whose fast retransmission was lost is marked again (rulings, section 1 row 6).
    pub repeat_fast_retransmit: bool,
}

impl AssocConfig {
    /// The values of RFC 9260 section 16: the default.
    #[must_use]
    pub fn rfc() -> Self {
        Self {
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_secs(1),
            rto_max: Duration::from_secs(60),
            max_burst: 4,
            assoc_max_retrans: 10,
            path_max_retrans: 5,
            max_init_retransmits: 8,
            hb_interval: Some(Duration::from_secs(30)),
            nat_keepalive: Some(Duration::from_secs(15)),
            sack_delay: Duration::from_millis(200),
            cookie_life: Duration::from_secs(60),
            outbound_streams: 10,
            max_inbound_streams: 2048,
            recv_buffer: 1 << 20,
            send_buffer: 1 << 20,
            max_message: 16 << 20,
            max_received_message: None,
            partial_delivery: true,
            partial_delivery_point: None,
            mtu: 1500,
            pmtu_discovery: true,
            max_mtu: 9000,
            max_fragment: None,
            fragment: true,
            nagle: true,
            sender_i_bit: true,
            repeat_fast_retransmit: true,
        }
    }

    /// The values for sessions of a pool, which must notice a dead element fast (a deviation: RTO.Min below 1 s).
    #[must_use]
    pub fn session() -> Self {
        Self {
            rto_initial: Duration::from_millis(500),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(5),
            sack_delay: Duration::from_millis(50),
            path_max_retrans: 2,
            assoc_max_retrans: 2,
            hb_interval: Some(Duration::from_secs(1)),
            max_init_retransmits: 2,
            nagle: false,
            // Sessions hand on whole messages.
            partial_delivery: false,
            ..Self::rfc()
        }
    }

    /// What of this configuration departs from what RFC 9260 advises (SHOULD), one line each; see `docs/deviations.md`.
    #[must_use]
    pub fn deviations(&self) -> Vec<&'static str> {
        let rules = [
            (self.rto_min < Duration::from_secs(1), "RTO.Min below 1 s (section 16)"),
            (self.repeat_fast_retransmit, "a chunk may be fast retransmitted again (section 7.2.4 rule 5)"),
            (self.hb_interval.is_none(), "no periodic HEARTBEATs (section 8.3)"),
            (self.max_burst > 4, "Max.Burst above 4 (section 16)"),
        ];
        rules.into_iter().filter(|(departs, _)| *departs).map(|(_, what)| what).collect()
    }

    /// Checks what the RFC forbids.
    ///
    /// # Errors
    /// Names the first field with a forbidden value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let err = |field, why| Err(ConfigError { field, why });
        if self.sack_delay > Duration::from_millis(500) {
            return err("sack_delay", "at most 500 ms (RFC 9260 section 6.2)");
        }
        if self.recv_buffer < 1500 {
            return err("recv_buffer", "at least 1500 bytes (RFC 9260 section 3.3.2)");
        }
        if self.outbound_streams == 0 || self.max_inbound_streams == 0 {
            return err("streams", "at least one in each direction (RFC 9260 section 3.3.2)");
        }
        if self.rto_min > self.rto_max || self.rto_initial > self.rto_max {
            return err("rto_max", "below RTO.Min or RTO.Initial");
        }
        let day = Duration::from_secs(86_400);
        if self.rto_min.is_zero() || self.rto_initial.is_zero() || self.rto_max > day || self.cookie_life > day {
            return err("durations", "RTOs above zero, RTO.Max and Valid.Cookie.Life at most a day");
        }
        if self.mtu < 576 || self.mtu > 65_535 {
            return err("mtu", "between 576 and 65535 bytes");
        }
        if self.max_mtu > 65_535 {
            return err("max_mtu", "at most 65535 bytes");
        }
        if self.max_fragment.is_some_and(|n| n < 16) {
            return err("max_fragment", "at least 16 bytes");
        }
        if self.max_received_message == Some(0) || self.partial_delivery_point == Some(0) {
            return err("partial_delivery", "limits must not be zero");
        }
        if self.max_burst == 0 {
            return err("max_burst", "at least one packet");
        }
        if self.max_message == 0 || self.send_buffer == 0 {
            return err("max_message", "must not be zero");
        }
        Ok(())
    }
}

impl Default for AssocConfig {
    fn default() -> Self {
        Self::rfc()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_must_forbids_is_refused_and_what_a_should_advises_is_told() {
        assert_eq!(AssocConfig::rfc().validate(), Ok(()));
        assert_eq!(AssocConfig::session().validate(), Ok(()));
        let slow = AssocConfig { sack_delay: Duration::from_millis(501), ..AssocConfig::rfc() };
        assert_eq!(slow.validate().unwrap_err().field, "sack_delay");
        let small = AssocConfig { recv_buffer: 1_499, ..AssocConfig::rfc() };
        assert_eq!(small.validate().unwrap_err().field, "recv_buffer");
        assert!(AssocConfig { repeat_fast_retransmit: false, ..AssocConfig::rfc() }.deviations().is_empty());
        assert!(AssocConfig::session().deviations().iter().any(|d| d.starts_with("RTO.Min")));
    }
}
