//! Configuration of an association.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Families, HmacId, KeyRing, Nat, may_be_authenticated};

use crate::error::ConfigError;
use crate::num::StreamId;
use crate::wire::chunk::{ChunkTypes, kind};

/// How the congestion window of a path is controlled.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Congestion {
    /// Slow start and congestion avoidance of RFC 9260 section 7.2.
    #[default]
    Rfc9260,
    /// CUBIC (RFC 9438), a deviation from section 7.2.2: it fills long fat paths sooner.
    Cubic,
}

/// Which stream's message is sent next (RFC 8260 section 3). Where I-DATA was agreed on it chooses for every chunk, else for whole
/// messages.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum StreamScheduler {
    /// The message that was handed in first (section 3.1, SCTP_SS_FCFS).
    FirstCome,
    /// Streams take turns (section 3.2, SCTP_SS_RR).
    #[default]
    RoundRobin,
    /// Streams take turns by packets, each of which has chunks of one stream (section 3.3, SCTP_SS_RR_PKT).
    RoundRobinPacket,
    /// Strict priorities: [`AssocConfig::stream_values`], of which lower ones go first, and 0, the default, before all others
    /// (section 3.4, SCTP_SS_PRIO). Streams of one priority take turns.
    Priority,
    /// As many bytes of each stream (section 3.5, SCTP_SS_FB).
    FairCapacity,
    /// As many bytes of each stream as its weight says: [`AssocConfig::stream_values`], where 1 is the default, and 0 counts as 1
    /// (section 3.6, SCTP_SS_WFQ).
    WeightedFair,
}

