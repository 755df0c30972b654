//! Several processes on one encapsulation port: inside one process, where the test decides who runs, and as real processes that
//! are killed and stopped.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "edge: real clocks, threads and sockets"
)]

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use udp_encap::share::SILENCE;
use udp_encap::{Bind, ClaimError, Incoming, OpenError, Request, Role, ShareConfig, SharedPort, Transmit, UdpEncap};

/// Generous; the ways to the end are events.
const WAIT: Duration = Duration::from_secs(20);
const LO: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn free_port() -> u16 {
    UdpEncap::bind(Bind::Any, 0).unwrap().port()
}

fn config(udp_port: u16) -> ShareConfig {
    ShareConfig { udp_port, ..ShareConfig::default() }
}

/// Random enough for ephemeral ports, and different in each process.
fn entropy() -> impl FnMut(&mut [u8]) + Send + 'static {
    let mut state = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    move |octets| {
        for octet in octets {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *octet = state.to_be_bytes()[0];
        }
    }
}

/// A packet for an SCTP port, with something to tell it by.
fn packet(port: u16, mark: u8) -> Vec<u8> {
    let mut packet = vec![mark; 40];
    packet[2..4].copy_from_slice(&port.to_be_bytes());
    packet
}

fn mark(packet: &[u8]) -> (u16, u8) {
    (u16::from_be_bytes([packet[2], packet[3]]), packet[39])
}

/// A process as its event loop sees it.
struct Peer {
    port: SharedPort,
    poll: Poll,
    inbox: VecDeque<Incoming>,
}

impl Peer {
    fn new(mut port: SharedPort) -> Self {
        let poll = Poll::new().unwrap();
        port.register(poll.registry().try_clone().unwrap(), Token(1000)).unwrap();
        Self { port, poll, inbox: VecDeque::new() }
    }

    fn open(config: &ShareConfig) -> Self {
        Self::new(SharedPort::open(config, entropy()).unwrap())
    }

    fn turn(&mut self, longest: Duration) {
        let mut events = Events::with_capacity(64);
        let now = Instant::now();
        let wait = self.port.next_deadline().map_or(longest, |at| at.saturating_duration_since(now).min(longest));
        match self.poll.poll(&mut events, Some(wait)) {
            // As after a stop.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => result.unwrap(),
        }
        self.act(&events, Instant::now());
    }

    /// The second half of a turn; with an old time, as if the process had been stopped between the halves.
    fn act(&mut self, events: &Events, now: Instant) {
        for event in events {
            assert!(self.port.owns(event.token()));
            self.port.handle_ready(event.token());
        }
        while self.port.recv(now, |incoming| self.inbox.push_back(incoming)).unwrap() {}
    }

    fn old_turn(&mut self, then: Instant) {
        let mut events = Events::with_capacity(64);
        self.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        self.act(&events, then);
    }

    fn became_reader(&mut self) -> bool {
        self.take(|incoming| matches!(incoming, Incoming::RoleChanged { role: Role::Reader, .. }).then_some(())).is_some()
    }

    fn take<T>(&mut self, pick: impl Fn(&Incoming) -> Option<T>) -> Option<T> {
        let at = self.inbox.iter().position(|incoming| pick(incoming).is_some())?;
        self.inbox.remove(at).and_then(|incoming| pick(&incoming))
    }

    fn marks(&mut self) -> Vec<(u16, u8)> {
        let mut marks = Vec::new();
        while let Some(train) = self.take(|incoming| match incoming {
            Incoming::Train(train) => Some(train.clone()),
            _ => None,
        }) {
            marks.extend(train.packets().map(|packet| mark(&packet)));
        }
        marks
    }

    fn died(&mut self) -> Option<Vec<u16>> {
        self.take(|incoming| match incoming {
            Incoming::PortsDied { ports } => Some(ports.clone()),
            _ => None,
        })
    }

    fn claimed(&mut self, request: Request) -> Option<Result<u16, ClaimError>> {
        self.take(|incoming| match incoming {
            Incoming::Claimed { request: r, result } if *r == request => Some(*result),
            _ => None,
        })
    }
}

/// Lets the peers run until the condition holds. Peers that are not listed are frozen.
fn drive<T>(peers: &mut [&mut Peer], mut until: impl FnMut(&mut [&mut Peer]) -> Option<T>) -> T {
    let end = Instant::now() + WAIT;
    loop {
        for peer in peers.iter_mut() {
            peer.turn(Duration::from_millis(1));
        }
        if let Some(result) = until(peers) {
            return result;
        }
        if Instant::now() > end {
            let states: Vec<_> = peers.iter().map(|peer| (&peer.port, &peer.inbox)).collect();
            panic!("waited too long: {states:#?}");
        }
    }
}

