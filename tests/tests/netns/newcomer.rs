//! The newcomer's page `docs/sctp-user.md`: it shows the examples as they are, and they do what it says.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use testbed::netns::{Host, PATIENCE, Program, available, join};

const EXAMPLES: [&str; 5] = ["echo_server", "multihomed_client", "moving_client", "fresh_readings", "static_nat"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The source of an example as the page shows it: without the comment at its head.
fn source(example: &str) -> String {
    let text = std::fs::read_to_string(root().join(format!("sctp-user/examples/{example}.rs"))).unwrap();
    let code: Vec<_> = text.lines().skip_while(|line| line.starts_with("//!") || line.is_empty()).collect();
    code.join("\n")
}

/// `PAGE=write` in the environment brings the page up to date.
#[test]
fn the_page_shows_the_examples() {
    let path = root().join("docs/sctp-user.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut new = page.clone();
    for example in EXAMPLES {
        let head = format!("<!-- example: {example} -->\n```rust,ignore\n");
        let begin = new.find(&head).unwrap_or_else(|| panic!("no {head:?}")) + head.len();
        let end = begin + new[begin..].find("```\n").unwrap();
        new.replace_range(begin..end, &format!("{}\n", source(example)));
        // What a reader copies needs nothing but the crate.
        for used in source(example).lines().filter_map(|line| line.strip_prefix("use ")) {
            assert!(used.starts_with("std::") || used.starts_with("sctp_user::"), "{example}: {used}");
        }
    }
    if std::env::var("PAGE").as_deref() == Ok("write") {
        std::fs::write(path, new).unwrap();
    } else {
        assert!(page == new, "docs/sctp-user.md is not up to date: PAGE=write cargo test -p testbed --test netns page");
    }
}

/// The file of an example. `cargo test --workspace` has built it beside this test; who runs this test alone gets it built now.
fn program(example: &str) -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let file = me.parent().and_then(Path::parent).unwrap().join("examples").join(example);
    if !file.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--profile", "test", "-p", "sctp-user", "--example", example]).current_dir(root());
        assert!(cargo.status().unwrap().success(), "cannot build the example {example}");
    }
    file
}

fn start(host: &Host, example: &str, args: &[&str]) -> io::Result<Program> {
    let mut command = host.command(program(example));
    command.args(args);
    Program::start(example, command)
}

/// Says a line, and waits for its echo.
fn echo(client: &mut Program, line: &str) -> io::Result<()> {
    client.say(line)?;
    client.await_line(&format!("echo: {line}")).map(drop)
}

fn ends_well(client: &mut Program) -> io::Result<()> {
    client.end_input();
    let status = client.wait()?;
    assert!(status.success(), "{status}: {:?}", client.news());
    Ok(())
}

#[test]
fn an_echo_server_and_a_client_whose_network_fails() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    let (here, there) = (Host::new()?, Host::new()?);
    join((&here, "eth0", &["192.0.2.1/24"]), (&there, "eth0", &["192.0.2.7/24"]))?;
    join((&here, "eth1", &["198.51.100.1/24"]), (&there, "eth1", &["198.51.100.7/24"]))?;
    let mut server = start(&there, "echo_server", &[])?;
    server.await_line("listening on SCTP port 7")?;
    let mut client = start(&here, "multihomed_client", &["192.0.2.7:7", "198.51.100.7:7"])?;
    client.await_line("connected to")?;
    // Notifications are read while an echo is waited for, so there must be some.
    let begin = Instant::now();
    let mut n = 0;
    let mut talk_until = |client: &mut Program, text: &str| -> io::Result<()> {
        while begin.elapsed() < PATIENCE {
            n += 1;
            echo(client, &format!("line {n}"))?;
            if client.news().iter().any(|line| line.contains(text)) {
                return Ok(());
            }
        }
        panic!("no {text:?}, but {:?}", client.news());
    };
    there.set_deaf("eth0", true)?;
    talk_until(&mut client, "path 192.0.2.7: PotentiallyFailed")?;
    there.set_deaf("eth0", false)?;
    talk_until(&mut client, "path 192.0.2.7: Available")?;
    // Of an interface that goes down its own host knows, and tells.
    there.set_link("eth0", false)?;
    talk_until(&mut client, "path 192.0.2.7: Removed")?;
    there.set_link("eth0", true)?;
    talk_until(&mut client, "path 192.0.2.7: Added")?;
    println!("{n} lines came back, none was lost");
    ends_well(&mut client)?;
    server.await_line("CommLost").map(drop)
}

