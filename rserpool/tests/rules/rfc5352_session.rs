//! Sessions between users and elements, at the user's side.

use bytes::Bytes;
use core::time::Duration;
use rserpool::asap::LinkId;
use rserpool::session::{ElementSession, FailureReason, Input, Outgoing, Output, PoolSession, Received, SendError, SessionConfig};
use rserpool::wire::{ASAP_PPID, AsapMessage, EncodeOptions, PoolElement};
use sctp_user::{CloseReason, Message, Ppid, Ssn, StreamId, Time};

use crate::bed::*;

fn at(ms: u64) -> Time {
    Time::ZERO + Duration::from_millis(ms)
}

fn pool_of(ids: &[u32]) -> Vec<PoolElement> {
    ids.iter().map(|id| element(*id, u8::try_from(*id).unwrap())).collect()
}

fn text(data: &'static str) -> Outgoing {
    Outgoing { data: Bytes::from_static(data.as_bytes()), ppid: 7, stream: 0, unordered: false }
}

fn outputs(s: &mut PoolSession) -> Vec<Output> {
    std::iter::from_fn(|| s.poll_output()).collect()
}

fn sent(s: &mut PoolSession) -> Vec<Outgoing> {
    std::iter::from_fn(|| {
        let next = s.next_to_send().cloned();
        s.sent();
        next
    })
    .collect()
}

/// A session with element 1 of elements 1 and 2, over link 1.
fn up() -> PoolSession {
    let mut s = PoolSession::new(at(0), handle(ECHO), SessionConfig::default());
    s.handle(at(0), Input::Resolved(Ok(pool_of(&[1, 2]))));
    s.handle(at(1), Input::Connected(LinkId(1)));
    outputs(&mut s);
    s
}

/// A message to a pool needs to know where the pool is; meanwhile it waits, and so do those behind it.
///
/// RFC 5352 rows: 6.5.1-1, 6.5.1-2, 6.5.1-3.
#[test]
fn messages_wait_for_the_resolution() {
    let mut s = PoolSession::new(at(0), handle(ECHO), SessionConfig::default());
    assert_eq!(outputs(&mut s), [Output::Resolve]);
    for data in ["one", "two", "three"] {
        s.send(at(1), text(data)).unwrap();
    }
    assert_eq!((s.link(), outputs(&mut s).len()), (None, 0));
    s.handle(at(2), Input::Resolved(Ok(pool_of(&[1]))));
    assert_eq!(s.link(), None);
    s.handle(at(3), Input::Connected(LinkId(1)));
    assert_eq!(s.link(), Some(LinkId(1)));
    assert_eq!(sent(&mut s), ["one", "two", "three"].map(text));
}

/// RFC 5352 rows: 3.8-1, 5-1, 5-2.
#[test]
fn control_messages_have_the_identifier_of_asap() {
    let mut s = up();
    let cookie = Bytes::from(AsapMessage::Cookie(Bytes::from_static(b"state")).encode(EncodeOptions::default()).unwrap());
    let message = Message::whole(StreamId(0), Ssn(0), Ppid(ASAP_PPID), false, cookie);
    s.handle(at(2), Input::Message(LinkId(1), message));
    s.send(at(2), text("data")).unwrap();
    assert_eq!(sent(&mut s).iter().map(|m| m.ppid).collect::<Vec<_>>(), [7]);
    s.fail(at(3), FailureReason::HeartbeatsUnanswered, true);
    s.handle(at(4), Input::Resolved(Ok(pool_of(&[2]))));
    s.handle(at(5), Input::Connected(LinkId(2)));
    s.send(at(6), text("data")).unwrap();
    let all = sent(&mut s);
    assert_eq!(all.iter().map(|m| m.ppid).collect::<Vec<_>>(), [ASAP_PPID, 7]);
    let echo = AsapMessage::decode(&all[0].data).unwrap().message;
    assert_eq!(echo, AsapMessage::CookieEcho(Bytes::from_static(b"state")));
}

/// RFC 5352 rows: 5-3.
#[test]
fn data_never_has_the_identifier_of_asap() {
    let mut s = up();
    assert_eq!(s.send(at(2), Outgoing { ppid: ASAP_PPID, ..text("data") }), Err(SendError::ReservedPpid(ASAP_PPID)));
    assert_eq!(sent(&mut s), []);
    // And what has it is no data for the application.
    let message = Message::whole(StreamId(0), Ssn(0), Ppid(ASAP_PPID), false, Bytes::from_static(b"data"));
    s.handle(at(3), Input::Message(LinkId(1), message));
    assert_eq!(s.recv(), None);
}

/// RFC 5352 rows: 6.5.5-1.
#[test]
fn another_element_is_chosen_for_one_that_cannot_be_reached() {
    let mut s = PoolSession::new(at(0), handle(ECHO), SessionConfig::default());
    s.send(at(0), text("data")).unwrap();
    s.handle(at(0), Input::Resolved(Ok(pool_of(&[1, 2]))));
    outputs(&mut s);
    s.handle(at(1), Input::Lost(LinkId(1), CloseReason::PeerUnreachable));
    let out = outputs(&mut s);
    assert!(out.iter().any(|o| matches!(o, Output::Connect(LinkId(2), addrs) if addrs[0].ip().to_string() == "10.0.0.2")), "{out:?}");
    s.handle(at(2), Input::Connected(LinkId(2)));
    assert_eq!(sent(&mut s), [text("data")]);
}

/// RFC 5352 rows: 4-5.
#[test]
fn an_element_hands_cookies_out_and_takes_their_echoes() {
    let message = ElementSession::cookie_message(b"state").unwrap();
    let AsapMessage::Cookie(cookie) = AsapMessage::decode(&message).unwrap().message else { panic!() };
    let echo = Bytes::from(AsapMessage::CookieEcho(cookie).encode(EncodeOptions::default()).unwrap());
    let mut s = ElementSession::new(1_000);
    s.on_message(at(1), Message::whole(StreamId(0), Ssn(0), Ppid(ASAP_PPID), false, echo));
    assert_eq!(s.recv(), Some(Received::CookieEcho(Bytes::from_static(b"state"))));
}

/// An element that says goodbye, one that the user leaves, and the end of a session are no failures to be reported; one that
/// goes on without an answer is.
///
/// RFC 5352 rows: 3.5-4, 6.9.2-1.
#[test]
fn only_failures_that_concern_the_user_are_reported() {
    let reports = |s: &mut PoolSession| outputs(s).iter().filter(|o| matches!(o, Output::Report { .. })).count();
    let mut s = up();
    s.handle(at(2), Input::Lost(LinkId(1), CloseReason::Shutdown));
    assert_eq!(reports(&mut s), 0);
    let mut s = up();
    s.fail(at(2), FailureReason::Forced, false);
    assert_eq!(reports(&mut s), 0);
    let mut s = up();
    s.close();
    s.handle(at(2), Input::Lost(LinkId(1), CloseReason::Shutdown));
    assert_eq!(reports(&mut s), 0);
    let mut s = up();
    s.send(at(2), text("data")).unwrap();
    s.handle(at(3), Input::Lost(LinkId(1), CloseReason::PeerUnreachable));
    assert_eq!(reports(&mut s), 1);
}