/// Bound of what is accepted for sending.
const GIBIBYTE: usize = 1 << 30;

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
    /// RTO.Alpha is 2 to the power of minus this: how much one measurement moves SRTT. 1 to 7.
    pub rto_alpha_shift: u8,
    /// RTO.Beta is 2 to the power of minus this: how much one measurement moves RTTVAR. 1 to 7.
    pub rto_beta_shift: u8,
    /// Max.Burst in packets.
    pub max_burst: usize,
    /// Association.Max.Retrans: the association ends when its error counter exceeds this.
    pub assoc_max_retrans: u32,
    /// Path.Max.Retrans: a path becomes inactive when its error counter exceeds this.
    pub path_max_retrans: u32,
    /// PotentiallyFailed.Max.Retrans (RFC 7829): data leaves a path for another one when its error counter exceeds this; `None`
    /// switches that off.
    pub pf_max_retrans: Option<u32>,
    /// Primary.Switchover.Max.Retrans (RFC 7829): a path that works becomes the primary path for good when the error counter of the
    /// present one exceeds this; `None`, the default, has data come back to the primary path.
    pub primary_switch_max_retrans: Option<u32>,
    /// Max.Init.Retransmits: how often INIT and COOKIE ECHO are sent again.
    pub max_init_retransmits: u32,
    /// Longest time-out of INIT and COOKIE ECHO (sinit_max_init_timeo of RFC 6458 section 5.3.1); `None` is RTO.Max.
    pub max_init_timeout: Option<Duration>,
    /// An association on which no user data went either way for so long is shut down (RFC 6458 section 8.1.8); `None`, the
    /// default, keeps it.
    pub autoclose: Option<Duration>,
    /// HB.interval; `None` switches the periodic HEARTBEAT off. The failure of an idle path stays unseen for Path.Max.Retrans + 1 times
    /// this and the RTO, which is to be weighed against the load (RFC 9260 section 8.3).
    pub hb_interval: Option<Duration>,
    /// HB.interval is at most this on paths in UDP to other hosts, to keep a NAT's mapping alive; `None` leaves HB.interval alone.
    pub nat_keepalive: Option<Duration>,
    /// HB.Max.Burst: most packets with HEARTBEATs to addresses that are not confirmed, for each RTO. At least 1.
    pub hb_max_burst: usize,
    /// The families of addresses that are offered to the peer.
    pub families: Families,
    /// Whether there is a NAT before this host: then no addresses are listed.
    pub nat: Nat,
    /// The addresses to list in INIT and INIT ACK in place of the host's own or those of the endpoint, at most 64: what a static
    /// NAT shows to the world.
    pub advertise: Option<Arc<[IpAddr]>>,
    /// SACK.Delay, at most 500 ms.
    pub sack_delay: Duration,
    /// Valid.Cookie.Life.
    pub cookie_life: Duration,
    /// Outbound streams that we ask for.
    pub outbound_streams: u16,
    /// Inbound streams that we accept (MIS).
    pub max_inbound_streams: u16,
    /// Receive buffer in bytes: the a_rwnd of an idle association. At least 1500, less than 4 GiB.
    pub recv_buffer: usize,
    /// Send buffer in bytes: beyond it `send` answers `WouldBlock`. Below 1 GiB.
    pub send_buffer: usize,
    /// Longest message in bytes that can be sent. Below 1 GiB.
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
    /// Whether messages of other streams are handed out while the next part of a message has not come (level 2 of RFC 6458
    /// section 8.1.20). If not, nothing else of the association is.
    pub interleave_streams: bool,
    /// Path MTU in bytes, IP header included, that packets are built for: at first if [`AssocConfig::pmtu_discovery`] is on (on IPv6
    /// it begins at 1280), else for good.
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
    /// How the congestion windows are controlled.
    pub congestion: Congestion,
    /// L of section 7.2.1: most growth of the window in slow start for one SACK, in PMDCS; 1 or 2.
    pub slow_start_l: u8,
    /// Initial congestion window in bytes; one that is larger than section 7.2.1 allows counts as that one, one smaller than a
    /// packet as a packet. `None` is the largest allowed.
    pub initial_window: Option<usize>,
    /// Packets with DATA for each of which, at the latest, a SACK is sent at once; at least 1. More than 2 is a deviation.
    pub sack_frequency: u32,
    /// Whether packets that arrive together are acknowledged by a single SACK: a deviation, on which a sender limited by
    /// Max.Burst starves.
    pub ack_per_batch: bool,
    /// Explicit congestion notification (RFC 4960 Appendix A), where the transport can read and set the marks
    /// ([`StackConfig::ecn_marks`](super::StackConfig::ecn_marks)) and the peer has it too.
    pub ecn: bool,
    /// Packets without a checksum (RFC 9653), over a lower layer of which the program said that it finds errors itself
    /// ([`PrivateChannel::error_detection`](super::PrivateChannel::error_detection)), if the peer relies on the same method.
    pub zero_checksum: bool,
    /// Authentication of chunks (RFC 4895), if the peer has it too; on by default, so that addresses can be changed. Nothing else is
    /// demanded of peers unless [`AssocConfig::auth_chunks`] says so.
    pub auth: bool,
    /// The chunk types that are taken only if they are authenticated (RFC 4895 section 3.2), whether the peer can do that or not; ASCONF
    /// and ASCONF-ACK need not be listed. With ABORT among them, a peer that is gone is noticed by timers only.
    pub auth_chunks: ChunkTypes,
    /// The algorithms that the peer may authenticate by, the preferred one first; SHA-1 is one of them (RFC 4895 section 3.3).
    pub auth_hmacs: Vec<HmacId>,
    /// The shared keys of authentication.
    pub auth_keys: KeyRing,
    /// Dynamic address reconfiguration (RFC 5061), if the peer has it too; without effect where [`AssocConfig::auth`] is off, unless
    /// [`AssocConfig::add_ip_without_auth`] says otherwise.
    pub add_ip: bool,
    /// Whether addresses may be changed without authentication, which RFC 5061 section 4.1.1 forbids: only for closed networks, where
    /// nobody can send what is not his to send.
    pub add_ip_without_auth: bool,
    /// Whether the peer is told when addresses of this host come and go, if the endpoint uses them all (RFC 6458 section 8.1.23).
    pub auto_asconf: bool,
    /// Whether an INIT lists few addresses, so that it and the COOKIE ECHO fit small packets, and the others are added once the association
    /// is established, if the peer has Add-IP. With [`AssocConfig::add_ip`] only.
    pub brief_listing: bool,
    /// Adaptation layer indication that the peer is told (RFC 5061 section 4.2.6).
    pub adaptation: Option<u32>,
    /// Partial reliability (RFC 3758), if the peer has it too: without it every message is sent until it arrives.
    pub partial_reliability: bool,
    /// Stream reconfiguration (RFC 6525), if the peer has it too.
    pub stream_reset: bool,
    /// Whether the peer may let streams begin anew, its own and ours (RFC 6525 section 6.3.1); what we asked it for it may.
    pub accept_stream_reset: bool,
    /// Whether the peer may let all TSNs begin anew (RFC 6525 section 6.3.1).
    pub accept_association_reset: bool,
    /// Whether the peer may add streams, up to [`AssocConfig::max_inbound_streams`] and [`AssocConfig::max_outbound_streams`] (RFC 6525
    /// section 6.3.1); what we asked it for it may.
    pub accept_added_streams: bool,
    /// Most outbound streams that the peer may give us (RFC 6525 section 5.2.6).
    pub max_outbound_streams: u16,
    /// User message interleaving (RFC 8260), if the peer has it too: a long message does not hold up those of other streams. It needs
    /// [`AssocConfig::partial_delivery`] and [`AssocConfig::interleave_streams`], since the receive buffer may fill with the
    /// beginnings of several messages: parts of messages of different streams are then handed out in turn.
    pub interleaving: bool,
    /// Whether the fragments of I-DATA behind the first are numbered from 0, as the Linux kernel does (seen with 6.1), and not from 1:
    /// else no message of more than one fragment passes between the two. A deviation from RFC 8260 section 2.1, for both directions.
    pub linux_fsn: bool,
    /// Which stream's message is sent next.
    pub scheduler: StreamScheduler,
    /// The priorities or weights of outbound streams for [`AssocConfig::scheduler`].
    pub stream_values: BTreeMap<StreamId, u16>,
    /// DSCP of packets, 0 to 63 (RFC 2474).
    pub dscp: u8,
    /// IPv6 flow label of packets, 20 bits (RFC 6437); zero leaves it to the host.
    pub flow_label: u32,
}

