//! By which way a peer is reached: rulings section 1 rows 13 and 14, section 5 row 19.

use std::net::IpAddr;

use bytes::Bytes;

use super::*;
use crate::config::EndpointConfig;
use crate::entropy::SeededEntropy;
use crate::event::SendOptions;
use crate::net::{Channel, NetErrorKind};
use crate::num::{Ppid, StreamId};
use crate::wire::checksum;

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
const UDP: Channel = Channel::Udp { local: 9899, remote: 9899 };
const RAW: Channel = Channel::Raw;

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

/// A client that tries UDP, then raw IP, and a server that listens on port 7.
struct Pair {
    client: Stack,
    server: Stack,
    id: AssocId,
}

/// A packet that a stack wants sent.
type Sent = (Channel, Bytes);

fn pair(pinned: Option<Channel>) -> Pair {
    let cfg = StackConfig { default_channel: UDP, further_channels: vec![RAW], ..StackConfig::default() };
    let mut client = Stack::new(cfg, Box::new(SeededEntropy::new(1)));
    let mut server = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(2)));
    let listener = server.open(EndpointConfig::new(7)).unwrap();
    server.listen(listener, true);
    let ep = client.open(EndpointConfig::new(5000)).unwrap();
    let id = client.connect(at(0), ep, &[PeerAddr { addr: SocketAddr::new(SERVER, 7), channel: pinned }], None).unwrap();
    Pair { client, server, id }
}

/// Everything that a stack has to send.
fn drain(stack: &mut Stack, now: Time) -> Vec<Sent> {
    let mut all = Vec::new();
    loop {
        let mut buf = Vec::new();
        let Some(t) = stack.poll_transmit(now, 1, &mut buf) else { return all };
        all.push((t.channel, buf.into()));
    }
}

fn give(stack: &mut Stack, now: Time, (src, dst): (IpAddr, IpAddr), sent: &Sent) {
    stack.handle_datagram(now, &Meta { src, dst, channel: sent.0, ecn: None, ifindex: None }, sent.1.clone());
}

fn channels(sent: &[Sent]) -> Vec<Channel> {
    sent.iter().map(|(c, _)| *c).collect()
}

impl Pair {
    fn sends(&mut self, ms: u64) -> Vec<Sent> {
        if self.client.poll_timeout().is_some_and(|due| due <= at(ms)) {
            self.client.handle_timeout(at(ms));
        }
        drain(&mut self.client, at(ms))
    }

    /// What the server answers to `sent`.
    fn answers(&mut self, ms: u64, sent: &Sent) -> Vec<Sent> {
        give(&mut self.server, at(ms), (CLIENT, SERVER), sent);
        drain(&mut self.server, at(ms))
    }

    fn hears(&mut self, ms: u64, sent: &Sent) {
        give(&mut self.client, at(ms), (SERVER, CLIENT), sent);
    }

    /// Carries packets both ways until there are none, over the channels that are open.
    fn carry(&mut self, ms: u64, open: &[Channel]) {
        loop {
            let (to, from) = (self.sends(ms), drain(&mut self.server, at(ms)));
            if to.is_empty() && from.is_empty() {
                return;
            }
            to.iter().filter(|p| open.contains(&p.0)).for_each(|p| give(&mut self.server, at(ms), (CLIENT, SERVER), p));
            from.iter().filter(|p| open.contains(&p.0)).for_each(|p| self.hears(ms, p));
        }
    }

    fn state(&mut self) -> &'static str {
        self.client.assoc(self.id).unwrap().status().state
    }

    fn channel(&mut self) -> Channel {
        self.client.assoc(self.id).unwrap().paths()[0].channel
    }

    fn lost(&mut self) -> Option<CloseReason> {
        core::iter::from_fn(|| self.client.poll_event()).find_map(|(_, _, e)| match e {
            Event::Lost { reason } => Some(reason),
            _ => None,
        })
    }
}

