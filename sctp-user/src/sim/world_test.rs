//! The world with small nodes that know nothing of SCTP: every event arrives at the right host at the right time, or not at all.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::*;
use crate::entropy::Entropy as _;
use crate::net::{AddrChange, Channel, Ecn, Meta, NetError, NetErrorKind, Train, Transmit};
use crate::node::Node;
use crate::time::Time;
use crate::wire::checksum;

const MS: Duration = Duration::from_millis(1);
const UDP: Channel = Channel::Udp { local: 9899, remote: 9899 };

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

/// Sends what it is told, notes what it gets, and answers packets that begin with `?`.
#[derive(Default)]
struct Probe {
    out: Vec<(Transmit, Vec<u8>)>,
    got: Vec<(Time, Meta, Vec<Vec<u8>>)>,
    errors: Vec<(Time, NetError)>,
    timeouts: Vec<Time>,
    timers: Vec<Time>,
    died: Vec<u16>,
    addrs: Option<AddrChange>,
    /// A timer that is due and never goes away.
    stuck: bool,
    /// Sends without end.
    chatter: bool,
}

impl Probe {
    fn send(&mut self, dst: &str, channel: Channel, bytes: &[u8]) {
        self.send_train(dst, channel, bytes, None);
    }

    fn send_train(&mut self, dst: &str, channel: Channel, bytes: &[u8], segment_size: Option<usize>) {
        let port = match channel {
            Channel::Udp { remote, .. } | Channel::Datagram { remote, .. } => remote,
            _ => 0,
        };
        let t = Transmit {
            src: None,
            dst: SocketAddr::new(ip(dst), port),
            channel,
            ecn: Some(Ecn::Ect0),
            size: bytes.len(),
            segment_size,
            dscp: 0,
            flow_label: 0,
            may_fragment: false,
        };
        self.out.push((t, bytes.to_vec()));
    }

    fn texts(&self) -> Vec<String> {
        self.got.iter().flat_map(|(_, _, p)| p.iter().map(|b| String::from_utf8_lossy(b).into_owned())).collect()
    }
}

impl Node for Probe {
    fn handle_batch(&mut self, now: Time, meta: &Meta, train: Train) {
        let packets: Vec<Vec<u8>> = train.packets().map(|p| p.to_vec()).collect();
        for p in packets.iter().filter(|p| p.first() == Some(&b'?')) {
            let t = Transmit {
                src: Some(meta.dst),
                dst: SocketAddr::new(meta.src, if let Channel::Udp { remote, .. } = meta.channel { remote } else { 0 }),
                channel: meta.channel,
                ecn: None,
                size: p.len(),
                segment_size: None,
                dscp: 0,
                flow_label: 0,
                may_fragment: false,
            };
            let mut answer = p.clone();
            answer[0] = b'!';
            self.out.push((t, answer));
        }
        self.got.push((now, *meta, packets));
    }

    fn handle_net_error(&mut self, now: Time, err: &NetError) {
        self.errors.push((now, err.clone()));
    }

    fn handle_timeout(&mut self, now: Time) {
        self.timeouts.push(now);
        self.timers.retain(|t| *t > now);
    }

    fn poll_transmit(&mut self, _now: Time, _max: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        if self.chatter {
            self.send("10.0.0.2", UDP, b"and another thing");
        }
        if self.out.is_empty() {
            return None;
        }
        let (t, bytes) = self.out.remove(0);
        buf.extend_from_slice(&bytes);
        Some(t)
    }

    fn poll_timeout(&self) -> Option<Time> {
        if self.stuck { Some(Time::ZERO) } else { self.timers.iter().min().copied() }
    }

    fn handle_addresses(&mut self, _now: Time, change: AddrChange) {
        self.addrs = Some(change);
    }

    fn handle_ports_died(&mut self, _now: Time, ports: &[u16]) {
        self.died.extend(ports);
    }
}

