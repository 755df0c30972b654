//! Whether somebody else on this host takes or answers packets of protocol 132: a kernel with SCTP of its own, in most cases.

use core::fmt;
use core::time::Duration;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use udp_encap::RecvBatch;
use udp_encap::raw::{RawSocket, RawTransmit};

use super::clock::MonoClock;
use crate::entropy::{Entropy, OsEntropy};
use crate::num::Vtag;
use crate::wire::chunk::{ShutdownComplete, kind};
use crate::wire::{Chunk, CommonHeader, Packet, PacketWriter};

/// How long the own question may take on its way through the host.
const ARRIVES_WITHIN: Duration = Duration::from_millis(200);
/// How long an answer may take once the question has arrived. A kernel answers while it delivers.
const ANSWERED_WITHIN: Duration = Duration::from_millis(20);

/// What stands in the way of raw IP on this host; it prints as one line with the remedy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RawConflict {
    /// Packets that are meant for us are answered by another SCTP, which does not know our associations and aborts them.
    Answered,
    /// Packets of protocol 132 do not reach us: a kernel with SCTP of its own keeps them, or a packet filter drops them.
    Silent,
}

impl fmt::Display for RawConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => {
                "another SCTP on this host answers on raw IP and will abort our associations: \
                 unload the kernel's (on Linux: rmmod sctp), end the other program, or use UDP encapsulation"
            }
            Self::Silent => {
                "packets of protocol 132 do not reach programs on this host: the kernel's own SCTP keeps them, or a packet filter \
                 drops them; remove that, or use UDP encapsulation"
            }
        })
    }
}

/// Asks on the loopback interface, or on the first of these addresses: sends a SHUTDOWN ACK that belongs to nothing, which every SCTP
/// answers by a SHUTDOWN COMPLETE (RFC 9260 section 8.4 rule 5), but for one that leaves foreign ports alone. `None` also if it cannot
/// be told.
pub(crate) fn look(addrs: &[IpAddr], clock: MonoClock) -> Option<RawConflict> {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let all = loopback.iter().filter(|a| addrs.contains(a)).chain(addrs);
    let asked = all.take(2).find_map(|addr| ask(*addr, clock).inspect_err(|err| tracing::debug!(%addr, %err, "cannot ask")).ok());
    asked.flatten()
}

fn ask(addr: IpAddr, clock: MonoClock) -> io::Result<Option<RawConflict>> {
    let mut socket = RawSocket::bind(addr, 0)?;
    let mut entropy = OsEntropy::new()?;
    let mut port = || u16::try_from(49_152 + entropy.below(16_384)).unwrap_or(u16::MAX);
    let (src_port, dst_port) = (port(), port());
    let header = CommonHeader { src_port, dst_port, vtag: Vtag(entropy.u32().max(1)) };
    let mut question = Vec::new();
    let mut writer = PacketWriter::new(&mut question, header, usize::from(u16::MAX));
    writer.push(&Chunk::ShutdownAck);
    writer.finish();
    socket.send(&RawTransmit { dst: addr, scope: 0, tos: 0, flow_label: 0, may_fragment: false }, &question)?;

    let mut buffers = RecvBatch::new();
    let (mut arrived, mut answered) = (false, false);
    let mut until = clock.now() + ARRIVES_WITHIN;
    while !answered {
        let left = until.saturating_since(clock.now());
        if left.is_zero() {
            break;
        }
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        poll(&mut [PollFd::new(&socket.as_fd(), PollFlags::IN)], Some(&timeout))?;
        let before = arrived;
        let read = socket.recv(&mut buffers, |received| {
            arrived |= received.bytes == question;
            answered |= answers(&received.bytes, header);
        });
        if let Err(err) = read
            && err.kind() != io::ErrorKind::WouldBlock
        {
            return Err(err);
        }
        if arrived && !before {
            until = clock.now() + ANSWERED_WITHIN;
        }
    }
    Ok(match (arrived, answered) {
        (_, true) => Some(RawConflict::Answered),
        (false, false) => Some(RawConflict::Silent),
        (true, false) => None,
    })
}

/// Whether a packet answers a SHUTDOWN ACK with this header.
fn answers(bytes: &[u8], asked: CommonHeader) -> bool {
    let Ok(packet) = Packet::parse(bytes) else { return false };
    let swapped = CommonHeader { src_port: asked.dst_port, dst_port: asked.src_port, vtag: asked.vtag };
    let first = packet.chunks().next().and_then(Result::ok);
    let complete = |c: &crate::wire::RawChunk<'_>| {
        c.kind == kind::ABORT || matches!(c.decode(), Ok(Chunk::ShutdownComplete(ShutdownComplete { t: true })))
    };
    packet.header == swapped && first.is_some_and(|c| complete(&c))
}