#[test]
fn the_same_init_goes_over_the_next_channel_after_250_ms() {
    let mut p = pair(None);
    let first = p.sends(0);
    assert_eq!(channels(&first), [UDP]);
    assert_eq!(p.client.poll_timeout(), Some(at(250)));
    assert!(p.sends(249).is_empty());
    let second = p.sends(250);
    assert_eq!(channels(&second), [RAW]);
    assert_eq!(first[0].1, second[0].1, "the same INIT with the same tag");
    assert_eq!(p.client.poll_timeout(), Some(at(1000)), "T1");
    // The next round begins with the first channel again.
    let (third, fourth) = (p.sends(1000), p.sends(1250));
    assert_eq!((channels(&third), channels(&fourth)), (vec![UDP], vec![RAW]));
    assert_eq!(third[0].1, first[0].1);
    let ack = p.answers(1300, &fourth[0]).remove(0);
    p.hears(1300, &ack);
    p.carry(1300, &[RAW]);
    assert_eq!((p.state(), p.channel()), ("ESTABLISHED", RAW));
}

#[test]
fn a_peer_that_answers_at_once_is_not_tried_otherwise() {
    let mut p = pair(None);
    p.carry(0, &[UDP]);
    assert_eq!((p.state(), p.channel()), ("ESTABLISHED", UDP));
    assert!(p.sends(250).is_empty());
}

#[test]
fn the_way_that_answers_first_stays_the_way() {
    let mut p = pair(None);
    let udp = p.sends(0).remove(0);
    let raw = p.sends(250).remove(0);
    let (by_udp, by_raw) = (p.answers(300, &udp).remove(0), p.answers(300, &raw).remove(0));
    assert_eq!((by_udp.0, by_raw.0), (UDP, RAW), "each is answered where it came from");
    p.hears(300, &by_udp);
    p.hears(301, &by_raw);
    assert_eq!((p.state(), p.channel()), ("COOKIE-ECHOED", UDP));
    p.carry(302, &[UDP]);
    assert_eq!((p.state(), p.channel()), ("ESTABLISHED", UDP));
    // Even later it moves nothing.
    p.hears(400, &by_raw);
    assert_eq!(p.channel(), UDP);
}

/// An ABORT over one channel leads to the other one at once, and counts if that stays silent until the round ends.
#[test]
fn a_refusal_over_one_channel_is_not_the_last_word() {
    let mut p = pair(None);
    let udp = p.sends(0).remove(0);
    p.server.listen(p.server.ports.by_port(7).unwrap().0, false);
    let abort = p.answers(10, &udp).remove(0);
    p.hears(20, &abort);
    assert_eq!(channels(&p.sends(20)), [RAW], "at once");
    assert_eq!((p.state(), p.lost()), ("COOKIE-WAIT", None));
    p.client.handle_timeout(at(1000));
    assert!(matches!(p.lost(), Some(CloseReason::Refused(_))));
}

#[test]
fn refused_by_all_ways_it_ends_at_once() {
    let mut p = pair(None);
    p.server.listen(p.server.ports.by_port(7).unwrap().0, false);
    let udp = p.sends(0).remove(0);
    let abort = p.answers(10, &udp).remove(0);
    p.hears(20, &abort);
    let raw = p.sends(20).remove(0);
    let abort = p.answers(30, &raw).remove(0);
    p.hears(40, &abort);
    assert!(matches!(p.lost(), Some(CloseReason::Refused(_))));
}

/// The peer's kernel knows nothing of the program that speaks UDP, and aborts what comes over raw IP.
#[test]
fn a_kernel_that_aborts_does_not_end_what_the_other_way_opens() {
    for late in [false, true] {
        let mut p = pair(None);
        let udp = p.sends(0).remove(0);
        let raw = p.sends(250).remove(0);
        let ack = p.answers(300, &udp).remove(0);
        let mut kernel = Stack::new(StackConfig { raw_alone: true, ..StackConfig::default() }, Box::new(SeededEntropy::new(3)));
        give(&mut kernel, at(300), (CLIENT, SERVER), &raw);
        let abort = drain(&mut kernel, at(300)).remove(0);
        assert_eq!(abort.0, RAW);
        if late {
            p.hears(310, &ack);
            p.hears(311, &abort);
        } else {
            p.hears(310, &abort);
            p.hears(311, &ack);
        }
        p.carry(312, &[UDP]);
        assert_eq!((p.state(), p.channel()), ("ESTABLISHED", UDP), "late: {late}");
    }
}

