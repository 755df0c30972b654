//! A session of the fractal service at the pool element: requests and cookies in, points and cookies out.

use std::io;
use std::time::Duration;

use sctp_user::Time;
use thiserror::Error;

use super::PPID;
use super::job::{Job, JobConfig, Output};
use super::wire::{Cookie, Parameter, WireError};
use crate::service::session::{Incoming, Session};

/// Stream of the service's messages: the cookies' order with them matters.
const STREAM: u16 = 0;

/// Why a session ended early.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The session is broken.
    #[error("session lost: {0}")]
    Io(#[from] io::Error),
    /// The user sent something else than a request.
    #[error("bad request: {0}")]
    Wire(#[from] WireError),
}

/// Serves one session until its end, or until `stop` says so; then the user gets what it needs to go on elsewhere.
///
/// While nothing is computed, `stop` is asked every `wait`.
///
/// # Errors
/// [`ServeError`]; after a bad request the session is to be aborted.
pub fn serve(
    session: &mut impl Session,
    config: JobConfig,
    wait: Duration,
    clock: impl Fn() -> Time,
    stop: impl Fn() -> bool,
) -> Result<(), ServeError> {
    let mut job: Option<Job> = None;
    let mut out = Vec::new();
    loop {
        let wait = if job.is_some() { Duration::ZERO } else { wait };
        match session.receive(wait)? {
            // A request while another one is computed takes its place: the user has changed its mind.
            Incoming::Message { bytes, .. } => job = Some(Job::start(Parameter::decode(&bytes)?, config, clock())),
            Incoming::CookieEcho(bytes) => job = Some(Job::resume(&Cookie::decode(&bytes)?, config, clock())),
            Incoming::Nothing => {}
            Incoming::Closed => return Ok(()),
        }
        let stopping = stop();
        if let Some(job) = &mut job {
            if stopping {
                job.hand_over(clock(), &mut out);
            } else {
                job.turn(clock(), &mut out);
            }
        }
        send(session, &mut out)?;
        if stopping {
            return Ok(());
        }
        job = job.filter(|job| !job.is_finished());
    }
}

fn send(session: &mut impl Session, out: &mut Vec<Output>) -> io::Result<()> {
    for output in out.drain(..) {
        match output {
            Output::Message(bytes) => session.send(&bytes, STREAM, PPID)?,
            Output::Cookie(cookie) => session.send_cookie(&cookie)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::compute::Walk;
    use super::super::image::Image;
    use super::super::wire::{Algorithm, Complex, Data};
    use super::*;
    use crate::service::session::mock::{Script, message};

    fn parameter() -> Parameter {
        let (c1, c2) = (Complex { re: -1.5, im: -1.5 }, Complex { re: 1.5, im: 1.5 });
        Parameter { width: 60, height: 50, max_iterations: 200, algorithm: Algorithm::Mandelbrot, c1, c2, n: 2.0 }
    }

    fn run(user: &mut Script, stop_after: usize) -> Result<(), ServeError> {
        let turns = Cell::new(0);
        let stop = || {
            turns.set(turns.get() + 1);
            turns.get() > stop_after
        };
        serve(user, JobConfig::default(), Duration::ZERO, || Time::ZERO, stop)
    }

    fn receive(user: &Script, image: &mut Image) {
        for (bytes, stream, ppid) in &user.sent {
            assert_eq!((*stream, *ppid), (0, 32));
            image.handle(1, &Data::decode(bytes).unwrap()).unwrap();
        }
    }

    #[test]
    fn an_image_begun_here_and_finished_there() {
        let mut image = Image::new(parameter()).unwrap();
        let mut first = Script::default();
        first.incoming.push_back(message(&parameter().encode(), 0, 32));
        first.incoming.extend(vec![Incoming::Nothing; 100]);
        run(&mut first, 5).unwrap();
        receive(&first, &mut image);
        assert!(image.done() > 0 && !image.is_complete());

        let mut second = Script::default();
        second.incoming.push_back(Incoming::CookieEcho(first.cookies.last().unwrap().clone().into()));
        second.incoming.extend(vec![Incoming::Nothing; 1000]);
        run(&mut second, usize::MAX).unwrap();
        let done_before = image.done();
        receive(&second, &mut image);
        let resent: usize = second.sent.iter().map(|(bytes, ..)| (bytes.len() - 16) / 4).sum();
        assert_eq!(resent as u64, image.total() - done_before, "after an orderly stop nothing is computed twice");
        assert_eq!(image.values(), Walk::new(parameter(), 0, 0, false).collect::<Vec<_>>());
    }

    #[test]
    fn two_images_in_one_session() {
        let mut user = Script::default();
        for _ in 0..2 {
            user.incoming.push_back(message(&parameter().encode(), 0, 32));
            user.incoming.extend(vec![Incoming::Nothing; 100]);
        }
        run(&mut user, usize::MAX).unwrap();
        let ends = user.sent.iter().filter(|(bytes, ..)| Data::decode(bytes) == Ok(Data::End)).count();
        assert_eq!(ends, 2);
    }

    #[test]
    fn nonsense_ends_the_session() {
        for incoming in [message(b"hello", 0, 32), Incoming::CookieEcho(b"<FG-TD1>".as_slice().into())] {
            let mut user = Script::default();
            user.incoming.push_back(incoming);
            assert!(matches!(run(&mut user, usize::MAX), Err(ServeError::Wire(_))));
            assert!(user.sent.is_empty());
        }
    }
}
