//! Which policies there are.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::sorted::{ByLoad, Sorted};
use super::weighted::Weighted;
use super::{
    Policy, least_used, least_used_degradation, least_used_degradation_dpf, least_used_dpf, priority, priority_least_used,
    priority_least_used_degradation, priority_least_used_degradation_dpf, priority_least_used_dpf, random, randomized_least_used,
    randomized_least_used_degradation, randomized_priority_least_used, randomized_priority_least_used_degradation, round_robin,
    weighted_random, weighted_random_dpf, weighted_round_robin,
};

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
        self.added.get(&number).map(|make| make()).or_else(|| standard(number).map(|make| make()))
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

type MakeStandard = fn() -> Box<dyn Policy>;

/// The policies that are always there: RFC 5356 sections 4 and 5, then RSPLIB's.
const STANDARD: [(u32, MakeStandard); 18] = [
    (0x0000_0001, make::<round_robin::RoundRobin>),
    (0x0000_0002, make::<Sorted<weighted_round_robin::WeightedRoundRobin>>),
    (0x0000_0003, make::<random::Random>),
    (0x0000_0004, make::<Weighted<weighted_random::WeightedRandom>>),
    (0x0000_0005, make::<Sorted<priority::Priority>>),
    (0x4000_0001, make::<Sorted<ByLoad<least_used::LeastUsed>>>),
    (0x4000_0002, make::<Sorted<ByLoad<least_used_degradation::LeastUsedDegradation>>>),
    (0x4000_0003, make::<Sorted<ByLoad<priority_least_used::PriorityLeastUsed>>>),
    (0x4000_0004, make::<Weighted<randomized_least_used::RandomizedLeastUsed>>),
    (0xb000_1001, make::<Weighted<randomized_priority_least_used::RandomizedPriorityLeastUsed>>),
    (0xb000_1002, make::<Weighted<randomized_least_used_degradation::RandomizedLeastUsedDegradation>>),
    (0xb000_1003, make::<Sorted<ByLoad<priority_least_used_degradation::PriorityLeastUsedDegradation>>>),
    (0xb000_1004, make::<Weighted<randomized_priority_least_used_degradation::RandomizedPriorityLeastUsedDegradation>>),
    (0xb000_2001, make::<Weighted<weighted_random_dpf::WeightedRandomDpf>>),
    (0xb000_2002, make::<Sorted<ByLoad<least_used_dpf::LeastUsedDpf>>>),
    (0xb000_2003, make::<Sorted<ByLoad<least_used_degradation_dpf::LeastUsedDegradationDpf>>>),
    (0xb000_2004, make::<Sorted<ByLoad<priority_least_used_dpf::PriorityLeastUsedDpf>>>),
    (0xb000_2005, make::<Sorted<ByLoad<priority_least_used_degradation_dpf::PriorityLeastUsedDegradationDpf>>>),
];

/// The numbers of the policies that are always there.
pub const NUMBERS: [u32; 18] = {
    let mut numbers = [0; 18];
    let mut i = 0;
    while i < 18 {
        numbers[i] = STANDARD[i].0;
        i += 1;
    }
    numbers
};

fn make<P: Policy + Default + 'static>() -> Box<dyn Policy> {
    Box::<P>::default()
}

fn standard(number: u32) -> Option<MakeStandard> {
    STANDARD.iter().find(|(n, _)| *n == number).map(|(_, make)| *make)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_answers_to_its_number() {
        for (number, make) in STANDARD {
            assert_eq!(make().number(), number);
            assert!(Policies::standard().contains(number));
        }
        assert!(Policies::standard().of_number(0x4000_0005).is_none());
    }
}
