//! What an observer of the simulation sees: the hash of the run, a capture, a trace in words.

use core::hash::Hasher as _;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use siphasher::sip::SipHasher13;

use super::describe::describe;
use super::host::{Host, HostId};
use super::network::Wire;
use crate::net::{Channel, Ecn};
use crate::pcap::{Captured, Direction, Interface, PcapWriter};
use crate::time::Time;

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Sent,
    Received,
    Cut,
    Lost,
    QueueFull,
    TooBig,
    /// A damaged datagram.
    Damaged,
    /// Nobody is there.
    Unreachable,
    /// The host is frozen and has no room.
    Frozen,
    /// The host sent from an address that it does not have.
    NotItsAddress,
}

/// A packet as a host sent or received it: for oracles that judge what is on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The world's time.
    pub now: Time,
    /// Who sent or received it.
    pub host: HostId,
    /// Whether it was sent; otherwise it was received.
    pub sent: bool,
    /// The sender's address.
    pub src: IpAddr,
    /// The receiver's address.
    pub dst: IpAddr,
    /// UDP source and destination port; `None` directly over IP.
    pub ports: Option<(u16, u16)>,
    /// Whether it is a plain datagram, without SCTP.
    pub plain: bool,
    /// The ECN mark of its IP header.
    pub ecn: Option<Ecn>,
    /// Whether IP may fragment it.
    pub may_fragment: bool,
    /// The SCTP packet, or the datagram's payload.
    pub payload: &'a [u8],
}

/// A function that is shown every packet.
pub(super) type Tap = Box<dyn FnMut(&Seen<'_>)>;

/// Watches every packet.
pub(super) struct Observer {
    tap: Option<Tap>,
    hash: SipHasher13,
    pcap: Option<PcapWriter<Box<dyn Write>>>,
    /// The interface of each host in the capture, by its index.
    interfaces: Vec<Interface>,
    text: Option<Box<dyn Write>>,
    failed: Option<io::Error>,
}

impl Observer {
    pub(super) fn new() -> Self {
        Self { tap: None, hash: SipHasher13::new(), pcap: None, interfaces: Vec::new(), text: None, failed: None }
    }

    pub(super) fn capture(&mut self, out: Box<dyn Write>) -> io::Result<()> {
        self.pcap = Some(PcapWriter::new(out, "world")?);
        self.interfaces.clear();
        Ok(())
    }

    pub(super) fn trace(&mut self, out: Box<dyn Write>) {
        self.text = Some(out);
    }

    pub(super) fn tap(&mut self, f: Tap) {
        self.tap = Some(f);
    }

    /// Closes capture and trace.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Some(mut pcap) = self.pcap.take() {
            pcap.flush()?;
        }
        if let Some(mut text) = self.text.take() {
            text.flush()?;
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// Takes something into the hash that is not a packet.
    pub(super) fn mark(&mut self, now: Time, what: &[u8]) {
        self.hash.write(&now.as_nanos().to_be_bytes());
        self.hash.write(what);
    }

    pub(super) fn packet(&mut self, now: Time, hosts: &[Host], host: HostId, fate: Fate, wire: &Wire) {
        self.take_into_hash(now, host, fate, wire);
        if let (Some(tap), Fate::Sent | Fate::Received) = (&mut self.tap, fate) {
            let sent = fate == Fate::Sent;
            tap(&Seen {
                now,
                host,
                sent,
                src: wire.src,
                dst: wire.dst,
                ports: wire.ports,
                plain: wire.plain,
                ecn: wire.ecn,
                may_fragment: wire.may_fragment,
                payload: &wire.bytes,
            });
        }
        if self.pcap.is_some()
            && let Err(e) = self.write_capture(now, hosts, host, fate, wire)
        {
            self.pcap = None;
            self.failed = Some(e);
        }
        if let Some(text) = &mut self.text {
            let name = hosts.get(host.0).map_or("?", |h| h.cfg.name.as_str());
            let content = if wire.plain { format!("datagram of {} bytes", wire.bytes.len()) } else { describe(&wire.bytes) };
            let (from, to) = wire.ports.unwrap_or((0, 0));
            let line = writeln!(text, "{now} {name:<10} {fate:<13?} {}:{from} > {}:{to} {content}", wire.src, wire.dst);
            if let Err(e) = line {
                self.text = None;
                self.failed = Some(e);
            }
        }
    }

    fn take_into_hash(&mut self, now: Time, host: HostId, fate: Fate, wire: &Wire) {
        let (from, to) = wire.ports.unwrap_or((0, 0));
        self.hash.write(&now.as_nanos().to_be_bytes());
        self.hash.write(&(host.0 as u64).to_be_bytes());
        self.hash.write(&[fate as u8, wire.ecn.map_or(0, |e| e as u8 + 1)]);
        for ip in [wire.src, wire.dst] {
            match ip {
                IpAddr::V4(a) => self.hash.write(&a.octets()),
                IpAddr::V6(a) => self.hash.write(&a.octets()),
            }
        }
        self.hash.write(&from.to_be_bytes());
        self.hash.write(&to.to_be_bytes());
        self.hash.write(&(wire.bytes.len() as u64).to_be_bytes());
        self.hash.write(&wire.bytes);
    }

    fn write_capture(&mut self, now: Time, hosts: &[Host], host: HostId, fate: Fate, wire: &Wire) -> io::Result<()> {
        let Some(pcap) = &mut self.pcap else { return Ok(()) };
        let direction = match fate {
            Fate::Sent => Direction::Out,
            Fate::Received => Direction::In,
            _ => return Ok(()),
        };
        for h in hosts.iter().skip(self.interfaces.len()) {
            self.interfaces.push(pcap.add_interface(&h.cfg.name)?);
        }
        let channel = match (wire.ports, direction) {
            (None, _) => Channel::Raw,
            (Some((local, remote)), Direction::Out) | (Some((remote, local)), Direction::In) => Channel::Udp { local, remote },
        };
        pcap.write(&Captured {
            unix_nanos: now.as_nanos(),
            interface: self.interfaces.get(host.0).copied().unwrap_or(Interface::FIRST),
            direction,
            src: wire.src,
            dst: wire.dst,
            channel,
            ecn: wire.ecn,
            dscp: wire.dscp,
            flow_label: wire.flow_label,
            payload: &wire.bytes,
        })
    }
}

/// A buffer to capture or trace into and to read from afterwards: clones share the bytes.
#[derive(Clone, Default, Debug)]
pub struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl SharedBuffer {
    /// What was written so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Write for SharedBuffer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
