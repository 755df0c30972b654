//! The receive window: what is advertised and what is taken in (RFC 9260 sections 6.2 and 6.2.1).
//!
//! Two budgets: user data may fill the configured buffer, which is what a sender can reckon with; and the memory it really
//! takes, bookkeeping included, may be twice that, so that a flood of tiny messages closes the window, too.
//!
//! What was promised is kept: the right edge of the window does not move back (RFC 1122 section 4.2.2.16), because what the peer
//! was allowed to send may be on its way. Small messages take more memory than the peer can reckon with, and would be dropped.

use core::hint::cold_path;

/// Bookkeeping memory of one chunk or message, in bytes.
const OVERHEAD: usize = 128;

/// As a_rwnd is on the wire; there are many associations.
fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Why a chunk might be taken in although the window is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Position {
    /// Above everything received so far: only if the window is open.
    Highest,
    /// Below the highest TSN: it lets held data go, so the window may be exceeded.
    FillsGap,
    /// The very next TSN, with data held above: without it nothing moves at all.
    Next,
}

/// Accounting of the receive buffer of one association; sizes in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    buffer: usize,
    /// The window does not open for less (silly window avoidance).
    smallest: u32,
    /// The most user data of a chunk so far: less than that is of no use to the peer.
    largest_chunk: u32,
    /// What stays open while a message that nothing else waits for is put together.
    floor: usize,
    /// No more memory than this, whatever fills gaps: four times the largest buffer so far, and what one message may add.
    hard_limit: usize,
    payload: usize,
    memory: usize,
    advertised: u32,
    /// User data that may still come by what was advertised.
    promised: u32,
}

impl Window {
    /// An empty buffer of `buffer` bytes, in packets of `mtu` bytes. What the oldest incomplete message takes may exceed by
    /// `growth` what everything else may take.
    pub(crate) fn new(buffer: usize, growth: usize, mtu: usize) -> Self {
        Self {
            buffer,
            smallest: narrow(mtu.min(buffer / 2)),
            largest_chunk: 0,
            floor: (buffer / 2).max(2 * mtu).min(buffer),
            hard_limit: buffer.saturating_mul(4).saturating_add(growth),
            payload: 0,
            memory: 0,
            advertised: narrow(buffer),
            promised: narrow(buffer),
        }
    }

    /// Changes the buffer; what is held and what was advertised stay, but no more is promised than the buffer. The limit for the very
    /// next TSN never shrinks: if what is held above it were beyond a smaller one, it could never be let go.
    pub(crate) fn resize(&mut self, buffer: usize, growth: usize, mtu: usize) {
        let (payload, memory, advertised) = (self.payload, self.memory, self.advertised);
        let new = Self::new(buffer, growth, mtu);
        let smallest = self.smallest.max(new.smallest).min(narrow(buffer / 2));
        let (largest_chunk, promised) = (self.largest_chunk, self.promised.min(narrow(buffer)));
        let hard_limit = new.hard_limit.max(self.hard_limit);
        *self = Self { payload, memory, advertised, smallest, largest_chunk, promised, hard_limit, ..new };
    }

    /// A chunk with `bytes` of user data came. Where the path MTU is larger than was thought, so is the smallest window that is of
    /// use: the peer never cuts a chunk to what is left, and would wait for one that it can fill.
    pub(crate) fn learn_chunk(&mut self, bytes: usize) {
        self.smallest = self.smallest.max(narrow(bytes)).min(narrow(self.buffer / 2));
        self.largest_chunk = self.largest_chunk.max(narrow(bytes));
    }

    /// Takes in `chunks` pieces with `bytes` of user data in all.
    pub(crate) fn charge(&mut self, bytes: usize, chunks: usize) {
        self.payload += bytes;
        self.memory += bytes + chunks * OVERHEAD;
        self.promised = self.promised.saturating_sub(narrow(bytes));
    }

    /// Gives back what was charged.
    pub(crate) fn release(&mut self, bytes: usize, chunks: usize) {
        self.payload = self.payload.saturating_sub(bytes);
        self.memory = self.memory.saturating_sub(bytes + chunks * OVERHEAD);
    }

    /// Memory in use, in bytes.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Free space. `starving`: nothing can be read before more of an incomplete message arrives.
    fn room(&self, starving: bool) -> usize {
        let room = self.buffer.saturating_sub(self.payload).min(self.buffer.saturating_mul(2).saturating_sub(self.memory));
        if starving {
            cold_path();
            return room.max(self.floor.min(self.hard_limit.saturating_sub(self.memory)));
        }
        room
    }

    /// User data held, memory charged for it, and the configured buffer, in bytes.
    pub(crate) fn books(&self) -> (usize, usize, usize) {
        (self.payload, self.memory, self.buffer)
    }

    /// What the peer was promised and can use, as long as the memory for it is no more than what gaps may take.
    fn kept_open(&self) -> usize {
        let kept = self.promised >= self.largest_chunk && self.memory < self.buffer.saturating_mul(4);
        if kept { self.promised as usize } else { 0 }
    }

    /// Whether there is no room for a packet, though some may be promised.
    pub(crate) fn is_full(&self) -> bool {
        self.room(false) < self.smallest as usize
    }

    /// The a_rwnd to advertise now.
    pub(crate) fn a_rwnd(&self, starving: bool) -> usize {
        let room = self.room(starving);
        let opened = if room < self.smallest as usize { 0 } else { room };
        opened.max(self.kept_open())
    }

    /// The present [`Self::a_rwnd`] stands in a SACK that is written or will be.
    pub(crate) fn promise(&mut self, a_rwnd: usize) {
        self.promised = self.promised.max(narrow(a_rwnd));
    }

