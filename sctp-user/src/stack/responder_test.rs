//! What cookies hold, in each state.

use std::net::IpAddr;

use bytes::Bytes;

use super::ladder::cookie_of;
use super::*;
use crate::assoc::cookie::StateCookie;
use crate::config::EndpointConfig;
use crate::entropy::SeededEntropy;
use crate::net::Channel;
use crate::num::{Tsn, Vtag};
use crate::wire::chunk::{Init, InitParams};
use crate::wire::{Chunk, CommonHeader, Encode, Packet, PacketWriter, Param};

const LOCAL: &str = "10.0.0.1";
const PEER: &str = "10.0.0.2";
const CHANNEL: Channel = Channel::Udp { local: 9899, remote: 4711 };
const NOW: Time = Time::from_millis(1);

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

fn listening() -> (Stack, EndpointId) {
    let mut stack = Stack::new(StackConfig::default(), Box::new(SeededEntropy::new(1)));
    let ep = stack.open(EndpointConfig::with(7, Arc::new(AssocConfig::rfc()))).unwrap();
    stack.listen(ep, true);
    (stack, ep)
}

fn give(stack: &mut Stack, vtag: Vtag, chunk: &impl Encode) -> Option<Bytes> {
    let mut packet = Vec::new();
    let mut w = PacketWriter::new(&mut packet, CommonHeader { src_port: 5000, dst_port: 7, vtag }, 1_400);
    w.push(chunk);
    w.finish();
    let meta = Meta { src: ip(PEER), dst: ip(LOCAL), channel: CHANNEL, ecn: None, ifindex: None };
    stack.handle_datagram(NOW, &meta, packet.into());
    let mut out = Vec::new();
    stack.poll_transmit(NOW, 1, &mut out).map(|_| out.into())
}

fn init(tag: u32) -> Init<'static> {
    Init { tag: Vtag(tag), a_rwnd: 5_000, outbound: 3, inbound: 4, tsn: Tsn(77), params: InitParams::List(&[]) }
}

/// The cookie that an INIT with `tag` gets.
fn cookie(stack: &mut Stack, tag: u32) -> StateCookie {
    let answer = give(stack, Vtag::ZERO, &Chunk::Init(init(tag))).unwrap();
    let packet = Packet::parse(&answer).unwrap();
    let Chunk::InitAck(ack) = packet.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no INIT ACK") };
    assert_eq!(packet.header.vtag, Vtag(tag));
    let cookie = stack.cookies.open(NOW, cookie_of(&ack)).unwrap();
    assert_eq!((cookie.local_tag, cookie.local_tsn), (ack.tag, ack.tsn));
    cookie
}

/// RFC 9260 rows: 5.2.2-11.
#[test]
fn without_an_association_the_cookie_has_no_tie_tags() {
    let (mut stack, _) = listening();
    let c = cookie(&mut stack, 9);
    assert_eq!((c.local_tie_tag, c.peer_tie_tag), (Vtag::ZERO, Vtag::ZERO));
    assert_eq!((c.peer_tag, c.peer_tsn, c.peer_rwnd, c.outbound, c.inbound), (Vtag(9), Tsn(77), 5_000, 4, 3));
    assert_eq!((c.local_port, c.peer_port, c.local_addr, c.peer_addrs.as_slice()), (7, 5000, ip(LOCAL), &[ip(PEER)][..]));
    assert_eq!((c.channel, c.created, c.life), (CHANNEL, NOW, Duration::from_secs(60)));
}

/// RFC 9260 rows: 5.2.1-15, 5.2.2-5.
#[test]
fn tie_tags_are_in_cookie_and_association_from_cookie_echoed_on() {
    let (mut stack, ep) = listening();
    let peer = SocketAddr::new(ip(PEER), 5000);
    let id = stack.connect(NOW, ep, &[peer.into()], None).unwrap();
    let mut out = Vec::new();
    stack.poll_transmit(NOW, 1, &mut out).unwrap();
    let tag = stack.assocs.get(id).unwrap().core.local_tag;
    let tie_tags = |c: &StateCookie| (c.local_tie_tag, c.peer_tie_tag);
    // COOKIE-WAIT: none yet, and our own Initiate Tag.
    let c = cookie(&mut stack, 9);
    assert_eq!((tie_tags(&c), c.local_tag), ((Vtag::ZERO, Vtag::ZERO), tag));
    // COOKIE-ECHOED: the same tag, and Tie-Tags that association and cookie have.
    let params = [Param::StateCookie(b"cookie")];
    give(&mut stack, tag, &Chunk::InitAck(Init { params: InitParams::List(&params), ..init(8) })).unwrap();
    let c = cookie(&mut stack, 9);
    let ties = stack.assocs.get(id).unwrap().core.tie_tags.unwrap();
    assert_eq!((tie_tags(&c), c.local_tag), (ties, tag));
    assert!(ties.0 != Vtag::ZERO && ties.1 != Vtag::ZERO);
    // Neither Tie-Tag tells a reader of the cookie the tags of the association.
    assert!(![tag, Vtag(8)].contains(&ties.0) && ![tag, Vtag(8)].contains(&ties.1));
    // ESTABLISHED: a new tag, and still Tie-Tags.
    give(&mut stack, tag, &Chunk::CookieAck);
    let c = cookie(&mut stack, 9);
    assert_eq!(tie_tags(&c), stack.assocs.get(id).unwrap().core.tie_tags.unwrap());
    assert_ne!(c.local_tag, tag);
}
