//! Sending on Linux: a datagram, a train that the kernel cuts, or many datagrams, by one system call.
//!
//! No safe interface does it all: quinn-udp sets no DSCP and sends one message a call, rustix knows no source address among its control
//! messages, and nix (0.31) does not tell how many datagrams went, but by reading addresses that sendmmsg does not write.

#![allow(clippy::disallowed_types, reason = "edge: a socket of the encapsulation")]
#![allow(unsafe_code, reason = "the argument is beside the call")]

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;

use nix::libc;
use socket2::Socket;

use crate::control::Messages;
use crate::marks::{labelled, octet};
use crate::name;
use crate::socket::{TRAIN_APART, Transmit};

/// Sends `contents` as datagrams of `segment` bytes, the last one perhaps shorter, at most [`TRAIN_APART`] of them. Answers how
/// many the kernel took, at least one.
pub(crate) fn send(socket: &Socket, t: &Transmit, segment: usize, contents: &[u8]) -> io::Result<usize> {
    let mut envelope = Envelope::empty();
    envelope.write(t);
    let mut parts: Vec<_> = contents.chunks(segment.max(1)).take(TRAIN_APART).map(IoSlice::new).collect();
    let mut headers: Vec<_> = parts.iter_mut().map(|part| libc::mmsghdr { msg_hdr: envelope.header(part), msg_len: 0 }).collect();
    let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: `headers` has `count` headers, which the call may write to. What they point to lives until the end of this function, in
    // the lengths that are given: the envelope, and one IoSlice each, which borrows the contents. The call only reads these.
    patiently(|| unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) } as isize).map(|sent| sent.max(1))
}

/// Sends `contents` as one datagram, or as a train that the kernel cuts into datagrams of `segment` bytes.
pub(crate) fn send_whole(socket: &Socket, t: &Transmit, segment: Option<usize>, contents: &[u8]) -> io::Result<()> {
    let mut envelope = Envelope::empty();
    envelope.write(t);
    if let Some(segment) = segment.and_then(|s| u16::try_from(s).ok()) {
        envelope.control.push(libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
    }
    let mut part = IoSlice::new(contents);
    let header = envelope.header(&mut part);
    // SAFETY: what the header points to lives until the end of this function, in the lengths that are given: the envelope, and an
    // IoSlice, which borrows the contents. The call only reads it all.
    patiently(|| unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, 0) }).map(drop)
}

/// A system call, repeated if a signal came between.
pub(crate) fn patiently(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(result) => return Ok(result),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}

/// What stands beside the bytes of a datagram.
struct Envelope {
    to: [u8; name::ROOM],
    to_len: libc::socklen_t,
    control: Messages,
}

impl Envelope {
    const fn empty() -> Self {
        Self { to: [0; name::ROOM], to_len: 0, control: Messages::new() }
    }

    /// Writes the destination; the octet with DSCP and ECN mark where it is not zero; and the source address.
    fn write(&mut self, t: &Transmit) {
        self.to_len = name::write(labelled(t.dst, t.flow_label), &mut self.to);
        let control = &mut self.control;
        let tos = octet(t);
        if tos != 0 {
            let (level, kind) = if t.dst.is_ipv4() { (libc::IPPROTO_IP, libc::IP_TOS) } else { (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) };
            control.push(level, kind, &i32::from(tos).to_ne_bytes());
        }
        // The interface is left to the system: zero.
        match t.src {
            Some(IpAddr::V4(src)) => {
                let [a, b, c, d] = src.octets();
                control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &[0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0]);
            }
            Some(IpAddr::V6(src)) => {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&src.octets());
                control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
            None => {}
        }
    }

    /// For a datagram in this envelope; it points to both, and is good as long as they live.
    fn header(&self, part: &mut IoSlice<'_>) -> libc::msghdr {
        // SAFETY: a C structure of numbers and pointers, for which zero is a value.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_name = self.to.as_ptr().cast_mut().cast();
        header.msg_namelen = self.to_len;
        // An IoSlice is an iovec in memory: the standard library promises it.
        header.msg_iov = std::ptr::from_mut(part).cast();
        header.msg_iovlen = 1;
        let control = self.control.bytes();
        if !control.is_empty() {
            header.msg_control = control.as_ptr().cast_mut().cast();
            header.msg_controllen = control.len() as _;
        }
        header
    }
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
        let control = |t: &Transmit| {
            let mut envelope = Envelope::empty();
            envelope.write(t);
            envelope.control.bytes().to_vec()
        };
        assert_eq!(control(&Transmit { src: None, ..v4 }), []);
        assert_eq!(control(&v4).len(), space(size_of::<libc::in_pktinfo>()));
        let marked = Transmit { ecn: Some(Ecn::Ect0), dscp: 46, ..v4 };
        assert_eq!(control(&marked).len(), space(4) + space(size_of::<libc::in_pktinfo>()));
        let v6 = Transmit { src: Some("::1".parse().unwrap()), dst: "[::1]:9".parse().unwrap(), ..marked };
        assert_eq!(control(&v6).len(), space(4) + space(size_of::<libc::in6_pktinfo>()));
    }
}
