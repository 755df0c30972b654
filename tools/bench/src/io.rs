//! A UDP socket as the drivers use it: datagram by datagram, many in a call, or as trains that the kernel cuts and joins.

use std::collections::VecDeque;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Mode {
    /// One system call for a datagram.
    Plain,
    /// sendmmsg and recvmmsg.
    Mmsg,
    /// UDP_SEGMENT and UDP_GRO.
    Gso,
}

impl std::str::FromStr for Mode {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        match s {
            "plain" => Ok(Mode::Plain),
            "mmsg" => Ok(Mode::Mmsg),
            "gso" => Ok(Mode::Gso),
            _ => Err(()),
        }
    }
}

pub const BATCH: usize = 64;
const SLOT: usize = 2048;
const GSLOT: usize = 65536;
const GRO: usize = 8;
const SOL_UDP: i32 = 17;
const UDP_SEGMENT: i32 = 103;
const UDP_GRO: i32 = 104;

pub struct Io {
    fd: i32,
    _s: UdpSocket,
    pub mode: Mode,
    rbuf: Vec<u8>,
    pub syscalls: u64,
}

pub fn setbuf(fd: i32, bytes: i32) {
    unsafe {
        for (force, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
            let p = &bytes as *const i32 as *const libc::c_void;
            if libc::setsockopt(fd, libc::SOL_SOCKET, force, p, 4) < 0 {
                libc::setsockopt(fd, libc::SOL_SOCKET, plain, p, 4);
            }
        }
    }
}

