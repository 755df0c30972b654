//! An independent judge: tshark reads the capture of a run.
#![allow(clippy::disallowed_methods, reason = "edge: a test that runs tshark")]

use core::time::Duration;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use sctp_user::sim::{Chance, LinkConfig, Loss};
use testbed::{Scenario, Workload};

#[test]
fn tshark_finds_nothing_malformed() {
    if Command::new("tshark").arg("--version").output().is_err() {
        assert_ne!(std::env::var("REQUIRE").as_deref(), Ok("all"), "tshark is not installed");
        println!("SKIP: tshark is not installed");
        return;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tshark.pcapng");
    let mut s = Scenario::new(1);
    s.upload = Workload::steady(1, 40, 3_000);
    s.download = Workload::steady(2, 40, 300);
    s.there = LinkConfig { loss: Loss::percent(5), duplicate: Chance::percent(5), ..LinkConfig::default() };
    s.back = s.there.clone();
    let mut bed = s.build();
    bed.world.capture(File::create(&path).unwrap()).unwrap();
    bed.connect();
    bed.deliver(Duration::from_secs(600)).unwrap();
    bed.world.run_for(Duration::from_secs(60));
    bed.world.with(bed.client, |n, now| n.shutdown(now));
    bed.closed(Duration::from_secs(600)).unwrap();
    bed.world.finish_recording().unwrap();

    let run = Command::new("tshark")
        .args(["-r", path.to_str().unwrap(), "-d", "udp.port==9899,sctp", "-o", "sctp.checksum:crc-32c", "-T", "fields"])
        .args(["-e", "sctp.checksum.status", "-e", "_ws.malformed", "-e", "_ws.expert.severity", "-e", "sctp.chunk_type"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(text.lines().count() > 100, "{text}");
    let mut kinds = [false; 256];
    for (n, line) in text.lines().enumerate() {
        let fields: Vec<_> = line.split('\t').collect();
        assert_eq!((fields[0], fields[1]), ("1", ""), "frame {}: {line}", n + 1);
        // Severities from 0x600000 on are warnings, from 0x800000 on errors. Lost packets are the only reason to complain.
        let severity = fields[2].split(',').filter_map(|s| s.parse::<u32>().ok()).max().unwrap_or(0);
        assert!(severity < 0x80_0000, "frame {}: {line}", n + 1);
        fields[3].split(',').for_each(|kind| kinds[kind.parse::<usize>().unwrap()] = true);
    }
    // DATA, INIT, INIT ACK, SACK, HEARTBEAT and its ACK, SHUTDOWN and its ACK, COOKIE ECHO and ACK, SHUTDOWN COMPLETE.
    for kind in [0, 1, 2, 3, 4, 5, 7, 8, 10, 11, 14] {
        assert!(kinds[kind], "no chunk of type {kind}");
    }
}
