//! The start, which may wait: bind the port, or attach to who has it. And the waiting form of a claim.
#![allow(clippy::disallowed_methods, reason = "edge: before its event loop runs, a process waits for the answers of another one")]

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::conns::Conns;
use super::link::{Link, READ_SIZE};
use super::local::{self, Listener, Name, Names};
use super::message::{MAX_SLOTS, Message, Reign};
use super::owner::Reader;
use super::table::{ClaimError, MemberId, PortTable, Snapshot};
use super::{Entropy, Incoming, Kind, Local, OpenError, Request, SILENCE, ShareConfig, SharedPort, State};
use crate::batch::RecvBatch;
use crate::socket::UdpEncap;

/// How long we try when processes of ours are there, but do not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long we try when nobody of ours is to be seen: a process may just be starting or ending.
const GLIMPSE: Duration = Duration::from_millis(200);
/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(10);
/// How often we follow a hint to another process.
const MAX_REDIRECTIONS: usize = 8;

pub(super) fn open(config: &ShareConfig, entropy: Entropy) -> Result<SharedPort, OpenError> {
    let port = config.udp_port;
    let io = |source| OpenError::Io { port, source };
    if !config.share || port == 0 {
        return match UdpEncap::bind(config.bind, port) {
            Ok(udp) => Ok(first(udp, None, entropy)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(OpenError::OtherUser { port }),
            Err(error) => Err(io(error)),
        };
    }
    let names = Names::new(&config.namespace, port, config.directory.clone()).map_err(io)?;
    let start = Instant::now();
    let mut slot = None;
    loop {
        match UdpEncap::bind(config.bind, port) {
            Ok(udp) => {
                let (slot, listener) = match slot {
                    Some(slot) => slot,
                    None => names.listen_slot().map_err(io)?,
                };
                let base = names.listen(Name::Base).inspect_err(|error| tracing::debug!(%error, "no base name")).ok();
                return Ok(first(udp, Some(Local { names, slot, listener, base, accept: true }), entropy));
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(io(error)),
        }
        let (own, listener) = match slot.take() {
            Some(slot) => slot,
            None => names.listen_slot().map_err(io)?,
        };
        let alive = match find(&names, own) {
            Found::Welcome(welcome) => {
                return attached(port, *welcome, (names, own, listener), entropy).map_err(io);
            }
            Found::Silence => true,
            Found::Nobody => false,
        };
        slot = Some((own, listener));
        let waited = start.elapsed();
        if !alive && waited >= GLIMPSE {
            return Err(OpenError::OtherUser { port });
        }
        if waited >= PATIENCE {
            return Err(OpenError::NoAnswer { port });
        }
        std::thread::sleep(PAUSE);
    }
}

fn first(udp: UdpEncap, local: Option<Local>, entropy: Entropy) -> SharedPort {
    let now = Instant::now();
    let mut table = PortTable::default();
    let me = table.join(local.as_ref().map_or(0, |local| local.slot)).unwrap_or(1);
    let state = State::Reader(Reader::first(now));
    assemble(udp, table, me, Reign { generation: 1, reader: me }, state, (local, Conns::default(), entropy))
}

fn attached(port: u16, welcome: Welcome, (names, slot, listener): (Names, u16, Listener), entropy: Entropy) -> io::Result<SharedPort> {
    let now = Instant::now();
    let mut udp = UdpEncap::from_fds(welcome.fds)?;
    if udp.port() != port {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "handed a socket of another port"));
    }
    udp.read_errors(false);
    let table = PortTable::load(&welcome.table, now);
    let mut conns = Conns::default();
    let conn = conns.add_link(welcome.link, Kind::Upstream, None)?;
    let state = State::Member { conn, heard: now };
    let local = Local { names, slot, listener, base: None, accept: true };
    Ok(assemble(udp, table, welcome.id, welcome.reign, state, (Some(local), conns, entropy)))
}

fn assemble(
    udp: UdpEncap,
    table: PortTable,
    me: MemberId,
    reign: Reign,
    state: State,
    (local, conns, entropy): (Option<Local>, Conns, Entropy),
) -> SharedPort {
    SharedPort {
        udp,
        batch: RecvBatch::new(),
        udp_interest: None,
        blocked: false,
        table,
        me,
        reign,
        state,
        local,
        conns,
        incoming: VecDeque::new(),
        claims: BTreeMap::new(),
        next_request: 0,
        registry: None,
        entropy,
    }
}

/// A reader's answer to a newcomer.
struct Welcome {
    link: Link,
    reign: Reign,
    id: MemberId,
    table: Snapshot,
    fds: Vec<OwnedFd>,
}

enum Found {
    Welcome(Box<Welcome>),
    /// Somebody is there, but did not answer.
    Silence,
    Nobody,
}

