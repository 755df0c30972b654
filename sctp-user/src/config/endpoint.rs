//! Configuration of an endpoint.

use std::net::IpAddr;
use std::sync::Arc;

use super::AssocConfig;
use crate::error::ConfigError;

/// Parameters of an endpoint: one SCTP port.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// The SCTP port; 0 takes a free ephemeral one from 49152 to 65535.
    pub port: u16,
    /// Configuration of its associations, unless one is opened with its own.
    pub assoc: Arc<AssocConfig>,
    /// The addresses of the host that it uses; empty for all.
    pub bind: Vec<IpAddr>,
    /// Most associations of peers whose [`Event::Connected`](crate::Event::Connected) the program has not taken yet; further
    /// peers get an ABORT with the cause Out of Resource.
    pub backlog: usize,
}

impl EndpointConfig {
    /// An endpoint on `port` with the RFC's values.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self::with(port, Arc::new(AssocConfig::rfc()))
    }

    /// An endpoint on `port` whose associations are configured like this.
    #[must_use]
    pub fn with(port: u16, assoc: Arc<AssocConfig>) -> Self {
        Self { port, assoc, bind: Vec::new(), backlog: 4096 }
    }

    /// Checks what the RFC forbids.
    ///
    /// # Errors
    /// Names the first field with a forbidden value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.assoc.validate()
    }
}
