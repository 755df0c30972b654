//! Addresses as the Linux kernel has them in memory: `sockaddr_in` and `sockaddr_in6`.

use std::net::{SocketAddr, SocketAddrV6};

use nix::libc;

use crate::meta::unmapped;

/// Room for the longer one.
pub(crate) const ROOM: usize = size_of::<libc::sockaddr_in6>();

/// Reads one as [`unmapped`]: family, port, and for IPv6 the flow label before the address. Whether it is of one of these families.
#[inline]
pub(crate) fn read(name: &[u8; ROOM], into: &mut SocketAddr) -> bool {
    let &[f, g, p, q, ref rest @ ..] = name;
    let &[a, b, c, d, ..] = rest;
    let port = u16::from_be_bytes([p, q]);
    match i32::from(u16::from_ne_bytes([f, g])) {
        libc::AF_INET => *into = ([a, b, c, d], port).into(),
        libc::AF_INET6 => match read_v6(rest, port) {
            Some(addr) => *into = addr,
            None => return false,
        },
        _ => return false,
    }
    true
}

#[inline(never)]
fn read_v6(rest: &[u8; ROOM - 4], port: u16) -> Option<SocketAddr> {
    let (_, rest) = rest.split_first_chunk::<4>()?;
    let (address, rest) = rest.split_first_chunk::<16>()?;
    let scope = u32::from_ne_bytes(*rest.first_chunk()?);
    Some(unmapped(SocketAddrV6::new((*address).into(), port, 0, scope).into()))
}

/// Writes one into zeros; its length.
#[inline]
pub(crate) fn write(addr: SocketAddr, name: &mut [u8; ROOM]) -> libc::socklen_t {
    let [f, g, p, q, rest @ ..] = name;
    [*p, *q] = addr.port().to_be_bytes();
    let family = match addr {
        SocketAddr::V4(v4) => {
            let [a, b, c, d, ..] = rest;
            [*a, *b, *c, *d] = v4.ip().octets();
            libc::AF_INET
        }
        SocketAddr::V6(v6) => {
            write_v6(rest, v6);
            libc::AF_INET6
        }
    };
    [*f, *g] = u16::try_from(family).unwrap_or(0).to_ne_bytes();
    let length = if addr.is_ipv4() { size_of::<libc::sockaddr_in>() } else { ROOM };
    libc::socklen_t::try_from(length).unwrap_or(0)
}

#[inline(never)]
fn write_v6(rest: &mut [u8; ROOM - 4], v6: SocketAddrV6) {
    let (label, rest) = rest.split_at_mut(4);
    let (address, scope) = rest.split_at_mut(16);
    label.copy_from_slice(&v6.flowinfo().to_ne_bytes());
    address.copy_from_slice(&v6.ip().octets());
    scope.copy_from_slice(&v6.scope_id().to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_system() {
        let parsed = |name: &[u8; ROOM]| {
            let mut addr = SocketAddr::from(([0; 4], 0));
            read(name, &mut addr).then_some(addr)
        };
        let written = |addr| {
            let mut name = [0; ROOM];
            let length = write(addr, &mut name);
            (name, length)
        };
        for (family, addr) in [(libc::AF_INET, "192.0.2.1:9899"), (libc::AF_INET6, "[fe80::1%3]:9899")] {
            let addr: SocketAddr = addr.parse().unwrap();
            let (name, length) = written(addr);
            let theirs = socket2::SockAddr::from(addr);
            assert_eq!((length, i32::from(theirs.family())), (theirs.len(), family));
            assert_eq!(parsed(&name), Some(addr));
        }
        let SocketAddr::V6(mut labelled) = "[2001:db8::1]:1".parse().unwrap() else { panic!("another family") };
        labelled.set_flowinfo(0x1234_u32.to_be());
        let (name, _) = written(labelled.into());
        assert_eq!(name[4..8], [0, 0, 0x12, 0x34]);
        labelled.set_flowinfo(0);
        assert_eq!(parsed(&name), Some(labelled.into()), "a label is none of the address");
        let (mapped, _) = written("[::ffff:192.0.2.1]:5".parse().unwrap());
        assert_eq!(parsed(&mapped), Some("192.0.2.1:5".parse().unwrap()));
        assert_eq!(parsed(&[0; ROOM]), None);
    }
}
