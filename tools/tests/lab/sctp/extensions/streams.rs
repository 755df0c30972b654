//! Streams that begin anew and streams that are added (RFC 6525).

use std::io;

use sctp_user::socket::Notification;
use sctp_user::socket::option::{AddStreams, AssocSel, ResetAssoc, ResetStreams, SetOpt};
use sctp_user::{ReconfigOutcome, ResetDirection, StreamId};

use super::super::peer::field;
use super::super::scenario::{Opener, Site};
use super::super::talk::{ALL_SIZES, Batch, Talk};

/// Twice on each stream.
const SMALL: [Batch<'_>; 1] = [(128, &[100, 2000])];

impl Site<'_> {
    /// Either end lets streams begin anew, its own and the other's, then all; adds streams, and uses them; and one of them
    /// lets the TSNs begin anew.
    pub(crate) fn streams(&self, opener: Opener) {
        let mut plan = self.plan();
        plan.config.stream_reset = true;
        (plan.config.accept_stream_reset, plan.config.accept_association_reset, plan.config.accept_added_streams) = (true, true, true);
        plan.config.max_inbound_streams = 128;
        plan.options = ["reconf=1", "reset=7", "instreams=128"].map(str::to_owned).to_vec();
        let mut talk = self.associate_as(opener, plan);
        talk.subscribe();
        assert!(talk.peer.ask("supports", "supports ").contains(" reconf=1"));
        talk.exchange(&SMALL);

        talk.request(&ResetStreams { direction: ResetDirection::Outgoing, streams: ids(&[1, 2]) });
        talk.peer.note("reset incoming done 1,2");
        talk.began_anew(false, &[1, 2]);
        talk.request(&ResetStreams { direction: ResetDirection::Incoming, streams: ids(&[3]) });
        talk.peer.note("reset outgoing done 3");
        talk.began_anew(true, &[3]);
        talk.peer.ask("reset out 4,5", "done");
        talk.peer.note("reset outgoing done 4,5");
        talk.began_anew(true, &[4, 5]);
        talk.peer.ask("reset in 6", "done");
        talk.peer.note("reset incoming done 6");
        talk.began_anew(false, &[6]);
        talk.exchange(&SMALL);
        talk.request(&ResetStreams { direction: ResetDirection::Outgoing, streams: Vec::new() });
        talk.peer.note("reset incoming done ");
        talk.exchange(&SMALL);

        talk.request(&AddStreams { incoming: 0, outgoing: 4 });
        talk.count_streams(64, 68);
        talk.request(&AddStreams { incoming: 4, outgoing: 0 });
        talk.count_streams(68, 68);
        talk.peer.ask("add-streams 0 4", "done");
        talk.count_streams(72, 68);
        talk.peer.ask("add-streams 4 0", "done");
        talk.count_streams(72, 72);
        let ours = talk.hand_over((1, &[5000]), &|mut info| {
            info.sid = 71.into();
            info
        });
        talk.peer.ask(&format!("await-one {}", ours.start), "received ");
        let theirs = talk.let_hand_over((1, &[5000]), "on=71");
        talk.receive_until(theirs.start);
        talk.exchange(&SMALL);

        talk.peer.ask("idle", "done");
        // After a reset of TSNs that it asked for itself, libusrsctp may stop sending.
        if opener == Opener::They && self.linux {
            talk.peer.ask("reset-tsn", "done");
        } else {
            talk.request(&ResetAssoc);
        }
        talk.peer.note("assoc-reset done");
        let outcome = talk.note(|note| match note {
            Notification::AssociationReset { outcome, .. } => Some(*outcome),
            _ => None,
        });
        assert_eq!(outcome, ReconfigOutcome::Performed);
        talk.exchange(&ALL_SIZES);
        talk.close(opener);
    }
}

fn ids(numbers: &[u16]) -> Vec<StreamId> {
    numbers.iter().copied().map(StreamId).collect()
}

impl Talk {
    /// Asks the peer for that, as soon as it may be asked.
    fn request<O: SetOpt>(&self, option: &O)
    where
        AssocSel: Into<O::Scope>,
    {
        super::poll("it may not be asked", || -> io::Result<()> { self.stream.set_option(AssocSel::Current, option) });
    }

    /// Waits until we are told that these streams began anew: those that we receive on, or send on.
    fn began_anew(&mut self, inbound: bool, numbers: &[u16]) {
        let found = self.note(|note| match note {
            Notification::StreamsReset { incoming, outgoing, streams, outcome, .. } if *incoming == inbound && *outgoing != inbound => {
                Some((streams.clone(), *outcome))
            }
            _ => None,
        });
        assert_eq!(found, (ids(numbers), ReconfigOutcome::Performed));
    }

    /// Waits until both ends have so many streams, as we see them.
    fn count_streams(&mut self, inbound: u16, outbound: u16) {
        super::super::ours::until(&self.stream, "our streams", |assoc| {
            let status = assoc.status();
            ((status.inbound_streams, status.outbound_streams) == (inbound, outbound)).then_some(())
        });
        super::poll("their streams", || {
            let line = self.peer.ask("streams", "streams ");
            let both = (field(&line, "out"), field(&line, "in"));
            (both == (inbound.into(), outbound.into())).then_some(()).ok_or(line)
        });
    }
}
