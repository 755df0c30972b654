//! Transports beside UDP, on the loopback interface. Raw sockets need a right of their own: without it these tests are skipped.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "edge: tests of the runtime, which has threads and a clock")]

mod common;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use sctp_user::socket::{Handle, LowerLayer, Runtime, RuntimeBuilder, RuntimeError, SctpListener, SctpStream, SndInfo, SocketNode};
use sctp_user::wire::{Chunk, Packet, Param};
use sctp_user::{Channel, PeerAddr};

use self::common::{PATIENCE, V4, V6, has_ipv6};

/// A runtime with this many ways into the network; `None` where raw sockets are not permitted.
fn host(builder: RuntimeBuilder) -> Option<Handle<SocketNode>> {
    let runtime = match builder.build() {
        Err(RuntimeError::RawNotPermitted) => {
            assert_ne!(std::env::var("REQUIRE").as_deref(), Ok("all"), "raw sockets are not permitted");
            println!("SKIP: raw sockets are not permitted");
            return None;
        }
        other => other.unwrap(),
    };
    let node = SocketNode::new(runtime.stack_config()).unwrap();
    Some(runtime.spawn(node).unwrap())
}

fn raw() -> Option<Handle<SocketNode>> {
    host(Runtime::builder().no_udp().raw())
}

/// Sends messages of many sizes there and back, and compares them.
fn exchange(from: &Handle<SocketNode>, to: &Handle<SocketNode>, peer: impl FnOnce(u16) -> PeerAddr) {
    let listener = SctpListener::bind(to, 0, 5).unwrap();
    let peer = peer(listener.local_port().unwrap());
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut n = 0;
        while let Some((_, message)) = stream.recv().unwrap() {
            stream.send(&message, &SndInfo::default()).unwrap();
            n += 1;
        }
        n
    });
    let stream = SctpStream::connect_timeout(from, peer, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let sizes = [1, 100, 1_452, 10_000, 100_000];
    for size in sizes {
        let message: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
        stream.send(&message, &SndInfo::default()).unwrap();
        assert_eq!(stream.recv().unwrap().unwrap().1[..], message[..]);
    }
    stream.close(PATIENCE).unwrap();
    assert_eq!(server.join().unwrap(), sizes.len());
}

fn over(channel: Channel, ip: IpAddr) -> impl FnOnce(u16) -> PeerAddr {
    move |port| PeerAddr { addr: SocketAddr::new(ip, port), channel: Some(channel) }
}

#[test]
fn messages_go_over_raw_ipv4_and_ipv6() {
    let (Some(here), Some(there)) = (raw(), raw()) else { return };
    exchange(&here, &there, over(Channel::Raw, V4));
    if has_ipv6() {
        exchange(&here, &there, over(Channel::Raw, V6));
    }
}

#[test]
fn a_runtime_without_any_transport_is_refused() {
    assert!(matches!(Runtime::builder().no_udp().build(), Err(RuntimeError::NoTransport)));
}

/// Gives each end's packets to the other one, and keeps a copy of those of the first.
fn connect(near: &LowerLayer, far: &LowerLayer) -> Arc<Mutex<Vec<Bytes>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    for (from, to, copy) in [(near.clone(), far.clone(), Some(Arc::clone(&seen))), (far.clone(), near.clone(), None)] {
        thread::spawn(move || {
            while let Some(packet) = from.wait(None) {
                copy.iter().for_each(|c| c.lock().unwrap().push(packet.clone()));
                to.deliver(packet);
            }
        });
    }
    seen
}