fn pair(seed: u64) -> (World, NodeId<Probe>, NodeId<Probe>) {
    let mut w = World::new(seed);
    let a = w.add(HostConfig::new("a", ip("10.0.0.1")), Probe::default());
    let b = w.add(HostConfig::new("b", ip("10.0.0.2")), Probe::default());
    (w, a, b)
}

fn second() -> Time {
    Time::from_millis(1000)
}

#[test]
fn a_packet_and_its_answer_take_two_delays() {
    let (mut w, a, b) = pair(1);
    w.with(a, |n, _| n.send("10.0.0.2", UDP, b"?ping"));
    assert!(w.run_until_idle_or(second(), |w| !w.node(a).got.is_empty()));
    assert_eq!(w.now(), Time::from_millis(20));
    let (at, meta, packets) = &w.node(b).got[0];
    assert_eq!((*at, packets.as_slice()), (Time::from_millis(10), [b"?ping".to_vec()].as_slice()));
    assert_eq!((meta.src, meta.dst, meta.channel, meta.ecn), (ip("10.0.0.1"), ip("10.0.0.2"), UDP, Some(Ecn::Ect0)));
    assert_eq!(w.node(a).texts(), ["!ping"]);
    assert!(!w.run_until_idle_or(second(), |_| false));
    w.run_until(second());
    assert_eq!(w.now(), second());
    assert!(!w.step());
}

#[test]
fn ports_tell_processes_of_one_address_apart() {
    let mut w = World::new(1);
    let a = w.add(HostConfig::new("a", ip("10.0.0.1")), Probe::default());
    let b = w.add(HostConfig { udp_ports: vec![1111], ..HostConfig::new("b", ip("10.0.0.1")) }, Probe::default());
    let raw = HostConfig { udp_ports: vec![], raw: true, datagram_ports: vec![5], ..HostConfig::new("c", ip("10.0.0.1")) };
    let c = w.add(raw, Probe::default());
    w.with(a, |n, _| n.send("10.0.0.1", Channel::Udp { local: 9899, remote: 1111 }, b"to b"));
    w.with(b, |n, _| n.send("10.0.0.1", Channel::Udp { local: 1111, remote: 9899 }, b"to a"));
    w.with(a, |n, _| n.send("10.0.0.1", Channel::Udp { local: 9899, remote: 5 }, b"to c"));
    w.with(c, |n, _| n.send("10.0.0.1", Channel::Raw, b"to c, raw"));
    w.run_until(second());
    assert_eq!(w.node(a).texts(), ["to a"]);
    assert_eq!(w.node(a).got[0].1.channel, Channel::Udp { local: 9899, remote: 1111 });
    assert_eq!(w.node(b).texts(), ["to b"]);
    assert_eq!(w.node(c).texts(), ["to c", "to c, raw"]);
    assert_eq!(w.node(c).got[0].1.channel, Channel::Datagram { local: 5, remote: 9899 });
    assert_eq!(w.node(c).got[1].1.channel, Channel::Raw);
}

#[test]
fn sctp_ports_tell_processes_of_one_udp_port_apart() {
    let mut w = World::new(1);
    let host = |name, port| HostConfig { sctp_ports: Some(vec![port]), ..HostConfig::new(name, ip("10.0.0.1")) };
    let a = w.add(host("a", 0x6161), Probe::default());
    let b = w.add(host("b", 0x6262), Probe::default());
    w.with(a, |n, _| ["..aa", "..bb", "..cc"].iter().for_each(|p| n.send("10.0.0.1", UDP, p.as_bytes())));
    w.run_until(second());
    assert_eq!((w.node(a).texts(), w.node(b).texts()), (vec!["..aa".to_owned()], vec!["..bb".to_owned()]));
    assert_eq!(w.node(a).errors.len(), 1);
}

