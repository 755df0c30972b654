//! By which way a peer is reached that is known only by its address (rulings section 1 row 14): a list of channels. The INIT goes over
//! the first, after 250 ms over the next, and so on again with each retransmission; where the INIT ACK comes from is the way.

use core::time::Duration;

use arrayvec::ArrayVec;
use bytes::Bytes;

use super::core::{Context, Control, Core};
use super::state::State;
use crate::error::CloseReason;
use crate::net::Channel;
use crate::time::Time;

/// Most channels of a trial.
const MAX_CHANNELS: usize = 8;
/// How long a channel may be silent before the next one is tried beside it.
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// The channels that are tried, until the association is established.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    list: ArrayVec<Channel, MAX_CHANNELS>,
    /// The one that the last INIT went over.
    at: usize,
    /// Those over which an INIT of this round was refused, a bit each.
    refused: u8,
    /// When the next one is tried.
    due: Option<Time>,
    /// The causes of an ABORT that came in this round. If the other channels stay silent, it counts when the round ends.
    abort: Option<Bytes>,
}

impl Trial {
    /// A trial of these channels, doubles and those beyond the eighth left out; `None` if there is no choice.
    pub(crate) fn of(channels: impl Iterator<Item = Channel>) -> Option<Box<Self>> {
        let mut list = ArrayVec::<_, MAX_CHANNELS>::new();
        for channel in channels {
            if !list.contains(&channel) && !list.is_full() {
                list.push(channel);
            }
        }
        (list.len() > 1).then(|| Box::new(Self { list, at: 0, refused: 0, due: None, abort: None }))
    }

    /// Whether a packet that came, or an error that was reported, may be about an INIT of ours.
    pub(crate) fn has(&self, channel: Channel) -> bool {
        self.list.iter().any(|c| c.same_kind(channel))
    }

    fn is_refused(&self, at: usize) -> bool {
        self.refused >> at & 1 != 0
    }

    /// The next channel of this round that was not refused.
    fn next(&self) -> Option<usize> {
        (self.at + 1..self.list.len()).find(|at| !self.is_refused(*at))
    }

    /// When [`Core::on_trial_timer`] wants to be called.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.due
    }

    fn begin(&mut self, now: Time) -> Option<Channel> {
        (self.at, self.refused, self.due, self.abort) = (0, 0, Some(now + NEXT_AFTER), None);
        self.list.first().copied()
    }

    fn advance(&mut self, now: Time) -> Option<Channel> {
        self.due = None;
        self.at = self.next()?;
        self.due = self.next().map(|_| now + NEXT_AFTER);
        self.list.get(self.at).copied()
    }

    /// What was sent over `channel` was refused. Whether there is hope in another one.
    fn refuse(&mut self, channel: Channel) -> bool {
        for (at, c) in self.list.iter().enumerate() {
            self.refused |= u8::from(c.same_kind(channel)) << at;
        }
        (0..self.list.len()).any(|at| !self.is_refused(at))
    }
}

impl Core {
    /// Begins a round, if the primary path is one whose channel nobody gave: its INIT goes over the first channel.
    pub(super) fn begin_trial(&mut self, ctx: &Context<'_>) {
        let primary = self.paths.primary();
        let Some(trial) = &mut self.trial else { return };
        trial.due = None;
        if let Some(path) = self.paths.get_mut(primary).filter(|p| !p.pinned)
            && let Some(first) = trial.begin(ctx.now)
        {
            path.set_channel(first);
        }
    }

    pub(super) fn on_trial_timer(&mut self, ctx: &Context<'_>) {
        if self.trial.as_ref().and_then(|t| t.deadline()).is_some_and(|at| at <= ctx.now) {
            self.try_next_channel(ctx);
        }
    }

    /// The same INIT over the next channel of the round.
    fn try_next_channel(&mut self, ctx: &Context<'_>) {
        let primary = self.paths.primary();
        let Some(trial) = &mut self.trial else { return };
        let next = trial.advance(ctx.now).filter(|_| self.state == State::CookieWait);
        if let (Some(channel), Some(path)) = (next, self.paths.get_mut(primary)) {
            path.set_channel(channel);
            self.push_control(Control::Init);
        }
    }

    /// The INIT was refused where it went over `channel`: by an ABORT with these causes, or by the network. While another channel may
    /// lead to the peer, that says little: a kernel may answer for what it does not know. Whether that is so.
    pub(crate) fn is_refused_on_one_channel(&mut self, ctx: &Context<'_>, channel: Channel, abort: Option<&[u8]>) -> bool {
        let current = self.paths.get(self.paths.primary()).filter(|p| !p.pinned).map(|p| p.channel);
        let (Some(current), Some(trial)) = (current, &mut self.trial) else { return false };
        if !trial.has(channel) {
            return false;
        }
        if self.state != State::CookieWait {
            // The INIT ACK came by another way.
            return self.state == State::CookieEchoed && !current.same_kind(channel);
        }
        let hope = trial.refuse(channel);
        trial.abort = abort.map(Bytes::copy_from_slice).or(trial.abort.take());
        if hope && current.same_kind(channel) {
            self.try_next_channel(ctx);
        }
        hope
    }

    /// The end of a round, in which nothing came but perhaps an ABORT: whether that one counts.
    pub(super) fn trial_was_refused(&mut self) -> bool {
        let abort = self.trial.as_mut().filter(|_| self.state == State::CookieWait).and_then(|t| t.abort.take());
        let refused = abort.is_some();
        if let Some(causes) = abort {
            self.close(CloseReason::Refused(causes));
        }
        refused
    }

    /// The peer answered over `channel`: so are its other addresses reached, but for those whose channel the user gave.
    pub(super) fn settle_channel(&mut self, channel: Channel) {
        if let Some(trial) = &mut self.trial {
            trial.due = None;
            for (_, path) in self.paths.iter_mut().filter(|(_, p)| !p.pinned) {
                path.set_channel(channel);
            }
        }
    }
}
