//! Addresses that come and go, and those that only one link knows.

use std::io;
use std::time::{Duration, Instant};

use testbed::netns::available;

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
    let _server = Peer::start(&b, "port=5000")?;
    let _other = Peer::start(&b, "port=5002")?;
    let mut client = Peer::start(&a, "port=5001")?;
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
