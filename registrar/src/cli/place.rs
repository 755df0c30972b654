//! Where a registrar is, as a command line says it.

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};

use super::ASAP_PORT;

/// Where a registrar is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// At these addresses, all of one registrar, with one port.
    Addrs(Vec<SocketAddr>),
    /// On the host, or the hosts, of this name.
    Name(String, u16),
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addrs(addrs) => f.write_str(&addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// Reads where a registrar is: IP addresses separated by commas, or a host's name, with or without a port. The port of the first
/// address is that of all.
///
/// # Errors
/// Anything else.
pub fn registrar_place(text: &str) -> Result<Place, String> {
    let wrong = || "give ADDR[:PORT], ADDR[:PORT],ADDR,... or NAME[:PORT]".to_owned();
    let mut texts = text.split(',');
    let first = texts.next().unwrap_or_default();
    let Some(first) = address(first, ASAP_PORT) else {
        return if text.contains(',') { Err(wrong()) } else { name(text).ok_or_else(wrong) };
    };
    let others = texts.map(|t| address(t, first.port()).map(|a| SocketAddr::new(a.ip(), first.port())).ok_or_else(wrong));
    core::iter::once(Ok(first)).chain(others).collect::<Result<_, _>>().map(Place::Addrs)
}

fn address(text: &str, default_port: u16) -> Option<SocketAddr> {
    let addr = text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, default_port)));
    addr.filter(|a| a.port() != 0)
}

fn name(text: &str) -> Option<Place> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, port.parse().ok().filter(|&p| p != 0)?),
        None => (text, ASAP_PORT),
    };
    let usual = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    // What has no letter was meant as an address.
    (name.chars().all(usual) && name.chars().any(char::is_alphabetic)).then(|| Place::Name(name.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrar_has_addresses_or_a_name() {
        let addrs = |all: &[&str]| Ok(Place::Addrs(all.iter().map(|a| a.parse().unwrap()).collect()));
        assert_eq!(registrar_place("127.0.0.1"), addrs(&["127.0.0.1:3863"]));
        assert_eq!(registrar_place("[::1]:77"), addrs(&["[::1]:77"]));
        assert_eq!(registrar_place("fe80::1"), addrs(&["[fe80::1]:3863"]));
        assert_eq!(registrar_place("10.0.0.1:77,10.1.0.1"), addrs(&["10.0.0.1:77", "10.1.0.1:77"]));
        assert_eq!(registrar_place("r1.example.org"), Ok(Place::Name("r1.example.org".into(), 3863)));
        assert_eq!(registrar_place("localhost:77"), Ok(Place::Name("localhost".into(), 77)));
        for bad in
            ["127.0.0.1:x", "127.0.0", "10.0.0.1,", "10.0.0.1,host", "host,host", "host:0", "10.0.0.1:0", "", ":1", "a b", "host:99999"]
        {
            assert!(registrar_place(bad).is_err(), "{bad}");
        }
    }
}
