//! Which chunks of a packet are let in (RFC 4895 section 6.3).

use core::hint::cold_path;

use super::{Auth, Rejection};
use crate::assoc::core::{Context, Core};
use crate::wire::chunk::kind;
use crate::wire::{Cause, RawChunk};

/// What is known so far of the packet that is being looked at.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Gate {
    /// No AUTH chunk came yet.
    #[default]
    Open,
    /// What follows is authenticated.
    Authenticated,
}

/// What happens to a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// It is processed.
    Admit,
    /// It is passed over in silence.
    Skip,
    /// It and all that follows are discarded.
    Stop,
}

impl Gate {
    /// Decides about the next chunk. `auth` is there if both sides have authentication.
    pub(crate) fn enter(&mut self, auth: Option<&mut Auth>, core: &mut Core, ctx: &Context<'_>, bytes: &[u8], raw: &RawChunk<'_>) -> Entry {
        if raw.kind != kind::AUTH {
            // That the peer lacks authentication opens no way around it: the list was ours to make.
            let refused = *self == Self::Open && core.local_terms.auth.requires(raw.kind);
            // But in a closed network addresses may be changed by a peer that has none (RFC 5061 section 4.1.1).
            let closed = auth.is_none() && core.cfg.add_ip_without_auth && matches!(raw.kind, kind::ASCONF | kind::ASCONF_ACK);
            let refused = refused && !closed;
            if refused {
                cold_path();
                core.counters.rare().in_unauthenticated_chunks += 1;
            }
            return match refused {
                false => Entry::Admit,
                // RFC 5061 section 5.2 rule D5: with all that follows.
                true if raw.kind == kind::ASCONF => Entry::Stop,
                true => Entry::Skip,
            };
        }
        cold_path();
        // A type whose bits say "stop" to who does not know it. A second one in a packet is not allowed (section 5.1).
        let Some(auth) = auth.filter(|_| *self == Self::Open) else { return Entry::Stop };
        core.counters.rare().in_auths += 1;
        match auth.verify(core, bytes, raw) {
            Ok(()) => {
                *self = Self::Authenticated;
                Entry::Skip
            }
            Err(why) => {
                tracing::debug!(assoc = core.id.get(), ?why, "not authenticated");
                core.counters.rare().bad_auths += 1;
                if let Rejection::UnsupportedHmac(number) = why {
                    core.complain(ctx.now, &Cause::UnsupportedHmac(number));
                }
                Entry::Stop
            }
        }
    }
}
