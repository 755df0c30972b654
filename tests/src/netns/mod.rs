//! Hosts for tests: network namespaces, joined by veth pairs, that vanish with the test whatever becomes of it.
//!
//! A namespace has no name. A small process holds it, which ends when its standard input is closed: also when the test is
//! killed. Whoever runs in the namespace as a [`Program`] is killed when that is dropped, so drop programs before hosts.
#![allow(clippy::disallowed_methods, reason = "edge: tests run processes in network namespaces of their own")]

mod program;

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

pub use program::{PATIENCE, Program, Signal};

/// Programs that every test of this kind calls.
const TOOLS: [&str; 4] = ["ip", "unshare", "nsenter", "cat"];

/// Whether a test can make namespaces here; if not, it says why. `more` are programs that it calls besides `ip` and its like.
///
/// With `REQUIRE=all` in the environment "no" is a failure: then this panics.
///
/// # Panics
/// Something is missing that the environment says must be there.
#[must_use]
pub fn available(more: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = TOOLS.iter().chain(more).find(|tool| !std::env::split_paths(&path).any(|dir| dir.join(tool).is_file()));
    let reason = match missing {
        Some(tool) => format!("needs the program {tool}"),
        None => match Host::new() {
            Ok(_) => return true,
            Err(err) => format!("cannot make a network namespace (root can): {err}"),
        },
    };
    assert_ne!(std::env::var("REQUIRE").as_deref(), Ok("all"), "skipped with REQUIRE=all: {reason}");
    println!("SKIP: {reason}");
    false
}

/// A network namespace with its loopback up, and nothing else.
#[derive(Debug)]
pub struct Host {
    holder: Child,
}

impl Host {
    /// Makes one. IPv6 addresses are usable at once and outlive a link that is set down.
    ///
    /// # Errors
    /// The system refuses, or a program is missing.
    pub fn new() -> io::Result<Self> {
        let script = "ip link set lo up || exit 1
            cd /proc/sys/net/ipv6/conf 2>/dev/null && for c in all default; do
                echo 0 > $c/accept_dad; echo 1 > $c/keep_addr_on_down
            done
            echo ready; exec cat >/dev/null";
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = holder.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        if line.trim() != "ready" {
            let output = holder.wait_with_output()?;
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(Self { holder })
    }

    /// The process that holds the namespace: `nsenter -t PID -n` enters it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// A command that runs in the namespace. The process started is the program itself: signals reach it.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid().to_string(), "-n", "--"]).arg(program);
        command
    }

    /// Runs a command line (words without quotes) in the namespace to its end: its standard output.
    ///
    /// # Errors
    /// It cannot be run, or fails; then the error is what it says.
    pub fn run(&self, line: &str) -> io::Result<String> {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().unwrap_or_default());
        command.args(words).stdin(Stdio::null());
        finish(line, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }

    /// `ip` with these arguments.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn ip(&self, arguments: &str) -> io::Result<String> {
        self.run(&format!("ip {arguments}"))
    }

    /// Feeds rules to `nft -f`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn nft(&self, rules: &str) -> io::Result<String> {
        let mut child =
            self.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(rules.as_bytes())?;
        }
        finish(rules, child)
    }

    /// Packets that a named counter of `nft` has counted.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn nft_counter(&self, family: &str, table: &str, counter: &str) -> io::Result<u64> {
        let text = self.run(&format!("nft list counter {family} {table} {counter}"))?;
        let packets = text.split_whitespace().skip_while(|word| *word != "packets").nth(1).and_then(|n| n.parse().ok());
        packets.ok_or_else(|| io::Error::other(format!("no packets in {text:?}")))
    }

    /// Makes it a router of IPv4 and IPv6.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn forward(&self) -> io::Result<()> {
        for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
            self.sysctl(key, "1")?;
        }
        Ok(())
    }

    /// Sets a value below `/proc/sys`.
    ///
    /// # Errors
    /// There is no such key, or it does not take the value.
    pub fn sysctl(&self, key: &str, value: &str) -> io::Result<()> {
        let child = self
            .command("sh")
            .args(["-c", "echo \"$1\" > \"/proc/sys/$0\"", key, value])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        finish(key, child).map(drop)
    }

    /// Addresses, routes and neighbours, to be printed when a test does not understand its host.
    #[must_use]
    pub fn describe(&self) -> String {
        ["addr", "route", "-6 route", "neigh"].map(|what| self.ip(what).unwrap_or_else(|err| err.to_string())).join("\n")
    }

    /// Adds an address with prefix length to an interface.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn add_addr(&self, addr: &str, interface: &str) -> io::Result<()> {
        let nodad = if addr.contains(':') { "nodad" } else { "" };
        self.ip(&format!("addr add {addr} dev {interface} {nodad}")).map(drop)
    }

    /// Sets an interface up or down.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn set_link(&self, interface: &str, up: bool) -> io::Result<()> {
        self.ip(&format!("link set dev {interface} {}", if up { "up" } else { "down" })).map(drop)
    }

    /// Has nothing come in by an interface any more, or all of it again: a network that fails without either of its hosts being told.
    /// Needs `nft`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn set_deaf(&self, interface: &str, deaf: bool) -> io::Result<()> {
        if !deaf {
            return self.run(&format!("nft delete table inet deaf_{interface}")).map(drop);
        }
        let chain = format!("chain input {{ type filter hook input priority 0; iifname {interface} drop; }}");
        self.nft(&format!("table inet deaf_{interface} {{ {chain}; }}")).map(drop)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // An error means that it is gone already.
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

/// An end of a link: the host, the name of its interface, and the interface's addresses with their prefix lengths.
pub type End<'a> = (&'a Host, &'a str, &'a [&'a str]);

/// Joins two hosts by a veth pair that is up.
///
/// # Errors
/// As [`Host::run`].
pub fn join(a: End<'_>, b: End<'_>) -> io::Result<()> {
    a.0.ip(&format!("link add name {} type veth peer name {} netns {}", a.1, b.1, b.0.pid()))?;
    for (host, interface, addrs) in [a, b] {
        for addr in addrs {
            host.add_addr(addr, interface)?;
        }
        host.set_link(interface, true)?;
    }
    Ok(())
}

fn finish(what: &str, child: Child) -> io::Result<String> {
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(format!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
