//! What the demo is going to do: ports and names that no other demo has, and an image of the right size.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "edge: looks for free ports and measures this machine's speed")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sctp_user::socket::{Handle, Runtime, RuntimeError};
use sctp_user::{Meta, NetError, Node, Time, Train, Transmit};
use tempfile::TempDir;
use tools::service::fractal::compute::Walk;
use tools::service::fractal::wire::{Algorithm, Complex, Parameter};

/// How long one element would compute the whole image, on this machine when it is idle.
const COMPUTING_TIME: Duration = Duration::from_secs(8);
/// Bounds of the number of iterations that this leads to.
const ITERATIONS: (u32, u32) = (1_000, 200_000);
/// How many UDP ports from the usual one on are tried.
const PORTS_TO_TRY: u16 = 50;
const ANNOUNCES: Ipv4Addr = Ipv4Addr::new(239, 0, 0, 50);
const PRESENCES: Ipv4Addr = Ipv4Addr::new(239, 0, 0, 51);
const WIDTH: u32 = 840;
const HEIGHT: u32 = 700;
/// A valley of spirals, with the sign of our formula; each row costs about the same.
const CORNERS: (Complex, Complex) = (Complex { re: 0.740, im: 0.095 }, Complex { re: 0.764, im: 0.115 });

/// A UDP port that no other user can take as long as this exists: the demo's first child must find it as it was.
pub(super) struct HeldPort {
    pub(super) number: u16,
    _runtime: Handle<Idle>,
}

/// A host that does nothing.
struct Idle;

impl Node for Idle {
    fn handle_batch(&mut self, _now: Time, _meta: &Meta, _train: Train) {}

    fn handle_net_error(&mut self, _now: Time, _err: &NetError) {}

    fn handle_timeout(&mut self, _now: Time) {}

    fn poll_transmit(&mut self, _now: Time, _max_segments: usize, _buf: &mut Vec<u8>) -> Option<Transmit> {
        None
    }

    fn poll_timeout(&self) -> Option<Time> {
        None
    }
}

/// Ports, names and the image of one run.
pub(super) struct Plan {
    /// UDP port of all stacks.
    pub(super) udp_port: u16,
    /// Where the registrars announce themselves to elements and users.
    pub(super) announce: SocketAddr,
    /// Where they announce themselves to each other.
    pub(super) presence: SocketAddr,
    /// The pool.
    pub(super) pool: String,
    /// The image.
    pub(super) parameter: Parameter,
    /// Where children leave their files; gone with the plan.
    dir: TempDir,
}

impl Plan {
    /// Makes a plan for this UDP port; `out` is where the pictures go.
    pub(super) fn new(udp_port: u16, out: &Path) -> Result<Self> {
        let announce = SocketAddr::from((ANNOUNCES, free_udp_port()?));
        let presence = SocketAddr::from((PRESENCES, free_udp_port()?));
        Ok(Self {
            udp_port,
            announce,
            presence,
            pool: format!("demo-{}-{}", std::process::id(), announce.port()),
            parameter: calibrated(),
            dir: temporary_directory(out).context("cannot make a temporary directory")?,
        })
    }

    /// A file of the demo's children.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// In the usual place for such, or where the pictures go: that may be the only place in a container that can be written to.
fn temporary_directory(out: &Path) -> io::Result<TempDir> {
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("rsp-demo-");
        builder
    };
    builder().tempdir().or_else(|_| builder().tempdir_in(out))
}

/// Whether files can be created in `dir`, found out before all the work is done.
pub(super) fn check_writable(dir: &Path) -> Result<()> {
    tempfile::tempfile_in(dir)
        .map(drop)
        .with_context(|| format!("cannot write into {}: choose another place with --out DIR", dir.display()))
}

/// The first port from `wanted` on that is free, or already shared by programs of this user.
pub(super) fn hold_port(wanted: u16) -> Result<HeldPort> {
    for port in wanted..=wanted.saturating_add(PORTS_TO_TRY) {
        match Runtime::builder().udp_port(port).build() {
            Ok(runtime) => return Ok(HeldPort { number: port, _runtime: runtime.spawn(Idle).context("cannot start a thread")? }),
            Err(RuntimeError::PortInUse { .. }) => {}
            Err(err) => return Err(err.into()),
        }
    }
    bail!("no free UDP port from {wanted} to {}: choose another one with --udp-port N", wanted.saturating_add(PORTS_TO_TRY))
}

/// A port that nobody uses at this moment: demos that run at once do not hear each other's announces.
fn free_udp_port() -> Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot bind a UDP port on the loopback interface")?;
    Ok(socket.local_addr()?.port())
}

/// The image with as many iterations as make this machine work for [`COMPUTING_TIME`].
fn calibrated() -> Parameter {
    let (c1, c2) = CORNERS;
    let image =
        |width, height, max_iterations| Parameter { width, height, max_iterations, algorithm: Algorithm::Mandelbrot, c1, c2, n: 2.0 };
    let sample = image(WIDTH / 10, HEIGHT / 10, 2_000);
    let begin = Instant::now();
    let values: Vec<u32> = Walk::new(sample, 0, 0, false).collect();
    let took = begin.elapsed().as_secs_f64().max(1e-6);
    let inside = values.iter().filter(|&&v| v >= sample.max_iterations).count().max(1);
    let spent: f64 = values.iter().map(|&v| f64::from(v)).sum();
    // A pixel of the sample stands for a hundred; nearly all the time goes into those that never escape.
    let affordable = COMPUTING_TIME.as_secs_f64() * spent / took / 100.0 / inside as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped right here")]
    let iterations = affordable.clamp(ITERATIONS.0.into(), ITERATIONS.1.into()) as u32;
    image(WIDTH, HEIGHT, iterations)
}
