//! Links: one, two and three of them, that fail and lose.

use std::io;
use std::time::Duration;

use testbed::netns::{Host, available, join};

use super::stage::Peer;

/// Two hosts with so many links, each with IPv4 and IPv6.
pub(super) fn hosts(links: u8) -> io::Result<(Host, Host)> {
    let (a, b) = (Host::new()?, Host::new()?);
    for n in 0..links {
        let interface = format!("eth{n}");
        let addrs = |host: u8| [format!("10.1.{n}.{host}/24"), format!("fd0{n}::{host}/64")];
        let (ours, theirs) = (addrs(1), addrs(2));
        join((&a, &interface, &[&ours[0], &ours[1]]), (&b, &interface, &[&theirs[0], &theirs[1]]))?;
    }
    Ok((a, b))
}

/// What happens to links while messages go to and fro: each link fails once and comes back, then the association closes.
fn links_fail_and_return(title: &str, links: u8, settings: &str, to: &str) -> io::Result<()> {
    let (a, b) = hosts(links)?;
    let _server = Peer::start(&b, &format!("port=5000 {settings}"))?;
    let mut client = Peer::start(&a, &format!("port=5001 {settings}"))?;
    let k = client.talk_to(to, 3000, 16)?;
    let all_active = |paths: &[&str]| paths.len() > 1 && paths.iter().all(|p| p.contains(",active,"));
    let paths = client.await_paths(k, all_active)?;
    let count = paths.split_whitespace().count();
    println!("{title}: {paths}");
    client.progress(k, 200)?;
    for n in 0..links {
        let interface = format!("eth{n}");
        // Our end, of which our own system knows; then one of which neither knows; then the peer's: it tells us by ASCONF that these
        // addresses are none of its now, and later that they are again.
        let set = |up| match n % 3 {
            0 => a.set_link(&interface, up),
            1 => b.set_deaf(&interface, !up),
            _ => b.set_link(&interface, up),
        };
        set(false)?;
        let alive = |p: &&&str| (p.starts_with(&format!("10.1.{n}.")) || p.starts_with(&format!("fd0{n}:"))) && p.contains(",active,");
        client.await_paths(k, |paths| paths.iter().filter(alive).count() < 2)?;
        let gap = client.progress(k, 200)?;
        set(true)?;
        let as_before = |paths: &[&str]| paths.len() == count && all_active(paths);
        client.await_paths(k, as_before).inspect_err(|_| println!("{}\n{}", a.describe(), b.describe()))?;
        println!("{title}: link {n} failed: nothing came for {} ms", gap.as_millis());
        assert!(gap < Duration::from_secs(20), "Association.Max.Retrans is far away, but so is this");
    }
    client.progress(k, 200)?;
    println!("{title}: {} messages came back", client.finish(k)?);
    Ok(())
}

#[test]
fn one_link() -> io::Result<()> {
    if !available(&[]) {
        return Ok(());
    }
    let (a, b) = hosts(1)?;
    let _server = Peer::start(&b, "port=5000")?;
    let mut client = Peer::start(&a, "port=5001")?;
    for addr in ["10.1.0.2:5000", "[fd00::2]:5000"] {
        let k = client.talk_to(addr, 3000, 16)?;
        client.progress(k, 300)?;
        println!("{addr}: {} messages came back", client.finish(k)?);
    }
    Ok(())
}

#[test]
fn udp_over_two_links() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    links_fail_and_return("UDP over two links", 2, "", "10.1.0.2:5000")
}

#[test]
fn udp_over_three_links() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    links_fail_and_return("UDP over three links", 3, "", "[fd00::2]:5000")
}

#[test]
fn raw_ip_over_two_links() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    links_fail_and_return("raw IP over two links", 2, "noudp raw", "10.1.0.2:5000")
}

#[test]
fn raw_ip_and_udp_mixed_over_two_links() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    links_fail_and_return("UDP and raw IP over two links", 2, "raw", "10.1.0.2:5000 raw/10.1.1.2:5000 raw/[fd01::2]:5000")
}

/// DSCP and flow label of every packet, as the other host sees them.
#[test]
fn packets_are_marked() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    let (a, b) = hosts(1)?;
    b.nft(
        "table inet marks {
            counter v4 { }
            counter v4_bare { }
            counter v6 { }
            counter v6_bare { }
            chain in {
                type filter hook input priority 0;
                ip saddr 10.1.0.1 meta l4proto { udp, sctp } ip dscp ef counter name v4 accept
                ip saddr 10.1.0.1 meta l4proto { udp, sctp } counter name v4_bare accept
                ip6 saddr fd00::1 meta l4proto { udp, sctp } ip6 dscp ef ip6 flowlabel 0x12345 counter name v6 accept
                ip6 saddr fd00::1 meta l4proto { udp, sctp } counter name v6_bare accept
            }
        }",
    )?;
    let _server = Peer::start(&b, "port=5000 raw")?;
    let mut client = Peer::start(&a, "port=5001 raw dscp=46 flow=74565")?;
    for over in ["", "raw/"] {
        for (family, addr) in [("v4", "10.1.0.2:5000"), ("v6", "[fd00::2]:5000")] {
            let before = b.nft_counter("inet", "marks", family)?;
            let k = client.talk_to(&format!("{over}{addr}"), 30_000, 8)?;
            client.progress(k, 50)?;
            client.finish(k)?;
            let marked = b.nft_counter("inet", "marks", family)? - before;
            println!("{over}{addr}: {marked} marked packets");
            assert!(marked > 50, "{marked} packets");
            assert_eq!(b.nft_counter("inet", "marks", &format!("{family}_bare"))?, 0, "without a mark");
        }
    }
    Ok(())
}
