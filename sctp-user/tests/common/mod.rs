//! What the socket tests share: runtimes on private UDP ports, and addresses of one for the other.
#![allow(dead_code, unreachable_pub, reason = "every test binary uses a part of it")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use sctp_user::socket::{Handle, Runtime, SocketNode};
use sctp_user::{Channel, PeerAddr};

pub const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Long enough for a machine that is busy with other things; no test waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A runtime of its own, on a free UDP port.
pub fn host() -> Handle<SocketNode> {
    let runtime = Runtime::builder().private_udp().build().unwrap();
    let node = SocketNode::new(runtime.stack_config()).unwrap();
    runtime.spawn(node).unwrap()
}

/// How `from` reaches SCTP port `port` of `to`.
pub fn address(from: &Handle<SocketNode>, to: &Handle<SocketNode>, ip: IpAddr, port: u16) -> PeerAddr {
    let channel = Channel::Udp { local: from.udp_port().unwrap(), remote: to.udp_port().unwrap() };
    PeerAddr { addr: SocketAddr::new(ip, port), channel: Some(channel) }
}

pub fn has_ipv6() -> bool {
    let there = sctp_user::transport::addrs::host_addresses().contains(&V6);
    if !there {
        assert_ne!(std::env::var("REQUIRE").as_deref(), Ok("all"), "no IPv6 loopback");
        println!("SKIP: no IPv6 loopback");
    }
    there
}
