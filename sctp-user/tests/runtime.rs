//! The runtime alone, with nodes that know nothing of SCTP.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: real sockets, threads and clocks"
)]

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use sctp_user::socket::{AnnounceFrom, Handle, Runtime};
use sctp_user::{AddrChange, Channel, Meta, NetError, Node, Time, Train, Transmit};

const PATIENCE: Duration = Duration::from_secs(30);

/// Counts what happens to it, sends what it is told to, and has one timer.
#[derive(Default)]
struct Probe {
    outbox: Vec<(Transmit, Vec<u8>)>,
    inbox: Vec<(Meta, Vec<u8>)>,
    echo: bool,
    errors: usize,
    addresses: usize,
    alarm: Option<Time>,
    rang: Option<Time>,
}

impl Probe {
    fn send(&mut self, channel: Channel, dst: SocketAddr, bytes: &[u8]) {
        let transmit = Transmit {
            src: None,
            dst,
            channel,
            ecn: None,
            size: bytes.len(),
            segment_size: None,
            dscp: 0,
            flow_label: 0,
            may_fragment: true,
        };
        self.outbox.push((transmit, bytes.to_vec()));
    }
}

impl Node for Probe {
    fn handle_batch(&mut self, _now: Time, meta: &Meta, train: Train) {
        for packet in train.packets() {
            if self.echo
                && let Channel::Udp { local, remote } = meta.channel
            {
                self.send(Channel::Udp { local, remote }, SocketAddr::new(meta.src, remote), &packet);
            }
            self.inbox.push((*meta, packet.to_vec()));
        }
    }

    fn handle_net_error(&mut self, _now: Time, _err: &NetError) {
        self.errors += 1;
    }

    fn handle_timeout(&mut self, now: Time) {
        if self.alarm.is_some_and(|at| at <= now) {
            self.alarm = None;
            self.rang = Some(now);
        }
    }

    fn poll_transmit(&mut self, _now: Time, _max: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        let (transmit, bytes) = if self.outbox.is_empty() { None? } else { self.outbox.remove(0) };
        buf.extend(bytes);
        Some(transmit)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.alarm
    }

    fn handle_addresses(&mut self, _now: Time, change: AddrChange) {
        let AddrChange::Set(all) = change else { return };
        self.addresses = all.len();
    }
}

fn probe(echo: bool) -> Handle<Probe> {
    Runtime::builder().private_udp().build().unwrap().spawn(Probe { echo, ..Probe::default() }).unwrap()
}

/// As long as the smallest SCTP packet, so that no transport takes it for garbage.
fn packet(n: u8) -> Vec<u8> {
    vec![n; 16]
}

#[test]
fn datagrams_go_there_and_back() {
    let (here, there) = (probe(false), probe(true));
    let channel = Channel::Udp { local: here.udp_port().unwrap(), remote: there.udp_port().unwrap() };
    let dst = SocketAddr::from(([127, 0, 0, 1], there.udp_port().unwrap()));
    for n in 0..100 {
        here.with(|node, _| node.send(channel, dst, &packet(n))).unwrap();
        let (meta, back) = here.wait(Some(PATIENCE), |node, _| node.inbox.pop()).unwrap().expect("an echo");
        assert_eq!(back, packet(n));
        assert_eq!(meta.src, dst.ip());
        assert_eq!(meta.dst, dst.ip());
        assert_eq!(meta.channel, channel);
    }
    here.with(|node, _| assert!(node.addresses > 0)).unwrap();
}

#[test]
fn timers_ring_on_time_and_wake_the_thread_when_set_from_outside() {
    let handle = probe(false);
    // Long sleeps first, so that the later, nearer alarm has to wake the thread.
    handle.with(|node, now| node.alarm = Some(now + Duration::from_secs(3_600))).unwrap();
    for _ in 0..5 {
        let at = handle
            .with(|node, now| {
                let at = now + Duration::from_millis(30);
                node.alarm = Some(at);
                at
            })
            .unwrap();
        let rang = handle.wait(Some(PATIENCE), |node, _| node.rang.take()).unwrap().expect("rang");
        assert!(rang >= at);
    }
}

#[test]
fn waiting_ends_with_the_time_out_and_with_the_runtime() {
    let handle = probe(false);
    let before = Instant::now();
    assert_eq!(handle.wait(Some(Duration::from_millis(50)), |_, _| None::<()>).unwrap(), None);
    assert!(before.elapsed() >= Duration::from_millis(50));
    let waiter = {
        let handle = handle.clone();
        thread::spawn(move || handle.wait(None, |node, _| node.inbox.pop()).map(|_| ()))
    };
    // The waiter is there, or comes and finds the lock poisoned: both end the same way.
    let panicking = handle.clone();
    assert!(thread::spawn(move || panicking.with(|_, _| panic!("on purpose"))).join().is_err());
    drop(handle);
    assert_eq!(waiter.join().unwrap().unwrap_err().kind(), std::io::ErrorKind::ConnectionAborted);
}

#[test]
fn a_waiter_hears_of_changes_by_other_callers() {
    let handle = probe(false);
    let waiter = {
        let handle = handle.clone();
        thread::spawn(move || handle.wait(Some(PATIENCE), |node, _| node.rang.take()).unwrap())
    };
    handle.with(|node, now| node.rang = Some(now)).unwrap();
    assert!(waiter.join().unwrap().is_some());
}

