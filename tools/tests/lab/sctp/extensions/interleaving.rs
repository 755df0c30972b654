//! Long messages that do not hold up short ones (RFC 8260).

use sctp_user::StreamScheduler;

use super::super::scenario::{Opener, Site};
use super::super::talk::ALL_SIZES;

/// A message of 1 MiB on its stream, then small ones on another.
const LONG: [usize; 1] = [1 << 20];
const SHORT: [usize; 3] = [100, 1, 2000];

impl Site<'_> {
    /// Small messages overtake a message of 1 MiB that was handed over before them, on another stream, each way.
    pub(crate) fn interleaving(&self, opener: Opener) {
        let mut plan = self.interleaved();
        plan.config.scheduler = StreamScheduler::RoundRobin;
        // All that we hand over at once fits.
        plan.config.send_buffer = 2 << 20;
        plan.options.push("scheduler=rr".to_owned());
        // Their long message does not fit: so it is on its way still when the short ones are handed over, as we do not read before.
        plan.config.recv_buffer = 128 * 1024;
        let mut talk = self.associate_as(opener, plan);
        assert!(talk.peer.ask("supports", "supports ").contains(" intl=1"));

        let sizes: Vec<usize> = LONG.into_iter().chain(SHORT.into_iter().cycle().take(9)).collect();
        let long = talk.hand_over_together(&sizes, |at, mut info| {
            info.sid = if at == 0 { 5 } else { 6 }.into();
            info
        });
        talk.arrived();
        let (first, last) = (talk.peer.place(long + 9), talk.peer.place(long));
        assert!(first < last, "short messages came until {first}, the long one as {last}");

        let long = talk.let_hand_over((1, &LONG), "on=5");
        let short = talk.let_hand_over((9, &SHORT), "on=6");
        talk.receive_until(long.start);
        talk.receive_until(short.end - 1);
        let place = |number: u32| talk.order().iter().position(|n| *n == number).unwrap();
        let (first, last) = (place(short.end - 1), place(long.start));
        assert!(first < last, "short messages came until {first}, the long one as {last}");

        // Unordered ones, and all sizes on all streams, in both directions at once.
        talk.hand_over((9, &[70_000, 1, 3000]), &|mut info| {
            info.unordered = true;
            info
        });
        talk.arrived();
        let theirs = talk.let_hand_over((9, &[70_000, 1, 3000]), "unordered");
        theirs.for_each(|number| talk.receive_until(number));
        talk.exchange(&ALL_SIZES);
        talk.exchange(&ALL_SIZES);
        talk.close(opener);
    }
}
