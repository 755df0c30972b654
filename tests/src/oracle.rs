//! The delivery oracle: every message exactly once, unchanged, and in order per stream where it was sent so.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sctp_user::Message;

use crate::workload::{FIRST_PPID, Workload};

/// Judges what one side receives of the other side's workload.
#[derive(Debug)]
pub struct Oracle {
    plan: Arc<Workload>,
    seen: Vec<bool>,
    delivered: usize,
    /// The message of which parts have come, and its bytes so far.
    partial: Option<(Message, Vec<u8>)>,
    /// How many messages came in parts.
    in_parts: usize,
    /// How many messages of which parts had come were never completed.
    cut_off: usize,
    /// For each stream its ordered messages in the order of the plan, and how many of them have come.
    ordered: BTreeMap<u16, (Vec<usize>, usize)>,
}

impl Oracle {
    /// Expects the messages of `plan`.
    #[must_use]
    pub fn new(plan: Arc<Workload>) -> Self {
        let mut ordered: BTreeMap<u16, (Vec<usize>, usize)> = BTreeMap::new();
        for (i, m) in plan.messages.iter().enumerate().filter(|(_, m)| !m.unordered) {
            ordered.entry(m.sid).or_default().0.push(i);
        }
        Self { seen: vec![false; plan.messages.len()], delivered: 0, partial: None, in_parts: 0, cut_off: 0, ordered, plan }
    }

    /// Judges a message, or a part of one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn accept(&mut self, m: &Message) -> Result<(), String> {
        let (first, mut bytes) = match self.partial.take() {
            None if m.is_whole() => return self.accept_whole(m),
            None => (Message { payload: Bytes::new(), ..m.clone() }, Vec::new()),
            // The first bytes of another one: the association ended, or began anew, in the middle of the message.
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
            self.partial = Some((first, bytes));
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
    pub const fn is_partial(&self) -> bool {
        self.partial.is_some()
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
        if let (false, Some((order, next))) = (planned.unordered, self.ordered.get_mut(&planned.sid)) {
            if order.get(*next) != Some(&index) {
                return Err(format!("{name} overtook message {:?}", order.get(*next)));
            }
            if usize::from(m.ssn.0) != *next % 65_536 {
                return Err(format!("{name} has stream sequence number {}, not {next}", m.ssn.0));
            }
            *next += 1;
        }
        Ok(())
    }

    /// How many messages came.
    #[must_use]
    pub const fn delivered(&self) -> usize {
        self.delivered
    }

    /// Whether all came.
    #[must_use]
    pub const fn complete(&self) -> bool {
        self.delivered == self.seen.len()
    }

    /// The messages that did not come.
    #[must_use]
    pub fn missing(&self) -> Vec<usize> {
        self.seen.iter().enumerate().filter(|(_, seen)| !**seen).map(|(i, _)| i).collect()
    }
}

#[cfg(test)]
mod tests {
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
        refused(message(&plan, 0, 1), "sequence number");
        refused(Message { sid: StreamId(1), ..message(&plan, 0, 0) }, "on stream 1");
        refused(Message { unordered: true, ..message(&plan, 0, 0) }, "unordered = true");
        refused(Message { payload: plan.payload(1), ..message(&plan, 0, 0) }, "another content");
        refused(Message { payload: plan.payload(0).slice(1..), ..message(&plan, 0, 0) }, "99 bytes");
        refused(Message { ppid: Ppid(FIRST_PPID + 4), ..message(&plan, 0, 0) }, "never sent");
    }
}