#[test]
fn timers_run_by_the_clock_of_their_host() {
    let mut w = World::new(1);
    let cfg = HostConfig { clock_ahead: Duration::from_secs(1000), ..HostConfig::new("a", ip("10.0.0.1")) };
    let a = w.add(cfg, Probe::default());
    let start = w.local_time(a);
    assert_eq!(start, Time::from_millis(1_000_000));
    w.with(a, |n, now| n.timers = vec![now + 5 * MS, now + 9 * MS, now + 300 * MS]);
    assert_eq!(w.next_event(), Some(Time::from_millis(5)));
    w.at(Time::from_millis(100), Fault::ClockJump { host: a.host(), by: 150 * MS });
    w.run_until(second());
    // The last timer comes 150 ms earlier by the world's clock, and on time by its own.
    assert_eq!(w.node(a).timeouts, [start + 5 * MS, start + 9 * MS, start + 300 * MS]);
    assert_eq!(w.local_time(a), start + 1150 * MS);
    // A leap over a deadline makes the timer late.
    w.with(a, |n, now| n.timers = vec![now + 10 * MS]);
    w.apply(Fault::ClockJump { host: a.host(), by: 50 * MS });
    w.run_for(MS);
    assert_eq!(w.node(a).timeouts[3], start + 1200 * MS);
}

#[test]
fn trains_are_split_and_gathered_again() {
    let (mut w, a, b) = pair(1);
    let c = w.add(HostConfig { max_train: 3, ..HostConfig::new("c", ip("10.0.0.3")) }, Probe::default());
    let bytes = b"aaaabbbbccccddddee";
    for dst in ["10.0.0.2", "10.0.0.3"] {
        w.with(a, |n, _| n.send_train(dst, UDP, bytes, Some(4)));
    }
    w.run_until(second());
    assert_eq!(w.node(b).got.len(), 5);
    assert_eq!(w.node(b).texts(), ["aaaa", "bbbb", "cccc", "dddd", "ee"]);
    let trains: Vec<_> = w.node(c).got.iter().map(|(_, _, p)| p.len()).collect();
    assert_eq!(trains, [3, 2]);
    assert_eq!(w.node(c).texts(), w.node(b).texts());
}

#[test]
fn a_longer_packet_begins_a_new_train() {
    let (mut w, a, _) = pair(1);
    let c = w.add(HostConfig { max_train: 10, ..HostConfig::new("c", ip("10.0.0.3")) }, Probe::default());
    w.with(a, |n, _| ["aaaa", "bb", "cc", "dddddd", "eeeeee"].iter().for_each(|p| n.send("10.0.0.3", UDP, p.as_bytes())));
    w.run_until(second());
    assert_eq!(w.node(c).got.iter().map(|(_, _, p)| p.len()).collect::<Vec<_>>(), [2, 1, 2]);
    assert_eq!(w.node(c).texts(), ["aaaa", "bb", "cc", "dddddd", "eeeeee"]);
}

#[test]
fn damage_is_always_caught_by_the_checksum() {
    let (mut w, a, b) = pair(3);
    w.set_default_link(LinkConfig { bit_errors: Chance::ALWAYS, ..LinkConfig::default() });
    let mut packet = vec![0x5a; 1200];
    checksum::seal(&mut packet);
    assert!(checksum::verify(&packet));
    for _ in 0..500 {
        w.with(a, |n, _| n.send("10.0.0.2", UDP, &packet));
    }
    w.run_until(second());
    assert_eq!(w.node(b).got.len(), 500);
    for (_, _, p) in &w.node(b).got {
        assert_ne!(p[0], packet);
        assert!(!checksum::verify(&p[0]));
    }
    assert_eq!(w.link_stats(ip("10.0.0.1"), ip("10.0.0.2")).damaged, 500);
}

