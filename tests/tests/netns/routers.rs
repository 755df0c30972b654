//! What routers do to packets: they lose them, and they have links that are narrower than ours.

use std::io;
use std::time::Instant;

use testbed::netns::{Host, available, join};

use super::links::hosts;
use super::stage::Peer;

/// The ways to reach a host.
const WAYS: [(&str, bool); 4] = [("", true), ("", false), ("raw/", true), ("raw/", false)];

#[test]
fn one_packet_in_twenty_is_lost() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    let (a, b) = hosts(1)?;
    for host in [&a, &b] {
        host.nft(
            "table inet road {
                counter lost { }
                chain in {
                    type filter hook input priority 0;
                    meta l4proto { udp, sctp } numgen random mod 100 < 5 counter name lost drop
                }
            }",
        )?;
    }
    let _server = Peer::start(&b, "port=5000 raw")?;
    let mut client = Peer::start(&a, "port=5001 raw")?;
    for (over, v4) in WAYS {
        let addr = if v4 { "10.1.0.2:5000" } else { "[fd00::2]:5000" };
        let k = client.talk_to(&format!("{over}{addr}"), 3000, 16)?;
        let gap = client.progress(k, 150)?;
        println!("{over}{addr}: {} messages came back, nothing came for {} ms", client.finish(k)?, gap.as_millis());
    }
    for host in [&a, &b] {
        let lost = host.nft_counter("inet", "road", "lost")?;
        println!("{lost} packets were lost");
        assert!(lost > 10);
    }
    Ok(())
}

#[test]
fn a_hop_is_narrower() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    let (a, near, far, b) = (Host::new()?, Host::new()?, Host::new()?, Host::new()?);
    join((&a, "eth0", &["10.1.0.1/24", "fd01::1/64"]), (&near, "lan", &["10.1.0.254/24", "fd01::fe/64"]))?;
    join((&far, "lan", &["10.2.0.254/24", "fd02::fe/64"]), (&b, "eth0", &["10.2.0.2/24", "fd02::2/64"]))?;
    join((&near, "wan", &["10.3.0.1/24", "fd03::1/64"]), (&far, "wan", &["10.3.0.2/24", "fd03::2/64"]))?;
    for (host, net, via) in
        [(&a, "default", "1.0.254"), (&b, "default", "2.0.254"), (&near, "10.2.0.0/24", "3.0.2"), (&far, "10.1.0.0/24", "3.0.1")]
    {
        host.ip(&format!("route add {net} via 10.{via}"))?;
    }
    for (host, net, via) in [(&a, "default", "1::fe"), (&b, "default", "2::fe"), (&near, "fd02::/64", "3::2"), (&far, "fd01::/64", "3::1")]
    {
        host.ip(&format!("-6 route add {net} via fd0{via}"))?;
    }
    for router in [&near, &far] {
        router.forward()?;
        router.ip("link set dev wan mtu 1320")?;
    }
    for (over, v4) in WAYS {
        through(&a, &b, over, v4)?;
    }
    // A black hole: the routers keep it to themselves that a packet was too long.
    for router in [&near, &far] {
        router.nft(
            "table inet hole {
                chain out {
                    type filter hook output priority 0;
                    icmp type destination-unreachable drop
                    icmpv6 type packet-too-big drop
                }
            }",
        )?;
    }
    for (over, v4) in WAYS {
        through(&a, &b, over, v4)?;
    }
    Ok(())
}

/// Long messages over one path; the search for its MTU comes close to what passes.
fn through(a: &Host, b: &Host, over: &str, v4: bool) -> io::Result<()> {
    let (family, addr) = if v4 { (4, "10.2.0.2:5000") } else { (6, "[fd02::2]:5000") };
    let _server = Peer::start(b, &format!("port=5000 raw families={family}"))?;
    let mut client = Peer::start(a, &format!("port=5001 raw families={family}"))?;
    let since = Instant::now();
    let k = client.talk_to(&format!("{over}{addr}"), 30_000, 4)?;
    client.progress(k, 50)?;
    let passed = since.elapsed();
    let narrow = |p: &&str| p.rsplit(',').next().and_then(|mtu| mtu.parse().ok()).is_some_and(|mtu| (1200..=1320).contains(&mtu));
    let paths = client.await_paths(k, |paths| paths.len() == 1 && paths.iter().all(narrow))?;
    client.progress(k, 50)?;
    println!("{over}{addr}: 50 messages within {} ms, {} in the end; {paths}", passed.as_millis(), client.finish(k)?);
    Ok(())
}
