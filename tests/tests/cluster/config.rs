//! The configurations of a cluster's registrars and clients.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use rserpool::asap::AsapConfig;
use rserpool::registrar::config::{AnnounceTarget, RegistrarConfig};
use rserpool::registrar::enrp::config::{Arbitration, EnrpTimers};
use rserpool::wire::{ASAP_PORT, ENRP_PORT, RegistrarId};

use crate::plan::{Habits, Plan};

/// The multicast groups of ASAP and ENRP.
pub(crate) fn groups() -> [SocketAddr; 2] {
    [SocketAddr::from(([239, 0, 0, 50], ASAP_PORT)), SocketAddr::from(([239, 0, 0, 51], ENRP_PORT))]
}

/// Makes configurations.
#[derive(Clone, Debug)]
pub(crate) struct Configs {
    multicast: bool,
    habits: Habits,
    /// The addresses of all hosts that may be registrars.
    registrars: Vec<IpAddr>,
}

impl Configs {
    pub(crate) fn of(plan: &Plan) -> Self {
        Self { multicast: plan.multicast, habits: plan.habits, registrars: plan.registrar_hosts().map(|h| plan.addrs[h]).collect() }
    }

    pub(crate) fn registrar(&self, host: usize, id: RegistrarId) -> RegistrarConfig {
        let mut cfg = RegistrarConfig::default();
        cfg.id = id;
        let [asap, enrp] = groups();
        cfg.enrp_group = enrp;
        let Habits { keep_alive, higher_wins, suggests, rfc_timers, .. } = self.habits;
        if keep_alive > 0 {
            cfg.keep_alive.period = Duration::from_millis(keep_alive);
        }
        if higher_wins {
            cfg.enrp.arbitration = Arbitration::HigherWins;
        }
        if rfc_timers {
            cfg.enrp.timers = EnrpTimers::RFC;
        }
        cfg.enrp.suggest_takeovers = suggests;
        let source = self.registrars[host];
        if self.multicast {
            cfg.announce.targets = vec![AnnounceTarget { source, group: asap }];
            cfg.enrp.targets = vec![AnnounceTarget { source, group: enrp }];
        } else {
            cfg.enrp.peers = self.registrars.iter().filter(|a| **a != source).map(|a| vec![SocketAddr::new(*a, ENRP_PORT)]).collect();
        }
        cfg
    }

    pub(crate) fn client(&self) -> AsapConfig {
        let mut cfg = AsapConfig::default();
        if !self.multicast {
            cfg.registrars = self.registrars.iter().map(|a| vec![SocketAddr::new(*a, ASAP_PORT)]).collect();
        }
        cfg
    }
}
