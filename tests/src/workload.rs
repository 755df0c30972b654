//! What an application sends: a plan that is known beforehand, so that the receiver can judge every byte.

use core::time::Duration;

use bytes::Bytes;
use sctp_user::{Entropy, Reliability};

/// The payload protocol identifier of a plan's first message: far from those that mean something.
pub const FIRST_PPID: u32 = 0x7e57_0000;

/// One message of a plan. Its place in the plan travels as its payload protocol identifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planned {
    /// When it is sent at the earliest, counted from the start of the association.
    pub at: Duration,
    /// Stream.
    pub sid: u16,
    /// Whether it is sent unordered.
    pub unordered: bool,
    /// Length in bytes, at least 1.
    pub len: usize,
    /// Whether it may be abandoned.
    pub reliability: Reliability,
}

/// Any policy of partial reliability (RFC 3758, RFC 7496); one message in two is never abandoned.
pub fn any_reliability(rng: &mut dyn Entropy) -> Reliability {
    let small = |rng: &mut dyn Entropy, most: u64| u32::try_from(rng.below(most)).unwrap_or(0);
    match rng.below(6) {
        0 => Reliability::Lifetime(Duration::from_millis(rng.below(5_000))),
        1 => Reliability::Retransmissions(small(rng, 4)),
        2 => Reliability::Priority(small(rng, 3)),
        _ => Reliability::Full,
    }
}

/// The messages of one direction.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Workload {
    /// Distinguishes the contents of this workload from those of others.
    pub key: u64,
    /// In the order in which they are given to the stack.
    pub messages: Vec<Planned>,
}

impl Workload {
    /// No message.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// `count` ordered messages of `len` bytes on stream 0, as fast as they are taken.
    #[must_use]
    pub fn steady(key: u64, count: usize, len: usize) -> Self {
        let message = Planned { at: Duration::ZERO, sid: 0, unordered: false, len, reliability: Reliability::Full };
        Self { key, messages: vec![message; count] }
    }

    /// `count` messages of 1 byte to 64 KiB, short ones far more often, on several streams, some unordered, with pauses between.
    pub fn mixed(rng: &mut dyn Entropy, count: usize, streams: u16) -> Self {
        let mut at = Duration::ZERO;
        let messages = (0..count)
            .map(|_| {
                // A pause now and then lets everything drain, so that delayed SACKs and the restart after idling occur, too.
                if rng.below(8) == 0 {
                    at += Duration::from_millis(rng.below(3_000));
                }
                let most = 1 << (4 + rng.below(13));
                Planned {
                    at,
                    sid: u16::try_from(rng.below(u64::from(streams))).unwrap_or(0),
                    unordered: rng.below(4) == 0,
                    len: usize::try_from(1 + rng.below(most)).unwrap_or(1),
                    reliability: Reliability::Full,
                }
            })
            .collect();
        Self { key: rng.u64(), messages }
    }

    /// The same with messages that may be abandoned.
    #[must_use]
    pub fn partly_reliable(mut self, rng: &mut dyn Entropy) -> Self {
        for m in &mut self.messages {
            m.reliability = any_reliability(rng);
        }
        self
    }

    /// The bytes of message `index`.
    #[must_use]
    pub fn payload(&self, index: usize) -> Bytes {
        let len = self.messages.get(index).map_or(0, |m| m.len);
        let mut state = self.key ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
        while bytes.len() < len {
            // SplitMix64: every word depends on the message and on its place.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
        }
        bytes.truncate(len);
        bytes.into()
    }

    /// The sum of all lengths.
    #[must_use]
    pub fn total(&self) -> usize {
        self.messages.iter().map(|m| m.len).sum()
    }
}
