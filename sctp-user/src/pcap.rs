//! Packets as pcapng, to be opened in Wireshark: used by the simulator and by the real runtime alike.
//!
//! Below SCTP the core knows only addresses and ports, so the IP and UDP headers are built here, with correct checksums.
//! Every block is handed to the writer whole and in one call: a killed process leaves a readable file, and several processes may
//! append to one file (opened with `O_APPEND`) as long as each has one interface only.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ip::IpPacket;
use crate::net::{Channel, Ecn, Meta, Train, Transmit, canonical};

const SECTION_HEADER_BLOCK: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION_BLOCK: u32 = 1;
const ENHANCED_PACKET_BLOCK: u32 = 6;
/// The packets begin with their IPv4 or IPv6 header.
const LINKTYPE_RAW: u16 = 101;
const OPT_END: u16 = 0;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;

/// Whether the host that captures received a packet or sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// An interface of the file: see [`PcapWriter::add_interface`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interface(u32);

impl Interface {
    /// The interface that every file has.
    pub const FIRST: Self = Self(0);
}

/// One packet to be written.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    /// When, in nanoseconds since the Unix epoch (the simulator counts from its own zero).
    pub unix_nanos: u64,
    /// On which interface.
    pub interface: Interface,
    /// Whether it was received or sent; it also says whose view `channel` is.
    pub direction: Direction,
    /// The sender's address.
    pub src: IpAddr,
    /// The receiver's address.
    pub dst: IpAddr,
    /// What carried it, as the capturing host sees it: `local` is the UDP port on its side.
    pub channel: Channel,
    /// The ECN mark.
    pub ecn: Option<Ecn>,
    /// DSCP, 0 to 63.
    pub dscp: u8,
    /// IPv6 flow label, 20 bits.
    pub flow_label: u32,
    /// The SCTP packet, or the payload of the datagram.
    pub payload: &'a [u8],
}

/// Writes pcapng (draft-ietf-opsawg-pcapng) to any writer.
#[derive(Debug)]
pub struct PcapWriter<W: Write> {
    out: W,
    /// The block being built; kept for its capacity.
    block: Vec<u8>,
    /// The packet being built; kept for its capacity.
    packet: Vec<u8>,
    interfaces: u32,
}

impl<W: Write> PcapWriter<W> {
    /// Begins a section with one interface called `name`.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn new(out: W, name: &str) -> io::Result<Self> {
        let mut writer = Self { out, block: Vec::new(), packet: Vec::new(), interfaces: 1 };
        // Both blocks in one call: a packet of another process that appends to the same file must not come between them.
        let mut head = Vec::new();
        write_block(&mut head, SECTION_HEADER_BLOCK, |b| {
            b.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
            b.extend_from_slice(&1u16.to_le_bytes());
            b.extend_from_slice(&0u16.to_le_bytes());
            b.extend_from_slice(&u64::MAX.to_le_bytes());
            option(b, SHB_USERAPPL, b"sctp-user");
            option(b, OPT_END, &[]);
        });
        write_block(&mut head, INTERFACE_DESCRIPTION_BLOCK, |b| interface_body(b, name));
        writer.out.write_all(&head)?;
        writer.out.flush()?;
        Ok(writer)
    }

    /// Adds an interface: the simulator has one for each host.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn add_interface(&mut self, name: &str) -> io::Result<Interface> {
        let interface = Interface(self.interfaces);
        self.block.clear();
        write_block(&mut self.block, INTERFACE_DESCRIPTION_BLOCK, |b| interface_body(b, name));
        self.out.write_all(&self.block)?;
        self.interfaces = self.interfaces.saturating_add(1);
        Ok(interface)
    }

    /// Writes one packet.
    ///
    /// # Errors
    /// What the writer reports; `InvalidInput` for a payload that no IP packet can carry.
    pub fn write(&mut self, c: &Captured<'_>) -> io::Result<()> {
        self.packet.clear();
        ip_packet(&mut self.packet, c).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "payload too long for an IP packet"))?;
        let len = u32::try_from(self.packet.len()).map_err(io::Error::other)?;
        let packet = &self.packet;
        self.block.clear();
        write_block(&mut self.block, ENHANCED_PACKET_BLOCK, |b| {
            b.extend_from_slice(&c.interface.0.to_le_bytes());
            b.extend_from_slice(&high_half(c.unix_nanos).to_le_bytes());
            b.extend_from_slice(&low_half(c.unix_nanos).to_le_bytes());
            b.extend_from_slice(&len.to_le_bytes());
            b.extend_from_slice(&len.to_le_bytes());
            b.extend_from_slice(packet);
            pad(b);
            let flags: u32 = match c.direction {
                Direction::In => 1,
                Direction::Out => 2,
            };
            option(b, EPB_FLAGS, &flags.to_le_bytes());
            option(b, OPT_END, &[]);
        });
        self.out.write_all(&self.block)
    }

    /// Writes the packets of a train that the core wants sent: `bytes` is what [`crate::Node::poll_transmit`] appended.
    /// A source that routing will choose is shown as the unspecified address.
    ///
    /// # Errors
    /// As [`PcapWriter::write`].
    pub fn sent(&mut self, unix_nanos: u64, interface: Interface, t: &Transmit, bytes: &[u8]) -> io::Result<()> {
        let stride = t.segment_size.unwrap_or(bytes.len()).max(1);
        for payload in bytes.chunks(stride) {
            self.write(&Captured {
                unix_nanos,
                interface,
                direction: Direction::Out,
                src: t.src.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                dst: t.dst.ip(),
                channel: t.channel,
                ecn: t.ecn,
                dscp: t.dscp,
                flow_label: t.flow_label,
                payload,
            })?;
        }
        Ok(())
    }

    /// Writes the packets of a received train.
    ///
    /// # Errors
    /// As [`PcapWriter::write`].
    pub fn received(&mut self, unix_nanos: u64, interface: Interface, meta: &Meta, train: &Train) -> io::Result<()> {
        for payload in train.packets() {
            self.write(&Captured {
                unix_nanos,
                interface,
                direction: Direction::In,
                src: meta.src,
                dst: meta.dst,
                channel: meta.channel,
                ecn: meta.ecn,
                dscp: 0,
                flow_label: 0,
                payload: &payload,
            })?;
        }
        Ok(())
    }

    /// Flushes the writer below.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Gives the writer back.
    pub fn into_inner(self) -> W {
        self.out
    }
}

