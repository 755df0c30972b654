//! Which path is used for what (RFC 9260 section 6.4, RFC 7829 section 3.2).

use core::cmp::Reverse;
use core::hint::cold_path;

use super::{Path, PathId, Paths};
use crate::event::PathState;

impl Paths {
    /// The state of a path.
    pub(crate) fn state(&self, id: PathId) -> PathState {
        self.get(id).map_or(PathState::Inactive, |p| p.state(self.list.len() > 1))
    }

    /// Whether DATA may go there for certain.
    pub(crate) fn is_active(&self, id: PathId) -> bool {
        self.state(id) == PathState::Active
    }

    /// Where DATA goes when it is sent for the first time: the primary path while it is active; else one that is, always the same
    /// as long as it is; else the one that failed least (RFC 7829 section 3.2 rule 4, and section 4.1 if all are inactive).
    pub(crate) fn data_path(&self) -> PathId {
        if self.list.len() == 1 || self.is_active(self.primary) {
            return self.primary;
        }
        cold_path();
        if self.is_active(self.stand_in) {
            return self.stand_in;
        }
        self.best(self.primary, false).unwrap_or(self.primary)
    }

    /// Where a chunk goes that was last sent on `from` and timed out: to another active path if there is one, else to the path
    /// that failed least (section 6.4).
    pub(crate) fn retransmit_path(&self, from: PathId) -> PathId {
        if self.list.len() == 1 {
            return from;
        }
        self.best(from, true).unwrap_or(self.primary)
    }

    /// Where a chunk goes that is fast retransmitted: where it went before (section 6.4), unless that path may have failed.
    pub(crate) fn fast_retransmit_path(&self, from: PathId) -> PathId {
        if self.list.len() == 1 || self.is_active(from) { from } else { self.data_path() }
    }

    /// The best confirmed path for what went on `from` before. If `leave`, another one is better than `from` as long as its state
    /// is as good.
    fn best(&self, from: PathId, leave: bool) -> Option<PathId> {
        let old = self.get(from);
        let count = self.list.len();
        let after = |id: PathId| (usize::from(id.0) + count - usize::from(from.0)) % count;
        let rank = |(id, p): &(PathId, &Path)| {
            let (class, errors) = match p.state(true) {
                PathState::Active => (0, 0),
                PathState::PotentiallyFailed => (1, p.error_count),
                PathState::Unconfirmed | PathState::Inactive => (2 + u8::from(p.stranded), p.error_count),
            };
            // The most divergent pair of addresses: another source, and another family, if that is to be had (section 6.4.1).
            let same_source =
                old.is_some_and(|o| o.local == p.local) as u8 + old.is_some_and(|o| o.addr.is_ipv4() == p.addr.is_ipv4()) as u8;
            (class, leave && *id == from, errors, Reverse(*id == self.primary), same_source, after(*id))
        };
        self.iter().filter(|(_, p)| p.confirmed).min_by_key(rank).map(|(id, _)| id)
    }

    /// Another confirmed path than `id` that works, for an answer that may not have arrived by `id` (section 6.4).
    pub(crate) fn other(&self, id: PathId) -> Option<PathId> {
        let other = self.best(id, true)?;
        (other != id && self.is_active(other)).then_some(other)
    }

    /// Remembers which path stands in for a primary path that has failed, so that data stays there.
    pub(crate) fn settle(&mut self) {
        if self.list.len() > 1 {
            self.stand_in = self.data_path();
        }
    }

    /// The next path of those that the user gave is tried for opening the association.
    pub(crate) fn try_next(&mut self) {
        let count = self.list.len();
        let from = usize::from(self.primary.0);
        let next = (1..count).map(|step| (from + step) % count).find(|at| self.list.get(*at).is_some_and(|p| p.confirmed));
        if let Some(next) = next.and_then(|at| u8::try_from(at).ok()) {
            self.primary = PathId(next);
        }
    }

