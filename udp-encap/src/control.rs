//! Control messages: what goes between us and the Linux kernel beside the bytes of a datagram.
//!
//! In memory each has its length in a machine word, level and kind, and its data, filled up to whole words.

/// What things are aligned to.
const WORD: usize = size_of::<usize>();
/// Length, level and kind.
const HEADER: usize = WORD + 8;

/// Room for all that is said of a datagram, in either direction: the octet with the ECN mark, an IPv6 address and the size of the
/// datagrams in a train take 88 bytes.
pub(crate) const ROOM: usize = 96;

/// Messages to be sent, at most [`ROOM`] bytes.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct Messages {
    room: [u8; ROOM],
    len: usize,
}

impl Messages {
    pub(crate) const fn new() -> Self {
        Self { room: [0; ROOM], len: 0 }
    }

    /// Appends a message. What finds no room is left out.
    #[inline]
    pub(crate) fn push<const N: usize>(&mut self, level: i32, kind: i32, data: &[u8; N]) {
        let length = HEADER + N;
        let end = self.len + length.next_multiple_of(WORD);
        debug_assert!(end <= ROOM, "no room for {kind} of level {level}");
        if let Some(space) = self.room.get_mut(self.len..end)
            && let Some((head, rest)) = space.split_first_chunk_mut::<WORD>()
            && let Some((its_level, rest)) = rest.split_first_chunk_mut::<4>()
            && let Some((its_kind, rest)) = rest.split_first_chunk_mut::<4>()
            && let Some((its_data, _)) = rest.split_first_chunk_mut::<N>()
        {
            (*head, *its_level, *its_kind, *its_data) = (length.to_ne_bytes(), level.to_ne_bytes(), kind.to_ne_bytes(), *data);
            self.len = end;
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.room.get(..self.len).unwrap_or_default()
    }
}

/// Level, kind and data of each message, up to the first that is cut off.
pub(crate) fn messages(mut all: &[u8]) -> impl Iterator<Item = (i32, i32, &[u8])> {
    std::iter::from_fn(move || {
        let (header, rest) = all.split_first_chunk::<HEADER>()?;
        let (length, rest_of_header) = header.split_first_chunk::<WORD>()?;
        let &[a, b, c, d, e, f, g, h] = rest_of_header else { return None };
        let data = rest.get(..usize::from_ne_bytes(*length).checked_sub(HEADER)?)?;
        all = rest.get((data.len() + (WORD - 1)) & !(WORD - 1)..).unwrap_or_default();
        Some((i32::from_ne_bytes([a, b, c, d]), i32::from_ne_bytes([e, f, g, h]), data))
    })
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code, reason = "to ask the C library")]

    use nix::libc;

    use super::*;

    #[test]
    fn messages_are_as_long_as_the_system_says_and_are_read_as_they_were_written() {
        // SAFETY: it only computes.
        let space = |data: u32| unsafe { libc::CMSG_SPACE(data) as usize };
        let mut all = Messages::new();
        all.push(-1, 1, &[7]);
        assert_eq!(all.bytes().len(), space(1));
        all.push(-2, 2, &[8; 20]);
        assert_eq!(all.bytes().len(), space(1) + space(20));
        all.push(-3, 3, &[]);
        assert_eq!(all.bytes().len(), space(1) + space(20) + space(0));
        let written = [(-1, 1, &[7][..]), (-2, 2, &[8; 20]), (-3, 3, &[])];
        assert_eq!(messages(all.bytes()).collect::<Vec<_>>(), written);
        let third = space(1) + space(20);
        assert_eq!(messages(&all.bytes()[..third - 4]).count(), 2, "without what it is filled up with");
        assert_eq!(messages(&all.bytes()[..third - 5]).count(), 1, "cut off");
        assert_eq!(messages(&[0; 64]).count(), 0, "shorter than its own header");
    }
}
