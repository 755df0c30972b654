//! What a handlespace is made for.

use super::policy::Policies;
use crate::wire::LifeUnit;

/// How much a handlespace takes in; beyond, registrations are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most pools.
    pub pools: usize,
    /// Most elements in all pools together.
    pub elements: usize,
    /// Most elements in one pool.
    pub elements_per_pool: usize,
}

impl Default for Limits {
    /// 100,000 pools, 500,000 elements, as many as that in one pool.
    fn default() -> Self {
        Self { pools: 100_000, elements: 500_000, elements_per_pool: 500_000 }
    }
}

/// Configuration of a handlespace.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Config {
    /// How much it takes in.
    pub limits: Limits,
    /// The unit of registration lives.
    pub life_unit: LifeUnit,
    /// The policies that pools may have.
    pub policies: Policies,
}
