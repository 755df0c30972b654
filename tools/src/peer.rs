//! Where a peer is, as a command line says it.

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use sctp_user::PeerAddr;

/// A peer: all its addresses that we know, with its SCTP port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    addrs: Vec<SocketAddr>,
}

impl Peer {
    /// Reads `ADDR:PORT`, `ADDR,ADDR,...:PORT` for a peer with several addresses (IPv6 ones in brackets), or `NAME:PORT`. Of the
    /// addresses of a name the first is taken, for a name may stand for several hosts.
    ///
    /// # Errors
    /// Anything else, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "give ADDR:PORT, ADDR,ADDR,...:PORT (IPv6 in brackets) or NAME:PORT".to_owned();
        let (hosts, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|&port: &u16| port != 0).ok_or_else(wrong)?;
        let addrs: Option<Vec<_>> = hosts.split(',').map(|host| address(host, port)).collect();
        if let Some(addrs) = addrs {
            return Ok(Self { addrs });
        }
        if hosts.contains([',', '[', ':']) || !hosts.contains(char::is_alphabetic) {
            return Err(wrong());
        }
        match (hosts, port).to_socket_addrs().map(|mut addrs| addrs.next()) {
            Ok(Some(addr)) => Ok(Self { addrs: vec![addr] }),
            Ok(None) => Err(format!("{hosts} has no address")),
            Err(err) => Err(format!("{hosts} is not known: {err}")),
        }
    }

    /// What sockets connect to.
    #[must_use]
    pub fn addresses(&self) -> Vec<PeerAddr> {
        self.addrs.iter().copied().map(PeerAddr::from).collect()
    }
}

fn address(text: &str, port: u16) -> Option<SocketAddr> {
    if text.starts_with('[') {
        // With the port behind it as the standard library reads it, so that scopes like %eth0 work as anywhere else.
        return format!("{text}:{port}").parse().ok();
    }
    let ip: IpAddr = text.parse().ok()?;
    ip.is_ipv4().then(|| SocketAddr::new(ip, port))
}

impl Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_addresses_or_a_name() {
        let addrs = |all: &[&str]| Ok(Peer { addrs: all.iter().map(|a| a.parse().unwrap()).collect() });
        assert_eq!(Peer::parse("127.0.0.1:7"), addrs(&["127.0.0.1:7"]));
        assert_eq!(Peer::parse("10.0.0.1,10.1.0.1:7"), addrs(&["10.0.0.1:7", "10.1.0.1:7"]));
        assert_eq!(Peer::parse("[::1]:7"), addrs(&["[::1]:7"]));
        assert_eq!(Peer::parse("[fd00::1],10.0.0.1,[fe80::1%3]:65535"), addrs(&["[fd00::1]:65535", "10.0.0.1:65535", "[fe80::1%3]:65535"]));
        let local = Peer::parse("localhost:7").unwrap();
        assert!(local.addrs.len() == 1 && local.addrs[0].ip().is_loopback(), "{local}");
        for bad in
            ["", ":7", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:70000", "10.0.0.1:x", "::1:7", "10.0.0.1,host:7", "host,host:7", "10.0.0:7"]
        {
            assert!(Peer::parse(bad).is_err(), "{bad}");
        }
    }
}
