//! `rsp dump`: what a registrar knows, as tables or as JSON.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use comfy_table::{Table, presets};
use registrar::cli::{KeyOptions, identifier, milliseconds};
use registrar::report::say;
use rserpool::dump::Snapshot;
use rserpool::node::{DumpFailure, DumpNode};
use rserpool::wire::{ENRP_PORT, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport};
use sctp_user::entropy::{Entropy, OsEntropy};
use sctp_user::socket::{Handle, Runtime};
use sctp_user::{AssocConfig, EndpointConfig, LateNode, Stack};
use serde_json::{Value, json};
use tools::transports::{Role, TransportOptions};

/// How long the end of the association may take.
const END_PATIENCE: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  rsp dump 192.0.2.7                        pools, elements and peers of the registrar at 192.0.2.7
  rsp dump 127.0.0.1:9901                   of the one on this host
  rsp dump 192.0.2.7 --json | jq .checksum  for programs

The registrar is asked by ENRP, as one of its peers would ask it. It lists us as a peer, too, until it misses us.";

/// Flags of `rsp dump`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Address of the registrar, and the SCTP port of its ENRP service if that is not 9901
    #[arg(value_name = "REGISTRAR[:PORT]", value_parser = enrp_address)]
    registrar: SocketAddr,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Identifier to use as the registrar's peer, e.g. 0x1234abcd [default: random]
    #[arg(long, value_name = "ID", value_parser = identifier)]
    identifier: Option<u32>,
    /// Give up after so many milliseconds
    #[arg(long, value_name = "MS", default_value = "30000", value_parser = milliseconds)]
    timeout: Duration,
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    transport: TransportOptions,
}

/// Asks, and prints the answer.
pub(crate) fn run(options: &Options) -> Result<()> {
    options.transport.init_log("error")?;
    let snapshot = ask(options)?;
    if options.json {
        say(format_args!("{:#}", to_json(&snapshot)));
    } else {
        print(&snapshot);
    }
    Ok(())
}

fn ask(options: &Options) -> Result<Snapshot> {
    let addr = options.registrar;
    let runtime = options.transport.apply(Runtime::builder(), Role::Client).build()?;
    let stack = Stack::new(runtime.stack_config(), Box::new(OsEntropy::new()?));
    let handle: Handle<LateNode<DumpNode>> = runtime.spawn(LateNode::default()).context("cannot start a thread")?;
    let endpoint = EndpointConfig::with(handle.claim_port(0)?, Arc::new(AssocConfig::rfc()));
    let mut node = DumpNode::new(stack, endpoint, identity(options)?)?;
    let keys = options.keys.read()?;
    handle.with(|host, now| {
        if let Some(keys) = &keys {
            node.protect(now, keys);
        }
        host.start(now, node);
    })?;
    let asked = handle.with(|host, now| host.node().map(|node| node.ask(now, &[addr])))?;
    asked.transpose().with_context(|| format!("{addr} cannot be reached"))?;
    let result = handle.wait(Some(options.timeout), |host, _| host.node()?.take_result())?;
    let snapshot = match result {
        Some(Ok(snapshot)) => Ok(snapshot),
        Some(Err(DumpFailure::Lost(_))) | None => {
            Err(anyhow!("no registrar answers at {addr}: give the SCTP port of its ENRP service, and --udp-port if that differs there"))
        }
        Some(Err(other)) => Err(anyhow!(other)),
    };
    // Who does not acknowledge in time notices by itself that we are gone.
    handle.wait(Some(END_PATIENCE), |host, _| host.node().is_none_or(|node| node.is_closed()).then_some(()))?;
    snapshot
}

/// A random identifier, so that the registrar does not take us for someone who was there before.
fn identity(options: &Options) -> Result<RegistrarId> {
    if let Some(id) = options.identifier {
        return Ok(RegistrarId(id));
    }
    let mut entropy = OsEntropy::new().context("no random numbers from the operating system")?;
    Ok(RegistrarId(entropy.u32().max(1)))
}

/// Reads the address of a registrar: an IP address or a host's name, with or without the port of ENRP.
fn enrp_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, ENRP_PORT));
    }
    let resolved = if text.contains(':') { text.to_socket_addrs() } else { (text, ENRP_PORT).to_socket_addrs() };
    resolved.ok().and_then(|mut addrs| addrs.next()).ok_or_else(|| "no such address: give ADDR[:PORT] or NAME[:PORT]".into())
}

fn print(snapshot: &Snapshot) {
    let (pools, elements, peers) = (snapshot.pools.len(), snapshot.elements().count(), snapshot.peers.len());
    say(format_args!("registrar {}: {pools} pools, {elements} elements, {peers} peers", snapshot.registrar));
    let mut table = table(&["Pool", "Element", "Policy", "Home", "Life", "Users", "Registrars"]);
    for (pool, element) in snapshot.elements() {
        table.add_row(row(pool, element));
    }
    say(table);
    let owners = snapshot.owners();
    let mut table = self::table(&["Registrar", "", "Elements", "Checksum", "ENRP"]);
    let mut add = |id: RegistrarId, role: &str, transport: Option<&Transport>| {
        let (count, sum) = owners.get(&id).copied().unwrap_or((0, NO_ELEMENTS));
        let said = snapshot.checksum.filter(|said| id == snapshot.registrar && *said != sum);
        let sum = said.map_or_else(|| format!("{sum:04x}"), |said| format!("{sum:04x}, by its word {said:04x}"));
        table.add_row([id.to_string(), role.into(), count.to_string(), sum, transport.map_or_else(String::new, place)]);
    };
    add(snapshot.registrar, "", snapshot.server.as_ref());
    for peer in &snapshot.peers {
        add(peer.id, "peer", Some(&peer.transport));
    }
    for id in owners.keys().filter(|id| **id != snapshot.registrar && snapshot.peers.iter().all(|peer| peer.id != **id)) {
        add(*id, "unknown", None);
    }
    say(table);
}