/// Appends the packet from its IP header on; `None` if a length field cannot hold it.
fn ip_packet(out: &mut Vec<u8>, c: &Captured<'_>) -> Option<()> {
    let (src, dst) = same_family(canonical(c.src), canonical(c.dst));
    let ports = match c.channel {
        Channel::Udp { local, remote } | Channel::Datagram { local, remote } => Some(match c.direction {
            Direction::Out => (local, remote),
            Direction::In => (remote, local),
        }),
        Channel::Raw | Channel::Lower(_) | Channel::Tun(_) => None,
    };
    let fragment_id = None;
    IpPacket { src, dst, ports, ecn: c.ecn, dscp: c.dscp, flow_label: c.flow_label, fragment_id, payload: c.payload }.write(out)
}

/// The two addresses in one family; the source becomes the unspecified address if it is of the other one.
fn same_family(src: IpAddr, dst: IpAddr) -> (IpAddr, IpAddr) {
    match (src, dst) {
        (IpAddr::V6(_), IpAddr::V4(_)) => (Ipv4Addr::UNSPECIFIED.into(), dst),
        (IpAddr::V4(_), IpAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED.into(), dst),
        same => same,
    }
}

fn interface_body(b: &mut Vec<u8>, name: &str) {
    b.extend_from_slice(&LINKTYPE_RAW.to_le_bytes());
    b.extend_from_slice(&0u16.to_le_bytes());
    b.extend_from_slice(&0u32.to_le_bytes());
    option(b, IF_NAME, name.as_bytes());
    // The time stamps count units of 10^-9 s.
    option(b, IF_TSRESOL, &[9]);
    option(b, OPT_END, &[]);
}

/// Appends a block: type, length, what `body` appends, length again.
fn write_block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = u32::try_from(out.len() - start + 4).unwrap_or(u32::MAX).to_le_bytes();
    if let Some(field) = out.get_mut(start + 4..start + 8) {
        field.copy_from_slice(&len);
    }
    out.extend_from_slice(&len);
}

/// Appends an option, padded to four bytes; one that is too long for its length field is cut.
fn option(b: &mut Vec<u8>, code: u16, value: &[u8]) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    b.extend_from_slice(&code.to_le_bytes());
    b.extend_from_slice(&len.to_le_bytes());
    b.extend_from_slice(value.get(..usize::from(len)).unwrap_or(value));
    pad(b);
}

fn pad(b: &mut Vec<u8>) {
    b.resize(b.len().next_multiple_of(4), 0);
}

fn high_half(n: u64) -> u32 {
    u32::try_from(n >> 32).unwrap_or(u32::MAX)
}

fn low_half(n: u64) -> u32 {
    u32::try_from(n & 0xffff_ffff).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "pcap_test.rs"]
mod pcap_test;
