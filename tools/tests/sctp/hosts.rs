//! `sctp cat` between two hosts with two links, one of which fails and comes back all the time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use testbed::netns::{Host, available, join};

use crate::common;
use crate::program::SCTP;

/// Megabytes to copy; `SCTP_CAT_MIB=1024` for more.
const MIB: usize = 64;
/// How often the link fails.
const FLAPS: usize = 4;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// Addresses of the two links, at the sender and at the receiver.
const LINKS: [(&str, &str); 2] = [("10.1.0.1/24", "10.1.0.2/24"), ("10.1.1.1/24", "10.1.1.2/24")];

/// A process with its standard error read line by line; killed when dropped.
struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tx, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if tx.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that contains `text`, which was not waited for before.
    fn expect(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.seen.push(line.clone());
            if line.contains(text) {
                return;
            }
        }
        panic!("no {text:?}; seen: {:#?}", self.seen);
    }

    fn ends_well(&mut self) {
        let status = common::wait(&mut self.child, PATIENCE);
        self.seen.extend(self.lines.iter());
        assert!(status.is_some_and(|s| s.success()), "{status:?}: {:#?}", self.seen);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Length and SHA-256 of all that `process` writes.
fn digest_output(process: &mut Process) -> JoinHandle<(usize, String)> {
    let mut output = process.child.stdout.take().unwrap();
    thread::spawn(move || {
        let (mut sum, mut len, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
        loop {
            match output.read(&mut buffer).unwrap() {
                0 => return (len, hex(&sum.finalize())),
                n => {
                    sum.update(&buffer[..n]);
                    len += n;
                }
            }
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Copies with these further flags of `sctp`, and prints how it went.
fn copy_while_a_path_flaps(title: &str, flags: &[&str]) {
    let mib = std::env::var("SCTP_CAT_MIB").map_or(MIB, |text| text.parse().unwrap());
    let (sender, receiver) = (Host::new().unwrap(), Host::new().unwrap());
    for (n, (ours, theirs)) in LINKS.iter().enumerate() {
        let interface = format!("eth{n}");
        join((&sender, &interface, &[ours]), (&receiver, &interface, &[theirs])).unwrap();
    }
    let sctp = |host: &Host, words: &[&str]| {
        let mut command = host.command(SCTP);
        command.args(["cat", "-v"]).args(words).args(flags);
        Process::start(command)
    };
    let begin = Instant::now();
    let mut server = sctp(&receiver, &["--listen", "5000", "--receive-only"]);
    server.expect("on SCTP port 5000");
    let received = digest_output(&mut server);
    let mut client = sctp(&sender, &["10.1.0.2,10.1.1.2:5000"]);
    let mut input = client.child.stdin.take().unwrap();
    client.expect("path 10.1.1.2 is active");
    let mut sum = Sha256::new();
    let mut sent = 0;
    let mut noise = crate::program::noise(1 << 20);
    let mut feed = |share: usize| {
        for _ in 0..share {
            input.write_all(&noise).unwrap();
            sum.update(&noise);
            sent += noise.len();
            // The next megabyte is another one.
            noise.rotate_left(4099);
            noise[0] = noise[0].wrapping_add(1);
        }
    };
    for flap in 0..FLAPS {
        feed(mib / (2 * FLAPS));
        // Once our end; once the peer's does not hear us, of which no system knows; in the end the peer's, which tells by ASCONF that the
        // address is none of its now. What follows finds the path that was in use dead.
        let last = flap + 1 == FLAPS;
        let set = |up| match flap % 2 {
            _ if last => receiver.set_link("eth0", up),
            0 => sender.set_link("eth0", up),
            _ => receiver.set_deaf("eth0", !up),
        };
        set(false).unwrap();
        let failed = Instant::now();
        feed(mib / (2 * FLAPS));
        let gone = if last { "removed" } else { "potentially failed" };
        client.expect(&format!("path 10.1.0.2 is {gone}"));
        println!("{title}: link down, {gone} after at most {} ms", failed.elapsed().as_millis());
        set(true).unwrap();
        client.expect("path 10.1.0.2 is active");
    }
    feed(mib - 2 * FLAPS * (mib / (2 * FLAPS)));
    drop(input);
    client.ends_well();
    server.ends_well();
    assert_eq!(received.join().unwrap(), (sent, hex(&sum.finalize())));
    let report = client.seen.iter().find(|line| line.starts_with("sent ")).unwrap();
    println!("{title}: {mib} MiB in {} ms, SHA-256 equal; the sender: {report}", begin.elapsed().as_millis());
    assert!(report.starts_with(&format!("sent {sent} bytes")), "{report}");
}

#[test]
fn a_copy_over_udp_while_a_path_flaps() {
    if available(&["nft"]) {
        copy_while_a_path_flaps("UDP", &[]);
    }
}

#[test]
fn a_copy_over_ip_while_a_path_flaps() {
    if available(&["nft"]) {
        copy_while_a_path_flaps("raw IP", &["--raw", "--no-udp", "--profile", "signalling"]);
    }
}
