//! The paths of an association, to be shown.

use std::fmt::{self, Display};
use std::io;

use sctp_user::socket::SctpStream;
use sctp_user::{PathState, PathStatus};
use serde_json::{Value, json};

/// The paths of the association, the primary path first; none once it is gone.
pub(crate) fn paths(stream: &SctpStream) -> io::Result<Vec<PathStatus>> {
    let id = stream.id();
    stream.handle().with(|node, _| node.stack_mut().assoc(id).map_or_else(Vec::new, |assoc| assoc.paths()))
}

/// What programs may want to know of a path.
pub(crate) fn to_json(path: &PathStatus) -> Value {
    json!({
        "address": path.addr.to_string(),
        "local": path.local.map(|ip| ip.to_string()),
        "state": path.state.to_string(),
        "primary": path.primary,
        "srtt_us": path.srtt.map(microseconds),
        "rto_us": microseconds(path.rto),
        "cwnd": path.cwnd,
        "mtu": path.mtu,
        "packets_out": path.stats.out_packs,
        "bytes_out": path.stats.out_bytes,
        "retransmitted_chunks": path.stats.rtx_chunks,
    })
}

/// A duration in whole microseconds.
pub(crate) fn microseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Tells which paths have changed since the last look.
#[derive(Debug, Default)]
pub(crate) struct PathWatch {
    known: Vec<(std::net::IpAddr, PathState, bool)>,
}

/// A change of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    addr: std::net::IpAddr,
    /// `None` if the peer has this address no more (RFC 5061).
    state: Option<PathState>,
    primary: bool,
}

impl PathWatch {
    /// What is new, and remembers it.
    pub(crate) fn look(&mut self, paths: &[PathStatus]) -> Vec<Change> {
        let now: Vec<_> = paths.iter().map(|p| (p.addr, p.state, p.primary)).collect();
        let new = now.iter().filter(|entry| !self.known.contains(entry));
        let mut changes: Vec<_> = new.map(|&(addr, state, primary)| Change { addr, state: Some(state), primary }).collect();
        // An association that is gone has no paths, which is no news of theirs.
        if !now.is_empty() {
            let removed = self.known.iter().filter(|(addr, ..)| now.iter().all(|(a, ..)| a != addr));
            changes.extend(removed.map(|&(addr, ..)| Change { addr, state: None, primary: false }));
            self.known = now;
        }
        changes
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            Some(state) => write!(f, "path {} is {state}{}", self.addr, if self.primary { ", the primary one" } else { "" }),
            None => write!(f, "path {} is removed", self.addr),
        }
    }
}
