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
