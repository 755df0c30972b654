//! Descriptors: which are watched, under which tokens, and what events on them tell.

use std::io;
use std::ops::Range;

use mio::event::Event;
use mio::{Interest, Registry, Token};

use super::{Incoming, SharedPort, State, conns};

/// Tokens of the UDP sockets and the two local names; the streams follow.
const TOKEN_UDP: usize = 0;
const TOKEN_SLOT: usize = 1;
const TOKEN_BASE: usize = 2;
const TOKEN_UDP_V6: usize = 3;
pub(super) const TOKEN_CONNS: usize = 4;

impl SharedPort {
    /// Registers all descriptors, and those that come later, under the tokens `base .. base + TOKENS`. The registry is a clone
    /// of the one that the caller polls.
    ///
    /// # Errors
    /// Of the system.
    pub fn register(&mut self, registry: Registry, base: Token) -> io::Result<()> {
        self.registry = Some((registry, base.0));
        self.register_local(true)?;
        if let Some((registry, base)) = &self.registry {
            self.conns.register(registry, base.saturating_add(TOKEN_CONNS))?;
        }
        self.update_udp_interest()
    }

    /// Whether the token is one of this port's.
    #[must_use]
    pub fn owns(&self, token: Token) -> bool {
        self.tokens().contains(&token.0)
    }

    fn tokens(&self) -> Range<usize> {
        self.registry.as_ref().map_or(0..0, |(_, base)| *base..base.saturating_add(Self::TOKENS))
    }

    /// Takes note of an event, and of what it tells. Call [`SharedPort::recv`] afterwards.
    pub fn handle_event(&mut self, event: &Event) {
        let index = event.token().0.checked_sub(self.tokens().start);
        match index {
            Some(TOKEN_UDP | TOKEN_UDP_V6) => {
                let readable = event.is_readable() || event.is_read_closed();
                self.udp.note_ready(index == Some(TOKEN_UDP), readable, event.is_error());
                if event.is_writable() || event.is_error() {
                    self.unblock();
                }
            }
            _ => self.handle_ready(event.token()),
        }
    }

    /// Takes note that something may be ready, without knowing what. Call [`SharedPort::recv`] afterwards.
    pub fn handle_ready(&mut self, token: Token) {
        let Some(index) = token.0.checked_sub(self.tokens().start) else {
            return;
        };
        match index {
            TOKEN_UDP | TOKEN_UDP_V6 => {
                self.udp.note_all();
                self.unblock();
            }
            TOKEN_SLOT | TOKEN_BASE => {
                if let Some(local) = &mut self.local {
                    local.accept = true;
                }
            }
            _ => {
                // What waits to be written is tried again in any case.
                if let Some(conn) = index.checked_sub(TOKEN_CONNS) {
                    self.conns.set_readable(conn);
                }
            }
        }
    }

    fn unblock(&mut self) {
        if self.blocked && self.udp.flush().is_ok() {
            self.blocked = false;
            self.incoming.push_back(Incoming::Writable);
            self.log_interest();
        }
    }

    pub(super) fn register_local(&mut self, all: bool) -> io::Result<()> {
        let (Some((registry, base)), Some(local)) = (&self.registry, &self.local) else {
            return Ok(());
        };
        if all {
            conns::register(registry, local.listener.as_fd(), base.saturating_add(TOKEN_SLOT), Interest::READABLE)?;
        }
        if let Some(listener) = &local.base {
            conns::register(registry, listener.as_fd(), base.saturating_add(TOKEN_BASE), Interest::READABLE)?;
        }
        Ok(())
    }

    /// Only the reader wants to know that there is something to read, and writability only matters after a refusal: each
    /// interest costs a wake-up a packet in every process that has it.
    fn update_udp_interest(&mut self) -> io::Result<()> {
        let Some((registry, base)) = &self.registry else {
            return Ok(());
        };
        let readable = matches!(self.state, State::Reader(_)).then_some(Interest::READABLE);
        let writable = self.blocked.then_some(Interest::WRITABLE);
        let wanted = match (readable, writable) {
            (Some(r), Some(w)) => Some(r | w),
            (one, other) => one.or(other),
        };
        let tokens = [TOKEN_UDP, TOKEN_UDP_V6].map(|t| Token(base.saturating_add(t)));
        self.udp.watch(registry, tokens, self.udp_interest, wanted)?;
        self.udp_interest = wanted;
        Ok(())
    }

    pub(super) fn log_interest(&mut self) {
        if let Err(error) = self.update_udp_interest() {
            tracing::error!(%error, "cannot watch the UDP sockets");
        }
    }
}