/// RFC 8261: two layers at once, no addresses in the handshake, no packet longer than the layer takes.
#[test]
fn messages_go_over_lower_layers_of_the_program() {
    const LONGEST: usize = 900;
    let layers = [0, 1].map(|n| (LowerLayer::new(n, LONGEST), LowerLayer::new(n, LONGEST)));
    let start = |side: [LowerLayer; 2]| {
        let builder = side.into_iter().fold(Runtime::builder().no_udp(), RuntimeBuilder::lower_layer);
        host(builder).unwrap()
    };
    let client = start([layers[0].0.clone(), layers[1].0.clone()]);
    let server = start([layers[0].1.clone(), layers[1].1.clone()]);
    for (near, far) in &layers {
        let seen = connect(near, far);
        let to = near.clone();
        exchange(&client, &server, move |port| to.peer(port));
        let seen = seen.lock().unwrap();
        assert!(seen.iter().all(|p| p.len() <= LONGEST) && seen.iter().any(|p| p.len() > LONGEST - 4));
        let init = Packet::parse(&seen[0]).unwrap().chunks().next().unwrap().unwrap();
        let Ok(Chunk::Init(init)) = init.decode() else { panic!("no INIT") };
        let unwanted = |p: &Param<'_>| matches!(p, Param::Address(_) | Param::SupportedAddressTypes(_));
        assert!(!init.params().any(|p| unwanted(&p.unwrap().0)), "RFC 8261 section 6.1");
        assert_eq!((near.dropped(), far.dropped()), (0, 0));
    }
    // A layer is for one runtime.
    assert!(matches!(Runtime::builder().lower_layer(layers[0].0.clone()).build(), Err(RuntimeError::Layer(_))));
    drop(client);
    assert_eq!(layers[0].0.wait(None), None, "the runtime has ended");
}

/// All transports in one stack, an association over each; a status tells which.
#[test]
fn every_path_tells_its_channel() {
    let (near, far) = (LowerLayer::new(0, 1200), LowerLayer::new(0, 1200));
    let all = |layer: &LowerLayer| host(Runtime::builder().private_udp().raw().lower_layer(layer.clone()));
    let (Some(client), Some(server)) = (all(&near), all(&far)) else { return };
    connect(&near, &far);
    let listener = SctpListener::bind(&server, 0, 5).unwrap();
    let port = listener.local_port().unwrap();
    let udp = Channel::Udp { local: client.udp_port().unwrap(), remote: server.udp_port().unwrap() };
    for (peer, channel) in [(over(udp, V4)(port), udp), (over(Channel::Raw, V4)(port), Channel::Raw), (near.peer(port), near.channel())] {
        let stream = SctpStream::connect_timeout(&client, peer, PATIENCE).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let primary = |s: &SctpStream| {
            let id = s.id();
            s.handle().with(|node, _| node.stack_mut().assoc(id).unwrap().paths()[0].channel).unwrap()
        };
        assert_eq!(primary(&stream), channel);
        let theirs = match channel {
            Channel::Udp { local, remote } => Channel::Udp { local: remote, remote: local },
            other => other,
        };
        assert_eq!(primary(&accepted), theirs);
        stream.close(PATIENCE).unwrap();
    }
}

/// A capture shows what is on the wire: over raw IP there is no UDP header.
#[test]
fn the_capture_of_raw_ip_has_protocol_132() {
    let file = std::env::temp_dir().join(format!("sctp-user-raw-{}.pcapng", std::process::id()));
    let (Some(here), Some(there)) = (host(Runtime::builder().no_udp().raw().pcap(&file)), raw()) else { return };
    exchange(&here, &there, over(Channel::Raw, V4));
    drop(here);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let mut reader = pcap_file::pcapng::PcapNgReader::new(&bytes[..]).unwrap();
    let mut kinds = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Some(packet) = block.unwrap().into_enhanced_packet() {
            // The other address of the loopback is a path, too.
            let v4 = packet.data[0] >> 4 == 4;
            let (header, sctp) = packet.data.split_at(if v4 { 20 } else { 40 });
            let what = if v4 { (header[0], header[9]) } else { (header[0], header[6]) };
            assert_eq!(what, (if v4 { 0x45 } else { 0x60 }, 132), "an IP header without options, protocol 132");
            kinds.push(Packet::parse(sctp).unwrap().chunks().next().unwrap().unwrap().kind);
        }
    }
    // INIT and INIT ACK, COOKIE ECHO and COOKIE ACK: both directions are there.
    assert!([1, 2, 10, 11].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
}
