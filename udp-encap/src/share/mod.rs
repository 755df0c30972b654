//! One encapsulation port for all processes of a user.
//!
//! A kernel cannot tell SCTP ports apart behind one UDP port, so the processes do it among themselves. All of them hold
//! duplicates of the **same** UDP sockets and send on them by themselves. One at a time, the **reader**, receives; it hands each
//! train to the **member** that claimed the destination SCTP port, over a local stream socket. The reader keeps the table of
//! claims and tells every change to all members, and it beats every 100 ms. If its stream closes, or it is silent for 300 ms,
//! the member with the lowest number reads on: nobody has to bind anything, and what the kernel queued meanwhile is kept.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Reader: port was free
//!     [*] --> Member: welcomed by the reader
//!     Member --> Seeking: reader closed, silent, or told of a successor
//!     Seeking --> Member: welcomed by the successor
//!     Seeking --> Reader: everybody before us is gone or silent
//!     Reader --> Seeking: somebody reads under a higher reign
//! ```
//!
//! A reader that was stopped, by a signal or a debugger, may wake up and believe that it still reads. Therefore a successor
//! connects to the local socket of everybody it knows and says so, and a reader that finds its own beat late looks there before
//! it does anything else. The same connections tell the successor who has died: a name that refuses has no process behind it.
//!
//! | file | idea |
//! | --- | --- |
//! | `table.rs` | who has which SCTP port |
//! | `message.rs` | what is said, and the strict parser |
//! | `local.rs` | names of local sockets, same user only |
//! | `link.rs` | one stream with bounded queues |
//! | `conns.rs` | all streams and their readiness |
//! | `events.rs` | descriptors and their tokens |
//! | `route.rs` | trains cut by destination port |
//! | `owner.rs` | being the reader |
//! | `client.rs` | being a member, and finding a successor |
//! | `open.rs` | the start: bind or attach |
//! | `types.rs` | what the caller sees |
//!
//! A packet for a port that nobody claimed goes to the reader's own stack, which answers it as out of the blue. In the two
//! seconds after a take-over it is dropped instead, because the claim may be on its way; ports of a process known to be dead are
//! answered at once, and packets for members known to live are kept, up to 64 KiB each.

mod client;
mod conns;
mod events;
mod link;
mod local;
pub mod message;
mod open;
mod owner;
mod route;
pub mod table;
mod types;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use mio::{Interest, Registry};

use self::client::Seeking;
use self::conns::{Conns, Kind};
use self::events::TOKEN_CONNS;
use self::local::{Listener, Names};
use self::message::{Message, Reign};
use self::owner::Reader;
pub use self::table::ClaimError;
use self::table::{MemberId, PortTable};
pub use self::types::{Incoming, OpenError, Request, Role, ShareConfig};
use crate::batch::RecvBatch;
use crate::meta::Received;
use crate::socket::{Caps, Transmit, UdpEncap};

/// How often the reader shows that it lives.
pub const BEAT: Duration = Duration::from_millis(100);
/// How long a reader may be silent before it is displaced.
pub const SILENCE: Duration = Duration::from_millis(300);
/// How long packets for unknown ports are dropped after a take-over.
pub const HUSH: Duration = Duration::from_secs(2);

/// Trains that wait for [`SharedPort::recv`]; more are dropped.
const MAX_INCOMING: usize = 4_096;
/// Most that one [`SharedPort::recv`] hands out beside a batch of its own, so that the loop can look at the clock.
const AT_ONCE: usize = 32;
/// Claims without an answer; one more fails at once.
const MAX_CLAIMS: usize = 16_384;

/// Fills octets with randomness of the caller's.
type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

/// The local names of a process on a shared port.
#[derive(Debug)]
struct Local {
    names: Names,
    slot: u16,
    listener: Listener,
    /// The reader's.
    base: Option<Listener>,
    /// Connections may wait.
    accept: bool,
}

