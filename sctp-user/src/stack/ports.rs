//! Endpoints: one per SCTP port.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::{AssocConfig, EndpointConfig};
use crate::entropy::Entropy;
use crate::error::BindError;
use crate::event::EndpointId;

/// The ephemeral ports: the dynamic range of RFC 6335.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49_152..=65_535;

#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) port: u16,
    pub(super) assoc: Arc<AssocConfig>,
    /// The host's addresses that it uses; all if empty.
    pub(super) bind: Vec<IpAddr>,
    pub(super) listening: bool,
    /// Most associations of peers that the program has not taken notice of.
    pub(super) backlog: usize,
    /// How many there are.
    pub(super) pending: usize,
    /// Whether a peer was told of our algorithms of authentication (RFC 4895 section 6.1: they stay).
    pub(super) told: bool,
}

impl Endpoint {
    /// Whether it uses this address of the host.
    pub(super) fn has(&self, ip: IpAddr) -> bool {
        self.bind.is_empty() || self.bind.contains(&ip)
    }
}

/// The endpoint table.
#[derive(Debug, Default)]
pub(super) struct Ports {
    endpoints: BTreeMap<EndpointId, Endpoint>,
    by_port: BTreeMap<u16, EndpointId>,
    next: u32,
}

impl Ports {
    pub(super) fn open(&mut self, cfg: EndpointConfig, entropy: &mut dyn Entropy) -> Result<EndpointId, BindError> {
        cfg.validate()?;
        let port = if cfg.port == 0 { self.ephemeral(entropy).ok_or(BindError::NoFreePort)? } else { cfg.port };
        if self.by_port.contains_key(&port) {
            return Err(BindError::AddrInUse(port));
        }
        let id = EndpointId(self.next);
        self.next = self.next.wrapping_add(1);
        self.by_port.insert(port, id);
        let EndpointConfig { assoc, bind, backlog, .. } = cfg;
        self.endpoints.insert(id, Endpoint { port, assoc, bind, listening: false, backlog, pending: 0, told: false });
        Ok(id)
    }

    /// A random free port, so that a new association is not taken for the restart of an old one.
    fn ephemeral(&self, entropy: &mut dyn Entropy) -> Option<u16> {
        let size = u64::from(EPHEMERAL.end() - EPHEMERAL.start()) + 1;
        let offset = u16::try_from(entropy.below(size)).ok()?;
        let start = EPHEMERAL.start().saturating_add(offset);
        (start..=*EPHEMERAL.end()).chain(*EPHEMERAL.start()..start).find(|p| !self.by_port.contains_key(p))
    }

    pub(super) fn close(&mut self, id: EndpointId) -> Option<Endpoint> {
        let endpoint = self.endpoints.remove(&id)?;
        self.by_port.remove(&endpoint.port);
        Some(endpoint)
    }

    pub(super) fn get(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: EndpointId) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(&id)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Endpoint> {
        self.endpoints.values_mut()
    }

    /// The program was told of an association that a peer had opened, or it is gone.
    pub(super) fn noticed(&mut self, id: EndpointId) {
        if let Some(e) = self.endpoints.get_mut(&id) {
            e.pending = e.pending.saturating_sub(1);
        }
    }

    pub(super) fn by_port(&self, port: u16) -> Option<(EndpointId, &Endpoint)> {
        let id = *self.by_port.get(&port)?;
        Some((id, self.endpoints.get(&id)?))
    }
}
