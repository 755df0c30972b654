//! The engine: waits for sockets and timers, and drives the node under its lock.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::Waker;
use core::time::Duration;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, TryLockError};

use mio::{Events, Poll};

use super::errno;
use super::handle::Handle;
use super::lower::{Lower, WAKE, WATCH};
use crate::node::Node;
use crate::time::Time;
use crate::transport::clock::MonoClock;
use crate::transport::watch::AddressWatcher;

/// How long a waiter of a caller-driven runtime sleeps while another thread turns it, before it tries to turn it itself.
const HAND_OVER: Duration = Duration::from_millis(20);

/// How often the polling thread steps back for callers, at most, before it takes the lock.
const YIELDS: usize = 64;

/// What waits for events: everything that is not needed under the node's lock.
pub(super) struct Poller {
    poll: Poll,
    events: Events,
    watcher: AddressWatcher,
}

/// A bound runtime without its node.
pub(super) struct Engine {
    pub(super) lower: Lower,
    pub(super) poller: Poller,
    pub(super) waker: mio::Waker,
    pub(super) clock: MonoClock,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("udp_port", &self.lower.udp_port()).finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) fn new(mut lower: Lower, clock: MonoClock, bound: Option<IpAddr>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKE)?;
        lower.register(poll.registry())?;
        let events = Events::with_capacity(64);
        let watcher = AddressWatcher::new(bound.into_iter().collect());
        watcher.register(poll.registry(), WATCH)?;
        let poller = Poller { poll, events, watcher };
        Ok(Self { lower, poller, waker, clock })
    }
}

/// What the lock protects.
pub(super) struct State<N> {
    pub(super) node: N,
    pub(super) lower: Lower,
    /// When the thread that polls will wake up by itself at the latest.
    planned: Time,
    /// Whether input is left that no event will announce again.
    more: bool,
    /// Threads that wait on the condition variable.
    waiters: usize,
    /// Tasks that wait for the answer to a claim; woken whenever anything happens.
    pub(super) claimers: Vec<Waker>,
    /// The thread that polls has ended: nothing will ever happen again.
    pub(super) stopped: bool,
}

/// What handles and the thread share.
pub(super) struct Shared<N> {
    state: Mutex<State<N>>,
    /// Callers that found the lock taken. The polling thread lets them pass: the mutex alone is not fair.
    queue: AtomicUsize,
    changed: Condvar,
    poller: Mutex<Poller>,
    waker: mio::Waker,
    pub(super) clock: MonoClock,
    /// Whether callers turn the runtime (no thread does).
    driven: bool,
    /// Claimed SCTP ports to give back at the next occasion; bounded by the number of ports claimed.
    pub(super) releases: Arc<Mutex<Vec<u16>>>,
}

impl<N: Node> Shared<N> {
    pub(super) fn new(engine: Engine, node: N, driven: bool) -> Self {
        let Engine { lower, poller, waker, clock } = engine;
        let mut state = State { node, lower, planned: Time::ZERO, more: true, waiters: 0, claimers: Vec::new(), stopped: false };
        state.lower.set_addresses(poller.watcher.addresses());
        state.node.handle_addresses(clock.now(), poller.watcher.listable());
        let releases = Arc::default();
        Self {
            state: Mutex::new(state),
            queue: AtomicUsize::new(0),
            changed: Condvar::new(),
            poller: Mutex::new(poller),
            waker,
            clock,
            driven,
            releases,
        }
    }

