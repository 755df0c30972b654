//! A packet in a few words.

use core::fmt::Write as _;

use crate::wire::chunk::Chunk;
use crate::wire::packet::Packet;

/// The ports, the tag and the chunks of an SCTP packet on one line, for traces and failing tests.
#[must_use]
pub fn describe(packet: &[u8]) -> String {
    let Some(p) = Packet::parse_quoted(packet) else { return format!("{} bytes", packet.len()) };
    let mut out = format!("{}>{} tag {:08x}", p.header.src_port, p.header.dst_port, p.header.vtag.0);
    if Packet::parse(packet).is_err() {
        out.push_str(" (damaged)");
    }
    for raw in p.chunks() {
        // Writing to a string cannot fail.
        let _ = match raw.and_then(|raw| raw.decode()) {
            Err(e) => write!(out, ", malformed: {e}"),
            Ok(chunk) => write_chunk(&mut out, &chunk),
        };
    }
    out
}

fn write_chunk(out: &mut String, chunk: &Chunk<'_>) -> core::fmt::Result {
    match chunk {
        Chunk::Data(d) => {
            let flag = |on, c| if on { c } else { '-' };
            let flags: String = [flag(d.unordered, 'U'), flag(d.begin, 'B'), flag(d.end, 'E'), flag(d.immediate, 'I')].iter().collect();
            write!(out, ", DATA {} {flags} stream {} ssn {} ppid {} {} bytes", d.tsn.0, d.sid, d.ssn.0, d.ppid, d.payload.len())
        }
        Chunk::Init(i) | Chunk::InitAck(i) => {
            let name = if matches!(chunk, Chunk::Init(_)) { "INIT" } else { "INIT ACK" };
            write!(out, ", {name} tag {:08x} rwnd {} streams {}/{} tsn {}", i.tag.0, i.a_rwnd, i.outbound, i.inbound, i.tsn.0)
        }
        Chunk::Sack(s) => {
            write!(out, ", SACK {} rwnd {}", s.cum_tsn.0, s.a_rwnd)?;
            s.gaps.iter().try_for_each(|g| write!(out, " +{}-{}", g.start, g.end))?;
            s.dups.iter().try_for_each(|t| write!(out, " dup {}", t.0))
        }
        Chunk::Heartbeat(_) => out.write_str(", HEARTBEAT"),
        Chunk::HeartbeatAck(_) => out.write_str(", HEARTBEAT ACK"),
        Chunk::CookieEcho(_) => out.write_str(", COOKIE ECHO"),
        Chunk::Pad(p) => write!(out, ", PAD {} bytes", p.padding.len()),
        other => write!(out, ", {other:?}"),
    }
}
