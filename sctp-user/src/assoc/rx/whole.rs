//! Messages put together from fragments, long ones in the memory of the last.

use bytes::{Bytes, BytesMut};

/// From this length on, in bytes, memory is used again: allocators give as much back to the system, and each of its pages then costs
/// more than what is written to it.
const LONG: usize = 128 * 1024;

/// The last long message, whose memory the next one gets if the user has dropped it. Given back when the association rests.
#[derive(Clone, Debug, Default)]
pub(super) struct Whole(Option<Box<Bytes>>);

impl Whole {
    /// Joins the parts of a message, which has `len` bytes. A single one stays where it is.
    pub(super) fn join<'a>(&mut self, len: usize, mut parts: impl ExactSizeIterator<Item = &'a Bytes>) -> Bytes {
        if parts.len() == 1 {
            return parts.next().cloned().unwrap_or_default();
        }
        let mut whole = if len < LONG { BytesMut::with_capacity(len) } else { self.room(len) };
        parts.for_each(|part| whole.extend_from_slice(part));
        let whole = whole.freeze();
        if len >= LONG {
            **self.0.get_or_insert_default() = whole.clone();
        }
        whole
    }

    fn room(&mut self, len: usize) -> BytesMut {
        let last = self.0.as_mut().map(|last| core::mem::take(&mut **last)).unwrap_or_default();
        match last.try_into_mut() {
            Ok(mut last) if last.capacity() >= len => {
                last.clear();
                last
            }
            _ => BytesMut::with_capacity(len),
        }
    }

    /// Gives its memory back.
    pub(super) fn release(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(whole: &mut Whole, parts: usize, fill: u8) -> Bytes {
        let part = Bytes::from(vec![fill; 1400]);
        whole.join(parts * 1400, core::iter::repeat_n(&part, parts))
    }

    #[test]
    fn a_long_message_gets_the_memory_of_one_that_was_dropped() {
        let mut whole = Whole::default();
        let first = message(&mut whole, 100, 1);
        let at = first.as_ptr();
        drop(first);
        let second = message(&mut whole, 95, 2);
        assert_eq!((second.as_ptr(), second.len()), (at, 95 * 1400));
        assert!(second.iter().all(|byte| *byte == 2));
        let third = message(&mut whole, 100, 3);
        assert_ne!(third.as_ptr(), at, "it is held");
        assert!(second.iter().all(|byte| *byte == 2) && third.iter().all(|byte| *byte == 3));
        whole.release();
        assert!(third.try_into_mut().is_ok(), "nobody else holds it");
    }

    #[test]
    fn short_messages_are_the_users_alone() {
        let mut whole = Whole::default();
        assert!(message(&mut whole, 10, 1).try_into_mut().is_ok());
    }
}
