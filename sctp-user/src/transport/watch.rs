//! Watching the host's addresses: the system wakes us, then the list is read anew.

use core::time::Duration;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::addrs;
use crate::net::AddrChange;
use crate::time::Time;

/// How long changes may go on before the list is read: an interface that comes up gets several addresses in a row.
const SETTLE: Duration = Duration::from_millis(20);
/// How often the list is read where nothing tells of changes.
const POLL: Duration = Duration::from_secs(5);
/// How often it is read even where something does: a message may have been lost.
const CONTROL: Duration = Duration::from_secs(60);
/// Most messages thrown away in one go.
const BUDGET: usize = 256;

/// What the host's addresses are, and when to look again.
#[derive(Debug)]
pub(crate) struct AddressWatcher {
    /// Becomes readable when addresses or interfaces change; its messages are not read, for the list says more. `None` where
    /// the system has no such socket, or refuses it.
    socket: Option<OwnedFd>,
    /// Our addresses are among these; empty if all of the host's are.
    bound: Vec<IpAddr>,
    known: Vec<IpAddr>,
    next_look: Time,
}

impl AddressWatcher {
    /// Reads the list for the first time. `bound` restricts it, if it is not empty.
    pub(crate) fn new(bound: Vec<IpAddr>) -> Self {
        let socket = route_socket().inspect_err(|err| tracing::debug!(%err, "addresses are polled")).ok();
        // The socket first: what changes meanwhile wakes it.
        let known = addrs::usable(&bound);
        Self { socket, bound, known, next_look: Time::ZERO }
    }

    pub(crate) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)
    }

    /// The addresses as last read, those of a link included.
    pub(crate) fn addresses(&self) -> &[IpAddr] {
        &self.known
    }

    /// What a node is told: see [`addrs::host_addresses`].
    pub(crate) fn listable(&self) -> AddrChange {
        AddrChange::Set(self.known.iter().copied().filter(|ip| !addrs::is_link_local(ip)).collect())
    }

    /// The socket has something: the list is to be read soon. Rare, and not part of its caller, whose stack all packets go by.
    #[cold]
    #[inline(never)]
    pub(crate) fn note_ready(&mut self, now: Time) {
        let Some(socket) = &self.socket else { return };
        let mut buf = [0; 8192];
        for _ in 0..BUDGET {
            match recv(socket, &mut buf[..], RecvFlags::DONTWAIT) {
                // More came than the system kept for us, which says all the same.
                Ok(_) | Err(Errno::NOBUFS | Errno::INTR) => self.next_look = self.next_look.min(now + SETTLE),
                Err(_) => break,
            }
        }
    }

    /// When [`Self::look`] wants to be called.
    pub(crate) fn next_deadline(&self) -> Time {
        self.next_look
    }

    /// Reads the list, if it is time; whether it is another one then. If it is not, sockets may still be possible that were not
    /// before: an IPv6 address is in the list before it may be used (RFC 4862 section 5.4).
    pub(crate) fn look(&mut self, now: Time) -> Option<bool> {
        if now < self.next_look {
            return None;
        }
        self.next_look = now + if self.socket.is_some() { CONTROL } else { POLL };
        let current = addrs::usable(&self.bound);
        if current == self.known {
            return Some(false);
        }
        tracing::info!(?current, "the host's addresses changed");
        self.known = current;
        Some(true)
    }
}

/// A netlink socket that hears of interfaces and addresses that come and go (rtnetlink(7)).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn route_socket() -> io::Result<OwnedFd> {
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
    /// RTMGRP_LINK, RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR.
    const GROUPS: u32 = 0x1 | 0x10 | 0x100;
    // Without a protocol it is NETLINK_ROUTE.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    Ok(socket)
}

/// A routing socket, which hears of all changes (route(4)).
#[cfg(any(
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "macos",
    target_os = "ios"
))]
fn route_socket() -> io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketType, socket};
    let socket = socket(AddressFamily::ROUTE, SocketType::RAW, None)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// Nothing that would wake us.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "macos",
    target_os = "ios"
)))]
fn route_socket() -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_at_once_and_then_now_and_then() {
        let mut watcher = AddressWatcher::new(Vec::new());
        assert_eq!(watcher.listable(), AddrChange::Set(addrs::host_addresses()));
        let start = Time::from_millis(5_000);
        assert_eq!(watcher.look(start), Some(false), "it was read already");
        assert!(watcher.next_deadline() >= start + POLL);
        watcher.known.clear();
        assert_eq!(watcher.look(start + SETTLE), None, "not yet");
        watcher.next_look = start;
        assert_eq!(watcher.look(start), Some(true));
    }
}
