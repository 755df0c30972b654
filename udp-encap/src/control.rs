//! Control messages: what goes between us and the Linux kernel beside the bytes of a datagram.
//!
//! In memory each has its length in a machine word, level and kind, and its data, filled up to whole words.

/// What things are aligned to.
const WORD: usize = size_of::<usize>();
/// Length, level and kind.
const HEADER: usize = WORD + 8;

/// Appends a message.
pub(crate) fn push(all: &mut Vec<u8>, level: i32, kind: i32, data: &[u8]) {
    let length = HEADER + data.len();
    all.extend_from_slice(&length.to_ne_bytes());
    all.extend_from_slice(&level.to_ne_bytes());
    all.extend_from_slice(&kind.to_ne_bytes());
    all.extend_from_slice(data);
    all.resize(all.len().next_multiple_of(WORD), 0);
}

/// Level, kind and data of each message, up to the first that is cut off.
pub(crate) fn messages(mut all: &[u8]) -> impl Iterator<Item = (i32, i32, &[u8])> {
    std::iter::from_fn(move || {
        let (length, rest) = all.split_first_chunk::<WORD>()?;
        let (level, rest) = rest.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::from_ne_bytes(*length);
        let data = rest.get(..length.checked_sub(HEADER)?)?;
        all = all.get(length.next_multiple_of(WORD)..).unwrap_or_default();
        Some((i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind), data))
    })
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code, reason = "to ask the C library")]

    use nix::libc;

    use super::*;

    #[test]
    fn messages_are_as_long_as_the_system_says_and_are_read_as_they_were_written() {
        let data = [&[7][..], &[1, 2, 3, 4], &[9; 12], &[8; 20], &[]];
        let mut all = Vec::new();
        let mut space = 0;
        for (kind, data) in (1..).zip(data) {
            push(&mut all, -kind, kind, data);
            // SAFETY: it only computes.
            space += unsafe { libc::CMSG_SPACE(data.len().try_into().unwrap()) as usize };
            assert_eq!(all.len(), space);
        }
        let written: Vec<_> = (1..).zip(data).map(|(kind, data)| (-kind, kind, data)).collect();
        assert_eq!(messages(&all).collect::<Vec<_>>(), written);
        let fourth = all.len() - HEADER;
        assert_eq!(messages(&all[..fourth - 4]).count(), 4, "without what it is filled up with");
        assert_eq!(messages(&all[..fourth - 5]).count(), 3, "cut off");
        assert_eq!(messages(&[0; 64]).count(), 0, "shorter than its own header");
    }
}
