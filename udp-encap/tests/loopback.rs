//! Real sockets on 127.0.0.1 and ::1.
#![allow(
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "edge: the peers of these tests are plain sockets"
)]

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use udp_encap::multicast::{AnnounceListener, AnnounceSender, Interface, SenderConfig};
use udp_encap::raw::{RawGuard, RawSocket, RawTransmit};
use udp_encap::{Bind, Ecn, Received, RecvBatch, Transmit, UdpEncap, is_too_big};
#[cfg(target_os = "linux")]
use udp_encap::{ErrorOrigin, NetError, NetErrorKind};

/// Generous: nothing here takes more than milliseconds unless something is wrong.
const WAIT: Duration = Duration::from_secs(10);

fn addr(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}

/// Prints why a test cannot run here; with `REQUIRE=all` that is a failure.
fn skip(reason: &str) {
    assert_ne!(std::env::var("REQUIRE").as_deref(), Ok("all"), "skipped: {reason}");
    println!("SKIP: {reason}");
}

fn loopbacks() -> Vec<IpAddr> {
    let mut ips = vec![IpAddr::from([127, 0, 0, 1])];
    if UdpSocket::bind("[::1]:0").is_ok() {
        ips.push("::1".parse().unwrap());
    } else {
        skip("no IPv6 loopback");
    }
    ips
}

struct Watched {
    encap: UdpEncap,
    poll: Poll,
    batch: RecvBatch,
}

impl Watched {
    fn new(mut encap: UdpEncap) -> Self {
        let poll = Poll::new().unwrap();
        poll.registry().register(&mut encap, Token(0), Interest::READABLE).unwrap();
        Self { encap, poll, batch: RecvBatch::new() }
    }

    fn wait(&mut self) {
        let mut events = Events::with_capacity(8);
        self.poll.poll(&mut events, Some(WAIT)).unwrap();
        assert!(!events.is_empty(), "nothing came");
    }