#[test]
fn a_client_whose_host_moves() -> io::Result<()> {
    if !available(&[]) {
        return Ok(());
    }
    let (here, there) = (Host::new()?, Host::new()?);
    join((&here, "eth0", &["192.0.2.1/24"]), (&there, "eth0", &["192.0.2.7/24"]))?;
    let mut server = start(&there, "echo_server", &[])?;
    server.await_line("listening on SCTP port 7")?;
    let mut client = start(&here, "moving_client", &["192.0.2.7:7"])?;
    let begin = Instant::now();
    let mut n = 0;
    let mut talk_until = |client: &mut Program, wanted: &dyn Fn(&str) -> bool| -> io::Result<()> {
        while begin.elapsed() < PATIENCE {
            n += 1;
            echo(client, &format!("line {n}"))?;
            if client.news().iter().rfind(|line| line.starts_with("the server knows us as")).is_some_and(|line| wanted(line)) {
                return Ok(());
            }
        }
        panic!("{:?}", client.news());
    };
    talk_until(&mut client, &|known| known.contains("192.0.2.1:"))?;
    // With the prefix of the first one it would be a secondary address, which Linux removes with that.
    here.add_addr("192.0.2.99/25", "eth0")?;
    talk_until(&mut client, &|known| known.contains("192.0.2.99:"))?;
    here.ip("addr del 192.0.2.1/24 dev eth0")?;
    talk_until(&mut client, &|known| known.contains("192.0.2.99:") && !known.contains("192.0.2.1:"))?;
    println!("{n} lines came back, none was lost");
    ends_well(&mut client)?;
    server.await_line("CommLost")?;
    for change in ["Added", "Removed"] {
        assert!(server.news().iter().any(|line| line.contains(change)), "{change}: {:?}", server.news());
    }
    Ok(())
}

#[test]
fn readings_that_are_too_old_are_given_up_and_hold_nothing_up() -> io::Result<()> {
    if !available(&[]) {
        return Ok(());
    }
    let (here, there) = (Host::new()?, Host::new()?);
    join((&here, "eth0", &["192.0.2.1/24"]), (&there, "eth0", &["192.0.2.7/24"]))?;
    let mut server = start(&there, "echo_server", &[])?;
    server.await_line("listening on SCTP port 7")?;
    let mut client = start(&here, "fresh_readings", &["192.0.2.7:7"])?;
    // A line comes back, or is too old: that there is no network is noticed by silence, and so is that it is back.
    let (begin, mut n) = (Instant::now(), 0);
    let mut talk_until = |client: &mut Program, wanted: &str| -> io::Result<()> {
        while begin.elapsed() < PATIENCE {
            n += 1;
            client.say(&format!("reading {n}"))?;
            // What was given up may have been on its way all the same: one line for each that was said, of whichever.
            if client.await_line("reading ")?.ends_with(wanted) {
                return Ok(());
            }
        }
        panic!("no {wanted:?}, but {:?}", client.news());
    };
    talk_until(&mut client, "came back")?;
    there.set_link("eth0", false)?;
    talk_until(&mut client, "too old")?;
    there.set_link("eth0", true)?;
    talk_until(&mut client, "came back")?;
    ends_well(&mut client)?;
    server.await_line("CommLost").map(drop)
}

#[test]
fn clients_and_servers_behind_a_nat() -> io::Result<()> {
    if !available(&["nft"]) {
        return Ok(());
    }
    let (inside, nat, outside) = (Host::new()?, Host::new()?, Host::new()?);
    join((&inside, "eth0", &["192.168.0.2/24"]), (&nat, "inner", &["192.168.0.1/24"]))?;
    join((&nat, "outer", &["198.51.100.1/24"]), (&outside, "eth0", &["198.51.100.9/24"]))?;
    inside.ip("route add default via 192.168.0.1")?;
    nat.forward()?;
    nat.nft(
        "table ip nat {
            chain prerouting {
                type nat hook prerouting priority dstnat
                iifname outer udp dport 9899 dnat to 192.168.0.2
            }
            chain postrouting {
                type nat hook postrouting priority srcnat
                oifname outer masquerade random
            }
        }",
    )?;

    // The outside has no route to the inside: what works does so by the NAT.
    let mut server = start(&outside, "echo_server", &[])?;
    server.await_line("listening")?;
    let mut client = start(&inside, "multihomed_client", &["198.51.100.9:7"])?;
    client.await_line("connected to [198.51.100.9:7]")?;
    echo(&mut client, "hello from behind the NAT")?;
    ends_well(&mut client)?;
    drop((client, server));

    let mut server = start(&inside, "static_nat", &["198.51.100.1"])?;
    server.await_line("listening")?;
    let mut client = start(&outside, "multihomed_client", &["198.51.100.1:7"])?;
    // It was told no other address.
    client.await_line("connected to [198.51.100.1:7]")?;
    client.say("hello")?;
    client.await_line("echo: 198.51.100.9:")?;
    server.await_line("198.51.100.9:")?;
    ends_well(&mut client)
}