    /// Locks the state; a poisoned lock and an ended thread answer ECONNABORTED.
    pub(super) fn lock(&self) -> io::Result<MutexGuard<'_, State<N>>> {
        let state = match self.state.try_lock() {
            Err(TryLockError::WouldBlock) => {
                self.queue.fetch_add(1, Ordering::Relaxed);
                let state = self.state.lock();
                self.queue.fetch_sub(1, Ordering::Relaxed);
                state.map_err(|_| errno::aborted())?
            }
            other => other.map_err(|_| errno::aborted())?,
        };
        if state.stopped { Err(errno::aborted()) } else { Ok(state) }
    }

    /// Gives callers that wait for the lock a chance to get it first.
    fn let_callers_pass(&self) {
        for _ in 0..YIELDS {
            if self.queue.load(Ordering::Relaxed) == 0 {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Lets `f` change the state, then sends what came of it and lets waiters look again.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State<N>, Time) -> R) -> io::Result<R> {
        let _alarm = Alarm(self);
        let mut state = self.lock()?;
        let out = f(&mut state, self.clock.now());
        self.settle(&mut state);
        self.notify(state);
        Ok(out)
    }

    /// Looks, and looks again whenever something happened, until `f` answers or `timeout` passes.
    pub(super) fn wait<T>(&self, timeout: Option<Duration>, mut f: impl FnMut(&mut State<N>, Time) -> Option<T>) -> io::Result<Option<T>> {
        let until = timeout.map_or(Time::MAX, |t| self.clock.now() + t);
        let _alarm = Alarm(self);
        let mut state = self.lock()?;
        loop {
            let mut out = f(&mut state, self.clock.now());
            self.settle(&mut state);
            if out.is_none() {
                // Sending may be what it waits for.
                out = f(&mut state, self.clock.now());
                self.settle(&mut state);
            }
            if out.is_some() {
                self.notify(state);
                return Ok(out);
            }
            let woken = state.take_woken();
            if !woken.is_empty() {
                drop(state);
                woken.into_iter().for_each(Waker::wake);
                state = self.lock()?;
                continue;
            }
            let left = until.saturating_since(self.clock.now());
            if left.is_zero() {
                return Ok(None);
            }
            state = if self.driven { self.turn_while_waiting(state, left)? } else { self.sleep(state, left)? };
        }
    }

    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State<N>>, left: Duration) -> io::Result<MutexGuard<'a, State<N>>> {
        state.waiters += 1;
        // Some systems refuse far time-outs: an hour, then look again.
        let nap = left.min(Duration::from_secs(3600));
        let (mut state, _) = self.changed.wait_timeout(state, nap).map_err(|_| errno::aborted())?;
        state.waiters -= 1;
        if state.stopped { Err(errno::aborted()) } else { Ok(state) }
    }

    fn turn_while_waiting<'a>(&'a self, state: MutexGuard<'a, State<N>>, left: Duration) -> io::Result<MutexGuard<'a, State<N>>> {
        match self.poller.try_lock() {
            Ok(mut poller) => {
                drop(state);
                self.turn(&mut poller, Some(left))?;
                self.lock()
            }
            Err(TryLockError::WouldBlock) => self.sleep(state, left.min(HAND_OVER)),
            Err(TryLockError::Poisoned(_)) => Err(errno::aborted()),
        }
    }

    /// Sends what the node has to say, and wakes the polling thread if it would sleep past the next deadline.
    fn settle(&self, state: &mut State<N>) {
        self.release_ports(state);
        let now = self.clock.now();
        state.lower.flush(&mut state.node, now);
        let next = state.next_deadline();
        if next < state.planned {
            state.planned = next;
            if let Err(err) = self.waker.wake() {
                tracing::error!(%err, "cannot wake the I/O thread");
            }
        }
    }

    fn release_ports(&self, state: &mut State<N>) {
        if let Ok(mut ports) = self.releases.lock() {
            for port in ports.drain(..) {
                state.lower.release(port);
            }
        }
    }

    /// Something changed: whoever waits looks again.
    fn notify(&self, mut state: MutexGuard<'_, State<N>>) {
        if state.waiters > 0 {
            self.changed.notify_all();
        }
        let woken = state.take_woken();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Waits at most `max_wait` for something to do, and does it.
    fn turn(&self, poller: &mut Poller, max_wait: Option<Duration>) -> io::Result<()> {
        let timeout = {
            let mut state = self.lock()?;
            let limit = max_wait.map_or(Time::MAX, |w| self.clock.now() + w);
            let wake_at = state.next_deadline().min(limit).min(poller.watcher.next_deadline());
            state.planned = wake_at;
            if state.more { Duration::ZERO } else { wake_at.saturating_since(self.clock.now()) }
        };
        match poller.poll.poll(&mut poller.events, Some(timeout)) {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => poller.events.clear(),
            other => other?,
        }
        if poller.events.iter().any(|e| e.token() == WATCH) {
            poller.watcher.note_ready(self.clock.now());
        }
        let looked = poller.watcher.look(self.clock.now());
        self.let_callers_pass();
        let mut state = self.lock()?;
        for event in poller.events.iter().filter(|e| e.token() != WATCH) {
            state.lower.note_ready(event);
        }
        let mut acted = false;
        let now = self.clock.now();
        if let Some(changed) = looked {
            state.lower.set_addresses(poller.watcher.addresses());
            if changed {
                state.node.handle_addresses(now, poller.watcher.listable());
                acted = true;
            }
        }
        let State { node, lower, more, .. } = &mut *state;
        let progress = lower.receive(node, now);
        *more = progress.more;
        acted |= progress.any;
        let now = self.clock.now();
        if node.poll_timeout().is_some_and(|at| at <= now) {
            node.handle_timeout(now);
            acted = true;
        }
        // From here on nobody needs to wake us: the next turn asks for the deadline anew.
        state.planned = Time::ZERO;
        self.settle(&mut state);
        if acted {
            self.notify(state);
        }
        Ok(())
    }

    /// The body of the I/O thread.
    pub(super) fn run(&self, stop: &AtomicBool) {
        // Also when the node panics: nobody may wait for ever for a thread that is gone.
        let _last_words = LastWords(self);
        let Ok(mut poller) = self.poller.lock() else { return };
        while !stop.load(Ordering::Acquire) {
            if let Err(err) = self.turn(&mut poller, None) {
                tracing::error!(%err, "the SCTP runtime has stopped");
                return;
            }
        }
    }

    pub(super) fn wake(&self) {
        // An error means that the poll is gone, and its thread with it.
        drop(self.waker.wake());
    }
}

