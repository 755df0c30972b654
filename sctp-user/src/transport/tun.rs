//! SCTP directly over IP on a TUN device: the stack owns IP addresses of its own, and the host is a router to it.
//!
//! The device is made, or taken if it is there and may be used; its state, its routes and the host's own address on it are the
//! administrator's business:
//!
//! ```text
//! ip tuntap add dev sct0 mode tun user $USER
//! ip link set sct0 up
//! ip route add 192.0.2.1/32 dev sct0
//! ```

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;

use mio::event::{Event, Source as _};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use tun_tap::{Iface, Mode};

use super::outbox::Outbox;
use super::{Input, Sent, Transport};
use crate::config::PrivateChannel;
use crate::ip::IpPacket;
use crate::ip::received::{Arrival, Reassembler, parse};
use crate::net::{Channel, Meta, NetError, Train, Transmit};
use crate::time::Time;

/// Longest packet that a device hands over.
const LONGEST: usize = 65_536;
/// Packets handed up before the node's answers are sent.
const BATCH: usize = 32;
/// Most packets taken as one train. Each is a system call of its own.
const MAX_SEGMENTS: usize = 16;

/// A TUN device and the addresses that the stack has on it.
#[derive(Clone, Debug)]
pub(crate) struct TunSettings {
    pub(crate) name: String,
    pub(crate) addrs: Vec<IpAddr>,
}

pub(crate) struct TunTransport {
    device: Device,
    number: u32,
    addrs: Vec<IpAddr>,
    outbox: Outbox,
    ready: bool,
    buf: Vec<u8>,
    /// Fragments: chunks that were cut for a larger path MTU than there is now come so.
    parts: Reassembler,
}

/// The device, and room for the packet that is written.
struct Device {
    iface: Iface,
    packet: Vec<u8>,
    /// Tells the fragments of one packet from those of the next.
    next_id: u16,
}

impl TunTransport {
    /// Opens the device as number `number`.
    ///
    /// # Errors
    /// It may not be used (CAP_NET_ADMIN, or a device of this user), somebody else has it, or there are no TUN devices.
    pub(crate) fn open(settings: &TunSettings, number: u32) -> io::Result<Self> {
        let iface = Iface::without_packet_info(&settings.name, Mode::Tun)?;
        iface.set_non_blocking()?;
        let addrs = settings.addrs.iter().map(IpAddr::to_canonical).collect();
        let device = Device { iface, packet: Vec::new(), next_id: 0 };
        Ok(Self { device, number, addrs, outbox: Outbox::default(), ready: true, buf: vec![0; LONGEST], parts: Reassembler::default() })
    }

    const fn channel(&self) -> Channel {
        Channel::Tun(self.number)
    }

    /// What the stack must know about it.
    pub(crate) fn private_channel(&self) -> PrivateChannel {
        PrivateChannel { channel: self.channel(), local: self.addrs.clone(), remote: Vec::new(), max_packet: None, error_detection: None }
    }

    fn hand_up(&self, arrival: Arrival, sink: &mut dyn FnMut(Input<'_>)) {
        let channel = self.channel();
        match arrival {
            Arrival::Sctp { src, dst, ecn, payload } if self.addrs.contains(&dst) => {
                sink(Input::Packets(&Meta { src, dst, channel, ecn, ifindex: None }, Train::single(payload)));
            }
            Arrival::Error { kind, src, dst, quoted } if self.addrs.contains(&src) => {
                sink(Input::Error(NetError { kind, dst, channel, quoted }));
            }
            // For an address that is routed here and not ours.
            _ => {}
        }
    }
}

impl Device {
    fn send(&mut self, t: &Transmit, payload: &[u8]) -> io::Result<()> {
        let src = t.src.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let fragment_id = t.may_fragment.then_some(self.next_id);
        let packet = IpPacket {
            src,
            dst: t.dst.ip().to_canonical(),
            ports: None,
            ecn: t.ecn,
            dscp: t.dscp,
            flow_label: t.flow_label,
            fragment_id,
            payload,
        };
        self.packet.clear();
        packet.write(&mut self.packet).ok_or(io::ErrorKind::InvalidInput)?;
        self.iface.send(&self.packet)?;
        self.next_id = self.next_id.wrapping_add(1);
        Ok(())
    }
}

impl Transport for TunTransport {
    fn carries(&self, channel: Channel) -> bool {
        channel == self.channel()
    }

    fn register(&mut self, registry: &Registry, first: usize) -> io::Result<()> {
        SourceFd(&self.device.iface.as_raw_fd()).register(registry, Token(first), Interest::READABLE | Interest::WRITABLE)
    }

    fn note_ready(&mut self, _event: &Event) {
        self.ready = true;
    }

    fn receive(&mut self, now: Time, sink: &mut dyn FnMut(Input<'_>)) -> bool {
        for _ in 0..BATCH {
            if !self.ready {
                return false;
            }
            match self.device.iface.recv(&mut self.buf) {
                Ok(n) => {
                    if let Some(arrival) = self.buf.get(..n).and_then(|packet| parse(packet, &mut self.parts, now)) {
                        self.hand_up(arrival, sink);
                    }
                }
                Err(err) => {
                    self.ready = false;
                    if err.kind() != io::ErrorKind::WouldBlock {
                        tracing::debug!(%err, "TUN receive");
                    }
                }
            }
        }
        self.ready
    }

    fn send(&mut self, t: &Transmit, bytes: &[u8], sent: Sent<'_>) {
        let dst = t.dst.ip().to_canonical();
        // Whatever the core thinks of: from here only the device's own addresses can be answered.
        let src = t.src.filter(|s| self.addrs.contains(s)).or_else(|| self.addrs.iter().copied().find(|a| a.is_ipv4() == dst.is_ipv4()));
        let device = &mut self.device;
        for packet in bytes.chunks(t.segment_size.unwrap_or(bytes.len()).max(1)) {
            let t = Transmit { src, size: packet.len(), segment_size: None, ..*t };
            self.outbox.send(&t, packet, |t, packet| device.send(t, packet), sent);
        }
    }

    fn flush(&mut self, sent: Sent<'_>) {
        let device = &mut self.device;
        self.outbox.flush(|t, packet| device.send(t, packet), sent);
    }

    fn is_full(&self) -> bool {
        self.outbox.is_full()
    }

    fn ecn_marks(&self) -> bool {
        true
    }

    fn max_segments(&self) -> usize {
        MAX_SEGMENTS
    }
}
