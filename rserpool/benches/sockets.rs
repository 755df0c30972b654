//! What one registrar serves to one client over UDP encapsulation on the loopback interface: requests per second, latencies,
//! and the CPU time that each side spends on one request.
//!
//! `cargo bench -p rserpool --bench sockets`; the page that it prints is kept in `benches/SOCKETS.md`. The registrar runs in this
//! process, the client in another one, which is this program again; both drive their node from one thread. Each keeps the UDP
//! port of its own, so that packets go through the kernel. `SECONDS=n` sets how long each row is measured (3).
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "edge: a benchmark runs programs and measures time; a panic is how it fails"
)]

use std::collections::VecDeque;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rserpool::asap::{AsapConfig, AsapEvent, ElementKey, ElementSpec, RequestId};
use rserpool::node::{PoolNode, RegistrarNode};
use rserpool::registrar::config::{Rate, RegistrarConfig};
use rserpool::wire::{ASAP_PORT, ENRP_PORT, ElementId, PoolHandle};
use sctp_user::entropy::OsEntropy;
use sctp_user::socket::{Handle, Runtime};
use sctp_user::{AssocConfig, EndpointConfig, LateNode, Stack, Time};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The argument that makes this program the client; its value is the registrar's UDP port.
const CLIENT: &str = "--client";
const IN_FLIGHT: [usize; 3] = [1, 16, 256];
/// Elements of the pool that is resolved.
const POOL_SIZE: u32 = 10;
/// Elements that are registered and deregistered for one row.
const REGISTRATIONS: u32 = 20_000;
/// Before a row is measured.
const WARM_UP: Duration = Duration::from_millis(300);
/// No single answer takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let args: Vec<String> = env::args().collect();
    if let Some(at) = args.iter().position(|a| a == CLIENT) {
        client(args[at + 1].parse().unwrap());
        return;
    }
    // `cargo test --benches` only wants to see that it runs.
    let quick = !args.iter().any(|a| a == "--bench");
    registrar(quick);
}

// ---- the registrar's process -----------------------------------------------------------------------------------

fn registrar(quick: bool) {
    let runtime = Runtime::builder().udp_port(0).share(false).bind(LOOPBACK).build().unwrap();
    let udp = runtime.udp_port();
    let mut assoc = AssocConfig::rfc();
    (assoc.nagle, assoc.partial_delivery) = (false, false);
    let assoc = Arc::new(assoc);
    let stack = Stack::new(runtime.stack_config(), Box::new(OsEntropy::new().unwrap()));
    let endpoint = |port| EndpointConfig::with(port, Arc::clone(&assoc));
    let node = RegistrarNode::new(stack, endpoint(ASAP_PORT), endpoint(ENRP_PORT), config(), Box::new(OsEntropy::new().unwrap())).unwrap();
    let _handle = runtime.spawn(node).unwrap();
    println!("| request | in flight | per second | p50 | p90 | p99 | p99.9 | max | CPU registrar | CPU client |");
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    let seconds = if quick { "0".into() } else { env::var("SECONDS").unwrap_or_else(|_| "3".into()) };
    let me = env::current_exe().unwrap();
    let mut client = Command::new(me).args([CLIENT, &udp.to_string()]).env("SECONDS", seconds).stdout(Stdio::piped()).spawn().unwrap();
    // The client says when a row begins and when it ends, so that this process knows what it spent on it.
    let mut before = cpu_time();
    for line in BufReader::new(client.stdout.take().unwrap()).lines().map(Result::unwrap) {
        if line == "begin" {
            before = cpu_time();
        } else if let Some((n, row)) = line.split_once(' ') {
            let each = (cpu_time() - before).as_nanos() as f64 / 1e3 / n.parse::<f64>().unwrap();
            println!("{}", row.replace("REGISTRAR", &format!("{each:.1} us")));
        }
    }
    assert!(client.wait().unwrap().success(), "the client failed");
}

/// Limits that a benchmark does not want to meet, and keep-alives that do not disturb it.
fn config() -> RegistrarConfig {
    let mut config = RegistrarConfig::default();
    config.rate = Rate { per_second: 1 << 30, burst: 1 << 30 };
    config.max_elements_per_association = 1 << 20;
    config.keep_alive.period = Duration::from_secs(3_600);
    config
}

/// What the threads of this process have spent so far.
fn cpu_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent = threads.filter_map(|t| fs::read_to_string(t.path().join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok());
    Duration::from_nanos(spent.sum())
}

// ---- the client's process --------------------------------------------------------------------------------------

type Host = LateNode<PoolNode>;

/// What was measured in one row.
struct Row {
    name: &'static str,
    in_flight: usize,
    latencies: Vec<Duration>,
    elapsed: Duration,
    cpu: Duration,
}

impl Row {
    fn print(mut self) {
        self.latencies.sort_unstable();
        let n = self.latencies.len();
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        let at = |permille: usize| format!("{:.0} us", us(self.latencies[(n * permille / 1000).min(n - 1)]));
        let per_second = (n as f64 / self.elapsed.as_secs_f64()).round();
        let (name, in_flight, cpu) = (self.name, self.in_flight, us(self.cpu) / n as f64);
        let quantiles = [500, 900, 990, 999, 1000].map(at).join(" | ");
        println!("{n} | {name} | {in_flight} | {per_second} | {quantiles} | REGISTRAR | {cpu:.1} us |");
    }
}

