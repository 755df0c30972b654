//! Finding the association of a packet by (local port, peer port, peer address), or by our tag where the address is new.

use core::hash::{Hash, Hasher};
use std::net::IpAddr;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use siphasher::sip::SipHasher13;

use crate::entropy::Entropy;
use crate::event::AssocId;
use crate::net::scope_of;
use crate::num::Vtag;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    local_port: u16,
    peer_port: u16,
    peer: IpAddr,
    /// The interface of a link-local address, which other hosts may have on other links; else 0.
    link: u32,
}

impl Key {
    /// `ifindex` is the interface by which the peer is heard.
    pub(super) fn new((local_port, peer_port): (u16, u16), peer: IpAddr, ifindex: u32) -> Self {
        Self { local_port, peer_port, peer, link: scope_of(peer, ifindex) }
    }
}

impl Hash for Key {
    /// In few words, for the hash is slow with small pieces.
    fn hash<H: Hasher>(&self, h: &mut H) {
        let ports = u64::from(self.local_port) << 16 | u64::from(self.peer_port);
        match self.peer {
            // An IPv4 address has no interface.
            IpAddr::V4(a) => h.write_u64(ports << 32 | u64::from(u32::from(a))),
            IpAddr::V6(a) => {
                h.write_u64(ports << 32 | u64::from(self.link));
                h.write_u128(u128::from(a));
            }
        }
    }
}

/// Our tag and both ports: what an association is known by whose peer has moved (RFC 5061 section 4.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TagKey {
    /// Ours, then the peer's.
    pub(super) ports: (u16, u16),
    pub(super) tag: Vtag,
}

impl Hash for TagKey {
    fn hash<H: Hasher>(&self, h: &mut H) {
        h.write_u64(u64::from(self.ports.0) << 48 | u64::from(self.ports.1) << 32 | u64::from(self.tag.0));
    }
}

/// One entry per peer address of every association; hashed with a secret, so that nobody can aim at one bucket.
#[derive(Debug)]
pub(super) struct Lookup {
    hasher: SipHasher13,
    table: HashTable<(Key, AssocId)>,
    /// What was found last for a packet: the next one is often of the same peer. Forgotten whenever the table changes.
    last: Option<(Key, AssocId)>,
    /// One entry for every association that has Add-IP.
    tags: HashTable<(TagKey, AssocId)>,
}

impl Lookup {
    pub(super) fn new(entropy: &mut dyn Entropy) -> Self {
        let mut key = [0; 16];
        entropy.fill_secret(&mut key);
        Self { hasher: SipHasher13::new_with_key(&key), table: HashTable::new(), last: None, tags: HashTable::new() }
    }

    fn hash(hasher: &SipHasher13, key: &impl Hash) -> u64 {
        let mut h = *hasher;
        key.hash(&mut h);
        h.finish()
    }

    pub(super) fn get(&self, key: &Key) -> Option<AssocId> {
        self.table.find(Self::hash(&self.hasher, key), |(k, _)| k == key).map(|(_, id)| *id)
    }

    /// The same for a packet that came.
    pub(super) fn of_packet(&mut self, key: &Key) -> Option<AssocId> {
        if let Some((_, id)) = self.last.filter(|(last, _)| last == key) {
            return Some(id);
        }
        let found = self.get(key);
        self.last = found.map(|id| (*key, id));
        found
    }

    /// Enters `key`; an entry of another association stays as it is.
    pub(super) fn insert(&mut self, key: Key, id: AssocId) -> bool {
        let hasher = self.hasher;
        match self.table.entry(Self::hash(&hasher, &key), |(k, _)| *k == key, |(k, _)| Self::hash(&hasher, k)) {
            Entry::Occupied(entry) => entry.get().1 == id,
            Entry::Vacant(entry) => {
                self.last = None;
                entry.insert((key, id));
                true
            }
        }
    }

    /// Removes `key` if it belongs to `id`.
    pub(super) fn remove(&mut self, key: &Key, id: AssocId) {
        self.last = None;
        if let Ok(entry) = self.table.find_entry(Self::hash(&self.hasher, key), |(k, i)| k == key && *i == id) {
            entry.remove();
        }
    }

    /// The association with our tag and these ports.
    pub(super) fn by_tag(&self, key: &TagKey) -> Option<AssocId> {
        self.tags.find(Self::hash(&self.hasher, key), |(k, _)| k == key).map(|(_, id)| *id)
    }

    /// Enters an association by its tag; one that has the same keeps it.
    pub(super) fn insert_tag(&mut self, key: TagKey, id: AssocId) {
        let hasher = self.hasher;
        self.tags.entry(Self::hash(&hasher, &key), |(k, _)| *k == key, |(k, _)| Self::hash(&hasher, k)).or_insert((key, id));
    }

    /// Removes a tag if it belongs to `id`.
    pub(super) fn remove_tag(&mut self, key: &TagKey, id: AssocId) {
        if let Ok(entry) = self.tags.find_entry(Self::hash(&self.hasher, key), |(k, i)| k == key && *i == id) {
            entry.remove();
        }
    }
}
