//! Reading captures: frames out of pcap and pcapng files, and SCTP packets out of frames.

use std::io::{BufRead, Read};
use std::net::IpAddr;
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError};

use crate::capture::{broke_off, nanoseconds, resolution};

/// Protocol number of SCTP.
const IPPROTO_SCTP: u8 = 132;
/// Type of the block that every pcapng file begins with.
const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// A captured frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// When, since the Unix epoch.
    pub time: Duration,
    /// What it begins with.
    pub link: DataLink,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// An SCTP packet in a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found<'a> {
    /// The sender's address.
    pub src: IpAddr,
    /// The receiver's address.
    pub dst: IpAddr,
    /// The UDP ports, the sender's first, if it is encapsulated (RFC 6951).
    pub udp: Option<(u16, u16)>,
    /// The packet.
    pub payload: &'a [u8],
}

/// The frames of a capture file, in their order.
pub struct Frames<R: BufRead> {
    reader: Reader<R>,
    /// Type of link and resolution of each interface of the section.
    interfaces: Vec<(DataLink, u8)>,
}

enum Reader<R: BufRead> {
    Pcap(PcapReader<R>),
    Ng(PcapNgReader<R>),
}

impl<R: BufRead> Frames<R> {
    /// Begins to read a file in either format.
    ///
    /// # Errors
    /// It is of neither.
    pub fn read(mut file: R) -> Result<Self, PcapError> {
        let ng = file.fill_buf().map_err(PcapError::IoError)?.starts_with(&SECTION_HEADER);
        let reader = if ng { Reader::Ng(PcapNgReader::new(file)?) } else { Reader::Pcap(PcapReader::new(file)?) };
        Ok(Self { reader, interfaces: Vec::new() })
    }

    /// The next frame of a pcapng file.
    fn next_ng(interfaces: &mut Vec<(DataLink, u8)>, reader: &mut PcapNgReader<impl Read>) -> Option<Result<Frame, PcapError>> {
        loop {
            match reader.next_block()? {
                Ok(Block::SectionHeader(_)) => interfaces.clear(),
                Ok(Block::InterfaceDescription(interface)) => interfaces.push((interface.linktype, resolution(&interface))),
                Ok(Block::EnhancedPacket(packet)) => {
                    let index = usize::try_from(packet.interface_id).unwrap_or(usize::MAX);
                    let Some(&(link, resolution)) = interfaces.get(index) else {
                        return Some(Err(PcapError::InvalidInterfaceId(packet.interface_id)));
                    };
                    let time = nanoseconds(packet.timestamp, resolution);
                    return Some(time.map(|time| Frame { time, link, data: packet.data.into_owned() }));
                }
                Ok(_) => {}
                Err(err) => return Some(Err(err)),
            }
        }
    }
}

impl<R: BufRead> Iterator for Frames<R> {
    type Item = Result<Frame, PcapError>;

    /// A file may break off in the middle of a frame, as that of a killed process does: what is whole is read.
    fn next(&mut self) -> Option<Self::Item> {
        let next = match &mut self.reader {
            Reader::Ng(reader) => Self::next_ng(&mut self.interfaces, reader),
            Reader::Pcap(reader) => {
                let link = reader.header().datalink;
                reader.next_packet().map(|p| p.map(|p| Frame { time: p.timestamp, link, data: p.data.into_owned() }))
            }
        };
        next.filter(|frame| !frame.as_ref().is_err_and(broke_off))
    }
}

/// The SCTP packet in a frame: over IP, or in UDP with one of these ports on either side. IP fragments are not put together.
#[must_use]
pub fn find_sctp<'a>(frame: &'a Frame, udp_ports: &[u16]) -> Option<Found<'a>> {
    let sliced = match frame.link {
        DataLink::ETHERNET => SlicedPacket::from_ethernet(&frame.data),
        DataLink::LINUX_SLL => SlicedPacket::from_linux_sll(&frame.data),
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => SlicedPacket::from_ip(&frame.data),
        _ => return None,
    };
    let packet = sliced.ok()?;
    let net = packet.net.as_ref()?;
    let (src, dst): (IpAddr, IpAddr) = match net {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Arp(_) => return None,
    };
    let (udp, payload) = match &packet.transport {
        None => {
            let payload = net.ip_payload_ref()?;
            if payload.ip_number.0 != IPPROTO_SCTP || payload.fragmented {
                return None;
            }
            (None, payload.payload)
        }
        Some(TransportSlice::Udp(udp)) => {
            let ports = (udp.source_port(), udp.destination_port());
            if !udp_ports.contains(&ports.0) && !udp_ports.contains(&ports.1) {
                return None;
            }
            (Some(ports), udp.payload())
        }
        Some(_) => return None,
    };
    // The slices borrow from the frame, not from what was sliced.
    let payload = within(&frame.data, payload)?;
    Some(Found { src, dst, udp, payload })
}

/// `part` as a part of `whole`.
fn within<'a>(whole: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    whole.get(start..start.checked_add(part.len())?)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use sctp_user::Channel;
    use sctp_user::pcap::{Captured, Direction, Interface, PcapWriter};

    use super::*;

    fn capture(channels: &[Channel]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = PcapWriter::new(&mut bytes, "test").unwrap();
        for (n, &channel) in (0..).zip(channels) {
            let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1).into(), "10.0.0.2".parse().unwrap());
            let packet = Captured {
                unix_nanos: 1_700_000_000_000_000_000 + n,
                interface: Interface::FIRST,
                direction: Direction::Out,
                src,
                dst,
                channel,
                ecn: None,
                dscp: 0,
                flow_label: 0,
                payload: b"not quite SCTP",
            };
            writer.write(&packet).unwrap();
        }
        bytes
    }

    #[test]
    fn sctp_is_found_over_ip_and_in_udp() {
        let udp = |local, remote| Channel::Udp { local, remote };
        let bytes = capture(&[Channel::Raw, udp(9899, 1), udp(2, 9899), udp(3, 4)]);
        let frames: Vec<_> = Frames::read(&bytes[..]).unwrap().map(Result::unwrap).collect();
        assert_eq!(frames.iter().map(|f| f.time.subsec_nanos()).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let found: Vec<_> = frames.iter().map(|frame| find_sctp(frame, &[9899])).collect();
        let ports: Vec<_> = found.iter().map(|f| f.as_ref().map(|f| f.udp)).collect();
        assert_eq!(ports, [Some(None), Some(Some((9899, 1))), Some(Some((2, 9899))), None]);
        for packet in found.iter().flatten() {
            assert_eq!(packet.payload, b"not quite SCTP");
            assert_eq!((packet.src.to_string(), packet.dst.to_string()), ("10.0.0.1".into(), "10.0.0.2".into()));
        }
    }

    #[test]
    fn a_file_may_break_off_and_must_be_a_capture() {
        let bytes = capture(&[Channel::Raw, Channel::Raw]);
        let whole = Frames::read(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(whole.map(Result::unwrap).count(), 1);
        assert!(Frames::read(&b"this is not a capture at all, whatever its name says"[..]).is_err());
        assert!(Frames::read(&b""[..]).is_err());
    }
}