/// The checksum over no elements (RFC 5353 section 3.6.2).
const NO_ELEMENTS: u16 = 0xffff;

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    table
}

fn row(pool: &PoolHandle, element: &PoolElement) -> [String; 7] {
    let asap = element.asap.as_ref().map_or_else(String::new, place);
    let life = format!("{} ms", element.life);
    [pool.to_string(), element.id.to_string(), policy(&element.policy), element.home.to_string(), life, place(&element.user), asap]
}

/// The policy with its values, as options have it.
fn policy(policy: &PolicyParam) -> String {
    policy.values().iter().fold(policy.name().to_owned(), |text, (name, value)| format!("{text} {name}={value}"))
}

/// Addresses and port.
fn place(transport: &Transport) -> String {
    let addrs: Vec<_> = transport.addrs.iter().map(ToString::to_string).collect();
    format!("{} {}/{}", addrs.join(","), transport.port, transport.protocol)
}

fn to_json(snapshot: &Snapshot) -> Value {
    let owners = snapshot.owners();
    let pools: Vec<_> = snapshot
        .pools
        .iter()
        .map(|(handle, pool)| json!({ "handle": handle.to_string(), "elements": pool.values().map(element_json).collect::<Vec<_>>() }))
        .collect();
    let peers: Vec<_> =
        snapshot.peers.iter().map(|peer| json!({ "registrar": peer.id.to_string(), "enrp": transport_json(&peer.transport) })).collect();
    let owners: Vec<_> = owners
        .into_iter()
        .map(|(id, (count, sum))| json!({ "registrar": id.to_string(), "elements": count, "checksum": hex16(sum) }))
        .collect();
    json!({
        "registrar": snapshot.registrar.to_string(),
        "enrp": snapshot.server.as_ref().map(transport_json),
        "checksum": snapshot.checksum.map(hex16),
        "peers": peers,
        "owners": owners,
        "pools": pools,
    })
}

fn element_json(element: &PoolElement) -> Value {
    let values: serde_json::Map<_, _> = element.policy.values().into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    json!({
        "element": element.id.to_string(),
        "home": element.home.to_string(),
        "life": element.life.0,
        "policy": { "name": element.policy.name(), "number": format!("{:#010x}", element.policy.number()), "values": values },
        "user": transport_json(&element.user),
        "asap": element.asap.as_ref().map(transport_json),
    })
}

fn transport_json(transport: &Transport) -> Value {
    json!({
        "protocol": transport.protocol.to_string(),
        "port": transport.port,
        "use": transport.usage.0,
        "addresses": transport.addrs.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn hex16(sum: u16) -> String {
    format!("{sum:#06x}")
}

#[cfg(test)]
mod tests {
    use rserpool::wire::{ElementId, Life, ServerInformation, TransportUse};

    use super::*;

    fn snapshot() -> Snapshot {
        let transport = |port| Transport::sctp(port, TransportUse::DATA, ["10.1.1.2".parse().unwrap()]);
        let policy = PolicyParam::WeightedRoundRobin { weight: 7 };
        let (id, home) = (ElementId(0x1122_3344), RegistrarId(0xaabb));
        let element = PoolElement { id, home, life: Life(90_000), user: transport(4711), policy, asap: Some(transport(5000)) };
        let mut snapshot = Snapshot { registrar: RegistrarId(0xcc), checksum: Some(0xffff), ..Snapshot::default() };
        snapshot.peers.push(ServerInformation { id: home, transport: transport(9901) });
        snapshot.pools.entry(PoolHandle::new("EchoPool").unwrap()).or_default().insert(id, element);
        snapshot
    }

    #[test]
    fn json_has_everything() {
        let json = to_json(&snapshot());
        assert_eq!((&json["registrar"], &json["checksum"], &json["enrp"]), (&json!("0x000000cc"), &json!("0xffff"), &Value::Null));
        // The golden value of RSPLIB.
        assert_eq!(json["owners"], json!([{ "registrar": "0x0000aabb", "elements": 1, "checksum": "0x4deb" }]));
        assert_eq!(json["peers"][0]["enrp"]["port"], 9901);
        assert_eq!(json["pools"][0]["handle"], "EchoPool");
        let element = &json["pools"][0]["elements"][0];
        assert_eq!(element["policy"], json!({ "name": "WeightedRoundRobin", "number": "0x00000002", "values": { "weight": 7 } }));
        assert_eq!(element["user"], json!({ "protocol": "SCTP", "port": 4711, "use": 0, "addresses": ["10.1.1.2"] }));
    }

    #[test]
    fn tables_have_a_line_for_each() {
        let snapshot = snapshot();
        let (pool, element) = snapshot.elements().next().unwrap();
        let cells = row(pool, element).join("|");
        let expected = "EchoPool|0x11223344|WeightedRoundRobin weight=7|0x0000aabb|90000 ms|10.1.1.2 4711/SCTP|10.1.1.2 5000/SCTP";
        assert_eq!(cells, expected);
    }

    #[test]
    fn addresses_have_the_port_of_enrp() {
        assert_eq!(enrp_address("10.0.0.1"), Ok("10.0.0.1:9901".parse().unwrap()));
        assert_eq!(enrp_address("::1"), Ok("[::1]:9901".parse().unwrap()));
        assert_eq!(enrp_address("[::1]:5"), Ok("[::1]:5".parse().unwrap()));
        assert_eq!(enrp_address("10.0.0.1:77"), Ok("10.0.0.1:77".parse().unwrap()));
        assert!(enrp_address("10.0.0.1:x").is_err());
    }
}