#[derive(Debug)]
enum State {
    Reader(Reader),
    Member { conn: usize, heard: Instant },
    Seeking(Seeking),
}

/// The time of the turn, or the true time if that is later: between the two the process may have been stopped. A wait for
/// others that began at the old time could end before they had a chance to answer, and we would displace a sound reader.
/// To be called after what begins the wait, so that a stop in between lengthens it.
#[allow(clippy::disallowed_methods, reason = "edge: the time of the turn is too old after a stop")]
fn not_before_now(now: Instant) -> Instant {
    now.max(Instant::now())
}

/// An encapsulation port, private or shared, as one event loop drives it.
///
/// Nothing blocks but [`SharedPort::open`] and [`SharedPort::claim`]. The loop passes the time in; it must be fresh in every
/// turn, or a stopped reader does not notice that it was displaced. A process that is stopped in the middle of a turn goes on
/// with an old time all the same; how long others were silent is therefore counted from a time of our own. In each turn call
/// [`SharedPort::recv`] until it returns `false`: readiness is edge-triggered.
pub struct SharedPort {
    udp: UdpEncap,
    batch: RecvBatch,
    udp_interest: Option<Interest>,
    /// A send was refused for want of buffer space.
    blocked: bool,
    table: PortTable,
    me: MemberId,
    reign: Reign,
    state: State,
    /// `None`: private.
    local: Option<Local>,
    conns: Conns,
    /// At most [`MAX_INCOMING`] trains, and few others.
    incoming: VecDeque<Incoming>,
    /// Claims that the reader has not answered, to be repeated to its successor; at most [`MAX_CLAIMS`].
    claims: BTreeMap<u32, u16>,
    next_request: u32,
    registry: Option<(Registry, usize)>,
    entropy: Entropy,
}

