//! The running registrar: sockets and ports for the sans-IO core, and a log line for what happens in it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rserpool::node::RegistrarNode;
use rserpool::registrar::RegistrarEvent;
use rserpool::registrar::config::{AnnounceTarget, RegistrarConfig};
use rserpool::registrar::enrp::EnrpEvent;
use rserpool::wire::ENRP_PORT;
use sctp_user::entropy::OsEntropy;
use sctp_user::socket::{AnnounceFrom, Handle, Runtime, RuntimeBuilder, RuntimeError};
use sctp_user::transport::addrs;
use sctp_user::{AssocConfig, EndpointConfig, LateNode, Stack};

use crate::cli::{ASAP_PORT, Options};
use crate::log;
use crate::report::{Report, say};
use crate::signal::{Asked, Stop};

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
    let asked = Asked::for_statistics().context("cannot catch signals")?;
    let mut watch = options.keys.watch();
    let handle = start(options)?;
    while !stop.is_requested() {
        if asked.take() {
            print_statistics(&handle)?;
        }
        if let Some(keys) = watch.poll() {
            handle.with(|host, now| host.node().map(|registrar| registrar.protect(now, &keys)))?;
        }
        if let Some(event) = handle.wait(Some(TICK), |host, _| host.node()?.poll_event())? {
            note(&event);
            if options.child.report {
                report(&event);
            }
        }
    }
    tracing::info!("stopping");
    if options.stats {
        print_statistics(&handle)?;
    }
    handle.with(|host, now| {
        if let Some(registrar) = host.node() {
            registrar.stop(now);
        }
    })?;
    // Whoever does not answer in time notices by itself that the registrar is gone.
    handle.wait(Some(STOP_PATIENCE), |host, _| host.node().is_none_or(|r| r.is_stopped()).then_some(()))?;
    Ok(())
}

fn print_statistics(handle: &Handle<Host>) -> Result<()> {
    let statistics = handle.with(|host, _| host.node().map(|node| node.registrar().statistics()))?;
    if let Some(statistics) = statistics {
        say(statistics);
    }
    Ok(())
}

fn start(options: &Options) -> Result<Handle<Host>> {
    let keys = options.keys.read()?;
    let sources = targets_for(options, options.announces.groups())?;
    let mut builder = Runtime::builder().udp_port(options.common.udp_port);
    if let Some(path) = &options.common.pcap {
        builder = builder.pcap(path);
    }
    let runtime = open(builder, options)?;
    let stack_config = runtime.stack_config();
    let handle = runtime.spawn(Host::default()).context("cannot start a thread")?;
    let (port, targets) = claim(options, &handle, &sources, &Wanted { port: options.asap, registered: ASAP_PORT, flag: "--asap" })?;
    let wanted = Wanted { port: options.peers.enrp, registered: ENRP_PORT, flag: "--enrp" };
    let (enrp, presences) = claim(options, &handle, &targets_for(options, options.presence_group())?, &wanted)?;
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
    let mut node = RegistrarNode::new(stack, endpoint(port), endpoint(enrp), config, Box::new(entropy()?))?;
    let id = node.registrar().id();
    handle.with(|host, now| {
        if let Some(keys) = &keys {
            node.protect(now, keys);
        }
        host.start(now, node);
    })?;
    let udp = handle.udp_port()?;
    let groups: Vec<String> = options.announces.groups().map(|g| g.to_string()).collect();
    let announce = groups.join(", ");
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
    options.apply(&mut config);
    config.announce.targets = targets;
    config.enrp.targets = presences;
    // The port is the endpoint's.
    config.asap_port = ASAP_PORT;
    config.validate()?;
    Ok(config)
}

/// Where to announce to, from which addresses: one for each interface and group.
fn targets_for(options: &Options, groups: impl IntoIterator<Item = SocketAddr>) -> Result<Vec<AnnounceTarget>> {
    let mut targets = Vec::new();
    for group in groups {
        targets.extend(sources_for(options, group)?.into_iter().map(|source| AnnounceTarget { source, group }));
    }
    Ok(targets)
}

fn sources_for(options: &Options, group: SocketAddr) -> Result<Vec<IpAddr>> {
    let announces = &options.announces;
    let fits = |addr: &IpAddr| addr.is_ipv4() == group.is_ipv4();
    let loopback = loopback(group);
    if announces.loopback_only {
        return Ok(vec![loopback]);
    }
    if !announces.interface.is_empty() {
        let named: Vec<IpAddr> = announces.interface.iter().copied().filter(fits).collect();
        if named.is_empty() {
            bail!("no address of --interface can announce to {group}: give one of its kind, or another group with --announce");
        }
        return Ok(named);
    }
    let mut interfaces: Vec<_> = addrs::interfaces().into_iter().filter(|i| i.multicast && !i.loopback && fits(&i.addr)).collect();
    interfaces.sort_by_key(|i| i.index);
    interfaces.dedup_by_key(|i| i.index);
    Ok(interfaces.into_iter().map(|i| i.addr).chain([loopback]).collect())
}

