//! Many datagrams by one system call, with what the system tells about each.

use std::io;
use std::os::fd::BorrowedFd;

use crate::meta::DatagramMeta;

/// What the system tells about one datagram or train.
#[derive(Debug)]
pub(crate) struct Label {
    /// All bytes that came; 0 also if nothing is known of the sender.
    pub(crate) len: usize,
    /// Size of each datagram but the last of a train; at least `len` for a single one.
    pub(crate) stride: usize,
    pub(crate) meta: DatagramMeta,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::Labels;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use portable::Labels;

/// On Linux the call is our own: quinn-udp prepares as much for one datagram as for 32, and most calls bring one.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    #![allow(unsafe_code, reason = "the argument is beside the call")]

    use std::io::IoSliceMut;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::os::fd::AsRawFd as _;

    use nix::libc;
    use quinn_udp::{BATCH_SIZE, UdpSocketState};

    use super::{BorrowedFd, DatagramMeta, Label, io};
    use crate::many::patiently;
    use crate::meta::Ecn;
    use crate::{control, name};

    /// What the system writes beside one datagram, and what we read from it.
    #[derive(Debug)]
    #[repr(C, align(8))]
    struct Room {
        control: [u8; control::ROOM],
        name: [u8; name::ROOM],
        label: Label,
    }

    /// What was told about the datagrams of the last read, in their order.
    #[derive(Debug)]
    pub(crate) struct Labels {
        rooms: Vec<Room>,
    }

    impl Labels {
        pub(crate) fn new() -> Self {
            let room = || Room { control: [0; control::ROOM], name: [0; name::ROOM], label: Label::NONE };
            Self { rooms: std::iter::repeat_with(room).take(BATCH_SIZE).collect() }
        }

        /// Reads datagrams, one into each buffer, at most `N` of them: how many came. Not part of its caller, which would have room for
        /// the largest `N` on its stack.
        #[inline(never)]
        pub(crate) fn read<'a, const N: usize>(
            &mut self,
            socket: BorrowedFd<'_>,
            _: &UdpSocketState,
            buffers: impl Iterator<Item = &'a mut [u8]>,
        ) -> io::Result<usize> {
            // SAFETY: C structures of numbers and pointers, for which zero is a value.
            let mut headers: [libc::mmsghdr; N] = unsafe { std::mem::zeroed() };
            let mut parts: [IoSliceMut<'_>; N] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
            let mut count = 0;
            for (((header, part), room), buffer) in headers.iter_mut().zip(&mut parts).zip(&mut self.rooms).zip(buffers) {
                *part = IoSliceMut::new(buffer);
                let header = &mut header.msg_hdr;
                header.msg_name = room.name.as_mut_ptr().cast();
                header.msg_namelen = libc::socklen_t::try_from(name::ROOM).unwrap_or(0);
                // An IoSliceMut is an iovec in memory: the standard library promises it.
                header.msg_iov = std::ptr::from_mut(part).cast();
                header.msg_iovlen = 1;
                header.msg_control = room.control.as_mut_ptr().cast();
                header.msg_controllen = control::ROOM as _;
                count += 1;
            }
            // SAFETY: of `headers` there are `count`, at most N, that were prepared. What they point to lives until the end of this
            // function, is borrowed by it alone, and is as long as they say: the buffer by way of its IoSliceMut, name and control
            // messages in their room, which is aligned as the latter want.
            let filled =
                patiently(|| unsafe { libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0, std::ptr::null_mut()) } as isize)?;
            for (room, header) in self.rooms.iter_mut().zip(&headers).take(filled) {
                #[allow(clippy::unnecessary_cast, reason = "another type in another libc")]
                room.read(header.msg_len as usize, header.msg_hdr.msg_controllen as usize);
            }
            Ok(filled)
        }

