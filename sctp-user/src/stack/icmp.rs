//! Errors that the network reports (RFC 9260 section 10, rulings section 1 row 13): believed only if the quoted packet is
//! really ours.

use super::Stack;
use super::lookup::Key;
use crate::assoc::Core;
use crate::assoc::state::State;
use crate::error::CloseReason;
use crate::net::{Channel, NetError, NetErrorKind};
use crate::time::Time;
use crate::wire::Packet;
use crate::wire::chunk::kind;
use crate::wire::cursor::Reader;

impl Stack {
    /// A network error with the packet that it quotes (rules ICMP1 to ICMP9; other types and codes are ignored).
    pub(super) fn on_net_error(&mut self, now: Time, err: &NetError) {
        let Some(quoted) = Packet::parse_quoted(&err.quoted) else { return };
        let dst = err.dst.to_canonical();
        // The interface of a link-local destination is not told: nothing is found then, and timers have to do.
        let key = Key::new((quoted.header.src_port, quoted.header.dst_port), dst, 0);
        let Some(id) = self.lookup.get(&key) else { return };
        let Some(core) = self.assocs.get(id).map(|a| &a.core) else { return };
        let Some(initiates) = quotes(core, &quoted, &err.quoted) else { return };
        let path = core.paths.find(dst);
        // Our packets do not leave by both ways at once: a report about the other way is none of ours.
        let ours = path.and_then(|p| core.paths.get(p)).is_some_and(|p| p.channel.same_kind(err.channel))
            || core.trial.as_ref().is_some_and(|t| t.has(err.channel));
        if !ours {
            return;
        }
        let known = path.and_then(|p| core.paths.get(p)).is_some_and(|p| p.confirmed);
        // ICMP3 is about protocol 132: there, ports are no business of the network's.
        let encapsulated = matches!(err.channel, Channel::Udp { .. });
        self.with_assoc(now, id, |a, ctx| match err.kind {
            NetErrorKind::PortUnreachable if !encapsulated => {}
            // Another channel may lead to the peer.
            NetErrorKind::PortUnreachable | NetErrorKind::ProtocolUnreachable
                if initiates && a.core.is_refused_on_one_channel(ctx, err.channel, None) => {}
            // A UDP port that nobody listens on is worth a question.
            NetErrorKind::PortUnreachable => a.core.on_port_unreachable(ctx, dst),
            NetErrorKind::TooBig { mtu } => {
                if let Some(path) = path {
                    a.core.on_too_big(path, mtu);
                }
            }
            // ICMP8: as an ABORT with the T bit; one that quotes an INIT only while we wait for the answer to it.
            // About an address that the peer has only listed it says nothing of the peer.
            NetErrorKind::ProtocolUnreachable if known && (!initiates || a.core.state == State::CookieWait) => {
                a.core.close(CloseReason::NetworkUnreachable);
            }
            _ => {}
        });
        self.touch(id);
    }
}

/// Whether a quoted packet carries the tag that we send, or begins an INIT with our Initiate Tag (ICMP6); then whether it is an
/// INIT. Of a long INIT only the beginning is quoted.
fn quotes(core: &Core, quoted: &Packet<'_>, bytes: &[u8]) -> Option<bool> {
    if quoted.header.vtag.0 != 0 {
        return (quoted.header.vtag == core.peer_tag).then_some(false);
    }
    let mut r = Reader::new(bytes.get(12..)?);
    let is_init = r.u8()? == kind::INIT;
    r.take(3)?;
    (is_init && r.u32()? == core.local_tag.0).then_some(true)
}
