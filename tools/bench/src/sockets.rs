//! Our own stack as programs use it: the public socket interface, two processes, UDP encapsulation. The command line and the
//! output are those of `c/usrsctp_peer.c`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp_user::socket::{Driven, Handle, RcvInfo, Received, Runtime, SctpListener, SctpStream, SndInfo, SocketNode};
use sctp_user::{AssocConfig, Channel, EndpointConfig, Families, PeerAddr, StreamId};

use crate::endpoint::Sink;
use crate::work::*;

/// The SCTP port of the server.
const PORT: u16 = 5001;
/// IPv4 and UDP, which count in the stack's MTU and not in the harness's.
const BELOW: usize = 28;
/// Messages shorter than this are sent and received many in a call.
const SMALL: usize = 65_536;
/// How many at most.
const MANY: usize = 64;
/// How many bytes of them.
const MANY_BYTES: usize = 64_000;

pub struct Program {
    pub server: bool,
    pub workload: String,
    pub size: usize,
    pub count: u64,
    pub streams: u16,
    pub unordered: bool,
    pub lport: u16,
    pub rport: u16,
    pub mtu: usize,
    pub window: usize,
    /// A background thread drives the runtime; else blocking calls do.
    pub threaded: bool,
    /// UDP_SEGMENT and UDP_GRO.
    pub offload: bool,
    /// One SACK for a received batch (a deviation, off by default).
    pub sack_per_batch: bool,
    /// Neither Nagle's algorithm nor requests for immediate acknowledgement: an answer carries the SACK.
    pub nodelay: bool,
}

struct Host {
    handle: Handle<SocketNode>,
    assoc: Arc<AssocConfig>,
    /// Kept for as long as the program runs.
    _driven: Option<Driven<SocketNode>>,
}

impl Host {
    fn start(w: &Program) -> io::Result<Self> {
        let runtime = Runtime::builder().udp_port(w.lport).offload(w.offload).build()?;
        let node = SocketNode::new(runtime.stack_config())?;
        let (handle, driven) = if w.threaded {
            (runtime.spawn(node)?, None)
        } else {
            let driven = runtime.drive(node);
            (driven.handle(), Some(driven))
        };
        let mut assoc = AssocConfig::rfc();
        (assoc.mtu, assoc.max_mtu) = (w.mtu + BELOW, w.mtu + BELOW);
        (assoc.recv_buffer, assoc.send_buffer) = (w.window, w.window);
        (assoc.outbound_streams, assoc.max_inbound_streams) = (w.streams.max(2), w.streams.max(2));
        assoc.ack_per_batch = w.sack_per_batch;
        // The server listens on both, but a packet of 1452 bytes for IPv6 too would be one of 1472 for IPv4.
        assoc.families = Families::Ipv4;
        if w.nodelay {
            (assoc.nagle, assoc.sender_i_bit) = (false, false);
        }
        Ok(Self { handle, assoc: Arc::new(assoc), _driven: driven })
    }

    fn listen(&self) -> io::Result<SctpListener> {
        SctpListener::bind_with(&self.handle, EndpointConfig::with(PORT, Arc::clone(&self.assoc)), 128)
    }

    fn connect(&self, w: &Program) -> io::Result<SctpStream> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        let peer = PeerAddr { addr, channel: Some(Channel::Udp { local: w.lport, remote: w.rport }) };
        SctpStream::connect_with(&self.handle, &[peer], EndpointConfig::with(0, Arc::clone(&self.assoc)), None)
    }

    /// What the stack counted, as ` name=value`.
    fn counters(&self) -> io::Result<String> {
        let s = self.handle.with(|node, _| node.stack_mut().stats())?;
        let a = s.assocs;
        Ok(format!(
            " outpkts={} inpkts={} outdata={} indata={} outsacks={} insacks={} outtrain={} intrain={} rtx={} t3={} noroom={}",
            a.out_sctp_packs,
            a.in_sctp_packs,
            a.out_data_packs,
            a.in_data_packs,
            a.out_sacks,
            a.in_sacks,
            a.largest_train_out,
            s.stack.largest_train_in,
            a.rtx_chunks,
            a.t3_expireds,
            a.no_room_chunks
        ))
    }
}

