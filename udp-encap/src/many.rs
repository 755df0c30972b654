//! Datagrams to one destination by one system call, with what quinn-udp does not say: many of them, where the kernel does not cut trains by
//! itself, and a DSCP.
//!
//! No safe interface does it: rustix knows no source address among its control messages, and nix (0.31) does not tell how many
//! datagrams went, but by reading addresses that sendmmsg does not write.

#![allow(clippy::disallowed_types, reason = "edge: a socket of the encapsulation")]
#![allow(unsafe_code, reason = "the argument is beside the call")]

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;

use nix::libc;
use socket2::{SockAddr, Socket};

use crate::control::push;
use crate::marks::{labelled, octet};
use crate::socket::{TRAIN_APART, Transmit};

/// Sends `contents` as datagrams of `segment` bytes, the last one perhaps shorter, at most [`TRAIN_APART`] of them. Answers how
/// many the kernel took, at least one.
pub(crate) fn send(socket: &Socket, t: &Transmit, segment: usize, contents: &[u8]) -> io::Result<usize> {
    let mut parts: Vec<_> = contents.chunks(segment.max(1)).take(TRAIN_APART).map(io::IoSlice::new).collect();
    send_parts(socket, t, &control(t), &mut parts)
}

/// Sends `contents` as one datagram, or as a train that the kernel cuts into datagrams of `segment` bytes.
pub(crate) fn send_whole(socket: &Socket, t: &Transmit, segment: Option<usize>, contents: &[u8]) -> io::Result<()> {
    let mut control = control(t);
    if let Some(segment) = segment.and_then(|s| u16::try_from(s).ok()) {
        push(&mut control, libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
    }
    send_parts(socket, t, &control, &mut [io::IoSlice::new(contents)]).map(drop)
}

/// Sends each part as a message of its own; how many went, at least one.
fn send_parts(socket: &Socket, t: &Transmit, control: &[u8], parts: &mut [io::IoSlice<'_>]) -> io::Result<usize> {
    let to = SockAddr::from(labelled(t.dst, t.flow_label));
    let header = |part: &mut io::IoSlice<'_>| {
        // SAFETY: a C structure of numbers and pointers, for which zero is a value.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        header.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = to.len();
        // An IoSlice is an iovec in memory: the standard library promises it.
        header.msg_hdr.msg_iov = std::ptr::from_mut(part).cast();
        header.msg_hdr.msg_iovlen = 1;
        if !control.is_empty() {
            header.msg_hdr.msg_control = control.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_controllen = control.len() as _;
        }
        header
    };
    let mut headers: Vec<_> = parts.iter_mut().map(header).collect();
    let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
    loop {
        // SAFETY: `headers` has `count` headers, which the call may write to. What they point to lives until the end of this
        // function, in the lengths that are given: the address, the control messages, and one IoSlice each, which borrows the
        // contents. The call only reads these.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
        match usize::try_from(sent) {
            Ok(sent) => return Ok(sent.max(1)),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}

/// The control messages of each datagram, as the kernel wants them in memory: the octet with DSCP and ECN mark where it is not
/// zero, and the source address.
fn control(t: &Transmit) -> Vec<u8> {
    let mut all = Vec::with_capacity(64);
    let tos = octet(t);
    if tos != 0 {
        let (level, kind) = if t.dst.is_ipv4() { (libc::IPPROTO_IP, libc::IP_TOS) } else { (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) };
        push(&mut all, level, kind, &i32::from(tos).to_ne_bytes());
    }
    // The interface is left to the system: zero.
    match t.src {
        Some(IpAddr::V4(src)) => {
            let mut info = [0; 12];
            info[4..8].copy_from_slice(&src.octets());
            push(&mut all, libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
        }
        Some(IpAddr::V6(src)) => {
            let mut info = [0; 20];
            info[..16].copy_from_slice(&src.octets());
            push(&mut all, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        }
        None => {}
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::Ecn;

    #[test]
    fn control_messages_are_as_long_as_the_system_says() {
        let v4 = Transmit { src: Some("127.0.0.1".parse().unwrap()), ..Transmit::to("127.0.0.1:9".parse().unwrap()) };
        // SAFETY: they only compute.
        let space = |data: usize| unsafe { libc::CMSG_SPACE(data.try_into().unwrap()) as usize };
        assert_eq!(control(&Transmit { src: None, ..v4 }), []);
        assert_eq!(control(&v4).len(), space(size_of::<libc::in_pktinfo>()));
        let marked = Transmit { ecn: Some(Ecn::Ect0), dscp: 46, ..v4 };
        assert_eq!(control(&marked).len(), space(4) + space(size_of::<libc::in_pktinfo>()));
        let v6 = Transmit { src: Some("::1".parse().unwrap()), dst: "[::1]:9".parse().unwrap(), ..marked };
        assert_eq!(control(&v6).len(), space(4) + space(size_of::<libc::in6_pktinfo>()));
    }
}