fn client(registrar: u16) {
    let seconds: f64 = env::var("SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3.0);
    // A tenth of a second at least: that is what a test of the benchmark measures.
    let span = Duration::from_secs_f64(seconds.max(0.1));
    let runtime = Runtime::builder().udp_port(registrar).private_udp().bind(LOOPBACK).build().unwrap();
    let stack = Stack::new(runtime.stack_config(), Box::new(OsEntropy::new().unwrap()));
    let mut asap = AsapConfig::rsplib();
    asap.registrars = vec![vec![SocketAddr::new(LOOPBACK, ASAP_PORT)]];
    let driven = runtime.drive(Host::default());
    let handle = driven.handle();
    let port = handle.claim_port(0).unwrap();
    let node = PoolNode::new(stack, port, asap, Box::new(OsEntropy::new().unwrap())).unwrap();
    handle.with(|host, now| host.start(now, node)).unwrap();

    let pool = PoolHandle::new("sockets").unwrap();
    register(&handle, &pool, POOL_SIZE, 1, 1);
    for in_flight in IN_FLIGHT {
        resolutions(&handle, &pool, in_flight, WARM_UP);
        println!("begin");
        resolutions(&handle, &pool, in_flight, span).print();
    }
    let n = if seconds == 0.0 { REGISTRATIONS / 100 } else { REGISTRATIONS };
    let crowd = PoolHandle::new("registrations").unwrap();
    for in_flight in IN_FLIGHT {
        println!("begin");
        let (row, keys) = register(&handle, &crowd, n, in_flight, 1_000);
        row.print();
        println!("begin");
        deregister(&handle, keys, in_flight).print();
    }
    handle.with(|host, now| host.node().unwrap().stop(now)).unwrap();
}

/// Resolves one element, again and again.
fn resolutions(handle: &Handle<Host>, pool: &PoolHandle, in_flight: usize, span: Duration) -> Row {
    let mut waiting: VecDeque<(RequestId, Time)> = VecDeque::new();
    let mut latencies = Vec::new();
    let (start, cpu) = (handle.clock().now(), cpu_time());
    let until = start + span;
    handle
        .wait(Some(span + PATIENCE), |host, now| {
            let node = host.node()?;
            while let Some((request, asked)) = waiting.front().copied() {
                let Some(answer) = node.take_answer(request) else { break };
                assert_eq!(answer.expect("an element").len(), 1);
                latencies.push(now.saturating_since(asked));
                waiting.pop_front();
            }
            while now < until && waiting.len() < in_flight {
                waiting.push_back((node.resolve(now, pool, 1, Duration::ZERO), now));
            }
            waiting.is_empty().then_some(())
        })
        .unwrap()
        .expect("answers in time");
    Row { name: "resolution", in_flight, latencies, elapsed: handle.clock().now() - start, cpu: cpu_time() - cpu }
}

/// Registers `n` elements, each once.
fn register(handle: &Handle<Host>, pool: &PoolHandle, n: u32, in_flight: usize, first_id: u32) -> (Row, Vec<ElementKey>) {
    let mut asked: VecDeque<(ElementKey, Time)> = VecDeque::new();
    let mut keys = Vec::new();
    let mut latencies = Vec::new();
    let mut next = first_id;
    let (start, cpu) = (handle.clock().now(), cpu_time());
    handle
        .wait(Some(PATIENCE * 4), |host, now| {
            let node = host.node()?;
            while let Some(event) = node.poll_event() {
                match event {
                    AsapEvent::Registered { key } => {
                        let (expected, since) = asked.pop_front().expect("a registration");
                        assert_eq!(key, expected, "answers come in order");
                        latencies.push(now.saturating_since(since));
                        keys.push(key);
                    }
                    AsapEvent::RegistrationFailed { error, .. } => panic!("{error}"),
                    _ => {}
                }
            }
            while next < first_id + n && asked.len() < in_flight {
                let mut spec = ElementSpec::new(pool.clone(), 7_000);
                spec.key.id = ElementId(next);
                spec.interval = Duration::from_secs(3_600);
                spec.life = Duration::from_secs(36_000);
                next += 1;
                asked.push_back((node.register(now, spec).unwrap(), now));
            }
            asked.is_empty().then_some(())
        })
        .unwrap()
        .expect("answers in time");
    let elapsed = handle.clock().now() - start;
    (Row { name: "registration", in_flight, latencies, elapsed, cpu: cpu_time() - cpu }, keys)
}

/// Takes the elements out of the pool again.
fn deregister(handle: &Handle<Host>, keys: Vec<ElementKey>, in_flight: usize) -> Row {
    let mut asked: VecDeque<(ElementKey, Time)> = VecDeque::new();
    let mut left = VecDeque::from(keys);
    let mut latencies = Vec::new();
    let (start, cpu) = (handle.clock().now(), cpu_time());
    handle
        .wait(Some(PATIENCE * 4), |host, now| {
            let node = host.node()?;
            while let Some(event) = node.poll_event() {
                if let AsapEvent::Deregistered { key } = event {
                    let (expected, since) = asked.pop_front().expect("a deregistration");
                    assert_eq!(key, expected, "answers come in order");
                    latencies.push(now.saturating_since(since));
                }
            }
            while asked.len() < in_flight
                && let Some(key) = left.pop_front()
            {
                node.deregister(now, &key);
                asked.push_back((key, now));
            }
            asked.is_empty().then_some(())
        })
        .unwrap()
        .expect("answers in time");
    Row { name: "deregistration", in_flight, latencies, elapsed: handle.clock().now() - start, cpu: cpu_time() - cpu }
}
