//! [`Handle`]: how programs reach the node inside a runtime.

use core::fmt;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::runtime::{Engine, Shared};
use crate::node::Node;
use crate::time::Time;
use crate::transport::announce::AnnounceFrom;
use crate::transport::clock::MonoClock;
use crate::transport::udp::Sharing;

/// Longest wait for the process that reads a shared port: its silence is noticed in 300 ms, and the successor answers.
const CLAIM_PATIENCE: Duration = Duration::from_secs(3);

/// Access to a runtime's node; clones share it. The thread ends when the last clone is dropped.
pub struct Handle<N: Node> {
    shared: Arc<Shared<N>>,
    /// `None` if callers drive the runtime.
    _thread: Option<Arc<Thread<N>>>,
}

impl<N: Node> Clone for Handle<N> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), _thread: self._thread.clone() }
    }
}

impl<N: Node> fmt::Debug for Handle<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// The I/O thread, stopped and joined when the last handle goes, so that the ports are free afterwards.
struct Thread<N: Node> {
    shared: Arc<Shared<N>>,
    stop: Arc<AtomicBool>,
    join: Option<JoinHandle<()>>,
}

impl<N: Node> Drop for Thread<N> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.shared.wake();
        if let Some(join) = self.join.take()
            && join.thread().id() != thread::current().id()
        {
            // A panic of the node was reported to the callers already, as ECONNABORTED.
            drop(join.join());
        }
    }
}

impl<N: Node> Handle<N> {
    pub(super) fn driven(shared: Arc<Shared<N>>) -> Self {
        Self { shared, _thread: None }
    }

    /// Locks the node, lets `f` change it, sends what came of it, and unlocks.
    ///
    /// `f` must not block and must not use a handle of the same runtime.
    ///
    /// # Errors
    /// `ConnectionAborted` if the runtime has stopped or a thread panicked inside the node.
    pub fn with<R>(&self, f: impl FnOnce(&mut N, Time) -> R) -> io::Result<R> {
        self.shared.with(|state, now| f(&mut state.node, now))
    }

    /// Calls `f` now, and again whenever packets, timers or other callers may have changed something, until it answers
    /// or `timeout` has passed (`None`: no limit). The lock is not held while waiting.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub fn wait<T>(&self, timeout: Option<Duration>, mut f: impl FnMut(&mut N, Time) -> Option<T>) -> io::Result<Option<T>> {
        self.shared.wait(timeout, |state, now| f(&mut state.node, now))
    }

    /// As [`Self::wait`] for an `f` that only reads. If a packet or two brought the answer and `may_owe` agrees, the
    /// acknowledgement is left to the next call.
    pub(super) fn wait_reading<T>(
        &self,
        timeout: Option<Duration>,
        mut f: impl FnMut(&mut N, Time) -> Option<T>,
        may_owe: impl Fn(&mut N, &T) -> bool,
    ) -> io::Result<Option<T>> {
        self.shared.wait_reading(timeout, |state, now| f(&mut state.node, now), may_owe)
    }

    /// Claims an SCTP port among the processes that share the UDP port; 0 claims a free one from 49152 to 65535.
    ///
    /// To be called before the node opens the port. Blocks, for at most three seconds, if another process has to be asked.
    ///
    /// # Errors
    /// `AddrInUse` if another process holds it, `TimedOut` if nobody answers, and as [`Self::with`].
    pub fn claim_port(&self, port: u16) -> io::Result<u16> {
        let ticket = self.shared.with(|state, _| state.claim(port))?;
        // The answer comes by way of the transport, on the reader of the port too.
        self.shared.wake();
        let answer = self.shared.wait(Some(CLAIM_PATIENCE), |state, _| state.lower.take_claim(ticket))?;
        if answer.is_none() {
            self.shared.with(|state, _| state.lower.forget_claim(ticket))?;
        }
        answer.unwrap_or_else(|| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer from the program that reads the UDP port")))
    }

    /// As [`Self::claim_port`], for tasks, and without its limit of time. Dropped before it is ready, it claims nothing.
    ///
    /// # Errors
    /// `AddrInUse` if another process holds it, and as [`Self::with`].
    pub async fn claim_port_async(&self, port: u16) -> io::Result<u16> {
        let ticket = self.shared.with(|state, _| state.claim(port))?;
        let claim = Claim { handle: self, ticket };
        self.shared.wake();
        let answered = |cx: &mut Context<'_>| {
            // Looked at by hand: what is tried in vain changes nothing, and nobody need look again for it.
            let mut state = match self.shared.lock() {
                Ok(state) => state,
                Err(err) => return Poll::Ready(Err(err)),
            };
            match state.lower.take_claim(claim.ticket) {
                Some(answer) => Poll::Ready(answer),
                None => {
                    if !state.claimers.iter().any(|w| w.will_wake(cx.waker())) {
                        state.claimers.push(cx.waker().clone());
                    }
                    Poll::Pending
                }
            }
        };
        poll_fn(answered).await
    }

    /// Gives a claimed SCTP port back.
    pub fn release_port(&self, port: u16) {
        self.port_releaser().release(port);
        // A runtime that has stopped has given back everything.
        drop(self.shared.with(|_, _| ()));
    }

    /// What a node needs to give ports back by itself, when their last association has ended.
    #[must_use]
    pub fn port_releaser(&self) -> PortReleaser {
        PortReleaser { releases: Arc::clone(&self.shared.releases) }
    }

    /// Opens a socket for the node's transmits on [`crate::Channel::Datagram`] from this address and port.
    ///
    /// # Errors
    /// The address is not local, the port is taken, or multicast is not possible there.
    pub fn announce_from(&self, from: AnnounceFrom) -> io::Result<()> {
        self.shared.with(|state, _| state.lower.announcers.add(from))?
    }

    /// The UDP port that is bound, 0 without one.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub fn udp_port(&self) -> io::Result<u16> {
        Ok(self.shared.lock()?.lower.udp_port())
    }

    /// What the sharing of the UDP port looks like from here; `None` if it is not shared.
    ///
    /// # Errors
    /// As [`Self::with`].
    pub fn sharing(&self) -> io::Result<Option<Sharing>> {
        Ok(self.shared.lock()?.lower.sharing())
    }

    /// The clock that the node is driven by.
    #[must_use]
    pub fn clock(&self) -> MonoClock {
        self.shared.clock
    }
}

