//! Configuration of an endpoint.

use std::sync::Arc;

use super::AssocConfig;

/// Parameters of an endpoint: one SCTP port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointConfig {
    /// The SCTP port; 0 takes a free ephemeral one from 49152 to 65535.
    pub port: u16,
    /// Configuration of its associations.
    pub assoc: Arc<AssocConfig>,
}

impl EndpointConfig {
    /// An endpoint on `port` with the RFC's values.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self { port, assoc: Arc::new(AssocConfig::rfc()) }
    }
}
