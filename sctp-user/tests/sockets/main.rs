//! Sockets on real UDP over the loopback interface.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: real sockets, threads and clocks"
)]

#[path = "../common/mod.rs"]
mod common;
mod document;
mod leading;
mod partial_reliability;
mod streams;
mod tasks;
#[cfg(feature = "tokio")]
mod tokio_tasks;
mod vectors;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{PATIENCE, V4, V6, address, has_ipv6, host};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sctp_user::socket::{Handle, Notification, Received, Runtime, SctpListener, SctpSocket, SctpStream, SndInfo, SocketNode};
use sctp_user::{AssocConfig, Channel, EndpointConfig, Ppid, StreamId};

/// A message of `len` bytes that differs from its neighbours.
fn pattern(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((seed * 31 + i * 7 + i / 256) % 256).unwrap()).collect()
}

/// A connected pair on two hosts: the client's end and the server's.
fn pair(ip: IpAddr) -> (SctpStream, SctpStream) {
    let (client, server) = (host(), host());
    let listener = SctpListener::bind(&server, 0, 5).unwrap();
    let to = address(&client, &server, ip, listener.local_port().unwrap());
    let here = SctpStream::connect_timeout(&client, to, PATIENCE).unwrap();
    listener.set_read_timeout(Some(PATIENCE)).unwrap();
    let (there, _) = listener.accept().unwrap();
    for end in [&here, &there] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
        end.set_write_timeout(Some(PATIENCE)).unwrap();
    }
    (here, there)
}

/// Sends everything back on the stream that it came on, until the end.
fn echo(stream: SctpStream) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        let mut count = 0;
        while let Some((info, message)) = stream.recv().unwrap() {
            stream.send_bytes(message, &SndInfo::stream(info.sid).ppid(info.ppid)).unwrap();
            count += 1;
        }
        count
    })
}

/// A message through buffers that are much smaller, on paths whose MTU grows meanwhile: in parts, one behind the other.
#[test]
fn a_message_larger_than_all_buffers_comes_in_parts() {
    let (client, server) = pair(V4);
    let sent = pattern(3, 5 << 20);
    let expected = sent.clone();
    let reader = thread::spawn(move || {
        let (mut bytes, mut parts) = (Vec::new(), 0);
        loop {
            let (info, part) = server.recv().unwrap().unwrap();
            assert_eq!(info.offset, bytes.len() as u64);
            bytes.extend_from_slice(&part);
            parts += 1;
            if !info.more {
                break;
            }
        }
        assert!(parts > 1 && bytes == expected, "{parts} parts, {} bytes", bytes.len());
        let (info, last) = server.recv().unwrap().unwrap();
        assert!(!info.more && info.offset == 0 && last == "last");
    });
    client.send(&sent, &SndInfo::default()).unwrap();
    client.send(b"last", &SndInfo::default()).unwrap();
    reader.join().unwrap();
}

fn echo_over_streams(ip: IpAddr) {
    const STREAMS: u16 = 8;
    const MESSAGES: u32 = 4_000;
    let (client, server) = pair(ip);
    let echo = echo(server);
    let client = Arc::new(client);
    let sender = {
        let client = Arc::clone(&client);
        thread::spawn(move || {
            for n in 0..MESSAGES {
                let mut message = n.to_be_bytes().to_vec();
                message.extend(pattern(n as usize, (n as usize * 37) % 3000));
                let sid = u16::try_from(n % u32::from(STREAMS)).unwrap();
                client.send(&message, &SndInfo::stream(sid).ppid(n)).unwrap();
            }
        })
    };
    let mut next: Vec<u32> = (0..u32::from(STREAMS)).collect();
    for _ in 0..MESSAGES {
        let (info, message) = client.recv().unwrap().unwrap();
        let n = next[usize::from(info.sid.0)];
        assert_eq!(message[..4], n.to_be_bytes(), "order within stream {}", info.sid);
        assert_eq!(message[4..], pattern(n as usize, (n as usize * 37) % 3000));
        assert_eq!(info.ppid, Ppid(n));
        assert!(!info.unordered);
        next[usize::from(info.sid.0)] = n + u32::from(STREAMS);
    }
    sender.join().unwrap();
    Arc::into_inner(client).unwrap().close(PATIENCE).unwrap();
    assert_eq!(echo.join().unwrap(), MESSAGES as usize);
}

