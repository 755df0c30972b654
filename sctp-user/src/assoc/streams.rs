//! Some streams of one direction, or all of them.

use std::collections::BTreeSet;

use crate::num::StreamId;

/// Streams as RFC 6525 names them: a list, or all if the list is empty.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Streams(Box<[StreamId]>);

impl Streams {
    /// All streams.
    pub(crate) fn all() -> Self {
        Self(Vec::new().into_boxed_slice())
    }

    /// As the list stands, whose order and repetitions are kept: an answer names the streams as the request did.
    pub(crate) fn listed(list: impl IntoIterator<Item = StreamId>) -> Self {
        Self(list.into_iter().collect())
    }

    /// What is listed; nothing stands for all.
    pub(crate) fn list(&self) -> &[StreamId] {
        &self.0
    }

    /// Whether `sid` is one of them.
    pub(crate) fn has(&self, sid: StreamId) -> bool {
        self.0.is_empty() || self.0.contains(&sid)
    }

    /// Whether all of `other` are among them.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        let own: BTreeSet<_> = self.0.iter().collect();
        own.is_empty() || (!other.0.is_empty() && other.0.iter().all(|sid| own.contains(sid)))
    }

    /// Whether they exist where there are `count` streams.
    pub(crate) fn exist(&self, count: u16) -> bool {
        self.0.iter().all(|sid| sid.0 < count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(ids: &[u16]) -> Streams {
        Streams::listed(ids.iter().map(|n| StreamId(*n)))
    }

    #[test]
    fn an_empty_list_is_all() {
        assert!(Streams::all().has(StreamId(7)) && Streams::all().exist(0));
        assert!(some(&[3, 1]).has(StreamId(1)) && !some(&[3, 1]).has(StreamId(2)));
        assert!(some(&[3, 1]).exist(4) && !some(&[3, 1]).exist(3));
        for (a, b, covers) in [(&[][..], &[1][..], true), (&[1], &[], false), (&[2, 1], &[1, 1], true), (&[2, 1], &[1, 3], false)] {
            assert_eq!(some(a).cover(&some(b)), covers, "{a:?} {b:?}");
        }
        assert!(Streams::all().cover(&Streams::all()));
    }
}