/// Opens one more while the others run.
fn join(config: &ShareConfig, peers: &mut [&mut Peer]) -> Peer {
    let config = config.clone();
    let opening: JoinHandle<_> = std::thread::spawn(move || SharedPort::open(&config, entropy()).unwrap());
    drive(peers, |_| opening.is_finished().then_some(()));
    Peer::new(opening.join().unwrap())
}

fn claim(peers: &mut [&mut Peer], index: usize, port: u16) -> Result<u16, ClaimError> {
    let request = peers[index].port.start_claim(port, Instant::now());
    drive(peers, |peers| peers[index].claimed(request))
}

/// Sends a packet to each SCTP port and waits for exactly that at each peer.
fn check_delivery(peers: &mut [&mut Peer], to: &[(u16, usize)], tag: u8) {
    let udp_port = peers[0].port.udp_port();
    let mut outside = UdpEncap::bind(Bind::V4, 0).unwrap();
    for (sctp_port, _) in to {
        outside.send(&Transmit::to(SocketAddr::new(LO, udp_port)), &packet(*sctp_port, tag)).unwrap();
    }
    let mut missing = to.to_vec();
    drive(peers, |peers| {
        for (index, peer) in peers.iter_mut().enumerate() {
            for (port, seen) in peer.marks() {
                if seen != tag {
                    continue; // kept from before
                }
                let at = missing.iter().position(|m| *m == (port, index));
                missing.remove(at.unwrap_or_else(|| panic!("packet for {port} came to {index}")));
            }
        }
        missing.is_empty().then_some(())
    });
}

fn roles(peers: &[&mut Peer]) -> Vec<Role> {
    peers.iter().map(|peer| peer.port.role()).collect()
}

#[test]
fn packets_go_to_the_process_that_claimed_the_port() {
    let config = config(free_port());
    let mut a = Peer::open(&config);
    assert_eq!(a.port.role(), Role::Reader);
    let mut b = join(&config, &mut [&mut a]);
    let mut c = join(&config, &mut [&mut a, &mut b]);
    let peers = &mut [&mut a, &mut b, &mut c];
    assert_eq!(roles(peers), [Role::Reader, Role::Member, Role::Member]);
    assert_eq!(claim(peers, 0, 10), Ok(10));
    assert_eq!(claim(peers, 1, 11), Ok(11));
    assert_eq!(claim(peers, 2, 12), Ok(12));
    check_delivery(peers, &[(10, 0), (11, 1), (12, 2), (99, 0)], 1);

    // Everybody sends by itself, from the shared port; source and train survive the way through the reader.
    let t = Transmit { segment_size: Some(40), ..Transmit::to(SocketAddr::new(LO, config.udp_port)) };
    let train: Vec<u8> = [12, 11, 11, 10, 12].iter().flat_map(|port| packet(*port, 2)).collect();
    peers[2].port.send(&t, &train).unwrap();
    let mut seen = [Vec::new(), Vec::new(), Vec::new()];
    drive(peers, |peers| {
        for (seen, peer) in seen.iter_mut().zip(peers) {
            for incoming in peer.inbox.drain(..) {
                if let Incoming::Train(train) = incoming {
                    assert_eq!(train.meta.src, SocketAddr::new(LO, config.udp_port));
                    assert_eq!(train.meta.dst_ip, Some(LO));
                    seen.extend(train.packets().map(|packet| mark(&packet).0));
                }
            }
        }
        (seen.iter().map(Vec::len).sum::<usize>() == 5).then_some(())
    });
    assert_eq!(seen, [vec![10], vec![11, 11], vec![12, 12]]);
}

#[test]
fn claims_are_exclusive_and_ephemeral_ports_differ() {
    let config = config(free_port());
    let mut a = Peer::open(&config);
    let mut b = join(&config, &mut [&mut a]);
    let peers = &mut [&mut a, &mut b];
    assert_eq!(claim(peers, 1, 3863), Ok(3863));
    assert_eq!(claim(peers, 0, 3863), Err(ClaimError::InUse));
    assert_eq!(claim(peers, 1, 3863), Err(ClaimError::InUse));
    let mut seen = Vec::new();
    for round in 0..20 {
        let port = claim(peers, round % 2, 0).unwrap();
        assert!(port >= 49_152 && !seen.contains(&port));
        seen.push(port);
    }
    peers[1].port.release(3863, Instant::now());
    drive(peers, |peers| {
        let request = peers[0].port.start_claim(3863, Instant::now());
        matches!(
            peers[0].claimed(request).or_else(|| {
                peers[0].turn(Duration::ZERO);
                peers[0].claimed(request)
            }),
            Some(Ok(3863))
        )
        .then_some(())
    });
    assert_eq!(claim(peers, 1, 3863), Err(ClaimError::InUse));
}

