//! Trains cut by destination port.

use crate::meta::Received;

/// Length of the SCTP common header (RFC 9260 section 3.1).
const COMMON_HEADER: usize = 12;

/// The destination port of an SCTP packet; `None` for something shorter than a common header.
pub(super) fn destination(packet: &[u8]) -> Option<u16> {
    match packet.get(..COMMON_HEADER)? {
        [_, _, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// The source port of a quoted packet of ours.
pub(super) fn source(quoted: &[u8]) -> Option<u16> {
    match quoted {
        [high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// Cuts a train into runs of packets for one SCTP port each, in order and without copying. The kernel glues packets by UDP
/// port, and behind one of those may be many associations. What is too short to be SCTP is left out.
pub(super) fn runs(train: &Received) -> impl Iterator<Item = (u16, Received)> + '_ {
    let stride = train.stride.max(1);
    let mut at = 0usize;
    std::iter::from_fn(move || {
        loop {
            let rest = train.bytes.get(at..).filter(|rest| !rest.is_empty())?;
            let mut packets = rest.chunks(stride);
            let port = packets.next().and_then(destination);
            let same = packets.take_while(|packet| destination(packet) == port).count();
            let length = same.saturating_add(1).saturating_mul(stride).min(rest.len());
            let bytes = train.bytes.slice(at..at.saturating_add(length));
            at = at.saturating_add(length);
            if let Some(port) = port {
                let stride = stride.min(length);
                return Some((port, Received { meta: train.meta, bytes, stride }));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::DatagramMeta;

    fn packet(port: u16, len: usize) -> Vec<u8> {
        let mut packet = vec![0xaa; len];
        packet[2..4].copy_from_slice(&port.to_be_bytes());
        packet
    }

    fn train(packets: &[Vec<u8>], stride: usize) -> Received {
        let meta = DatagramMeta { src: "127.0.0.1:1".parse().unwrap(), dst_ip: None, ifindex: None, ecn: None };
        Received { meta, bytes: packets.concat().into(), stride }
    }

    #[test]
    fn a_mixed_train_is_cut_in_order() {
        let packets = [packet(7, 20), packet(7, 20), packet(9, 20), packet(7, 20), packet(7, 12)];
        let train = train(&packets, 20);
        let runs: Vec<_> = runs(&train).map(|(port, run)| (port, run.packets().count(), run.bytes.len())).collect();
        assert_eq!(runs, [(7, 2, 40), (9, 1, 20), (7, 2, 32)]);
    }

    #[test]
    fn what_is_no_sctp_is_left_out() {
        let whole = train(&[packet(7, 20), packet(8, 20), packet(7, 20)], 20);
        let cut = Received { bytes: whole.bytes.slice(..51), ..whole };
        assert_eq!(runs(&cut).map(|(port, run)| (port, run.bytes.len())).collect::<Vec<_>>(), [(7, 20), (8, 20)]);
        let dwarfs = train(&[packet(7, 11)], 3);
        assert_eq!(runs(&dwarfs).count(), 0);
    }
}
