//! One image at a pool element: what to compute and what to send next.
//!
//! No clock and no socket here: the caller says what time it is and sends what comes out. A turn is short, so that
//! between two of them the caller can look at what the user or the operator wants.

use std::time::Duration;

use sctp_user::Time;

use super::compute::Walk;
use super::wire::{Cookie, Data, MAX_POINTS, Parameter};

/// Iterations that one turn may spend (some tenths of a millisecond) before it ends, at the price of a pixel more.
const TURN_ITERATIONS: u32 = 50_000;

/// When an element sends what it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobConfig {
    /// Points wait at most this long for more of them.
    pub data_max_time: Duration,
    /// A cookie follows at the latest this long after the one before.
    pub cookie_max_time: Duration,
    /// A cookie follows at the latest after so many data messages.
    pub cookie_max_packets: u32,
    /// Send (x · y) mod 256 instead of computing.
    pub test_mode: bool,
}

impl Default for JobConfig {
    fn default() -> Self {
        Self { data_max_time: Duration::from_secs(1), cookie_max_time: Duration::from_secs(1), cookie_max_packets: 10, test_mode: false }
    }
}

/// What the caller has to send, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// A cookie for the session layer.
    Cookie(Vec<u8>),
    /// A message of the Fractal Generator Protocol.
    Message(Vec<u8>),
}

/// An image under way.
#[derive(Debug)]
pub struct Job {
    config: JobConfig,
    walk: Walk,
    /// Where the points that wait begin.
    start: (u32, u32),
    /// Points computed and not yet sent: at most [`MAX_POINTS`].
    waiting: Vec<u32>,
    last_data: Time,
    last_cookie: Option<Time>,
    packets_since_cookie: u32,
    finished: bool,
}

impl Job {
    /// An image from its beginning.
    #[must_use]
    pub fn start(parameter: Parameter, config: JobConfig, now: Time) -> Self {
        Self::at(Walk::new(parameter, 0, 0, config.test_mode), config, now)
    }

    /// An image that another element began.
    #[must_use]
    pub fn resume(cookie: &Cookie, config: JobConfig, now: Time) -> Self {
        Self::at(Walk::new(cookie.parameter, cookie.x, cookie.y, config.test_mode), config, now)
    }

    fn at(walk: Walk, config: JobConfig, now: Time) -> Self {
        Self {
            config,
            start: walk.position(),
            walk,
            waiting: Vec::with_capacity(MAX_POINTS),
            last_data: now,
            last_cookie: None,
            packets_since_cookie: 0,
            finished: false,
        }
    }

    /// Whether the end of the image was given out.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Computes a little and appends what is to be sent now.
    pub fn turn(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.finished {
            return;
        }
        self.compute();
        let overdue = now.saturating_since(self.last_data) >= self.config.data_max_time;
        if self.waiting.len() >= MAX_POINTS || self.walk.is_done() || overdue {
            self.flush(now, out);
        }
        if self.walk.is_done() {
            out.push(Output::Message(Data::End.encode()));
            self.finished = true;
        } else if self.cookie_due(now) {
            self.hand_over(now, out);
        }
    }

    /// Appends all points computed so far and a cookie: what a user needs to go on elsewhere.
    pub fn hand_over(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.finished {
            return;
        }
        self.flush(now, out);
        let (x, y) = self.walk.position();
        out.push(Output::Cookie(Cookie { parameter: *self.walk.parameter(), x, y }.encode()));
        self.last_cookie = Some(now);
        self.packets_since_cookie = 0;
    }

    fn compute(&mut self) {
        // The first turn gives out its cookie before the user waits for pixels.
        let mut budget = if self.last_cookie.is_some() { TURN_ITERATIONS } else { 0 };
        while budget > 0 && self.waiting.len() < MAX_POINTS {
            let Some(value) = self.walk.next() else { break };
            budget = budget.saturating_sub(value.saturating_add(1));
            self.waiting.push(value);
        }
    }

    fn flush(&mut self, now: Time, out: &mut Vec<Output>) {
        self.last_data = now;
        if self.waiting.is_empty() {
            return;
        }
        let (x, y) = self.start;
        let values = std::mem::replace(&mut self.waiting, Vec::with_capacity(MAX_POINTS));
        out.push(Output::Message(Data::Points { x, y, values }.encode()));
        self.start = self.walk.position();
        self.packets_since_cookie += 1;
    }

