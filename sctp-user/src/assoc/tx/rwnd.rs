//! The peer's receive window (RFC 9260 section 6.2.1) and zero window probes (section 6.1 A).

/// A peer whose window is smaller gets fragments of this size nonetheless, in bytes.
const MIN_FRAGMENT: usize = 256;

/// What the peer has room for.
#[derive(Clone, Debug)]
pub(super) struct PeerWindow {
    /// The a_rwnd of the latest SACK.
    advertised: usize,
    /// The largest a_rwnd so far.
    largest: usize,
    /// The window is closed, nothing is outstanding, and the time for a probe has not come.
    waiting: bool,
}

impl PeerWindow {
    /// The window from INIT or INIT ACK.
    pub(super) fn new(a_rwnd: u32) -> Self {
        let advertised = usize::try_from(a_rwnd).unwrap_or(usize::MAX);
        Self { advertised, largest: advertised, waiting: false }
    }

    /// A SACK brought a new window.
    pub(super) fn set(&mut self, a_rwnd: u32) {
        self.advertised = usize::try_from(a_rwnd).unwrap_or(usize::MAX);
        self.largest = self.largest.max(self.advertised);
    }

    /// Most user data that fits the window when it is all open: a longer chunk could only be sent as a probe.
    pub(super) fn largest(&self) -> usize {
        self.largest.max(MIN_FRAGMENT)
    }

    /// What the peer advertised last, less what it took in since.
    pub(super) fn advertised(&self) -> usize {
        self.advertised
    }

    /// `bytes` were acknowledged without a word about the window: what they took is not free.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.advertised = self.advertised.saturating_sub(bytes);
    }

    /// Bytes of user data that may still be sent while `in_flight` bytes are on their way.
    pub(super) fn room(&self, in_flight: usize) -> usize {
        self.advertised.saturating_sub(in_flight)
    }

    /// Whether the peer said that it has no room for a chunk with `len` bytes of user data, even with nothing in flight.
    pub(super) fn is_closed_for(&self, len: usize) -> bool {
        self.advertised < len
    }

    /// Begins to wait for the time of a probe; answers whether it did not wait already.
    pub(super) fn start_waiting(&mut self) -> bool {
        !core::mem::replace(&mut self.waiting, true)
    }

    /// The window opened, or the time for a probe has come; answers whether it waited.
    pub(super) fn stop_waiting(&mut self) -> bool {
        core::mem::replace(&mut self.waiting, false)
    }

    /// Whether it is waited for the time of a probe.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Whether a chunk with `len` bytes may be sent as new data: it fits, or it is a probe whose time has come.
    pub(super) fn allows(&self, len: usize, in_flight: usize, any_outstanding: bool) -> bool {
        len <= self.room(in_flight) || (!any_outstanding && !self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9260 rows: 6.2.1-1.
    #[test]
    fn data_in_flight_uses_the_window_up() {
        let mut w = PeerWindow::new(3000);
        assert!(w.allows(1500, 1500, true));
        assert!(!w.allows(1501, 1500, true));
        w.set(1000);
        assert_eq!(w.room(2000), 0);
    }

    #[test]
    fn a_probe_waits_its_time_and_goes_alone() {
        let mut w = PeerWindow::new(0);
        assert!(w.is_closed_for(1));
        assert!(w.start_waiting());
        assert!(!w.start_waiting());
        assert!(!w.allows(10, 0, false));
        assert!(w.stop_waiting());
        assert!(w.allows(10, 0, false));
        assert!(!w.allows(10, 10, true));
    }
}
