//! Messages that both ends make and count alike: see the head of `tools/lab/src/peer.c`.

use std::collections::BTreeMap;

use sctp_user::socket::{RcvInfo, SndInfo};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x100_0000_01b3;

fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |h, b| (h ^ u64::from(*b)).wrapping_mul(FNV_PRIME))
}

fn begin(number: u32, stream: u16) -> u64 {
    hash(hash(FNV_OFFSET, &number.to_be_bytes()), &stream.to_be_bytes())
}

/// The payload of message `number`.
pub(crate) fn fill(number: u32, len: usize) -> Vec<u8> {
    let mut x = u64::from(number);
    let step = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        x.to_be_bytes()[0]
    };
    std::iter::repeat_with(step).take(len).collect()
}

/// How message `number` is to be sent.
pub(crate) fn info(number: u32, streams: u16) -> SndInfo {
    SndInfo::stream(u16::try_from(number % u32::from(streams)).unwrap()).ppid(number)
}

/// What was sent, or what has come.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) sum: u64,
    /// Messages that came before an earlier one of their stream.
    pub(crate) disorder: u64,
    last: BTreeMap<u16, u32>,
    /// The hashes of messages of which parts have come, by stream and by whether they are unordered: with interleaving the parts
    /// of several come in turn.
    partial: BTreeMap<(u16, bool), u64>,
    /// The numbers of those that have come, in that order.
    pub(crate) order: Vec<u32>,
}

impl Tally {
    /// Counts a message that was sent.
    pub(crate) fn sent(&mut self, number: u32, info: &SndInfo, message: &[u8]) {
        self.count += 1;
        self.bytes += message.len() as u64;
        self.sum = self.sum.wrapping_add(hash(begin(number, info.sid.0), message));
    }

    /// Counts a message that came, or a part of one.
    pub(crate) fn received(&mut self, info: &RcvInfo, part: &[u8]) {
        let kind = (info.sid.0, info.unordered);
        let partial = self.partial.remove(&kind);
        assert_eq!(info.offset == 0, partial.is_none(), "a part is missing: {info:?}");
        let h = hash(partial.unwrap_or_else(|| begin(info.ppid.0, info.sid.0)), part);
        self.bytes += part.len() as u64;
        if info.more {
            self.partial.insert(kind, h);
            return;
        }
        self.order.push(info.ppid.0);
        self.count += 1;
        self.sum = self.sum.wrapping_add(h);
        if !info.unordered && self.last.insert(info.sid.0, info.ppid.0).is_some_and(|last| last >= info.ppid.0) {
            self.disorder += 1;
        }
    }

    /// Whether message `number` has come.
    pub(crate) fn has(&self, number: u32) -> bool {
        self.order.contains(&number)
    }

    /// Adds what was counted of other messages.
    pub(crate) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Whether the same messages were counted.
    pub(crate) fn same(&self, other: &Self) -> bool {
        (self.count, self.bytes, self.sum) == (other.count, other.bytes, other.sum)
    }

    /// What the other end counted, from its line.
    pub(crate) fn parse(line: &str) -> Self {
        let field = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key)).unwrap_or("0").to_owned();
        let number = |key: &str| field(key).parse().unwrap();
        let sum = u64::from_str_radix(&field("sum="), 16).unwrap();
        Self { count: number("count="), bytes: number("bytes="), sum, disorder: number("disorder="), ..Self::default() }
    }
}