    fn cookie_due(&self, now: Time) -> bool {
        let Some(last) = self.last_cookie else { return true };
        self.packets_since_cookie >= self.config.cookie_max_packets || now.saturating_since(last) >= self.config.cookie_max_time
    }
}

#[cfg(test)]
mod tests {
    use super::super::image::Image;
    use super::super::wire::{Algorithm, Complex};
    use super::*;

    fn parameter() -> Parameter {
        Parameter {
            width: 100,
            height: 80,
            max_iterations: 300,
            algorithm: Algorithm::Mandelbrot,
            c1: Complex { re: -1.5, im: -1.5 },
            c2: Complex { re: 1.5, im: 1.5 },
            n: 2.0,
        }
    }

    /// Runs `job` for `turns`, a millisecond each; what the user then has, and its last cookie.
    fn run(job: &mut Job, turns: usize, image: &mut Image, element: u32) -> Option<Cookie> {
        let (mut out, mut cookie) = (Vec::new(), None);
        for turn in 0..turns {
            job.turn(Time::from_millis(turn as u64), &mut out);
            for output in out.drain(..) {
                match output {
                    Output::Cookie(bytes) => cookie = Some(Cookie::decode(&bytes).unwrap()),
                    Output::Message(bytes) => {
                        image.handle(element, &Data::decode(&bytes).unwrap()).unwrap();
                    }
                }
            }
        }
        cookie
    }

    #[test]
    fn first_a_cookie_then_points() {
        let mut out = Vec::new();
        Job::start(parameter(), JobConfig::default(), Time::ZERO).turn(Time::ZERO, &mut out);
        let first = Cookie { parameter: parameter(), x: 0, y: 0 };
        assert_eq!(out, [Output::Cookie(first.encode())]);
    }

    #[test]
    fn every_pixel_arrives_wherever_the_element_dies() {
        let expected: Vec<u32> = Walk::new(parameter(), 0, 0, false).collect();
        let mut most_redone = 0;
        for death in 1..40 {
            let mut image = Image::new(parameter()).unwrap();
            let mut first = Job::start(parameter(), JobConfig { cookie_max_packets: 3, ..JobConfig::default() }, Time::ZERO);
            let cookie = run(&mut first, death, &mut image, 1).unwrap();
            let (had, resumed_at) = (image.done(), u64::from(cookie.y) * 100 + u64::from(cookie.x));
            assert!(resumed_at <= had, "a cookie never runs ahead of the points");
            most_redone = most_redone.max(had - resumed_at);
            let mut second = Job::resume(&cookie, JobConfig::default(), Time::ZERO);
            run(&mut second, 10_000, &mut image, 2);
            assert!(second.is_finished() && image.is_complete());
            assert_eq!(image.values(), expected);
        }
        assert!((1..3 * MAX_POINTS as u64).contains(&most_redone), "{most_redone}");
    }

    #[test]
    fn points_do_not_wait_longer_than_allowed() {
        // Each pixel costs more than a turn may spend, so that no message ever fills up.
        let slow = Parameter { max_iterations: 100_000, c1: Complex { re: 0.1, im: 0.0 }, c2: Complex { re: 0.2, im: 0.0 }, ..parameter() };
        let config = JobConfig { data_max_time: Duration::from_millis(5), ..JobConfig::default() };
        let mut job = Job::start(slow, config, Time::ZERO);
        let mut out = Vec::new();
        for ms in 0..=10 {
            job.turn(Time::from_millis(ms), &mut out);
        }
        let points: Vec<usize> = out
            .iter()
            .filter_map(|o| match o {
                Output::Message(m) => Some(m.len()),
                Output::Cookie(_) => None,
            })
            .collect();
        assert_eq!(points, [16 + 5 * 4, 16 + 5 * 4]);
    }

    #[test]
    fn nothing_follows_the_end() {
        let mut job = Job::resume(&Cookie { parameter: parameter(), x: 0, y: 80 }, JobConfig::default(), Time::ZERO);
        let mut out = Vec::new();
        job.turn(Time::ZERO, &mut out);
        job.turn(Time::ZERO, &mut out);
        job.hand_over(Time::ZERO, &mut out);
        assert_eq!(out, [Output::Message(Data::End.encode())]);
    }
}
