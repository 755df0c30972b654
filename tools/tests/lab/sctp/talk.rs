//! An association between the two ends, and all that was said on it.

use std::ops::Range;
use std::thread;

use bytes::Bytes;
use sctp_user::socket::option::{AssocSel, Subscription};
use sctp_user::socket::{EventKind, Events, Notification, Received, SctpStream, SndInfo};

use super::ours::snapshot;
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
    /// The number of the next message: ours, theirs.
    next: (u32, u32),
    sent: Tally,
    received: Incoming,
    /// What the peer says that it has sent.
    theirs: Tally,
}

/// What has come to us.
#[derive(Default)]
struct Incoming {
    tally: Tally,
    /// Notifications that nobody has asked for yet.
    notes: Vec<Notification>,
}

impl Incoming {
    /// Takes one more message, part of one, or notification.
    fn one(&mut self, stream: &SctpStream) {
        match stream.recv_any().unwrap_or_else(|err| panic!("{err} after {:?}, {:?}", self.tally, self.notes)) {
            Some(Received::Message(info, part)) => self.tally.received(&info, &part),
            Some(Received::Notification(note)) => self.notes.push(note),
            None => panic!("shut down after {:?}, {:?}", self.tally, self.notes),
        }
    }

    fn until(&mut self, stream: &SctpStream, enough: impl Fn(&Tally) -> bool) {
        while !enough(&self.tally) {
            self.one(stream);
        }
    }
}

impl Talk {
    pub(crate) fn new(stream: SctpStream, peer: Peer) -> Self {
        Self { stream, peer, next: (0, 0), sent: Tally::default(), received: Incoming::default(), theirs: Tally::default() }
    }

    /// From now on [`Self::note`] finds what we are told of the association.
    pub(crate) fn subscribe(&self) {
        let rare = [EventKind::Authentication, EventKind::StreamReset, EventKind::AssocReset, EventKind::StreamChange];
        let all = rare.into_iter().fold(Events::USUAL, Events::with);
        self.stream.set_option(AssocSel::Current, &Subscription(all)).unwrap();
    }

