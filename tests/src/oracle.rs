//! The delivery oracle: every message exactly once, unchanged, and in order per stream where it was sent so. Where partial
//! reliability allows it, a message may be missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sctp_user::{Message, Reliability};

use crate::workload::{FIRST_PPID, Workload};

/// Judges what one side receives of the other side's workload.
#[derive(Debug)]
pub struct Oracle {
    plan: Arc<Workload>,
    seen: Vec<bool>,
    delivered: usize,
    /// The messages of which parts have come, by stream and order, and their bytes so far.
    partial: BTreeMap<(u16, bool), (Message, Vec<u8>)>,
    /// Whether parts of messages of several streams may come in turn.
    interleaved: bool,
    /// Whether streams may begin anew (RFC 6525), so that sequence numbers tell nothing.
    renumbered: bool,
    /// How many messages came in parts.
    in_parts: usize,
    /// How many messages of which parts had come were never completed.
    cut_off: usize,
    ordered: BTreeMap<u16, Order>,
}

/// The ordered messages of a stream.
#[derive(Default, Debug)]
struct Order {
    /// In the order of the plan.
    order: Vec<usize>,
    /// How many of them have come, or will not come any more.
    next: usize,
    /// The least stream sequence number of the next one.
    ssn: u16,
}

impl Oracle {
    /// Expects the messages of `plan`.
    #[must_use]
    pub fn new(plan: Arc<Workload>) -> Self {
        let mut ordered: BTreeMap<u16, Order> = BTreeMap::new();
        for (i, m) in plan.messages.iter().enumerate().filter(|(_, m)| !m.unordered) {
            ordered.entry(m.sid).or_default().order.push(i);
        }
        Self {
            seen: vec![false; plan.messages.len()],
            delivered: 0,
            partial: BTreeMap::new(),
            interleaved: false,
            renumbered: false,
            in_parts: 0,
            cut_off: 0,
            ordered,
            plan,
        }
    }

    /// Allows parts of messages of several streams in turn (level 2 of RFC 6458 section 8.1.20).
    #[must_use]
    pub const fn interleaved(mut self) -> Self {
        self.interleaved = true;
        self
    }

    /// Allows streams to begin anew (RFC 6525): sequence numbers are not judged.
    #[must_use]
    pub const fn renumbered(mut self) -> Self {
        self.renumbered = true;
        self
    }

