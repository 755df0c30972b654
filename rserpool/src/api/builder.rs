//! From settings to a running [`Rserpool`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use sctp_user::entropy::OsEntropy;
use sctp_user::socket::{Handle, Runtime, RuntimeBuilder, RuntimeError};
use sctp_user::transport::addrs;
use sctp_user::{KeyRing, Stack};

use super::error::Error;
use super::host::Host;
use super::names;
use super::rsp::Rserpool;
use crate::asap::AsapConfig;
use crate::node::PoolNode;
use crate::node::pool::PortHook;
use crate::wire::ASAP_PORT;

/// The group on which registrars announce themselves, as RSPLIB has it (rulings, 2.3).
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 0, 0, 50);

/// Settings of an [`Rserpool`].
#[derive(Clone, Debug)]
pub struct Builder {
    runtime: RuntimeBuilder,
    asap: AsapConfig,
    /// `None`: announces are not listened to.
    group: Option<SocketAddr>,
    /// `None`: all interfaces.
    interfaces: Option<Vec<IpAddr>>,
    keys: Option<KeyRing>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            runtime: Runtime::builder(),
            asap: AsapConfig::default(),
            group: Some(SocketAddr::new(GROUP.into(), ASAP_PORT)),
            interfaces: None,
            keys: None,
        }
    }

    /// The UDP port for SCTP, shared with the other programs of this user; peers are assumed to use the same. 9899 by default.
    #[must_use]
    pub fn udp_port(mut self, port: u16) -> Self {
        self.runtime = self.runtime.udp_port(port);
        self
    }

    /// Changes what carries SCTP, for what the other methods here do not offer.
    #[must_use]
    pub fn transports(mut self, change: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder) -> Self {
        self.runtime = change(self.runtime);
        self
    }

    /// For programs without pool elements: if another user holds the UDP port, go on from a free one.
    #[must_use]
    pub fn client_only(mut self) -> Self {
        self.runtime = self.runtime.fallback_to_ephemeral(true);
        self
    }

    /// Listens to announces on this group and UDP port; 239.0.0.50:3863 by default.
    #[must_use]
    pub const fn announce_group(mut self, group: SocketAddr) -> Self {
        self.group = Some(group);
        self
    }

    /// Listens to announces on the interfaces with these addresses; by default on all that are up, and on the loopback.
    #[must_use]
    pub fn announce_interfaces(mut self, interfaces: Vec<IpAddr>) -> Self {
        self.interfaces = Some(interfaces);
        self
    }

    /// Does not listen to announces: registrars are known by [`Self::registrar`] only.
    #[must_use]
    pub const fn no_announces(mut self) -> Self {
        self.group = None;
        self
    }

    /// A registrar known by its address and SCTP port; may be called several times.
    #[must_use]
    pub fn registrar(mut self, addr: SocketAddr) -> Self {
        self.asap.registrars.push(vec![addr]);
        self
    }

    /// A registrar that is reached at all of these addresses, with one SCTP port; may be called several times.
    #[must_use]
    pub fn multihomed_registrar(mut self, addrs: Vec<SocketAddr>) -> Self {
        self.asap.registrars.push(addrs);
        self
    }

    /// Registrars on the host of this name; may be called several times. The name is looked up when a registrar is wanted, and
    /// again when none of its addresses answers. Each address is tried by itself, so that a name may stand for several hosts.
    #[must_use]
    pub fn registrar_name(mut self, host: &str, port: u16) -> Self {
        self.asap.registrar_names.push(format!("{host}:{port}"));
        self
    }

    /// Timers and thresholds of ASAP, and all registrars known by configuration.
    #[must_use]
    pub fn asap(mut self, cfg: AsapConfig) -> Self {
        self.asap = cfg;
        self
    }

    /// Speaks only with who has one of these shared keys (RFC 4895, RFC 5355): the whole scope needs them, registrars, elements and users.
    /// [`Rserpool::protect`] changes them.
    #[must_use]
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Writes every packet to this file, as pcapng.
    #[must_use]
    pub fn pcap(mut self, path: impl Into<PathBuf>) -> Self {
        self.runtime = self.runtime.pcap(path);
        self
    }

    /// Like [`Self::pcap`], but appends: several processes may write to one file at the same time.
    #[must_use]
    pub fn pcap_append(mut self, path: impl Into<PathBuf>) -> Self {
        self.runtime = self.runtime.pcap_append(path);
        self
    }

    /// Opens the sockets and starts the thread that drives them. Registrars are looked for when they are needed.
    ///
    /// # Errors
    /// One line that can be shown to the user as it is.
    pub fn start(self) -> Result<Rserpool, Error> {
        let runtime = self.open()?;
        let stack = runtime.stack_config();
        let handle: Handle<Host> = runtime.spawn(Host::default())?;
        let port = handle.claim_port(0)?;
        let stack = Stack::new(stack, Box::new(OsEntropy::new()?));
        let has_names = !self.asap.registrar_names.is_empty();
        let mut node = PoolNode::new(stack, port, self.asap, Box::new(OsEntropy::new()?))?;
        let releaser = handle.port_releaser();
        node.on_port_released(PortHook(Box::new(move |port| releaser.release(port))));
        let keys = self.keys;
        handle.with(|host, now| {
            if let Some(keys) = &keys {
                node.protect(now, keys);
            }
            host.start(now, node);
        })?;
        if has_names {
            names::serve(&handle)?;
        }
        Ok(Rserpool::new(handle))
    }

    fn open(&self) -> Result<Runtime, RuntimeError> {
        let Some(group) = self.group else { return self.runtime.clone().build() };
        let listen = |interfaces: Vec<IpAddr>| self.runtime.clone().announce_listener(group, interfaces).build();
        if let Some(interfaces) = &self.interfaces {
            return listen(interfaces.clone());
        }
        match listen(interfaces_for(group.ip())) {
            // One interface that cannot do it must not keep us from the rest of the host.
            Err(RuntimeError::Listen { source, .. }) => {
                tracing::warn!(%group, error = %source, "listening to announces on the loopback interface only");
                listen(vec![loopback(group.ip())])
            }
            other => other,
        }
    }
}

const fn loopback(group: IpAddr) -> IpAddr {
    match group {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

/// One address of each interface that can hear announces.
fn interfaces_for(group: IpAddr) -> Vec<IpAddr> {
    let fits = |i: &addrs::InterfaceAddr| i.multicast && !i.loopback && i.addr.is_ipv4() == group.is_ipv4();
    let mut all: Vec<_> = addrs::interfaces().into_iter().filter(fits).collect();
    all.sort_by_key(|i| i.index);
    all.dedup_by_key(|i| i.index);
    all.into_iter().map(|i| i.addr).chain([loopback(group)]).collect()
}
