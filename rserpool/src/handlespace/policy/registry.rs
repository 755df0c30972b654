//! Which policies there are.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::sorted::Sorted;
use super::{Policy, least_used, round_robin};

type Make = Arc<dyn Fn() -> Box<dyn Policy> + Send + Sync>;

/// The policies that can be used, by their numbers.
#[derive(Clone)]
pub struct Policies {
    /// What was added, or replaced, beside [`standard`].
    added: Arc<BTreeMap<u32, Make>>,
}

impl Policies {
    /// All policies of RFC 5356 and those of RSPLIB's own.
    #[must_use]
    pub fn standard() -> Self {
        Self { added: Arc::default() }
    }

    /// These and one more, whose objects, one a pool, `make` makes. It replaces a policy that had the number.
    #[must_use]
    pub fn with(&self, number: u32, make: impl Fn() -> Box<dyn Policy> + Send + Sync + 'static) -> Self {
        let mut added = (*self.added).clone();
        added.insert(number, Arc::new(make));
        Self { added: Arc::new(added) }
    }

    /// Whether there is a policy of this number.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        self.added.contains_key(&number) || standard(number).is_some()
    }

    /// A new, empty policy object for the policy of this number, if there is one.
    #[must_use]
    pub fn of_number(&self, number: u32) -> Option<Box<dyn Policy>> {
        self.added.get(&number).map(|make| make()).or_else(|| standard(number))
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self::standard()
    }
}

impl PartialEq for Policies {
    /// Equal if they are one another's clones.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.added, &other.added) || (self.added.is_empty() && other.added.is_empty())
    }
}

impl Eq for Policies {}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard policies")?;
        self.added.keys().try_for_each(|number| write!(f, " + 0x{number:08x}"))
    }
}

fn standard(number: u32) -> Option<Box<dyn Policy>> {
    match number {
        0x0000_0001 => Some(Box::new(Sorted::new(round_robin::RoundRobin))),
        0x4000_0001 => Some(Box::new(Sorted::new(least_used::LeastUsed))),
        _ => None,
    }
}