    /// Forgets the paths that are not to be kept; their numbers change, so nothing may have been sent on them yet.
    pub(crate) fn keep(&mut self, keep: impl Fn(&Path) -> bool) {
        let primary = self.get(self.primary).map(|p| p.addr);
        if self.list.iter().any(&keep) {
            self.list.retain(keep);
        }
        self.primary = primary.and_then(|a| self.find(a)).unwrap_or(PathId(0));
        self.stand_in = self.primary;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AssocConfig;
    use crate::net::Channel;
    use crate::time::Time;

    const A: PathId = PathId(0);
    const B: PathId = PathId(1);
    const C: PathId = PathId(2);

    fn paths(n: u8) -> Paths {
        let path = |at: u8| {
            let mut p = Path::new(&AssocConfig::rfc(), Time::ZERO, [10, at, 0, 2].into(), Some([10, at, 0, 1].into()), Channel::Raw);
            p.trust();
            p
        };
        let mut all = Paths::new(path(0));
        (1..n).for_each(|at| assert!(all.add(path(at)).is_some()));
        all
    }

    fn errors(paths: &mut Paths, id: PathId, n: u32) {
        let p = paths.get_mut(id).unwrap();
        p.on_answer();
        (0..n).for_each(|_| p.count_error());
        paths.settle();
    }

    /// RFC 7829 section 3.2 rules 2 to 4.
    #[test]
    fn data_leaves_a_path_that_may_have_failed_and_comes_back() {
        let mut p = paths(3);
        assert_eq!(p.data_path(), A);
        errors(&mut p, A, 1);
        assert_eq!((p.state(A), p.data_path()), (PathState::PotentiallyFailed, B));
        errors(&mut p, B, 1);
        assert_eq!(p.data_path(), C);
        errors(&mut p, B, 0);
        assert_eq!(p.data_path(), C, "one alternate, as long as it works");
        errors(&mut p, A, 0);
        assert_eq!(p.data_path(), A);
        for (id, n) in [(A, 3), (B, 2), (C, 4)] {
            errors(&mut p, id, n);
        }
        assert_eq!(p.data_path(), B, "the one that failed least");
        for id in [A, B, C] {
            errors(&mut p, id, 9);
            assert_eq!((p.state(id), p.get(id).unwrap().error_count), (PathState::Inactive, 6), "the counter stops");
        }
        assert_eq!(p.data_path(), A, "dormant");
        assert_ne!(p.retransmit_path(A), A, "each try elsewhere");
    }

    /// RFC 9260 rows: 6.4-4, 6.4-5, 6.4.1-2.
    #[test]
    fn what_timed_out_goes_elsewhere_and_what_was_missed_goes_the_same_way() {
        let mut p = paths(2);
        assert_eq!((p.retransmit_path(A), p.retransmit_path(B)), (B, A));
        assert_eq!((p.fast_retransmit_path(A), p.fast_retransmit_path(B)), (A, B));
        errors(&mut p, B, 1);
        assert_eq!((p.retransmit_path(A), p.fast_retransmit_path(B)), (A, A), "the other one may have failed");
        assert_eq!(p.other(A), None);
        let mut p = paths(3);
        p.get_mut(B).unwrap().local = Some([10, 0, 0, 1].into());
        p.set_primary(C);
        assert_eq!(p.retransmit_path(A), C);
        p.set_primary(A);
        assert_eq!(p.retransmit_path(A), C, "the source differs too");
    }

    #[test]
    fn one_path_is_used_whatever_its_state() {
        let mut p = paths(1);
        errors(&mut p, A, 3);
        assert_eq!((p.state(A), p.data_path(), p.retransmit_path(A)), (PathState::Active, A, A));
        errors(&mut p, A, 9);
        assert_eq!((p.state(A), p.data_path(), p.fast_retransmit_path(A)), (PathState::Inactive, A, A));
    }

    /// RFC 9260 rows: 5.4-2.
    #[test]
    fn an_unconfirmed_path_is_never_chosen() {
        let mut p = paths(2);
        p.get_mut(B).unwrap().confirmed = false;
        errors(&mut p, A, 9);
        assert_eq!((p.data_path(), p.retransmit_path(A), p.other(A)), (A, A, None));
    }
}
