//! Addresses that come and go, and those that only one link knows.

use std::io;
use std::time::{Duration, Instant};

use testbed::netns::{Host, available, join};

use super::links::hosts;
use super::stage::Peer;

/// Much longer than it takes to be told of a change, and shorter than it takes to look without being told.
const TOLD: Duration = Duration::from_secs(30);

/// Opens associations until one has, or has not, `addr` among our addresses.
fn await_own(client: &mut Peer, to: &str, addr: &str, there: bool) -> io::Result<()> {
    let since = Instant::now();
    loop {
        let k = client.talk_to(to, 100, 1)?;
        client.progress(k, 1)?;
        let own = client.ask(&format!("local {k}"))?;
        client.finish(k)?;
        if own.split_whitespace().any(|a| a == addr) == there {
            return Ok(());
        }
        assert!(since.elapsed() < TOLD, "{addr} there: {there}, but {own}");
    }
}

#[test]
fn addresses_come_and_go() -> io::Result<()> {
    if !available(&[]) {
        return Ok(());
    }
    let (a, b) = hosts(2)?;
    let _server = Peer::start(&b, "port=5000 addip=no")?;
    let _other = Peer::start(&b, "port=5002 addip=no")?;
    let mut client = Peer::start(&a, "port=5001 addip=no")?;
    let k = client.talk_to("10.1.0.2:5000", 1000, 4)?;
    client.await_paths(k, |paths| paths.len() == 4 && paths.iter().all(|p| p.contains(",active,")))?;
    client.progress(k, 100)?;

    // Without Add-IP a removed address is a dead path.
    a.ip("addr del 10.1.0.1/24 dev eth0")?;
    client.await_paths(k, |paths| paths.iter().any(|p| p.starts_with("10.1.0.2,") && p.contains(",inactive,")))?;
    client.progress(k, 100)?;
    await_own(&mut client, "10.1.1.2:5002", "10.1.0.1", false)?;

    // A new one is for new associations.
    a.add_addr("10.1.9.1/24", "eth0")?;
    b.add_addr("10.1.9.2/24", "eth0")?;
    await_own(&mut client, "10.1.1.2:5002", "10.1.9.1", true)?;
    let new = client.talk_to("10.1.9.2:5002", 1000, 4)?;
    client.await_paths(new, |paths| paths.iter().any(|p| p.starts_with("10.1.9.2,10.1.9.1,active,")))?;
    client.progress(new, 100)?;
    assert!(!client.ask(&format!("paths {k}"))?.contains("10.1.9."), "the old one was not told");
    client.finish(new)?;

    // The address comes back, and with it the path.
    a.add_addr("10.1.0.1/24", "eth0")?;
    client.await_paths(k, |paths| paths.iter().all(|p| p.contains(",active,")))?;
    client.progress(k, 100)?;
    client.finish(k).map(drop)
}

