//! The running registrar: sockets and ports for the sans-IO core, and a log line for what happens in it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rserpool::node::RegistrarNode;
use rserpool::registrar::RegistrarEvent;
use rserpool::registrar::config::{AnnounceConfig, AnnounceTarget, KeepAliveConfig, RegistrarConfig};
use rserpool::registrar::enrp::EnrpEvent;
use rserpool::wire::{ENRP_PORT, RegistrarId};
use sctp_user::entropy::OsEntropy;
use sctp_user::socket::{AnnounceFrom, Handle, Runtime, RuntimeBuilder, RuntimeError};
use sctp_user::transport::addrs;
use sctp_user::{AssocConfig, EndpointConfig, LateNode, Stack};

use crate::cli::{ANNOUNCE_GROUP, ASAP_PORT, Options};
use crate::log;
use crate::report::{Report, say};
use crate::signal::Stop;

/// A host that becomes a registrar once its port is claimed.
type Host = LateNode<RegistrarNode>;

/// How often to look for a request to stop.
const TICK: Duration = Duration::from_millis(100);
/// How long clients may take to end their associations when the registrar stops.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// How many free ports are tried in place of the registered one.
const PORTS_TO_TRY: usize = 8;

/// Runs a registrar until a signal.
///
/// # Errors
/// One line for the user: what cannot be done, and how to mend it.
pub fn run(options: &Options) -> Result<()> {
    log::init(options.common.log.as_deref(), "warn,registrar=info")?;
    let stop = Stop::for_program(&options.child)?;
    let handle = start(options)?;
    while !stop.is_requested() {
        if let Some(event) = handle.wait(Some(TICK), |host, _| host.node()?.poll_event())? {
            note(&event);
        }
    }
    tracing::info!("stopping");
    handle.with(|host, now| {
        if let Some(registrar) = host.node() {
            registrar.stop(now);
        }
    })?;
    // Whoever does not answer in time notices by itself that the registrar is gone.
    handle.wait(Some(STOP_PATIENCE), |host, _| host.node().is_none_or(|r| r.is_stopped()).then_some(()))?;
    Ok(())
}

fn start(options: &Options) -> Result<Handle<Host>> {
    let sources = sources(options)?;
    let mut builder = Runtime::builder().udp_port(options.common.udp_port);
    if let Some(path) = &options.common.pcap {
        builder = builder.pcap(path);
    }
    let runtime = open(builder, options)?;
    let stack_config = runtime.stack_config();
    let handle = runtime.spawn(Host::default()).context("cannot start a thread")?;
    let asap = Wanted { port: options.asap, registered: ASAP_PORT, flag: "--asap", group: Some(options.announce) };
    let (port, targets) = claim(options, &handle, &sources, asap)?;
    let enrp = Wanted { port: options.peers.enrp, registered: ENRP_PORT, flag: "--enrp", group: presence_group(options) };
    let (enrp, presences) = claim(options, &handle, &sources, enrp)?;
    // Requests are small and wait for answers: nothing is gained by collecting them.
    let mut assoc = AssocConfig::rfc();
    assoc.nagle = false;
    // A request is understood as a whole.
    assoc.partial_delivery = false;
    let entropy = || OsEntropy::new().context("no random numbers from the operating system");
    let stack = Stack::new(stack_config, Box::new(entropy()?));
    let assoc = Arc::new(assoc);
    let endpoint = |port| EndpointConfig::with(port, Arc::clone(&assoc));
    let config = config(options, targets, presences)?;
    let node = RegistrarNode::new(stack, endpoint(port), endpoint(enrp), config, Box::new(entropy()?))?;
    let id = node.registrar().id();
    handle.with(|host, now| host.start(now, node))?;
    let udp = handle.udp_port()?;
    let announce = options.announce;
    if options.child.report {
        Report::new("ready")
            .with("identifier", format_args!("{:#010x}", id.0))
            .with("asap", port)
            .with("enrp", enrp)
            .with("udp", udp)
            .print();
    } else {
        say(format_args!(
            "registrar {:#010x} is ready: ASAP on SCTP port {port}, ENRP on {enrp}, UDP port {udp}, announced to {announce}",
            id.0
        ));
    }
    Ok(handle)
}

fn config(options: &Options, targets: Vec<AnnounceTarget>, presences: Vec<AnnounceTarget>) -> Result<RegistrarConfig> {
    let mut config = RegistrarConfig::default();
    config.id = options.identifier.map_or(RegistrarId::UNDEFINED, RegistrarId);
    config.max_items = (options.max_hr_items > 0).then_some(options.max_hr_items);
    config.keep_alive = KeepAliveConfig { period: options.keep_alive_interval, ..KeepAliveConfig::default() };
    let announce = AnnounceConfig { targets, ..AnnounceConfig::default() };
    config.announce = match options.announce_interval {
        Some(period) => AnnounceConfig { period, max_period: Some(period), ..announce },
        None => announce,
    };
    options.peers.apply(&mut config);
    config.enrp.targets = presences;
    // The port is the endpoint's.
    config.asap_port = ASAP_PORT;
    config.validate()?;
    Ok(config)
}

/// The addresses to announce from, one for each interface.
fn sources(options: &Options) -> Result<Vec<IpAddr>> {
    let group = options.announce.ip();
    if !group.is_multicast() {
        bail!("{group} is not a multicast group: give --announce GROUP:PORT, for example {ANNOUNCE_GROUP}");
    }
    Ok(sources_for(options, group))
}

