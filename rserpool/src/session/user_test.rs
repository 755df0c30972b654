//! The user's side against scripted elements.

use std::time::Duration;

use bytes::Bytes;
use sctp_user::{CloseReason, Message, Ppid, Ssn, StreamId, Time};

use super::*;
use crate::asap::{LinkId, ResolveError};
use crate::wire::{
    ASAP_PPID, AsapMessage, ElementId, EncodeOptions, Life, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport, TransportUse,
};

fn ms(n: u64) -> Time {
    Time::from_millis(n)
}

fn pool() -> PoolHandle {
    PoolHandle::new("EchoPool").unwrap()
}

fn element(id: u8) -> PoolElement {
    PoolElement {
        id: ElementId(id.into()),
        home: RegistrarId(1),
        life: Life(90_000),
        user: Transport::sctp(4711, TransportUse::DATA_PLUS_CONTROL, [[10, 0, 0, id].into()]),
        policy: PolicyParam::RoundRobin {},
        asap: None,
    }
}

fn text(s: &str) -> Outgoing {
    Outgoing { data: Bytes::copy_from_slice(s.as_bytes()), ppid: 7, stream: 0, unordered: false }
}

fn message(ppid: u32, data: Vec<u8>) -> Message {
    Message::whole(StreamId(0), Ssn(0), Ppid(ppid), false, data.into())
}

fn cookie(s: &str) -> Message {
    message(ASAP_PPID, AsapMessage::Cookie(Bytes::copy_from_slice(s.as_bytes())).encode(EncodeOptions::default()).unwrap())
}

fn path(last_heard: Time) -> PathView {
    PathView { last_heard, srtt: Some(Duration::from_millis(1)), rttvar: Duration::ZERO, buffered: 0 }
}

struct Bench {
    s: PoolSession,
    out: Vec<Output>,
}

impl Bench {
    fn new() -> Self {
        Self::with(SessionConfig::default())
    }

    fn with(cfg: SessionConfig) -> Self {
        Self { s: PoolSession::new(ms(0), pool(), cfg), out: vec![] }
    }

    fn outputs(&mut self) -> Vec<Output> {
        let mut all = std::mem::take(&mut self.out);
        all.extend(std::iter::from_fn(|| self.s.poll_output()));
        all
    }

    fn tick(&mut self, now: Time) -> Option<FailureReason> {
        self.s.tick(now, None)
    }

    fn resolved(&mut self, now: Time, ids: &[u8]) {
        self.s.handle(now, Input::Resolved(Ok(ids.iter().map(|id| element(*id)).collect())));
    }

    /// A session at element 1 over link 1.
    fn up() -> Self {
        let mut b = Self::new();
        b.resolved(ms(0), &[1]);
        b.s.handle(ms(1), Input::Connected(LinkId(1)));
        b.outputs();
        b
    }

    fn sent(&mut self) -> Vec<Bytes> {
        let mut all = vec![];
        while let Some(m) = self.s.next_to_send() {
            all.push(m.data.clone());
            self.s.sent();
        }
        all
    }

    fn received(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.s.recv()).collect()
    }
}

fn connected_to(outputs: &[Output]) -> Vec<(LinkId, u8)> {
    let last_octet = |addr: &std::net::SocketAddr| match addr.ip() {
        std::net::IpAddr::V4(a) => a.octets()[3],
        std::net::IpAddr::V6(_) => 0,
    };
    let connect = |o: &Output| match o {
        Output::Connect(link, addrs) => Some((*link, last_octet(&addrs[0]))),
        _ => None,
    };
    outputs.iter().filter_map(connect).collect()
}

