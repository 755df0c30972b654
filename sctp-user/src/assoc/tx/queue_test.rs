//! The send queue against a model, with messages that come in parts, with all schedulers, by messages and by chunks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;

use super::format::FragmentFormat;
use super::policy::Policy;
use super::queue::SendQueue;
use crate::assoc::streams::Streams;
use crate::config::{AssocConfig, StreamScheduler};
use crate::event::SendOptions;
use crate::num::{Ppid, StreamId};
use crate::sched::{self, Scheduler};

#[derive(Clone, Debug)]
enum Op {
    Push { sid: u16, len: usize, unordered: bool, unfinished: bool },
    Pop { max: usize },
    Full,
    Drop,
    EndPacket,
    Scheduler(u8),
}

/// One of the schedulers, with values for its streams.
fn scheduler(n: u8) -> Box<dyn Scheduler> {
    use StreamScheduler::{FairCapacity, FirstCome, Priority, RoundRobin, RoundRobinPacket, WeightedFair};
    let all = [FirstCome, RoundRobin, RoundRobinPacket, Priority, FairCapacity, WeightedFair];
    let stream_values = BTreeMap::from([(StreamId(0), u16::from(n / 6)), (StreamId(2), 3)]);
    sched::new(&AssocConfig { scheduler: all[usize::from(n % 6)], stream_values, ..AssocConfig::rfc() })
}