    /// Both ends send all of it at once, and what arrives is what was sent.
    pub(crate) fn exchange(&mut self, batches: &[Batch<'_>]) {
        self.exchange_with(batches, &|| ());
    }

    /// The same; `meanwhile` happens as soon as we have handed over the last batch.
    pub(crate) fn exchange_with(&mut self, batches: &[Batch<'_>], meanwhile: &dyn Fn()) {
        self.exchange_while(batches, &[], &|_| meanwhile());
    }

    /// The same; the peer gets these lines as soon as it has handed over the last batch.
    pub(crate) fn exchange_while(&mut self, batches: &[Batch<'_>], lines: &[&str], meanwhile: &dyn Fn(&SctpStream)) {
        self.let_send(batches);
        for line in lines {
            self.peer.0.say(line);
        }
        let (stream, received, theirs) = (&self.stream, &mut self.received, &mut self.theirs);
        let (sent, next, peer) = (&mut self.sent, &mut self.next.0, &mut self.peer);
        thread::scope(|scope| {
            scope.spawn(|| receive(stream, received, batches));
            send(stream, sent, next, batches, &|info| info);
            meanwhile(stream);
        });
        confirm(peer, &received.tally, theirs, batches);
        for _ in lines {
            self.peer.line("done");
        }
        self.arrived();
    }

    /// We alone send.
    pub(crate) fn send(&mut self, batches: &[Batch<'_>]) {
        send(&self.stream, &mut self.sent, &mut self.next.0, batches, &|info| info);
        self.arrived();
    }

    /// The peer alone sends.
    pub(crate) fn receive(&mut self, batches: &[Batch<'_>]) {
        self.let_send(batches);
        receive(&self.stream, &mut self.received, batches);
        confirm(&mut self.peer, &self.received.tally, &mut self.theirs, batches);
    }

    /// Hands messages over that may not all arrive, as `how` says; their numbers.
    pub(crate) fn hand_over(&mut self, batch: Batch<'_>, how: &dyn Fn(SndInfo) -> SndInfo) -> Range<u32> {
        let from = self.next.0;
        send(&self.stream, &mut self.sent, &mut self.next.0, &[batch], how);
        from..self.next.0
    }

    /// Hands a message of each size over with one call, each as `how` says of its place: so none leaves before the last one is there,
    /// however busy the machine is. The number of the first.
    pub(crate) fn hand_over_together(&mut self, sizes: &[usize], how: impl Fn(u32, SndInfo) -> SndInfo) -> u32 {
        let first = self.next.0;
        let make = |(number, size): (u32, &usize)| (fill(number, *size).into(), how(number - first, info(number, 64)));
        let messages: Vec<(Bytes, SndInfo)> = (first..).zip(sizes).map(make).collect();
        assert_eq!(self.stream.send_many(&messages).unwrap(), messages.len(), "there is room for all");
        for (message, info) in &messages {
            self.sent.sent(self.next.0, info, message);
            self.next.0 += 1;
        }
        first
    }

    /// The peer hands messages over that may not all arrive, as `how` says; their numbers.
    pub(crate) fn let_hand_over(&mut self, (count, sizes): Batch<'_>, how: &str) -> Range<u32> {
        let from = self.next.1;
        self.peer.send(count, sizes, how);
        self.theirs.add(&self.peer.sent());
        self.next.1 += count;
        from..self.next.1
    }

    /// Waits until we have message `number`.
    pub(crate) fn receive_until(&mut self, number: u32) {
        self.received.until(&self.stream, |tally| tally.has(number));
    }

    /// The numbers of the messages that have come to us, in that order.
    pub(crate) fn order(&self) -> &[u32] {
        &self.received.tally.order
    }

    /// Waits until we are told something that is `wanted`, if that is not already so.
    pub(crate) fn note<R>(&mut self, wanted: impl Fn(&Notification) -> Option<R>) -> R {
        loop {
            let found = self.received.notes.iter().enumerate().find_map(|(at, note)| Some((at, wanted(note)?)));
            if let Some((at, result)) = found {
                self.received.notes.remove(at);
                return result;
            }
            self.received.one(&self.stream);
        }
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
            self.peer.send(*count, sizes, "");
            self.next.1 += count;
        }
    }

    /// All that we sent has come to the peer.
    pub(crate) fn arrived(&mut self) {
        let got = self.peer.received(self.sent.count);
        assert!(got.same(&self.sent) && got.disorder == 0, "they received {got:?}, we sent {:?}", self.sent);
    }
}

fn send(stream: &SctpStream, sent: &mut Tally, next: &mut u32, batches: &[Batch<'_>], how: &dyn Fn(SndInfo) -> SndInfo) {
    for (count, sizes) in batches {
        for size in sizes.iter().cycle().take(*count as usize) {
            let (message, how) = (fill(*next, *size), how(info(*next, 64)));
            stream.send(&message, &how).unwrap_or_else(|err| panic!("{err}: {:#?}", snapshot(stream)));
            sent.sent(*next, &how, &message);
            *next += 1;
        }
    }
}

fn receive(stream: &SctpStream, received: &mut Incoming, batches: &[Batch<'_>]) {
    let expected = received.tally.count + batches.iter().map(|(count, _)| u64::from(*count)).sum::<u64>();
    received.until(stream, |tally| tally.count >= expected);
}

/// All that the peer says that it has sent has come.
fn confirm(peer: &mut Peer, received: &Tally, theirs: &mut Tally, batches: &[Batch<'_>]) {
    for _ in batches {
        theirs.add(&peer.sent());
    }
    assert!(received.same(theirs) && received.disorder == 0, "received {received:?}, they sent {theirs:?}");
}
