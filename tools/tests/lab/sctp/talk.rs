//! An association between the two ends, and all that was said on it.

use std::thread;

use sctp_user::socket::SctpStream;

use super::peer::Peer;
use super::scenario::Opener;
use super::work::{Tally, fill, info};
use crate::scene::LIMIT;

/// How many messages, and their sizes, in turn.
pub(crate) type Batch<'a> = (u32, &'a [usize]);

/// From one byte to one mebibyte, around the ends of packets, of powers of two and of buffers: the small ones twice on each of
/// 64 streams.
pub(crate) const ALL_SIZES: [Batch<'_>; 2] =
    [(128, &[1, 2, 3, 4, 5, 100, 1000, 1427, 1428, 1429, 1452, 4096, 9000]), (4, &[65_535, 65_536, 300_001, 1 << 20])];

/// Both ends of an association.
pub(crate) struct Talk {
    pub(crate) stream: SctpStream,
    pub(crate) peer: Peer,
    /// The number of the next message, of either end.
    next: u32,
    sent: Tally,
    received: Tally,
    /// What the peer says that it has sent.
    theirs: Tally,
}

impl Talk {
    pub(crate) fn new(stream: SctpStream, peer: Peer) -> Self {
        let (sent, received, theirs) = <(Tally, Tally, Tally)>::default();
        Self { stream, peer, next: 0, sent, received, theirs }
    }

    /// Both ends send all of it at once, and what arrives is what was sent.
    pub(crate) fn exchange(&mut self, batches: &[Batch<'_>]) {
        self.exchange_with(batches, &|| ());
    }

    /// The same; `meanwhile` happens as soon as we have handed over the last batch.
    pub(crate) fn exchange_with(&mut self, batches: &[Batch<'_>], meanwhile: &dyn Fn()) {
        self.let_send(batches);
        let (stream, received, theirs) = (&self.stream, &mut self.received, &mut self.theirs);
        let (sent, next, peer) = (&mut self.sent, &mut self.next, &mut self.peer);
        thread::scope(|scope| {
            scope.spawn(|| receive(stream, received, batches));
            send(stream, sent, next, batches);
            meanwhile();
        });
        confirm(peer, received, theirs, batches);
        self.arrived();
    }

    /// We alone send.
    pub(crate) fn send(&mut self, batches: &[Batch<'_>]) {
        send(&self.stream, &mut self.sent, &mut self.next, batches);
        self.arrived();
    }

    /// The peer alone sends.
    pub(crate) fn receive(&mut self, batches: &[Batch<'_>]) {
        self.let_send(batches);
        receive(&self.stream, &mut self.received, batches);
        confirm(&mut self.peer, &self.received, &mut self.theirs, batches);
    }

    /// A graceful end by this one.
    pub(crate) fn close(mut self, by: Opener) {
        match by {
            Opener::We => self.stream.shutdown().unwrap(),
            Opener::They => drop(self.peer.ask("shutdown", "done")),
        }
        assert_eq!(self.stream.recv().unwrap(), None);
        assert_eq!(self.peer.ask("end", "ended "), "ended eof");
        self.stream.close(LIMIT).unwrap();
    }

    fn let_send(&mut self, batches: &[Batch<'_>]) {
        for (count, sizes) in batches {
            self.peer.send(*count, sizes);
        }
    }

    /// All that we sent has come to the peer.
    fn arrived(&mut self) {
        let got = self.peer.received(self.sent.count);
        assert!(got.same(&self.sent) && got.disorder == 0, "they received {got:?}, we sent {:?}", self.sent);
    }
}

fn send(stream: &SctpStream, sent: &mut Tally, next: &mut u32, batches: &[Batch<'_>]) {
    for (count, sizes) in batches {
        for size in sizes.iter().cycle().take(*count as usize) {
            let (message, how) = (fill(*next, *size), info(*next, 64));
            stream.send(&message, &how).unwrap();
            sent.sent(*next, &how, &message);
            *next += 1;
        }
    }
}

fn receive(stream: &SctpStream, received: &mut Tally, batches: &[Batch<'_>]) {
    let expected = received.count + batches.iter().map(|(count, _)| u64::from(*count)).sum::<u64>();
    while received.count < expected {
        let (info, part) = stream.recv().unwrap_or_else(|err| panic!("{err} after {received:?}")).expect("shut down");
        received.received(&info, &part);
    }
}

/// All that the peer says that it has sent has come.
fn confirm(peer: &mut Peer, received: &Tally, theirs: &mut Tally, batches: &[Batch<'_>]) {
    for _ in batches {
        theirs.add(&peer.sent());
    }
    assert!(received.same(theirs) && received.disorder == 0, "received {received:?}, they sent {theirs:?}");
}
