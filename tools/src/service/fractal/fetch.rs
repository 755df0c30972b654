//! A session of the fractal service at the pool user: one image, computed by as many elements as it takes.

use std::io;
use std::time::Duration;

use sctp_user::Time;
use thiserror::Error;

use super::PPID;
use super::image::{Image, ImageError};
use super::wire::{Data, Parameter, WireError};
use crate::service::session::{Heard, PoolSession};

/// How often to look at the clock while nothing comes.
const TICK: Duration = Duration::from_millis(50);

/// Why there is no image.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The session with the pool has ended.
    #[error("session with the pool lost: {0}")]
    Session(#[from] io::Error),
    /// An element sent something else than points.
    #[error("element {element:#010x} sent nonsense: {source}")]
    Wire {
        /// The element.
        element: u32,
        /// What was wrong.
        source: WireError,
    },
    /// The image cannot be held, or an element sent points that do not belong to it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It was told to stop.
    #[error("interrupted")]
    Stopped,
}

/// What happens on the way to the image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// The first points of an element have come.
    Serving {
        /// The element.
        element: u32,
        /// Time since the last message of the element before, if there was one.
        gap: Option<Duration>,
    },
    /// The element that served is lost.
    Lost {
        /// The element.
        element: u32,
        /// How that was noticed.
        reason: String,
    },
    /// Some pixels more.
    Progress {
        /// Pixels that are there.
        done: u64,
    },
}

/// What the user wants.
#[derive(Clone, Debug)]
pub struct Request {
    /// The image.
    pub parameter: Parameter,
    /// Elements whose place in the image's history is settled in advance; others follow.
    pub elements: Vec<u32>,
    /// An element without a new pixel for so long is given up, even if its SCTP answers.
    pub progress_timeout: Duration,
}

/// Asks the pool for an image and waits until it is complete.
///
/// # Errors
/// [`FetchError`].
pub fn fetch(
    session: &mut impl PoolSession,
    request: &Request,
    clock: impl Fn() -> Time,
    stop: impl Fn() -> bool,
    mut news: impl FnMut(News),
) -> Result<Image, FetchError> {
    let mut fetch = Fetch {
        image: Image::with_elements(request.parameter, &request.elements)?,
        serving: None,
        lost: None,
        last_message: None,
        last_progress: clock(),
    };
    session.send(&request.parameter.encode(), PPID)?;
    while !stop() {
        let heard = session.receive(TICK)?;
        let now = clock();
        match heard {
            Heard::Message(bytes) => {
                if fetch.message(now, session.element(), &bytes, &mut news)? {
                    return Ok(fetch.image);
                }
            }
            Heard::Lost { reason } => fetch.element_lost(reason, &mut news),
            Heard::FailedOver { resumed, .. } => {
                fetch.last_progress = now;
                if !resumed {
                    session.send(&request.parameter.encode(), PPID)?;
                }
            }
            Heard::Nothing => {}
        }
        let stuck = now.saturating_since(fetch.last_progress);
        if stuck >= request.progress_timeout {
            fetch.last_progress = now;
            fetch.element_lost(format!("no new pixel for {} ms", stuck.as_millis()), &mut news);
            session.force_failover()?;
        }
    }
    Err(FetchError::Stopped)
}

struct Fetch {
    image: Image,
    /// The element whose points came last.
    serving: Option<u32>,
    /// The element whose loss was told.
    lost: Option<u32>,
    last_message: Option<Time>,
    last_progress: Time,
}

impl Fetch {
    /// Takes a message in and says whether the image is complete.
    fn message(&mut self, now: Time, element: u32, bytes: &[u8], news: &mut impl FnMut(News)) -> Result<bool, FetchError> {
        let data = Data::decode(bytes).map_err(|source| FetchError::Wire { element, source })?;
        let new = self.image.handle(element, &data)?;
        if self.serving != Some(element) {
            let gap = self.last_message.map(|last| now.saturating_since(last));
            news(News::Serving { element, gap });
            (self.serving, self.lost) = (Some(element), None);
        }
        self.last_message = Some(now);
        if new > 0 {
            self.last_progress = now;
            news(News::Progress { done: self.image.done() });
        }
        Ok(data == Data::End)
    }

