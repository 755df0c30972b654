//! The Linux kernel's SCTP, in the virtual machine.

use std::net::IpAddr;

use sctp_user::socket::{Handle, RuntimeBuilder, SocketNode};
use sctp_user::{Channel, HmacId, PathState};

use super::capture::Capture;
use super::scenario::{Opener, Site};
use super::transport::{Transport, UDP};
use super::{lksctp, ours};
use crate::scene::Scene;

/// Host `a` in the guest, and our runtime beside it.
pub(crate) struct Lab {
    // Dropped before the scene, which lets the next test in.
    handle: Handle<SocketNode>,
    capture: Capture,
    transport: Transport,
    pub(crate) scene: Scene,
}

const OURS_V4: [&str; 2] = ["10.77.1.1", "10.77.2.1"];
const THEIRS_V4: [&str; 2] = ["10.77.1.31", "10.77.2.31"];
const OURS_V6: [&str; 2] = ["fd77:1::1", "fd77:2::1"];
const THEIRS_V6: [&str; 2] = ["fd77:1::31", "fd77:2::31"];

impl Lab {
    fn new(transport: Transport) -> Option<Self> {
        Self::with_runtime(transport, transport.runtime(), false)
    }

    /// With the extensions that are off there unless asked for.
    fn extended(transport: Transport) -> Option<Self> {
        Self::with_runtime(transport, transport.runtime(), true)
    }

    /// `transport` is the kernel's.
    fn with_runtime(transport: Transport, ours: RuntimeBuilder, extended: bool) -> Option<Self> {
        let scene = Scene::two_networks()?;
        let (port, on) = (if transport == Transport::Udp { UDP } else { 0 }, u8::from(extended));
        // What a socket is told of addresses and interleaving does not reach the one that it accepts: hence for the whole host.
        scene.sh(&format!(
            "ip link set eth1 up; ip netns exec a sh -c 'cd /proc/sys/net/sctp; echo {port} > udp_port; echo {port} > encap_port;
            for what in auth addip reconf intl; do echo {on} > ${{what}}_enable; done'"
        ));
        // The raw sockets are open before anything comes: else this machine's kernel would answer it.
        let capture = Capture::new();
        let handle = ours::start(scene.namespace(), ours.pcap(capture.file()));
        Some(Self { handle, capture, transport, scene })
    }