#[test]
fn the_waiting_form_of_a_claim() {
    let config = config(free_port());
    let mut a = Peer::open(&config);
    assert_eq!(a.port.claim(7, Duration::from_secs(1)), Ok(7));
    let other = config.clone();
    let member = std::thread::spawn(move || {
        let mut b = SharedPort::open(&other, entropy()).unwrap();
        (b.claim(7, WAIT), b.claim(8, WAIT), b.claim(0, WAIT))
    });
    drive(&mut [&mut a], |_| member.is_finished().then_some(()));
    let (taken, given, ephemeral) = member.join().unwrap();
    assert_eq!((taken, given), (Err(ClaimError::InUse), Ok(8)));
    assert!(ephemeral.unwrap() >= 49_152);
}

#[test]
fn a_member_that_leaves_frees_its_ports_and_everybody_hears_of_it() {
    let config = config(free_port());
    let mut a = Peer::open(&config);
    let mut b = join(&config, &mut [&mut a]);
    let mut c = join(&config, &mut [&mut a, &mut b]);
    claim(&mut [&mut a, &mut b, &mut c], 1, 11).unwrap();
    drop(b);
    let peers = &mut [&mut a, &mut c];
    for index in 0..2 {
        assert_eq!(drive(peers, |peers| peers[index].died()), [11]);
    }
    check_delivery(peers, &[(11, 0)], 3);
    assert_eq!(claim(peers, 1, 11), Ok(11));
    check_delivery(peers, &[(11, 1)], 4);
}

#[test]
fn when_the_reader_leaves_the_eldest_reads_on() {
    let config = config(free_port());
    let mut a = Peer::open(&config);
    let mut b = join(&config, &mut [&mut a]);
    let mut c = join(&config, &mut [&mut a, &mut b]);
    let mut d = join(&config, &mut [&mut a, &mut b, &mut c]);
    {
        let peers = &mut [&mut a, &mut b, &mut c, &mut d];
        for (index, port) in [10, 11, 12, 13].into_iter().enumerate() {
            claim(peers, index, port).unwrap();
        }
    }
    drop(a);
    let mut outside = UdpEncap::bind(Bind::V4, 0).unwrap();
    // While nobody reads, the kernel keeps what comes.
    outside.send(&Transmit::to(SocketAddr::new(LO, config.udp_port)), &packet(12, 5)).unwrap();
    let peers = &mut [&mut b, &mut c, &mut d];
    drive(peers, |peers| {
        (roles(peers) == [Role::Reader, Role::Member, Role::Member] && peers.iter().all(|peer| peer.port.generation() == 2)).then_some(())
    });
    assert_eq!(drive(peers, |peers| peers[1].marks().pop()), (12, 5));
    for index in 0..3 {
        assert_eq!(drive(peers, |peers| peers[index].died()), [10]);
    }
    // Ports of the departed are answered in spite of the quiet after a take-over, others are not.
    check_delivery(peers, &[(11, 0), (12, 1), (13, 2), (10, 0)], 6);
    outside.send(&Transmit::to(SocketAddr::new(LO, config.udp_port)), &packet(77, 7)).unwrap();
    check_delivery(peers, &[(11, 0)], 8);
    // (check_delivery would have seen the packet for 77, which was sent before.)
    assert_eq!(claim(peers, 2, 12), Err(ClaimError::InUse));
    assert_eq!(claim(peers, 2, 10), Ok(10));

    // And once more, down to one.
    drop(b);
    let peers = &mut [&mut c, &mut d];
    drive(peers, |peers| (roles(peers) == [Role::Reader, Role::Member]).then_some(()));
    check_delivery(peers, &[(12, 0), (13, 1), (10, 1)], 9);
    drop(c);
    drive(&mut [&mut d], |peers| (roles(peers) == [Role::Reader]).then_some(()));
    check_delivery(&mut [&mut d], &[(13, 0)], 10);
    let mut e = join(&config, &mut [&mut d]);
    assert_eq!(claim(&mut [&mut d, &mut e], 1, 14), Ok(14));
    check_delivery(&mut [&mut d, &mut e], &[(13, 0), (14, 1)], 11);
}

