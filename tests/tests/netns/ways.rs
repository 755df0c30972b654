//! Raw IP and TUN devices: a stack with IP addresses of its own, and what the network reports about protocol 132.

use std::io;
use std::time::{Duration, Instant};

use testbed::netns::{Host, available};

use super::links::hosts;
use super::stage::Peer;

/// The stack's own addresses on the TUN device of host `a`, for which `a` is a router.
const OWN: [&str; 2] = ["10.9.0.2", "fd09::2"];

/// Makes the device, and the routes to it on both hosts.
fn route_to_tun(a: &Host, b: &Host) -> io::Result<()> {
    a.ip("tuntap add dev sct0 mode tun")?;
    a.ip("link set sct0 up")?;
    a.forward()?;
    a.ip("route add 10.9.0.2/32 dev sct0")?;
    a.ip("-6 route add fd09::2/128 dev sct0")?;
    b.ip("route add 10.9.0.0/24 via 10.1.0.1")?;
    b.ip("-6 route add fd09::/64 via fd00::1")?;
    Ok(())
}

/// The stack's packets pass its host as those of another host do, and the way narrows there, which the host reports by ICMP.
#[test]
fn tun_against_raw_ip() -> io::Result<()> {
    if !available(&[]) {
        return Ok(());
    }
    let (a, b) = hosts(1)?;
    route_to_tun(&a, &b)?;
    for host in [&a, &b] {
        host.ip("link set eth0 mtu 1300")?;
    }
    let mut far = Peer::start(&b, "port=5000 noudp raw")?;
    let mut own = Peer::start(&a, &format!("port=5001 noudp tun=sct0,{}", OWN.join(",")))?;
    for (to, source) in [("10.1.0.2", OWN[0]), ("fd00::2", OWN[1])] {
        let addr = if to.contains(':') { format!("[{to}]:5000") } else { format!("{to}:5000") };
        let k = own.talk_to(&addr, 5000, 8)?;
        let start = Instant::now();
        own.progress(k, 300)?;
        let paths = own.await_paths(k, |paths| paths.len() == 2 && paths.iter().all(|p| p.contains(",active,Tun(0)")))?;
        assert!(paths.contains(&format!("{to},{source},")), "{paths}");
        println!("TUN to raw IP by {to}: {paths}, {} ms for 300 messages", start.elapsed().as_millis());
        own.finish(k)?;
    }
    // The other way round.
    for to in ["10.9.0.2:5001", "[fd09::2]:5001"] {
        let k = far.talk_to(to, 5000, 8)?;
        far.progress(k, 300)?;
        let paths = far.await_paths(k, |paths| paths.len() == 2 && paths.iter().all(|p| p.contains(",active,raw")))?;
        println!("raw IP to TUN by {to}: {paths}, {} messages came back", far.finish(k)?);
    }
    Ok(())
}

/// Where nobody speaks protocol 132 the system says so, and the user is told at once; T1 alone would take minutes.
#[test]
fn a_host_without_sctp_says_so_at_once() -> io::Result<()> {
    if !available(&[]) {
        return Ok(());
    }
    let (a, b) = hosts(1)?;
    route_to_tun(&a, &b)?;
    for settings in ["port=5001 noudp raw".to_owned(), format!("port=5001 noudp tun=sct0,{}", OWN.join(","))] {
        let mut client = Peer::start(&a, &settings)?;
        for to in ["10.1.0.2:5000", "[fd00::2]:5000"] {
            let start = Instant::now();
            let err = client.ask(&format!("connect {to}")).unwrap_err().to_string();
            println!("{settings}: {err} after {} ms", start.elapsed().as_millis());
            assert!(err.contains("refused"), "{err}");
            assert!(start.elapsed() < Duration::from_secs(30), "by timers only");
        }
    }
    Ok(())
}

/// What a kernel with an SCTP of its own looks like to us: something answers in our place, or nothing comes through.
#[test]
fn another_sctp_on_the_host_is_noticed() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    let host = Host::new()?;
    let conflict = |peer: &mut Peer| peer.news().iter().find(|n| n.starts_with("conflict")).cloned();
    let mut first = Peer::start(&host, "port=5000 noudp raw")?;
    assert_eq!(conflict(&mut first), None);
    let mut beside = Peer::start(&host, "port=5001 noudp raw")?;
    assert_eq!(conflict(&mut beside), None, "who leaves foreign ports alone is in nobody's way");
    let _alone = Peer::start(&host, "port=5002 noudp raw alone")?;
    let mut third = Peer::start(&host, "port=5003 noudp raw")?;
    assert_eq!(conflict(&mut third).as_deref(), Some("conflict Answered"));
    host.nft("table inet block { chain input { type filter hook input priority 0; meta l4proto sctp drop; }; }")?;
    let mut deaf = Peer::start(&host, "port=5004 noudp raw")?;
    assert_eq!(conflict(&mut deaf).as_deref(), Some("conflict Silent"));
    Ok(())
}

/// Rulings section 1 row 14: a peer known only by its address is tried over UDP, then over raw IP.
#[test]
fn the_way_to_a_peer_is_found() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    let (a, b) = hosts(1)?;
    let _server = Peer::start(&b, "port=5000 noudp raw")?;
    let mut client = Peer::start(&a, "port=5001 raw")?;
    let mut reach = |what: &str| -> io::Result<Duration> {
        let start = Instant::now();
        let k = client.talk_to("10.1.0.2:5000", 3000, 8)?;
        let took = start.elapsed();
        client.progress(k, 50)?;
        let paths = client.await_paths(k, |paths| paths.iter().all(|p| p.contains(",active,raw")))?;
        println!("{what}: open after {} ms, {paths}", took.as_millis());
        client.finish(k)?;
        Ok(took)
    };
    reach("no UDP there, and ICMP says so")?;
    b.nft("table inet quiet { chain input { type filter hook input priority 0; udp dport 9899 drop; }; }")?;
    assert!(reach("UDP is dropped")? >= Duration::from_millis(250), "only then raw IP has its turn");
    Ok(())
}

/// Raw sockets follow the host's addresses: a new one serves at once, and a removed one that comes back serves again.
#[test]
fn raw_sockets_follow_the_addresses() -> io::Result<()> {
    if !available(&[]) {
        return Ok(());
    }
    let (a, b) = hosts(1)?;
    let _server = Peer::start(&b, "port=5000 noudp raw")?;
    let mut client = Peer::start(&a, "port=5001 noudp raw")?;
    for round in 0..2 {
        a.add_addr("10.7.0.1/24", "eth0")?;
        b.add_addr("10.7.0.2/24", "eth0")?;
        let k = client.talk_to("10.7.0.2:5000", 3000, 8)?;
        client.progress(k, 100)?;
        let paths = client.await_paths(k, |paths| paths.iter().any(|p| p.starts_with("10.7.0.2,10.7.0.1,active,raw")))?;
        println!("round {round}: {paths}, {} messages came back", client.finish(k)?);
        a.ip("addr del 10.7.0.1/24 dev eth0")?;
        b.ip("addr del 10.7.0.2/24 dev eth0")?;
    }
    Ok(())
}