const fn loopback(group: SocketAddr) -> IpAddr {
    match group {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

/// How to mend an interface that cannot be used.
const INTERFACE_ADVICE: &str = "choose another one with --interface ADDR, or --loopback-only";

/// Opens the UDP port, and listens to the presences of other registrars.
fn open(builder: RuntimeBuilder, options: &Options) -> Result<Runtime> {
    let Some(group) = options.presence_group() else { return Ok(builder.build()?) };
    let interfaces = sources_for(options, group)?;
    match builder.clone().announce_listener(group, interfaces).build() {
        // One interface that cannot do it must not keep us from the rest of the host.
        Err(err @ RuntimeError::Listen { .. }) if options.announces.interface.is_empty() => {
            tracing::warn!("listening to other registrars on the loopback interface only: {err}");
            Ok(builder.announce_listener(group, vec![loopback(group)]).build()?)
        }
        // What the user named must work.
        Err(err @ RuntimeError::Listen { .. }) => {
            let named: Vec<String> = options.announces.interface.iter().map(ToString::to_string).collect();
            bail!("cannot hear other registrars at {}: {err}: {INTERFACE_ADVICE}", named.join(", "))
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
}

/// Claims a service's port, and the UDP port of the same number for what it announces: listeners take the source for the
/// registrar's SCTP address.
fn claim(options: &Options, handle: &Handle<Host>, sources: &[AnnounceTarget], service: &Wanted) -> Result<(u16, Vec<AnnounceTarget>)> {
    let wanted = service.port.unwrap_or(service.registered);
    let mut candidates = vec![wanted];
    if service.port.is_none() {
        candidates.extend([0; PORTS_TO_TRY]);
    }
    for candidate in candidates {
        let port = match handle.claim_port(candidate) {
            Ok(port) => port,
            Err(err) if err.kind() == ErrorKind::AddrInUse => continue,
            Err(err) => return Err(err).context(format!("cannot claim SCTP port {candidate}")),
        };
        match announcers(options, handle, sources, port) {
            Ok(targets) => return Ok((port, targets)),
            Err(Refusal::PortTaken) => handle.release_port(port),
            Err(Refusal::Other(err)) => return Err(err),
        }
    }
    bail!("port {wanted} is in use by another program: choose another one with {} PORT, or leave the choice to me", service.flag)
}

enum Refusal {
    /// Another program has the UDP port.
    PortTaken,
    Other(anyhow::Error),
}

fn announcers(options: &Options, handle: &Handle<Host>, sources: &[AnnounceTarget], port: u16) -> Result<Vec<AnnounceTarget>, Refusal> {
    let mut targets = Vec::new();
    let mut failures: Vec<(AnnounceTarget, io::Error)> = Vec::new();
    for &target in sources {
        let from = AnnounceFrom { source: SocketAddr::new(target.source, port), group: target.group, ttl: options.announces.ttl };
        match handle.announce_from(from) {
            Ok(()) => targets.push(target),
            Err(err) if err.kind() == ErrorKind::AddrInUse => return Err(Refusal::PortTaken),
            Err(err) => failures.push((target, err)),
        }
    }
    for (AnnounceTarget { source, group }, err) in failures {
        // What the user named must work; of what was found by itself, a part will do.
        if targets.is_empty() || !options.announces.interface.is_empty() {
            return Err(Refusal::Other(anyhow::anyhow!("cannot announce from {source} to {group}: {err}: {INTERFACE_ADVICE}")));
        }
        tracing::warn!("cannot announce from {source} to {group}: {err}");
    }
    Ok(targets)
}

/// What the demo wants to know.
fn report(event: &RegistrarEvent) {
    let element = |event: &str, id: u32| Report::new(event).with("element", format_args!("{id:#010x}")).print();
    match event {
        RegistrarEvent::Registered { id, .. } | RegistrarEvent::Renewed { id, .. } => element("registered", id.0),
        RegistrarEvent::Enrp(EnrpEvent::Adopted { id, .. }) => element("adopted", id.0),
        RegistrarEvent::Enrp(EnrpEvent::Serving { peers, elements }) => {
            Report::new("serving").with("peers", peers).with("elements", elements).print();
        }
        RegistrarEvent::Enrp(EnrpEvent::TakenOver { target, by, elements }) => {
            let hex = |id: u32| format!("{id:#010x}");
            Report::new("taken_over").with("target", hex(target.0)).with("by", hex(by.0)).with("elements", elements).print();
        }
        _ => {}
    }
}

fn note(event: &RegistrarEvent) {
    match event {
        RegistrarEvent::Registered { .. } | RegistrarEvent::Removed { .. } => tracing::info!("{event}"),
        RegistrarEvent::Refused { .. }
        | RegistrarEvent::Malformed { .. }
        | RegistrarEvent::WrongProtocol { .. }
        | RegistrarEvent::RemoteError { .. }
        | RegistrarEvent::Denied { .. }
        | RegistrarEvent::Unsaid { .. }
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