/// A claim that a task waits for.
struct Claim<'a, N: Node> {
    handle: &'a Handle<N>,
    ticket: u64,
}

impl<N: Node> Drop for Claim<'_, N> {
    fn drop(&mut self) {
        // One that was answered is no longer there; a runtime that has stopped has given back everything.
        drop(self.handle.shared.with(|state, _| state.lower.forget_claim(self.ticket)));
    }
}

impl<N: Node + Send + 'static> Handle<N> {
    pub(super) fn spawn(engine: Engine, node: N) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(engine, node, true));
        let stop = Arc::new(AtomicBool::new(false));
        let (theirs, flag) = (Arc::clone(&shared), Arc::clone(&stop));
        let join = thread::Builder::new().name("sctp-io".into()).spawn(move || theirs.run(&flag))?;
        let thread = Arc::new(Thread { shared: Arc::clone(&shared), stop, join: Some(join) });
        Ok(Self { shared, _thread: Some(thread) })
    }
}

/// Claimed SCTP ports that a node has given back and the runtime has not; bounded by the number of ports claimed.
#[derive(Default)]
pub(super) struct Releases {
    ports: Mutex<Vec<u16>>,
    /// Whether there are any: each call asks.
    any: AtomicBool,
}

impl Releases {
    /// Takes them all.
    #[inline]
    pub(super) fn take(&self, give_back: impl FnMut(u16)) {
        if self.any.load(Ordering::Acquire) {
            self.take_those(give_back);
        }
    }

    #[cold]
    #[inline(never)]
    fn take_those(&self, give_back: impl FnMut(u16)) {
        if let Ok(mut ports) = self.ports.lock() {
            self.any.store(false, Ordering::Release);
            ports.drain(..).for_each(give_back);
        }
    }
}

/// Gives claimed SCTP ports back from inside a node; the runtime does it after the current call.
#[derive(Clone)]
pub struct PortReleaser {
    releases: Arc<Releases>,
}

impl PortReleaser {
    /// For tests without a runtime: nobody takes the ports back.
    #[cfg(test)]
    pub(super) fn idle() -> Self {
        Self { releases: Arc::default() }
    }

    /// Gives `port` back soon.
    pub fn release(&self, port: u16) {
        if let Ok(mut ports) = self.releases.ports.lock() {
            ports.push(port);
            self.releases.any.store(true, Ordering::Release);
        }
    }
}

impl fmt::Debug for PortReleaser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortReleaser")
    }
}
