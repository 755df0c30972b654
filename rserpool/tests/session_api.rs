//! The blocking interface over real sockets on the loopback interface: registrar, elements and user, each with a runtime of
//! its own, as if they were processes that share a UDP port.
#![cfg(feature = "api")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "edge: a test over real sockets")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a panic is how they fail")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rserpool::api::{
    AsapConfig, ElementConfig, Error, Failover, FailureReason, PeSession, PoolListener, PoolStream, Received, ResolveError, Rserpool,
    SendInfo, SessionConfig,
};
use rserpool::node::RegistrarNode;
use rserpool::registrar::config::{AnnounceTarget, RegistrarConfig};
use rserpool::wire::{ENRP_PORT, ElementId, PoolHandle};
use sctp_user::entropy::OsEntropy;
use sctp_user::socket::{AnnounceFrom, Handle, Runtime};
use sctp_user::{EndpointConfig, Stack, StackConfig};

const ASAP: u16 = 3863;
/// Generous: nothing here takes a tenth of it on an idle machine.
const LONG: Option<Duration> = Some(Duration::from_secs(30));

fn pool() -> PoolHandle {
    PoolHandle::new("EchoPool").unwrap()
}

fn free_udp_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap().local_addr().unwrap().port()
}

fn registrar(udp_port: u16) -> Handle<RegistrarNode> {
    let runtime = Runtime::builder().udp_port(udp_port).build().unwrap();
    let mut cfg = StackConfig::default();
    cfg.default_channel = runtime.default_channel();
    let entropy = || Box::new(OsEntropy::new().unwrap());
    let stack = Stack::new(cfg, entropy());
    let node = RegistrarNode::new(stack, EndpointConfig::new(ASAP), EndpointConfig::new(ENRP_PORT), RegistrarConfig::default(), entropy())
        .unwrap();
    let handle = runtime.spawn(node).unwrap();
    assert_eq!(handle.claim_port(ASAP).unwrap(), ASAP);
    handle
}

fn start(udp_port: u16) -> Rserpool {
    let registrar = SocketAddr::from((Ipv4Addr::LOCALHOST, ASAP));
    Rserpool::builder().udp_port(udp_port).no_announces().registrar(registrar).start().unwrap()
}

/// An element that echoes with the number of the echo, counted over all elements by way of cookies. It can be told to leave.
fn echo(udp_port: u16) -> (ElementId, JoinHandle<()>) {
    let rsp = start(udp_port);
    let listener = PoolListener::bind(&rsp, pool(), ElementConfig::default()).unwrap();
    (listener.key().id, thread::spawn(move || while serve(&listener.accept(LONG).unwrap()) {}))
}

/// Serves one session; whether another one is to follow.
fn serve(session: &PeSession) -> bool {
    let mut count = 0u32;
    loop {
        match session.recv(LONG) {
            Ok(Received::CookieEcho(state)) => count = u32::from_be_bytes(state[..].try_into().unwrap()),
            Ok(Received::Message(m)) if &m.data[..] == b"leave" => return false,
            Ok(Received::Message(m)) => {
                count += 1;
                session.send_cookie(&count.to_be_bytes(), LONG).unwrap();
                session.send(&[&count.to_be_bytes()[..], &m.data].concat(), &SendInfo::ppid(m.ppid)).unwrap();
            }
            Ok(Received::Shutdown) | Err(_) => return true,
            Ok(_) => {}
        }
    }
}