    /// Judges a message, or a part of one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn accept(&mut self, m: &Message) -> Result<(), String> {
        let key = (m.sid.0, m.unordered);
        if !self.interleaved {
            // Something else: the association ended, or began anew, or the message was abandoned, in the middle of it.
            let before = self.partial.len();
            self.partial.retain(|k, _| *k == key && m.offset > 0);
            self.cut_off += before - self.partial.len();
        }
        let (first, mut bytes) = match self.partial.remove(&key) {
            None if m.is_whole() => return self.accept_whole(m),
            None => (Message { payload: Bytes::new(), ..m.clone() }, Vec::new()),
            Some(_) if m.offset == 0 => {
                self.cut_off += 1;
                return self.accept(m);
            }
            Some(begun) => begun,
        };
        let same = (m.sid, m.ssn, m.ppid, m.unordered) == (first.sid, first.ssn, first.ppid, first.unordered);
        if !same || m.offset != bytes.len() as u64 || m.payload.is_empty() {
            return Err(format!("{m:?} behind {} bytes of {first:?}", bytes.len()));
        }
        bytes.extend_from_slice(&m.payload);
        if m.more {
            self.partial.insert(key, (first, bytes));
            return Ok(());
        }
        self.in_parts += 1;
        self.accept_whole(&Message::whole(m.sid, m.ssn, m.ppid, m.unordered, bytes.into()))
    }

    /// How many messages came in parts.
    #[must_use]
    pub const fn in_parts(&self) -> usize {
        self.in_parts
    }

    /// How many messages of which parts had come were never completed; the association has to say so.
    #[must_use]
    pub const fn cut_off(&self) -> usize {
        self.cut_off
    }

    /// Whether a message has come in part only so far.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    fn accept_whole(&mut self, m: &Message) -> Result<(), String> {
        let index = m.ppid.0.wrapping_sub(FIRST_PPID) as usize;
        let Some(planned) = self.plan.messages.get(index) else { return Err(format!("a message that was never sent: ppid {}", m.ppid)) };
        let name = format!("message {index} (stream {}, {} bytes)", planned.sid, planned.len);
        if (m.sid.0, m.unordered) != (planned.sid, planned.unordered) {
            return Err(format!("{name} came on stream {} with unordered = {}", m.sid, m.unordered));
        }
        if m.payload.len() != planned.len {
            return Err(format!("{name} came with {} bytes", m.payload.len()));
        }
        if m.payload != self.plan.payload(index) {
            return Err(format!("{name} came with another content"));
        }
        match self.seen.get_mut(index) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(format!("{name} came twice")),
        }
        self.delivered += 1;
        if planned.unordered { Ok(()) } else { self.in_order(index, m.ssn.0, &name) }
    }

    /// Judges the place of an ordered message in its stream.
    fn in_order(&mut self, index: usize, ssn: u16, name: &str) -> Result<(), String> {
        let Some(stream) = self.plan.messages.get(index).and_then(|m| self.ordered.get_mut(&m.sid)) else { return Ok(()) };
        let before = stream.next.checked_sub(1).and_then(|n| stream.order.get(n));
        let Some(skipped) = stream.order.iter().skip(stream.next).position(|i| *i == index) else {
            return Err(format!("{name} comes behind message {before:?} of its stream"));
        };
        let must_come = |i: &&usize| self.plan.messages.get(**i).is_none_or(|m| m.reliability == Reliability::Full);
        if let Some(overtaken) = stream.order.iter().skip(stream.next).take(skipped).find(must_come) {
            return Err(format!("{name} overtook message {overtaken}"));
        }
        // A message that was abandoned has a number if some of it was sent, and none otherwise.
        if !self.renumbered && usize::from(ssn.wrapping_sub(stream.ssn)) > skipped {
            return Err(format!("{name} has stream sequence number {ssn}, not {} to {skipped} more", stream.ssn));
        }
        stream.next += skipped + 1;
        stream.ssn = ssn.wrapping_add(1);
        Ok(())
    }

    /// How many messages came.
    #[must_use]
    pub const fn delivered(&self) -> usize {
        self.delivered
    }

    /// Whether all came that have to.
    #[must_use]
    pub fn complete(&self) -> bool {
        let must_come = self.plan.messages.iter().map(|m| m.reliability == Reliability::Full);
        self.delivered == self.seen.len() || self.seen.iter().zip(must_come).all(|(seen, must)| *seen || !must)
    }

    /// Whether a message came.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        self.seen.get(index).is_some_and(|seen| *seen)
    }

    /// The messages that did not come.
    #[must_use]
    pub fn missing(&self) -> Vec<usize> {
        self.seen.iter().enumerate().filter(|(_, seen)| !**seen).map(|(i, _)| i).collect()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use sctp_user::{Ppid, Ssn, StreamId};

    use super::*;

    fn message(plan: &Workload, index: usize, ssn: u16) -> Message {
        let m = plan.messages[index];
        let ppid = Ppid(FIRST_PPID + u32::try_from(index).unwrap());
        Message::whole(StreamId(m.sid), Ssn(ssn), ppid, m.unordered, plan.payload(index))
    }

    fn plan() -> Arc<Workload> {
        let mut w = Workload::steady(7, 4, 100);
        w.messages[1].unordered = true;
        w.messages[3].sid = 5;
        Arc::new(w)
    }

    #[test]
    fn accepts_what_sctp_promises() {
        let plan = plan();
        let mut o = Oracle::new(plan.clone());
        for (index, ssn) in [(3, 0), (1, 0), (0, 0), (2, 1)] {
            assert!(!o.complete());
            o.accept(&message(&plan, index, ssn)).unwrap();
        }
        assert!(o.complete() && o.missing().is_empty() && o.delivered() == 4);
    }

    #[test]
    fn refuses_everything_else() {
        let plan = plan();
        let refused = |m: Message, why: &str| {
            let mut o = Oracle::new(plan.clone());
            o.accept(&message(&plan, 3, 0)).unwrap();
            let e = o.accept(&m).unwrap_err();
            assert!(e.contains(why), "{e}");
        };
        refused(message(&plan, 3, 0), "twice");
        refused(message(&plan, 2, 0), "overtook");
        refused(message(&plan, 0, 1), "sequence number 1, not 0 to 0");
        refused(Message { sid: StreamId(1), ..message(&plan, 0, 0) }, "on stream 1");
        refused(Message { unordered: true, ..message(&plan, 0, 0) }, "unordered = true");
        refused(Message { payload: plan.payload(1), ..message(&plan, 0, 0) }, "another content");
        refused(Message { payload: plan.payload(0).slice(1..), ..message(&plan, 0, 0) }, "99 bytes");
        refused(Message { ppid: Ppid(FIRST_PPID + 4), ..message(&plan, 0, 0) }, "never sent");
    }

    /// Messages 1 and 2 may be abandoned.
    fn half_reliable() -> Arc<Workload> {
        let mut w = Workload::steady(7, 4, 100);
        w.messages[1].reliability = Reliability::Retransmissions(0);
        w.messages[2].reliability = Reliability::Lifetime(Duration::from_secs(1));
        Arc::new(w)
    }

    #[test]
    fn a_message_that_may_be_abandoned_may_be_missing() {
        let plan = half_reliable();
        // With numbers for neither, one or both of those that are missing.
        for ssn in 1..=3 {
            let mut o = Oracle::new(plan.clone());
            o.accept(&message(&plan, 0, 0)).unwrap();
            assert!(!o.complete());
            o.accept(&message(&plan, 3, ssn)).unwrap();
            assert!(o.complete() && o.missing() == [1, 2] && !o.has(1) && o.has(3));
        }
        let refused = |before: &[(usize, u16)], (index, ssn): (usize, u16), why: &str| {
            let mut o = Oracle::new(plan.clone());
            for (index, ssn) in before {
                o.accept(&message(&plan, *index, *ssn)).unwrap();
            }
            let e = o.accept(&message(&plan, index, ssn)).unwrap_err();
            assert!(e.contains(why), "{e}");
        };
        refused(&[], (1, 0), "overtook message 0");
        refused(&[(0, 0), (2, 2)], (1, 1), "comes behind message Some(2)");
        refused(&[(0, 0)], (3, 4), "sequence number 4, not 1 to 2");
        refused(&[(0, 0), (2, 2)], (3, 2), "sequence number 2, not 3 to 0");
    }

    #[test]
    fn parts_of_several_messages_come_in_turn_only_where_they_may() {
        let mut w = Workload::steady(7, 2, 100);
        w.messages[1].sid = 5;
        let plan = Arc::new(w);
        let part = |index: usize, from: usize, to: usize| {
            let m = message(&plan, index, 0);
            Message { offset: from as u64, more: to < 100, payload: m.payload.slice(from..to), ..m }
        };
        let turns = [part(0, 0, 60), part(1, 0, 60), part(0, 60, 100), part(1, 60, 100)];
        let mut o = Oracle::new(plan.clone()).interleaved();
        for m in &turns {
            o.accept(m).unwrap();
        }
        assert!(o.complete() && o.in_parts() == 2 && o.cut_off() == 0);
        let mut o = Oracle::new(plan.clone());
        o.accept(&turns[0]).unwrap();
        o.accept(&turns[1]).unwrap();
        assert_eq!(o.cut_off(), 1);
        o.accept(&turns[2]).unwrap_err();
    }
}