/// Members may ask their successor before it knows that it is one, and hear of it by two ways at once: none may miss the dead.
#[test]
fn everybody_learns_which_ports_died_with_the_reader_whoever_wakes_first() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let config = config(free_port());
        let mut a = Peer::open(&config);
        let mut b = join(&config, &mut [&mut a]);
        let mut c = join(&config, &mut [&mut a, &mut b]);
        let mut d = join(&config, &mut [&mut a, &mut b, &mut c]);
        assert_eq!(claim(&mut [&mut a, &mut b, &mut c, &mut d], 0, 10), Ok(10));
        drop(a);
        let mut peers = [&mut b, &mut c, &mut d];
        // Several half turns of one before the next one runs at all.
        for index in order {
            for _ in 0..3 {
                peers[index].turn(Duration::from_millis(1));
            }
        }
        for index in 0..3 {
            assert_eq!(drive(&mut peers, |peers| peers[index].died()), [10], "{order:?}, process {index}");
        }
    }
}

/// A reader that slept while its predecessor took somebody on has not heard of that process, which lives all the same.
#[test]
fn nobody_is_called_dead_because_the_next_reader_does_not_know_it() {
    let config = config(free_port());
    let mut a = Peer::open(&config);
    let mut b = join(&config, &mut [&mut a]);
    let mut c = join(&config, &mut [&mut a, &mut b]);
    let mut d = join(&config, &mut [&mut a, &mut b, &mut c]);
    // `a` and `b` do not run while `c` takes over and serves a newcomer, and then ends.
    drive(&mut [&mut c, &mut d], |peers| (roles(peers) == [Role::Reader, Role::Member] && peers[1].port.generation() == 2).then_some(()));
    let mut e = join(&config, &mut [&mut c, &mut d]);
    assert_eq!(claim(&mut [&mut c, &mut d, &mut e], 2, 14), Ok(14));
    d.turn(Duration::from_millis(1));
    drop(c);
    // `d` turns to `b` before `e` does.
    for _ in 0..3 {
        d.turn(Duration::from_millis(1));
    }
    drive(&mut [&mut b, &mut d], |peers| (roles(peers) == [Role::Reader, Role::Member] && peers[1].port.generation() > 2).then_some(()));
    let peers = &mut [&mut b, &mut d, &mut e];
    drive(peers, |peers| (peers[2].port.generation() == peers[0].port.generation()).then_some(()));
    check_delivery(peers, &[(14, 2)], 1);
    for peer in peers.iter_mut() {
        assert_eq!(peer.died(), None, "it lives");
    }
}

#[test]
fn a_reader_that_does_not_run_is_displaced_and_comes_back_as_a_member() {
    let config = config(free_port());
    let mut a = Peer::open(&config);
    let mut b = join(&config, &mut [&mut a]);
    let mut c = join(&config, &mut [&mut a, &mut b]);
    {
        let peers = &mut [&mut a, &mut b, &mut c];
        for (index, port) in [10, 11, 12].into_iter().enumerate() {
            claim(peers, index, port).unwrap();
        }
    }
    // Nobody lets `a` run from here on.
    let peers = &mut [&mut b, &mut c];
    drive(peers, |peers| (roles(peers) == [Role::Reader, Role::Member] && peers[1].port.generation() == 2).then_some(()));
    check_delivery(peers, &[(11, 0), (12, 1)], 1);
    assert!(peers.iter_mut().all(|peer| peer.died().is_none()), "it is not dead");
    // A newcomer finds the way, although the frozen one holds the name that newcomers look for.
    let mut d = join(&config, &mut [&mut b, &mut c]);
    assert_eq!(claim(&mut [&mut b, &mut c, &mut d], 2, 13), Ok(13));
    // Packets for the frozen one are kept for it.
    let mut outside = UdpEncap::bind(Bind::V4, 0).unwrap();
    outside.send(&Transmit::to(SocketAddr::new(LO, config.udp_port)), &packet(10, 2)).unwrap();
    check_delivery(&mut [&mut b, &mut c, &mut d], &[(11, 0), (12, 1), (13, 2)], 3);

    let peers = &mut [&mut a, &mut b, &mut c, &mut d];
    drive(peers, |peers| (peers[0].port.role() == Role::Member && peers[0].port.generation() == 2).then_some(()));
    assert_eq!(drive(peers, |peers| peers[0].marks().pop()), (10, 2));
    check_delivery(peers, &[(10, 0), (11, 1), (12, 2), (13, 3)], 4);
    for peer in peers.iter_mut() {
        assert_eq!(peer.died(), None, "nobody died in all this");
    }
    assert_eq!(claim(peers, 3, 10), Err(ClaimError::InUse));
    // The base name follows the reader.
    let mut e = join(&config, peers);
    assert_eq!(claim(&mut [&mut a, &mut b, &mut c, &mut d, &mut e], 4, 14), Ok(14));
}

