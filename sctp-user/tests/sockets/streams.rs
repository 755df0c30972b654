//! Stream reconfiguration (RFC 6525 section 6) on real sockets.

use std::io::ErrorKind;
use std::sync::Arc;

use rustix::io::Errno;
use sctp_user::socket::option::{AddStreams, EnableStreamReset, EventOption, ResetAssoc, ResetStreams, Status};
use sctp_user::socket::{EventKind, Notification, Received, SctpListener, SctpStream, SndInfo};
use sctp_user::{AssocConfig, EndpointConfig, ReconfigOutcome, ResetDirection, StreamId};

use crate::common::{PATIENCE, V4, address, host};

fn next_note(stream: &SctpStream) -> Notification {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match stream.recv_any().unwrap() {
        Some(Received::Notification(note)) => note,
        other => panic!("{other:?}"),
    }
}

#[test]
fn streams_are_reset_and_added_by_options() {
    let (client, server) = (host(), host());
    let mut cfg = AssocConfig::rfc();
    cfg.stream_reset = true;
    let cfg = Arc::new(cfg);
    let listener = SctpListener::bind_with(&server, EndpointConfig::with(0, Arc::clone(&cfg)), 5).unwrap();
    let to = address(&client, &server, V4, listener.local_port().unwrap());
    let client = SctpStream::connect_with(&client, &[to], EndpointConfig::with(0, cfg), Some(PATIENCE)).unwrap();
    let (server, _) = listener.accept().unwrap();
    for kind in [EventKind::StreamReset, EventKind::AssocReset, EventKind::StreamChange] {
        client.set_option((), &EventOption { kind, on: true }).unwrap();
        server.set_option((), &EventOption { kind, on: true }).unwrap();
    }
    // The default is to deny.
    assert_eq!(server.option::<EnableStreamReset>(()).unwrap(), EnableStreamReset::default());
    client.set_option((), &AddStreams { incoming: 0, outgoing: 2 }).unwrap();
    let note = next_note(&client);
    assert!(matches!(note, Notification::StreamsChanged { outbound: 10, outcome: ReconfigOutcome::Denied, .. }), "{note:?}");

    let all = EnableStreamReset { streams: true, association: true, added_streams: true };
    server.set_option((), &all).unwrap();
    assert_eq!(server.option::<EnableStreamReset>(()).unwrap(), all);
    client.set_option((), &AddStreams { incoming: 0, outgoing: 2 }).unwrap();
    let note = next_note(&client);
    assert!(matches!(note, Notification::StreamsChanged { outbound: 12, outcome: ReconfigOutcome::Performed, .. }), "{note:?}");
    let note = next_note(&server);
    assert!(matches!(note, Notification::StreamsChanged { inbound: 12, .. }), "{note:?}");
    assert_eq!(client.option::<Status>(()).unwrap().outbound_streams, 12);

    let sid = StreamId(11);
    client.send(b"old", &SndInfo::stream(11)).unwrap();
    client.set_option((), &ResetStreams { direction: ResetDirection::Outgoing, streams: vec![sid] }).unwrap();
    client.send(b"new", &SndInfo::stream(11)).unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(match server.recv_any().unwrap() {
            Some(Received::Message(info, bytes)) => (String::from_utf8(bytes.to_vec()).unwrap(), info.ssn.0),
            Some(Received::Notification(Notification::StreamsReset { incoming: true, streams, .. })) => (format!("{streams:?}"), 0),
            other => panic!("{other:?}"),
        });
    }
    let messages: Vec<_> = seen.iter().filter(|(text, _)| text != "[StreamId(11)]").cloned().collect();
    assert_eq!(messages, [("old", 0), ("new", 0)].map(|(text, ssn)| (text.to_owned(), ssn)));
    assert!(seen[1..].iter().any(|(text, _)| text == "[StreamId(11)]"), "the program hears of it behind what came before");
    let note = next_note(&client);
    assert!(matches!(note, Notification::StreamsReset { outgoing: true, outcome: ReconfigOutcome::Performed, .. }), "{note:?}");

    client.set_option((), &ResetAssoc).unwrap();
    let (ours, theirs) = (next_note(&client), next_note(&server));
    let Notification::AssociationReset { local_tsn, peer_tsn, outcome: ReconfigOutcome::Performed, .. } = ours else { panic!("{ours:?}") };
    let Notification::AssociationReset { local_tsn: their_tsn, peer_tsn: our_tsn, .. } = theirs else { panic!("{theirs:?}") };
    assert_eq!((local_tsn, peer_tsn), (our_tsn, their_tsn));
    assert_eq!(client.set_option((), &ResetAssoc).unwrap_err().kind(), ErrorKind::WouldBlock, "not within 30 s");
    let nowhere = ResetStreams { direction: ResetDirection::Outgoing, streams: vec![StreamId(12)] };
    assert_eq!(client.set_option((), &nowhere).unwrap_err().kind(), ErrorKind::InvalidInput);
    server.send(b"still alive", &SndInfo::default()).unwrap();
    assert_eq!(client.recv().unwrap().unwrap().1, b"still alive"[..]);
}

#[test]
fn a_peer_without_the_extension_cannot_be_asked() {
    let (client, server) = (host(), host());
    let mut cfg = AssocConfig::rfc();
    cfg.stream_reset = false;
    let cfg = Arc::new(cfg);
    let listener = SctpListener::bind_with(&server, EndpointConfig::with(0, cfg), 5).unwrap();
    let to = address(&client, &server, V4, listener.local_port().unwrap());
    let client = SctpStream::connect_timeout(&client, to, PATIENCE).unwrap();
    let err = client.set_option((), &ResetAssoc).unwrap_err();
    assert_eq!(err.raw_os_error(), Some(Errno::OPNOTSUPP.raw_os_error()));
}