impl Io {
    pub fn new(lport: u16, rport: u16, mode: Mode) -> Io {
        let s = UdpSocket::bind(("127.0.0.1", lport)).expect("bind");
        s.connect(("127.0.0.1", rport)).expect("connect");
        s.set_nonblocking(true).unwrap();
        let fd = s.as_raw_fd();
        setbuf(fd, 4 << 20);
        if mode == Mode::Gso {
            let one = 1i32;
            unsafe { libc::setsockopt(fd, SOL_UDP, UDP_GRO, &one as *const i32 as *const _, 4) };
        }
        Io { fd, _s: s, mode, rbuf: vec![0; (BATCH * SLOT).max(GRO * GSLOT)], syscalls: 0 }
    }
    pub fn wait(&mut self, write: bool, timeout: Option<Duration>) {
        let ev = libc::POLLIN | if write { libc::POLLOUT } else { 0 };
        let mut p = libc::pollfd { fd: self.fd, events: ev, revents: 0 };
        let ts = timeout.map(|t| libc::timespec { tv_sec: t.as_secs() as i64, tv_nsec: t.subsec_nanos() as i64 });
        self.syscalls += 1;
        unsafe { libc::ppoll(&mut p, 1, ts.as_ref().map_or(std::ptr::null(), |t| t), std::ptr::null()) };
    }
    /// One batch; the number of datagrams seen.
    pub fn recv(&mut self, f: &mut dyn FnMut(&[u8])) -> usize {
        match self.mode {
            Mode::Plain => {
                let mut n = 0;
                while n < BATCH {
                    self.syscalls += 1;
                    let r = unsafe { libc::recv(self.fd, self.rbuf.as_mut_ptr() as *mut _, SLOT, 0) };
                    if r < 0 {
                        break;
                    }
                    f(&self.rbuf[..r as usize]);
                    n += 1;
                }
                n
            }
            Mode::Mmsg | Mode::Gso => unsafe {
                let (cnt, slot) = if self.mode == Mode::Gso { (GRO, GSLOT) } else { (BATCH, SLOT) };
                let mut iov: [libc::iovec; BATCH] = std::mem::zeroed();
                let mut hdr: [libc::mmsghdr; BATCH] = std::mem::zeroed();
                let mut ctl = [[0u64; 4]; BATCH];
                for i in 0..cnt {
                    iov[i].iov_base = self.rbuf.as_mut_ptr().add(i * slot) as *mut _;
                    iov[i].iov_len = slot;
                    hdr[i].msg_hdr.msg_iov = &mut iov[i];
                    hdr[i].msg_hdr.msg_iovlen = 1;
                    if self.mode == Mode::Gso {
                        hdr[i].msg_hdr.msg_control = ctl[i].as_mut_ptr() as *mut _;
                        hdr[i].msg_hdr.msg_controllen = 32;
                    }
                }
                self.syscalls += 1;
                let r = libc::recvmmsg(self.fd, hdr.as_mut_ptr(), cnt as u32, libc::MSG_DONTWAIT, std::ptr::null_mut());
                let mut n = 0;
                for i in 0..r.max(0) as usize {
                    let len = hdr[i].msg_len as usize;
                    let mut seg = len;
                    if self.mode == Mode::Gso {
                        let mut c = libc::CMSG_FIRSTHDR(&hdr[i].msg_hdr);
                        while !c.is_null() {
                            if (*c).cmsg_level == SOL_UDP && (*c).cmsg_type == UDP_GRO {
                                seg = std::ptr::read_unaligned(libc::CMSG_DATA(c) as *const i32) as usize;
                            }
                            c = libc::CMSG_NXTHDR(&hdr[i].msg_hdr, c);
                        }
                    }
                    for d in self.rbuf[i * slot..i * slot + len].chunks(seg.max(1)) {
                        f(d);
                        n += 1;
                    }
                }
                n
            },
        }
    }
    /// Send from the front of `q` what the socket takes; false when it would block.
    pub fn send<D: AsRef<[u8]>>(&mut self, q: &mut VecDeque<D>) -> bool {
        while !q.is_empty() {
            match self.mode {
                Mode::Plain => {
                    let d = q[0].as_ref();
                    self.syscalls += 1;
                    if unsafe { libc::send(self.fd, d.as_ptr() as *const _, d.len(), 0) } < 0 {
                        return false;
                    }
                    q.pop_front();
                }
                Mode::Mmsg => unsafe {
                    let n = q.len().min(BATCH);
                    let mut iov: [libc::iovec; BATCH] = std::mem::zeroed();
                    let mut hdr: [libc::mmsghdr; BATCH] = std::mem::zeroed();
                    for i in 0..n {
                        let d = q[i].as_ref();
                        iov[i].iov_base = d.as_ptr() as *mut _;
                        iov[i].iov_len = d.len();
                        hdr[i].msg_hdr.msg_iov = &mut iov[i];
                        hdr[i].msg_hdr.msg_iovlen = 1;
                    }
                    self.syscalls += 1;
                    let r = libc::sendmmsg(self.fd, hdr.as_mut_ptr(), n as u32, 0);
                    if r <= 0 {
                        return false;
                    }
                    q.drain(..r as usize);
                },
                Mode::Gso => unsafe {
                    // equal-sized datagrams in a row, the last may be shorter; at most 64, 64000 bytes
                    let seg = q[0].as_ref().len();
                    let (mut n, mut total) = (0, 0);
                    let mut iov: [libc::iovec; BATCH] = std::mem::zeroed();
                    while n < q.len() && n < BATCH {
                        let d = q[n].as_ref();
                        if d.len() > seg || total + d.len() > 64000 {
                            break;
                        }
                        iov[n].iov_base = d.as_ptr() as *mut _;
                        iov[n].iov_len = d.len();
                        total += d.len();
                        n += 1;
                        if d.len() < seg {
                            break;
                        }
                    }
                    let mut hdr: libc::msghdr = std::mem::zeroed();
                    hdr.msg_iov = iov.as_mut_ptr();
                    hdr.msg_iovlen = n;
                    let mut ctl = [0u64; 4];
                    if n > 1 {
                        hdr.msg_control = ctl.as_mut_ptr() as *mut _;
                        hdr.msg_controllen = libc::CMSG_SPACE(2) as usize;
                        let c = libc::CMSG_FIRSTHDR(&hdr);
                        (*c).cmsg_level = SOL_UDP;
                        (*c).cmsg_type = UDP_SEGMENT;
                        (*c).cmsg_len = libc::CMSG_LEN(2) as usize;
                        std::ptr::write_unaligned(libc::CMSG_DATA(c) as *mut u16, seg as u16);
                    }
                    self.syscalls += 1;
                    if libc::sendmsg(self.fd, &hdr, 0) < 0 {
                        return false;
                    }
                    q.drain(..n);
                },
            }
        }
        true
    }
}
