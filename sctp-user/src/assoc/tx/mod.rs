//! The sending side: messages in, DATA out, SACKs back in.

mod abandon;
mod configure;
mod echo;
mod format;
mod forward;
mod fragment;
mod moving;
mod opening;
mod outstanding;
mod pause;
mod policy;
mod queue;
mod release;
mod retransmit;
mod rwnd;
mod sack_in;
mod send;
mod snapshot;

#[cfg(test)]
mod abandon_test;
#[cfg(test)]
mod loopback_test;
#[cfg(test)]
mod pause_test;
#[cfg(test)]
mod queue_test;
#[cfg(test)]
mod rules_test;
#[cfg(test)]
mod tx_test;

use core::hint::cold_path;
use std::collections::BTreeMap;

use bytes::Bytes;

use self::echo::Echo;
pub(crate) use self::format::FragmentFormat;
use self::forward::Forward;
use self::outstanding::{ChunkState, Index, Outstanding, Span};
use self::pause::Pause;
use self::policy::Policy;
use self::queue::SendQueue;
use self::rwnd::PeerWindow;
pub(crate) use self::send::Plan;
use crate::config::AssocConfig;
use crate::error::SendError;
use crate::event::{SendOptions, Undelivered};
use crate::num::{KeyId, Ppid, StreamId, Tsn};
use crate::sched;
use crate::stats::AssocStats;
use crate::time::Time;

/// Send buffer bytes for each message that may wait: bounds what tiny messages take beside their payload.
const BUFFER_PER_MESSAGE: usize = 16;
/// Messages that may wait in any case.
const MIN_MESSAGES: usize = 1024;

/// What a SACK changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct SackSummary {
    /// Bytes of DATA chunks newly acknowledged.
    pub(crate) newly_acked_bytes: usize,
    /// Whether the cumulative TSN ack point moved.
    pub(crate) cum_advanced: bool,
    /// Whether it was older than what is known, and ignored.
    pub(crate) stale: bool,
    /// Whether a send that was refused for want of room may be tried again.
    pub(crate) writable: bool,
    /// Whether the association's error counter is to be cleared.
    pub(crate) clear_errors: bool,
}

/// The peer acknowledged what it cannot have received: the association is to be aborted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Violation(pub(crate) &'static str);

/// The beginning of a message has left whose end will never come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Begun;

/// What a T3-rtx expiry means for the error counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct T3Outcome {
    /// Whether an error is to be counted against the path and the association.
    pub(crate) count_error: bool,
}

/// What of the configuration matters to the sender.
#[derive(Clone, Copy, Debug)]
struct TxConfig {
    max_burst: usize,
    max_message: usize,
    send_buffer: usize,
    nagle: bool,
    sender_i_bit: bool,
    repeat_fast_retransmit: bool,
    /// Most user data in one chunk, whatever the path MTU.
    max_fragment: usize,
    fragment: bool,
}

/// Counters of the sender; see [`AssocStats`].
#[derive(Clone, Copy, Default, Debug)]
struct TxStats {
    order: u64,
    unorder: u64,
    user_bytes: u64,
    fragmented: u64,
    rtx: u64,
    fast_rtx: u64,
    fast_recoveries: u64,
    probes: u64,
    t3: u64,
    abandoned_unsent: u64,
    abandoned_sent: u64,
    forward_tsns: u64,
}

/// The sending side of an association.
#[derive(Debug)]
pub(crate) struct Tx {
    cfg: TxConfig,
    /// AMDCS: the longest chunk, header included, that passes on every path of the peer (RFC 9260 section 7.3).
    amdcs: u32,
    /// Bytes of each packet with user data that are not left for it.
    reserve: u16,
    outbound_streams: u16,
    queue: SendQueue,
    /// Streams that wait for their numbers to begin anew.
    pause: Option<Box<Pause>>,
    /// The cumulative TSN ack point before the last change of the numbers: SACKs up to there are late, not wrong.
    before_reset: Option<Tsn>,
    out: Outstanding,
    window: PeerWindow,
    /// Fast Recovery: it ends when this chunk and all before are acknowledged (RFC 9260 section 7.2.4).
    recovery: Option<Index>,
    /// Congestion marks.
    echo: Echo,
    /// Partial reliability.
    forward: Forward,
    /// Fast Recovery just began: one packet goes whatever cwnd says.
    fast_packet: bool,
    /// Packets that may go before the next opportunity (Max.Burst).
    burst: usize,
    /// When a packet that pacing holds back may go.
    release: Option<Time>,
    /// Whether chunks may be in flight that were sent into a closed window.
    blind: bool,
    /// Whether a SACK came since T3-rtx last expired.
    sack_seen: bool,
    shutdown_pending: bool,
    /// The user has said that more follows at once: only full packets go.
    corked: bool,
    /// Whether a message was refused for want of room.
    refused: bool,
    /// What only the sender can count.
    stats: TxStats,
    /// Scratch space for gap ack blocks.
    spans: Vec<Span>,
    /// Scratch space for chunks that a SACK or a timeout concerns.
    changed: Vec<Index>,
}

