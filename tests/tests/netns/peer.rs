//! A peer: it returns every message that it gets, sends messages to whom it is told, and looks at each byte that comes back.
//!
//! Its settings are words: `port=N` (its SCTP port), `udp=N` (the UDP port, else 9899), `private` (not shared), `noudp`, `raw`, `alone` (on raw IP), `tun=NAME,IP,..`, `bind=IP,..`
//! (addresses of the endpoint), `advertise=IP,..`, `nat=yes`, `families=4` or `6`, `streams=N`, `dscp=N`, `flow=N`,
//! `addip` or `addip=no` (whether addresses may change while an association lives).
//! Its commands are lines; answers begin with the command's word:
//! * `connect ADDR:PORT ..` opens an association and answers its number; `raw/` before an address has it reached over IP alone,
//!   `udp:N/` over UDP port N;
//! * `talk K SIZE WINDOW` sends numbered messages of up to SIZE bytes, WINDOW of them at a time;
//! * `rest K` sends no more until `talk`;
//! * `status` answers the role of a shared port, and of each association `K:returned:wrong:longest gap in ms since last asked:sent`;
//! * `paths K` answers `peer,local,state,channel,MTU` for each path, and `local K` our addresses;
//! * `primary K ADDR` makes a path the primary one;
//! * `finish K` sends no more, waits for what is out and closes; `quit` ends.
//!
//! News: `up K`, `path K ADDR CHANGE`, `lost K REASON`, `failed K` for a message not delivered.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use sctp_user::socket::{Handle, Notification, RcvInfo, Received, Runtime, SctpSocket, SndInfo, SocketNode};
use sctp_user::{AssocConfig, AssocId, Channel, CloseReason, EndpointConfig, Families, Nat, PeerAddr};

/// First byte of a message, and of the message when it comes back; a number follows, then bytes that the number determines.
const REQUEST: u8 = b'?';
const ANSWER: u8 = b'!';
/// How often it looks at its commands when nothing arrives.
const BEAT: Duration = Duration::from_millis(5);
/// Most messages read before it looks at its commands.
const TURN: usize = 64;

/// An association.
struct Talk {
    id: AssocId,
    size: usize,
    window: u64,
    sent: u64,
    /// Came back in the order of their stream and unharmed.
    answered: u64,
    wrong: u64,
    /// By stream, the number that comes back next.
    next: BTreeMap<u16, u64>,
    last: Instant,
    longest_gap: Duration,
    finishing: bool,
    over: bool,
}

impl Talk {
    fn new(id: AssocId) -> Self {
        let last = Instant::now();
        Self {
            id,
            size: 0,
            window: 0,
            sent: 0,
            answered: 0,
            wrong: 0,
            next: BTreeMap::new(),
            last,
            longest_gap: Duration::ZERO,
            finishing: false,
            over: false,
        }
    }
}

struct Peer {
    socket: SctpSocket,
    handle: Handle<SocketNode>,
    talks: Vec<Talk>,
    by_id: BTreeMap<AssocId, usize>,
    streams: u16,
}

/// Runs until `quit` or the end of standard input.
pub(super) fn run(settings: &str) -> io::Result<()> {
    let mut builder = Runtime::builder();
    let mut endpoint = EndpointConfig::new(5000);
    let mut cfg = quick();
    for word in settings.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "port" => endpoint.port = number(value)?,
            "udp" => builder = builder.udp_port(number(value)?),
            "noudp" => builder = builder.no_udp(),
            "raw" => builder = builder.raw(),
            "alone" => builder = builder.raw_alone(true),
            "tun" => {
                let (name, addrs) = value.split_once(',').unwrap_or((value, ""));
                builder = builder.tun(name, addresses(addrs)?);
            }
            "addip" => (cfg.auth, cfg.add_ip) = (value != "no", value != "no"),
            "private" => builder = builder.share(false),
            "bind" => endpoint.bind = addresses(value)?,
            "advertise" => cfg.advertise = Some(addresses(value)?.into()),
            "nat" => cfg.nat = if value == "yes" { Nat::Yes } else { Nat::No },
            "families" => cfg.families = if value == "4" { Families::Ipv4 } else { Families::Ipv6 },
            "streams" => cfg.outbound_streams = number(value)?,
            "dscp" => cfg.dscp = number(value)?,
            "flow" => cfg.flow_label = number(value)?,
            _ => return Err(io::Error::other(format!("unknown setting {word}"))),
        }
    }
    let streams = cfg.outbound_streams;
    endpoint.assoc = Arc::new(cfg);
    let runtime = builder.build()?;
    if let Some(conflict) = runtime.raw_conflict() {
        say(&format!("conflict {conflict:?}"))?;
    }
    let node = SocketNode::new(runtime.stack_config())?;
    let handle = runtime.spawn(node)?;
    let socket = SctpSocket::bind_with(&handle, endpoint)?;
    socket.listen(16)?;
    let mut peer = Peer { socket, handle, talks: Vec::new(), by_id: BTreeMap::new(), streams };
    let commands = commands();
    say("ready")?;
    loop {
        match commands.try_recv() {
            Ok(line) if line == "quit" => return Ok(()),
            Ok(line) => {
                let word = line.split_whitespace().next().unwrap_or_default().to_owned();
                let answer = peer.obey(&line).unwrap_or_else(|err| format!("error {err}"));
                say(&format!("{word} {answer}"))?;
            }
            Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => {}
        }
        peer.talk()?;
        peer.listen()?;
    }
}

