//! Counters: of a stack, an association, a path. Plain numbers, counted where things happen, since the start.
//!
//! The counters of RFC 3873 (the MIB of SCTP) have the RFC's names in snake case; their comments name the object. The others are
//! for whoever asks where the time or the memory went. [`AssocStats::iter`] and its likes list all with their names, for programs
//! that export them.

/// A structure of counters: each with its name for [`iter`](AssocStats::iter), and whether the sum or the maximum counts when two are taken together.
macro_rules! counters {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $kind:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl $name {
            /// All counters with their names.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($field), self.$field),)*].into_iter()
            }

            /// Takes in what another has counted.
            pub fn add(&mut self, other: &Self) {
                $(counters!(@$kind self.$field, other.$field);)*
            }
        }
    };
    (@sum $a:expr, $b:expr) => { $a = $a.wrapping_add($b) };
    (@max $a:expr, $b:expr) => { $a = $a.max($b) };
}

counters! {
    /// Counters of an association. [`crate::Assoc::stats`] answers them; those of a stack include them all.
    AssocStats {
        /// Control chunks sent, retransmissions included: sctpOutCtrlChunks.
        out_ctrl_chunks: sum,
        /// Ordered DATA chunks sent, retransmissions not included: sctpOutOrderChunks.
        out_order_chunks: sum,
        /// Unordered DATA chunks sent, retransmissions not included: sctpOutUnorderChunks.
        out_unorder_chunks: sum,
        /// Control chunks received: sctpInCtrlChunks.
        in_ctrl_chunks: sum,
        /// Ordered DATA chunks received, no duplicates: sctpInOrderChunks.
        in_order_chunks: sum,
        /// Unordered DATA chunks received, no duplicates: sctpInUnorderChunks.
        in_unorder_chunks: sum,
        /// Messages that had to be fragmented: sctpFragUsrMsgs.
        frag_usr_msgs: sum,
        /// Messages put together from fragments: sctpReasmUsrMsgs.
        reasm_usr_msgs: sum,
        /// SCTP packets sent: sctpOutSCTPPacks.
        out_sctp_packs: sum,
        /// SCTP packets received: sctpInSCTPPacks.
        in_sctp_packs: sum,
        /// Expiries of T1: sctpAssocT1expireds.
        t1_expireds: sum,
        /// Expiries of T2: sctpAssocT2expireds.
        t2_expireds: sum,
        /// DATA chunks sent again: sctpAssocRtxChunks, fast retransmissions included.
        rtx_chunks: sum,
        /// Bytes of SCTP packets sent.
        out_bytes: sum,
        /// Bytes of SCTP packets received.
        in_bytes: sum,
        /// Packets with DATA sent.
        out_data_packs: sum,
        /// Packets with DATA received.
        in_data_packs: sum,
        /// User data in DATA chunks sent for the first time, in bytes.
        out_user_bytes: sum,
        /// User data in DATA chunks taken in, in bytes.
        in_user_bytes: sum,
        /// SACKs sent.
        out_sacks: sum,
        /// SACKs received.
        in_sacks: sum,
        /// Gap ack blocks in SACKs received: what is missing at the peer.
        in_gap_blocks: sum,
        /// Gap ack blocks in SACKs sent: what is missing here.
        out_gap_blocks: sum,
        /// Duplicate TSNs that the peer reported: needless retransmissions of ours.
        in_duplicate_reports: sum,
        /// Expiries of T3-rtx with data outstanding.
        t3_expireds: sum,
        /// DATA chunks marked by three missing reports (Fast Retransmit).
        fast_rtx_chunks: sum,
        /// Times that Fast Recovery was entered.
        fast_recoveries: sum,
        /// DATA chunks sent into a closed window: probes.
        window_probes: sum,
        /// DATA chunks received more than once.
        duplicate_chunks: sum,
        /// DATA chunks dropped for want of room: not acknowledged.
        no_room_chunks: sum,
        /// HEARTBEATs sent, with those that probe the path MTU.
        out_heartbeats: sum,
        /// HEARTBEATs received.
        in_heartbeats: sum,
        /// HEARTBEAT ACKs received that answer one of ours.
        in_heartbeat_acks: sum,
        /// Packets with DATA received with a congestion mark.
        in_marked_packs: sum,
        /// ECNEs sent.
        out_ecnes: sum,
        /// ECNEs received.
        in_ecnes: sum,
        /// CWRs sent.
        out_cwrs: sum,
        /// CWRs received.
        in_cwrs: sum,
        /// Packets sent with a checksum of zero (RFC 9653).
        out_zero_checksums: sum,
        /// Packets received with a checksum of zero that was agreed on (RFC 9653).
        in_zero_checksums: sum,
        /// Requests to reconfigure streams sent, retransmissions not included.
        out_reconfig_requests: sum,
        /// Requests to reconfigure streams received, retransmissions included.
        in_reconfig_requests: sum,
        /// Expiries of the Re-configuration Timer.
        reconfig_expireds: sum,
        /// Times that the window was reduced for congestion marks.
        ecn_reductions: sum,
        /// ASCONFs sent (RFC 5061), retransmissions included.
        out_asconfs: sum,
        /// ASCONFs received.
        in_asconfs: sum,
        /// ASCONF-ACKs sent.
        out_asconf_acks: sum,
        /// ASCONF-ACKs received.
        in_asconf_acks: sum,
        /// Expiries of T4: ASCONFs that were not answered in time.
        t4_expireds: sum,
        /// AUTH chunks received.
        in_auths: sum,
        /// AUTH chunks received whose code was wrong, or whose key or algorithm we have not: what stood behind them was dropped.
        bad_auths: sum,
        /// Chunks dropped because they came without authentication and must not.
        in_unauthenticated_chunks: sum,
        /// AUTH chunks sent.
        out_auths: sum,
        /// Control chunks that found no room in their queue: the peer asks again.
        dropped_controls: sum,
        /// Notifications that a peer caused and the program was too slow to take.
        dropped_events: sum,
        /// Messages given up (RFC 3758, RFC 7496) before anything of them was sent.
        abandoned_unsent: sum,
        /// Messages given up after something of them was sent.
        abandoned_sent: sum,
        /// FORWARD TSNs and I-FORWARD-TSNs sent.
        out_forward_tsns: sum,
        /// FORWARD TSNs and I-FORWARD-TSNs received.
        in_forward_tsns: sum,
        /// Packets in the longest train sent in one system call.
        largest_train_out: max,
    }
}