#[test]
fn a_reader_stopped_in_the_middle_of_a_turn_gives_its_successor_time() {
    // The answer of the successor comes after the turn that asks, or within it.
    for within in [false, true] {
        let config = config(free_port());
        let mut a = Peer::open(&config);
        let mut b = join(&config, &mut [&mut a]);
        claim(&mut [&mut a, &mut b], 0, 10).unwrap();
        a.turn(Duration::ZERO);
        let then = Instant::now();
        drive(&mut [&mut b], |peers| (peers[0].port.role() == Role::Reader && then.elapsed() > SILENCE).then_some(()));
        a.old_turn(then);
        if within {
            drive(&mut [&mut b], |peers| {
                a.old_turn(then);
                (roles(peers) == [Role::Reader] && a.take(is_member).is_some()).then_some(())
            });
        }
        // Nothing has come for it yet, and its clock leaps.
        a.turn(Duration::ZERO);
        assert!(!a.became_reader(), "displaced its successor, which is well");
        if !within {
            drive(&mut [&mut a, &mut b], |peers| peers[0].take(is_member));
        }
        check_delivery(&mut [&mut a, &mut b], &[(10, 0)], 1);
        assert!(!a.became_reader() && [a.port.generation(), b.port.generation()] == [2, 2]);
    }
}

fn is_member(incoming: &Incoming) -> Option<()> {
    matches!(incoming, Incoming::RoleChanged { role: Role::Member, .. }).then_some(())
}

#[test]
fn a_member_stopped_in_the_middle_of_a_turn_keeps_its_reader() {
    let config = config(free_port());
    let mut a = Peer::open(&config);
    let mut b = join(&config, &mut [&mut a]);
    claim(&mut [&mut a, &mut b], 1, 11).unwrap();
    let then = Instant::now();
    drive(&mut [&mut a], |_| (then.elapsed() > SILENCE).then_some(()));
    b.old_turn(then);
    b.turn(Duration::ZERO);
    assert!(!b.became_reader(), "the reader beat all the time");
    check_delivery(&mut [&mut a, &mut b], &[(11, 1)], 1);
    assert_eq!(roles(&[&mut a, &mut b]), [Role::Reader, Role::Member]);
}

#[test]
fn a_member_that_gives_up_a_sleepy_reader_is_not_dead() {
    let config = config(free_port());
    let mut a = Peer::open(&config);
    let mut b = join(&config, &mut [&mut a]);
    let mut c = join(&config, &mut [&mut a, &mut b]);
    claim(&mut [&mut a, &mut b, &mut c], 2, 12).unwrap();
    // `c` finds the reader silent and asks `b`, which does not run either. So nobody reads, and nobody told `a`, when it
    // wakes up and finds the link to `c` closed.
    let start = Instant::now();
    drive(&mut [&mut c], |_| (start.elapsed() > SILENCE + SILENCE / 3).then_some(()));
    let peers = &mut [&mut a, &mut c];
    check_delivery(peers, &[(12, 1)], 1);
    let peers = &mut [&mut a, &mut b, &mut c];
    check_delivery(peers, &[(12, 2)], 2);
    for peer in peers {
        assert_eq!(peer.died(), None);
    }
}

#[test]
fn a_claim_outlives_the_reader_that_was_asked() {
    let config = config(free_port());
    let mut a = Peer::open(&config);
    let mut b = join(&config, &mut [&mut a]);
    let mut c = join(&config, &mut [&mut a, &mut b]);
    claim(&mut [&mut a, &mut b, &mut c], 1, 11).unwrap();
    let now = Instant::now();
    let (free, taken) = (c.port.start_claim(12, now), c.port.start_claim(11, now));
    let own = b.port.start_claim(13, now);
    let peers = &mut [&mut b, &mut c]; // `a` never sees them
    assert_eq!(drive(peers, |peers| peers[1].claimed(free)), Ok(12));
    assert_eq!(drive(peers, |peers| peers[1].claimed(taken)), Err(ClaimError::InUse));
    assert_eq!(drive(peers, |peers| peers[0].claimed(own)), Ok(13));
    let peers = &mut [&mut a, &mut b, &mut c];
    drive(peers, |peers| (peers[0].port.role() == Role::Member).then_some(()));
    check_delivery(peers, &[(11, 1), (12, 2), (13, 1)], 1);
}