impl AssocConfig {
    /// The values of RFC 9260 section 16: the default.
    #[must_use]
    pub fn rfc() -> Self {
        Self {
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_secs(1),
            rto_max: Duration::from_secs(60),
            rto_alpha_shift: 3,
            rto_beta_shift: 2,
            max_burst: 4,
            assoc_max_retrans: 10,
            path_max_retrans: 5,
            pf_max_retrans: Some(0),
            primary_switch_max_retrans: None,
            max_init_retransmits: 8,
            max_init_timeout: None,
            autoclose: None,
            hb_interval: Some(Duration::from_secs(30)),
            nat_keepalive: Some(Duration::from_secs(15)),
            hb_max_burst: 1,
            families: Families::Both,
            nat: Nat::Auto,
            advertise: None,
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
            interleave_streams: false,
            mtu: 1500,
            pmtu_discovery: true,
            max_mtu: 9000,
            max_fragment: None,
            fragment: true,
            nagle: true,
            sender_i_bit: true,
            repeat_fast_retransmit: true,
            congestion: Congestion::Rfc9260,
            slow_start_l: 1,
            initial_window: None,
            sack_frequency: 2,
            ack_per_batch: false,
            ecn: false,
            zero_checksum: true,
            auth: true,
            auth_chunks: ChunkTypes::default(),
            auth_hmacs: vec![HmacId::Sha256, HmacId::Sha1],
            auth_keys: KeyRing::default(),
            add_ip: true,
            add_ip_without_auth: false,
            auto_asconf: true,
            brief_listing: false,
            adaptation: None,
            partial_reliability: true,
            stream_reset: true,
            accept_stream_reset: false,
            accept_association_reset: false,
            accept_added_streams: false,
            max_outbound_streams: 2048,
            interleaving: false,
            linux_fsn: false,
            scheduler: StreamScheduler::RoundRobin,
            stream_values: BTreeMap::new(),
            dscp: 0,
            flow_label: 0,
        }
    }