fn next_echo(stream: &PoolStream, failovers: &mut Vec<Failover>) -> (u32, Vec<u8>, ElementId) {
    loop {
        match stream.recv(LONG).unwrap() {
            Received::Message(m) => return (u32::from_be_bytes(m.data[..4].try_into().unwrap()), m.data[4..].to_vec(), m.element),
            Received::Failover(f) => failovers.push(f),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_session_over_real_sockets_moves_on_with_its_cookie() {
    let udp_port = free_udp_port();
    let _registrar = registrar(udp_port);
    let elements = [(); 3].map(|()| echo(udp_port));
    let rsp = start(udp_port);
    let mut found: Vec<ElementId> = rsp.resolve(&pool(), 10, LONG).unwrap().iter().map(|e| e.id).collect();
    found.sort_unstable();
    let mut ids = elements.each_ref().map(|(id, _)| *id);
    ids.sort_unstable();
    assert_eq!(found, ids);

    let stream = PoolStream::connect(&rsp, pool(), SessionConfig::default()).unwrap();
    let mut failovers = Vec::new();
    let mut visited = Vec::new();
    let mut ask = |n: u32, failovers: &mut Vec<Failover>| {
        stream.send(format!("message {n}").as_bytes(), &SendInfo::ppid(7)).unwrap();
        let (count, text, element) = next_echo(&stream, failovers);
        assert_eq!((count, text), (n, format!("message {n}").into_bytes()), "the state goes along");
        assert_eq!(stream.element().unwrap(), Some(element));
        visited.push(element);
    };
    for n in 1..=3 {
        ask(n, &mut failovers);
    }
    stream.force_failover(false).unwrap();
    for n in 4..=6 {
        ask(n, &mut failovers);
    }
    // Two of three leave, one after the other, each while it serves.
    for n in [7, 8] {
        stream.send(b"leave", &SendInfo::ppid(7)).unwrap();
        let before = failovers.len();
        while failovers.len() < before + 2 {
            match stream.recv(LONG).unwrap() {
                Received::Failover(f) => failovers.push(f),
                other => panic!("{other:?}"),
            }
        }
        ask(n, &mut failovers);
    }
    assert_ne!(visited[2], visited[3]);
    assert_ne!(visited[5], visited[6]);
    assert_ne!(visited[6], visited[7]);
    let reasons: Vec<FailureReason> = failovers
        .chunks(2)
        .map(|pair| match pair {
            [Failover::Necessary { reason, has_cookie: true, .. }, Failover::Complete { cookie_sent: true, .. }] => *reason,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons, [FailureReason::Forced, FailureReason::Shutdown, FailureReason::Shutdown]);
    stream.close(LONG).unwrap();
    let mut left = 0;
    for (id, thread) in elements {
        if id != visited[7] {
            thread.join().unwrap();
            left += 1;
        }
    }
    assert_eq!(left, 2);
}

#[test]
fn a_registrar_is_found_by_its_announces_on_the_loopback_interface() {
    let udp_port = free_udp_port();
    let group = SocketAddr::from((Ipv4Addr::new(239, 0, 0, 50), free_udp_port()));
    // Its announces come from the UDP port of this number, so that must be free as well.
    let asap = free_udp_port();
    let runtime = Runtime::builder().udp_port(udp_port).build().unwrap();
    let mut stack = StackConfig::default();
    stack.default_channel = runtime.default_channel();
    let mut cfg = RegistrarConfig::default();
    cfg.announce.targets = vec![AnnounceTarget { source: Ipv4Addr::LOCALHOST.into(), group }];
    let entropy = || Box::new(OsEntropy::new().unwrap());
    let node = RegistrarNode::new(Stack::new(stack, entropy()), EndpointConfig::new(asap), EndpointConfig::new(ENRP_PORT), cfg, entropy())
        .unwrap();
    let registrar = runtime.spawn(node).unwrap();
    registrar.claim_port(asap).unwrap();
    registrar.announce_from(AnnounceFrom { source: (Ipv4Addr::LOCALHOST, asap).into(), group, ttl: 1 }).unwrap();

    let rsp = Rserpool::builder().udp_port(udp_port).announce_group(group).start().unwrap();
    let listener = PoolListener::bind(&rsp, pool(), ElementConfig::default()).unwrap();
    let user = Rserpool::builder().udp_port(udp_port).announce_group(group).start().unwrap();
    let elements = user.resolve(&pool(), 5, LONG).unwrap();
    assert_eq!(elements[0].id, listener.key().id);
    // On the loopback it has an address of the other family too, if that is up.
    assert_eq!(elements[0].user.addrs[0], Ipv4Addr::LOCALHOST);
    assert_eq!(elements[0].user.port, listener.port());
}

#[test]
fn errors_come_in_time_and_are_clear() {
    let udp_port = free_udp_port();
    let mut cfg = AsapConfig::default();
    cfg.hunt_limit = Duration::from_millis(300);
    let lonely = Rserpool::builder().udp_port(udp_port).no_announces().asap(cfg).start().unwrap();
    let error = PoolStream::connect(&lonely, pool(), SessionConfig::default()).unwrap_err();
    assert!(matches!(error, Error::Resolve(ResolveError::NoRegistrar)), "{error}");
    let error = PoolListener::bind(&lonely, pool(), ElementConfig::default()).unwrap_err();
    assert!(matches!(error, Error::Register(_)), "{error}");
    assert!(matches!(lonely.resolve(&pool(), 1, Some(Duration::ZERO)), Err(Error::Timeout)));

    let _registrar = registrar(udp_port);
    let rsp = start(udp_port);
    let error = rsp.resolve(&pool(), 1, LONG).unwrap_err();
    assert_eq!(error.to_string(), "unknown pool handle \"EchoPool\"");
    let error = PoolStream::connect(&rsp, pool(), SessionConfig::default()).unwrap_err();
    assert_eq!(error.to_string(), "unknown pool handle \"EchoPool\"");
    let listener = PoolListener::bind(&rsp, pool(), ElementConfig::default()).unwrap();
    assert_eq!(rsp.resolve(&pool(), 1, LONG).unwrap().len(), 1);
    assert!(matches!(listener.accept(Some(Duration::ZERO)), Err(Error::Timeout)));
    drop(listener);
    assert!(matches!(rsp.resolve(&pool(), 1, LONG), Err(Error::Resolve(ResolveError::UnknownPoolHandle(_)))));
}

#[test]
fn a_full_queue_pushes_back() {
    let udp_port = free_udp_port();
    let _registrar = registrar(udp_port);
    let rsp = start(udp_port);
    let listener = PoolListener::bind(&rsp, pool(), ElementConfig::default()).unwrap();
    let stream = PoolStream::connect(&rsp, pool(), SessionConfig::default()).unwrap();
    let session = listener.accept(LONG).unwrap();
    let block = vec![0x55; 100_000];
    let short = SendInfo { timeout: Some(Duration::from_millis(200)), ..SendInfo::ppid(9) };
    let mut sent = 0usize;
    let error = loop {
        match stream.send(&block, &short) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1_000, "nothing pushes back");
    };
    assert!(matches!(error, Error::Timeout), "{error}");
    for _ in 0..sent {
        let Received::Message(m) = session.recv(LONG).unwrap() else { panic!() };
        assert_eq!(m.data, block);
    }
    stream.send(b"end", &SendInfo::ppid(9)).unwrap();
    assert!(matches!(session.recv(LONG).unwrap(), Received::Message(m) if &m.data[..] == b"end"));
    let error = stream.send(b"x", &SendInfo::ppid(11)).unwrap_err();
    assert!(matches!(error, Error::Send(_)), "{error}");
}

#[test]
fn a_registrar_is_found_by_the_name_of_its_host() {
    let udp_port = free_udp_port();
    let _registrar = registrar(udp_port);
    let rsp = Rserpool::builder().udp_port(udp_port).no_announces().registrar_name("localhost", ASAP).start().unwrap();
    let error = rsp.resolve(&pool(), 1, LONG).unwrap_err();
    assert!(matches!(error, Error::Resolve(ResolveError::UnknownPoolHandle(_))), "{error}");
    // The thread that looks names up does not keep the ports.
    drop(rsp);
    let rsp = start(udp_port);
    rsp.subscribe(&pool()).unwrap();
    let listener = PoolListener::bind(&rsp, pool(), ElementConfig::default()).unwrap();
    let found = rsp.resolve_cached(&pool(), 1, LONG.unwrap(), LONG);
    // Whether "no such pool" is still believed depends on how fast this was.
    assert!(found.is_ok_and(|e| e[0].id == listener.key().id) || rsp.resolve(&pool(), 1, LONG).is_ok());
}