#[test]
#[cfg(target_os = "linux")]
fn icmp_errors_find_the_process_whose_packet_is_quoted() {
    let config = config(free_port());
    let mut a = Peer::open(&config);
    let mut b = join(&config, &mut [&mut a]);
    let peers = &mut [&mut a, &mut b];
    claim(peers, 0, 10).unwrap();
    claim(peers, 1, 11).unwrap();
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (index, port) in [(0, 10u16), (1, 11)] {
        let mut packet = packet(99, 0);
        packet[..2].copy_from_slice(&port.to_be_bytes());
        peers[index].port.send(&Transmit::to(closed), &packet).unwrap();
        let error = drive(peers, |peers| {
            peers[index].take(|incoming| match incoming {
                Incoming::Error(error) => Some(error.clone()),
                _ => None,
            })
        });
        assert_eq!((error.kind, error.dst), (udp_encap::NetErrorKind::PortUnreachable, closed));
        assert_eq!(&error.quoted[..12], &packet[..12]);
    }
}

#[test]
fn a_foreign_socket_on_the_port_is_told_apart() {
    let foreign = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = foreign.local_addr().unwrap().port();
    let start = Instant::now();
    let error = SharedPort::open(&config(port), entropy()).unwrap_err();
    assert!(matches!(error, OpenError::OtherUser { port: p } if p == port), "{error}");
    assert!(start.elapsed() < WAIT);
    let private = ShareConfig { share: false, ..config(port) };
    assert!(matches!(SharedPort::open(&private, entropy()).unwrap_err(), OpenError::OtherUser { .. }));
}

#[test]
fn a_private_port_keeps_to_itself() {
    let mut a = Peer::open(&config(0));
    assert_eq!((a.port.role(), a.port.next_deadline()), (Role::Private, None));
    let peers = &mut [&mut a];
    assert_eq!(claim(peers, 0, 5), Ok(5));
    assert_eq!(claim(peers, 0, 5), Err(ClaimError::InUse));
    check_delivery(peers, &[(5, 0), (6, 0)], 1);
    let port = a.port.udp_port();
    assert!(matches!(SharedPort::open(&config(port), entropy()).unwrap_err(), OpenError::OtherUser { .. }));
}

#[test]
fn local_sockets_in_a_directory_serve_as_well() {
    let parent = tempfile::tempdir().unwrap();
    let config = ShareConfig { directory: Some(parent.path().join("share")), ..config(free_port()) };
    let mut a = Peer::open(&config);
    let mut b = join(&config, &mut [&mut a]);
    let mut c = join(&config, &mut [&mut a, &mut b]);
    claim(&mut [&mut a, &mut b, &mut c], 2, 12).unwrap();
    drop(a);
    let peers = &mut [&mut b, &mut c];
    drive(peers, |peers| (roles(peers) == [Role::Reader, Role::Member]).then_some(()));
    check_delivery(peers, &[(12, 1)], 1);
    let mut d = join(&config, peers);
    assert_eq!(claim(&mut [&mut b, &mut c, &mut d], 2, 14), Ok(14));
}

#[test]
fn nonsense_on_the_local_socket_harms_nobody() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("share");
    let config = ShareConfig { directory: Some(directory.clone()), ..config(free_port()) };
    let mut a = Peer::open(&config);
    let mut b = join(&config, &mut [&mut a]);
    let peers = &mut [&mut a, &mut b];
    claim(peers, 1, 11).unwrap();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[0, 0, 0, 1, 17], &[0, 0, 0, 7, 6, 0, 0, 0, 1, 0, 1]] {
        for name in [config.udp_port.to_string(), format!("{}.1", config.udp_port)] {
            let mut stream = std::os::unix::net::UnixStream::connect(directory.join(name)).unwrap();
            std::io::Write::write_all(&mut stream, bytes).unwrap();
            stream.set_nonblocking(true).unwrap();
            // Closed, not hung.
            drive(peers, |_| matches!(std::io::Read::read(&mut stream, &mut [0; 9]), Ok(0)).then_some(()));
        }
    }
    check_delivery(peers, &[(11, 1)], 1);
}

mod processes;