fn op() -> impl Strategy<Value = Op> {
    let len = prop_oneof![1..300_usize, 20_000..70_000_usize];
    prop_oneof![
        4 => (0..3_u16, len, any::<bool>(), any::<bool>()).prop_map(|(sid, len, unordered, unfinished)| Op::Push { sid, len, unordered, unfinished }),
        6 => (1..40_000_usize).prop_map(|max| Op::Pop { max }),
        2 => Just(Op::EndPacket),
        1 => any::<u8>().prop_map(Op::Scheduler),
        1 => Just(Op::Full),
        1 => Just(Op::Drop),
    ]
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Message {
    bytes: Vec<u8>,
    unordered: bool,
    ended: bool,
    /// How much of it has left.
    sent: usize,
}

#[derive(Default)]
struct Model {
    interleaving: bool,
    streams: BTreeMap<u16, VecDeque<Message>>,
    /// Of ordered and of unordered messages.
    next_mid: BTreeMap<(u16, bool), u32>,
    next_fsn: BTreeMap<u16, u32>,
    /// The streams of the messages that are going out.
    begun: BTreeSet<u16>,
    pushes: u8,
}

impl Model {
    fn push(&mut self, sid: u16, len: usize, unordered: bool, unfinished: bool) -> Bytes {
        self.pushes = self.pushes.wrapping_add(1);
        let part = vec![self.pushes; len];
        let stream = self.streams.entry(sid).or_default();
        if stream.back().is_none_or(|m| m.ended) {
            stream.push_back(Message { unordered, ..Message::default() });
        }
        let message = stream.back_mut().unwrap();
        message.bytes.extend_from_slice(&part);
        message.ended = !unfinished;
        part.into()
    }

    fn unsent(&self) -> usize {
        self.streams.values().flatten().map(|m| m.bytes.len() - m.sent).sum()
    }

    /// Whether something must go out: there is a whole message, and nothing unfinished keeps the others.
    fn must_send(&self) -> bool {
        let mut begun = self.begun.iter().filter_map(|sid| self.streams[sid].front());
        if begun.any(|m| m.sent < m.bytes.len()) {
            return true;
        }
        let open = |sid: &u16| self.begun.contains(sid);
        let free = self.interleaving || self.begun.is_empty();
        free && self.streams.iter().filter(|(sid, _)| !open(sid)).any(|(_, s)| s.iter().any(|m| m.ended))
    }
}

fn pop(q: &mut SendQueue, model: &mut Model, max: usize) -> bool {
    let next = q.next_len(max);
    let Some(f) = q.pop(max) else {
        assert_eq!(next, None);
        assert!(!model.must_send(), "something waits for no reason");
        return false;
    };
    assert!(next == Some(f.len) && f.len <= max && f.len > 0);
    assert!(model.interleaving || model.begun.iter().all(|sid| *sid == f.sid.0), "a message inside another");
    assert_eq!(f.begin(), !model.begun.contains(&f.sid.0));
    let stream = model.streams.get_mut(&f.sid.0).unwrap();
    let message = stream.front_mut().unwrap();
    assert_eq!(f.payload(), &message.bytes[message.sent..message.sent + f.len]);
    assert_eq!(f.unordered, message.unordered);
    let mid = model.next_mid.entry((f.sid.0, message.unordered)).or_default();
    let fsn = model.next_fsn.entry(f.sid.0).or_default();
    assert_eq!((f.mid.0, f.fsn.0), (*mid, *fsn));
    assert_eq!(u32::from(f.ssn().0), if message.unordered { 0 } else { *mid });
    message.sent += f.len;
    *fsn += 1;
    model.begun.insert(f.sid.0);
    assert_eq!(f.end(), message.ended && message.sent == message.bytes.len());
    if f.end() {
        *mid += 1;
        *fsn = 0;
        stream.pop_front();
        model.begun.remove(&f.sid.0);
    }
    true
}

fn push(q: &mut SendQueue, model: &mut Model, sid: u16, len: usize, unordered: bool, unfinished: bool) {
    let payload = model.push(sid, len, unordered, unfinished);
    let opts = SendOptions { unordered, unfinished, ..SendOptions::default() };
    q.push(StreamId(sid), Ppid(u32::from(sid)), payload, opts, Policy::Reliable);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn messages_in_parts_stay_together_and_lose_nothing(
        ops in proptest::collection::vec(op(), 1..60),
        interleaving: bool,
        first in any::<u8>(),
    ) {
        let mut q = SendQueue::new(scheduler(first));
        q.set_format(FragmentFormat::of(interleaving));
        let mut model = Model { interleaving, ..Model::default() };
        for op in ops {
            match op {
                Op::Push { sid, len, unordered, unfinished } => push(&mut q, &mut model, sid, len, unordered, unfinished),
                Op::Pop { max } => {
                    pop(&mut q, &mut model, max);
                }
                Op::Full => q.release_unfinished(),
                Op::EndPacket => q.end_packet(),
                Op::Scheduler(n) => q.set_scheduler(scheduler(n)),
                Op::Drop => {
                    let begun = model.begun.iter().any(|sid| model.streams[sid].front().is_some_and(|m| !m.ended));
                    match q.drop_unfinished() {
                        None => prop_assert!(begun, "nothing of it has left"),
                        Some(dropped) => {
                            prop_assert!(!begun);
                            let mut bytes = 0;
                            for stream in model.streams.values_mut() {
                                bytes += stream.pop_back_if(|m| !m.ended).map_or(0, |m| m.bytes.len());
                            }
                            prop_assert_eq!(dropped.iter().map(|d| d.message.payload.len()).sum::<usize>(), bytes);
                            prop_assert!(dropped.iter().all(|d| !d.sent));
                        }
                    }
                }
            }
            prop_assert_eq!(q.bytes(), model.unsent());
            let open = model.streams.values().any(|s| s.back().is_some_and(|m| !m.ended));
            prop_assert_eq!(q.has_unfinished(), open);
        }
        for sid in 0..3 {
            push(&mut q, &mut model, sid, 1, false, false);
        }
        while pop(&mut q, &mut model, 10_000) {}
        prop_assert!(q.is_empty() && q.bytes() == 0 && model.unsent() == 0 && !q.has_unfinished());
    }
}

/// RFC 8260 rows: 2.3.2-1.
#[test]
fn both_counters_of_messages_begin_anew() {
    let mut q = SendQueue::new(scheduler(1));
    q.set_format(FragmentFormat::IData);
    let numbers = |q: &mut SendQueue| {
        for opts in [SendOptions::ordered(), SendOptions::unordered(), SendOptions::ordered(), SendOptions::unordered()] {
            q.push(StreamId(1), Ppid(0), Bytes::from_static(b"message"), opts, Policy::Reliable);
        }
        core::iter::from_fn(|| q.pop(100)).map(|f| (f.unordered, f.mid.0)).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&mut q), [(false, 0), (true, 0), (false, 1), (true, 1)]);
    q.begin_anew(&Streams::listed([StreamId(2)]));
    assert_eq!(numbers(&mut q), [(false, 2), (true, 2), (false, 3), (true, 3)]);
    q.begin_anew(&Streams::listed([StreamId(1)]));
    assert_eq!(numbers(&mut q), [(false, 0), (true, 0), (false, 1), (true, 1)]);
}
