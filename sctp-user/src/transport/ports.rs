//! SCTP ports where no UDP port is shared: then nobody else has to be asked.

use std::collections::BTreeSet;
use std::io;

use crate::entropy::{Entropy as _, OsEntropy};

/// The ephemeral ports: the dynamic range of RFC 6335.
const FIRST_EPHEMERAL: u16 = 49_152;

/// The SCTP ports that this process's node holds.
#[derive(Debug, Default)]
pub(crate) struct LocalPorts {
    held: BTreeSet<u16>,
    /// Answers whose callers have not fetched them; at most one for each waiting caller.
    answers: Vec<(u64, io::Result<u16>)>,
    next_ticket: u64,
}

impl LocalPorts {
    /// Asks for an SCTP port, 0 for a free one; the answer is fetched by the ticket.
    pub(crate) fn claim(&mut self, port: u16) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket = self.next_ticket.wrapping_add(1);
        let answer = if port == 0 { self.ephemeral() } else { Ok(port) };
        let answer = answer.and_then(|p| {
            let taken = || io::Error::new(io::ErrorKind::AddrInUse, format!("SCTP port {p} is in use by this program"));
            self.held.insert(p).then_some(p).ok_or_else(taken)
        });
        self.answers.push((ticket, answer));
        ticket
    }

    /// A random free port: the one used last may still mean something to its peer.
    fn ephemeral(&self) -> io::Result<u16> {
        let size = u64::from(u16::MAX - FIRST_EPHEMERAL) + 1;
        let offset = u16::try_from(OsEntropy::new()?.below(size)).map_err(io::Error::other)?;
        let start = FIRST_EPHEMERAL.saturating_add(offset);
        let mut all = (start..=u16::MAX).chain(FIRST_EPHEMERAL..start);
        all.find(|p| !self.held.contains(p)).ok_or_else(|| io::ErrorKind::AddrInUse.into())
    }

    /// The answer to a claim.
    pub(crate) fn take_claim(&mut self, ticket: u64) -> Option<io::Result<u16>> {
        let at = self.answers.iter().position(|(t, _)| *t == ticket)?;
        Some(self.answers.swap_remove(at).1)
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn forget_claim(&mut self, ticket: u64) {
        if let Some(Ok(port)) = self.take_claim(ticket) {
            self.release(port);
        }
    }

    pub(crate) fn release(&mut self, port: u16) {
        self.held.remove(&port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_held_once() {
        let mut ports = LocalPorts::default();
        let claim = |ports: &mut LocalPorts, port| {
            let ticket = ports.claim(port);
            ports.take_claim(ticket).unwrap()
        };
        assert_eq!(claim(&mut ports, 7).unwrap(), 7);
        assert_eq!(claim(&mut ports, 7).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        ports.release(7);
        let ticket = ports.claim(7);
        ports.forget_claim(ticket);
        assert_eq!(claim(&mut ports, 7).unwrap(), 7);
        let (a, b) = (claim(&mut ports, 0).unwrap(), claim(&mut ports, 0).unwrap());
        assert!(a >= FIRST_EPHEMERAL && b >= FIRST_EPHEMERAL && a != b, "{a} {b}");
    }
}
