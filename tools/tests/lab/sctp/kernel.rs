//! The Linux kernel's SCTP, in the virtual machine.

use std::net::IpAddr;

use sctp_user::Channel;
use sctp_user::socket::{Handle, Runtime, SocketNode};

use super::scenario::{Opener, Site};
use super::{lksctp, ours};
use crate::scene::Scene;

/// The port of UDP encapsulation, at either end.
const UDP: u16 = 9899;

/// Host `a` in the guest, and our runtime beside it.
pub(crate) struct Lab {
    // Dropped before the scene, which lets the next test in.
    handle: Handle<SocketNode>,
    pub(crate) scene: Scene,
}

impl Lab {
    fn new() -> Option<Self> {
        let scene = Scene::two_networks()?;
        scene.sh("ip link set eth1 up");
        let handle = ours::start(scene.namespace(), Runtime::builder().udp_port(UDP).share(false));
        Some(Self { handle, scene })
    }

    /// The two ends, at these of their addresses.
    fn with(&self, ours: &[&str], theirs: &[&str], test: impl FnOnce(&Site<'_>)) {
        let addrs = |texts: &[&str]| texts.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect();
        let start = |arguments: &str| self.scene.interactive(&format!("exec ip netns exec a peer {arguments}"));
        let options = ["udp=9899", "rto=500:200:2000", "retrans=20:5", "hb=1000"].map(str::to_owned).to_vec();
        let channel = Channel::Udp { local: UDP, remote: UDP };
        test(&Site { handle: &self.handle, ours: addrs(ours), theirs: addrs(theirs), channel, options, start: &start });
    }

    /// The switch between the first network of the host and ours.
    fn cut(&self, cut: bool) {
        self.scene.sh(&format!("ip link set eth1 {}", if cut { "down" } else { "up" }));
    }
}

#[test]
fn kernel_in_udp_over_ipv4() {
    let Some(lab) = Lab::new() else { return };
    lab.with(&["10.77.1.1"], &["10.77.1.31"], |site| {
        site.transfers();
        site.aborts();
        lksctp::programs(&lab, site);
    });
}

#[test]
fn kernel_in_udp_over_ipv6() {
    let Some(lab) = Lab::new() else { return };
    lab.with(&["fd77:1::1"], &["fd77:1::31"], |site| {
        site.transfers();
        site.aborts();
        lksctp::programs(&lab, site);
    });
}

#[test]
fn kernel_in_udp_on_two_paths_of_which_one_is_cut() {
    let Some(lab) = Lab::new() else { return };
    lab.with(&["10.77.1.1", "10.77.2.1"], &["10.77.1.31", "10.77.2.31"], |site| {
        for opener in [Opener::We, Opener::They] {
            site.path_cut(opener, &|cut| lab.cut(cut));
        }
    });
}