/// Tells all waiters when a caller panics inside the node. Made before the lock is taken, so that it is dropped after
/// the lock was poisoned.
struct Alarm<'a, N>(&'a Shared<N>);

impl<N> Drop for Alarm<'_, N> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.changed.notify_all();
            // Without a poll there is no thread to wake.
            drop(self.0.waker.wake());
        }
    }
}

/// Tells all waiters when the I/O thread ends, for whatever reason.
struct LastWords<'a, N: Node>(&'a Shared<N>);

impl<N: Node> Drop for LastWords<'_, N> {
    fn drop(&mut self) {
        // Poisoned or not: tasks that wait get the error when they look again.
        let mut state = self.0.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.stopped = true;
        state.node.wake_everybody();
        let woken = state.take_woken();
        drop(state);
        self.0.changed.notify_all();
        woken.into_iter().for_each(Waker::wake);
    }
}

impl<N: Node> State<N> {
    /// The tasks that are to be woken.
    fn take_woken(&mut self) -> Vec<Waker> {
        let mut woken = self.node.take_woken();
        woken.append(&mut self.claimers);
        woken
    }

    /// Asks for an SCTP port; the next turn looks for the answer.
    pub(super) fn claim(&mut self, port: u16) -> u64 {
        self.more = true;
        self.lower.claim(port)
    }

    fn next_deadline(&self) -> Time {
        let node = self.node.poll_timeout().unwrap_or(Time::MAX);
        node.min(self.lower.next_deadline().unwrap_or(Time::MAX))
    }
}

/// A caller-driven runtime: no thread of its own, it acts while [`Driven::turn`] or a blocking call on a handle runs.
///
/// A program that does not turn it does not answer its peers; after 300 ms other programs stop waiting for it to read a
/// shared port.
pub struct Driven<N: Node> {
    shared: Arc<Shared<N>>,
}

impl<N: Node> fmt::Debug for Driven<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driven")
    }
}

impl<N: Node> Driven<N> {
    pub(super) fn new(engine: Engine, node: N) -> Self {
        Self { shared: Arc::new(Shared::new(engine, node, true)) }
    }

    /// Waits for something to do, at most `max_wait` (without limit if `None`), and does it.
    ///
    /// # Errors
    /// The operating system cannot wait, or a thread panicked inside the node.
    pub fn turn(&mut self, max_wait: Option<Duration>) -> io::Result<()> {
        let mut poller = self.shared.poller.lock().map_err(|_| errno::aborted())?;
        self.shared.turn(&mut poller, max_wait)
    }

    /// A handle. Its blocking calls turn the runtime themselves.
    #[must_use]
    pub fn handle(&self) -> Handle<N> {
        Handle::driven(Arc::clone(&self.shared))
    }
}