    /// Remembers what a SACK advertised, perhaps as it was some packets ago.
    pub(crate) fn advertise(&mut self, a_rwnd: usize) {
        self.advertised = narrow(a_rwnd);
    }

    /// Whether the window opened so far that the peer should be told (section 6.2: by a quarter of the buffer).
    pub(crate) fn needs_update(&self, starving: bool) -> bool {
        self.a_rwnd(starving).saturating_sub(self.advertised as usize) >= self.buffer / 4
    }

    /// Whether a chunk with `bytes` of user data is taken in.
    pub(crate) fn admits(&self, bytes: usize, at: Position, starving: bool) -> bool {
        let memory = self.memory + bytes + OVERHEAD;
        match at {
            // The last chunk may exceed what is left; a window that is shut on both sides takes nothing.
            Position::Highest => self.room(starving).max(self.kept_open()) > 0 && (self.advertised > 0 || self.a_rwnd(starving) > 0),
            Position::FillsGap => memory <= self.hard_limit.min(self.buffer.saturating_mul(4)),
            Position::Next => memory <= self.hard_limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9260 rows: 6.2-6.
    #[test]
    fn full_size_packets_may_use_the_whole_buffer() {
        let mut w = Window::new(100_000, 1 << 20, 1500);
        for n in 0..68 {
            assert!(w.admits(1444, Position::Highest, false));
            assert_eq!(w.a_rwnd(false), 100_000 - 1444 * n);
            w.charge(1444, 1);
            w.learn_chunk(1444);
        }
        w.charge(1444, 1);
        assert_eq!(w.a_rwnd(false), 0, "364 bytes are left: silly");
        assert!(w.admits(1444, Position::Highest, false), "the peer does not know yet");
        w.advertise(0);
        assert!(!w.admits(1, Position::Highest, false));
        assert!(w.admits(1444, Position::FillsGap, false));
    }

    #[test]
    fn a_window_too_small_for_the_peers_chunks_is_closed() {
        let mut w = Window::new(100_000, 1 << 20, 1500);
        for _ in 0..11 {
            w.learn_chunk(8944);
            w.charge(8944, 1);
        }
        assert_eq!(w.a_rwnd(false), 0, "1616 bytes are left: silly where chunks have 8944");
        w.release(8944, 1);
        assert_eq!(w.a_rwnd(false), 10_560);
        w.learn_chunk(70_000);
        w.release(5 * 8944, 5);
        assert_eq!(w.a_rwnd(false), 55_280, "half of the buffer is always of use");
    }

    /// Attack class 10.
    #[test]
    fn tiny_messages_close_the_window_by_their_memory() {
        let mut w = Window::new(10_000, 1000, 1500);
        let mut n = 0;
        while w.admits(1, Position::Highest, false) {
            w.charge(1, 1);
            n += 1;
        }
        assert_eq!(n, 40_000_usize.div_ceil(1 + OVERHEAD), "more than the 10,000 bytes promised may take");
        w.promise(w.a_rwnd(false));
        while w.memory >= 20_000 {
            assert_eq!(
                w.a_rwnd(false),
                if w.memory < 40_000 { 10_000 - n } else { 0 },
                "nothing new before it is back at twice the buffer"
            );
            w.release(1, 1);
        }
        while w.admits(1, Position::FillsGap, false) {
            w.charge(1, 1);
        }
        while w.admits(1, Position::Next, false) {
            w.charge(1, 1);
        }
        assert!(w.memory <= 42_000);
    }

    #[test]
    fn what_was_promised_is_kept_though_small_messages_take_more() {
        let mut w = Window::new(100_000, 1000, 1500);
        let mut sent = 0;
        // As a peer that uses the window up at once, and reads no SACK before.
        while sent + 64 <= 100_000 {
            assert!(w.admits(64, Position::Highest, false), "{sent}");
            w.charge(64, 1);
            w.learn_chunk(64);
            sent += 64;
            w.promise(w.a_rwnd(false));
            w.advertise(w.a_rwnd(false));
        }
        assert_eq!(w.a_rwnd(false), 0);
        assert!(!w.admits(64, Position::Highest, false));
        // Nothing more is promised before the memory is back at twice the buffer.
        while w.memory > 200_000 - 1500 {
            assert_eq!(w.a_rwnd(false), 0);
            w.release(64, 1);
        }
        assert_eq!(w.a_rwnd(false), 200_000 - w.memory);
    }

    #[test]
    fn a_buffer_that_shrinks_lets_what_it_holds_be_completed() {
        let mut w = Window::new(100_000, 0, 1500);
        w.charge(50_000, 40);
        w.resize(2_000, 0, 1500);
        assert!(w.admits(1444, Position::Next, false));
        assert!(!w.admits(1444, Position::Highest, false) && !w.admits(1444, Position::FillsGap, false));
    }

    /// RFC 9260 rows: 6.2-12, 6.2-13, 6.2-24.
    #[test]
    fn updates_come_by_quarters_of_the_buffer() {
        let mut w = Window::new(8000, 1000, 1500);
        w.charge(8000, 8);
        w.advertise(w.a_rwnd(false));
        w.release(1000, 1);
        assert!(!w.needs_update(false));
        w.release(1000, 1);
        assert!(w.needs_update(false));
        w.advertise(w.a_rwnd(false));
        assert!(!w.needs_update(false));
    }

    #[test]
    fn a_starving_reader_keeps_the_window_open_up_to_the_hard_limit() {
        let mut w = Window::new(10_000, 50_000, 1500);
        w.charge(10_000, 10);
        assert_eq!(w.a_rwnd(false), 0);
        assert_eq!(w.a_rwnd(true), 5000);
        w.charge(140_000, 0);
        assert_eq!(w.a_rwnd(true), 0);
        assert!(!w.admits(1, Position::Highest, true));
    }
}
