//! The list of an association's paths: who is who, and which one is primary.

use std::net::IpAddr;

use super::{MAX_PATHS, Path, PathId};
use crate::net::scope_of;
use crate::time::Time;

/// All paths of an association.
#[derive(Debug)]
pub(crate) struct Paths {
    /// At most `MAX_PATHS`, at least one. Only [`Self::remove`] changes the number of a path.
    pub(super) list: Vec<Path>,
    /// The interface that link-local addresses of the peer are reached by: one, for they mean nothing on another link.
    link: u32,
    pub(super) primary: PathId,
    /// The path that data goes by while the primary path has failed.
    pub(super) stand_in: PathId,
}

impl Paths {
    /// The paths of an association whose first one is its primary path.
    pub(crate) fn new(first: Path) -> Self {
        Self { list: vec![first], link: 0, primary: PathId(0), stand_in: PathId(0) }
    }

    /// Adds a path; `None` if there are `MAX_PATHS` already or its address is known.
    pub(crate) fn add(&mut self, path: Path) -> Option<PathId> {
        if self.list.len() >= MAX_PATHS || self.find(path.addr).is_some() {
            return None;
        }
        let id = PathId(u8::try_from(self.list.len()).ok()?);
        let link = scope_of(path.addr, self.link);
        self.list.push(Path { link, ..path });
        Some(id)
    }

    /// Who takes over what went by path `gone`; `None` if there is no other.
    pub(crate) fn heir(&self, gone: PathId) -> Option<PathId> {
        let data = self.data_path();
        let others = || self.iter().map(|(id, _)| id).filter(|id| *id != gone);
        others()
            .find(|id| *id == data)
            .or_else(|| self.other(gone))
            .or_else(|| others().find(|id| self.is_active(*id)))
            .or_else(|| others().next())
    }

    /// Removes path `gone`, whose place `heir` takes. Answers which path, if any, has its number now.
    pub(crate) fn remove(&mut self, gone: PathId, heir: PathId) -> Option<PathId> {
        if gone == heir || self.get(gone).is_none() || self.get(heir).is_none() {
            return None;
        }
        let last = PathId(u8::try_from(self.list.len() - 1).unwrap_or(u8::MAX));
        for used in [&mut self.primary, &mut self.stand_in] {
            let now = if *used == gone { heir } else { *used };
            *used = if now == last { gone } else { now };
        }
        self.list.swap_remove(usize::from(gone.0));
        (last != gone).then_some(last)
    }

    /// The interface that link-local addresses are reached by; 0 if none was named.
    pub(crate) fn link(&self) -> u32 {
        self.link
    }

    /// Link-local addresses of the peer are reached by this interface.
    pub(crate) fn set_link(&mut self, ifindex: u32) {
        self.link = ifindex;
        for p in &mut self.list {
            p.link = scope_of(p.addr, ifindex);
        }
    }

    /// Number of paths.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The path with this number.
    pub(crate) fn get(&self, id: PathId) -> Option<&Path> {
        self.list.get(usize::from(id.0))
    }

    /// The path with this number.
    pub(crate) fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        self.list.get_mut(usize::from(id.0))
    }

    /// The path to this address.
    pub(crate) fn find(&self, addr: IpAddr) -> Option<PathId> {
        self.iter().find(|(_, p)| p.addr == addr).map(|(id, _)| id)
    }

    /// The primary path.
    pub(crate) fn primary(&self) -> PathId {
        self.primary
    }

    /// Makes `id` the primary path, if it exists.
    pub(crate) fn set_primary(&mut self, id: PathId) {
        if self.get(id).is_some() {
            self.primary = id;
        }
    }

    /// All paths with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PathId, &Path)> {
        (0..).map(PathId).zip(&self.list)
    }

    /// All paths with their numbers.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (PathId, &mut Path)> {
        (0..).map(PathId).zip(&mut self.list)
    }

    /// The earliest T3-rtx and whose it is.
    pub(crate) fn next_t3(&self) -> Option<(Time, PathId)> {
        self.iter().filter_map(|(id, p)| Some((p.t3?, id))).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{UDP, path};
    use super::*;

    #[test]
    fn paths_are_found_and_bounded() {
        let mut paths = Paths::new(path("10.0.0.1", UDP));
        for n in 2..=255 {
            paths.add(path(&format!("10.0.0.{n}"), UDP));
        }
        assert_eq!(paths.len(), MAX_PATHS);
        assert_eq!(paths.find("10.0.0.3".parse().unwrap()), Some(PathId(2)));
        assert_eq!(paths.add(path("10.0.0.1", UDP)), None);
        paths.set_primary(PathId(200));
        assert_eq!(paths.primary(), PathId(0));
    }
}
