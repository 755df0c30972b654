//! Announces (RFC 5352 section 3.6): telling that we are there, and counting who else is.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bytes::Bytes;
use sctp_user::Time;

use super::config::PortRule;
use super::{Output, Registrar, Service, Timer};
use crate::wire::{ASAP_PORT, AsapMessage, EncodeOptions, RegistrarId, Scope, Transport, TransportUse};

/// T7-ENRPoutdate: how long an announce is believed.
const OUTDATE: Duration = Duration::from_secs(5);
/// Most other registrars that are counted; more make no difference to the period.
const MAX_HEARD: usize = 64;
/// How far the period is spread to both sides: 12.5 %.
const SPREAD_PERMILLE: u32 = 125;

/// The other registrars whose announces are heard, and when last.
#[derive(Debug, Default)]
pub(super) struct Heard {
    at: BTreeMap<RegistrarId, Time>,
}

impl Heard {
    fn note(&mut self, now: Time, id: RegistrarId) {
        if self.at.len() < MAX_HEARD || self.at.contains_key(&id) {
            self.at.insert(id, now);
        }
    }

    fn count(&mut self, now: Time) -> u32 {
        self.at.retain(|_, t| now.saturating_since(*t) < OUTDATE);
        u32::try_from(self.at.len()).unwrap_or(u32::MAX)
    }
}

impl Registrar {
    pub(super) fn announce_heard(&mut self, now: Time, bytes: &[u8]) {
        if let Ok(d) = AsapMessage::decode(bytes)
            && let AsapMessage::ServerAnnounce { registrar, .. } = d.message
            && registrar != self.id
        {
            self.stats.announces_heard += 1;
            self.heard.note(now, registrar);
        }
    }

    pub(super) fn announce(&mut self, now: Time) {
        for target in self.cfg.announce.targets.clone() {
            let transports = self.announced(target.source).into_iter().collect();
            let message = AsapMessage::ServerAnnounce { registrar: self.id, transports };
            if let Ok(bytes) = message.encode(EncodeOptions::default()) {
                self.stats.announces_sent += 1;
                self.outputs.push_back(Output::Announce { service: Service::Asap, target, bytes: Bytes::from(bytes) });
            }
        }
        let announce = &self.cfg.announce;
        let period = announce.period.saturating_mul(self.heard.count(now).saturating_add(1));
        let period = announce.max_period.map_or(period, |max| period.min(max.max(announce.period)));
        let at = now + self.spread(period, SPREAD_PERMILLE);
        self.timers.set(Timer::Announce, Some(at));
    }

    /// Where an announce sent from `source` says that we are. Nothing means "where this comes from": with the registered
    /// port every receiver reads that alike. With another port RFC 5352 would take the registered one and RSPLIB the
    /// datagram's, so we say it, in the single SCTP transport that RSPLIB accepts. RSPLIB does not understand loopback
    /// addresses in a transport, and what listens on loopback takes the datagram's port.
    fn announced(&self, source: IpAddr) -> Option<Transport> {
        let quiet = source.is_loopback() || self.cfg.asap_port == ASAP_PORT;
        if quiet && self.cfg.announce.port_rule == PortRule::Both {
            return None;
        }
        let scope = if source.is_loopback() { Scope::Loopback } else { Scope::SiteLocal };
        let usable = self.local.iter().copied().chain([source]).filter(|a| Scope::of(*a) >= scope && Scope::of(*a) != Scope::LinkLocal);
        let usable: BTreeSet<IpAddr> = usable.collect();
        let transport = Transport::sctp(self.cfg.asap_port, TransportUse::DATA, usable);
        (!transport.addrs.is_empty()).then_some(transport)
    }
}
