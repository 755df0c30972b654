//! Several buffers for one message, several messages in one call, and options on real sockets.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Write as _};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sctp_user::socket::option::{
    AssocNumber, Context, DefaultSndInfo, DisableFragments, EventOption, Linger, MaxSeg, PeerAddrInfo, PeerAddrParams, Pmtud, PrimaryAddr,
    RemoteUdpEncapsPort, Status,
};
use sctp_user::socket::{EventKind, Notification, Received, RecvV, SctpListener, SctpSocket, SctpStream, SndInfo};
use sctp_user::{CloseReason, EndpointConfig, PathState, Ppid, StreamId};

use crate::common::{PATIENCE, V4, address, host};
use crate::pair;

#[test]
fn a_message_from_several_buffers_into_several_buffers() {
    let (client, server) = pair(V4);
    server.set_option((), &Context(77)).unwrap();
    client.sendv(&[IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"message")], Some(&SndInfo::stream(4).ppid(9))).unwrap();
    client.set_option((), &DefaultSndInfo(SndInfo::stream(2).ppid(5).unordered())).unwrap();
    client.sendv(&[IoSlice::new(b"as usual")], None).unwrap();
    (&client).write_all(b"written").unwrap();
    let (mut a, mut b) = ([0; 3], [0; 5]);
    let mut read = || {
        let got = server.recvv(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)]).unwrap().unwrap();
        let RecvV::Message { len, info, .. } = got else { panic!("{got:?}") };
        let text: Vec<_> = a.iter().chain(&b).take(len).copied().collect();
        (String::from_utf8(text).unwrap(), info)
    };
    let (text, info) = read();
    assert_eq!((text.as_str(), info.offset, info.more, info.sid, info.ppid, info.context), ("one mess", 0, true, StreamId(4), Ppid(9), 77));
    let (text, info) = read();
    assert_eq!((text.as_str(), info.offset, info.more), ("age", 8, false));
    let (text, info) = read();
    assert_eq!((text.as_str(), info.sid, info.ppid, info.unordered), ("as usual", StreamId(2), Ppid(5), true));
    assert_eq!(read().0, "written");
    assert_eq!(server.recvv(&mut []).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn batches_of_messages() {
    let (client, server) = pair(V4);
    let batch: Vec<_> = (0..100u8).map(|n| (Bytes::from(vec![n; 10]), SndInfo::default())).collect();
    let mut sent = 0;
    while sent < batch.len() {
        sent += client.send_many(&batch[sent..]).unwrap();
    }
    let mut got = 0;
    while got < 100 {
        for received in server.recv_many(30).unwrap() {
            let Received::Message(_, bytes) = received else { panic!() };
            assert_eq!(bytes, vec![u8::try_from(got).unwrap(); 10]);
            got += 1;
        }
    }
    // 100 chunks in far fewer packets.
    let packets = client.stats().unwrap().out_data_packs;
    assert!(packets < 50, "{packets} packets");
    let bad = [(Bytes::from_static(b"good"), SndInfo::default()), (Bytes::from_static(b"bad"), SndInfo::stream(60_000))];
    assert_eq!(client.send_many(&bad).unwrap(), 1);
    assert_eq!(client.send_many(&bad[1..]).unwrap_err().kind(), ErrorKind::InvalidInput);
    client.shutdown().unwrap();
    assert_eq!(server.recv_many(10).unwrap().len(), 1);
    assert!(server.recv_many(10).unwrap().is_empty(), "the end");
}

#[test]
fn batches_of_a_one_to_many_socket_tell_news_too() {
    let (a, b) = (host(), host());
    let (from, to) = (SctpSocket::bind(&a, 0).unwrap(), SctpSocket::bind(&b, 0).unwrap());
    to.listen(1).unwrap();
    to.set_read_timeout(Some(PATIENCE)).unwrap();
    let peer = address(&a, &b, V4, to.local_port().unwrap());
    let batch: Vec<_> = (0..20u8).map(|n| (Bytes::from(vec![n]), SndInfo::default().cork())).collect();
    assert_eq!(from.send_many(peer, &batch).unwrap(), 20);
    from.send(peer, b"end", &SndInfo::default()).unwrap();
    let (mut messages, mut ups) = (0, 0);
    while messages < 21 {
        for received in to.recv_many(8).unwrap() {
            match received {
                Received::Message(..) => messages += 1,
                Received::Notification(Notification::CommUp { .. }) => ups += 1,
                Received::Notification(_) => {}
            }
        }
    }
    assert_eq!((ups, to.option::<AssocNumber>(()).unwrap().0), (1, 1));
}

#[test]
fn options_of_a_connected_stream() {
    let (client, server) = pair(V4);
    let status = client.option::<Status>(()).unwrap();
    assert_eq!((status.state, status.primary.addr, status.outbound_streams), ("ESTABLISHED", V4, 10));
    assert_eq!(client.option::<PrimaryAddr>(()).unwrap().0, V4);
    assert_eq!(client.option::<PeerAddrInfo>(V4).unwrap().state, PathState::Active);
    let nowhere: std::net::IpAddr = "192.0.2.1".parse().unwrap();
    assert_eq!(client.option::<PeerAddrInfo>(nowhere).unwrap_err().kind(), ErrorKind::InvalidInput);
    client.set_option(V4, &PeerAddrParams { pmtud: Some(Pmtud::Fixed(600)), dscp: Some(10), ..PeerAddrParams::UNCHANGED }).unwrap();
    let params = client.option::<PeerAddrParams>(V4).unwrap();
    assert_eq!((params.pmtud, params.dscp, params.heartbeats), (Some(Pmtud::Fixed(600)), Some(10), Some(true)));
    assert_eq!(client.option::<PeerAddrInfo>(V4).unwrap().mtu, 600);
    let port = server.handle().udp_port().unwrap();
    assert_eq!(client.option::<RemoteUdpEncapsPort>(V4).unwrap().0, port);
    assert_eq!(client.set_option(V4, &RemoteUdpEncapsPort(0)).unwrap_err().kind(), ErrorKind::InvalidInput, "no raw IP here");
    client.set_option(V4, &RemoteUdpEncapsPort(port)).unwrap();
    client.set_option((), &DisableFragments(true)).unwrap();
    assert_eq!(client.send(&[0; 1_000], &SndInfo::default()).unwrap_err().raw_os_error(), Some(rustix::io::Errno::MSGSIZE.raw_os_error()));
    client.set_option((), &DisableFragments(false)).unwrap();
    client.set_option((), &MaxSeg(100)).unwrap();
    client.send(&[0; 1_000], &SndInfo::default()).unwrap();
    assert_eq!(server.recv().unwrap().unwrap().1.len(), 1_000);
    assert!(client.stats().unwrap().out_order_chunks >= 10);
    // The end comes without grace, and with notice.
    server.set_option((), &EventOption { kind: EventKind::AssocChange, on: true }).unwrap();
    client.set_option((), &Linger(Some(std::time::Duration::ZERO))).unwrap();
    let _runtime = client.handle().clone();
    drop(client);
    let Some(Received::Notification(Notification::CommLost { reason: CloseReason::PeerAborted(_), .. })) = server.recv_any().unwrap()
    else {
        panic!()
    };
    assert_eq!(server.recv().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_bound_endpoint_is_reached_at_its_addresses_alone() {
    let (client, server) = (host(), host());
    let mut cfg = EndpointConfig::new(0);
    cfg.bind = vec![V4];
    let listener = SctpListener::bind_with(&server, cfg, 5).unwrap();
    assert_eq!(listener.bound_addrs().unwrap(), [V4]);
    let to = address(&client, &server, V4, listener.local_port().unwrap());
    let stream = SctpStream::connect_timeout(&client, to, PATIENCE).unwrap();
    assert_eq!(stream.peer_addrs().unwrap(), [to.addr], "no other address was listed");
    assert_eq!(stream.peer_addr().unwrap(), to.addr);
    let nowhere = "192.0.2.1".parse().unwrap();
    assert_eq!(listener.bindx_add(&[nowhere]).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    assert_eq!(listener.bindx_remove(&[V4]).unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// While one thread waits for room and another for messages, a third does what it wants with the same stack.
#[test]
fn a_call_that_waits_holds_nobody_up() {
    let (client, server) = pair(V4);
    let (client, server) = (Arc::new(client), Arc::new(server));
    let full = {
        let client = Arc::clone(&client);
        std::thread::spawn(move || while client.send_bytes(Bytes::from(vec![1; 100_000]), &SndInfo::default()).is_ok() {})
    };
    let waiting = {
        let client = Arc::clone(&client);
        std::thread::spawn(move || client.recv())
    };
    // The peer's window closes, and the send buffer fills.
    let until = Instant::now() + PATIENCE;
    while client.status().unwrap().buffered < 900_000 {
        assert!(Instant::now() < until, "the buffer does not fill");
        std::thread::yield_now();
    }
    for _ in 0..100 {
        assert_eq!(client.option::<Status>(()).unwrap().state, "ESTABLISHED");
        client.set_option((), &Context(1)).unwrap();
    }
    let other = SctpSocket::bind(client.handle(), 0).unwrap();
    other.close(PATIENCE).unwrap();
    server.abort(b"").unwrap();
    full.join().unwrap();
    assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
}
