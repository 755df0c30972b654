//! Programs of one host that share the encapsulation port, under load: whoever reads the port may be killed or stopped.

use std::io;
use std::time::{Duration, Instant};

use testbed::netns::{Host, Signal, available};

use super::links::hosts;
use super::stage::Peer;

/// Longest message in bytes, and messages on their way in each direction of each association.
const SIZE: usize = 10_000;
const WINDOW: usize = 16;
/// How long the reader is stopped.
const STOPPED: Duration = Duration::from_secs(5);

/// A program that shares the port, with an association that is busy in both directions.
struct Member {
    peer: Peer,
    port: u16,
    /// The number of the association at the remote peer.
    remote: usize,
}

fn join(host: &Host, remote: &mut Peer, port: u16, addr: &str) -> io::Result<Member> {
    let mut peer = Peer::start(host, &format!("port={port}"))?;
    peer.talk_to(addr, SIZE, WINDOW)?;
    let up = remote.await_line("up ")?;
    let number = up.split_whitespace().nth(1).and_then(|k| k.parse().ok()).ok_or_else(|| io::Error::other(up))?;
    remote.ask(&format!("talk {number} {SIZE} {WINDOW}"))?;
    Ok(Member { peer, port, remote: number })
}

/// The member that reads the port. Right after a change nobody may say so.
fn reader(members: &mut [Member]) -> io::Result<usize> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        for (i, m) in members.iter_mut().enumerate() {
            if m.peer.status()?.0 == "reader" {
                return Ok(i);
            }
        }
        assert!(Instant::now() < until, "nobody reads the port");
    }
}

/// Every association gets on in both directions, by so many messages: the longest silence.
fn progress(members: &mut [Member], remote: &mut Peer, messages: u64) -> io::Result<Duration> {
    let mut longest = Duration::ZERO;
    for m in members {
        longest = longest.max(m.peer.progress(0, messages)?).max(remote.progress(m.remote, messages)?);
    }
    Ok(longest)
}

#[test]
fn the_reader_of_a_shared_port_dies_and_freezes_under_load() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    let (a, b) = hosts(1)?;
    a.nft(
        "table inet watch {
            counter unreachable { }
            chain out {
                type filter hook output priority 0;
                icmp type destination-unreachable counter name unreachable
                icmpv6 type destination-unreachable counter name unreachable
            }
        }",
    )?;
    let mut remote = Peer::start(&b, "port=5000")?;
    let mut members = Vec::new();
    for (port, addr) in [(5001, "10.1.0.2:5000"), (5002, "[fd00::2]:5000"), (5003, "10.1.0.2:5000"), (5004, "[fd00::2]:5000")] {
        members.push(join(&a, &mut remote, port, addr)?);
    }
    progress(&mut members, &mut remote, 200)?;

    let at = reader(&mut members)?;
    let dead = members.remove(at);
    let (port, gone) = (dead.port, dead.remote);
    drop(dead);
    let gap = progress(&mut members, &mut remote, 400)?;
    println!("the reader, port {port}, was killed: nothing came for {} ms", gap.as_millis());

    let at = reader(&mut members)?;
    let frozen = members.remove(at);
    frozen.peer.signal(Signal::STOP)?;
    let since = Instant::now();
    let gap = progress(&mut members, &mut remote, 400)?;
    println!("the reader, port {}, was stopped: nothing came for {} ms", frozen.port, gap.as_millis());
    assert!(members.len() == 2 && reader(&mut members)? < 2, "another one reads");
    while since.elapsed() < STOPPED {
        progress(&mut members, &mut remote, 50)?;
    }
    frozen.peer.signal(Signal::CONT)?;
    members.push(frozen);
    let gap = progress(&mut members, &mut remote, 200)?;
    println!("it goes on after {} ms: nothing came for {} ms", since.elapsed().as_millis(), gap.as_millis());

    for mut m in members {
        remote.rest(m.remote)?;
        println!("port {}: {} messages came back, every byte right", m.port, m.peer.finish(0)?);
    }
    let lost: Vec<_> = remote.news().iter().filter(|n| n.starts_with("lost") && !n.starts_with(&format!("lost {gone} "))).collect();
    assert!(lost.is_empty(), "associations of the living: {lost:?}");
    assert_eq!(a.nft_counter("inet", "watch", "unreachable")?, 0, "ICMP unreachable left the host");
    Ok(())
}