/// Looks for the reader: first where it should be, then at all the slots at once, as it may be frozen, or just be changing.
fn find(names: &Names, own: u16) -> Found {
    let mut silence = false;
    for everywhere in [false, true] {
        let targets: Vec<Name> =
            if everywhere { (0u16..).take(MAX_SLOTS).filter(|slot| *slot != own).map(Name::Slot).collect() } else { vec![Name::Base] };
        let mut asked = Vec::new();
        for name in targets {
            silence |= ask(names, name, own, &mut asked);
        }
        if let Some(welcome) = wait(names, own, asked) {
            return Found::Welcome(Box::new(welcome));
        }
    }
    if silence { Found::Silence } else { Found::Nobody }
}

/// A process that was asked, and the descriptors that came from it.
struct Asked {
    link: Link,
    fds: Vec<OwnedFd>,
}

/// Asks one process; whether there is one.
fn ask(names: &Names, name: Name, slot: u16, asked: &mut Vec<Asked>) -> bool {
    let attach = Message::Attach { id: 0, slot, generation: 0, sockets: true, ports: Vec::new() };
    match names.connect(name).and_then(Link::new) {
        Ok(mut link) => {
            link.push(&attach);
            if link.flush().is_ok() {
                asked.push(Asked { link, fds: Vec::new() });
            }
            true
        }
        // Another user's process behind our name is nobody of ours.
        Err(error) => !local::nobody_there(&error) && error.kind() != io::ErrorKind::PermissionDenied,
    }
}

/// Waits until one of those asked takes us on, for as long as a reader may be silent.
fn wait(names: &Names, slot: u16, mut asked: Vec<Asked>) -> Option<Welcome> {
    let until = Instant::now() + SILENCE;
    let mut scratch = vec![0; READ_SIZE];
    let mut redirections = 0usize;
    while !asked.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let ready = wait_readable(asked.iter().map(|asked| asked.link.as_fd()), left);
        let mut hints = Vec::new();
        let mut index = 0usize;
        for ready in ready {
            let Some(one) = asked.get_mut(index) else {
                break;
            };
            if !ready {
                index = index.saturating_add(1);
                continue;
            }
            let read = one.link.read_with_fds(&mut scratch, &mut one.fds);
            let message = match one.link.next() {
                Ok(Some(message)) => message,
                Ok(None) if read.is_ok() => {
                    index = index.saturating_add(1);
                    continue;
                }
                _ => {
                    asked.remove(index);
                    continue;
                }
            };
            let one = asked.remove(index);
            match message {
                Message::Welcome { reign, id, table, refused: _ } => {
                    return Some(Welcome { link: one.link, reign, id, table, fds: one.fds });
                }
                Message::Redirect { slot, .. } => hints.push(slot),
                other => tracing::debug!(message = ?other, "unexpected answer"),
            }
        }
        for hint in hints {
            redirections = redirections.saturating_add(1);
            if redirections <= MAX_REDIRECTIONS {
                ask(names, Name::Slot(hint), slot, &mut asked);
            }
        }
    }
    None
}

/// Waits for input; for each descriptor whether it has some, or has ended.
fn wait_readable<'a>(fds: impl Iterator<Item = std::os::fd::BorrowedFd<'a>>, wait: Duration) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let timeout = Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(wait.subsec_nanos()) };
    // An interrupted wait says that nothing is ready, and the caller looks at the clock.
    let _ = poll(&mut polled, Some(&timeout));
    polled.iter().map(|fd| !fd.revents().is_empty()).collect()
}

/// See [`SharedPort::claim`].
pub(super) fn claim(shared: &mut SharedPort, port: u16, wait: Duration) -> Result<u16, ClaimError> {
    let until = Instant::now() + wait;
    let request = shared.start_claim(port, Instant::now());
    loop {
        if let Some(result) = take_claimed(shared, request) {
            return result;
        }
        let now = Instant::now();
        if now >= until {
            shared.claims.remove(&request.0);
            return Err(ClaimError::TimedOut);
        }
        let deadline = shared.next_deadline().map_or(until, |deadline| deadline.min(until));
        let local = shared.local.as_ref().map(|local| local.listener.as_fd());
        let base = shared.local.as_ref().and_then(|local| Some(local.base.as_ref()?.as_fd()));
        wait_readable(shared.conns.fds().chain(local).chain(base), deadline.saturating_duration_since(now));
        shared.conns.set_all_readable();
        if let Some(local) = &mut shared.local {
            local.accept = true;
        }
        shared.attend(Instant::now());
    }
}

fn take_claimed(shared: &mut SharedPort, request: Request) -> Option<Result<u16, ClaimError>> {
    let at = shared.incoming.iter().position(|incoming| matches!(incoming, Incoming::Claimed { request: r, .. } if *r == request))?;
    match shared.incoming.remove(at) {
        Some(Incoming::Claimed { result, .. }) => Some(result),
        _ => None,
    }
}
