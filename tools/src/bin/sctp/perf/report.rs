//! What a measurement came to, for humans and programs.

use std::fmt::{self, Display};

use hdrhistogram::Histogram;
use sctp_user::{AssocStats, PathStatus};
use serde_json::{Map, Value, json};

use super::wire::{Counted, Test};
use crate::path::to_json;

/// Percentiles that are told, in thousandths.
const PERCENTILES: [(&str, u32); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p999", 999)];

/// What was measured.
pub(super) enum Measured {
    /// What the receiver counted.
    Throughput(Counted),
    /// Round trips in microseconds.
    Latency(Histogram<u64>),
}

/// The result of a test.
pub(super) struct Report {
    pub(super) test: Test,
    pub(super) measured: Measured,
    pub(super) stats: AssocStats,
    pub(super) paths: Vec<PathStatus>,
}

impl Counted {
    fn bits_per_second(&self) -> u64 {
        let rate = u128::from(self.bytes) * 8 * 1_000_000 / u128::from(self.microseconds.max(1));
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

impl Report {
    /// All of it, for programs.
    pub(super) fn to_json(&self) -> Value {
        let (t, s) = (&self.test, &self.stats);
        let mut all = Map::new();
        let mut add = |key: &str, value: Value| drop(all.insert(key.into(), value));
        add("mode", t.mode.name().into());
        add("size", t.size.into());
        add("streams", t.streams.into());
        add("unordered", t.unordered.into());
        match &self.measured {
            Measured::Throughput(c) => {
                add("microseconds", c.microseconds.into());
                add("messages", c.messages.into());
                add("bytes", c.bytes.into());
                add("bits_per_second", c.bits_per_second().into());
            }
            Measured::Latency(h) => {
                add("messages", h.len().into());
                let mut latency = Map::new();
                latency.insert("min".into(), h.min().into());
                for (name, permille) in PERCENTILES {
                    latency.insert(name.into(), percentile(h, permille).into());
                }
                latency.insert("max".into(), h.max().into());
                add("latency_us", latency.into());
            }
        }
        add("packets_out", s.out_sctp_packs.into());
        add("packets_in", s.in_sctp_packs.into());
        add("retransmitted_chunks", s.rtx_chunks.into());
        add("sacks_in", s.in_sacks.into());
        add("largest_train", s.largest_train_out.into());
        add("paths", self.paths.iter().map(to_json).collect());
        json!(all)
    }
}

fn percentile(histogram: &Histogram<u64>, permille: u32) -> u64 {
    histogram.value_at_quantile(f64::from(permille) / 1000.0)
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = &self.test;
        let order = if t.unordered { "unordered" } else { "ordered" };
        match &self.measured {
            Measured::Throughput(c) => {
                let rate = c.bits_per_second();
                let (s, ms) = (c.microseconds / 1_000_000, c.microseconds / 1_000 % 1_000);
                writeln!(f, "{} {order} messages of {} bytes in {s}.{ms:03} s: {} bytes", c.messages, t.size, c.bytes)?;
                writeln!(f, "{}.{:03} Mbit/s", rate / 1_000_000, rate / 1_000 % 1_000)?;
            }
            Measured::Latency(h) => {
                writeln!(f, "{} round trips of {} bytes, {order}, in microseconds:", h.len(), t.size)?;
                write!(f, "min {}", h.min())?;
                for (name, permille) in PERCENTILES {
                    write!(f, ", {name} {}", percentile(h, permille))?;
                }
                writeln!(f, ", max {}", h.max())?;
            }
        }
        let s = &self.stats;
        write!(f, "{} packets sent, {} received; {} chunks sent again", s.out_sctp_packs, s.in_sctp_packs, s.rtx_chunks)?;
        for path in &self.paths {
            let role = if path.primary { ", primary" } else { "" };
            let srtt = path.srtt.map_or_else(|| "not measured".into(), |srtt| format!("{} us", srtt.as_micros()));
            write!(
                f,
                "\npath {}: {}{role}; round trip {srtt}, cwnd {}, MTU {}, {} bytes sent",
                path.addr, path.state, path.cwnd, path.mtu, path.stats.out_bytes
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Mode;
    use super::*;

    fn report(mode: Mode, measured: Measured) -> Report {
        let test = Test { mode, size: 1000, seconds: 1, streams: 2, unordered: false };
        Report { test, measured, stats: AssocStats::default(), paths: Vec::new() }
    }

    #[test]
    fn throughput() {
        let report = report(Mode::ToServer, Measured::Throughput(Counted { messages: 250, bytes: 250_000, microseconds: 2_000_000 }));
        let json = report.to_json();
        assert_eq!((&json["bits_per_second"], &json["messages"], &json["mode"]), (&json!(1_000_000), &json!(250), &json!("to-server")));
        assert!(report.to_string().contains("1.000 Mbit/s"), "{report}");
        let nothing = Counted::default();
        assert_eq!(nothing.bits_per_second(), 0);
        let all = Counted { bytes: u64::MAX, messages: 1, microseconds: 1 };
        assert_eq!(all.bits_per_second(), u64::MAX);
    }

    #[test]
    fn latency() {
        let mut h = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        (1..=1000).for_each(|us| h.saturating_record(us));
        let json = report(Mode::Echo, Measured::Latency(h)).to_json();
        assert_eq!(json["latency_us"], json!({ "min": 1, "p50": 500, "p90": 900, "p99": 990, "p999": 999, "max": 1000 }));
    }
}
