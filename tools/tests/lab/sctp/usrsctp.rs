//! libusrsctp, over UDP encapsulation and directly over IP, in a network namespace of its own.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sctp_user::HmacId;
use sctp_user::socket::{Handle, SocketNode};

use super::capture::Capture;
use super::ours;
use super::scenario::{Opener, Site};
use super::transport::Transport;
use crate::common::{Background, command, has, is_root, run, skip, text};
use crate::scene::LIMIT;

/// The peer, compiled once.
fn program() -> Result<&'static Path, &'static str> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = PROGRAM.get_or_init(|| {
        if !is_root() {
            return Err("network namespaces need root".into());
        }
        if !["ip", "cc"].into_iter().all(has) {
            return Err("libusrsctp as peer needs iproute2 and a C compiler".into());
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/src/peer.c");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("usrsctp-peer");
        // Another run of the tests may be using it.
        let fresh = program.with_extension(std::process::id().to_string());
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-Wall", "-DUSRSCTP", "-o"]).arg(&fresh).arg(&source).args(["-lusrsctp", "-lpthread"]);
        let out = run(quiet(cc), LIMIT);
        if !out.status.success() {
            return Err(format!("libusrsctp as peer needs Debian's libusrsctp-dev: {}", text(&out)));
        }
        std::fs::rename(&fresh, &program).unwrap();
        Ok(program)
    });
    built.as_deref().map_err(String::as_str)
}

fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Two hosts as network namespaces, with two wires between them, each by a switch in a third one.
struct Wires {
    name: String,
    program: &'static Path,
    handle: Handle<SocketNode>,
    capture: Capture,
    transport: Transport,
    _bystander: Option<Handle<SocketNode>>,
}

impl Wires {
    fn new(transport: Transport) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let program = program().map_err(skip).ok()?;
        let name = format!("usr-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // Removed even if what follows fails.
        let bed = Namespaces(name.clone());
        for host in ["a", "b", "m"] {
            ip(&format!("netns add {name}-{host}"));
            ip(&format!("-n {name}-{host} link set lo up"));
        }
        for wire in [1, 2] {
            ip(&format!("-n {name}-m link add br{wire} type bridge"));
            ip(&format!("-n {name}-m link set br{wire} up"));
            for (host, id) in [("a", 1), ("b", 2)] {
                ip(&format!("-n {name}-m link add {host}{wire} type veth peer name e{wire} netns {name}-{host}"));
                ip(&format!("-n {name}-m link set {host}{wire} master br{wire} up"));
                ip(&format!("-n {name}-{host} addr add 10.78.{wire}.{id}/24 dev e{wire}"));
                ip(&format!("-n {name}-{host} addr add fd78:{wire}::{id}/64 dev e{wire} nodad"));
                ip(&format!("-n {name}-{host} link set e{wire} up"));
            }
        }
        let capture = Capture::new();
        let handle = ours::start(&format!("{name}-a"), transport.runtime().pcap(capture.file()));
        // Its raw socket is small, and newer kernels report packets for which it has no room as of a protocol that nobody speaks:
        // whoever sent them would have to give up (RFC 9260 section 10, ICMP8). The raw sockets of another stack prevent that, which
        // says nothing about ports that are not its own.
        let raw = transport == Transport::Raw;
        let bystander = raw.then(|| ours::start(&format!("{name}-b"), transport.runtime()));
        std::mem::forget(bed);
        Some(Self { name, program, handle, capture, transport, _bystander: bystander })
    }