    /// Tells of a loss, once for each element that served.
    fn element_lost(&mut self, reason: String, news: &mut impl FnMut(News)) {
        if let Some(element) = self.serving
            && self.lost != Some(element)
        {
            self.lost = Some(element);
            news(News::Lost { element, reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::compute::Walk;
    use super::super::wire::{Algorithm, Complex};
    use super::*;
    use crate::service::session::mock::Pool;

    fn parameter() -> Parameter {
        let (c1, c2) = (Complex { re: -1.5, im: -1.5 }, Complex { re: 1.5, im: 1.5 });
        Parameter { width: 20, height: 10, max_iterations: 99, algorithm: Algorithm::Mandelbrot, c1, c2, n: 2.0 }
    }

    /// Rows `rows` of the image as messages.
    fn rows(rows: std::ops::Range<u32>) -> Vec<Heard> {
        let message = |y| Data::Points { x: 0, y, values: Walk::new(parameter(), 0, y, false).take(20).collect() };
        rows.map(|y| Heard::Message(message(y).encode().into())).collect()
    }

    /// Runs with a clock that advances by 100 ms whenever it is read.
    fn run(pool: &mut Pool) -> (Result<Image, FetchError>, Vec<News>) {
        let ticks = Cell::new(0);
        let clock = || {
            ticks.set(ticks.get() + 1);
            Time::from_millis(100 * ticks.get())
        };
        let request = Request { parameter: parameter(), elements: vec![8, 7], progress_timeout: Duration::from_millis(350) };
        let mut news = Vec::new();
        let image = fetch(pool, &request, clock, || false, |n| news.push(n));
        news.retain(|n| !matches!(n, News::Progress { .. }));
        (image, news)
    }

    fn pool(heard: Vec<Vec<Heard>>) -> Pool {
        Pool { element: 7, heard: heard.concat().into(), sent: Vec::new(), forced: 0 }
    }

    fn end() -> Vec<Heard> {
        vec![Heard::Message(Data::End.encode().into())]
    }

    #[test]
    fn an_image_over_the_loss_of_an_element() {
        let lost = vec![Heard::Lost { reason: "gone".into() }, Heard::Lost { reason: "again".into() }];
        let over = vec![Heard::FailedOver { element: 8, resumed: true }];
        let mut pool = pool(vec![rows(0..6), lost, over, rows(4..10), end()]);
        let (image, news) = run(&mut pool);
        let image = image.unwrap();
        assert_eq!(image.values(), Walk::new(parameter(), 0, 0, false).collect::<Vec<_>>());
        assert_eq!(image.shares(), [(8, 80), (7, 120)], "in the order that was settled");
        let gap = Some(Duration::from_millis(400));
        let expected =
            [News::Serving { element: 7, gap: None }, News::Lost { element: 7, reason: "gone".into() }, News::Serving { element: 8, gap }];
        assert_eq!(news, expected);
        assert_eq!(pool.sent, [(parameter().encode(), 32)]);
    }

    #[test]
    fn without_a_cookie_the_request_is_sent_again() {
        let over = vec![Heard::FailedOver { element: 8, resumed: false }];
        let mut pool = pool(vec![over, rows(0..10), end()]);
        assert!(run(&mut pool).0.unwrap().is_complete());
        assert_eq!(pool.sent.len(), 2);
    }

    #[test]
    fn an_element_that_computes_nothing_is_given_up() {
        let over = vec![Heard::FailedOver { element: 8, resumed: true }];
        // The second row comes twice: that is no progress.
        let mut pool = pool(vec![rows(0..2), rows(1..2), vec![Heard::Nothing; 4], over, rows(2..10), end()]);
        let (image, news) = run(&mut pool);
        assert!(image.unwrap().is_complete());
        assert_eq!(pool.forced, 1);
        assert_eq!(news[1], News::Lost { element: 7, reason: "no new pixel for 400 ms".into() });
    }

    #[test]
    fn an_element_that_lies_is_found_out() {
        let (image, _) = run(&mut pool(vec![rows(0..9), end()]));
        assert!(matches!(image, Err(FetchError::Image(ImageError::Missing(20)))));
        let (image, _) = run(&mut pool(vec![vec![Heard::Message(b"hello".as_slice().into())]]));
        assert!(matches!(image, Err(FetchError::Wire { element: 7, .. })));
        let (image, _) = run(&mut pool(vec![rows(0..9)]));
        assert!(matches!(image, Err(FetchError::Session(_))));
    }
}
