//! The request to stop: SIGINT or SIGTERM, the end of standard input, or the program itself.
#![allow(clippy::disallowed_methods, reason = "edge: signals are waited for in a thread")]

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::cli::ChildOptions;

/// Exit status of a program that was told a second time to stop, as shells count signals.
const SECOND_REQUEST: i32 = 128 + SIGINT;

/// A request to stop that any thread can look at and wait for; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    requested: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// What ends a program: signals and, for one that another program started, the end of that one.
    ///
    /// # Errors
    /// As [`Stop::on_signals`].
    pub fn for_program(options: &ChildOptions) -> Result<Self> {
        let stop = Self::on_signals().context("cannot catch signals")?;
        if options.stop_on_eof {
            stop.on_end_of_input().context("cannot start a thread")?;
            die_with_parent();
        }
        Ok(stop)
    }

    /// Requested by the first SIGINT or SIGTERM; a second one ends the process at once.
    ///
    /// # Errors
    /// The operating system refuses a handler or a thread.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let requested = stop.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            for _ in signals.forever() {
                if requested.is_requested() {
                    std::process::exit(SECOND_REQUEST);
                }
                requested.request();
            }
        })?;
        Ok(stop)
    }

    /// Requested also by the end of standard input: so a program ends with the one that started it, however that one ends.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn on_end_of_input(&self) -> io::Result<()> {
        let stop = self.clone();
        thread::Builder::new().name("stdin".into()).spawn(move || {
            let mut buffer = [0; 64];
            while io::stdin().read(&mut buffer).is_ok_and(|n| n > 0) {}
            stop.request();
        })?;
        Ok(())
    }

    /// Requests it.
    pub fn request(&self) {
        *self.inner.requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.inner.changed.notify_all();
    }

    /// Whether it was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.inner.requested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for it, at most for `timeout`, and says whether it was requested.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let guard = self.inner.requested.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.inner.changed.wait_timeout_while(guard, timeout, |requested| !*requested);
        *result.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Whether SIGUSR1 came, by which a user asks for statistics.
#[derive(Debug)]
pub struct Asked(Arc<AtomicBool>);

impl Asked {
    /// Notices the signal from now on.
    ///
    /// # Errors
    /// The operating system refuses a handler.
    pub fn for_statistics() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGUSR1, Arc::clone(&asked))?;
        Ok(Self(asked))
    }

    /// Whether it came since the last time.
    #[must_use]
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Lets the kernel kill this process when its parent ends, which reaches it even while it is stopped.
fn die_with_parent() {
    #[cfg(target_os = "linux")]
    {
        // Without it, the end of standard input still ends every process that runs.
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_thread_hears_of_the_request() {
        let stop = Stop::default();
        assert!(!stop.wait(Duration::ZERO));
        let waiter = thread::spawn({
            let stop = stop.clone();
            move || stop.wait(Duration::from_secs(60))
        });
        stop.request();
        assert!(waiter.join().unwrap());
        assert!(stop.is_requested());
    }
}