fn sources_for(options: &Options, group: IpAddr) -> Vec<IpAddr> {
    let loopback = loopback(group);
    if options.loopback_only {
        return vec![loopback];
    }
    if !options.interface.is_empty() {
        return options.interface.iter().copied().filter(|i| i.is_ipv4() == group.is_ipv4()).collect();
    }
    let mut interfaces: Vec<_> =
        addrs::interfaces().into_iter().filter(|i| i.multicast && !i.loopback && i.addr.is_ipv4() == group.is_ipv4()).collect();
    interfaces.sort_by_key(|i| i.index);
    interfaces.dedup_by_key(|i| i.index);
    interfaces.into_iter().map(|i| i.addr).chain([loopback]).collect()
}

const fn loopback(group: IpAddr) -> IpAddr {
    match group {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

fn presence_group(options: &Options) -> Option<SocketAddr> {
    options.peers.presence_group(options.announce.to_string() == ANNOUNCE_GROUP)
}

/// Opens the UDP port, and listens to the presences of other registrars.
fn open(builder: RuntimeBuilder, options: &Options) -> Result<Runtime> {
    let Some(group) = presence_group(options) else { return Ok(builder.build()?) };
    let interfaces = sources_for(options, group.ip());
    match builder.clone().announce_listener(group, interfaces).build() {
        // One interface that cannot do it must not keep us from the rest of the host.
        Err(err @ RuntimeError::Listen { .. }) if options.interface.is_empty() => {
            tracing::warn!("listening to other registrars on the loopback interface only: {err}");
            Ok(builder.announce_listener(group, vec![loopback(group.ip())]).build()?)
        }
        other => Ok(other?),
    }
}

/// A port to be claimed, for one of the services.
struct Wanted {
    /// What the user wants.
    port: Option<u16>,
    /// What is tried else, before any free one.
    registered: u16,
    /// The flag to choose another one with.
    flag: &'static str,
    /// The group to announce to.
    group: Option<SocketAddr>,
}

/// Claims a service's port, and the UDP port of the same number for what it announces: listeners take the source for the
/// registrar's SCTP address.
fn claim(options: &Options, handle: &Handle<Host>, sources: &[IpAddr], wanted: Wanted) -> Result<(u16, Vec<AnnounceTarget>)> {
    let Wanted { port, registered, flag, group } = wanted;
    let wanted = port.unwrap_or(registered);
    let mut candidates = vec![wanted];
    if port.is_none() {
        candidates.extend([0; PORTS_TO_TRY]);
    }
    for candidate in candidates {
        let port = match handle.claim_port(candidate) {
            Ok(port) => port,
            Err(err) if err.kind() == ErrorKind::AddrInUse => continue,
            Err(err) => return Err(err).context(format!("cannot claim SCTP port {candidate}")),
        };
        let Some(group) = group else { return Ok((port, Vec::new())) };
        match announcers(options, handle, sources, port, group) {
            Ok(targets) => return Ok((port, targets)),
            Err(Refusal::PortTaken) => handle.release_port(port),
            Err(Refusal::Other(err)) => return Err(err),
        }
    }
    bail!("port {wanted} is in use by another program: choose another one with {flag} PORT, or leave the choice to me")
}

enum Refusal {
    /// Another program has the UDP port.
    PortTaken,
    Other(anyhow::Error),
}

fn announcers(
    options: &Options,
    handle: &Handle<Host>,
    sources: &[IpAddr],
    port: u16,
    group: SocketAddr,
) -> Result<Vec<AnnounceTarget>, Refusal> {
    let mut targets = Vec::new();
    let mut failures: Vec<(IpAddr, io::Error)> = Vec::new();
    for &source in sources.iter().filter(|s| s.is_ipv4() == group.is_ipv4()) {
        let from = AnnounceFrom { source: SocketAddr::new(source, port), group, ttl: options.ttl };
        match handle.announce_from(from) {
            Ok(()) => targets.push(AnnounceTarget { source, group }),
            Err(err) if err.kind() == ErrorKind::AddrInUse => return Err(Refusal::PortTaken),
            Err(err) => failures.push((source, err)),
        }
    }
    for (source, err) in failures {
        // What the user named must work; of what was found by itself, a part will do.
        if targets.is_empty() || !options.interface.is_empty() {
            let advice = "choose another one with --interface ADDR, or --loopback-only";
            return Err(Refusal::Other(anyhow::anyhow!("cannot announce from {source}: {err}: {advice}")));
        }
        tracing::warn!("cannot announce from {source}: {err}");
    }
    Ok(targets)
}

fn note(event: &RegistrarEvent) {
    match event {
        RegistrarEvent::Registered { .. } | RegistrarEvent::Removed { .. } => tracing::info!("{event}"),
        RegistrarEvent::Refused { .. }
        | RegistrarEvent::Malformed { .. }
        | RegistrarEvent::WrongProtocol { .. }
        | RegistrarEvent::RemoteError { .. }
        | RegistrarEvent::Limited { .. } => tracing::warn!("{event}"),
        RegistrarEvent::Enrp(event) => note_peers(event),
        _ => tracing::debug!("{event}"),
    }
}

fn note_peers(event: &EnrpEvent) {
    match event {
        EnrpEvent::PeerFound { .. }
        | EnrpEvent::PeerLost { .. }
        | EnrpEvent::Serving { .. }
        | EnrpEvent::TakeoverBegun { .. }
        | EnrpEvent::TakeoverLost { .. }
        | EnrpEvent::TakenOver { .. }
        | EnrpEvent::Adopted { .. }
        | EnrpEvent::Moved { .. } => tracing::info!("{event}"),
        EnrpEvent::DuplicateId { .. } | EnrpEvent::Ignored { .. } | EnrpEvent::Suspecting { .. } => tracing::warn!("{event}"),
        EnrpEvent::Mismatch { lasting: true, .. } => tracing::warn!("{event}"),
        _ => tracing::debug!("{event}"),
    }
}
