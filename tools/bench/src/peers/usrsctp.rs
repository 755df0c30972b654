//! usrsctp in memory: AF_CONN addresses, no threads, the shim's virtual clock.
//! The library is one global instance, so ends live in one registry keyed by a number.

use crate::endpoint::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::c_void;
use std::time::Duration;

type Sock = *mut c_void;

unsafe extern "C" {
    fn shim_counters(s: Sock, out: *mut u64);
    fn shim_init(f: extern "C" fn(*mut c_void, *const u8, usize), window: i32);
    fn shim_time(us: u64, tick_ms: u32);
    fn shim_open(id: *mut c_void, server: i32, window: i32, streams: i32, mtu: i32, nodelay: i32) -> Sock;
    fn shim_connect(s: Sock, id: *mut c_void) -> i32;
    fn shim_accept(s: Sock) -> Sock;
    fn shim_state(s: Sock) -> i32;
    fn shim_send(s: Sock, stream: u16, ppid: u32, unordered: i32, b: *const u8, n: usize) -> i32;
    fn shim_recv(s: Sock, b: *mut u8, n: usize, stream: *mut u16, ppid: *mut u32, eor: *mut i32) -> isize;
    fn shim_input(id: *mut c_void, b: *const u8, n: usize);
    fn shim_shutdown(s: Sock);
    fn shim_close(s: Sock, id: *mut c_void);
}

#[derive(Default)]
struct World {
    out: Vec<VecDeque<Vec<u8>>>,
    free: Vec<usize>,
    ticks: u64,
}

thread_local! {
    static BUF: RefCell<Vec<u8>> = RefCell::new(vec![0; 1 << 20]);
    static W: RefCell<World> = RefCell::new(World::default());
}

extern "C" fn output(id: *mut c_void, b: *const u8, n: usize) {
    let v = unsafe { std::slice::from_raw_parts(b, n) }.to_vec();
    W.with(|w| w.borrow_mut().out[id as usize - 1].push_back(v));
}

/// The library's own timer thread ticks every 10 ms; so does this.
const TICK: u64 = 10;

fn clock(now: Duration) {
    let t = now.as_millis() as u64 / TICK;
    let due = W.with(|w| {
        let mut w = w.borrow_mut();
        let due = t.saturating_sub(w.ticks);
        w.ticks = w.ticks.max(t);
        due
    });
    unsafe {
        shim_time(now.as_micros() as u64, 0);
        if due > 0 {
            shim_time(now.as_micros() as u64, (due * TICK) as u32);
        }
    }
}

pub struct Usrsctp {
    id: *mut c_void,
    /// The listening socket, or the client's only one.
    listen: Sock,
    s: Sock,
    client: bool,
    done: bool,
    up: std::cell::Cell<bool>,
}

impl Usrsctp {
    fn accept(&mut self) {
        if !self.client && self.s.is_null() {
            self.s = unsafe { shim_accept(self.listen) };
        }
    }
}

impl Drop for Usrsctp {
    fn drop(&mut self) {
        unsafe {
            if !self.s.is_null() {
                shim_close(self.s, std::ptr::null_mut());
            }
            shim_close(self.listen, self.id);
        }
        W.with(|w| {
            let mut w = w.borrow_mut();
            w.out[self.id as usize - 1].clear();
            w.free.push(self.id as usize);
        });
    }
}

impl MemEndpoint for Usrsctp {
    type Datagram = Vec<u8>;
    const NAME: &'static str = "usrsctp";

    fn new(cfg: &Config, now: Duration) -> Self {
        unsafe { shim_init(output, cfg.window as i32) };
        clock(now);
        let id = W.with(|w| {
            let mut w = w.borrow_mut();
            match w.free.pop() {
                Some(i) => i,
                None => {
                    w.out.push(VecDeque::new());
                    w.out.len()
                }
            }
        }) as *mut c_void;
        // AF_CONN has no IP and no UDP header in its MTU
        let l =
            unsafe { shim_open(id, !cfg.client as i32, cfg.window as i32, cfg.streams.max(1) as i32, cfg.mtu as i32, cfg.nodelay as i32) };
        Usrsctp { id, listen: l, s: std::ptr::null_mut(), client: cfg.client, done: false, up: std::cell::Cell::new(false) }
    }
    fn connect(&mut self, now: Duration) {
        clock(now);
        // both ends of a pair carry each other's address: the harness hands packets across, so
        // an end's own identifier serves as its peer's too
        if unsafe { shim_connect(self.listen, self.id) } < 0 {
            panic!("usrsctp connect");
        }
    }
    fn is_established(&self) -> bool {
        if self.up.get() {
            return true;
        }
        let s = if self.client { self.listen } else { self.s };
        // SCTP_ESTABLISHED is 8 in sstat_state's numbering (SCTP_CLOSED 0 .. 0x0008)
        let up = !s.is_null() && unsafe { shim_state(s) } == 8;
        self.up.set(up);
        up
    }
    fn shutdown(&mut self, now: Duration) {
        clock(now);
        unsafe { shim_shutdown(if self.client { self.listen } else { self.s }) };
    }
    fn is_closed(&self) -> bool {
        self.done
    }
    fn send(&mut self, now: Duration, stream: u16, ppid: u32, data: Vec<u8>, unordered: bool) -> Sent {
        clock(now);
        let s = if self.client { self.listen } else { self.s };
        match unsafe { shim_send(s, stream, ppid, unordered as i32, data.as_ptr(), data.len()) } {
            1 => Sent::Accepted,
            0 => Sent::Full(Some(data)),
            _ => panic!("usrsctp send: {}", std::io::Error::last_os_error()),
        }
    }
    fn poll_transmit(&mut self, _now: Duration) -> Option<Vec<u8>> {
        W.with(|w| w.borrow_mut().out[self.id as usize - 1].pop_front())
    }
    fn handle_datagram(&mut self, now: Duration, d: Vec<u8>) {
        clock(now);
        unsafe { shim_input(self.id, d.as_ptr(), d.len()) };
        self.accept();
    }
    fn poll_timeout(&mut self) -> Option<Duration> {
        let t = W.with(|w| w.borrow().ticks);
        Some(Duration::from_millis((t + 1) * TICK))
    }
    fn handle_timeout(&mut self, now: Duration) {
        clock(now);
        self.accept();
    }
    fn recv(&mut self, now: Duration, sink: &mut dyn Sink) -> bool {
        self.accept();
        let s = if self.client { self.listen } else { self.s };
        if s.is_null() || !self.up.get() && !self.is_established() {
            return false;
        }
        let _ = now;
        loop {
            let (mut st, mut pp, mut eor) = (0u16, 0u32, 0i32);
            let n = BUF.with(|buf| {
                let mut buf = buf.borrow_mut();
                let n = unsafe { shim_recv(s, buf.as_mut_ptr(), buf.len(), &mut st, &mut pp, &mut eor) };
                if n > 0 {
                    sink.piece(&buf[..n as usize]);
                }
                n
            });
            if n > 0 {
                if eor != 0 {
                    sink.end(st, pp);
                    return true;
                }
                continue;
            }
            if n == 0 || n == -2 {
                self.done = true;
            }
            return false;
        }
    }
    fn counters(&mut self) -> Counters {
        let mut c = [0u64; 3];
        let s = if self.client { self.listen } else { self.s };
        unsafe { shim_counters(s, c.as_mut_ptr()) };
        Counters { rtx: Some(c[0]), t3: Some(c[1]), cwnd: Some(c[2]), ..Counters::default() }
    }
}