impl fmt::Debug for SharedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPort")
            .field("port", &self.udp.port())
            .field("me", &self.me)
            .field("reign", &self.reign)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl SharedPort {
    /// Number of mio tokens that a port uses, from the base given to [`SharedPort::register`] on.
    pub const TOKENS: usize = 512;

    /// Opens the port: binds it, or attaches to the processes of this user that have it. Random octets for ephemeral ports
    /// come from `entropy`. Attaching may wait for up to two seconds.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(config: &ShareConfig, entropy: impl FnMut(&mut [u8]) + Send + 'static) -> Result<Self, OpenError> {
        open::open(config, Box::new(entropy))
    }

    /// The UDP port.
    #[must_use]
    pub fn udp_port(&self) -> u16 {
        self.udp.port()
    }

    /// What the sockets can do.
    #[must_use]
    pub fn caps(&self) -> Caps {
        self.udp.caps()
    }

    /// See [`Caps::max_segments`].
    #[must_use]
    pub fn max_segments(&self) -> usize {
        self.udp.max_segments()
    }

    /// See [`UdpEncap::set_offload`]. What is received is joined or not for all who share the port, as the last one wanted it.
    ///
    /// # Errors
    /// Of the system.
    pub fn set_offload(&mut self, on: bool) -> io::Result<()> {
        self.udp.set_offload(on)
    }

    /// What this process is on the port.
    #[must_use]
    pub fn role(&self) -> Role {
        match (&self.local, &self.state) {
            (None, _) => Role::Private,
            (_, State::Reader(_)) => Role::Reader,
            (_, State::Member { .. } | State::Seeking(_)) => Role::Member,
        }
    }

    /// The generation of the reader; it rises with each take-over.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.reign.generation
    }

    /// When [`SharedPort::recv`] wants to be called, whether or not there is an event; `None` if only events matter.
    #[must_use]
    #[inline]
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.is_alone() { None } else { self.deadline_with_others() }
    }

    fn deadline_with_others(&self) -> Option<Instant> {
        let state = match &self.state {
            State::Reader(reader) => reader.deadline(),
            State::Member { heard, .. } => Some(*heard + SILENCE),
            State::Seeking(seeking) => Some(seeking.deadline),
        };
        state.into_iter().chain(self.conns.deadline()).min()
    }

    /// Looks after the other processes: hears them, and beats, or judges the reader's silence. Whether any had said something.
    fn attend(&mut self, now: Instant) -> bool {
        // Whatever others said comes before what their silence might mean.
        let progress = self.pump(now);
        for conn in self.conns.expired(now) {
            self.close(conn);
        }
        match &self.state {
            State::Reader(_) => self.beat(now),
            State::Member { conn, heard } if now.saturating_duration_since(*heard) >= SILENCE => {
                let conn = *conn;
                self.conns.set_readable(conn);
                self.pump(now);
                if matches!(&self.state, State::Member { heard, .. } if now.saturating_duration_since(*heard) >= SILENCE) {
                    tracing::warn!(reader = self.reign.reader, "the reader of the UDP port is silent");
                    self.lose_reader(false, now);
                }
            }
            State::Seeking(seeking) if now >= seeking.deadline => self.seek_on(now),
            State::Member { .. } | State::Seeking(_) => {}
        }
        self.flush_all(now);
        progress
    }

    /// Hands what happened to `sink`, at most one batch; whether there may be more. If not, there is nothing until the next event or
    /// deadline.
    ///
    /// # Errors
    /// Of the system, about the UDP sockets.
    pub fn recv(&mut self, now: Instant, mut sink: impl FnMut(Incoming)) -> io::Result<bool> {
        let alone = self.is_alone();
        let progress = !alone && self.attend(now);
        if self.incoming.is_empty() && self.reads() {
            self.receive(alone, now, &mut sink)?;
        }
        if !self.incoming.is_empty() {
            self.hand_out(&mut sink);
        }
        Ok(progress || !self.incoming.is_empty() || self.reads())
    }

    /// Hands out what waits for that.
    #[cold]
    fn hand_out(&mut self, sink: &mut impl FnMut(Incoming)) {
        self.incoming.drain(..self.incoming.len().min(AT_ONCE)).for_each(sink);
    }

    /// Whether this process reads the UDP sockets, and there may be something to read.
    fn reads(&self) -> bool {
        matches!(self.state, State::Reader(_)) && self.udp.is_ready()
    }

    /// Whether no other process has the port, is connected or knocks: then there is nothing to do but to read the UDP sockets.
    #[inline]
    fn is_alone(&self) -> bool {
        let knocks = self.local.as_ref().is_some_and(|local| local.accept);
        matches!(&self.state, State::Reader(reader) if reader.alone()) && !knocks && self.conns.is_empty()
    }

    /// Sends a datagram or a train, straight from this process. See [`UdpEncap::send`].
    ///
    /// # Errors
    /// As [`UdpEncap::send`]; [`Incoming::Writable`] follows a `WouldBlock`.
    pub fn send(&mut self, t: &Transmit, bytes: &[u8]) -> io::Result<()> {
        let result = self.udp.send(t, bytes);
        let refused = matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if (refused || self.udp.has_unsent()) && !self.blocked {
            self.blocked = true;
            self.log_interest();
        }
        result
    }

    /// Asks for an SCTP port, or with 0 for an ephemeral one. The answer is [`Incoming::Claimed`]; a change of the reader delays
    /// it, but does not lose it.
    pub fn start_claim(&mut self, port: u16, now: Instant) -> Request {
        let request = self.next_request;
        self.next_request = self.next_request.wrapping_add(1);
        let decided = match &self.state {
            State::Reader(_) => Some(self.claim_for(self.me, port, now)),
            _ if self.claims.len() >= MAX_CLAIMS => Some(Err(ClaimError::Exhausted)),
            _ => None,
        };
        match decided {
            Some(result) => self.incoming.push_back(Incoming::Claimed { request: Request(request), result }),
            None => {
                self.claims.insert(request, port);
                if let State::Member { conn, .. } = self.state {
                    self.tell(conn, &Message::Claim { request, port }, now);
                }
            }
        }
        Request(request)
    }

    /// Claims an SCTP port and waits for the answer, for at most `wait`. For the time before the event loop runs and for
    /// simple programs; whatever else comes in meanwhile is kept for [`SharedPort::recv`].
    ///
    /// # Errors
    /// [`ClaimError`].
    pub fn claim(&mut self, port: u16, wait: Duration) -> Result<u16, ClaimError> {
        open::claim(self, port, wait)
    }

    /// Gives an SCTP port back. Associations must be closed already: for others it just becomes free.
    pub fn release(&mut self, port: u16, now: Instant) {
        if !self.table.release(self.me, port, now) {
            return;
        }
        match self.state {
            State::Reader(_) => {
                self.broadcast(&Message::Freed { port });
                self.flush_all(now);
            }
            State::Member { conn, .. } => self.tell(conn, &Message::Release { port }, now),
            // The Attach to the next reader lists what is left.
            State::Seeking(_) => {}
        }
    }

    /// Does all the work that is ready on the local sockets; whether there was any.
    fn pump(&mut self, now: Instant) -> bool {
        let overdue = matches!(&self.state, State::Reader(reader) if reader.overdue(now));
        if overdue {
            if let Some(local) = &mut self.local {
                local.accept = true;
            }
            self.conns.set_all_readable();
        }
        // Strangers first: one of them may be the successor that displaced us while we were stopped, and then the closed
        // links of former members do not mean that these have died.
        let mut progress = self.read_strangers(now);
        for conn in self.conns.readable(false) {
            progress |= self.read(conn, now);
        }
        self.flush_all(now);
        progress
    }

    fn read_strangers(&mut self, now: Instant) -> bool {
        let mut progress = self.accept(now);
        for conn in self.conns.readable(true) {
            progress |= self.read(conn, now);
        }
        progress
    }

    /// Looks whether strangers have come, whether or not an event told of it.
    fn hear_strangers(&mut self, now: Instant) {
        if let Some(local) = &mut self.local {
            local.accept = true;
        }
        self.read_strangers(now);
    }

    fn accept(&mut self, now: Instant) -> bool {
        let Some(local) = &mut self.local else {
            return false;
        };
        if !std::mem::take(&mut local.accept) {
            return false;
        }
        let mut streams = Vec::new();
        for listener in local.base.iter().chain([&local.listener]) {
            // One more than the strangers that are admitted, so that a crowd of them is turned away.
            while let Some(stream) = listener.accept() {
                streams.push(stream);
            }
        }
        let any = !streams.is_empty();
        for stream in streams {
            if let Some(conn) = self.add_conn(stream, Kind::Stranger { until: now + conns::PATIENCE }) {
                self.conns.set_readable(conn);
            }
        }
        any
    }

    fn read(&mut self, conn: usize, now: Instant) -> bool {
        let Some(serial) = self.conns.serial(conn) else {
            return false;
        };
        match self.conns.read(conn) {
            Ok(0) => return false,
            Ok(_) => {
                if let State::Member { conn: upstream, heard } = &mut self.state
                    && *upstream == conn
                {
                    *heard = not_before_now(now);
                }
            }
            Err(broken) => {
                tracing::debug!(%broken, conn, "local link ended");
                self.broken(conn, now);
                return true;
            }
        }
        // A message may end the connection, and its place may be taken by a new one.
        while self.conns.serial(conn) == Some(serial) {
            match self.conns.next(conn) {
                Ok(Some(message)) => self.handle(conn, message, now),
                Ok(None) => break,
                Err(broken) => {
                    tracing::warn!(%broken, conn, "local link brought nonsense");
                    self.broken(conn, now);
                }
            }
        }
        true
    }

    fn handle(&mut self, conn: usize, message: Message, now: Instant) {
        match (self.conns.kind(conn), message) {
            (Some(Kind::Stranger { .. }), Message::Attach { id, slot, generation, sockets, ports }) => {
                let attach = conns::Attach { id, slot, generation, sockets, ports: ports.into_iter().collect() };
                self.attach(conn, attach, now);
            }
            (Some(Kind::Stranger { .. } | Kind::Notice(_)), Message::Successor { reign, slot }) => {
                self.hear_successor(conn, reign, slot, now);
            }
            (Some(Kind::Member(id)), message) => {
                let id = *id;
                self.hear_member(conn, id, message, now);
            }
            (Some(Kind::Upstream), message) => self.hear_reader(conn, message, now),
            (Some(Kind::Seek), message) => self.hear_candidate(conn, message, now),
            (kind, message) => {
                tracing::warn!(?kind, ?message, "message out of place");
                self.broken(conn, now);
            }
        }
    }

    /// Ends a connection that the other side closed or misused.
    fn broken(&mut self, conn: usize, now: Instant) {
        let Some(kind) = self.close(conn) else { return };
        match kind {
            Kind::Member(id) => self.link_lost(id, now),
            Kind::Upstream => self.lose_reader(true, now),
            Kind::Seek => self.seek_on(now),
            Kind::Notice(id) => self.notice_ended(id, now),
            Kind::Stranger { .. } | Kind::Held { .. } | Kind::Noticed => {}
        }
    }

    fn add_conn(&mut self, stream: std::os::unix::net::UnixStream, kind: Kind) -> Option<usize> {
        let registry = self.registry.as_ref().map(|(registry, base)| (registry, base.saturating_add(TOKEN_CONNS)));
        match self.conns.add(stream, kind, registry) {
            Ok(conn) => Some(conn),
            Err(error) => {
                tracing::warn!(%error, "cannot take another local connection");
                None
            }
        }
    }

    fn close(&mut self, conn: usize) -> Option<Kind> {
        self.conns.remove(conn, self.registry.as_ref().map(|(registry, _)| registry))
    }

    /// Queues a message and tries to write it.
    fn tell(&mut self, conn: usize, message: &Message, now: Instant) {
        self.conns.push(conn, message);
        self.flush(conn, now);
    }

    fn flush(&mut self, conn: usize, now: Instant) {
        let registry = self.registry.as_ref().map(|(registry, base)| (registry, base.saturating_add(TOKEN_CONNS)));
        match self.conns.flush(conn, registry) {
            Ok(None) => {}
            Ok(Some(missed)) => {
                // The member was too slow for the changes; now it gets the result.
                self.conns.push(conn, &Message::Table { table: self.table.snapshot(now) });
                self.tell_deaths(conn, missed);
            }
            Err(broken) => {
                // What it sent before it went is still to be read; the read will end the connection.
                tracing::debug!(%broken, conn, "cannot write to local link");
                self.conns.set_readable(conn);
            }
        }
    }

    fn flush_all(&mut self, now: Instant) {
        for conn in self.conns.waiting() {
            self.flush(conn, now);
        }
    }

    fn role_changed(&mut self) {
        let (role, generation) = (self.role(), self.reign.generation);
        tracing::info!(?role, generation, me = self.me, reader = self.reign.reader, "role on the shared UDP port");
        self.incoming.push_back(Incoming::RoleChanged { role, generation });
    }

    fn deliver(&mut self, train: Received) {
        if self.incoming.len() < MAX_INCOMING {
            self.incoming.push_back(Incoming::Train(train));
        }
    }
}

/// Says goodbye, so that nobody takes the end for a crash.
impl Drop for SharedPort {
    fn drop(&mut self) {
        for conn in self.conns.peers() {
            self.conns.push(conn, &Message::Goodbye);
            // Best effort: the end of the stream says nearly the same.
            let _ = self.conns.flush(conn, None);
        }
    }
}