/// Waits until our addresses of an association have, or have not, `addr`.
fn await_local(client: &mut Peer, k: usize, addr: &str, there: bool) -> io::Result<()> {
    let since = Instant::now();
    loop {
        let own = client.ask(&format!("local {k}"))?;
        if own.split_whitespace().any(|a| a == addr) == there {
            return Ok(());
        }
        assert!(since.elapsed() < TOLD, "{addr} there: {there}, but {own}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// RFC 5061: what comes to an interface and goes from it is told to the peer, authenticated, while data flows.
#[test]
fn with_add_ip_running_associations_follow_the_interfaces() -> io::Result<()> {
    if !available(&[]) {
        return Ok(());
    }
    for over in ["", "raw/"] {
        let (a, b) = hosts(2)?;
        let _server = Peer::start(&b, "port=5000 raw addip")?;
        let mut client = Peer::start(&a, "port=5001 raw addip")?;
        let k = client.talk_to(&format!("{over}10.1.0.2:5000"), 3000, 16)?;
        client.await_paths(k, |paths| paths.len() == 4 && paths.iter().all(|p| p.contains(",active,")))?;
        client.progress(k, 100)?;

        // On both sides a new address comes, and is a new path.
        a.add_addr("10.1.9.1/24", "eth0")?;
        b.add_addr("10.1.9.2/24", "eth0")?;
        await_local(&mut client, k, "10.1.9.1", true)?;
        client.await_paths(k, |paths| paths.len() == 5 && paths.iter().any(|p| p.starts_with("10.1.9.2,10.1.9.1,active,")))?;
        client.progress(k, 100)?;

        // The addresses in use go, first ours, then the peer's: its path is gone, not dead.
        a.ip("addr del 10.1.0.1/24 dev eth0")?;
        await_local(&mut client, k, "10.1.0.1", false)?;
        let gap = client.progress(k, 200)?;
        b.ip("addr del 10.1.0.2/24 dev eth0")?;
        client.await_paths(k, |paths| paths.len() == 4 && paths.iter().all(|p| p.contains(",active,") && !p.starts_with("10.1.0.2,")))?;
        let then = client.progress(k, 200)?;
        println!("{over}: nothing came back for {} ms when ours went, {} ms when the peer's went", gap.as_millis(), then.as_millis());

        // And back.
        a.add_addr("10.1.0.1/24", "eth0")?;
        b.add_addr("10.1.0.2/24", "eth0")?;
        await_local(&mut client, k, "10.1.0.1", true)?;
        client.await_paths(k, |paths| paths.len() == 5 && paths.iter().all(|p| p.contains(",active,")))?;
        client.progress(k, 100)?;
        println!("{over}: {} messages came back", client.finish(k)?);
    }
    Ok(())
}

/// RFC 5061 section 5.3.2: a host whose only address becomes another one goes on with its associations.
#[test]
fn with_add_ip_a_host_may_be_renumbered() -> io::Result<()> {
    if !available(&[]) {
        return Ok(());
    }
    let (a, b) = (Host::new()?, Host::new()?);
    join((&a, "eth0", &["10.1.0.1/24"]), (&b, "eth0", &["10.1.0.2/24"]))?;
    let _server = Peer::start(&b, "port=5000 addip families=4")?;
    let mut client = Peer::start(&a, "port=5001 addip families=4")?;
    let k = client.talk_to("10.1.0.2:5000", 3000, 16)?;
    client.progress(k, 100)?;
    a.ip("addr add 10.1.0.77/24 dev eth0")?;
    a.ip("addr del 10.1.0.1/24 dev eth0")?;
    // The secondary address goes with the first one, unless the system promotes it.
    if !a.ip("-o addr show dev eth0")?.contains("10.1.0.77/") {
        a.add_addr("10.1.0.77/24", "eth0")?;
    }
    await_local(&mut client, k, "10.1.0.1", false)?;
    await_local(&mut client, k, "10.1.0.77", true)?;
    let gap = client.progress(k, 200)?;
    println!("renumbered: nothing came back for {} ms; {} messages came back", gap.as_millis(), client.finish(k)?);
    Ok(())
}

/// The index of an interface, which link-local addresses need as their scope.
fn index(host: &Host, interface: &str) -> io::Result<u32> {
    let line = host.ip(&format!("-o link show dev {interface}"))?;
    line.split(':').next().and_then(|n| n.trim().parse().ok()).ok_or_else(|| io::Error::other(line))
}

#[test]
fn neighbours_with_the_same_link_local_address_are_told_apart() -> io::Result<()> {
    if !available(&[]) {
        return Ok(());
    }
    let (a, b, c) = (Host::new()?, Host::new()?, Host::new()?);
    join((&a, "eth0", &["fe80::1/64", "fd01::1/64"]), (&b, "eth0", &["fe80::2/64", "fd01::2/64"]))?;
    join((&a, "eth1", &["fe80::1/64"]), (&c, "eth0", &["fe80::2/64"]))?;
    let _servers = (Peer::start(&b, "port=5000 raw")?, Peer::start(&c, "port=5000 raw")?);
    for over in ["", "raw/"] {
        let mut client = Peer::start(&a, "port=5001 raw")?;
        let mut talks = Vec::new();
        for interface in ["eth0", "eth1"] {
            talks.push(client.talk_to(&format!("{over}[fe80::2%{}]:5000", index(&a, interface)?), 2000, 8)?);
        }
        // Beside its link, the first neighbour can be reached by an address that means something everywhere.
        client
            .await_paths(talks[0], |p| p.len() == 2 && p.iter().all(|p| p.contains(",active,")) && p[1].starts_with("fd01::2,fd01::1,"))?;
        for k in talks {
            client.progress(k, 200)?;
            let paths = client.ask(&format!("paths {k}"))?;
            assert!(paths.starts_with("fe80::2,fe80::") && paths.contains(",active,"), "{paths}");
            println!("{over}: {} messages came back; {paths}", client.finish(k)?);
        }
    }
    Ok(())
}