#[test]
fn multicast_reaches_the_members_only() {
    let mut w = World::new(1);
    let group = ip("239.0.0.1");
    let host =
        |i: u8, groups: Vec<IpAddr>| HostConfig { datagram_ports: vec![3863], groups, ..HostConfig::new("h", IpAddr::from([10, 0, 0, i])) };
    let sender = w.add(host(1, vec![]), Probe::default());
    let member = w.add(host(2, vec![group]), Probe::default());
    let late = w.add(host(3, vec![]), Probe::default());
    let stranger = w.add(host(4, vec![ip("239.9.9.9")]), Probe::default());
    // A second process on the member's machine.
    let twin = w.add(host(2, vec![group]), Probe::default());
    w.join(late, group);
    let announce = Channel::Datagram { local: 3863, remote: 3863 };
    w.with(sender, |n, _| n.send("239.0.0.1", announce, b"here"));
    w.run_until(second());
    for n in [member, late, twin] {
        assert_eq!(w.node(n).texts(), ["here"]);
        assert_eq!(w.node(n).got[0].1.dst, group);
        assert_eq!(w.node(n).got[0].1.channel, announce);
    }
    assert!(w.node(sender).got.is_empty() && w.node(stranger).got.is_empty());
}

#[test]
fn partitions_heal() {
    let (mut w, a, b) = pair(1);
    let (ia, ib) = (ip("10.0.0.1"), ip("10.0.0.2"));
    w.at(Time::from_millis(50), Fault::Partition { a: ia, b: ib });
    w.at(Time::from_millis(100), Fault::Heal { a: ib, b: ia });
    w.at(Time::from_millis(150), Fault::Cut { from: ia, to: ib });
    for t in [45, 60, 110, 160] {
        w.call_at(Time::from_millis(t), move |w| {
            w.with(a, |n, _| n.send("10.0.0.2", UDP, format!("{t}").as_bytes()));
            w.with(b, |n, _| n.send("10.0.0.1", UDP, format!("{t}").as_bytes()));
        });
    }
    w.run_until(second());
    // What was under way when the link was cut still arrives.
    assert_eq!(w.node(b).texts(), ["45", "110"]);
    assert_eq!(w.node(a).texts(), ["45", "110", "160"]);
    assert_eq!(w.link_stats(ia, ib).cut, 2);
}

#[test]
fn a_frozen_host_neither_hears_nor_wakes() {
    let (mut w, a, b) = pair(1);
    w.with(b, |n, now| n.timers.push(now + 20 * MS));
    w.apply(Fault::Pause { host: b.host(), packets: Pause::Queue(2) });
    assert!(!w.is_up(b));
    for text in ["one", "two", "three"] {
        w.with(a, |n, _| n.send("10.0.0.2", UDP, text.as_bytes()));
    }
    w.run_until(second());
    assert!(w.node(b).got.is_empty() && w.node(b).timeouts.is_empty());
    w.apply(Fault::Resume { host: b.host() });
    w.run_for(MS);
    assert_eq!(w.node(b).texts(), ["one", "two"]);
    assert_eq!(w.node(b).timeouts, [second()]);
    w.apply(Fault::Pause { host: b.host(), packets: Pause::Lose });
    w.with(a, |n, _| n.send("10.0.0.2", UDP, b"four"));
    w.run_for(20 * MS);
    w.apply(Fault::Resume { host: b.host() });
    w.run_for(20 * MS);
    assert_eq!(w.node(b).texts(), ["one", "two"]);
}