/// RFC 5352 rows: 6.5.5-1.
/// RFC 5356 rows: 4.1.3-1, 4.2.3-1.
#[test]
fn candidates_are_begun_each_quarter_second_and_at_once_after_a_failure() {
    let mut b = Bench::new();
    assert_eq!(b.outputs(), [Output::Resolve]);
    b.resolved(ms(10), &[1, 2, 3]);
    assert_eq!(connected_to(&b.outputs()), [(LinkId(1), 1)]);
    assert_eq!(b.s.poll_timeout(), Some(ms(260)));
    b.tick(ms(259));
    assert_eq!(b.outputs(), []);
    b.tick(ms(260));
    assert_eq!(connected_to(&b.outputs()), [(LinkId(2), 2)]);
    b.s.handle(ms(300), Input::Lost(LinkId(2), CloseReason::Refused(Bytes::new())));
    let out = b.outputs();
    assert_eq!(connected_to(&out), [(LinkId(3), 3)]);
    assert!(out.contains(&Output::Report { element: ElementId(2), transport: element(2).user, exclude: true }));
    b.s.handle(ms(302), Input::Connected(LinkId(3)));
    assert_eq!(b.s.state(), SessionState::Up(ElementId(3)));
    let suspect = Output::Report { element: ElementId(1), transport: element(1).user, exclude: false };
    assert_eq!(b.outputs(), [Output::Abort(LinkId(1)), suspect], "the one that had far more time may be dead");
    b.s.handle(ms(303), Input::Connected(LinkId(1)));
    assert_eq!(b.s.state(), SessionState::Up(ElementId(3)), "too late");
}

/// RFC 5352 rows: 3.8-1.
#[test]
fn the_latest_cookie_is_the_first_message_at_the_next_element() {
    let mut b = Bench::up();
    b.s.send(ms(2), text("one")).unwrap();
    assert_eq!(b.sent(), ["one"]);
    b.s.handle(ms(3), Input::Message(LinkId(1), cookie("old")));
    b.s.handle(ms(4), Input::Message(LinkId(1), cookie("new")));
    b.s.handle(ms(5), Input::Message(LinkId(1), message(7, b"answer".to_vec())));
    b.s.fail(ms(700), FailureReason::HeartbeatsUnanswered, true);
    let report = Output::Report { element: ElementId(1), transport: element(1).user, exclude: true };
    assert_eq!(b.outputs(), [report, Output::Resolve, Output::Abort(LinkId(1))]);
    b.s.send(ms(701), text("two")).unwrap();
    b.resolved(ms(702), &[2]);
    b.s.handle(ms(703), Input::Connected(LinkId(2)));
    let sent = b.sent();
    let echo = AsapMessage::decode(&sent[0]).unwrap().message;
    assert_eq!(echo, AsapMessage::CookieEcho(Bytes::from_static(b"new")));
    assert_eq!(sent[1..], ["two"]);
    let received = b.received();
    let [Received::Message(m), Received::Failover(necessary), Received::Failover(complete)] = &received[..] else { panic!("{received:?}") };
    assert_eq!((m.at, m.element), (ms(5), ElementId(1)));
    let reason = FailureReason::HeartbeatsUnanswered;
    let (element, last_byte, noticed) = (ElementId(1), Some(ms(5)), ms(700));
    assert_eq!(*necessary, Failover::Necessary { element, reason, last_byte, noticed, has_cookie: true });
    let element = ElementId(2);
    assert_eq!(*complete, Failover::Complete { element, last_byte, noticed, connected: ms(703), cookie_sent: true });
    assert_eq!(b.s.failovers(), 1);
}

#[test]
fn what_is_not_acknowledged_comes_back_in_order_before_the_failover_is_complete() {
    let mut b = Bench::up();
    b.s.send(ms(2), text("a")).unwrap();
    b.s.send(ms(2), text("b")).unwrap();
    b.sent();
    b.s.send(ms(3), text("c")).unwrap();
    b.s.fail(ms(700), FailureReason::Forced, false);
    b.s.handle(ms(700), Input::SendFailed(LinkId(1), message(7, b"a".to_vec())));
    b.s.handle(ms(700), Input::SendFailed(LinkId(1), message(7, b"b".to_vec())));
    b.s.handle(ms(700), Input::SendFailed(LinkId(1), cookie("not the application's")));
    b.s.handle(ms(700), Input::Lost(LinkId(1), CloseReason::Aborted));
    b.resolved(ms(701), &[1, 2]);
    assert_eq!(connected_to(&b.outputs()), [(LinkId(2), 2)], "the one that was left comes last");
    b.s.handle(ms(702), Input::Connected(LinkId(2)));
    let received = b.received();
    assert_eq!(received[1..4], ["a", "b", "c"].map(|s| Received::Undelivered(text(s))));
    assert!(matches!(received[4], Received::Failover(Failover::Complete { cookie_sent: false, .. })));
    assert_eq!(b.sent(), [] as [Bytes; 0]);
}

