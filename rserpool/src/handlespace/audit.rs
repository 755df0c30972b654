//! Checks that all indices of a handlespace tell the same story.

use super::Handlespace;
use super::checksum::share_of_id;
use super::record::NO_ASSOC;

impl Handlespace {
    /// Checks every invariant; takes as long as the handlespace is large.
    ///
    /// # Errors
    /// What does not agree.
    pub fn audit(&self) -> Result<(), String> {
        let mut members = 0;
        for (slot, pool) in self.pools.iter() {
            let handle = &pool.handle;
            ensure(self.pools.find(handle) == Some(slot), || format!("pool {handle} is not found"))?;
            pool.audit(&self.records.slots).map_err(|e| format!("pool {handle}: {e}"))?;
            for e in self.members(handle) {
                let id = e.id();
                members += 1;
                ensure(e.record.serial != 0 && e.record.pool == slot, || format!("{handle} {id} is not there"))?;
                ensure(self.find(handle, id) == Some(e.key()), || format!("{handle} {id} is not found"))?;
                ensure(self.element(e.key()).is_some(), || format!("{handle} {id} does not answer to its key"))?;
                ensure(e.policy().number() == pool.number, || format!("{handle} {id} has another policy"))?;
                let on_list = e.record.assoc == NO_ASSOC || self.on_assoc(e.record.assoc).any(|key| key == e.key());
                ensure(on_list, || format!("{handle} {id} is not on its association"))?;
            }
        }
        let alive = self.records.slots.iter().filter(|e| e.serial != 0).count();
        let counts = [alive, self.records.len(), self.elements.len()];
        ensure(counts == [members; 3], || format!("{members} members, but {counts:?} elements"))?;
        ensure(self.pools.iter().count() == self.pools.len(), || "the number of pools".into())?;
        let share = |e: &super::record::Record| share_of_id(e.id) + self.pools.get(e.pool).map_or(0, |p| p.share);
        let owned = self.owners.audit(&self.records, share)?;
        ensure(owned == members, || format!("{members} members, {owned} owned"))?;
        self.expiry.audit(&self.records.slots)?;
        self.timers.audit(&self.records.slots)
    }
}

fn ensure(ok: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if ok { Ok(()) } else { Err(what()) }
}
