//! All fields of the configuration with what the RFCs call them: what `docs/configuration.md` is made of.

/// When a changed value takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changeable {
    /// On a running association, endpoint or stack, at once.
    Running,
    /// For what is opened afterwards: it was agreed on with the peer, or is the identity of the thing.
    NewOnly,
}

/// One field of a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// The field.
    pub field: &'static str,
    /// Its name or its subject in the RFCs.
    pub name: &'static str,
    /// What its number counts.
    pub unit: &'static str,
    /// Where the rule is.
    pub section: &'static str,
    /// When a change takes effect.
    pub changeable: Changeable,
}

use Changeable::{NewOnly, Running};

const fn p(field: &'static str, name: &'static str, unit: &'static str, section: &'static str, changeable: Changeable) -> Parameter {
    Parameter { field, name, unit, section, changeable }
}

/// The fields of [`AssocConfig`](super::AssocConfig), in their order.
pub const ASSOC: &[Parameter] = &[
    p("rto_initial", "RTO.Initial", "time", "RFC 9260 6.3.1 C1, 16", Running),
    p("rto_min", "RTO.Min", "time", "RFC 9260 6.3.1 C6, 16", Running),
    p("rto_max", "RTO.Max", "time", "RFC 9260 6.3.1 C7, 16", Running),
    p("rto_alpha_shift", "RTO.Alpha", "power of 1/2", "RFC 9260 6.3.1 C3, 16", Running),
    p("rto_beta_shift", "RTO.Beta", "power of 1/2", "RFC 9260 6.3.1 C3, 16", Running),
    p("max_burst", "Max.Burst", "packets", "RFC 9260 6.1 D, 16", Running),
    p("assoc_max_retrans", "Association.Max.Retrans", "errors", "RFC 9260 8.1, 16", Running),
    p("path_max_retrans", "Path.Max.Retrans", "errors", "RFC 9260 8.2, 16", Running),
    p("pf_max_retrans", "PotentiallyFailed.Max.Retrans", "errors, or off", "RFC 7829 3.2", Running),
    p("primary_switch_max_retrans", "Primary.Switchover.Max.Retrans", "errors, or off", "RFC 7829 5", Running),
    p("max_init_retransmits", "Max.Init.Retransmits", "retransmissions", "RFC 9260 4, 16", Running),
    p("max_init_timeout", "longest time-out of INIT", "time, or off for RTO.Max", "RFC 6458 5.3.1", Running),
    p("autoclose", "shutdown when idle", "time, or off", "RFC 6458 8.1.8", Running),
    p("hb_interval", "HB.interval", "time, or off", "RFC 9260 8.3, 16", Running),
    p("nat_keepalive", "HB.interval through a NAT", "time, or off", "RFC 6951 3.2", Running),
    p("hb_max_burst", "HB.Max.Burst", "packets for each RTO", "RFC 9260 5.4, 16", Running),
    p("families", "address types", "families", "RFC 9260 3.3.2.1.6", NewOnly),
    p("nat", "whether there is a NAT", "yes, no or auto", "RFC 6951 5.3", NewOnly),
    p("advertise", "addresses to list", "addresses, or off for our own", "RFC 9260 5.1.2", NewOnly),
    p("sack_delay", "SACK.Delay", "time", "RFC 9260 6.2, 16", Running),
    p("cookie_life", "Valid.Cookie.Life", "time", "RFC 9260 5.1.3, 16", Running),
    p("outbound_streams", "OS in INIT", "streams", "RFC 9260 3.3.2, 5.1.1", NewOnly),
    p("max_inbound_streams", "MIS in INIT", "streams", "RFC 9260 3.3.2, 5.1.1", NewOnly),
    p("recv_buffer", "a_rwnd", "bytes", "RFC 9260 3.3.2, 6.2", Running),
    p("send_buffer", "send buffer", "bytes", "RFC 9260 11.1.5", Running),
    p("max_message", "longest message", "bytes", "RFC 9260 6.9", Running),
    p("max_received_message", "longest message received", "bytes, or off", "RFC 9260 6.9", Running),
    p("partial_delivery", "messages in parts", "yes or no", "RFC 9260 6.9", Running),
    p("partial_delivery_point", "when a message comes in parts", "bytes, or off for a full buffer", "RFC 6458 8.1.21", Running),
    p("interleave_streams", "other streams between parts", "yes or no", "RFC 6458 8.1.20", Running),
    p("mtu", "path MTU at the start", "bytes", "RFC 9260 7.3", NewOnly),
    p("pmtu_discovery", "path MTU discovery", "yes or no", "RFC 9260 7.3, RFC 8899", NewOnly),
    p("max_mtu", "interface MTU", "bytes", "RFC 8899 5.1.2", NewOnly),
    p("max_fragment", "most user data in a chunk", "bytes, or off", "RFC 9260 6.9, RFC 6458 8.1.16", Running),
    p("fragment", "messages may be fragmented", "yes or no", "RFC 9260 6.9", Running),
    p("nagle", "Nagle's rule", "yes or no", "RFC 9260 6.1", Running),
    p("sender_i_bit", "the sender's use of the I bit", "yes or no", "RFC 9260 6.1", Running),
    p("repeat_fast_retransmit", "fast retransmission of a chunk more than once", "yes or no", "RFC 9260 7.2.4 rule 5", Running),
    p("congestion", "congestion control", "algorithm", "RFC 9260 7.2, RFC 9438", Running),
    p("slow_start_l", "L", "PMDCS per SACK", "RFC 9260 7.2.1", Running),
    p("initial_window", "initial congestion window", "bytes, or the largest allowed", "RFC 9260 7.2.1", NewOnly),
    p("sack_frequency", "packets for each SACK", "packets", "RFC 9260 6.2", Running),
    p("ack_per_batch", "one SACK for what arrives together", "yes or no", "RFC 9260 6.2", Running),
    p("ecn", "explicit congestion notification", "yes or no", "RFC 4960 A, RFC 3168", NewOnly),
    p("zero_checksum", "zero checksum over lower layers", "yes or no", "RFC 9653", NewOnly),
    p("auth", "authentication of chunks", "yes or no", "RFC 4895", NewOnly),
    p("auth_chunks", "CHUNKS", "chunk types", "RFC 4895 3.2, 6.1", NewOnly),
    p("auth_hmacs", "HMAC-ALGO", "algorithms", "RFC 4895 3.3, 6.1", NewOnly),
    p("auth_keys", "endpoint pair shared keys", "keys", "RFC 4895 6.1", Running),
    p("add_ip", "dynamic address reconfiguration", "yes or no", "RFC 5061", NewOnly),
    p("add_ip_without_auth", "addresses change without authentication", "yes or no", "RFC 5061 4.1.1", NewOnly),
    p("auto_asconf", "peers are told of the host's addresses", "yes or no", "RFC 6458 8.1.23", Running),
    p("brief_listing", "an INIT lists few addresses", "yes or no", "RFC 9260 5.1.2, RFC 5061 5.1", NewOnly),
    p("adaptation", "adaptation layer indication", "32 bits, or off", "RFC 5061 4.2.6", NewOnly),
    p("partial_reliability", "partial reliability", "yes or no", "RFC 3758", NewOnly),
    p("stream_reset", "stream reconfiguration", "yes or no", "RFC 6525", NewOnly),
    p("accept_stream_reset", "resets of streams by the peer", "yes or no", "RFC 6525 6.3.1", Running),
    p("accept_association_reset", "resets of all TSNs by the peer", "yes or no", "RFC 6525 6.3.1", Running),
    p("accept_added_streams", "streams added by the peer", "yes or no", "RFC 6525 6.3.1", Running),
    p("max_outbound_streams", "most outbound streams", "streams", "RFC 6525 5.2.6", Running),
    p("interleaving", "user message interleaving", "yes or no", "RFC 8260", NewOnly),
    p("linux_fsn", "I-DATA as Linux numbers it", "yes or no", "RFC 8260 2.1", NewOnly),
    p("scheduler", "stream scheduler", "algorithm", "RFC 8260 3", Running),
    p("stream_values", "priorities or weights of streams", "values by stream", "RFC 8260 4.3.3", Running),
    p("dscp", "DSCP", "code point", "RFC 9260 11.1.13, RFC 2474", Running),
    p("flow_label", "IPv6 flow label", "20 bits", "RFC 6437", Running),
];