#[test]
fn an_error_ends_the_first_connect_but_not_a_failover() {
    let unknown = || Input::Resolved(Err(ResolveError::UnknownPoolHandle(pool())));
    let mut b = Bench::new();
    b.s.handle(ms(1), unknown());
    assert_eq!(b.s.state(), SessionState::Ended(EndReason::Resolve(ResolveError::UnknownPoolHandle(pool()))));
    assert_eq!(b.s.send(ms(2), text("x")), Err(SendError::Closed));

    let mut b = Bench::up();
    b.s.fail(ms(100), FailureReason::Aborted, true);
    b.outputs();
    b.s.handle(ms(100), unknown());
    assert_eq!(b.s.poll_timeout(), Some(ms(350)));
    b.tick(ms(350));
    assert_eq!(b.outputs(), [Output::Resolve]);
    b.resolved(ms(351), &[3]);
    b.s.handle(ms(352), Input::Connected(LinkId(2)));
    assert_eq!(b.s.state(), SessionState::Up(ElementId(3)));
}

#[test]
fn a_failover_without_any_element_ends_in_time() {
    let mut b = Bench::up();
    b.s.fail(ms(100), FailureReason::Aborted, true);
    let mut now = ms(100);
    let mut resolutions = 0;
    while matches!(b.s.state(), SessionState::Connecting) {
        for output in b.outputs() {
            if output == Output::Resolve {
                resolutions += 1;
                b.s.handle(now, Input::Resolved(Err(ResolveError::AllExcluded(pool()))));
            }
        }
        now = b.s.poll_timeout().unwrap();
        b.tick(now);
    }
    assert_eq!(now, ms(60_100));
    assert_eq!(resolutions, 240, "one each 250 ms");
    assert_eq!(b.s.state(), SessionState::Ended(EndReason::Resolve(ResolveError::AllExcluded(pool()))));
}

#[test]
fn silence_is_probed_only_while_something_is_expected() {
    let mut b = Bench::up();
    let heard = ms(1);
    assert_eq!(b.s.tick(ms(1), Some(&path(heard))), None);
    assert_eq!(b.s.poll_timeout(), Some(ms(151)), "data may follow the beginning");
    let _ = b.s.tick(ms(151), Some(&path(heard)));
    assert_eq!(b.outputs(), [Output::Heartbeat(LinkId(1))]);
    let heard = ms(152);
    let _ = b.s.tick(ms(6_000), Some(&path(heard)));
    let idle = b.s.poll_timeout().unwrap();
    let _ = b.s.tick(idle, Some(&path(heard)));
    b.outputs();
    b.s.set_expecting(Some(true));
    let (mut now, heard) = (idle, idle + Duration::from_millis(1));
    let mut probes = 0;
    let reason = loop {
        if let Some(reason) = b.s.tick(now, Some(&path(heard))) {
            break reason;
        }
        probes += b.outputs().len();
        now = b.s.poll_timeout().unwrap();
    };
    assert_eq!((reason, probes), (FailureReason::HeartbeatsUnanswered, 5));
    assert_eq!(now.saturating_since(heard), Duration::from_millis(650));
}

/// RFC 5352 rows: 5-3.
#[test]
fn the_queue_is_bounded_and_bad_messages_are_refused() {
    let cfg = SessionConfig { send_queue: 10, ..SessionConfig::default() };
    let mut b = Bench::with(cfg);
    b.s.send(ms(0), text("0123456789")).unwrap();
    assert_eq!(b.s.send(ms(0), text("x")), Err(SendError::WouldBlock));
    b.resolved(ms(0), &[1]);
    b.s.handle(ms(1), Input::Connected(LinkId(1)));
    assert_eq!(b.sent(), ["0123456789"]);
    b.s.send(ms(2), text("x")).unwrap();
    assert_eq!(b.s.send(ms(2), text("")), Err(SendError::Empty));
    assert_eq!(b.s.send(ms(2), Outgoing { ppid: 11, ..text("x") }), Err(SendError::ReservedPpid(11)));
    assert_eq!(b.s.send(ms(2), Outgoing { stream: 10, ..text("x") }), Err(SendError::InvalidStream));
    let huge = Outgoing { data: vec![0; (16 << 20) + 1].into(), ..text("") };
    assert!(matches!(b.s.send(ms(2), huge), Err(SendError::TooLong { .. })));
}