pub fn run(w: &Program) {
    let done = match (w.server, w.workload.as_str()) {
        (true, "bulk") => serve_bulk(w),
        (true, "pingpong") => serve_echo(w),
        (true, "assoc") => serve_assocs(w),
        (true, _) => serve_idle(w),
        (false, "bulk") => bulk(w),
        (false, "pingpong") => pingpong(w),
        (false, "assoc") => assocs(w),
        (false, _) => idle(w),
    };
    if let Err(err) = done {
        println!("RESULT ok=0");
        eprintln!("# {err}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

fn ready(w: &Program) -> io::Result<(Host, SctpListener)> {
    let host = Host::start(w)?;
    let listener = host.listen()?;
    println!("READY");
    Ok((host, listener))
}

/// Receives, for as long as the peer sends: single messages, or many in a call.
fn receive(stream: &SctpStream, small: bool, mut each: impl FnMut(RcvInfo, Bytes)) -> io::Result<()> {
    if !small {
        while let Some((info, message)) = stream.recv()? {
            each(info, message);
        }
        return Ok(());
    }
    loop {
        let all = stream.recv_many(4 * MANY)?;
        if all.is_empty() {
            return Ok(());
        }
        for received in all {
            if let Received::Message(info, message) = received {
                each(info, message);
            }
        }
    }
}

fn serve_bulk(w: &Program) -> io::Result<()> {
    let (host, listener) = ready(w)?;
    let (stream, _) = listener.accept()?;
    let mut v = Verify::new(!w.unordered, w.streams.max(2));
    let mut began: Option<(Usage, Instant)> = None;
    let mut finished = None;
    receive(&stream, w.size < SMALL, |info, message| {
        let (usage, at) = *began.get_or_insert_with(|| (Usage::now(), Instant::now()));
        v.piece(&message);
        if !info.more {
            v.end(info.sid.0, info.ppid.0);
        }
        if v.msgs == w.count {
            finished = Some((Usage::now().since(usage), at.elapsed().as_secs_f64()));
        }
    })?;
    let (u, wall) = finished.unwrap_or_default();
    let ok = v.errors == 0 && v.msgs == w.count;
    let counters = host.counters()?;
    println!("RESULT ok={} bytes={} msgs={} wall={wall:.6} user={:.6} sys={:.6}{counters}", u8::from(ok), v.bytes, v.msgs, u.user, u.sys);
    linger(stream);
    Ok(())
}

/// Stays for the end of the association, so that the other side is not left alone with its shutdown.
fn linger(stream: SctpStream) {
    // The result is out; how the association ends does not matter.
    drop(stream.close(Duration::from_secs(1)));
}

fn serve_echo(w: &Program) -> io::Result<()> {
    let (host, listener) = ready(w)?;
    let (stream, _) = listener.accept()?;
    let u = Usage::now();
    while let Some((info, message)) = stream.recv()? {
        stream.send_bytes(message, &SndInfo::stream(info.sid).ppid(info.ppid))?;
    }
    let (u, counters) = (Usage::now().since(u), host.counters()?);
    println!("RESULT ok=1 user={:.6} sys={:.6}{counters}", u.user, u.sys);
    linger(stream);
    Ok(())
}

fn serve_assocs(w: &Program) -> io::Result<()> {
    let (_host, listener) = ready(w)?;
    let u = Usage::now();
    for _ in 0..w.count {
        let (stream, _) = listener.accept()?;
        while stream.recv()?.is_some() {}
        stream.close(Duration::from_secs(1))?;
    }
    let u = Usage::now().since(u);
    println!("RESULT ok=1 user={:.6} sys={:.6}", u.user, u.sys);
    Ok(())
}

fn serve_idle(w: &Program) -> io::Result<()> {
    let (_host, listener) = ready(w)?;
    let before = rss_bytes();
    let mut all = Vec::new();
    for _ in 0..w.count {
        all.push(listener.accept()?.0);
    }
    rest(before, all)
}

fn idle(w: &Program) -> io::Result<()> {
    let host = Host::start(w)?;
    let before = rss_bytes();
    let mut all = Vec::new();
    for _ in 0..w.count {
        all.push(host.connect(w)?);
    }
    rest(before, all)
}

/// Tells the memory that idle associations take, and keeps them until the other side has looked, too.
fn rest(before: u64, all: Vec<SctpStream>) -> io::Result<()> {
    std::thread::sleep(Duration::from_secs(1));
    let each = (rss_bytes().saturating_sub(before)) as f64 / all.len().max(1) as f64;
    println!("RESULT ok=1 n={} rss_per={each:.1}", all.len());
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn bulk(w: &Program) -> io::Result<()> {
    let host = Host::start(w)?;
    let stream = host.connect(w)?;
    let (u, t) = (Usage::now(), Instant::now());
    let info = |seq: u64| {
        let info = SndInfo::stream(StreamId((seq % u64::from(w.streams)) as u16)).ppid(42u32);
        if w.unordered { info.unordered() } else { info }
    };
    if w.size < SMALL {
        let mut batch: Vec<(Bytes, SndInfo)> = Vec::with_capacity(MANY);
        let mut made = 0;
        while made < w.count || !batch.is_empty() {
            while made < w.count && batch.len() < MANY.min(MANY_BYTES / w.size) {
                batch.push((message(made as u32, w.size).into(), info(made)));
                made += 1;
            }
            let taken = stream.send_many(&batch)?;
            batch.drain(..taken);
        }
    } else {
        for seq in 0..w.count {
            stream.send_bytes(message(seq as u32, w.size).into(), &info(seq))?;
        }
    }
    let cwnd = stream.status()?.cwnd;
    stream.shutdown()?;
    while stream.recv()?.is_some() {}
    let (u, wall) = (Usage::now().since(u), t.elapsed().as_secs_f64());
    let (bytes, counters) = (w.size as u64 * w.count, host.counters()?);
    println!("RESULT ok=1 bytes={bytes} msgs={} wall={wall:.6} user={:.6} sys={:.6} cwnd={cwnd}{counters}", w.count, u.user, u.sys);
    Ok(())
}

fn pingpong(w: &Program) -> io::Result<()> {
    let host = Host::start(w)?;
    let stream = host.connect(w)?;
    let info = SndInfo::stream(StreamId(0)).ppid(42u32);
    let mut v = Verify::new(true, 2);
    let mut took = Vec::with_capacity(w.count as usize);
    let (u, t) = (Usage::now(), Instant::now());
    for seq in 0..w.count {
        let began = Instant::now();
        stream.send_bytes(message(seq as u32, w.size).into(), &info)?;
        let Some((info, answer)) = stream.recv()? else { break };
        took.push(began.elapsed().as_nanos() as u64);
        v.piece(&answer);
        v.end(info.sid.0, info.ppid.0);
    }
    let (u, wall) = (Usage::now().since(u), t.elapsed().as_secs_f64());
    let ok = v.errors == 0 && v.msgs == w.count;
    let (p50, p99) = (percentile(&mut took, 0.5) as f64 / 1e3, percentile(&mut took, 0.99) as f64 / 1e3);
    let (cwnd, counters) = (stream.status()?.cwnd, host.counters()?);
    println!(
        "RESULT ok={} msgs={} wall={wall:.6} user={:.6} sys={:.6} p50={p50} p99={p99} cwnd={cwnd}{counters}",
        u8::from(ok),
        v.msgs,
        u.user,
        u.sys
    );
    stream.close(Duration::from_secs(1))
}

fn assocs(w: &Program) -> io::Result<()> {
    let host = Host::start(w)?;
    let (u, t) = (Usage::now(), Instant::now());
    for _ in 0..w.count {
        host.connect(w)?.close(Duration::from_secs(1))?;
    }
    let (u, wall) = (Usage::now().since(u), t.elapsed().as_secs_f64());
    println!("RESULT ok=1 msgs={} wall={wall:.6} user={:.6} sys={:.6}", w.count, u.user, u.sys);
    Ok(())
}