    /// Receives until `enough`.
    fn receive(&mut self, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut all = Vec::new();
        loop {
            while let Some(train) = self.batch.pop() {
                all.push(train);
            }
            if enough(&all) {
                return all;
            }
            match self.encap.recv(&mut self.batch) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn error(&mut self) -> NetError {
        loop {
            if let Some(error) = self.encap.take_error() {
                return error;
            }
            match self.encap.recv(&mut self.batch) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Some(error) = self.encap.take_error() {
                        return error;
                    }
                    self.wait();
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn packets(trains: &[Received]) -> Vec<Vec<u8>> {
    trains.iter().flat_map(|train| train.packets().map(|p| p.to_vec()).collect::<Vec<_>>()).collect()
}

#[test]
fn both_families_have_one_port() {
    let a = UdpEncap::bind(Bind::Any, 0).unwrap();
    assert_ne!(a.port(), 0);
    assert_eq!(a.caps().ipv6, loopbacks().len() == 2);
    assert_eq!(a.as_fds().len(), loopbacks().len());
    // Nobody can share or steal the port without being given the sockets.
    let error = UdpEncap::bind(Bind::Any, a.port()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let error = UdpEncap::bind(Bind::V4, a.port()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_port_taken_by_one_family_is_taken() {
    if loopbacks().len() < 2 {
        return;
    }
    let v6 = UdpEncap::bind(Bind::V6, 0).unwrap();
    let error = UdpEncap::bind(Bind::Any, v6.port()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "IPv4 alone would split the port between two owners");
}

#[test]
fn datagrams_come_with_addresses_and_marks() {
    for ip in loopbacks() {
        let mut a = UdpEncap::bind(Bind::Any, 0).unwrap();
        let mut b = Watched::new(UdpEncap::bind(Bind::Any, 0).unwrap());
        for (i, ecn) in [None, Some(Ecn::Ect0), Some(Ecn::Ect1), Some(Ecn::Ce)].into_iter().enumerate() {
            let t = Transmit { ecn, ..Transmit::to(addr(ip, b.encap.port())) };
            a.send(&t, &[u8::try_from(i).unwrap(); 20]).unwrap();
        }
        let got = b.receive(|trains| packets(trains).len() == 4);
        let marks: Vec<_> = got.iter().flat_map(|t| t.packets().map(|_| t.meta.ecn)).collect();
        if b.encap.caps().ecn {
            assert_eq!(marks, [None, Some(Ecn::Ect0), Some(Ecn::Ect1), Some(Ecn::Ce)]);
        }
        for train in &got {
            assert_eq!(train.meta.src, addr(ip, a.port()));
            assert_eq!(train.meta.dst_ip, Some(ip));
            assert!(train.meta.ifindex.is_none_or(|index| index > 0));
        }
        assert_eq!(packets(&got), (0..4u8).map(|i| vec![i; 20]).collect::<Vec<_>>());
    }
}

#[test]
fn a_train_arrives_whole_with_a_short_last_packet() {
    for (ip, offload) in loopbacks().into_iter().flat_map(|ip| [(ip, true), (ip, false)]) {
        let mut a = UdpEncap::bind(Bind::Any, 0).unwrap();
        let mut b = Watched::new(UdpEncap::bind(Bind::Any, 0).unwrap());
        a.set_offload(offload).unwrap();
        b.encap.set_offload(offload).unwrap();
        let to = Transmit::to(addr(ip, b.encap.port()));
        let t = Transmit { segment_size: Some(1_400), ecn: Some(Ecn::Ect0), src: Some(ip), ..to };
        let bytes: Vec<u8> = (0..20 * 1_400 + 333u32).map(|i| i.to_be_bytes()[3]).collect();
        a.send(&t, &bytes).unwrap();
        let got = b.receive(|trains| trains.iter().map(|t| t.bytes.len()).sum::<usize>() >= bytes.len());
        let expected: Vec<Vec<u8>> = bytes.chunks(1_400).map(<[u8]>::to_vec).collect();
        assert_eq!(packets(&got), expected);
        assert!(a.caps().max_segments > 1);
        if cfg!(target_os = "linux") {
            assert_eq!(got[0].meta.ecn, Some(Ecn::Ect0));
            assert_eq!((got[0].meta.src, got[0].meta.dst_ip), (addr(ip, a.port()), Some(ip)));
            assert_eq!(got[0].stride, 1_400);
            assert!(got.len() <= if offload { 1 } else { 10 }, "joined by the kernel, or by us in each read: {}", got.len());
        }
    }
}

#[test]
fn a_dscp_and_a_flow_label_change_nothing_else() {
    for ip in loopbacks() {
        let mut a = UdpEncap::bind(Bind::Any, 0).unwrap();
        let mut b = Watched::new(UdpEncap::bind(Bind::Any, 0).unwrap());
        let marked = Transmit { dscp: 46, flow_label: 0x1_2345, ecn: Some(Ecn::Ect0), ..Transmit::to(addr(ip, b.encap.port())) };
        let bytes: Vec<u8> = (0..7 * 1_200 + 100u32).map(|i| i.to_be_bytes()[3]).collect();
        a.send(&Transmit { src: Some(ip), segment_size: Some(1_200), ..marked }, &bytes).unwrap();
        a.set_offload(false).unwrap();
        a.send(&Transmit { src: Some(ip), segment_size: Some(1_200), ..marked }, &bytes).unwrap();
        let bytes = [&bytes[..], &bytes].concat();
        let got = b.receive(|trains| trains.iter().map(|t| t.bytes.len()).sum::<usize>() >= bytes.len());
        let each = bytes.chunks(7 * 1_200 + 100).flat_map(|train| train.chunks(1_200));
        assert_eq!(packets(&got), each.map(<[u8]>::to_vec).collect::<Vec<_>>());
        a.send(&marked, b"alone").unwrap();
        let last = b.receive(|trains| !trains.is_empty());
        for train in got.iter().chain(&last) {
            assert_eq!((train.meta.src, train.meta.dst_ip), (addr(ip, a.port()), Some(ip)));
            assert!(!b.encap.caps().ecn || train.meta.ecn == Some(Ecn::Ect0));
        }
        // A source that is not ours is named as the cause, too.
        let stranger = if ip.is_ipv4() { "192.0.2.77" } else { "2001:db8::77" };
        let error = a.send(&Transmit { src: Some(stranger.parse().unwrap()), ..marked }, b"alone").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }
}

#[test]
fn a_train_beyond_the_limits_of_one_call_is_cut() {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let mut a = UdpEncap::bind(Bind::Any, 0).unwrap();
    let mut b = Watched::new(UdpEncap::bind(Bind::Any, 0).unwrap());
    // More than 64 packets, then more than 64 KiB, then packets that do not come in pairs below 64 KiB.
    for (segment, count, offload) in [(100, 150, true), (100, 150, false), (9_000, 20, true), (40_000, 3, true)] {
        a.set_offload(offload).unwrap();
        let t = Transmit { segment_size: Some(segment), ..Transmit::to(addr(ip, b.encap.port())) };
        let bytes: Vec<u8> = (0..count).flat_map(|i| vec![u8::try_from(i).unwrap(); segment]).collect();
        a.send(&t, &bytes).unwrap();
        let got = b.receive(|trains| trains.iter().map(|t| t.bytes.len()).sum::<usize>() >= bytes.len());
        assert_eq!(packets(&got), bytes.chunks(segment).map(<[u8]>::to_vec).collect::<Vec<_>>());
    }
}

#[test]
fn many_datagrams_of_all_sizes_survive_the_reuse_of_buffers() {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let mut a = UdpEncap::bind(Bind::Any, 0).unwrap();
    let mut b = Watched::new(UdpEncap::bind(Bind::Any, 0).unwrap());
    let mut held = Vec::new();
    for round in 0..40usize {
        let sizes: Vec<usize> = (0..20).map(|i| 1 + (round * 1_237 + i * 977) % 9_000).collect();
        for (i, size) in sizes.iter().enumerate() {
            let fill = u8::try_from((round * 20 + i) % 251).unwrap();
            a.send(&Transmit::to(addr(ip, b.encap.port())), &vec![fill; *size]).unwrap();
        }
        let got = b.receive(|trains| packets(trains).len() >= 20);
        for (i, packet) in got.iter().flat_map(|t| t.packets().collect::<Vec<_>>()).enumerate() {
            assert_eq!(packet.len(), sizes[i]);
            if (round + i) % 7 == 0 {
                held.push((u8::try_from((round * 20 + i) % 251).unwrap(), packet));
            }
        }
    }
    for (fill, packet) in held {
        assert!(packet.iter().all(|byte| *byte == fill), "a held packet was overwritten");
    }
}

#[test]
fn the_source_address_is_the_one_asked_for_or_an_error() {
    if !cfg!(target_os = "linux") {
        return skip("needs 127.0.0.2");
    }
    let mut a = UdpEncap::bind(Bind::Any, 0).unwrap();
    let mut b = Watched::new(UdpEncap::bind(Bind::Any, 0).unwrap());
    let to = addr([127, 0, 0, 1].into(), b.encap.port());
    let src = IpAddr::from([127, 0, 0, 2]);
    a.send(&Transmit { src: Some(src), ..Transmit::to(to) }, b"twelve octets").unwrap();
    assert_eq!(b.receive(|t| !t.is_empty())[0].meta.src, addr(src, a.port()));

    let stranger = Some("192.0.2.77".parse().unwrap());
    let error = a.send(&Transmit { src: stranger, ..Transmit::to(to) }, b"twelve octets").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    let other_family = Some("::1".parse().unwrap());
    let error = a.send(&Transmit { src: other_family, ..Transmit::to(to) }, b"twelve octets").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    if let [_, v6] = loopbacks()[..] {
        let to = addr(v6, b.encap.port());
        let stranger = Some("2001:db8::77".parse().unwrap());
        let error = a.send(&Transmit { src: stranger, ..Transmit::to(to) }, b"twelve octets").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    // The mistake costs neither the marks nor the offload.
    assert!(a.caps().max_segments > 1);
    a.send(&Transmit { ecn: Some(Ecn::Ce), ..Transmit::to(to) }, b"twelve octets").unwrap();
    assert_eq!(b.receive(|t| !t.is_empty())[0].meta.ecn, Some(Ecn::Ce));
}

#[test]
fn mapped_addresses_are_served_by_ipv4() {
    let mut a = UdpEncap::bind(Bind::Any, 0).unwrap();
    let mut b = Watched::new(UdpEncap::bind(Bind::Any, 0).unwrap());
    let mapped = addr("::ffff:127.0.0.1".parse().unwrap(), b.encap.port());
    a.send(&Transmit::to(mapped), b"0123456789ab").unwrap();
    let got = b.receive(|t| !t.is_empty());
    assert_eq!(got[0].meta.src, addr([127, 0, 0, 1].into(), a.port()));
}

#[test]
fn too_large_for_ip_is_told_and_harms_nothing() {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let mut a = UdpEncap::bind(Bind::Any, 0).unwrap();
    let mut b = Watched::new(UdpEncap::bind(Bind::Any, 0).unwrap());
    let to = Transmit::to(addr(ip, b.encap.port()));
    let error = a.send(&to, &vec![1; 65_530]).unwrap_err();
    assert!(is_too_big(&error), "{error}");
    a.send(&to, &[2; 65_507]).unwrap();
    assert_eq!(b.receive(|t| !t.is_empty())[0].bytes, vec![2; 65_507]);
    a.send(&Transmit { may_fragment: true, ..to }, &[3; 40_000]).unwrap();
    assert_eq!(b.receive(|t| !t.is_empty())[0].bytes, vec![3; 40_000]);
}

#[test]
#[cfg(target_os = "linux")]
fn port_unreachable_comes_with_the_quoted_packet() {
    for ip in loopbacks() {
        let mut a = Watched::new(UdpEncap::bind(Bind::Any, 0).unwrap());
        let mut b = Watched::new(UdpEncap::bind(Bind::Any, 0).unwrap());
        let closed = UdpSocket::bind(addr(ip, 0)).unwrap().local_addr().unwrap();
        let packet: Vec<u8> = (0..100).collect();
        a.encap.send(&Transmit::to(closed), &packet).unwrap();
        let error = a.error();
        assert_eq!((error.kind, error.origin), (NetErrorKind::PortUnreachable, ErrorOrigin::Icmp));
        assert_eq!((error.src, error.dst), (Some(ip), closed));
        assert!(error.quoted.len() >= 12 && packet.starts_with(&error.quoted), "{:?}", error.quoted);

        // A pending error fails the next call of the kernel, whoever it is for; the caller must not notice.
        a.encap.send(&Transmit::to(closed), &packet).unwrap();
        a.encap.send(&Transmit::to(addr(ip, b.encap.port())), b"for somebody else").unwrap();
        assert_eq!(&b.receive(|t| !t.is_empty())[0].bytes[..], b"for somebody else");
        assert_eq!(a.error().dst, closed);
        // Neither does it stop a train whose datagrams go one by one.
        a.encap.set_offload(false).unwrap();
        a.encap.send(&Transmit::to(closed), &packet).unwrap();
        let train = Transmit { segment_size: Some(12), ..Transmit::to(addr(ip, b.encap.port())) };
        a.encap.send(&train, &[5; 60]).unwrap();
        assert_eq!(packets(&b.receive(|trains| packets(trains).len() == 5)), [[5; 12]; 5]);
        assert_eq!(a.error().dst, closed);
    }
}

#[test]
fn duplicates_of_the_sockets_serve_another_process() {
    let mut a = UdpEncap::bind(Bind::Any, 0).unwrap();
    let b = Watched::new(UdpEncap::bind(Bind::Any, 0).unwrap());
    let fds: Vec<_> = b.encap.as_fds().iter().map(|fd| fd.try_clone_to_owned().unwrap()).collect();
    let mut copy = Watched::new(UdpEncap::from_fds(fds).unwrap());
    assert_eq!(copy.encap.port(), b.encap.port());
    drop(b);
    for ip in loopbacks() {
        a.send(&Transmit::to(addr(ip, copy.encap.port())), b"still served").unwrap();
        assert_eq!(copy.receive(|t| !t.is_empty())[0].meta.dst_ip, Some(ip));
    }
    let two_of_a_kind = [UdpSocket::bind("127.0.0.1:0").unwrap().into(), UdpSocket::bind("127.0.0.1:0").unwrap().into()];
    assert_eq!(UdpEncap::from_fds(two_of_a_kind).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(UdpEncap::from_fds([tcp.into()]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

fn hear(listener: &mut AnnounceListener) -> (Vec<u8>, SocketAddr) {
    let mut poll = Poll::new().unwrap();
    poll.registry().register(listener, Token(0), Interest::READABLE).unwrap();
    let mut events = Events::with_capacity(4);
    loop {
        match listener.recv() {
            Ok((bytes, from)) => {
                poll.registry().deregister(listener).unwrap();
                return (bytes.to_vec(), from);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll.poll(&mut events, Some(WAIT)).unwrap();
                assert!(!events.is_empty(), "no announce heard");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// In a network namespace with nothing but the loopback interface this runs as it does here: no route is needed.
#[test]
fn announces_on_loopback_reach_every_listener_and_name_their_source_port() {
    let lo = std::net::Ipv4Addr::LOCALHOST;
    // A free port of the group, and one to announce from.
    let port = UdpSocket::bind((lo, 0)).unwrap().local_addr().unwrap().port();
    let own = UdpSocket::bind((lo, 0)).unwrap().local_addr().unwrap().port();
    let group = SocketAddr::from(([239, 255, 87, 1], port));
    let mut first = AnnounceListener::new(group, &[Interface::V4(lo)]).unwrap();
    let mut second = AnnounceListener::new(group, &[Interface::V4(lo), Interface::V4(lo)]).unwrap();
    let other = SocketAddr::from(([239, 255, 87, 2], port));
    let mut stranger = AnnounceListener::new(other, &[Interface::V4(lo)]).unwrap();
    let config = SenderConfig { group, source: addr(lo.into(), own), interface: Interface::V4(lo), ttl: 1 };
    let sender = AnnounceSender::new(&config).unwrap();
    let again = AnnounceSender::new(&config).unwrap();
    sender.send(b"I am here").unwrap();
    again.send(b"So am I").unwrap();
    for listener in [&mut first, &mut second] {
        assert_eq!(hear(listener), (b"I am here".to_vec(), addr(lo.into(), own)));
        assert_eq!(hear(listener), (b"So am I".to_vec(), addr(lo.into(), own)));
    }
    assert_eq!(stranger.recv().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(sender.local_addr().unwrap(), addr(lo.into(), own));
}

#[test]
fn announces_refuse_what_cannot_work() {
    let lo = std::net::Ipv4Addr::LOCALHOST;
    let unicast = SocketAddr::from(([192, 0, 2, 1], 3863));
    let kind = |error: io::Error| error.kind();
    assert_eq!(kind(AnnounceListener::new(unicast, &[Interface::V4(lo)]).unwrap_err()), io::ErrorKind::InvalidInput);
    let group = SocketAddr::from(([239, 255, 87, 3], 0));
    assert_eq!(kind(AnnounceListener::new(group, &[]).unwrap_err()), io::ErrorKind::InvalidInput);
    assert_eq!(kind(AnnounceListener::new(group, &[Interface::Index(1)]).unwrap_err()), io::ErrorKind::InvalidInput);
    let config = SenderConfig { group, source: "[::1]:0".parse().unwrap(), interface: Interface::V4(lo), ttl: 1 };
    assert_eq!(kind(AnnounceSender::new(&config).unwrap_err()), io::ErrorKind::InvalidInput);
}

/// A raw socket that is not read fills up: what comes then is lost, and that is all. Newer kernels would send ICMP, which ends
/// associations. In a network namespace of its own, since every raw socket of a host gets a copy.
#[cfg(target_os = "linux")]
#[test]
fn guarded_raw_sockets_that_are_full_or_closed_provoke_no_icmp() {
    const NAME: &str = "guarded_raw_sockets_that_are_full_or_closed_provoke_no_icmp";
    const INSIDE: &str = "UDP_ENCAP_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_none() {
        let script = r#"ip link set lo up && ip addr add ::2/128 dev lo nodad && exec "$0" --exact "$1" --nocapture"#;
        let mut command = std::process::Command::new("unshare");
        command.args(["--net", "sh", "-c", script]).arg(std::env::current_exe().unwrap()).arg(NAME).env(INSIDE, "1");
        let Ok(output) = command.output() else { return skip("no unshare of util-linux") };
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if text.contains("Operation not permitted") {
            return skip("no right to network namespaces");
        }
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let _guard = RawGuard::new().unwrap();
    for (ip, from) in loopbacks().into_iter().zip(["127.0.0.2", "::2"]) {
        let mut sender = RawSocket::bind(from.parse().unwrap(), 0).unwrap();
        let to = RawTransmit { dst: ip, scope: 0, tos: 0, flow_label: 0, may_fragment: false };
        // An address without a socket at present, as when its interface has just come back.
        sender.send(&to, &[0; 64]).unwrap();
        let _never_read = RawSocket::bind(ip, 0).unwrap();
        // The kernel counts at least this for each packet, and doubles the buffer that it grants.
        let most: usize = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap().trim().parse().unwrap();
        for _ in 0..=2 * most / 512 {
            sender.send(&to, &[0; 64]).unwrap();
        }
        let mut buffers = RecvBatch::new();
        while sender.recv(&mut buffers, drop).is_ok() {}
        assert_eq!(sender.take_error(), None, "{ip}");
    }
}
