//! A sans-IO stack behind a real UDP socket, one thread, one process a side: how peers without sockets of their own take part.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::endpoint::*;
use crate::io::{BATCH, Io, Mode};
use crate::work::*;

pub struct Proc {
    pub server: bool,
    pub workload: String,
    pub size: usize,
    pub count: u64,
    pub streams: u16,
    pub unordered: bool,
    pub lport: u16,
    pub rport: u16,
    pub mode: Mode,
}

/// One side of a two-process run; prints READY (server) and RESULT.
pub fn run<P: MemEndpoint<Datagram: From<Vec<u8>>>>(cfg: &Config, w: &Proc) {
    let cfg = Config { client: !w.server, streams: w.streams.max(2), nodelay: w.workload == "pingpong", ..*cfg };
    let start = Instant::now();
    let mut io = Io::new(w.lport, w.rport, w.mode);
    if w.server {
        println!("READY");
    }
    if w.workload == "assoc" {
        return assoc::<P>(&cfg, w, io, start);
    }
    let mut e = P::new(&cfg, start.elapsed());
    if !w.server {
        e.connect(start.elapsed());
    }
    let ping = w.workload == "pingpong";
    let mut v = Verify::new(!w.unordered, cfg.streams);
    let mut q: VecDeque<P::Datagram> = VecDeque::new();
    let mut held: Option<Vec<u8>> = None;
    let (mut sent, mut echoed) = (0u64, 0u64);
    let mut began: Option<(Usage, Instant)> = None;
    let mut finished: Option<(Usage, f64)> = None;
    let mut asked = false;
    let mut lat = Vec::new();
    let mut mark = Instant::now();
    let (mut pk_in, mut pk_out) = (0u64, 0u64);
    loop {
        let now = start.elapsed();
        if e.poll_timeout().is_some_and(|t| t <= now) {
            e.handle_timeout(now);
        }
        let got = io.recv(&mut |d| e.handle_datagram(now, d.to_vec().into()));
        pk_in += got as u64;
        while e.recv(now, &mut v) {
            if w.server && v.msgs == 1 {
                began = Some((Usage::now(), Instant::now()));
            }
            if v.msgs == w.count {
                let (u, t) = began.unwrap();
                finished = Some((Usage::now().since(u), t.elapsed().as_secs_f64()));
            }
        }
        if e.is_established() {
            if !w.server && began.is_none() {
                began = Some((Usage::now(), Instant::now()));
            }
            if ping {
                if w.server {
                    while echoed < v.msgs {
                        let _ = e.send(now, 0, 42, message(echoed as u32, w.size), false);
                        echoed += 1;
                    }
                } else if v.msgs == sent && sent < w.count {
                    if sent > 0 {
                        lat.push(mark.elapsed().as_nanos() as u64);
                    }
                    mark = Instant::now();
                    let _ = e.send(now, 0, 42, message(sent as u32, w.size), false);
                    sent += 1;
                }
            } else if !w.server {
                while sent < w.count {
                    let m = held.take().unwrap_or_else(|| message(sent as u32, w.size));
                    match e.send(now, (sent % w.streams as u64) as u16, 42, m, w.unordered) {
                        Sent::Accepted => sent += 1,
                        Sent::Full(m) => {
                            held = m;
                            break;
                        }
                    }
                }
            }
            let done = if ping { v.msgs == w.count } else { sent == w.count };
            if !w.server && done && !asked {
                asked = true;
                if ping {
                    let (u, t) = began.unwrap();
                    finished = Some((Usage::now().since(u), t.elapsed().as_secs_f64()));
                }
                e.shutdown(now);
            }
        }
        let mut blocked = false;
        loop {
            while q.len() < BATCH {
                match e.poll_transmit(now) {
                    Some(d) => {
                        q.push_back(d);
                        pk_out += 1;
                    }
                    None => break,
                }
            }
            if q.is_empty() {
                break;
            }
            if !io.send(&mut q) {
                blocked = true;
                break;
            }
        }
        if e.is_closed() || (w.server && finished.is_some() && start.elapsed().as_secs() > 600) {
            break;
        }
        // a server whose peer is gone after the last message
        let linger = w.server && finished.is_some();
        if got == 0 {
            let now = start.elapsed();
            let mut t = e.poll_timeout().map(|t| t.saturating_sub(now));
            if linger || asked && ping {
                t = Some(t.unwrap_or(Duration::from_millis(300)).min(Duration::from_millis(300)));
            }
            let b = Instant::now();
            io.wait(blocked, t);
            if (linger || asked && ping) && b.elapsed() >= Duration::from_millis(290) {
                break;
            }
        }
    }
    if !w.server && !ping {
        let (u, t) = began.expect("never established");
        finished = Some((Usage::now().since(u), t.elapsed().as_secs_f64()));
    }
    let (u, wall) = finished.expect("not finished");
    let ok = v.errors == 0 && (!w.server || ping || v.msgs == w.count);
    print!(
        "RESULT ok={} bytes={} msgs={} wall={wall:.6} user={:.6} sys={:.6} inpkts={pk_in} outpkts={pk_out} syscalls={}",
        ok as u8,
        if w.server { v.bytes } else { w.count * w.size as u64 },
        w.count,
        u.user,
        u.sys,
        io.syscalls
    );
    if ping && !w.server {
        print!(" p50={} p99={}", percentile(&mut lat, 0.5) as f64 / 1e3, percentile(&mut lat, 0.99) as f64 / 1e3);
    }
    let c = e.counters();
    if let (Some(rtx), Some(cwnd)) = (c.rtx, c.cwnd) {
        print!(" rtx={rtx} cwnd={cwnd}");
    }
    println!();
}

fn assoc<P: MemEndpoint<Datagram: From<Vec<u8>>>>(cfg: &Config, w: &Proc, mut io: Io, start: Instant) {
    let (u0, t0) = (Usage::now(), Instant::now());
    let mut n = 0;
    let mut stuck = 0u32;
    while n < w.count {
        let mut e = P::new(&Config { id: n, ..*cfg }, start.elapsed());
        if !w.server {
            e.connect(start.elapsed());
        }
        let mut asked = false;
        let b = Instant::now();
        loop {
            let now = start.elapsed();
            if e.poll_timeout().is_some_and(|t| t <= now) {
                e.handle_timeout(now);
            }
            let got = io.recv(&mut |d| e.handle_datagram(now, d.to_vec().into()));
            if !w.server && e.is_established() && !asked {
                asked = true;
                e.shutdown(now);
            }
            let mut q: VecDeque<P::Datagram> = VecDeque::new();
            while let Some(d) = e.poll_transmit(now) {
                q.push_back(d);
            }
            io.send(&mut q);
            if e.is_closed() {
                break;
            }
            if b.elapsed().as_secs() >= 2 && (e.is_established() || !w.server) {
                stuck += 1;
                break;
            }
            if got == 0 {
                io.wait(false, Some(Duration::from_millis(200)));
                if w.server && b.elapsed().as_secs() > 5 {
                    break;
                }
            }
        }
        n += 1;
        if stuck > 3 {
            break;
        }
    }
    let u = Usage::now().since(u0);
    println!("RESULT ok={} msgs={n} wall={:.6} user={:.6} sys={:.6}", (stuck == 0) as u8, t0.elapsed().as_secs_f64(), u.user, u.sys);
}
