//! SACKs as they leave the stack.

use super::ladder::{A, PORT, Pair, ip, packet};
use super::*;
use crate::num::{Ppid, StreamId};
use crate::wire::chunk::Data;
use crate::wire::{Chunk, Packet};

#[test]
fn sacks_of_a_train_keep_their_gap_blocks() {
    let (mut p, _, b) = Pair::up();
    let core = &p.b.stack.assocs.get(b).unwrap().core;
    let (tag, first) = (core.local_tag, core.rx.as_ref().unwrap().cum_tsn().next());
    // Of seven packets that arrive together the third and the fifth are missing.
    for n in [0, 1, 3, 5, 6] {
        let tsn = first.plus(n);
        let ssn = crate::num::Ssn(u16::try_from(n).unwrap());
        let data =
            Data { immediate: false, unordered: false, begin: true, end: true, tsn, sid: StreamId(0), ssn, ppid: Ppid(0), payload: b"x" };
        p.b.take(p.now, ip(A), packet(50_000, PORT, tag, &[Chunk::Data(data)]));
    }
    let mut sacks = Vec::new();
    let mut buf = Vec::new();
    while let Some(t) = p.b.stack.poll_transmit(p.now, 16, &mut buf) {
        for one in buf.chunks(t.segment_size.unwrap_or(t.size)) {
            let parsed = Packet::parse(one).unwrap();
            let Chunk::Sack(sack) = parsed.chunks().next().unwrap().unwrap().decode().unwrap() else { panic!("no SACK") };
            sacks.push((sack.cum_tsn.since(first), sack.gaps.iter().map(|g| (g.start, g.end)).collect::<Vec<_>>()));
        }
        buf.clear();
    }
    let with_gaps: Vec<_> = sacks.into_iter().filter(|(_, gaps)| !gaps.is_empty()).collect();
    assert_eq!(with_gaps, [(1, vec![(2, 2)]), (1, vec![(2, 2), (4, 4)]), (1, vec![(2, 2), (4, 5)])]);
}
