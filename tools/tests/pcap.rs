//! What the demo captures is what Wireshark understands.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: tests run processes"
)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{RSP, command, has, run, skip, text};

const LIMIT: Duration = Duration::from_secs(150);

/// The lines that tshark prints for packets of `file` that pass `filter`.
fn tshark(dir: &Path, file: &str, udp_port: &str, filter: &str) -> Vec<String> {
    let decode_as = format!("udp.port=={udp_port},sctp");
    let words = ["tshark", "-r", file, "-o", "sctp.checksum:crc-32c", "-d", &decode_as, "-Y", filter];
    let output = run(command(dir, &words), LIMIT);
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn tshark_finds_nothing_wrong() {
    if !has("tshark") {
        return skip("needs tshark");
    }
    let dir = tempfile::tempdir().unwrap();
    let output = run(command(dir.path(), &[RSP, "demo", "--pcap", "demo.pcapng"]), LIMIT);
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    let port = told.split("UDP port ").nth(1).and_then(|rest| rest.split(',').next()).unwrap().to_owned();
    let find = |filter: &str| tshark(dir.path(), "demo.pcapng", &port, filter);
    assert_eq!(find(r#"sctp.checksum.status == "Bad" || _ws.malformed"#), Vec::<String>::new());
    // The filter that found nothing must be one that can find something.
    let all = find("sctp").len();
    assert!(all > 1_000, "{all} SCTP packets");
    assert_eq!(find(r#"sctp.checksum.status == "Good""#).len(), all);
    for filter in ["asap", "asap.message_type == 1", "fractalgeneratorprotocol", "sctp.chunk_type == 1", "sctp.chunk_type == 3"] {
        assert!(!find(filter).is_empty(), "nothing for {filter}");
    }
}