#[test]
fn a_dead_process_is_reported_and_a_dead_machine_is_silent() {
    let (mut w, a, b) = pair(1);
    let sibling = w.add(HostConfig { udp_ports: vec![1111], ..HostConfig::new("sibling", ip("10.0.0.2")) }, Probe::default());
    w.apply(Fault::Crash { host: b.host(), how: Crash::Process { sctp_ports: vec![7, 8] } });
    assert_eq!(w.node(sibling).died, [7, 8]);
    assert!(w.node(a).died.is_empty());
    w.with(a, |n, _| n.send("10.0.0.2", UDP, &[0x41; 300]));
    w.run_until(second());
    let (at, err) = &w.node(a).errors[0];
    assert_eq!(*at, Time::from_millis(20));
    let quoted = Bytes::from(vec![0x41; 128]);
    assert_eq!(*err, NetError { kind: NetErrorKind::PortUnreachable, dst: ip("10.0.0.2"), channel: UDP, quoted });
    let b = w.restart(b, Probe::default());
    w.with(a, |n, _| n.send("10.0.0.2", UDP, b"welcome back"));
    w.run_for(second() - Time::ZERO);
    assert_eq!(w.node(b).texts(), ["welcome back"]);
    w.apply(Fault::Crash { host: b.host(), how: Crash::Machine });
    w.apply(Fault::Crash { host: sibling.host(), how: Crash::Machine });
    w.with(a, |n, _| n.send("10.0.0.2", UDP, b"anybody?"));
    w.with(a, |n, _| n.send("10.0.0.77", UDP, b"nobody"));
    w.run_for(second() - Time::ZERO);
    assert_eq!(w.node(a).errors.len(), 1);
}

#[test]
fn packets_that_are_too_big_are_reported_or_vanish() {
    let (mut w, a, b) = pair(1);
    w.with(a, |n, _| n.send("10.0.0.2", UDP, &[1; 1472]));
    w.with(a, |n, _| n.send("10.0.0.2", UDP, &[1; 1473]));
    w.run_until(second());
    assert_eq!(w.node(b).got.len(), 1);
    assert_eq!(w.node(a).errors.len(), 1);
    assert_eq!(w.node(a).errors[0].1.kind, NetErrorKind::TooBig { mtu: 1500 });
    w.set_default_link(LinkConfig { reports_too_big: false, ..LinkConfig::default() });
    w.with(a, |n, _| n.send("10.0.0.2", UDP, &[1; 1473]));
    w.run_for(second() - Time::ZERO);
    assert_eq!((w.node(a).errors.len(), w.node(b).got.len()), (1, 1));
}

#[test]
fn a_nat_that_rebinds_shows_another_port() {
    let (mut w, a, b) = pair(1);
    w.apply(Fault::Rebind { host: a.host(), inner: 9899, outer: 61000 });
    w.with(a, |n, _| n.send("10.0.0.2", UDP, b"?hi"));
    w.run_until(second());
    assert_eq!(w.node(b).got[0].1.channel, Channel::Udp { local: 9899, remote: 61000 });
    assert_eq!(w.node(a).texts(), ["!hi"]);
    assert_eq!(w.node(a).got[0].1.channel, UDP);
    w.apply(Fault::Rebind { host: a.host(), inner: 9899, outer: 61001 });
    w.with(b, |n, _| n.send("10.0.0.1", Channel::Udp { local: 9899, remote: 61000 }, b"too late"));
    w.with(b, |n, _| n.send("10.0.0.1", UDP, b"not open"));
    w.run_for(second() - Time::ZERO);
    assert_eq!(w.node(a).texts(), ["!hi"]);
    assert!(w.node(b).errors.is_empty(), "a NAT drops in silence");
}

#[test]
fn what_a_frozen_host_has_received_outlives_a_rebind() {
    let (mut w, a, b) = pair(1);
    w.apply(Fault::Rebind { host: a.host(), inner: 9899, outer: 61000 });
    w.apply(Fault::Pause { host: a.host(), packets: Pause::Queue(2) });
    w.with(b, |n, _| n.send("10.0.0.1", Channel::Udp { local: 9899, remote: 61000 }, b"in time"));
    w.run_for(Duration::from_secs(1));
    w.apply(Fault::Rebind { host: a.host(), inner: 9899, outer: 61001 });
    w.apply(Fault::Resume { host: a.host() });
    assert_eq!(w.node(a).texts(), ["in time"]);
}

