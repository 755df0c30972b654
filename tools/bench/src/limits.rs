//! What the machine can do without SCTP: datagrams from one process to another.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::time::{Duration, Instant};

use crate::io::{BATCH, Io, Mode};
use crate::work::{Usage, emit};

/// Bytes on their way at most: less than the sockets' buffers, so that nothing is dropped.
const INFLIGHT: u64 = 1 << 20;
/// A SACK without gaps, in its SCTP packet.
const ANSWER: usize = 28;

/// What the two processes share.
struct Board<'a> {
    /// Bytes received.
    received: &'a AtomicU64,
    /// 1: the receiver is there; 2: it has all.
    stage: &'a AtomicU64,
    /// CPU time of the receiver in nanoseconds.
    cpu: &'a AtomicU64,
}

/// `total` bytes in datagrams of `size`. With `answers` the receiver sends a small datagram for every second one, as SCTP must, and
/// the sender goes by them; else it looks at a counter in shared memory, so that no acknowledgements are counted.
pub fn raw(mode: Mode, size: usize, total: u64, lport: u16, answers: bool) {
    let shared = unsafe {
        libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0)
    } as *const AtomicU64;
    let board = unsafe { Board { received: &*shared, stage: &*shared.add(1), cpu: &*shared.add(2) } };
    let n = total / size as u64;
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        receive(mode, n * size as u64, lport, answers, &board);
        unsafe { libc::_exit(0) };
    }
    let mut io = Io::new(lport + 1, lport, mode);
    while board.stage.load(Acquire) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (u0, t0) = (Usage::now(), Instant::now());
    send(&mut io, size, n, answers, &board);
    let us = Usage::now().since(u0);
    while board.stage.load(Acquire) != 2 {
        std::thread::sleep(Duration::from_micros(50));
        assert!(t0.elapsed().as_secs() < 100, "lost datagrams: {} of {}", board.received.load(Acquire), n * size as u64);
    }
    let wall = t0.elapsed().as_secs_f64();
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    let gb = (n * size as u64) as f64 / 1e9;
    let theirs = board.cpu.load(Relaxed) as f64 / 1e9;
    let peer = if answers { "bare-udp-answered" } else { "bare-udp" };
    let label = format!("{peer}-{}", format!("{mode:?}").to_lowercase());
    let e = |m: &str, x: f64| emit("W0udp", &label, &format!("size={size}"), m, x);
    e("MB/s", gb * 1e3 / wall);
    e("cpu_s/GB", (us.cpu() + theirs) / gb);
    e("tx_cpu_s/GB", us.cpu() / gb);
    e("rx_cpu_s/GB", theirs / gb);
}

fn send(io: &mut Io, size: usize, n: u64, answers: bool, board: &Board<'_>) {
    let (datagram, mut q) = (vec![0x5au8; size], VecDeque::new());
    let (mut sent, mut answered) = (0u64, 0u64);
    while sent < n {
        let k = (n - sent).min(BATCH as u64);
        if answers {
            answered += 2 * io.recv(&mut |_| {}) as u64;
            while (sent + k).saturating_sub(answered) * size as u64 > INFLIGHT {
                io.wait(false, Some(Duration::from_secs(1)));
                answered += 2 * io.recv(&mut |_| {}) as u64;
            }
        } else {
            while (sent + k) * size as u64 > board.received.load(Acquire) + INFLIGHT {
                std::thread::sleep(Duration::from_micros(20));
            }
        }
        q.extend((0..k).map(|_| &datagram[..]));
        while !io.send(&mut q) {
            io.wait(true, None);
        }
        sent += k;
    }
}

fn receive(mode: Mode, total: u64, lport: u16, answers: bool, board: &Board<'_>) {
    let mut io = Io::new(lport, lport + 1, mode);
    board.stage.store(1, Release);
    let (mut bytes, mut packets, mut answered, mut began) = (0u64, 0u64, 0u64, None);
    let answer = [0u8; ANSWER];
    let mut q = VecDeque::new();
    while bytes < total {
        let mut sum = 0u64;
        let got = io.recv(&mut |d| {
            bytes += d.len() as u64;
            sum += u64::from(d[0]);
        });
        std::hint::black_box(sum);
        if began.is_none() && got > 0 {
            began = Some(Usage::now());
        }
        packets += got as u64;
        board.received.store(bytes, Release);
        if answers {
            let owed = packets / 2 - answered;
            q.extend((0..owed).map(|_| &answer[..]));
            while !io.send(&mut q) {
                io.wait(true, None);
            }
            answered += owed;
        }
        if got == 0 {
            io.wait(false, Some(Duration::from_secs(2)));
        }
    }
    let used = began.map_or(0.0, |u| Usage::now().since(u).cpu());
    board.cpu.store((used * 1e9) as u64, Relaxed);
    board.stage.store(2, Release);
}
