//! Addresses that come and go while an association lives (RFC 5061): the peer's are paths, ours are sources of packets.

use std::net::IpAddr;

use super::core::{Control, Core};
use super::path::{HeartbeatKind, Path, PathId, source};
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
        let id = self.paths.add(Path::new(&self.cfg, now, addr, None, channel)).ok_or(TooManyPaths)?;
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
    pub(super) fn leave_source(&mut self, gone: IpAddr) {
        self.local_addrs.retain(|a| *a != gone);
        self.control.retain(|c| c.source() != Some(gone));
        for (_, path) in self.paths.iter_mut() {
            path.heartbeat.forget_source(gone);
        }
        self.settle_sources();
    }

    /// The peer knows one more address of ours: packets may leave from there (section 5.3 rule F2).
    pub(super) fn gain_source(&mut self, now: Time, addr: IpAddr) {
        self.know_local(vec![addr]);
        self.settle_sources();
        let reached = |p: &Path| source::for_attempt(&self.local_addrs, None, p.addr, 0).is_some();
        let waiting: Vec<_> = self.paths.iter().filter(|(_, p)| !p.confirmed && reached(p)).map(|(id, _)| id).collect();
        for id in waiting {
            self.probe_in_turn(now, id);
        }
    }

    /// Every path gets one of our present addresses as its source. A path without any is not used until there is one. While there is
    /// none at all, everything waits: see [`Core::has_no_source`].
    fn settle_sources(&mut self) {
        if self.has_no_source() {
            return;
        }
        let own = &self.local_addrs;
        let mut moved = Vec::new();
        for (id, path) in self.paths.iter_mut() {
            // One that is not confirmed is tried from each of our addresses anyhow.
            let tried = !path.confirmed && path.local.is_none();
            if tried || path.local.is_some_and(|a| own.contains(&a)) {
                continue;
            }
            match source::for_attempt(own, None, path.addr, 0) {
                Some(new) => {
                    if path.confirmed && path.local.is_some() {
                        moved.push(id);
                    }
                    path.set_local(new);
                }
                None => path.strand(),
            }
        }
        for id in moved {
            // The way from there may be another one: it is tried at once.
            self.push_control(Control::Heartbeat(id, HeartbeatKind::Periodic));
        }
        self.tx.begin_opportunity();
    }

    /// Whether none of our addresses may be the source of a packet, until the peer has acknowledged a new one (section 5.3.2).
    pub(super) fn has_no_source(&self) -> bool {
        self.local_addrs.is_empty() && !self.state.is_opening()
    }
}
