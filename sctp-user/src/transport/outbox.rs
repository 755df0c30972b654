//! Packets that a transport's socket had no room for.

use std::collections::VecDeque;
use std::io;

use crate::net::Transmit;

/// Most trains that wait for one socket. When so many wait, the node is not asked for more: what it has not sent it can still
/// bundle, pace and take back.
const DEPTH: usize = 32;

/// The trains that one socket could not take, in order. Each socket has its own, so that a slow interface does not hold up what
/// leaves by another.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// At most [`DEPTH`] trains, but for those of one transmit of the node.
    waiting: VecDeque<(Transmit, Vec<u8>)>,
}

impl Outbox {
    /// Sends `bytes` behind what waits already. `send` sends one train: `WouldBlock` keeps it, any other failure is a packet lost
    /// on its way, which SCTP repairs. `sent` is told of every train that left.
    pub(crate) fn send(
        &mut self,
        t: &Transmit,
        bytes: &[u8],
        send: impl FnMut(&Transmit, &[u8]) -> io::Result<()>,
        sent: &mut dyn FnMut(&Transmit, &[u8]),
    ) {
        let mut send = send;
        if !self.waiting.is_empty() || !attempt(t, bytes, &mut send, sent) {
            self.keep(t, bytes);
        }
    }

    #[cold]
    fn keep(&mut self, t: &Transmit, bytes: &[u8]) {
        self.waiting.push_back((*t, bytes.to_vec()));
    }

    /// Tries again.
    #[inline]
    pub(crate) fn flush(&mut self, send: impl FnMut(&Transmit, &[u8]) -> io::Result<()>, sent: &mut dyn FnMut(&Transmit, &[u8])) {
        if !self.waiting.is_empty() {
            self.retry(send, sent);
        }
    }

    #[cold]
    fn retry(&mut self, mut send: impl FnMut(&Transmit, &[u8]) -> io::Result<()>, sent: &mut dyn FnMut(&Transmit, &[u8])) {
        while let Some((t, bytes)) = self.waiting.front() {
            if !attempt(t, bytes, &mut send, sent) {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// Whether the node should not be asked for more.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= DEPTH
    }
}

/// Whether the train is done with.
fn attempt(
    t: &Transmit,
    bytes: &[u8],
    send: &mut impl FnMut(&Transmit, &[u8]) -> io::Result<()>,
    sent: &mut dyn FnMut(&Transmit, &[u8]),
) -> bool {
    match send(t, bytes) {
        Ok(()) => {
            sent(t, bytes);
            true
        }
        Err(err) => is_lost(t, &err),
    }
}

/// Whether a train that was not sent shall not be sent again.
#[cold]
fn is_lost(t: &Transmit, err: &io::Error) -> bool {
    let lost = err.kind() != io::ErrorKind::WouldBlock;
    if lost {
        tracing::debug!(dst = %t.dst, channel = ?t.channel, %err, "not sent");
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Channel;

    fn transmit(size: usize) -> Transmit {
        Transmit {
            src: None,
            dst: "192.0.2.1:0".parse().unwrap(),
            channel: Channel::Raw,
            ecn: None,
            size,
            segment_size: None,
            dscp: 0,
            flow_label: 0,
            may_fragment: false,
        }
    }

    #[test]
    fn what_waits_keeps_its_order_and_fills_up() {
        let mut outbox = Outbox::default();
        let mut sent = Vec::new();
        let blocked = |_: &Transmit, _: &[u8]| Err(io::ErrorKind::WouldBlock.into());
        for n in 0..u8::try_from(DEPTH).unwrap() {
            assert!(!outbox.is_full());
            outbox.send(&transmit(1), &[n], blocked, &mut |_, b| sent.push(b[0]));
        }
        assert!(outbox.is_full() && sent.is_empty());
        // There is room for two.
        let mut room = 2;
        let some = |_: &Transmit, _: &[u8]| {
            room -= 1;
            if room >= 0 { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        };
        outbox.flush(some, &mut |_, b| sent.push(b[0]));
        assert!(!outbox.is_full());
        // A new one does not overtake.
        outbox.send(&transmit(1), &[99], |_, _| Ok(()), &mut |_, b| sent.push(b[0]));
        assert_eq!(sent, [0, 1]);
        outbox.flush(|_, _| Ok(()), &mut |_, b| sent.push(b[0]));
        assert_eq!((sent.len(), sent.last()), (DEPTH + 1, Some(&99)));
    }

    #[test]
    fn other_failures_are_packets_lost() {
        let mut outbox = Outbox::default();
        let mut sent = 0;
        outbox.send(&transmit(1), &[1], |_, _| Err(io::ErrorKind::HostUnreachable.into()), &mut |_, _| sent += 1);
        outbox.send(&transmit(1), &[2], |_, _| Ok(()), &mut |_, _| sent += 1);
        assert_eq!((sent, outbox.waiting.len()), (1, 0));
    }
}