#[test]
fn changed_addresses_take_effect_and_are_told() {
    let (mut w, a, b) = pair(1);
    w.apply(Fault::Addresses { host: b.host(), addrs: vec![ip("10.0.0.9"), ip("fd00::9")] });
    assert_eq!(w.node(b).addrs, Some(AddrChange::Set(vec![ip("10.0.0.9"), ip("fd00::9")])));
    w.with(a, |n, _| n.send("10.0.0.2", UDP, b"old"));
    w.with(a, |n, _| n.send("10.0.0.9", UDP, b"new"));
    w.run_until(second());
    assert_eq!(w.node(b).texts(), ["new"]);
}

/// A busy minute of two hosts on a bad link; returns the hash and how many packets arrived.
fn storm(seed: u64, out: Option<SharedBuffer>, text: Option<SharedBuffer>) -> (u64, usize) {
    let (mut w, a, b) = pair(seed);
    if let Some(out) = out {
        w.capture(out).unwrap();
    }
    if let Some(text) = text {
        w.trace(text);
    }
    w.set_default_link(LinkConfig {
        loss: Loss::percent(10),
        jitter: 3 * MS,
        duplicate: Chance::percent(5),
        reorder: Chance::percent(5),
        reorder_by: 30 * MS,
        bit_errors: Chance::percent(1),
        ..LinkConfig::default()
    });
    for i in 0..300_u64 {
        let at = Time::from_millis(w.rng().below(1000));
        w.call_at(at, move |w| w.with(a, |n, _| n.send("10.0.0.2", UDP, format!("?{i}").as_bytes())));
    }
    w.at(Time::from_millis(500), Fault::Pause { host: b.host(), packets: Pause::Queue(5) });
    w.at(Time::from_millis(550), Fault::Resume { host: b.host() });
    w.run_until(Time::from_millis(3000));
    w.finish_recording().unwrap();
    (w.trace_hash(), w.node(a).got.len())
}

#[test]
fn equal_seeds_give_equal_runs() {
    let first = storm(42, None, None);
    assert_eq!(first, storm(42, None, None));
    assert_ne!(first.0, storm(43, None, None).0);
    assert!(first.1 > 150);
    // Watching does not change what is watched.
    assert_eq!(first, storm(42, Some(SharedBuffer::default()), Some(SharedBuffer::default())));
}

#[test]
fn capture_and_trace_show_every_packet() {
    let (pcap, text) = (SharedBuffer::default(), SharedBuffer::default());
    storm(7, Some(pcap.clone()), Some(text.clone()));
    let bytes = pcap.bytes();
    let mut reader = pcap_file::pcapng::PcapNgReader::new(&bytes[..]).unwrap();
    let mut packets = 0;
    while let Some(block) = reader.next_block() {
        packets += usize::from(matches!(block.unwrap(), pcap_file::pcapng::Block::EnhancedPacket(_)));
    }
    assert_eq!(reader.interfaces().len(), 3);
    let text = String::from_utf8(text.bytes()).unwrap();
    let count = |fate: &str| text.lines().filter(|l| l.split_whitespace().nth(2) == Some(fate)).count();
    assert_eq!(packets, count("Sent") + count("Received"));
    assert!(count("Lost") > 10 && count("Sent") > 400, "{text}");
}

#[test]
#[should_panic(expected = "livelock")]
fn a_timer_that_stays_due_is_noticed() {
    let (mut w, a, _) = pair(1);
    w.with(a, |n, _| n.stuck = true);
    w.run_until(second());
}

#[test]
#[should_panic(expected = "sends without end")]
fn a_node_that_never_stops_sending_is_noticed() {
    let (mut w, a, _) = pair(1);
    w.with(a, |n, _| n.chatter = true);
}

#[test]
fn nobody_sends_from_a_foreign_address() {
    let (mut w, a, b) = pair(1);
    w.with(a, |n, _| {
        n.send("10.0.0.2", UDP, b"forged");
        n.out[0].0.src = Some(ip("10.0.0.99"));
    });
    w.run_until(second());
    assert!(w.node(b).got.is_empty());
}