/// What a socket has to say, but for its paths: the loopback has an address of either family, and both are used.
fn news(socket: &SctpSocket) -> Received {
    loop {
        match socket.recv().unwrap() {
            Received::Notification(Notification::PathState { .. }) => {}
            other => return other,
        }
    }
}

#[test]
fn many_messages_come_back_in_order_on_each_stream() {
    echo_over_streams(V4);
}

#[test]
fn the_same_over_ipv6() {
    if has_ipv6() {
        echo_over_streams(V6);
    }
}

#[test]
fn big_messages_stay_whole() {
    let (client, server) = pair(V4);
    for len in [1, 1_400, 65_536, 300_000, 700_001] {
        let sent = Bytes::from(pattern(len, len));
        client.send_bytes(sent.clone(), &SndInfo::stream(3).unordered()).unwrap();
        let (info, message) = server.recv().unwrap().unwrap();
        assert!(message == sent, "{len} bytes");
        assert_eq!(info.sid, StreamId(3));
        assert!(info.unordered);
    }
}

#[test]
fn a_one_to_many_socket_tells_its_associations_apart() {
    let hub = host();
    let socket = SctpSocket::bind(&hub, 0).unwrap();
    socket.listen(5).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = socket.local_port().unwrap();
    let clients: Vec<_> = (0..4u8)
        .map(|n| {
            let host = host();
            let client = SctpStream::connect_timeout(&host, address(&host, &hub, V4, port), PATIENCE).unwrap();
            client.send(&[n], &SndInfo::default()).unwrap();
            client
        })
        .collect();
    let mut ups = Vec::new();
    let mut messages = Vec::new();
    while ups.len() < 4 || messages.len() < 4 {
        match news(&socket) {
            Received::Notification(Notification::CommUp { assoc, incoming, outbound, .. }) => {
                assert!(incoming && outbound > 0);
                ups.push(assoc);
            }
            Received::Message(info, message) => {
                assert!(ups.contains(&info.assoc), "a message before its association");
                socket.send(info.assoc, &message, &SndInfo::stream(info.sid)).unwrap();
                messages.push((info.assoc, message[0]));
            }
            // The other addresses of the peers are confirmed meanwhile.
            Received::Notification(Notification::PathState { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    ups.dedup();
    assert_eq!(ups.len(), 4);
    for (n, client) in clients.iter().enumerate() {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(usize::from(client.recv().unwrap().unwrap().1[0]), n);
        assert_eq!(socket.peer_addrs(messages[n].0).unwrap()[0].ip(), V4);
    }
    // The runtimes live on, or nobody would say goodbye.
    let _runtimes: Vec<_> = clients.iter().map(|client| client.handle().clone()).collect();
    drop(clients);
    let mut lost = Vec::new();
    while lost.len() < 4 {
        match news(&socket) {
            Received::Notification(Notification::CommLost { assoc, reason }) => {
                assert_eq!(reason, sctp_user::CloseReason::Shutdown);
                lost.push(assoc);
            }
            Received::Notification(Notification::ShutdownReceived { .. }) => {}
            // The other addresses of the peers are confirmed meanwhile.
            Received::Notification(Notification::PathState { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    let gone = socket.send(lost[0], b"x", &SndInfo::default()).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotConnected);
    socket.close(PATIENCE).unwrap();
}

#[test]
fn a_message_to_an_address_opens_the_association_and_peeling_off_keeps_its_messages() {
    let (a, b) = (host(), host());
    let (from, to) = (SctpSocket::bind(&a, 0).unwrap(), SctpSocket::bind(&b, 0).unwrap());
    to.listen(1).unwrap();
    to.set_read_timeout(Some(PATIENCE)).unwrap();
    let peer = address(&a, &b, V4, to.local_port().unwrap());
    for n in 0..3u8 {
        from.send(peer, &[n], &SndInfo::default()).unwrap();
    }
    let Received::Notification(Notification::CommUp { assoc, .. }) = news(&to) else { panic!() };
    let Received::Message(_, first) = news(&to) else { panic!() };
    assert_eq!(first[..], [0]);
    let stream = to.peel_off(assoc).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for n in 1..3u8 {
        assert_eq!(stream.recv().unwrap().unwrap().1[..], [n]);
    }
    stream.send(b"back", &SndInfo::default()).unwrap();
    from.set_read_timeout(Some(PATIENCE)).unwrap();
    loop {
        match news(&from) {
            Received::Message(_, message) => break assert_eq!(message[..], b"back"[..]),
            Received::Notification(Notification::CommUp { incoming, .. }) => assert!(!incoming),
            other => panic!("{other:?}"),
        }
    }
    to.set_nonblocking(true);
    assert_eq!(to.recv().unwrap_err().kind(), ErrorKind::WouldBlock, "all news went with the stream");
}

fn readable(stream: &SctpStream, wait: Duration) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::IN)];
    let time = Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap(), tv_nsec: 0 };
    poll(&mut fds, Some(&time)).unwrap() == 1
}

#[test]
fn the_descriptor_is_readable_while_messages_wait() {
    let (client, server) = pair(V4);
    server.set_nonblocking(true);
    assert!(!readable(&server, Duration::ZERO));
    assert_eq!(server.recv().unwrap_err().kind(), ErrorKind::WouldBlock);
    for n in 0..3u8 {
        client.send(&[n], &SndInfo::default()).unwrap();
    }
    for n in 0..3u8 {
        assert!(readable(&server, PATIENCE), "message {n} announced");
        assert!(readable(&server, Duration::ZERO), "and still, until it is read");
        assert_eq!(server.recv().unwrap().unwrap().1[..], [n]);
    }
    assert!(!readable(&server, Duration::ZERO), "all read");
    client.shutdown().unwrap();
    assert!(readable(&server, PATIENCE), "the end is announced");
    assert!(server.recv().unwrap().is_none());
}

#[test]
fn mio_polls_a_listener_and_a_stream() {
    let (client, server) = (host(), host());
    let mut listener = SctpListener::bind(&server, 0, 5).unwrap();
    listener.set_nonblocking(true);
    let mut poll = mio::Poll::new().unwrap();
    let mut events = mio::Events::with_capacity(8);
    poll.registry().register(&mut listener, mio::Token(1), mio::Interest::READABLE).unwrap();
    let to = address(&client, &server, V4, listener.local_port().unwrap());
    let stream = SctpStream::connect_timeout(&client, to, PATIENCE).unwrap();
    let mut wait_for = |poll: &mut mio::Poll, token| {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            poll.poll(&mut events, Some(PATIENCE)).unwrap();
            if events.iter().any(|e| e.token() == token) {
                return;
            }
        }
        panic!("no event");
    };
    wait_for(&mut poll, mio::Token(1));
    let (mut accepted, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), V4);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    accepted.set_nonblocking(true);
    poll.registry().register(&mut accepted, mio::Token(2), mio::Interest::READABLE).unwrap();
    for n in 0..3u8 {
        stream.send(&[n], &SndInfo::default()).unwrap();
        wait_for(&mut poll, mio::Token(2));
        assert_eq!(accepted.recv().unwrap().unwrap().1[..], [n]);
        assert_eq!(accepted.recv().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_full_send_buffer_blocks_and_its_room_is_announced() {
    let (client, server) = pair(V4);
    client.set_nonblocking(true);
    let message = Bytes::from(vec![7; 20_000]);
    let mut sent = 0;
    // The peer does not read: both buffers fill up.
    loop {
        match client.send_bytes(message.clone(), &SndInfo::default()) {
            Ok(()) => sent += 1,
            Err(err) if err.kind() == ErrorKind::WouldBlock => break,
            Err(err) => panic!("{err}"),
        }
        assert!(sent < 10_000, "the send buffer is bounded");
    }
    assert!(!readable(&client, Duration::ZERO));
    let reader = thread::spawn(move || {
        let mut got = 0;
        while let Some((_, message)) = server.recv().unwrap() {
            assert_eq!(message.len(), 20_000);
            got += 1;
        }
        got
    });
    assert!(readable(&client, PATIENCE), "room is announced");
    client.send_bytes(message, &SndInfo::default()).unwrap();
    client.close(PATIENCE).unwrap();
    assert_eq!(reader.join().unwrap(), sent + 1);
}

#[test]
fn time_outs_are_kept() {
    let (client, server) = pair(V4);
    let before = Instant::now();
    server.set_read_timeout(Some(Duration::from_millis(80))).unwrap();
    assert_eq!(server.recv().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(before.elapsed() >= Duration::from_millis(80));
    assert_eq!(server.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
    client.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
    let message = vec![1; 100_000];
    let err = (0..1_000).find_map(|_| client.send(&message, &SndInfo::default()).err()).unwrap();
    assert_eq!(err.kind(), ErrorKind::WouldBlock, "nobody reads");
}

#[test]
fn options_and_counters_are_reached_through_sockets() {
    let (here, there) = pair(V4);
    assert_eq!(*here.config().unwrap(), AssocConfig::rfc());
    here.reconfigure(|c| c.max_message = 10).unwrap();
    assert_eq!(here.config().unwrap().max_message, 10);
    assert_eq!(here.send(&[1; 11], &SndInfo::default()).unwrap_err().raw_os_error(), Some(rustix::io::Errno::MSGSIZE.raw_os_error()));
    let err = here.reconfigure(|c| c.outbound_streams = 65).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert!(err.to_string().starts_with("outbound_streams: agreed on"), "{err}");
    here.send(b"counted", &SndInfo::default()).unwrap();
    assert_eq!(&there.recv().unwrap().unwrap().1[..], b"counted");
    assert_eq!((here.stats().unwrap().out_order_chunks, there.stats().unwrap().in_user_bytes), (1, 7));
    assert!(there.snapshot().unwrap().to_string().contains("ESTABLISHED, opened by the peer"));
}

#[test]
fn nobody_answers() {
    // A UDP socket that never says a word.
    let mute = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = host();
    let channel = Channel::Udp { local: client.udp_port().unwrap(), remote: mute.local_addr().unwrap().port() };
    let peer = sctp_user::PeerAddr { addr: "127.0.0.1:5000".parse().unwrap(), channel: Some(channel) };
    let err = SctpStream::connect_timeout(&client, peer, Duration::from_millis(100)).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::TimedOut);
    // The association's own limit: two attempts.
    let mut assoc = AssocConfig::rfc();
    assoc.max_init_retransmits = 1;
    assoc.rto_initial = Duration::from_millis(50);
    assoc.rto_min = Duration::from_millis(50);
    let cfg = EndpointConfig::with(0, Arc::new(assoc));
    let err = SctpStream::connect_with(&client, &[peer], cfg, Some(PATIENCE)).unwrap_err();
    assert_eq!(err.raw_os_error(), Some(rustix::io::Errno::TIMEDOUT.raw_os_error()));
}

#[test]
fn nobody_listens() {
    let (client, server) = (host(), host());
    let err = SctpStream::connect_timeout(&client, address(&client, &server, V4, 5_001), PATIENCE).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::ConnectionRefused);
    let socket = SctpSocket::bind(&client, 0).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    let err = socket.connect(address(&client, &server, V4, 5_001)).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::ConnectionRefused);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(news(&socket), Received::Notification(Notification::CantStart { .. })));
}

#[test]
fn a_nonblocking_connect_announces_its_outcome() {
    let (client, server) = (host(), host());
    let peer = address(&client, &server, V4, 5_001);
    let stream = SctpStream::connect_nonblocking(&client, &[peer], EndpointConfig::new(0)).unwrap();
    assert!(readable(&stream, PATIENCE), "the refusal is announced");
    assert_eq!(stream.connect_outcome().unwrap().unwrap().unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(stream.recv().unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn an_abort_resets_the_other_side() {
    let (client, server) = pair(V4);
    client.send(b"last words", &SndInfo::default()).unwrap();
    assert_eq!(server.recv().unwrap().unwrap().1[..], b"last words"[..]);
    client.abort(b"enough").unwrap();
    assert_eq!(server.recv().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.send(b"x", &SndInfo::default()).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(client.recv().unwrap_err().kind(), ErrorKind::ConnectionAborted);
}

#[test]
fn a_shutdown_delivers_everything_first() {
    let (client, server) = pair(V4);
    for n in 0..200u8 {
        client.send(&pattern(n.into(), 5_000), &SndInfo::stream(n as u16 % 10)).unwrap();
    }
    client.shutdown().unwrap();
    assert_eq!(client.send(b"late", &SndInfo::default()).unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut count = 0;
    while server.recv().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 200);
    assert!(client.recv().unwrap().is_none());
    client.close(PATIENCE).unwrap();
}

#[test]
fn bytes_flow_through_read_and_write() {
    let (mut client, mut server) = pair(V4);
    let sent = pattern(5, 3_000_000);
    let reader = thread::spawn(move || {
        let mut got = Vec::new();
        server.read_to_end(&mut got).unwrap();
        got
    });
    client.write_all(&sent).unwrap();
    client.close(PATIENCE).unwrap();
    assert!(reader.join().unwrap() == sent);
}

#[test]
fn impossible_wishes_are_refused() {
    let (client, _server) = pair(V4);
    let no_stream = client.send(b"x", &SndInfo::stream(60_000)).unwrap_err();
    assert_eq!(no_stream.kind(), ErrorKind::InvalidInput);
    assert_eq!(client.send(b"", &SndInfo::default()).unwrap_err().kind(), ErrorKind::InvalidInput);
    let too_long = client.send_bytes(Bytes::from(vec![0; (16 << 20) + 1]), &SndInfo::default()).unwrap_err();
    assert_eq!(too_long.raw_os_error(), Some(rustix::io::Errno::MSGSIZE.raw_os_error()));
    let first = SctpSocket::bind(client.handle(), 0).unwrap();
    let taken = SctpListener::bind(client.handle(), first.local_port().unwrap(), 1).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    let mut assoc = AssocConfig::rfc();
    assoc.sack_delay = Duration::from_secs(1);
    let forbidden = SctpSocket::bind_with(client.handle(), EndpointConfig::with(0, Arc::new(assoc))).unwrap_err();
    assert_eq!(forbidden.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_listener_takes_no_more_than_its_backlog() {
    let (client, server) = (host(), host());
    let listener = SctpListener::bind(&server, 0, 2).unwrap();
    let to = address(&client, &server, V4, listener.local_port().unwrap());
    let held: Vec<_> = (0..2).map(|_| SctpStream::connect_timeout(&client, to, PATIENCE).unwrap()).collect();
    // The third may come up for a moment, and is then aborted.
    let refused = SctpStream::connect_timeout(&client, to, PATIENCE).and_then(|stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.recv()
    });
    let kind = refused.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused), "{kind:?}");
    listener.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in &held {
        listener.accept().unwrap();
    }
    listener.set_nonblocking(true);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn accepted_streams_outlive_their_listener() {
    let (client, server) = (host(), host());
    let listener = SctpListener::bind(&server, 0, 5).unwrap();
    let port = listener.local_port().unwrap();
    let to = address(&client, &server, V4, port);
    let here = SctpStream::connect_timeout(&client, to, PATIENCE).unwrap();
    let (there, _) = listener.accept().unwrap();
    drop(listener);
    let refused = SctpStream::connect_timeout(&client, to, PATIENCE).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let echo = echo(there);
    here.set_read_timeout(Some(PATIENCE)).unwrap();
    here.send(b"still here", &SndInfo::default()).unwrap();
    assert_eq!(here.recv().unwrap().unwrap().1[..], b"still here"[..]);
    here.close(PATIENCE).unwrap();
    assert_eq!(echo.join().unwrap(), 1);
}

#[test]
fn a_caller_driven_runtime_answers_while_it_is_turned() {
    let runtime = Runtime::builder().private_udp().build().unwrap();
    let node = SocketNode::new(runtime.stack_config()).unwrap();
    let mut driven = runtime.drive(node);
    let here: Handle<SocketNode> = driven.handle();
    let socket = SctpSocket::bind(&here, 0).unwrap();
    socket.listen(1).unwrap();
    socket.set_nonblocking(true);
    let there = host();
    let to = address(&there, &here, V4, socket.local_port().unwrap());
    let client = thread::spawn(move || {
        let stream = SctpStream::connect_timeout(&there, to, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.send(b"ping", &SndInfo::default()).unwrap();
        stream.recv().unwrap().unwrap().1
    });
    let until = Instant::now() + PATIENCE;
    while !client.is_finished() {
        assert!(Instant::now() < until);
        match socket.recv() {
            Ok(Received::Message(info, message)) => socket.send(info.assoc, &message, &SndInfo::default()).unwrap(),
            Ok(Received::Notification(_)) => {}
            Err(err) if err.kind() == ErrorKind::WouldBlock => driven.turn(Some(Duration::from_millis(20))).unwrap(),
            Err(err) => panic!("{err}"),
        }
    }
    assert_eq!(client.join().unwrap()[..], b"ping"[..]);
}

#[test]
fn a_blocking_call_turns_a_caller_driven_runtime_itself() {
    let runtime = Runtime::builder().private_udp().build().unwrap();
    let node = SocketNode::new(runtime.stack_config()).unwrap();
    let driven = runtime.drive(node);
    let (here, there) = (driven.handle(), host());
    let listener = SctpListener::bind(&there, 0, 5).unwrap();
    let to = address(&here, &there, V4, listener.local_port().unwrap());
    let server = thread::spawn(move || echo(listener.accept().unwrap().0).join().unwrap());
    let stream = SctpStream::connect_timeout(&here, to, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for n in 0..20u8 {
        stream.send(&[n], &SndInfo::default()).unwrap();
        assert_eq!(stream.recv().unwrap().unwrap().1[..], [n]);
    }
    stream.close(PATIENCE).unwrap();
    assert_eq!(server.join().unwrap(), 20);
}

#[test]
fn a_panic_inside_the_node_does_not_spread() {
    let (client, server) = pair(V4);
    let handle = client.handle().clone();
    let panicked = thread::spawn(move || handle.with(|_, _| panic!("on purpose"))).join();
    assert!(panicked.is_err());
    assert_eq!(client.send(b"x", &SndInfo::default()).unwrap_err().kind(), ErrorKind::ConnectionAborted);
    assert_eq!(client.recv().unwrap_err().kind(), ErrorKind::ConnectionAborted);
    drop(client);
    drop(server);
}

#[test]
fn what_was_sent_and_received_is_in_the_capture() {
    let file = std::env::temp_dir().join(format!("sctp-user-capture-{}.pcapng", std::process::id()));
    let runtime = Runtime::builder().private_udp().pcap(&file).build().unwrap();
    let node = SocketNode::new(runtime.stack_config()).unwrap();
    let client = runtime.spawn(node).unwrap();
    let server = host();
    let listener = SctpListener::bind(&server, 0, 5).unwrap();
    let to = address(&client, &server, V4, listener.local_port().unwrap());
    let stream = SctpStream::connect_timeout(&client, to, PATIENCE).unwrap();
    stream.send(b"look for these words", &SndInfo::default()).unwrap();
    stream.close(PATIENCE).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let mut reader = pcap_file::pcapng::PcapNgReader::new(&bytes[..]).unwrap();
    let mut packets = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Some(packet) = block.unwrap().into_enhanced_packet() {
            packets.push(packet.data.into_owned());
        }
    }
    let udp = |p: &Vec<u8>| (u16::from_be_bytes([p[20], p[21]]), u16::from_be_bytes([p[22], p[23]]));
    let (ours, theirs) = (client.udp_port().unwrap(), server.udp_port().unwrap());
    assert!(packets.iter().any(|p| udp(p) == (ours, theirs)), "sent");
    assert!(packets.iter().any(|p| udp(p) == (theirs, ours)), "received");
    assert!(packets.iter().any(|p| p.windows(20).any(|w| w == b"look for these words")));
    // INIT, COOKIE ECHO, DATA, SHUTDOWN and SHUTDOWN COMPLETE at least, and what answers them.
    assert!(packets.len() >= 8, "{}", packets.len());
}