#[test]
fn a_full_inbox_leaves_messages_to_the_association() {
    let cfg = SessionConfig { recv_queue: 5, ..SessionConfig::default() };
    let mut b = Bench::with(cfg);
    b.resolved(ms(0), &[1]);
    b.s.handle(ms(1), Input::Connected(LinkId(1)));
    assert!(b.s.has_room());
    b.s.handle(ms(2), Input::Message(LinkId(1), message(7, b"12345".to_vec())));
    assert!(!b.s.has_room());
    b.s.recv().unwrap();
    assert!(b.s.has_room());
}

#[test]
fn closing_waits_for_what_was_accepted() {
    let mut b = Bench::up();
    b.s.send(ms(2), text("last words")).unwrap();
    b.s.close();
    assert_eq!(b.outputs(), []);
    assert_eq!(b.s.send(ms(2), text("x")), Err(SendError::Closed));
    assert_eq!(b.sent(), ["last words"]);
    assert_eq!(b.outputs(), [Output::Shutdown(LinkId(1))]);
    b.s.handle(ms(3), Input::Message(LinkId(1), message(7, b"answer".to_vec())));
    b.s.handle(ms(4), Input::Lost(LinkId(1), CloseReason::Shutdown));
    assert_eq!(b.s.state(), SessionState::Ended(EndReason::Closed));
    assert_eq!(b.received().len(), 1);
    assert_eq!(b.s.poll_timeout(), None);
}

#[test]
fn an_element_that_is_lost_while_closing_is_told() {
    let mut b = Bench::up();
    b.s.send(ms(2), text("last words")).unwrap();
    b.s.close();
    assert_eq!(b.sent(), ["last words"]);
    assert_eq!(b.outputs(), [Output::Shutdown(LinkId(1))]);
    b.s.handle(ms(4), Input::Lost(LinkId(1), CloseReason::PeerUnreachable));
    assert_eq!(b.s.state(), SessionState::Ended(EndReason::ElementLost));

    let mut b = Bench::up();
    b.s.send(ms(2), text("never sent")).unwrap();
    b.s.close();
    b.s.handle(ms(3), Input::Lost(LinkId(1), CloseReason::PeerUnreachable));
    assert_eq!(b.s.state(), SessionState::Ended(EndReason::ElementLost));
    let undelivered = b.received().iter().filter(|r| matches!(r, Received::Undelivered(_))).count();
    assert_eq!(undelivered, 1, "what never left comes back");
}

#[test]
fn a_shutdown_by_the_element_can_be_the_end() {
    let mut b = Bench::with(SessionConfig { failover_on_shutdown: false, ..SessionConfig::default() });
    b.resolved(ms(0), &[1]);
    b.s.handle(ms(1), Input::Connected(LinkId(1)));
    b.s.handle(ms(2), Input::Lost(LinkId(1), CloseReason::Shutdown));
    assert_eq!(b.received(), [Received::Shutdown]);
    assert_eq!(b.s.state(), SessionState::Ended(EndReason::Shutdown));
}

#[test]
fn an_element_hands_over_one_echo_before_everything_else() {
    let echo = |s: &str| {
        message(ASAP_PPID, AsapMessage::CookieEcho(Bytes::copy_from_slice(s.as_bytes())).encode(EncodeOptions::default()).unwrap())
    };
    let mut s = ElementSession::new(1000);
    s.on_message(ms(1), message(7, b"overtook it".to_vec()));
    s.on_message(ms(2), echo("state"));
    s.on_message(ms(3), echo("again"));
    s.on_message(ms(4), message(ASAP_PPID, b"nonsense".to_vec()));
    assert_eq!(s.recv(), Some(Received::CookieEcho(Bytes::from_static(b"state"))));
    assert!(matches!(s.recv(), Some(Received::Message(m)) if &m.data[..] == b"overtook it"));
    assert_eq!(s.recv(), None);
    s.on_lost(&CloseReason::PeerUnreachable);
    assert_eq!(s.ended(), Some(&EndReason::UserLost));
    assert!(ElementSession::cookie_message(&[0; 65_527]).is_ok());
    assert!(ElementSession::cookie_message(&[0; 65_528]).is_err());
}