/// The fields of [`EndpointConfig`](super::EndpointConfig), in their order.
pub const ENDPOINT: &[Parameter] = &[
    p("port", "SCTP port", "0 for any", "RFC 9260 11.1.1", NewOnly),
    p("assoc", "values for new associations", "see above", "RFC 9260 16", Running),
    p("bind", "our addresses", "addresses, or none for all", "RFC 9260 11.1.1", NewOnly),
    p("backlog", "associations not yet accepted", "associations", "RFC 9260 5.1", Running),
];

/// The fields of [`StackConfig`](super::StackConfig), in their order.
pub const STACK: &[Parameter] = &[
    p("default_channel", "encapsulation", "UDP ports", "RFC 6951 5.1", Running),
    p("further_channels", "what is tried next", "at most 7 channels", "RFC 6951 5.1", Running),
    p("private_channels", "channels with addresses of their own", "channels", "RFC 8261 6.1", NewOnly),
    p("max_associations", "most associations", "associations", "RFC 9260 5.1", Running),
    p("ootb_per_second", "answers to packets out of the blue", "per second and prefix", "RFC 9260 8.4", Running),
    p("init_ack_per_second", "INIT ACKs", "per second and prefix", "RFC 9260 5.1", Running),
    p("blackhole", "silence towards strangers", "yes or no", "RFC 9260 8.4", Running),
    p("raw_alone", "the only SCTP on raw IP", "yes or no", "RFC 9260 8.4", Running),
    p("ecn_marks", "whether the transport reads and sets ECN marks", "yes or no", "RFC 4960 A", NewOnly),
];
