//! Trains cut by destination port.

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

/// The SCTP port of the first packets of a train, and their length: the kernel glues packets by UDP port, and behind one of those may
/// be many associations. `None` for what is too short to be SCTP.
pub(super) fn first_run(train: &[u8], stride: usize) -> (Option<u16>, usize) {
    let (first, rest) = train.split_at_checked(stride).unwrap_or((train, &[]));
    let port = destination(first);
    let same = rest.chunks(stride.max(1)).take_while(|packet| destination(packet) == port);
    (port, same.fold(first.len(), |length, packet| length.saturating_add(packet.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::{DatagramMeta, Received};

    fn packet(port: u16, len: usize) -> Vec<u8> {
        let mut packet = vec![0xaa; len];
        packet[2..4].copy_from_slice(&port.to_be_bytes());
        packet
    }

    fn train(packets: &[Vec<u8>], stride: usize) -> Received {
        let meta = DatagramMeta { src: "127.0.0.1:1".parse().unwrap(), dst_ip: None, ifindex: None, ecn: None };
        Received { meta, bytes: packets.concat().into(), stride }
    }

    fn runs(train: Received) -> Vec<(Option<u16>, usize)> {
        let mut left = Some(train);
        let next = || {
            let mut run = left.take()?;
            let (port, length) = first_run(&run.bytes, run.stride);
            left = (length < run.bytes.len()).then(|| run.split_off(length));
            assert!(run.stride <= 20 && run.bytes.len() == length);
            Some((port, length))
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn a_mixed_train_is_cut_in_order() {
        let packets = [packet(7, 20), packet(7, 20), packet(9, 20), packet(7, 20), packet(7, 12)];
        assert_eq!(runs(train(&packets, 20)), [(Some(7), 40), (Some(9), 20), (Some(7), 32)]);
    }

    #[test]
    fn what_is_no_sctp_has_no_port() {
        let whole = train(&[packet(7, 20), packet(8, 20), packet(7, 20)], 20);
        let cut = Received { bytes: whole.bytes.slice(..51), ..whole };
        assert_eq!(runs(cut), [(Some(7), 20), (Some(8), 20), (None, 11)]);
        assert_eq!(runs(train(&[packet(7, 11)], 3)), [(None, 11)]);
    }
}
