//! `docs/rfc6458.md` against RFC 6458 and against the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sctp_user::socket::option::*;

const DOC: &str = include_str!("../../../docs/rfc6458.md");

/// All that sections 3 to 9 of the RFC define, in its order: functions, ancillary data and flags, notifications, options.
const RFC: &[&str] = &[
    "socket()",
    "bind()",
    "listen()",
    "accept()",
    "connect()",
    "sendmsg()",
    "recvmsg()",
    "close()",
    "shutdown()",
    "getpeername()",
    "getsockname()",
    "send()",
    "sendto()",
    "recv()",
    "recvfrom()",
    "setsockopt()",
    "getsockopt()",
    "read()",
    "write()",
    "select()",
    "poll()",
    "sctp_bindx()",
    "sctp_peeloff()",
    "sctp_getpaddrs()",
    "sctp_freepaddrs()",
    "sctp_getladdrs()",
    "sctp_freeladdrs()",
    "sctp_sendmsg()",
    "sctp_recvmsg()",
    "sctp_connectx()",
    "sctp_send()",
    "sctp_sendx()",
    "sctp_sendv()",
    "sctp_recvv()",
    "SCTP_INIT",
    "SCTP_SNDRCV",
    "SCTP_EXTRCV",
    "SCTP_SNDINFO",
    "SCTP_UNORDERED",
    "SCTP_ADDR_OVER",
    "SCTP_ABORT",
    "SCTP_EOF",
    "SCTP_SENDALL",
    "SCTP_EOR",
    "SCTP_RCVINFO",
    "SCTP_NXTINFO",
    "SCTP_PRINFO",
    "SCTP_AUTHINFO",
    "SCTP_DSTADDRV4",
    "SCTP_DSTADDRV6",
    "MSG_EOR",
    "MSG_NOTIFICATION",
    "SCTP_FUTURE_ASSOC",
    "SCTP_CURRENT_ASSOC",
    "SCTP_ALL_ASSOC",
    "SCTP_ASSOC_CHANGE",
    "SCTP_PEER_ADDR_CHANGE",
    "SCTP_REMOTE_ERROR",
    "SCTP_SEND_FAILED",
    "SCTP_SHUTDOWN_EVENT",
    "SCTP_ADAPTATION_INDICATION",
    "SCTP_PARTIAL_DELIVERY_EVENT",
    "SCTP_AUTHENTICATION_EVENT",
    "SCTP_SENDER_DRY_EVENT",
    "SCTP_NOTIFICATIONS_STOPPED_EVENT",
    "SCTP_SEND_FAILED_EVENT",
    "SCTP_RTOINFO",
    "SCTP_ASSOCINFO",
    "SCTP_INITMSG",
    "SO_LINGER",
    "SCTP_NODELAY",
    "SO_RCVBUF",
    "SO_SNDBUF",
    "SCTP_AUTOCLOSE",
    "SCTP_PRIMARY_ADDR",
    "SCTP_ADAPTATION_LAYER",
    "SCTP_DISABLE_FRAGMENTS",
    "SCTP_PEER_ADDR_PARAMS",
    "SCTP_DEFAULT_SEND_PARAM",
    "SCTP_EVENTS",
    "SCTP_I_WANT_MAPPED_V4_ADDR",
    "SCTP_MAXSEG",
    "SCTP_HMAC_IDENT",
    "SCTP_AUTH_ACTIVE_KEY",
    "SCTP_DELAYED_SACK",
    "SCTP_FRAGMENT_INTERLEAVE",
    "SCTP_PARTIAL_DELIVERY_POINT",
    "SCTP_USE_EXT_RCVINFO",
    "SCTP_AUTO_ASCONF",
    "SCTP_MAX_BURST",
    "SCTP_CONTEXT",
    "SCTP_EXPLICIT_EOR",
    "SCTP_REUSE_PORT",
    "SCTP_EVENT",
    "SCTP_RECVRCVINFO",
    "SCTP_RECVNXTINFO",
    "SCTP_DEFAULT_SNDINFO",
    "SCTP_DEFAULT_PRINFO",
    "SCTP_STATUS",
    "SCTP_GET_PEER_ADDR_INFO",
    "SCTP_PEER_AUTH_CHUNKS",
    "SCTP_LOCAL_AUTH_CHUNKS",
    "SCTP_GET_ASSOC_NUMBER",
    "SCTP_GET_ASSOC_ID_LIST",
    "SCTP_SET_PEER_PRIMARY_ADDR",
    "SCTP_AUTH_CHUNK",
    "SCTP_AUTH_KEY",
    "SCTP_AUTH_DEACTIVATE_KEY",
    "SCTP_AUTH_DELETE_KEY",
];

/// The RFC's name of each option type: what does not exist does not compile.
macro_rules! options {
    ($($name:ident)*) => { [$((stringify!($name), <$name as SockOpt>::NAME)),*] };
}

