//! A session of the ping-pong service at the pool user: a Ping in each interval, whatever becomes of the ones before.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use sctp_user::Time;
use thiserror::Error;

use super::PPID;
use super::wire::{Ping, Pong, WireError};
use crate::service::session::{Heard, PoolSession};

/// How often to ask for a request to stop.
const TICK: Duration = Duration::from_millis(100);
/// How long to wait for answers after the last Ping.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most Pings whose answers are waited for at a time; the oldest one counts as lost.
const MAX_WAITING: usize = 1000;

/// Why the session ended early.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PingError {
    /// The session with the pool has ended.
    #[error("session with the pool lost: {0}")]
    Session(#[from] io::Error),
    /// An element sent something else than Pongs.
    #[error("element {element:#010x} sent nonsense: {source}")]
    Wire {
        /// The element.
        element: u32,
        /// What was wrong.
        source: WireError,
    },
}

/// What the user wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Time from one Ping to the next.
    pub interval: Duration,
    /// End after so many Pings; without it only `stop` ends the session.
    pub count: Option<u64>,
}

/// What happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// A Ping was sent.
    Sent {
        /// Its number.
        message: u64,
    },
    /// A Pong has come.
    Answered {
        /// From this element.
        element: u32,
        /// The number of the Ping.
        message: u64,
        /// The number of the answer.
        reply: u64,
        /// Time since the Ping; `None` if there was none of that number.
        after: Option<Duration>,
    },
    /// The number of an answer does not follow the one before.
    Gap {
        /// The number that should have come.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// The element that served is lost.
    Lost {
        /// The element.
        element: u32,
        /// How that was noticed.
        reason: String,
    },
    /// Another element serves.
    FailedOver {
        /// The element.
        element: u32,
        /// Whether it was given the cookie, so that it counts on.
        resumed: bool,
    },
}

/// How it went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Pings sent.
    pub sent: u64,
    /// Pongs that belong to one of them.
    pub answered: u64,
    /// Answers whose number did not follow the one before.
    pub gaps: u64,
    /// Changes of the element.
    pub failovers: u64,
}

/// Sends Pings until `stop` says so or the plan is fulfilled; then waits a while for the answers that are missing.
///
/// # Errors
/// [`PingError`].
pub fn ping(
    session: &mut impl PoolSession,
    plan: Plan,
    clock: impl Fn() -> Time,
    stop: impl Fn() -> bool,
    news: impl FnMut(News),
) -> Result<Summary, PingError> {
    let mut player = Player { session, news, waiting: VecDeque::new(), last_reply: 0, summary: Summary::default() };
    let mut due = clock();
    while !stop() {
        let now = clock();
        let all_sent = plan.count == Some(player.summary.sent);
        // After the last Ping `due` is when to stop waiting.
        if all_sent && (player.waiting.is_empty() || now >= due) {
            break;
        }
        if now >= due {
            player.send(now)?;
            // A user that was held up does not catch up with a burst.
            due = (due + plan.interval).max(now);
            if plan.count == Some(player.summary.sent) {
                due = now + PATIENCE;
            }
        }
        player.listen(due.saturating_since(now).min(TICK), &clock)?;
    }
    Ok(player.summary)
}

struct Player<'a, S, N> {
    session: &'a mut S,
    news: N,
    /// Pings without an answer so far: number, and when it was sent. At most [`MAX_WAITING`].
    waiting: VecDeque<(u64, Time)>,
    last_reply: u64,
    summary: Summary,
}

