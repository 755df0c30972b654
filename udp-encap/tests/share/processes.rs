//! Real processes, killed and stopped with signals.
//!
//! The test binary starts itself again as a child, which opens the shared port, claims an SCTP port and prints what happens.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::*;

const ENV: &str = "UDP_ENCAP_TEST_CHILD";

/// The child's main loop; it ends when its standard input does, so that it never outlives the test.
#[test]
#[ignore = "runs as a child of the other tests"]
fn child() {
    let Ok(ports) = std::env::var(ENV) else {
        return;
    };
    let mut ports = ports.split(',').map(|port| port.parse::<u16>().unwrap());
    let (udp_port, sctp_port) = (ports.next().unwrap(), ports.next().unwrap());
    std::thread::spawn(|| {
        let _ = std::io::stdin().lines().count();
        std::process::exit(0);
    });
    let mut port = SharedPort::open(&config(udp_port), entropy()).unwrap();
    port.claim(sctp_port, WAIT).unwrap();
    println!("\nopen {:?}", port.role());
    let mut peer = Peer::new(port);
    loop {
        peer.turn(Duration::from_secs(1));
        for incoming in peer.inbox.drain(..) {
            match incoming {
                Incoming::Train(train) => {
                    for packet in train.packets() {
                        println!("packet {} {}", mark(&packet).0, u64::from_be_bytes(packet[4..12].try_into().unwrap()));
                    }
                }
                Incoming::PortsDied { ports } => println!("died {ports:?}"),
                Incoming::RoleChanged { role, .. } => println!("role {role:?}"),
                _ => {}
            }
        }
    }
}

struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn start(udp_port: u16, sctp_port: u16) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child", "--ignored", "--nocapture"])
            .env(ENV, format!("{udp_port},{sctp_port}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn expect(&self, wanted: &str) {
        loop {
            let line = self.lines.recv_timeout(WAIT).unwrap_or_else(|error| panic!("no `{wanted}`: {error}"));
            if line == wanted {
                return;
            }
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Works for a stopped one, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends numbered packets to the ports of two processes, acts, and goes on until each of them got 100 packets that were sent
/// after the act. Returns the longest time that one of them was without a packet.
fn watch(udp_port: u16, processes: [(&Process, u16); 2], mut act: impl FnMut()) -> Duration {
    let mut outside = UdpEncap::bind(Bind::V4, 0).unwrap();
    let start = Instant::now();
    let mut acted = None;
    let mut last = [start; 2];
    let mut longest = Duration::ZERO;
    let mut after = [0; 2];
    let mut number = 0u64;
    while after.iter().any(|count| *count < 100) {
        assert!(start.elapsed() < WAIT, "packets did not come through again: {after:?}");
        for (_, port) in processes {
            let mut packet = packet(port, 0);
            packet[4..12].copy_from_slice(&number.to_be_bytes());
            outside.send(&Transmit::to(SocketAddr::new(LO, udp_port)), &packet).unwrap();
        }
        number += 1;
        std::thread::sleep(Duration::from_millis(2));
        for (index, (process, port)) in processes.iter().enumerate() {
            while let Ok(line) = process.lines.try_recv() {
                let Some(rest) = line.strip_prefix(&format!("packet {port} ")) else {
                    continue;
                };
                let seen: u64 = rest.parse().unwrap();
                longest = longest.max(last[index].elapsed());
                last[index] = Instant::now();
                if acted.is_some_and(|acted| seen > acted) {
                    after[index] += 1;
                }
            }
        }
        if acted.is_none() && number > 50 {
            act();
            acted = Some(number);
        }
    }
    longest
}

fn three(udp_port: u16) -> [Process; 3] {
    [10, 11, 12].map(|port| {
        let process = Process::start(udp_port, port);
        process.expect(if port == 10 { "open Reader" } else { "open Member" });
        process
    })
}

#[test]
fn a_killed_reader_is_followed_at_once() {
    let udp_port = free_port();
    let [reader, second, third] = three(udp_port);
    let gap = watch(udp_port, [(&second, 11), (&third, 12)], || {
        reader.signal(rustix::process::Signal::KILL);
    });
    println!("longest time without a packet after SIGKILL of the reader: {gap:?}");
    drop(reader);
    let fourth = Process::start(udp_port, 10);
    fourth.expect("open Member");
    watch(udp_port, [(&third, 12), (&fourth, 10)], || {});
}

#[test]
fn the_death_of_a_process_is_told_to_all() {
    let udp_port = free_port();
    let [reader, second, third] = three(udp_port);
    third.signal(rustix::process::Signal::KILL);
    for process in [&reader, &second] {
        process.expect("died [12]");
    }
    reader.signal(rustix::process::Signal::KILL);
    second.expect("role Reader");
    second.expect("died [10]");
}

#[test]
fn a_stopped_reader_is_displaced_and_joins_again() {
    let udp_port = free_port();
    let [reader, second, third] = three(udp_port);
    let gap = watch(udp_port, [(&second, 11), (&third, 12)], || {
        reader.signal(rustix::process::Signal::STOP);
    });
    println!("longest time without a packet after SIGSTOP of the reader: {gap:?}");
    let fourth = Process::start(udp_port, 13);
    fourth.expect("open Member");
    reader.signal(rustix::process::Signal::CONT);
    reader.expect("role Member");
    watch(udp_port, [(&reader, 10), (&third, 12)], || {});
    // It is served by the second now, and survives that one, too.
    watch(udp_port, [(&reader, 10), (&fourth, 13)], || {
        second.signal(rustix::process::Signal::KILL);
    });
}

/// Kills, stops, wakes and starts processes at random, and then wants everybody served, and nobody called dead who is not.
#[test]
fn after_any_disorder_everybody_is_served() {
    let udp_port = free_port();
    let mut random = entropy();
    let mut dice = move |sides: usize| {
        let mut octet = [0];
        random(&mut octet);
        usize::from(octet[0]) % sides
    };
    let mut next = 10;
    let mut start = || {
        next += 1;
        (Process::start(udp_port, next), next)
    };
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(start());
    }
    let mut stopped: Vec<(Process, u16)> = Vec::new();
    let (mut history, mut killed) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let act = dice(5);
        history.push(act);
        match act {
            0 if running.len() > 1 => {
                let (process, port) = running.swap_remove(dice(running.len()));
                process.signal(rustix::process::Signal::KILL);
                killed.push(port);
            }
            1 if running.len() > 1 => {
                let index = dice(running.len());
                let process = running.swap_remove(index);
                process.0.signal(rustix::process::Signal::STOP);
                stopped.push(process);
            }
            2 if !stopped.is_empty() => {
                let process = stopped.swap_remove(dice(stopped.len()));
                process.0.signal(rustix::process::Signal::CONT);
                running.push(process);
            }
            3 if running.len() < 6 => running.push(start()),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(u64::try_from(dice(120)).unwrap()));
    }
    for process in stopped.drain(..) {
        process.0.signal(rustix::process::Signal::CONT);
        running.push(process);
    }
    let mut outside = UdpEncap::bind(Bind::V4, 0).unwrap();
    let mut missing: Vec<_> = running.iter().map(|(_, port)| *port).collect();
    let end = Instant::now() + WAIT;
    while !missing.is_empty() {
        assert!(Instant::now() < end, "{missing:?} not served after {history:?}");
        for port in &missing {
            outside.send(&Transmit::to(SocketAddr::new(LO, udp_port)), &packet(*port, 1)).unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
        for (process, port) in &running {
            let wanted = format!("packet {port} {}", u64::from_be_bytes([1; 8]));
            while let Ok(line) = process.lines.try_recv() {
                for dead in line.strip_prefix("died ").iter().flat_map(|ports| ports.split(|c: char| !c.is_ascii_digit())) {
                    let slandered = dead.parse::<u16>().is_ok_and(|dead| !killed.contains(&dead));
                    assert!(!slandered, "{line} at {port}, but killed were {killed:?} in {history:?}");
                }
                if line == wanted {
                    missing.retain(|missing| missing != port);
                }
            }
        }
    }
}