/// Failures are noticed soon, and nothing gives up soon.
fn quick() -> AssocConfig {
    let mut cfg = AssocConfig::rfc();
    cfg.rto_initial = Duration::from_millis(500);
    cfg.rto_min = Duration::from_millis(200);
    cfg.rto_max = Duration::from_secs(2);
    cfg.hb_interval = Some(Duration::from_secs(1));
    cfg.path_max_retrans = 2;
    cfg.assoc_max_retrans = 30;
    cfg
}

impl Peer {
    fn obey(&mut self, line: &str) -> io::Result<String> {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["connect", ref addrs @ ..] => {
                let peers = addrs.iter().map(|a| self.peer_addr(a)).collect::<io::Result<Vec<_>>>()?;
                let id = self.socket.connect_with(&peers, None)?;
                Ok(self.enter(id).to_string())
            }
            ["talk", k, size, window] => {
                let talk = self.by_number(k)?;
                (talk.size, talk.window, talk.last, talk.longest_gap) = (number(size)?, number(window)?, Instant::now(), Duration::ZERO);
                Ok(k.to_owned())
            }
            ["rest", k] => {
                self.by_number(k)?.window = 0;
                Ok(k.to_owned())
            }
            ["status"] => {
                let sharing = self.handle.sharing()?;
                let mut line = sharing.map_or("alone", |s| if s.reader { "reader" } else { "member" }).to_owned();
                for (k, t) in self.talks.iter_mut().enumerate() {
                    let silence = if t.answered < t.sent { t.last.elapsed() } else { Duration::ZERO };
                    line += &format!(" {k}:{}:{}:{}:{}", t.answered, t.wrong, t.longest_gap.max(silence).as_millis(), t.sent);
                    t.longest_gap = Duration::ZERO;
                }
                Ok(line)
            }
            ["paths", k] => {
                let id = self.by_number(k)?.id;
                let snapshot = self.socket.snapshot(id)?;
                let path = |p: &sctp_user::stack::PathSnapshot| {
                    let local = p.local.map_or("any".to_owned(), |a| a.to_string());
                    format!("{},{local},{},{},{}", p.addr, p.state, channel(p.channel), p.mtu)
                };
                Ok(snapshot.paths.iter().map(path).collect::<Vec<_>>().join(" "))
            }
            ["local", k] => {
                let id = self.by_number(k)?.id;
                Ok(self.socket.local_addrs(id)?.iter().map(|a| a.ip().to_string()).collect::<Vec<_>>().join(" "))
            }
            ["finish", k] => {
                self.by_number(k)?.finishing = true;
                Ok(k.to_owned())
            }
            _ => Err(io::Error::other("unknown command")),
        }
    }

    fn peer_addr(&self, word: &str) -> io::Result<PeerAddr> {
        let (over, addr) = word.split_once('/').unwrap_or(("", word));
        let addr: SocketAddr = addr.parse().map_err(io::Error::other)?;
        let channel = match over.split_once(':') {
            None if over.is_empty() => None,
            None => Some(Channel::Raw),
            Some((_, port)) => Some(Channel::Udp { local: self.handle.udp_port()?, remote: number(port)? }),
        };
        Ok(PeerAddr { addr, channel })
    }

    fn enter(&mut self, id: AssocId) -> usize {
        *self.by_id.entry(id).or_insert_with(|| {
            self.talks.push(Talk::new(id));
            self.talks.len() - 1
        })
    }

    fn by_number(&mut self, k: &str) -> io::Result<&mut Talk> {
        let k: usize = number(k)?;
        self.talks.get_mut(k).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Fills the windows, and closes what is done.
    fn talk(&mut self) -> io::Result<()> {
        for (k, t) in self.talks.iter_mut().enumerate().filter(|(_, t)| !t.over) {
            while !t.finishing && t.sent < t.answered + t.wrong + t.window {
                let stream = u16::try_from(t.sent % u64::from(self.streams)).unwrap_or_default();
                let message = message(t.sent, t.size);
                if t.sent == t.answered {
                    t.last = Instant::now();
                }
                match self.socket.send(t.id, &message, &SndInfo::stream(stream)) {
                    Ok(()) => t.sent += 1,
                    Err(err) => {
                        say(&format!("refused {k} {err}"))?;
                        t.over = true;
                        break;
                    }
                }
            }
            if t.finishing && t.sent == t.answered + t.wrong {
                t.finishing = false;
                t.over = true;
                self.socket.shutdown(t.id)?;
            }
        }
        Ok(())
    }

    /// Takes what has come.
    fn listen(&mut self) -> io::Result<()> {
        self.socket.set_read_timeout(Some(BEAT))?;
        for _ in 0..TURN {
            match self.socket.recv() {
                Ok(Received::Message(info, message)) => self.hear(&info, &message)?,
                Ok(Received::Notification(note)) => self.note(note)?,
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(err) => return Err(err),
            }
            self.talk()?;
        }
        Ok(())
    }

    fn hear(&mut self, info: &RcvInfo, bytes: &[u8]) -> io::Result<()> {
        if bytes.first() == Some(&REQUEST) {
            let mut answer = bytes.to_vec();
            answer[0] = ANSWER;
            let stream = info.sid.0 % self.streams;
            if let Err(err) = self.socket.send(info.assoc, &answer, &SndInfo::stream(stream)) {
                say(&format!("unreturned {err}"))?;
            }
            return Ok(());
        }
        let Some(t) = self.by_id.get(&info.assoc).and_then(|k| self.talks.get_mut(*k)) else { return Ok(()) };
        // Numbers go round the streams: on each they come back in order, none twice and none left out.
        let expected = t.next.entry(info.sid.0).or_insert_with(|| info.sid.0.into());
        let right = bytes.get(1..) == message(*expected, t.size).get(1..);
        *expected += u64::from(self.streams);
        *if right { &mut t.answered } else { &mut t.wrong } += 1;
        t.longest_gap = t.longest_gap.max(t.last.elapsed());
        t.last = Instant::now();
        Ok(())
    }

    fn note(&mut self, note: Notification) -> io::Result<()> {
        let k = self.enter(note.assoc());
        match note {
            Notification::CommUp { .. } => say(&format!("up {k}")),
            Notification::PathState { addr, change, .. } => say(&format!("path {k} {addr} {change:?}")),
            Notification::SendFailed { .. } => say(&format!("failed {k}")),
            Notification::CommLost { reason, .. } | Notification::CantStart { reason, .. } => {
                let t = &mut self.talks[k];
                t.over = true;
                let graceful = if reason == CloseReason::Shutdown { "closed" } else { "lost" };
                say(&format!("{graceful} {k} sent={} returned={} wrong={} {reason:?}", t.sent, t.answered, t.wrong))
            }
            _ => Ok(()),
        }
    }
}

/// The message with this number: everything in it follows from the number, its length too.
fn message(n: u64, size: usize) -> Vec<u8> {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    let len = usize::try_from(next() % u64::try_from(size.max(1)).unwrap_or(1)).unwrap_or(0);
    let mut out = vec![REQUEST];
    out.extend(n.to_be_bytes());
    while out.len() < len {
        out.extend(next().to_be_bytes());
    }
    out
}

fn channel(channel: Channel) -> String {
    match channel {
        Channel::Raw => "raw".to_owned(),
        Channel::Udp { remote, .. } => format!("udp:{remote}"),
        other => format!("{other:?}"),
    }
}

fn number<T: std::str::FromStr>(word: &str) -> io::Result<T> {
    word.parse().map_err(|_| io::Error::other(format!("not a number: {word:?}")))
}

fn addresses(list: &str) -> io::Result<Vec<IpAddr>> {
    list.split(',').map(|a| a.parse().map_err(io::Error::other)).collect()
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

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "@{line}")?;
    out.flush()
}