/// Messages that were given up (RFC 7496 section 4.3).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Abandoned {
    /// Before anything of them was sent.
    pub unsent: u64,
    /// After something of them was sent.
    pub sent: u64,
}

counters! {
    /// Counters of one path since it exists.
    PathStats {
        /// SCTP packets sent.
        out_packs: sum,
        /// Bytes of SCTP packets sent.
        out_bytes: sum,
        /// SCTP packets received.
        in_packs: sum,
        /// Bytes of SCTP packets received.
        in_bytes: sum,
        /// DATA chunks sent again on this path: sctpAssocRemAddrRtx.
        rtx_chunks: sum,
        /// Expiries of T3-rtx with data outstanding.
        t3_expireds: sum,
        /// HEARTBEATs sent.
        out_heartbeats: sum,
        /// HEARTBEAT ACKs received.
        in_heartbeat_acks: sum,
    }
}

counters! {
    /// Counters of a stack that belong to no association.
    StackCounters {
        /// Associations that we opened and that came up: sctpActiveEstabs.
        active_estabs: sum,
        /// Associations that peers opened: sctpPassiveEstabs.
        passive_estabs: sum,
        /// Associations that ended otherwise than gracefully: sctpAborteds, with those that were lost.
        aborteds: sum,
        /// Associations that ended gracefully: sctpShutdowns.
        shutdowns: sum,
        /// Packets out of the blue: sctpOutOfBlues.
        out_of_blues: sum,
        /// Packets with a wrong checksum: sctpChecksumErrors.
        checksum_errors: sum,
        /// Packets received, those that were dropped included.
        packets_in: sum,
        /// Packets sent.
        packets_out: sum,
        /// Bytes of packets received.
        bytes_in: sum,
        /// Bytes of packets sent.
        bytes_out: sum,
        /// Packets in the longest train received at once.
        largest_train_in: max,
        /// Packets dropped before any chunk was looked at, wrong checksums included.
        bad_packets: sum,
        /// Packets dropped for their verification tag.
        bad_tags: sum,
        /// INITs received.
        inits: sum,
        /// COOKIE ECHOs received.
        cookies: sum,
        /// COOKIE ECHOs with a cookie that is not ours, not for this packet, or stale.
        bad_cookies: sum,
        /// COOKIE ECHOs that had to be authenticated (RFC 4895) and were not.
        unauthenticated_cookies: sum,
        /// Answers to strangers, INIT ACKs included, that a limit suppressed.
        limited_answers: sum,
        /// Answers to strangers for which there was no room.
        dropped_answers: sum,
        /// Associations refused for want of resources.
        refused: sum,
        /// Restarts of peers.
        restarts: sum,
    }
}

/// Counters of a stack: its own, and the sums over all its associations, those that are gone included.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct StackStats {
    /// Associations in the states ESTABLISHED, SHUTDOWN-PENDING and SHUTDOWN-RECEIVED: sctpCurrEstab.
    pub curr_estab: u64,
    /// Associations in any state, those included that are lost and wait to be read.
    pub associations: u64,
    /// What belongs to no association.
    pub stack: StackCounters,
    /// Sums over all associations.
    pub assocs: AssocStats,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_and_have_names() {
        let mut a = AssocStats { out_sacks: 2, largest_train_out: 7, ..AssocStats::default() };
        a.add(&AssocStats { out_sacks: 3, largest_train_out: 5, ..AssocStats::default() });
        let find = |name| a.iter().find(|(n, _)| *n == name).unwrap().1;
        assert_eq!((find("out_sacks"), find("largest_train_out"), find("in_sacks")), (5, 7, 0));
        assert!(PathStats::default().iter().count() >= 8);
    }

    /// Each counter of RFC 3873 has its field.
    #[test]
    fn the_counters_of_the_mib_are_there_by_name() {
        let (a, s) = (AssocStats::default(), StackCounters::default());
        let names: Vec<_> = a.iter().chain(s.iter()).map(|(n, _)| n.replace('_', "")).collect();
        let mib = [
            "ActiveEstabs",
            "PassiveEstabs",
            "Aborteds",
            "Shutdowns",
            "OutOfBlues",
            "ChecksumErrors",
            "OutCtrlChunks",
            "OutOrderChunks",
            "OutUnorderChunks",
            "InCtrlChunks",
            "InOrderChunks",
            "InUnorderChunks",
            "FragUsrMsgs",
            "ReasmUsrMsgs",
            "OutSCTPPacks",
            "InSCTPPacks",
            "T1expireds",
            "T2expireds",
            "RtxChunks",
        ];
        for name in mib {
            assert!(names.contains(&name.to_lowercase()), "{name}");
        }
    }
}