impl<S: PoolSession, N: FnMut(News)> Player<'_, S, N> {
    fn send(&mut self, now: Time) -> Result<(), PingError> {
        let message = self.summary.sent + 1;
        let ping = Ping { message, data: format!("Ping {message}").into() };
        let bytes = ping.encode().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.session.send(&bytes, PPID)?;
        self.summary.sent = message;
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((message, now));
        (self.news)(News::Sent { message });
        Ok(())
    }

    /// Waits for one thing to happen.
    fn listen(&mut self, wait: Duration, clock: impl Fn() -> Time) -> Result<(), PingError> {
        match self.session.receive(wait)? {
            Heard::Message(bytes) => {
                let element = self.session.element();
                let pong = Pong::decode(&bytes).map_err(|source| PingError::Wire { element, source })?;
                self.answered(element, &pong, clock());
            }
            Heard::Lost { reason } => (self.news)(News::Lost { element: self.session.element(), reason }),
            Heard::FailedOver { element, resumed } => {
                self.summary.failovers += 1;
                (self.news)(News::FailedOver { element, resumed });
            }
            Heard::Nothing => {}
        }
        Ok(())
    }

    fn answered(&mut self, element: u32, pong: &Pong, now: Time) {
        let &Pong { message, reply, .. } = pong;
        let place = self.waiting.iter().position(|(number, _)| *number == message);
        let after = place.and_then(|at| self.waiting.remove(at)).map(|(_, sent)| now.saturating_since(sent));
        self.summary.answered += u64::from(after.is_some());
        (self.news)(News::Answered { element, message, reply, after });
        let expected = self.last_reply.wrapping_add(1);
        if reply != expected {
            self.summary.gaps += 1;
            (self.news)(News::Gap { expected, got: reply });
        }
        self.last_reply = reply;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use bytes::Bytes;

    use super::*;
    use crate::service::session::mock::Pool;

    fn pong(message: u64, reply: u64) -> Heard {
        Heard::Message(Pong { message, reply, data: Bytes::new() }.encode().unwrap().into())
    }

    /// Runs with a clock that advances by 100 ms whenever it is read.
    fn run(heard: impl Into<VecDeque<Heard>>, count: u64) -> (Result<Summary, PingError>, Vec<News>, Pool) {
        let mut pool = Pool { element: 7, heard: heard.into(), sent: Vec::new(), forced: 0 };
        let ticks = Cell::new(0);
        let clock = || {
            ticks.set(ticks.get() + 1);
            Time::from_millis(100 * ticks.get())
        };
        let mut news = Vec::new();
        let plan = Plan { interval: Duration::from_millis(200), count: Some(count) };
        let result = ping(&mut pool, plan, clock, || false, |n| news.push(n));
        (result, news, pool)
    }

    #[test]
    fn numbers_that_follow_each_other_over_a_failover() {
        let over = [Heard::Lost { reason: "gone".into() }, Heard::FailedOver { element: 8, resumed: true }];
        let heard = [&[pong(1, 1), pong(2, 2)][..], &over, &[pong(3, 3)]].concat();
        let (result, news, pool) = run(heard, 3);
        assert_eq!(result.unwrap(), Summary { sent: 3, answered: 3, gaps: 0, failovers: 1 });
        let numbers: Vec<_> = pool.sent.iter().map(|(bytes, ppid)| (Ping::decode(&bytes.clone().into()).unwrap().message, *ppid)).collect();
        assert_eq!(numbers, [(1, 33), (2, 33), (3, 33)]);
        assert!(news.contains(&News::Lost { element: 7, reason: "gone".into() }), "{news:?}");
        assert!(news.contains(&News::FailedOver { element: 8, resumed: true }), "{news:?}");
        let answered = |news: &News| matches!(news, News::Answered { element: 8, message: 3, reply: 3, after: Some(_) });
        assert!(news.iter().any(answered), "{news:?}");
    }

    #[test]
    fn gaps_are_told() {
        let (result, news, _) = run([pong(1, 1), pong(2, 5), pong(3, 5)], 3);
        assert_eq!(result.unwrap(), Summary { sent: 3, answered: 3, gaps: 2, failovers: 0 });
        let gaps: Vec<_> = news.into_iter().filter(|n| matches!(n, News::Gap { .. })).collect();
        assert_eq!(gaps, [News::Gap { expected: 2, got: 5 }, News::Gap { expected: 6, got: 5 }]);
    }

    #[test]
    fn answers_that_do_not_come_are_not_waited_for_without_end() {
        let (result, ..) = run(vec![Heard::Nothing; 500], 2);
        assert_eq!(result.unwrap(), Summary { sent: 2, answered: 0, gaps: 0, failovers: 0 });
    }

    #[test]
    fn nonsense_and_a_lost_session_are_errors() {
        let (result, ..) = run([Heard::Message(Bytes::from_static(b"hello"))], 1);
        assert!(matches!(result, Err(PingError::Wire { element: 7, .. })));
        let (result, ..) = run([], 1);
        assert!(matches!(result, Err(PingError::Session(_))));
    }
}
