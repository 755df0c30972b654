//! Addresses that come and go while an association lives (RFC 5061): the peer's are paths, ours are sources of packets.

use std::net::IpAddr;

use super::core::{Control, Core};
use super::path::{Path, PathId, source};
use super::timers::Timer;
use crate::event::{Event, PathChange};
use crate::net::Channel;
use crate::time::Time;

/// There are as many paths as an association can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooManyPaths;

impl Core {
    /// The peer has one more address: a path that is to be confirmed before it is used (RFC 5061 section 5.3 rules F1 and F14).
    pub(super) fn add_path(&mut self, now: Time, addr: IpAddr, channel: Channel) -> Result<(), TooManyPaths> {
        if self.paths.find(addr).is_some() {
            return Ok(());
        }
        let mut path = Path::new(&self.cfg, now, addr, None, channel);
        if source::for_attempt(&self.local_addrs, None, addr, 0).is_none() {
            path.strand();
        }
        let id = self.paths.add(path).ok_or(TooManyPaths)?;
        if self.state.sends_heartbeats() {
            self.probe_in_turn(now, id);
        }
        self.events.push_back(Event::PathState { addr, change: PathChange::Added });
        Ok(())
    }

    /// The peer has one address less: nothing is sent there any more (section 5.3 rule F13). The last one stays, whatever is asked for.
    pub(super) fn remove_path(&mut self, now: Time, addr: IpAddr) {
        let Some(gone) = self.paths.find(addr) else { return };
        let Some(heir) = self.paths.heir(gone) else { return };
        let was_primary = self.paths.primary() == gone;
        self.tx.leave_path(now, gone, heir, &mut self.paths);
        for used in [&mut self.reply_path, &mut self.heard_on] {
            *used = if *used == gone { heir } else { *used };
        }
        if self.unreachable.take_if(|u| u.is_about(gone)).is_some() {
            self.timers.stop(Timer::Unreachable);
        }
        self.control.retain(|c| c.path() != Some(gone));
        let renamed = self.paths.remove(gone, heir);
        if let Some(last) = renamed {
            self.rename_path(last, gone);
        }
        self.events.push_back(Event::PathState { addr, change: PathChange::Removed });
        if was_primary && let Some(p) = self.paths.get(self.paths.primary()) {
            self.events.push_back(Event::PathState { addr: p.addr, change: PathChange::MadePrimary });
        }
    }

    /// Path `old` is number `new` from now on.
    fn rename_path(&mut self, old: PathId, new: PathId) {
        self.tx.rename_path(old, new);
        for used in [&mut self.reply_path, &mut self.heard_on] {
            *used = if *used == old { new } else { *used };
        }
        if let Some(u) = &mut self.unreachable {
            u.rename(old, new);
        }
        for c in &mut self.control {
            c.rename_path(old, new);
        }
    }

    /// Nothing leaves from our address `gone` any more (section 5.3 rule F4).
    pub(super) fn leave_source(&mut self, now: Time, gone: IpAddr) {
        self.local_addrs.retain(|a| *a != gone);
        self.control.retain(|c| c.source() != Some(gone));
        for (_, path) in self.paths.iter_mut() {
            path.heartbeat.forget_source(gone);
        }
        self.settle_sources(now);
    }

    /// The peer knows one more address of ours: packets may leave from there (section 5.3 rule F2).
    pub(super) fn gain_source(&mut self, now: Time, addr: IpAddr) {
        self.know_local(vec![addr]);
        self.settle_sources(now);
        // What could not be confirmed from the other addresses may be so from this one.
        let waiting: Vec<_> = self.paths.iter().filter(|(_, p)| !p.confirmed).map(|(id, _)| id).collect();
        for id in waiting {
            if let Some(path) = self.paths.get_mut(id) {
                path.begin_anew();
            }
            self.probe_in_turn(now, id);
        }
    }

    /// Every path gets one of our present addresses as its source; one that none of them reaches is stranded until there is one that does.
    fn settle_sources(&mut self, now: Time) {
        let own = &self.local_addrs;
        let (mut moved, mut stranded) = (Vec::new(), Vec::new());
        for (id, path) in self.paths.iter_mut() {
            let nearest = source::for_attempt(own, None, path.addr, 0);
            // One that is not confirmed is tried from each of our addresses anyhow.
            let tried = !path.confirmed && path.local.is_none() && !path.stranded && nearest.is_some();
            if tried || path.local.is_some_and(|a| own.contains(&a)) {
                continue;
            }
            match nearest {
                Some(new) => {
                    if path.local.is_some() || path.stranded {
                        path.doubt();
                        moved.push(id);
                    }
                    path.stranded = false;
                    path.set_local(new);
                }
                None => {
                    path.strand();
                    stranded.push(id);
                }
            }
        }
        self.control.retain(|c| !matches!(c, Control::Heartbeat(id, _) if stranded.contains(id)));
        for id in moved {
            // Whether it is reached from there is asked at once.
            self.probe_in_turn(now, id);
        }
        self.tx.begin_opportunity();
    }

    /// Whether nothing but what tells of new addresses may go to a path.
    pub(super) fn is_stranded(&self, path: PathId) -> bool {
        self.paths.get(path).is_some_and(|p| p.stranded)
    }
}
