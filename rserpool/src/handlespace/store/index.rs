//! Finding things by what they are called: a hash table that grows in small steps.
//!
//! This is extendible hashing: a directory points at shards of at most a few hundred entries. A shard that is full is
//! split in two, which takes microseconds; doubling the directory copies a few thousand numbers.

use core::fmt;
use core::hash::Hasher as _;

use hashbrown::HashTable;
use sctp_user::Entropy;
use siphasher::sip::SipHasher13;

/// Most entries of a shard: what `hashbrown` puts into 512 buckets. Few in unit tests, so that shards are split.
const SHARD: usize = if cfg!(test) { 7 } else { 448 };
/// Most bits that tell shards apart.
const MAX_DEPTH: u32 = 24;

/// What makes hashes unpredictable to those who choose the names.
#[derive(Clone, Copy)]
pub(crate) struct Secret {
    bytes: [u8; 16],
    factor: u128,
    term: u128,
}

impl Secret {
    pub(crate) fn new(entropy: &mut dyn Entropy) -> Self {
        let mut draw = || {
            let mut bytes = [0; 16];
            entropy.fill_secret(&mut bytes);
            bytes
        };
        Self { bytes: draw(), factor: u128::from_le_bytes(draw()), term: u128::from_le_bytes(draw()) }
    }

    /// A hash of any name.
    pub(crate) fn of_bytes(&self, name: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.bytes);
        hasher.write(name);
        hasher.finish()
    }

    /// A hash of two numbers, which is simpler: multiplying and adding, modulo 2^128, and taking the upper half is strongly
    /// universal (Dietzfelbinger 1996). Whichever two pairs somebody chooses, they collide as rarely as by chance.
    #[allow(clippy::cast_possible_truncation, reason = "the upper half is meant")]
    pub(crate) const fn of_numbers(&self, a: u32, b: u32) -> u64 {
        let numbers = (a as u128) << 32 | b as u128;
        (self.factor.wrapping_mul(numbers).wrapping_add(self.term) >> 64) as u64
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[derive(Debug)]
struct Shard {
    entries: HashTable<u32>,
    /// How many bits of the hash all its entries share.
    depth: u32,
}

/// A set of numbers that are found by the hash of what they stand for.
#[derive(Debug)]
pub(crate) struct Index {
    /// The shard of each value of the lowest `depth` bits.
    directory: Vec<u32>,
    shards: Vec<Shard>,
    depth: u32,
    len: usize,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self { directory: vec![0], shards: vec![Shard { entries: HashTable::new(), depth: 0 }], depth: 0, len: 0 }
    }

    /// The part of the hash that chooses the shard: not the one that chooses the place within it.
    const fn prefix(hash: u64) -> usize {
        (hash >> 32) as usize & ((1 << MAX_DEPTH) - 1)
    }

    fn shard_of(&self, hash: u64) -> usize {
        let mask = self.directory.len() - 1;
        self.directory.get(Self::prefix(hash) & mask).map_or(0, |s| *s as usize)
    }

    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.shards.get(self.shard_of(hash))?.entries.find(hash, |n| is_it(*n)).copied()
    }

    /// Takes a number in that is not there yet. `hash_of` tells the hashes of those that are.
    pub(crate) fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        let mut shard = self.shard_of(hash);
        if self.shards.get(shard).is_some_and(|s| s.entries.len() >= SHARD && s.depth < MAX_DEPTH) {
            self.split(shard, &hash_of);
            shard = self.shard_of(hash);
        }
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.entries.insert_unique(hash, number, |n| hash_of(*n));
            self.len += 1;
        }
    }

    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        let shard = self.shard_of(hash);
        let Some(shard) = self.shards.get_mut(shard) else { return };
        if let Ok(entry) = shard.entries.find_entry(hash, |n| *n == number) {
            entry.remove();
            self.len -= 1;
        }
    }

    /// Another number stands for the same thing.
    pub(crate) fn replace(&mut self, hash: u64, before: u32, after: u32) {
        let shard = self.shard_of(hash);
        if let Some(number) = self.shards.get_mut(shard).and_then(|s| s.entries.find_mut(hash, |n| *n == before)) {
            *number = after;
        }
    }

    fn split(&mut self, index: usize, hash_of: &impl Fn(u32) -> u64) {
        let Some(shard) = self.shards.get_mut(index) else { return };
        let bit = 1 << shard.depth;
        shard.depth += 1;
        let depth = shard.depth;
        let mut other = HashTable::new();
        let moving = shard.entries.extract_if(|n| Self::prefix(hash_of(*n)) & bit != 0);
        for number in moving {
            other.insert_unique(hash_of(number), number, |n| hash_of(*n));
        }
        if depth > self.depth {
            self.directory.extend_from_within(..);
            self.depth = depth;
        }
        let (old, new) = (index, self.shards.len());
        self.shards.push(Shard { entries: other, depth });
        for (prefix, target) in self.directory.iter_mut().enumerate() {
            if *target as usize == old && prefix & bit != 0 {
                *target = u32::try_from(new).unwrap_or(u32::MAX);
            }
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_splits() {
        let secret = Secret::new(&mut sctp_user::SeededEntropy::new(1));
        let hash = |n: u32| secret.of_numbers(1, n);
        let mut index = Index::new();
        for n in 0..20_000 {
            index.insert(hash(n), n, hash);
        }
        for n in (0..20_000).step_by(3) {
            index.remove(hash(n), n);
        }
        assert_eq!(index.len(), 20_000 - 6667);
        for n in 0..20_001 {
            let there = n < 20_000 && n % 3 != 0;
            assert_eq!(index.find(hash(n), |m| m == n), there.then_some(n));
        }
        assert!(index.shards.iter().all(|s| s.entries.len() <= SHARD));
        assert!(index.shards.len() > 20);
        index.replace(hash(1), 1, 99_999);
        assert_eq!(index.find(hash(1), |m| m == 99_999), Some(99_999));
    }
}