    /// The values that signalling networks run: a failed path is left within seconds (rulings section 1 row 1).
    ///
    /// Association.Max.Retrans is the sum over two paths, as signalling links have them.
    #[must_use]
    pub fn signalling() -> Self {
        Self {
            rto_initial: Duration::from_millis(500),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(2),
            sack_delay: Duration::from_millis(100),
            path_max_retrans: 3,
            assoc_max_retrans: 6,
            hb_interval: Some(Duration::from_secs(2)),
            nagle: false,
            ..Self::rfc()
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

    /// What of this configuration departs from what RFC 9260 advises (SHOULD, RECOMMENDED), one line each; see
    /// `docs/deviations.md`.
    #[must_use]
    pub fn deviations(&self) -> Vec<&'static str> {
        let rfc = Self::rfc();
        let rules = [
            (self.rto_initial != rfc.rto_initial, "RTO.Initial is not 1 s (section 16)"),
            (self.rto_min < rfc.rto_min, "RTO.Min below 1 s (section 16)"),
            (self.rto_min > rfc.rto_min, "RTO.Min above 1 s (section 16)"),
            (self.rto_max < rfc.rto_max, "RTO.Max below 60 s (section 6.3.1 rule C7)"),
            (self.rto_max > rfc.rto_max, "RTO.Max above 60 s (section 16)"),
            (self.rto_alpha_shift != rfc.rto_alpha_shift, "RTO.Alpha is not 1/8 (section 6.3.1)"),
            (self.rto_beta_shift != rfc.rto_beta_shift, "RTO.Beta is not 1/4 (section 6.3.1)"),
            (self.max_burst > rfc.max_burst, "Max.Burst above 4 (section 16)"),
            (self.assoc_max_retrans != rfc.assoc_max_retrans, "Association.Max.Retrans is not 10 (section 16)"),
            (self.path_max_retrans != rfc.path_max_retrans, "Path.Max.Retrans is not 5 (section 16)"),
            (self.max_init_retransmits != rfc.max_init_retransmits, "Max.Init.Retransmits is not 8 (section 16)"),
            (self.hb_max_burst > rfc.hb_max_burst, "HB.Max.Burst above 1 (section 16)"),
            (self.hb_interval.is_none(), "no periodic HEARTBEATs (section 8.3)"),
            (self.congestion == Congestion::Cubic, "CUBIC in place of the RFC's congestion avoidance (section 7.2.2)"),
            (self.slow_start_l > 1, "L above 1 (section 7.2.1)"),
            (self.sack_frequency > 2, "fewer SACKs than one for every second packet (section 6.2)"),
            (self.ack_per_batch, "one SACK for packets that arrive together (section 6.2)"),
            (self.hb_interval.is_some_and(|i| Some(i) != rfc.hb_interval), "HB.interval is not 30 s (section 16)"),
            (self.sack_delay > rfc.sack_delay, "SACK.Delay above 200 ms (section 6.2)"),
            (self.cookie_life != rfc.cookie_life, "Valid.Cookie.Life is not 60 s (section 16)"),
            (self.linux_fsn, "fragments of I-DATA numbered as Linux does (RFC 8260 section 2.1)"),
            (self.add_ip_without_auth, "addresses may be changed without authentication (RFC 5061 section 4.1.1)"),
            (self.repeat_fast_retransmit, "a chunk may be fast retransmitted again (section 7.2.4 rule 5)"),
        ];
        rules.into_iter().filter(|(departs, _)| *departs).map(|(_, what)| what).collect()
    }

    /// Checks what the RFC forbids, and what cannot work.
    ///
    /// # Errors
    /// Names the first field with a forbidden value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let day = Duration::from_secs(86_400);
        // One by one: a table of them all would be made for every association.
        let forbid = |broken: bool, field: &'static str, why: &'static str| if broken { Err(ConfigError { field, why }) } else { Ok(()) };
        forbid(self.sack_delay > Duration::from_millis(500), "sack_delay", "at most 500 ms (RFC 9260 section 6.2)")?;
        forbid(self.recv_buffer < 1500, "recv_buffer", "at least 1500 bytes (RFC 9260 section 3.3.2)")?;
        forbid(u32::try_from(self.recv_buffer).is_err(), "recv_buffer", "a_rwnd has 32 bits (RFC 9260 section 3.3.2)")?;
        forbid(self.outbound_streams == 0, "outbound_streams", "at least one (RFC 9260 section 3.3.2)")?;
        forbid(self.max_inbound_streams == 0, "max_inbound_streams", "at least one (RFC 9260 section 3.3.2)")?;
        forbid(self.rto_min > self.rto_max, "rto_max", "below RTO.Min")?;
        forbid(self.rto_initial > self.rto_max, "rto_max", "below RTO.Initial")?;
        forbid(self.rto_min.is_zero(), "rto_min", "above zero")?;
        forbid(self.rto_initial.is_zero(), "rto_initial", "above zero")?;
        forbid(self.rto_max > day, "rto_max", "at most a day")?;
        forbid(!(1..=7).contains(&self.rto_alpha_shift), "rto_alpha_shift", "between 1 and 7")?;
        forbid(!(1..=7).contains(&self.rto_beta_shift), "rto_beta_shift", "between 1 and 7")?;
        forbid(self.cookie_life > day, "cookie_life", "at most a day")?;
        forbid(self.cookie_life.is_zero(), "cookie_life", "above zero")?;
        forbid(self.max_init_timeout.is_some_and(|i| i.is_zero()), "max_init_timeout", "above zero")?;
        forbid(self.autoclose.is_some_and(|i| i.is_zero() || i > day * 365), "autoclose", "above zero, at most a year")?;
        forbid(self.hb_interval.is_some_and(|i| i > day), "hb_interval", "at most a day")?;
        forbid(self.nat_keepalive.is_some_and(|i| i.is_zero() || i > day), "nat_keepalive", "above zero, at most a day")?;
        forbid(self.mtu < 576 || self.mtu > 65_535, "mtu", "between 576 and 65535 bytes")?;
        forbid(self.max_mtu > 65_535, "max_mtu", "at most 65535 bytes")?;
        forbid(self.max_fragment.is_some_and(|n| n < 16), "max_fragment", "at least 16 bytes")?;
        forbid(self.max_received_message == Some(0), "max_received_message", "at least one byte")?;
        forbid(self.partial_delivery_point == Some(0), "partial_delivery_point", "at least one byte")?;
        forbid(self.max_burst == 0, "max_burst", "at least one packet")?;
        forbid(self.hb_max_burst == 0, "hb_max_burst", "at least one packet")?;
        forbid(self.advertise.as_ref().is_some_and(|a| a.len() > 64), "advertise", "at most 64 addresses")?;
        forbid(!matches!(self.slow_start_l, 1 | 2), "slow_start_l", "1 or 2 (RFC 9260 section 7.2.1)")?;
        forbid(self.sack_frequency == 0, "sack_frequency", "at least one packet")?;
        forbid(self.max_message == 0, "max_message", "at least one byte")?;
        forbid(self.send_buffer == 0, "send_buffer", "at least one byte")?;
        // Together below 2^31 bytes, and so below 2^31 TSNs.
        forbid(self.send_buffer >= GIBIBYTE, "send_buffer", "below 1 GiB (RFC 9260 section 1.6)")?;
        forbid(self.max_message >= GIBIBYTE, "max_message", "below 1 GiB (RFC 9260 section 1.6)")?;
        forbid(
            self.interleaving && !(self.partial_delivery && self.interleave_streams),
            "interleaving",
            "only with partial_delivery and interleave_streams (RFC 8260 section 2.2.1)",
        )?;
        forbid(!self.auth && !self.auth_chunks.is_empty(), "auth_chunks", "only with auth")?;
        forbid(!self.auth_chunks.iter().all(may_be_authenticated), "auth_chunks", "not these types (RFC 4895 section 3.2)")?;
        forbid(!self.auth_hmacs.contains(&HmacId::Sha1), "auth_hmacs", "SHA-1 is one of them (RFC 4895 section 6.1)")?;
        forbid(self.auth_hmacs.len() > 2, "auth_hmacs", "each at most once")?;
        forbid(self.dscp > 63, "dscp", "six bits (RFC 2474)")?;
        forbid(self.flow_label > 0xf_ffff, "flow_label", "20 bits (RFC 6437)")?;
        Ok(())
    }