fn report(sent: &Sent, kind: NetErrorKind) -> NetError {
    NetError { kind, dst: SERVER, channel: sent.0, quoted: sent.1.slice(..sent.1.len().min(20)) }
}

#[test]
fn what_the_network_refuses_over_one_channel_leads_to_the_next() {
    let mut p = pair(None);
    let udp = p.sends(0).remove(0);
    p.client.handle_net_error(at(5), &report(&udp, NetErrorKind::PortUnreachable));
    let raw = p.sends(5).remove(0);
    assert_eq!(raw.0, RAW);
    assert_eq!(p.lost(), None);
    p.client.handle_net_error(at(8), &report(&raw, NetErrorKind::PortUnreachable));
    assert_eq!((p.state(), p.lost()), ("COOKIE-WAIT", None), "ports are no business of the network's there");
    p.client.handle_net_error(at(9), &report(&raw, NetErrorKind::ProtocolUnreachable));
    assert_eq!(p.lost(), Some(CloseReason::NetworkUnreachable));
}

#[test]
fn an_address_whose_channel_the_user_gave_is_reached_by_no_other() {
    let mut p = pair(Some(UDP));
    assert_eq!(channels(&p.sends(0)), [UDP]);
    assert!(p.sends(999).is_empty());
    assert_eq!(channels(&p.sends(1000)), [UDP]);
}

/// RFC 6951 section 5.4: a packet without encapsulation that belongs to the association switches encapsulation off.
#[test]
fn encapsulation_follows_the_peer_unless_the_user_chose() {
    for pinned in [None, Some(UDP)] {
        let mut p = pair(pinned);
        p.carry(0, &[UDP]);
        assert_eq!(p.channel(), UDP);
        let (_, server_id, _) =
            core::iter::from_fn(|| p.server.poll_event()).find(|(_, _, e)| matches!(e, Event::Connected { .. })).unwrap();
        let mut assoc = p.server.assoc(server_id).unwrap();
        assoc.send(at(10), StreamId(0), Ppid(0), Bytes::from_static(b"x"), SendOptions::ordered()).unwrap();
        let (_, bytes) = drain(&mut p.server, at(10)).remove(0);
        // With a wrong tag it does not belong to the association.
        let mut forged = bytes.to_vec();
        forged[4] ^= 1;
        checksum::seal(&mut forged);
        p.hears(11, &(RAW, forged.into()));
        assert_eq!(p.channel(), UDP);
        p.hears(12, &(Channel::Udp { local: 9899, remote: 4711 }, bytes.clone()));
        assert_eq!(p.channel(), Channel::Udp { local: 9899, remote: 4711 }, "a NAT gave it another port");
        p.hears(13, &(RAW, bytes));
        assert_eq!(p.channel().same_kind(RAW), pinned.is_none());
    }
}

/// Rulings section 5 row 19: a raw socket sees what is meant for others.
#[test]
fn foreign_ports_get_no_answer_over_raw_ip_unless_the_stack_is_alone() {
    let mut p = pair(None);
    let (udp, raw) = (p.sends(0).remove(0), p.sends(250).remove(0));
    for (alone, channel, answers) in [(false, RAW, 0), (true, RAW, 1), (false, UDP, 1)] {
        let cfg = StackConfig { raw_alone: alone, ..StackConfig::default() };
        let mut stranger = Stack::new(cfg, Box::new(SeededEntropy::new(4)));
        let sent = if channel == RAW { &raw } else { &udp };
        give(&mut stranger, at(300), (CLIENT, SERVER), sent);
        assert_eq!(drain(&mut stranger, at(300)).len(), answers, "INIT, alone {alone}");
        // Out of the blue: what an association that nobody has would send.
        let mut late = sent.1.to_vec();
        late.truncate(12);
        late[4..8].copy_from_slice(&77u32.to_be_bytes());
        late.extend([8, 0, 0, 4]);
        checksum::seal(&mut late);
        give(&mut stranger, at(300), (CLIENT, SERVER), &(channel, late.into()));
        assert_eq!(drain(&mut stranger, at(300)).len(), answers, "SHUTDOWN ACK, alone {alone}");
    }
    // A port of its own is another matter.
    let ep = p.server.ports.by_port(7).unwrap().0;
    p.server.listen(ep, false);
    assert_eq!(p.answers(300, &raw).len(), 1);
}
