//! Transports beside UDP, on the loopback interface. Raw sockets need a right of their own: without it these tests are skipped.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "edge: tests of the runtime, which has threads and a clock")]

mod common;

use std::net::{IpAddr, SocketAddr};
use std::thread;

use sctp_user::socket::{Handle, Runtime, RuntimeBuilder, RuntimeError, SctpListener, SctpStream, SndInfo, SocketNode};
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