impl Tx {
    /// Nothing sent yet: the first TSN will be `initial_tsn`, the peer has room for `peer_rwnd` bytes.
    pub(crate) fn new(cfg: &AssocConfig, initial_tsn: Tsn, outbound_streams: u16, peer_rwnd: u32) -> Self {
        Self {
            cfg: TxConfig::of(cfg),
            amdcs: u32::MAX,
            reserve: 0,
            outbound_streams,
            queue: SendQueue::new(sched::new(cfg)),
            pause: None,
            before_reset: None,
            out: Outstanding::new(initial_tsn),
            window: PeerWindow::new(peer_rwnd),
            recovery: None,
            echo: Echo::default(),
            forward: Forward::default(),
            fast_packet: false,
            burst: 0,
            release: None,
            blind: false,
            sack_seen: false,
            shutdown_pending: false,
            corked: false,
            refused: false,
            stats: TxStats::default(),
            spans: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// Accepts a message for sending, and takes it out of `payload` then.
    ///
    /// # Errors
    /// There is no such stream, the message is empty or too long, or the send buffer is full; an empty buffer takes any message.
    pub(crate) fn enqueue(
        &mut self,
        now: Time,
        sid: StreamId,
        ppid: Ppid,
        payload: &mut Bytes,
        opts: SendOptions,
    ) -> Result<(), SendError> {
        if sid.0 >= self.outbound_streams {
            cold_path();
            return Err(SendError::InvalidStream);
        }
        if payload.is_empty() {
            cold_path();
            return Err(SendError::Empty);
        }
        if payload.len() > self.cfg.max_message {
            cold_path();
            return Err(SendError::TooLong { len: payload.len(), max: self.cfg.max_message });
        }
        if !self.cfg.fragment && payload.len() > self.longest_chunk() {
            return Err(SendError::TooLong { len: payload.len(), max: self.longest_chunk() });
        }
        let policy = Policy::new(now, opts.reliability);
        if !self.has_room(payload.len()) && !self.make_room(now, payload.len(), policy) {
            cold_path();
            self.refused = true;
            // What waits for more would wait for ever.
            self.corked = false;
            self.queue.release_unfinished();
            self.begin_opportunity();
            return Err(SendError::WouldBlock);
        }
        let Some(payload) = self.hold(sid, ppid, core::mem::take(payload), opts, policy) else { return Ok(()) };
        self.corked = opts.cork;
        self.queue.push(sid, ppid, payload, opts, policy);
        Ok(())
    }

    /// Whether a message of `len` bytes fits the send buffer.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        let buffered = self.buffered();
        let fits = buffered == 0 || buffered.saturating_add(len) <= self.cfg.send_buffer;
        fits && self.waiting() < self.max_messages()
    }

    /// The paths changed: the longest chunk, header included, that passes on all of them.
    pub(crate) fn set_amdcs(&mut self, amdcs: usize) {
        self.amdcs = u32::try_from(amdcs).unwrap_or(u32::MAX);
    }

    /// Length of a chunk without user data.
    pub(crate) fn header_len(&self) -> usize {
        self.queue.format().header_len()
    }

    /// So many bytes of each packet with user data are needed for something else.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.reserve = u16::try_from(bytes).unwrap_or(u16::MAX);
    }

    /// How many.
    pub(crate) fn reserved(&self) -> usize {
        self.reserve.into()
    }

    /// Whether a message waits, or may have to be sent again, that the user wants authenticated by this very key.
    pub(crate) fn asks_for_key(&self, key: KeyId) -> bool {
        let held = self.pause.as_ref().is_some_and(|p| p.asks_for_key(key));
        held || self.queue.asks_for_key(key) || self.out.iter().any(|c| c.fragment.auth_key == Some(key))
    }

