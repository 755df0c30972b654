//! Hosts behind NATs: UDP passes them (RFC 6951).

use std::io;

use testbed::netns::{Host, available, join};

use super::stage::Peer;

/// A host, a router before it that shall translate, and a host in the wide world.
fn hosts() -> io::Result<(Host, Host, Host)> {
    let (inside, nat, outside) = (Host::new()?, Host::new()?, Host::new()?);
    join((&inside, "eth0", &["10.0.0.2/24"]), (&nat, "in0", &["10.0.0.1/24"]))?;
    join((&inside, "eth1", &["10.0.1.2/24"]), (&nat, "in1", &["10.0.1.1/24"]))?;
    let own = ["192.0.2.1/24", "192.0.2.11/24", "192.0.2.12/24"];
    join((&nat, "out", &own), (&outside, "eth0", &["192.0.2.2/24"]))?;
    inside.ip("route add default via 10.0.0.1")?;
    nat.forward()?;
    Ok((inside, nat, outside))
}

/// From now on new flows leave from these UDP ports of the NAT, and old ones are forgotten. What comes for them is dropped in
/// silence, as most NATs do: an ICMP port unreachable would say that the peer is gone (RFC 6951 section 5.5 leaves that open).
fn bind_anew(nat: &Host, ports: &str) -> io::Result<()> {
    nat.nft(&format!(
        "table ip nat
        delete table ip nat
        table ip nat {{
            chain post {{
                type nat hook postrouting priority srcnat;
                oifname out meta l4proto udp masquerade to :{ports}
            }}
            chain in {{
                type filter hook input priority filter;
                iifname out meta l4proto udp drop
            }}
        }}"
    ))?;
    // What was masqueraded behind an interface is forgotten when that goes down.
    nat.set_link("out", false)?;
    nat.set_link("out", true)
}

/// Waits until the peer outside has seen the peer inside come from a port that begins so.
fn await_port(outside: &mut Peer, k: usize, start: &str) -> io::Result<String> {
    outside.await_paths(k, |paths| paths.iter().any(|p| p.starts_with(&format!("192.0.2.1,192.0.2.2,active,udp:{start}"))))
}

#[test]
fn a_nat_binds_another_port_and_the_association_lives_on() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    let (inside, nat, outside) = hosts()?;
    bind_anew(&nat, "20000-20099")?;
    let mut server = Peer::start(&outside, "port=5000")?;
    let mut client = Peer::start(&inside, "port=5001")?;
    let k = client.talk_to("192.0.2.2:5000", 2000, 8)?;
    client.progress(k, 100)?;
    println!("first {}", await_port(&mut server, 0, "200")?);
    assert_eq!(server.ask("paths 0")?.split_whitespace().count(), 1, "no address behind the NAT is listed");

    bind_anew(&nat, "30000-30099")?;
    let gap = client.progress(k, 100)?;
    println!("then {}, nothing came for {} ms", await_port(&mut server, 0, "300")?, gap.as_millis());

    // Nobody says anything while the NAT forgets; then the server has something to say.
    client.rest(k)?;
    bind_anew(&nat, "40000-40099")?;
    server.ask("talk 0 2000 8")?;
    let gap = server.progress(0, 100)?;
    println!("then {}, nothing came for {} ms", await_port(&mut server, 0, "400")?, gap.as_millis());
    server.rest(0)?;
    client.ask(&format!("talk {k} 2000 8"))?;
    client.progress(k, 100)?;
    client.finish(k).map(drop)
}

#[test]
fn what_the_world_calls_us_differs_from_what_is_bound() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    let (inside, nat, outside) = hosts()?;
    nat.nft(
        "table ip nat {
            chain pre {
                type nat hook prerouting priority dstnat;
                ip daddr 192.0.2.11 dnat to 10.0.0.2
                ip daddr 192.0.2.12 dnat to 10.0.1.2
            }
            chain post {
                type nat hook postrouting priority srcnat;
                ip saddr 10.0.0.2 snat to 192.0.2.11
                ip saddr 10.0.1.2 snat to 192.0.2.12
            }
        }",
    )?;
    let mut server = Peer::start(&inside, "port=5000 advertise=192.0.2.11,192.0.2.12")?;
    let mut client = Peer::start(&outside, "port=5001")?;
    let k = client.talk_to("192.0.2.11:5000", 2000, 8)?;
    let both = |paths: &[&str]| {
        let active = |addr: &str| paths.iter().any(|p| p.starts_with(&format!("{addr},192.0.2.2,active,")));
        paths.len() == 2 && active("192.0.2.11") && active("192.0.2.12")
    };
    println!("from outside {}", client.await_paths(k, both)?);
    client.progress(k, 100)?;
    // The first way in is barred: the other one is used.
    nat.set_link("in0", false)?;
    inside.ip("route replace default via 10.0.1.1")?;
    client.await_paths(k, |paths| paths.iter().any(|p| p.starts_with("192.0.2.11,") && !p.contains(",active,")))?;
    let gap = client.progress(k, 100)?;
    println!("nothing came for {} ms; {} messages came back", gap.as_millis(), client.finish(k)?);
    println!("from inside {:?}", server.news());
    Ok(())
}
