//! Endpoints: opened, set up, closed.

use std::net::IpAddr;
use std::sync::Arc;

use super::Stack;
use crate::config::EndpointConfig;
use crate::error::{BindError, ConfigError};
use crate::event::EndpointId;
use crate::time::Time;

impl Stack {
    /// Opens an endpoint; port 0 takes a random free one from 49152 to 65535.
    ///
    /// # Errors
    /// The port is open already, none is free, or the RFC forbids the configuration.
    pub fn open(&mut self, mut cfg: EndpointConfig) -> Result<EndpointId, BindError> {
        cfg.assoc = self.protection.of(cfg.assoc);
        self.ports.open(cfg, &mut *self.entropy)
    }

    /// The configuration in force of an endpoint, with the port that it has.
    #[must_use]
    pub fn endpoint_config(&self, ep: EndpointId) -> Option<EndpointConfig> {
        let e = self.ports.get(ep)?;
        Some(EndpointConfig { backlog: e.backlog, bind: e.bind.clone(), ..EndpointConfig::with(e.port, Arc::clone(&e.assoc)) })
    }

    /// Changes the configuration of an endpoint, for associations that are opened from now on.
    ///
    /// # Errors
    /// A value is forbidden, the port is another one (zero stands for the same), or there is no such endpoint; then nothing is
    /// changed.
    pub fn reconfigure_endpoint(&mut self, ep: EndpointId, cfg: EndpointConfig) -> Result<(), ConfigError> {
        cfg.validate()?;
        let e = self.ports.get_mut(ep).ok_or(ConfigError { field: "endpoint", why: "there is no such endpoint" })?;
        if cfg.port != 0 && cfg.port != e.port {
            return Err(ConfigError { field: "port", why: "it is what the endpoint is known by" });
        }
        if cfg.bind != e.bind {
            return Err(ConfigError { field: "bind", why: "peers were told" });
        }
        if e.told && cfg.assoc.auth_hmacs != e.assoc.auth_hmacs {
            return Err(ConfigError { field: "auth_hmacs", why: "peers were told (RFC 4895 section 6.1)" });
        }
        (e.assoc, e.backlog) = (self.protection.of(cfg.assoc), cfg.backlog);
        Ok(())
    }

    /// Changes which of the host's addresses an endpoint uses; empty for all. Associations that exist have them changed too, if their
    /// peers have Add-IP (RFC 5061); else they keep theirs.
    ///
    /// # Errors
    /// There is no such endpoint.
    pub fn bind(&mut self, now: Time, ep: EndpointId, addrs: Vec<IpAddr>) -> Result<(), ConfigError> {
        let e = self.ports.get_mut(ep).ok_or(ConfigError { field: "endpoint", why: "there is no such endpoint" })?;
        let old = core::mem::replace(&mut e.bind, addrs.clone());
        let all = |list: Vec<IpAddr>, host: &[IpAddr]| if list.is_empty() { host.to_vec() } else { list };
        let (old, new) = (all(old, &self.host), all(addrs, &self.host));
        self.change_bound(now, ep, &old, &new);
        Ok(())
    }

    /// The addresses of this host that an endpoint uses.
    #[must_use]
    pub fn addresses(&self, ep: EndpointId) -> Option<Vec<IpAddr>> {
        let e = self.ports.get(ep)?;
        Some(if e.bind.is_empty() { self.host.clone() } else { e.bind.clone() })
    }

    /// Starts or stops accepting associations. Those that exist live on.
    pub fn listen(&mut self, ep: EndpointId, on: bool) {
        if let Some(e) = self.ports.get_mut(ep) {
            e.listening = on;
        }
    }

    /// Closes an endpoint: its associations are aborted, without further events.
    pub fn close(&mut self, now: Time, ep: EndpointId) {
        for id in self.assocs.ids() {
            if self.assocs.get(id).is_some_and(|a| a.core.ep == ep) {
                self.with_assoc(now, id, |a, _| a.core.abort(b"endpoint closed"));
                self.touch(id);
                self.forget(id);
            }
        }
        self.ports.close(ep);
        self.events.retain(|(e, _, _)| *e != ep);
    }

    /// The SCTP port of an endpoint.
    #[must_use]
    pub fn local_port(&self, ep: EndpointId) -> Option<u16> {
        self.ports.get(ep).map(|e| e.port)
    }
}