    /// Most user data in a chunk that passes on all paths.
    pub(crate) fn longest_chunk(&self) -> usize {
        let amdcs = usize::try_from(self.amdcs).unwrap_or(usize::MAX);
        amdcs.saturating_sub(self.reserved()).saturating_sub(self.header_len()).min(self.cfg.max_fragment)
    }

    /// Most messages that may wait.
    fn max_messages(&self) -> usize {
        (self.cfg.send_buffer / BUFFER_PER_MESSAGE).max(MIN_MESSAGES)
    }

    /// Whether a message was refused and half of the send buffer is free now; tells it once.
    pub(crate) fn is_writable_again(&mut self) -> bool {
        let room = self.buffered() <= self.cfg.send_buffer / 2 && self.waiting() <= self.max_messages() / 2;
        room && core::mem::take(&mut self.refused)
    }

    /// What it has counted.
    pub(crate) fn stats(&self) -> AssocStats {
        let s = &self.stats;
        AssocStats {
            out_order_chunks: s.order,
            out_unorder_chunks: s.unorder,
            out_user_bytes: s.user_bytes,
            frag_usr_msgs: s.fragmented,
            rtx_chunks: s.rtx,
            fast_rtx_chunks: s.fast_rtx,
            fast_recoveries: s.fast_recoveries,
            window_probes: s.probes,
            t3_expireds: s.t3,
            abandoned_unsent: s.abandoned_unsent,
            abandoned_sent: s.abandoned_sent,
            out_forward_tsns: s.forward_tsns,
            ..AssocStats::default()
        }
    }

    /// Bytes accepted and not yet cumulatively acknowledged.
    pub(crate) fn buffered(&self) -> usize {
        self.queue.bytes() + self.out.payload() + self.pause.as_ref().map_or(0, |p| p.bytes())
    }

    /// Messages that wait to be sent, at least in part.
    fn waiting(&self) -> usize {
        self.queue.messages() + self.pause.as_ref().map_or(0, |p| p.messages())
    }

    /// Whether a message was begun, in parts, and not ended.
    pub(crate) fn has_unfinished(&self) -> bool {
        self.queue.has_unfinished() || self.pause.as_ref().is_some_and(|p| p.has_unfinished())
    }

    /// Takes back the messages that were begun, in parts, and not ended.
    ///
    /// # Errors
    /// The beginning of one has left.
    pub(crate) fn drop_unfinished(&mut self) -> Result<Vec<Undelivered>, Begun> {
        let mut dropped = self.queue.drop_unfinished().ok_or(Begun)?;
        dropped.extend(self.pause.iter_mut().flat_map(|p| p.drop_unfinished()));
        Ok(dropped)
    }

    /// The peer's window as it last told, in bytes.
    pub(crate) fn peer_window(&self) -> usize {
        self.window.advertised()
    }

    /// Chunks that are not cumulatively acknowledged.
    pub(crate) fn unacked(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_untouched(&self) -> bool {
        self.out.is_empty()
    }

    /// Whether everything that was accepted is acknowledged.
    pub(crate) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.out.is_empty() && !self.pause.as_ref().is_some_and(|p| p.is_in_the_way())
    }

    /// The application has closed: what is left is worth an immediate SACK.
    pub(crate) fn set_shutdown_pending(&mut self) {
        self.shutdown_pending = true;
        self.corked = false;
    }

    /// Everything not cumulatively acknowledged, whole messages, oldest first; the sender is empty afterwards. For an association
    /// that ends: the books of its paths are not kept.
    pub(crate) fn take_undelivered(&mut self) -> Vec<Undelivered> {
        // A message that was sent in part may have chunks outstanding, among those of others, and a rest that waits.
        let mut all: BTreeMap<u64, Undelivered> = BTreeMap::new();
        let next_tsn = self.out.tsn(self.out.next_index());
        let out = core::mem::replace(&mut self.out, Outstanding::new(next_tsn));
        for chunk in out.iter().filter(|c| c.state != ChunkState::Abandoned) {
            all.entry(chunk.fragment.seq).or_insert_with(|| chunk.fragment.undelivered());
        }
        for (seq, queued) in self.queue.drain() {
            all.entry(seq).or_insert(queued);
        }
        let held = self.pause.iter_mut().flat_map(|p| p.drain());
        all.into_values().chain(held).collect()
    }
}
