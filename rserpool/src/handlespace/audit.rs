//! Checks that all indices of a handlespace tell the same story.

use super::{Checksum, Handlespace};

impl Handlespace {
    /// Checks every invariant; takes as long as the handlespace is large.
    ///
    /// # Errors
    /// What does not agree.
    pub fn audit(&self) -> Result<(), String> {
        let mut members = 0;
        for (handle, pool) in &self.pools {
            members += pool.members.len();
            ensure(handle == &pool.handle, || format!("pool {handle} is called {}", pool.handle))?;
            ensure(!pool.members.is_empty(), || format!("pool {handle} is empty"))?;
            ensure(pool.policy.len() == pool.members.len(), || format!("pool {handle}: the policy knows another number of elements"))?;
            pool.policy.audit().map_err(|e| format!("pool {handle}: {e}"))?;
            for (id, key) in &pool.members {
                let e = self.element(*key).ok_or_else(|| format!("{handle} {id} does not exist"))?.record;
                ensure(e.handle == *handle && e.info.id == *id, || format!("{handle} {id} is {} {}", e.handle, e.info.id))?;
                ensure(pool.seats.get(e.seat as usize) == Some(key), || format!("{handle} {id} is not in its seat"))?;
                ensure(e.info.policy.number() == pool.policy.number(), || format!("{handle} {id} has another policy"))?;
                let owned = self.owners.get(&e.info.home).is_some_and(|o| o.elements.contains(key));
                ensure(owned, || format!("{handle} {id} is not in its owner's list"))?;
            }
        }
        ensure(members == self.records.len(), || format!("{members} members, {} elements", self.records.len()))?;
        let owned: usize = self.owners.values().map(|o| o.elements.len()).sum();
        ensure(owned == members, || format!("{members} members, {owned} owned"))?;
        for (owner, o) in &self.owners {
            let mut checksum = Checksum::default();
            o.elements.iter().filter_map(|key| self.element(*key)).for_each(|e| checksum.add(e.handle(), e.id()));
            ensure(checksum == o.checksum, || format!("checksum of {owner}"))?;
            ensure(!o.elements.is_empty(), || format!("{owner} owns nothing"))?;
        }
        Ok(())
    }
}

fn ensure(ok: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if ok { Ok(()) } else { Err(what()) }
}
