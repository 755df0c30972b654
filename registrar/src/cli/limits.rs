//! Flags about limits: how many there may be, and how fast a peer may go.

use clap::Args;
use rserpool::registrar::config::{Rate, RegistrarConfig};

use super::values::{peer_bits, rate};

/// Flags about limits; those that are not given stay as the registrar has them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits (a peer is an address prefix; more is refused, whatever association it comes over)")]
pub struct LimitOptions {
    /// Most pools
    #[arg(long, value_name = "N")]
    pub max_pools: Option<usize>,
    /// Most elements in all pools
    #[arg(long, value_name = "N")]
    pub max_elements: Option<usize>,
    /// Most elements in one pool
    #[arg(long, value_name = "N")]
    pub max_elements_per_pool: Option<usize>,
    /// Most elements of one peer
    #[arg(long, value_name = "N")]
    pub max_elements_per_peer: Option<usize>,
    /// Most elements of one association
    #[arg(long, value_name = "N")]
    pub max_elements_per_association: Option<usize>,
    /// Most associations
    #[arg(long, value_name = "N")]
    pub max_associations: Option<usize>,
    /// Most associations of one peer
    #[arg(long, value_name = "N")]
    pub max_associations_per_peer: Option<usize>,
    /// Most subscribers of one pool; 0 for no subscriptions
    #[arg(long, value_name = "N")]
    pub max_subscribers: Option<usize>,
    /// Registrations and deregistrations of one peer, per second and at once
    #[arg(long, value_name = "RATE[/BURST]", value_parser = rate)]
    pub registration_rate: Option<Rate>,
    /// Handle resolutions of one peer, per second and at once
    #[arg(long, alias = "maxhrrate", value_name = "RATE[/BURST]", value_parser = rate)]
    pub resolution_rate: Option<Rate>,
    /// Unreachable reports of one peer, per second and at once
    #[arg(long, alias = "maxeurate", value_name = "RATE[/BURST]", value_parser = rate)]
    pub report_rate: Option<Rate>,
    /// Announces and presences of one peer that are listened to, per second and at once
    #[arg(long, value_name = "RATE[/BURST]", value_parser = rate)]
    pub announce_rate: Option<Rate>,
    /// New associations of one peer, per second and at once
    #[arg(long, value_name = "RATE[/BURST]", value_parser = rate)]
    pub association_rate: Option<Rate>,
    /// How many bits of IPv4 and IPv6 addresses make a peer [default: 32,64]
    #[arg(long, value_name = "IPV4,IPV6", value_parser = peer_bits)]
    pub peer_prefix: Option<(u8, u8)>,
}

fn set<T: Copy>(field: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *field = value;
    }
}

impl LimitOptions {
    pub(super) fn apply(&self, config: &mut RegistrarConfig) {
        set(&mut config.limits.pools, self.max_pools);
        set(&mut config.limits.elements, self.max_elements);
        set(&mut config.limits.elements_per_pool, self.max_elements_per_pool);
        set(&mut config.max_elements_per_peer, self.max_elements_per_peer);
        set(&mut config.max_elements_per_association, self.max_elements_per_association);
        set(&mut config.max_associations, self.max_associations);
        set(&mut config.max_associations_per_peer, self.max_associations_per_peer);
        set(&mut config.subscriptions.per_pool, self.max_subscribers);
        let rates = &mut config.rates;
        set(&mut rates.registrations, self.registration_rate);
        set(&mut rates.resolutions, self.resolution_rate);
        set(&mut rates.reports, self.report_rate);
        set(&mut rates.announces, self.announce_rate);
        set(&mut rates.associations, self.association_rate);
        if let Some((four, six)) = self.peer_prefix {
            (rates.ipv4_prefix, rates.ipv6_prefix) = (four, six);
        }
    }
}