    /// The two ends, at these of their addresses.
    fn with(&self, ours: &[&str], theirs: &[&str], channel: Option<Channel>, test: impl FnOnce(&Site<'_>)) {
        let addrs = |texts: &[&str]| texts.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect();
        let start = |arguments: &str| self.scene.interactive(&format!("exec ip netns exec a peer {arguments}"));
        let options = self.transport.options();
        let (ours, theirs, capture) = (addrs(ours), addrs(theirs), self.capture.file());
        test(&Site { handle: &self.handle, ours, theirs, channel, options, start: &start, capture, linux: true });
    }

    /// The switch between the first network of the host and ours.
    fn cut(&self, cut: bool) {
        self.scene.sh(&format!("ip link set eth1 {}", if cut { "down" } else { "up" }));
    }
}

fn on_one_path(transport: Transport, ours: [&str; 2], theirs: [&str; 2]) {
    let Some(lab) = Lab::new(transport) else { return };
    lab.with(&ours[..1], &theirs[..1], Some(transport.channel()), |site| {
        site.transfers();
        site.aborts();
        lksctp::programs(&lab, site);
    });
}

fn on_two_paths_of_which_one_is_cut(transport: Transport, ours: [&str; 2], theirs: [&str; 2]) {
    let Some(lab) = Lab::new(transport) else { return };
    lab.with(&ours, &theirs, Some(transport.channel()), |site| {
        for opener in [Opener::We, Opener::They] {
            site.path_cut(opener, &|cut| lab.cut(cut));
        }
    });
}

#[test]
fn kernel_in_udp_over_ipv4() {
    on_one_path(Transport::Udp, OURS_V4, THEIRS_V4);
}

#[test]
fn kernel_in_udp_over_ipv6() {
    on_one_path(Transport::Udp, OURS_V6, THEIRS_V6);
}

#[test]
fn kernel_in_udp_on_two_paths_of_which_one_is_cut() {
    on_two_paths_of_which_one_is_cut(Transport::Udp, OURS_V4, THEIRS_V4);
}

#[test]
fn kernel_over_ipv4() {
    on_one_path(Transport::Raw, OURS_V4, THEIRS_V4);
}

#[test]
fn kernel_over_ipv6() {
    on_one_path(Transport::Raw, OURS_V6, THEIRS_V6);
}

#[test]
fn kernel_on_two_paths_of_which_one_is_cut() {
    // One of either family.
    on_two_paths_of_which_one_is_cut(Transport::Raw, [OURS_V4[0], OURS_V6[1]], [THEIRS_V4[0], THEIRS_V6[1]]);
}

/// A kernel without UDP encapsulation, of which we know the address only: we try UDP first, and go on over IP.
#[test]
fn kernel_known_only_by_its_address() {
    let Some(lab) = Lab::with_runtime(Transport::Raw, Transport::Udp.runtime().raw(), false) else { return };
    lab.with(&OURS_V4[..1], &THEIRS_V4[..1], None, |site| {
        let talk = site.opened();
        let id = talk.stream.id();
        let paths = lab.handle.with(|node, _| node.stack_mut().assoc(id).unwrap().paths()).unwrap();
        assert!(paths.iter().all(|path| path.channel == Channel::Raw && path.state == PathState::Active), "{paths:#?}");
        talk.close(Opener::We);
    });
}

/// A scene of extensions, at two addresses.
fn extended(transport: Transport, ours: [&str; 2], theirs: [&str; 2], scene: impl FnOnce(&Site<'_>, &dyn Fn(bool))) {
    let Some(lab) = Lab::extended(transport) else { return };
    lab.with(&ours, &theirs, Some(transport.channel()), |site| scene(site, &|cut| lab.cut(cut)));
}

fn extended_in_udp(scene: impl FnOnce(&Site<'_>, &dyn Fn(bool))) {
    extended(Transport::Udp, OURS_V4, THEIRS_V4, scene);
}

/// One of each family.
fn extended_over_ip(scene: impl FnOnce(&Site<'_>, &dyn Fn(bool))) {
    extended(Transport::Raw, [OURS_V4[0], OURS_V6[1]], [THEIRS_V4[0], THEIRS_V6[1]], scene);
}

#[test]
fn kernel_authentication_in_udp() {
    extended_in_udp(|site, _| {
        site.authentication(Opener::We, &[HmacId::Sha256, HmacId::Sha1]);
        site.authentication(Opener::They, &[HmacId::Sha1]);
        site.wrong_key(Opener::We);
    });
}

#[test]
fn kernel_authentication_over_ip() {
    extended_over_ip(|site, _| {
        site.authentication(Opener::They, &[HmacId::Sha256, HmacId::Sha1]);
        site.authentication(Opener::We, &[HmacId::Sha1]);
        site.wrong_key(Opener::They);
    });
}

#[test]
fn kernel_partial_reliability_in_udp() {
    extended_in_udp(|site, cut| {
        site.partial_reliability(Opener::We, false, cut);
        site.partial_reliability(Opener::They, false, cut);
    });
}

#[test]
fn kernel_partial_reliability_over_ip() {
    extended_over_ip(|site, cut| {
        site.partial_reliability(Opener::They, false, cut);
        site.partial_reliability(Opener::We, false, cut);
    });
}

#[test]
fn kernel_addresses_in_udp() {
    extended_in_udp(|site, cut| site.addresses(Opener::We, cut));
}

#[test]
fn kernel_addresses_over_ip() {
    // Linux looks an IPv4 address that comes in an IPv6 packet up wrongly, and refuses it: so of one family.
    extended(Transport::Raw, OURS_V6, THEIRS_V6, |site, cut| site.addresses(Opener::They, cut));
}

#[test]
fn kernel_interleaving_in_udp() {
    extended_in_udp(|site, _| site.interleaving(Opener::We));
}

#[test]
fn kernel_interleaving_over_ip() {
    extended_over_ip(|site, _| site.interleaving(Opener::They));
}

#[test]
fn kernel_streams_in_udp() {
    extended_in_udp(|site, _| site.streams(Opener::We));
}

#[test]
fn kernel_streams_over_ip() {
    extended_over_ip(|site, _| site.streams(Opener::They));
}
