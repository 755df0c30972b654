//! Putting fragmented packets together again (RFC 791, RFC 8200 section 4.5), as the host does it for its own addresses.

use core::time::Duration;
use std::net::IpAddr;

use etherparse::defrag::IpDefragBuf;
use etherparse::{IpNumber, IpSlice, Ipv6ExtensionSlice};

use crate::time::Time;

/// Most packets of which parts are kept: 64 KiB each at most.
const MOST: usize = 32;
/// How long their other parts are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which packet a fragment belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
}

#[derive(Debug)]
struct Partial {
    key: Key,
    since: Time,
    parts: IpDefragBuf,
}

/// The packets of which parts have come.
#[derive(Debug, Default)]
pub(crate) struct Reassembler {
    /// At most [`MOST`], the oldest first; it goes if there are too many.
    partial: Vec<Partial>,
}

impl Reassembler {
    /// Takes a fragment of a packet of protocol 132; the whole payload if it was the last one missing.
    pub(super) fn add(&mut self, ip: &IpSlice<'_>, now: Time) -> Option<Vec<u8>> {
        self.partial.retain(|p| now.saturating_since(p.since) < PATIENCE);
        let (src, dst) = (ip.source_addr(), ip.destination_addr());
        let (id, place, more) = match ip {
            IpSlice::Ipv4(v4) => {
                let header = v4.header();
                (u32::from(header.identification()), header.fragments_offset(), header.more_fragments())
            }
            IpSlice::Ipv6(v6) => v6.extensions().clone().into_iter().find_map(|extension| match extension {
                Ipv6ExtensionSlice::Fragment(f) => Some((f.identification(), f.fragment_offset(), f.more_fragments())),
                _ => None,
            })?,
        };
        let key = Key { src, dst, id };
        let at = match self.partial.iter().position(|p| p.key == key) {
            Some(at) => at,
            None => {
                if self.partial.len() >= MOST {
                    self.partial.remove(0);
                }
                self.partial.push(Partial { key, since: now, parts: IpDefragBuf::new(IpNumber::SCTP, Vec::new(), Vec::new()) });
                self.partial.len() - 1
            }
        };
        let entry = self.partial.get_mut(at)?;
        // Parts that contradict each other make no packet.
        let added = entry.parts.add(place, more, ip.payload().payload);
        if added.is_ok() && !entry.parts.is_complete() {
            return None;
        }
        let whole = self.partial.remove(at).parts;
        added.ok().map(|()| whole.take_bufs().0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::IpPacket;
    use super::*;

    #[test]
    fn what_never_becomes_complete_takes_no_more_than_its_place() {
        let mut together = Reassembler::default();
        for id in 0..200 {
            let mut packet = Vec::new();
            let ip = IpPacket {
                src: [192, 0, 2, 1].into(),
                dst: [192, 0, 2, 2].into(),
                ports: None,
                ecn: None,
                dscp: 0,
                flow_label: 0,
                fragment_id: Some(id),
                payload: &[7; 64],
            };
            ip.write(&mut packet).unwrap();
            packet[6] |= 0x20;
            assert_eq!(together.add(&IpSlice::from_slice(&packet).unwrap(), Time::ZERO), None);
            assert!(together.partial.len() <= MOST);
        }
        let oldest: Vec<_> = together.partial.iter().map(|p| p.key.id).collect();
        assert_eq!(oldest, (168..200).collect::<Vec<_>>());
    }
}