    /// The hosts, at these addresses.
    fn with(&self, ours: &[&str], theirs: &[&str], test: impl FnOnce(&Site<'_>)) {
        let addrs = |texts: &[&str]| texts.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect();
        let host = format!("{}-b", self.name);
        let words = ["ip", "netns", "exec", &host, self.program.to_str().unwrap()];
        let start = |arguments: &str| {
            let words: Vec<_> = words.iter().copied().chain(arguments.split(' ')).collect();
            Background::spawn(command(Path::new("/"), &words))
        };
        let (channel, options) = (Some(self.transport.channel()), self.transport.options());
        let (ours, theirs, capture) = (addrs(ours), addrs(theirs), self.capture.file());
        test(&Site { handle: &self.handle, ours, theirs, channel, options, start: &start, capture, linux: false });
    }

    fn cut(&self, cut: bool) {
        ip(&format!("-n {}-m link set br1 {}", self.name, if cut { "down" } else { "up" }));
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        drop(Namespaces(self.name.clone()));
    }
}

/// Removes the hosts.
struct Namespaces(String);

impl Drop for Namespaces {
    fn drop(&mut self) {
        for host in ["a", "b", "m"] {
            let mut remove = Command::new("ip");
            remove.args(["netns", "del", &format!("{}-{host}", self.0)]);
            drop(quiet(remove).status());
        }
    }
}

fn ip(words: &str) {
    let mut ip = Command::new("ip");
    ip.args(words.split(' '));
    let out = run(quiet(ip), LIMIT);
    assert!(out.status.success(), "ip {words}: {}", text(&out));
}

fn on_one_path(transport: Transport, ours: &str, theirs: &str) {
    let Some(wires) = Wires::new(transport) else { return };
    wires.with(&[ours], &[theirs], |site| {
        site.transfers();
        site.aborts();
    });
}

fn on_two_paths_of_which_one_is_cut(transport: Transport) {
    let Some(wires) = Wires::new(transport) else { return };
    wires.with(&["10.78.1.1", "10.78.2.1"], &["10.78.1.2", "10.78.2.2"], |site| {
        for opener in [Opener::We, Opener::They] {
            site.path_cut(opener, &|cut| wires.cut(cut));
        }
    });
}

#[test]
fn libusrsctp_in_udp_over_ipv4() {
    on_one_path(Transport::Udp, "10.78.1.1", "10.78.1.2");
}

#[test]
fn libusrsctp_in_udp_over_ipv6() {
    on_one_path(Transport::Udp, "fd78:1::1", "fd78:1::2");
}

#[test]
fn libusrsctp_in_udp_on_two_paths_of_which_one_is_cut() {
    on_two_paths_of_which_one_is_cut(Transport::Udp);
}

#[test]
fn libusrsctp_over_ipv4() {
    on_one_path(Transport::Raw, "10.78.1.1", "10.78.1.2");
}

#[test]
fn libusrsctp_over_ipv6() {
    on_one_path(Transport::Raw, "fd78:1::1", "fd78:1::2");
}

#[test]
fn libusrsctp_on_two_paths_of_which_one_is_cut() {
    on_two_paths_of_which_one_is_cut(Transport::Raw);
}

/// A scene of extensions, over UDP on two networks.
fn extended(scene: impl FnOnce(&Site<'_>, &dyn Fn(bool))) {
    let Some(wires) = Wires::new(Transport::Udp) else { return };
    wires.with(&["10.78.1.1", "10.78.2.1"], &["10.78.1.2", "10.78.2.2"], |site| scene(site, &|cut| wires.cut(cut)));
}

#[test]
fn libusrsctp_authentication() {
    extended(|site, _| {
        [Opener::We, Opener::They].into_iter().for_each(|opener| {
            // It has no SHA-256, and says so.
            site.authentication(opener, &[HmacId::Sha1]);
            site.wrong_key(opener);
        });
    });
}

#[test]
fn libusrsctp_partial_reliability() {
    extended(|site, cut| {
        for (opener, interleaving) in [(Opener::We, false), (Opener::They, false)] {
            site.partial_reliability(opener, interleaving, cut);
        }
    });
}

#[test]
fn libusrsctp_addresses() {
    extended(|site, cut| [Opener::We, Opener::They].into_iter().for_each(|opener| site.addresses(opener, cut)));
}

#[test]
fn libusrsctp_interleaving() {
    extended(|site, _| [Opener::We, Opener::They].into_iter().for_each(|opener| site.interleaving(opener)));
}

#[test]
fn libusrsctp_streams() {
    extended(|site, _| [Opener::We, Opener::They].into_iter().for_each(|opener| site.streams(opener)));
}