fn options() -> BTreeMap<&'static str, &'static str> {
    let all = options![
        RtoInfo AssocParams InitMsg Linger NoDelay RcvBuf SndBuf AutoClose PrimaryAddr DisableFragments PeerAddrParams Subscription MaxSeg
        DelayedSack FragmentInterleave PartialDeliveryPoint MaxBurst Context ExplicitEor EventOption DefaultSndInfo Status PeerAddrInfo
        AuthChunk AuthKey AuthActiveKey AuthDeactivateKey AuthDeleteKey HmacIdent LocalAuthChunks PeerAuthChunks
        AssocNumber AssocIdList PeerAddrThresholds RemoteUdpEncapsPort EnableStreamReset ResetStreams ResetAssoc AddStreams
        DefaultPrInfo PrStreamStatus PrAssocStatus PrSupported HmacIdent AuthChunk AuthKey AuthActiveKey AuthDeactivateKey AuthDeleteKey
        LocalAuthChunks PeerAuthChunks AdaptationLayer AutoAsconf SetPeerPrimaryAddr InterleavingSupported Scheduler SchedulerValue
    ];
    all.into_iter().collect()
}

/// What stands in backquotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The rows of all tables, without their heads.
fn rows() -> Vec<Vec<&'static str>> {
    let cells = |line: &'static str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let inner = |mut cells: Vec<&'static str>| {
        cells.pop();
        cells.split_off(1)
    };
    DOC.lines().filter(|l| l.starts_with("| `")).map(cells).map(inner).collect()
}

/// The public names in the sources of the crate: types, and what belongs to them as `Type::name`.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut dirs = vec![root];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.to_str().unwrap().contains("_test") {
                collect(&fs::read_to_string(&path).unwrap(), &mut names);
            }
        }
    }
    names
}

/// The name at the beginning of `text`.
fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()
}

fn collect(text: &str, names: &mut BTreeSet<String>) {
    let mut owner = String::new();
    for line in text.lines() {
        // What all sockets share is made by a macro.
        if let Some(method) = line.strip_prefix("            pub fn ") {
            names.extend(["SctpSocket", "SctpStream", "SctpListener"].map(|socket| format!("{socket}::{}", word(method))));
        }
        for item in ["pub struct ", "pub enum ", "impl "] {
            if let Some(rest) = line.strip_prefix(item) {
                owner = word(rest).to_owned();
                names.insert(owner.clone());
            }
        }
        if line == "}" {
            owner.clear();
        }
        let Some(member) = line.strip_prefix("    ").filter(|_| !owner.is_empty()) else { continue };
        let member = ["pub fn ", "pub const fn ", "pub async fn ", "pub "].iter().find_map(|p| member.strip_prefix(p)).unwrap_or(member);
        // Variants of enums stand without `pub`.
        if !word(member).is_empty() {
            names.insert(format!("{owner}::{}", word(member)));
        }
    }
}

#[test]
fn everything_in_the_rfc_has_one_row() {
    let listed: Vec<&str> = rows().iter().flat_map(|row| quoted(row[0])).collect();
    let once: BTreeSet<_> = listed.iter().copied().collect();
    assert_eq!(once.len(), listed.len(), "a name is listed twice");
    for name in RFC {
        assert!(once.contains(name), "{name} is not in docs/rfc6458.md");
    }
}

#[test]
fn rows_without_a_rust_name_say_why() {
    for row in rows() {
        let [_, _, rust, remarks] = row[..] else { panic!("four columns: {row:?}") };
        assert!(!quoted(rust).is_empty() || !remarks.is_empty(), "{row:?}");
    }
}

#[test]
fn the_rust_names_exist() {
    let (names, options) = (names(), options());
    assert!(names.contains("SctpSocket::bind") && names.contains("Notification::CommUp") && !names.contains("SctpSocket::nothing"));
    let mut missing = Vec::new();
    let rust = rows().into_iter().flat_map(|row| row[2..].iter().flat_map(|cell| quoted(cell)).collect::<Vec<_>>());
    for name in rust.filter(|n| n.starts_with(|c: char| c.is_uppercase()) || n.contains("::")) {
        let outside = ["IpAddr", "AsFd", "AsyncRead", "AsyncWrite"];
        let known = name.strip_prefix("option::").unwrap_or(name);
        let option = name.starts_with("option::") && options.contains_key(known);
        if !option && !names.contains(known) && !name.starts_with("std::") && !name.starts_with("mio::") && !outside.contains(&name) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "not in the code: {missing:?}");
}

#[test]
fn options_stand_in_the_row_of_their_name() {
    let options = options();
    let mut shown = BTreeSet::new();
    for row in rows() {
        for option in quoted(row[2]).into_iter().filter_map(|n| n.strip_prefix("option::")).filter(|n| *n != "AssocSel") {
            let rfc = options.get(option).unwrap_or_else(|| panic!("{option} is no option"));
            if quoted(row[0]).contains(rfc) {
                shown.insert(option);
            } else {
                assert!(row[0] == "`SCTP_INIT`" || row[3].contains("deprecated"), "{option} is {rfc}, not {}", row[0]);
            }
        }
    }
    let all: BTreeSet<_> = options.keys().copied().collect();
    assert_eq!(shown, all);
}
