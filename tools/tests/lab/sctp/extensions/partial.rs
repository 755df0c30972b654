//! Messages that are given up (RFC 3758, RFC 7496).

use std::time::Duration;

use sctp_user::Reliability;
use sctp_user::socket::Notification;

use super::super::ours::{stats, until};
use super::super::peer::field;
use super::super::scenario::{Opener, Site};
use super::super::talk::{Batch, Talk};

/// Some that are in one chunk, and some that are not.
const BATCH: Batch<'_> = (10, &[1000, 3000]);
const ONE_CHUNK: Batch<'_> = (10, &[1000]);
const LAST: Batch<'_> = (1, &[100]);

impl Site<'_> {
    /// The only path is cut while messages of limited lifetime, then of limited retransmissions, are on their way: some are given up,
    /// and what is sent once it is mended arrives. With `interleaving` by I-FORWARD-TSN. `cut` does that.
    pub(crate) fn partial_reliability(&self, opener: Opener, interleaving: bool, cut: &dyn Fn(bool)) {
        let mut plan = if interleaving { self.interleaved() } else { self.plan() };
        (plan.ours, plan.theirs) = (self.ours[..1].to_vec(), self.theirs[..1].to_vec());
        plan.config.partial_reliability = true;
        plan.options.push("pr=1".to_owned());
        let mut talk = self.associate_as(opener, plan);
        talk.subscribe();
        let supports = talk.peer.ask("supports", "supports ");
        assert!(supports.contains(" pr=1") && supports.contains(" intl=1") == interleaving, "{supports}");
        talk.exchange(&[(64, &[100])]);
        talk.we_give_up(Reliability::Lifetime(Duration::from_millis(300)), cut);
        talk.we_give_up(Reliability::Retransmissions(1), cut);
        // Linux gives up the rest of a message without a word if what it has sent of it is acknowledged, and goes on with the next one:
        // for us that is a violation of the protocol.
        let theirs = if self.linux { ONE_CHUNK } else { BATCH };
        talk.they_give_up(theirs, "ttl=300", cut);
        talk.they_give_up(theirs, "rtx=1", cut);
        let s = stats(&talk.stream);
        assert!(s.out_forward_tsns > 0 && s.in_forward_tsns > 0, "{s:#?}");
        talk.close(opener);
    }
}

impl Talk {
    fn we_give_up(&mut self, reliability: Reliability, cut: &dyn Fn(bool)) {
        self.peer.ask("idle", "done");
        cut(true);
        let limited = self.hand_over(BATCH, &|info| info.reliability(reliability));
        let mut failed = vec![self.failed()];
        cut(false);
        let last = self.hand_over(LAST, &|info| info);
        self.peer.ask(&format!("await-one {}", last.start), "received ");
        // Others may be on their way still.
        until(&self.stream, "what we send is acknowledged", |assoc| {
            let status = assoc.status();
            (status.buffered == 0 && status.unacked == 0).then_some(())
        });
        let missing = self.peer.missing(&limited);
        // We know of each before the peer does.
        while missing.iter().any(|number| !failed.contains(number)) {
            failed.push(self.failed());
        }
        println!("{reliability:?}: we gave up {failed:?}, they miss {missing:?}");
        assert!(!missing.is_empty());
    }

    /// The number of a message that we are told was not delivered.
    fn failed(&mut self) -> u32 {
        self.note(|note| match note {
            Notification::SendFailed { info, .. } => Some(info.ppid.0),
            _ => None,
        })
    }

    fn they_give_up(&mut self, batch: Batch<'_>, how: &str, cut: &dyn Fn(bool)) {
        let abandoned = |talk: &mut Self| {
            let line = talk.peer.ask(&format!("abandoned {how}"), "abandoned ");
            field(&line, "unsent") + field(&line, "sent")
        };
        let before = abandoned(self);
        // What waits for an acknowledgement that is cut off would go first.
        self.peer.ask("idle", "done");
        cut(true);
        let limited = self.let_hand_over(batch, how);
        super::poll("nothing is given up", || Some(abandoned(self)).filter(|n| *n > before).ok_or(before));
        cut(false);
        // Others of the first ones may be on their way when this arrives, but not when the next one does.
        for _ in 0..2 {
            let last = self.let_hand_over(LAST, "");
            self.receive_until(last.start);
            self.peer.ask("idle", "done");
        }
        let missing = limited.filter(|number| !self.order().contains(number)).count();
        let given_up = abandoned(self) - before;
        println!("{how}: they gave up {given_up}, we miss {missing}");
        assert!(missing > 0 && given_up >= missing as u64);
    }
}
