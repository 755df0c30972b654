//! Errors that the network reports (RFC 9260 section 10, rulings section 1 row 13): believed only if the quoted packet is
//! really ours.

use super::Stack;
use super::lookup::Key;
use crate::assoc::Core;
use crate::net::{NetError, NetErrorKind};
use crate::time::Time;
use crate::wire::{Chunk, Packet};

impl Stack {
    /// A network error with the packet that it quotes.
    pub(super) fn on_net_error(&mut self, now: Time, err: &NetError) {
        let Some(quoted) = Packet::parse_quoted(&err.quoted) else { return };
        let key = Key { local_port: quoted.header.src_port, peer_port: quoted.header.dst_port, peer: err.dst };
        let Some(id) = self.lookup.get(&key) else { return };
        let ours = self.assocs.get(id).is_some_and(|a| quotes(&a.core, &quoted));
        if ours && err.kind == NetErrorKind::PortUnreachable {
            self.with_assoc(now, id, |a, ctx| a.core.on_port_unreachable(ctx, err.dst));
            self.touch(id);
        }
    }
}

/// Whether a quoted packet carries the tag that we send, or is our INIT with our Initiate Tag.
fn quotes(core: &Core, quoted: &Packet<'_>) -> bool {
    if quoted.header.vtag.0 != 0 {
        return quoted.header.vtag == core.peer_tag;
    }
    let first = quoted.chunks().next().and_then(Result::ok).and_then(|c| c.decode().ok());
    matches!(first, Some(Chunk::Init(init)) if init.tag == core.local_tag)
}
