//! One process of the show: it answers requests, sends requests to whom it is told, and counts.
//!
//! Commands on standard input: `talk PORT`, `status`, `quit`. Answers and news on standard output, one a line.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use sctp_user::AssocId;
use sctp_user::socket::{Notification, Received, Runtime, RuntimeError, SctpSocket, SndInfo, SocketNode};

/// First byte of a request and of its answer; a number follows.
const REQUEST: u8 = b'?';
const ANSWER: u8 = b'!';
/// Requests sent and not yet answered.
const WINDOW: u64 = 4;
/// How often it looks at its commands and sends.
const BEAT: Duration = Duration::from_millis(2);

/// A peer that we send requests to.
struct Talk {
    port: u16,
    sent: u64,
    answered: u64,
    last: Instant,
    longest_gap: Duration,
    /// Answers that were not the next one.
    wrong: u64,
}

/// Runs until `quit` or the end of standard input.
pub fn run(udp_port: u16, sctp_port: u16) -> io::Result<()> {
    let runtime = Runtime::builder().udp_port(udp_port).build().map_err(explain)?;
    let node = SocketNode::new(runtime.stack_config())?;
    let handle = runtime.spawn(node)?;
    let socket = SctpSocket::bind(&handle, sctp_port)?;
    socket.listen(16)?;
    socket.set_read_timeout(Some(BEAT))?;
    let commands = commands();
    let mut talks: BTreeMap<AssocId, Talk> = BTreeMap::new();
    say("ready")?;
    loop {
        match commands.try_recv() {
            Ok(line) => match line.split_once(' ').map_or((line.as_str(), ""), |(a, b)| (a, b)) {
                ("talk", port) => {
                    let port = port.parse().map_err(io::Error::other)?;
                    let id = associate(&socket, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
                    let last = Instant::now();
                    talks.insert(id, Talk { port, sent: 0, answered: 0, last, longest_gap: Duration::ZERO, wrong: 0 });
                }
                ("status", _) => {
                    let sharing = handle.sharing()?;
                    let role = sharing.map_or("alone", |s| if s.reader { "reader" } else { "member" });
                    let mut line = format!("status {role}");
                    for t in talks.values_mut() {
                        let gap = t.longest_gap.max(t.last.elapsed());
                        line += &format!(" {}:{}:{}:{}", t.port, t.answered, t.wrong, gap.as_millis());
                        t.longest_gap = Duration::ZERO;
                    }
                    say(&line)?;
                }
                _ => return Ok(()),
            },
            Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => {}
        }
        for (id, talk) in &mut talks {
            while talk.sent < talk.answered + WINDOW {
                let mut request = vec![REQUEST];
                request.extend(talk.sent.to_be_bytes());
                if socket.send(*id, &request, &SndInfo::default()).is_err() {
                    break;
                }
                talk.sent += 1;
            }
        }
        // Everything that has come, but new requests only with the next beat.
        let until = Instant::now() + BEAT;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
            socket.set_read_timeout(Some(left))?;
            match socket.recv() {
                Ok(received) => hear(&socket, &mut talks, received)?,
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => break,
                Err(err) => return Err(err),
            }
        }
    }
}

/// Opens an association, or finds the one that the peer was faster to open.
fn associate(socket: &SctpSocket, peer: SocketAddr) -> io::Result<AssocId> {
    match socket.connect(peer) {
        Err(err) if err.raw_os_error() == Some(rustix::io::Errno::ISCONN.raw_os_error()) => {
            socket.find(peer)?.ok_or_else(|| io::ErrorKind::NotConnected.into())
        }
        other => other,
    }
}

fn hear(socket: &SctpSocket, talks: &mut BTreeMap<AssocId, Talk>, received: Received) -> io::Result<()> {
    match received {
        Received::Message(info, message) => match message.first() {
            Some(&REQUEST) => {
                let mut answer = message.to_vec();
                if let Some(first) = answer.first_mut() {
                    *first = ANSWER;
                }
                // A peer that is gone is told by a notification.
                drop(socket.send(info.assoc, &answer, &SndInfo::default()));
            }
            _ => {
                if let Some(talk) = talks.get_mut(&info.assoc) {
                    if message.get(1..) != Some(talk.answered.to_be_bytes().as_slice()) {
                        talk.wrong += 1;
                    }
                    talk.answered += 1;
                    talk.longest_gap = talk.longest_gap.max(talk.last.elapsed());
                    talk.last = Instant::now();
                }
            }
        },
        Received::Notification(Notification::CommLost { assoc, reason }) => {
            if let Some(talk) = talks.remove(&assoc) {
                say(&format!("lost {} {reason:?}", talk.port))?;
            }
        }
        Received::Notification(_) => {}
    }
    Ok(())
}

/// The lines of standard input; a thread of its own reads them.
fn commands() -> Receiver<String> {
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if line.is_err() || line.is_ok_and(|line| tx.send(line).is_err()) {
                return;
            }
        }
    });
    rx
}

fn explain(err: RuntimeError) -> io::Error {
    err.into()
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "@{line}")?;
    out.flush()
}