    /// The chunk types that are taken only if they are authenticated: [`AssocConfig::auth_chunks`], and those that must be
    /// (RFC 5061 section 4.2.7).
    pub(crate) fn required_chunks(&self) -> ChunkTypes {
        let own = (self.auth && self.add_ip).then_some([kind::ASCONF, kind::ASCONF_ACK]);
        own.iter().flatten().fold(self.auth_chunks, |set, kind| set.with(*kind))
    }

    /// Checks whether a living association may change from this configuration to `new`.
    ///
    /// # Errors
    /// `new` is forbidden, or differs in what was settled when the association was opened.
    pub fn validate_change(&self, new: &Self) -> Result<(), ConfigError> {
        new.validate()?;
        let streams = "agreed on when the association was opened (RFC 9260 section 5.1.1)";
        let told = "the peer was told when the association was opened";
        let settled = [
            (self.outbound_streams != new.outbound_streams, "outbound_streams", streams),
            (self.max_inbound_streams != new.max_inbound_streams, "max_inbound_streams", streams),
            (self.initial_window != new.initial_window, "initial_window", "the paths have begun with theirs"),
            (self.ecn != new.ecn, "ecn", "agreed on when the association was opened (RFC 4960 Appendix A)"),
            (self.zero_checksum != new.zero_checksum, "zero_checksum", told),
            (self.auth != new.auth, "auth", told),
            (self.auth_chunks != new.auth_chunks, "auth_chunks", told),
            (self.auth_hmacs != new.auth_hmacs, "auth_hmacs", told),
            (self.add_ip != new.add_ip, "add_ip", told),
            (self.add_ip_without_auth != new.add_ip_without_auth, "add_ip_without_auth", told),
            (self.brief_listing != new.brief_listing, "brief_listing", told),
            (self.adaptation != new.adaptation, "adaptation", told),
            (self.partial_reliability != new.partial_reliability, "partial_reliability", told),
            (self.stream_reset != new.stream_reset, "stream_reset", told),
            (self.interleaving != new.interleaving, "interleaving", told),
            (self.linux_fsn != new.linux_fsn, "linux_fsn", "messages are on their way"),
            (self.families != new.families, "families", told),
            (self.nat != new.nat, "nat", told),
            (self.advertise != new.advertise, "advertise", told),
            (self.mtu != new.mtu, "mtu", "the paths have theirs since the association was opened"),
            (self.max_mtu != new.max_mtu, "max_mtu", "the paths have theirs since the association was opened"),
            (self.pmtu_discovery != new.pmtu_discovery, "pmtu_discovery", "the paths have begun with theirs"),
        ];
        match settled.into_iter().find(|(differs, ..)| *differs) {
            Some((_, field, why)) => Err(ConfigError { field, why }),
            None => Ok(()),
        }
    }
}

impl Default for AssocConfig {
    fn default() -> Self {
        Self::rfc()
    }
}