        /// Of one of the datagrams of the last read.
        pub(crate) fn get(&self, i: usize) -> Option<&Label> {
            self.rooms.get(i).map(|room| &room.label)
        }
    }

    impl Room {
        /// Reads what was written beside a datagram of `len` bytes. Not part of its caller, so that the label is written where it stays.
        #[inline(never)]
        fn read(&mut self, len: usize, control_len: usize) {
            let label = &mut self.label;
            (label.len, label.stride) = (len, len);
            (label.meta.dst_ip, label.meta.ifindex, label.meta.ecn) = (None, None, None);
            if !name::read(&self.name, &mut label.meta.src) {
                label.len = 0;
            }
            for (level, kind, data) in control::messages(self.control.get(..control_len).unwrap_or_default()) {
                self.label.take_note(level, kind, data);
            }
        }
    }

    impl Label {
        /// Of what is no datagram.
        const NONE: Self = Self {
            len: 0,
            stride: 0,
            meta: DatagramMeta { src: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), dst_ip: None, ifindex: None, ecn: None },
        };

        /// Adds what a control message says. The system writes each in one form only.
        #[inline]
        fn take_note(&mut self, level: i32, kind: i32, data: &[u8]) {
            match (level, kind, data) {
                (libc::IPPROTO_IP, libc::IP_TOS, [tos, ..]) => self.meta.ecn = Ecn::from_bits(*tos),
                // Interface index, address of ours, destination address of the header.
                (libc::IPPROTO_IP, libc::IP_PKTINFO, &[i, j, k, l, _, _, _, _, a, b, c, d]) => {
                    self.meta.dst_ip = Some([a, b, c, d].into());
                    self.came_by([i, j, k, l]);
                }
                (libc::SOL_UDP, libc::UDP_GRO, &[a, b, c, d, ..]) => {
                    self.stride = usize::try_from(i32::from_ne_bytes([a, b, c, d])).unwrap_or(0);
                }
                (libc::IPPROTO_IPV6, kind, data) => self.take_note_v6(kind, data),
                _ => {}
            }
        }

        fn take_note_v6(&mut self, kind: i32, data: &[u8]) {
            match (kind, data) {
                (libc::IPV6_TCLASS, &[a, b, c, d, ..]) => {
                    self.meta.ecn = Ecn::from_bits(u32::from_ne_bytes([a, b, c, d]).to_le_bytes()[0]);
                }
                (libc::IPV6_PKTINFO, &[ref address @ .., i, j, k, l]) => {
                    self.meta.dst_ip = <[u8; 16]>::try_from(address).ok().map(|a| IpAddr::from(a).to_canonical());
                    self.came_by([i, j, k, l]);
                }
                _ => {}
            }
        }

        fn came_by(&mut self, ifindex: [u8; 4]) {
            self.meta.ifindex = Some(u32::from_ne_bytes(ifindex)).filter(|i| *i != 0);
        }
    }
}

/// Elsewhere quinn-udp knows how it is done.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod portable {
    use std::io::IoSliceMut;

    use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};

    use super::{BorrowedFd, DatagramMeta, Label, io};
    use crate::meta::{Ecn, unmapped};

    /// What was told about the datagrams of the last read, in their order.
    #[derive(Debug)]
    pub(crate) struct Labels {
        told: Vec<RecvMeta>,
        labels: Vec<Label>,
    }

    impl Labels {
        pub(crate) fn new() -> Self {
            Self { told: vec![RecvMeta::default(); BATCH_SIZE], labels: Vec::with_capacity(BATCH_SIZE) }
        }

        /// Reads datagrams, one into each buffer, at most `N` of them: how many came.
        pub(crate) fn read<'a, const N: usize>(
            &mut self,
            socket: BorrowedFd<'_>,
            state: &UdpSocketState,
            buffers: impl Iterator<Item = &'a mut [u8]>,
        ) -> io::Result<usize> {
            let mut parts: Vec<_> = buffers.take(N).map(IoSliceMut::new).collect();
            let filled = state.recv(UdpSockRef::from(&socket), &mut parts, &mut self.told)?;
            self.labels.clear();
            self.labels.extend(self.told.iter().take(filled).map(label));
            Ok(filled)
        }

        /// Of one of the datagrams of the last read.
        pub(crate) fn get(&self, i: usize) -> Option<&Label> {
            self.labels.get(i)
        }
    }

    fn label(told: &RecvMeta) -> Label {
        let meta = DatagramMeta {
            src: unmapped(told.addr),
            dst_ip: told.dst_ip.map(|ip| ip.to_canonical()),
            ifindex: told.interface_index.filter(|i| *i != 0),
            ecn: told.ecn.and_then(|mark| Ecn::from_bits(mark as u8)),
        };
        Label { len: told.len, stride: told.stride, meta }
    }
}