#[test]
fn sctp_ports_are_claimed_once() {
    let handle = probe(false);
    assert_eq!(handle.claim_port(5_000).unwrap(), 5_000);
    assert_eq!(handle.claim_port(5_000).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    let free = handle.claim_port(0).unwrap();
    assert!(free >= 49_152);
}

#[test]
fn two_runtimes_share_a_port_and_the_second_reads_on_when_the_first_is_gone() {
    let port = std::net::UdpSocket::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let join = || Runtime::builder().udp_port(port).build().unwrap().spawn(Probe::default()).unwrap();
    let (first, second) = (join(), join());
    assert_eq!(first.udp_port().unwrap(), second.udp_port().unwrap());
    assert!(first.sharing().unwrap().unwrap().reader && !second.sharing().unwrap().unwrap().reader);
    assert_eq!(first.claim_port(5_000).unwrap(), 5_000);
    assert_eq!(second.claim_port(5_000).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    let ours = second.claim_port(0).unwrap();
    // Nothing but the ports of a common header matters here.
    let to = |sctp_port: u16| [&[0, 7][..], &sctp_port.to_be_bytes(), &[0; 12]].concat();
    let channel = Channel::Udp { local: port, remote: port };
    let dst = SocketAddr::from(([127, 0, 0, 1], port));
    first.with(|node, _| node.send(channel, dst, &to(ours))).unwrap();
    let (_, bytes) = second.wait(Some(PATIENCE), |node, _| node.inbox.pop()).unwrap().expect("handed on");
    assert_eq!(bytes, to(ours));
    second.with(|node, _| node.send(channel, dst, &to(5_000))).unwrap();
    first.wait(Some(PATIENCE), |node, _| node.inbox.pop()).unwrap().expect("kept");
    drop(first);
    let until = Instant::now() + PATIENCE;
    while !second.sharing().unwrap().unwrap().reader {
        assert!(Instant::now() < until);
        second.wait(Some(Duration::from_millis(10)), |_, _| None::<()>).unwrap();
    }
    second.with(|node, _| node.send(channel, dst, &to(ours))).unwrap();
    second.wait(Some(PATIENCE), |node, _| node.inbox.pop()).unwrap().expect("read by itself");
    // The port of the first is free again, after the pause that keeps its late packets from the next user.
    let again = || second.claim_port(5_000).is_ok();
    while !again() {
        assert!(Instant::now() < until);
        second.wait(Some(Duration::from_millis(50)), |_, _| None::<()>).unwrap();
    }
}

#[test]
fn announces_on_the_loopback_are_heard_with_their_source() {
    let group: SocketAddr = "239.255.77.77:0".parse().unwrap();
    // A free port for the group, held until the listener has its own socket on it (which shares it).
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let group = SocketAddr::new(group.ip(), free);
    let loopback = "127.0.0.1".parse().unwrap();
    let listener = Runtime::builder().private_udp().announce_listener(group, vec![loopback]).build().unwrap();
    let listener = listener.spawn(Probe::default()).unwrap();
    let sender = probe(false);
    let source = {
        // Any free port will do for the source.
        let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        SocketAddr::new(loopback, port)
    };
    sender.announce_from(AnnounceFrom { source, group, ttl: 1 }).unwrap();
    let channel = Channel::Datagram { local: source.port(), remote: group.port() };
    sender.with(|node, _| node.send(channel, group, b"here I am")).unwrap();
    let (meta, bytes) = listener.wait(Some(PATIENCE), |node, _| node.inbox.pop()).unwrap().expect("an announce");
    assert_eq!(bytes, b"here I am");
    assert_eq!((meta.src, meta.dst), (source.ip(), group.ip()));
    assert_eq!(meta.channel, Channel::Datagram { local: group.port(), remote: source.port() });
}

#[test]
fn what_cannot_be_had_is_said_in_one_line_with_the_remedy() {
    let first = Runtime::builder().udp_port(0).share(false).build().unwrap();
    let port = first.udp_port();
    let taken = Runtime::builder().udp_port(port).share(false).build().unwrap_err().to_string();
    assert!(taken.contains(&port.to_string()) && taken.contains("--udp-port") && !taken.contains('\n'), "{taken}");
    let fallback = Runtime::builder().udp_port(port).share(false).fallback_to_ephemeral(true).build().unwrap();
    assert_ne!(fallback.udp_port(), port);
    assert_eq!(fallback.default_channel(), Channel::Udp { local: fallback.udp_port(), remote: port });
    let nowhere = "192.0.2.1".parse().unwrap();
    let not_ours = Runtime::builder().udp_port(0).bind(nowhere).build().unwrap_err().to_string();
    assert!(not_ours.contains("192.0.2.1") && !not_ours.contains('\n'), "{not_ours}");
    let no_file = Runtime::builder().private_udp().pcap("/nonexistent/x.pcapng").build().unwrap_err().to_string();
    assert!(no_file.contains("/nonexistent/x.pcapng"), "{no_file}");
}

#[test]
fn the_port_is_free_after_the_last_handle() {
    let runtime = Runtime::builder().udp_port(0).share(false).build().unwrap();
    let port = runtime.udp_port();
    let handle = runtime.spawn(Probe::default()).unwrap();
    let clone = handle.clone();
    drop(handle);
    clone.with(|_, _| ()).unwrap();
    drop(clone);
    Runtime::builder().udp_port(port).share(false).build().unwrap();
}
