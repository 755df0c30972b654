//! A session of the ping-pong service at the pool element: Pings and cookies in, Pongs and cookies out.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use super::PPID;
use super::wire::{Cookie, Ping, Pong, WireError};
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
    /// The user sent something else than a Ping.
    #[error("bad request: {0}")]
    Wire(#[from] WireError),
    /// As many answers were given as the element gives before it fails.
    #[error("failing on purpose after {0} replies")]
    OnPurpose(u64),
}

/// Serves one session until its end, or until `stop` says so (it is asked every `wait`).
///
/// After `failure_after` answers, if given, it fails on purpose, to try failovers out.
///
/// # Errors
/// [`ServeError`]; after all but [`ServeError::Io`] the session is to be aborted.
pub fn serve(session: &mut impl Session, failure_after: Option<u64>, wait: Duration, stop: impl Fn() -> bool) -> Result<(), ServeError> {
    let mut next_reply = 1;
    let mut replies = 0;
    while !stop() {
        match session.receive(wait)? {
            Incoming::Message { bytes, .. } => {
                session.send(&answer(&bytes, next_reply)?, STREAM, PPID)?;
                // The number is the user's word for it: it may be any.
                next_reply = next_reply.wrapping_add(1);
                session.send_cookie(&Cookie { next_reply }.encode())?;
                replies += 1;
            }
            Incoming::CookieEcho(bytes) => next_reply = Cookie::decode(&bytes)?.next_reply,
            Incoming::Nothing => {}
            Incoming::Closed => break,
        }
        if failure_after == Some(replies) {
            return Err(ServeError::OnPurpose(replies));
        }
    }
    Ok(())
}

fn answer(bytes: &Bytes, reply: u64) -> Result<Vec<u8>, WireError> {
    let Ping { message, data } = Ping::decode(bytes)?;
    Pong { message, reply, data }.encode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::session::mock::{Script, message};

    fn ping(number: u64) -> Incoming {
        let ping = Ping { message: number, data: Bytes::from_static(b"data") };
        message(&ping.encode().unwrap(), 0, PPID)
    }

    /// The numbers of the Pongs that were sent.
    fn replies(user: &Script) -> Vec<(u64, u64)> {
        let pong = |(bytes, stream, ppid): &(Vec<u8>, u16, u32)| {
            assert_eq!((*stream, *ppid), (0, 33));
            let pong = Pong::decode(&bytes.clone().into()).unwrap();
            assert_eq!(&pong.data[..], b"data");
            (pong.message, pong.reply)
        };
        user.sent.iter().map(pong).collect()
    }

    #[test]
    fn the_next_element_counts_on() {
        let mut first = Script::default();
        first.incoming.extend([ping(10), Incoming::Nothing, ping(11)]);
        serve(&mut first, None, Duration::ZERO, || false).unwrap();
        assert_eq!(replies(&first), [(10, 1), (11, 2)]);
        assert_eq!(first.cookies.len(), 2, "a cookie after each Pong");

        let mut second = Script::default();
        second.incoming.extend([Incoming::CookieEcho(first.cookies[1].clone().into()), ping(12)]);
        serve(&mut second, None, Duration::ZERO, || false).unwrap();
        assert_eq!(replies(&second), [(12, 3)]);
        assert_eq!(Cookie::decode(&second.cookies[0]), Ok(Cookie { next_reply: 4 }));
    }

    #[test]
    fn it_fails_when_it_is_told_to() {
        let mut user = Script::default();
        user.incoming.extend([ping(1), ping(2), ping(3)]);
        assert!(matches!(serve(&mut user, Some(2), Duration::ZERO, || false), Err(ServeError::OnPurpose(2))));
        assert_eq!(replies(&user), [(1, 1), (2, 2)]);
    }

    #[test]
    fn the_highest_number_is_followed_by_zero() {
        let mut user = Script::default();
        user.incoming.extend([Incoming::CookieEcho(Cookie { next_reply: u64::MAX }.encode().to_vec().into()), ping(1), ping(2)]);
        serve(&mut user, None, Duration::ZERO, || false).unwrap();
        assert_eq!(replies(&user), [(1, u64::MAX), (2, 0)]);
    }

    #[test]
    fn nonsense_ends_the_session() {
        for incoming in [message(b"hello", 0, 33), Incoming::CookieEcho(b"<FG-TD1>".as_slice().into())] {
            let mut user = Script::default();
            user.incoming.push_back(incoming);
            assert!(matches!(serve(&mut user, None, Duration::ZERO, || false), Err(ServeError::Wire(_))));
            assert!(user.sent.is_empty());
        }
    }
}