fn card(handle: PoolHandle, ids: &[u8]) -> Message {
    let elements = ids.iter().map(|id| element(*id)).collect();
    let card = AsapMessage::BusinessCard { handle, policy: None, elements };
    message(ASAP_PPID, card.encode(EncodeOptions::default()).unwrap())
}

/// RFC 5352 section 3.9, BC2: the element's card names who is tried first when it fails. A later card replaces an earlier one, and
/// those of other pools do not count.
///
/// RFC 5352 rows: 3.9-2.
#[test]
fn the_latest_business_card_says_where_to_go() {
    let mut b = Bench::up();
    b.s.handle(ms(2), Input::Message(LinkId(1), card(pool(), &[4, 5])));
    b.s.handle(ms(3), Input::Message(LinkId(1), card(pool(), &[2, 3])));
    b.s.handle(ms(4), Input::Message(LinkId(1), card(PoolHandle::new("Other").unwrap(), &[9])));
    b.s.fail(ms(5), FailureReason::Forced, false);
    let outputs = b.outputs();
    assert!(outputs.contains(&Output::Prefer(vec![element(2), element(3)])), "{outputs:?}");
    assert!(!outputs.contains(&Output::Resolve));
    b.resolved(ms(5), &[2, 3]);
    assert_eq!(connected_to(&b.outputs()), [(LinkId(2), 2)]);
    // If nobody of it can be reached, the pool is resolved as ever.
    for (n, link) in [LinkId(2), LinkId(3)].into_iter().enumerate() {
        b.s.handle(ms(6 + n as u64), Input::Lost(link, CloseReason::ConnectTimeout));
    }
    b.tick(ms(300));
    assert!(b.outputs().contains(&Output::Resolve));
    // What the next element has not said itself is not used.
    b.resolved(ms(300), &[6]);
    b.s.handle(ms(301), Input::Connected(LinkId(4)));
    b.s.fail(ms(302), FailureReason::Forced, false);
    assert!(b.outputs().contains(&Output::Resolve));
}

/// RFC 5352 section 3.9: a user that is an element itself tells where to go when it fails, right after the cookie.
///
/// RFC 5352 rows: 3.9-1.
#[test]
fn the_own_business_card_follows_the_cookie() {
    let own = BusinessCard { handle: PoolHandle::new("Workers").unwrap(), elements: vec![element(8)] };
    let mut b = Bench::with(SessionConfig { business_card: Some(own.clone()), ..SessionConfig::default() });
    b.resolved(ms(0), &[1]);
    b.s.handle(ms(1), Input::Connected(LinkId(1)));
    b.s.send(ms(1), text("one")).unwrap();
    let encoded = |m: AsapMessage| Bytes::from(m.encode(EncodeOptions::default()).unwrap());
    let sent_card = encoded(AsapMessage::BusinessCard { handle: own.handle, policy: None, elements: own.elements });
    assert_eq!(b.sent(), [sent_card.clone(), Bytes::from_static(b"one")]);
    b.s.handle(ms(2), Input::Message(LinkId(1), cookie("state")));
    b.s.fail(ms(3), FailureReason::Forced, false);
    b.resolved(ms(3), &[2]);
    b.s.handle(ms(4), Input::Connected(LinkId(2)));
    let echo = encoded(AsapMessage::CookieEcho(Bytes::from_static(b"state")));
    assert_eq!(b.sent(), [echo, sent_card]);
    // An element without a control channel gets none.
    let mut plain = element(1);
    plain.user = Transport::sctp(4711, TransportUse::DATA, [[10, 0, 0, 1].into()]);
    let card = BusinessCard { handle: pool(), elements: vec![element(8)] };
    let mut b = Bench::with(SessionConfig { business_card: Some(card), ..SessionConfig::default() });
    b.s.handle(ms(0), Input::Resolved(Ok(vec![plain])));
    b.s.handle(ms(1), Input::Connected(LinkId(1)));
    assert!(b.sent().is_empty());
}
