//! The echo service: each message goes back as it came.

use std::io;
use std::time::Duration;

use super::session::{Incoming, Session};

/// Pool handle that RSPLIB's programs use for this service.
pub const POOL_HANDLE: &str = "EchoPool";

/// Payload protocol identifier of what users send: none in particular.
pub const PPID: u32 = 0;

/// Serves one session until its end, or until `stop` says so (it is asked every `wait`).
///
/// # Errors
/// The session is broken.
pub fn serve(session: &mut impl Session, wait: Duration, stop: impl Fn() -> bool) -> io::Result<()> {
    while !stop() {
        match session.receive(wait)? {
            Incoming::Message { bytes, stream, ppid } => session.send(&bytes, stream, ppid)?,
            // There is no state to be restored.
            Incoming::CookieEcho(_) | Incoming::Nothing => {}
            Incoming::Closed => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::session::mock::{Script, message};
    use super::*;

    #[test]
    fn messages_go_back_as_they_came() {
        let mut user = Script::default();
        user.incoming.extend([message(b"one", 0, 0), Incoming::Nothing, message(b"", 3, 77), message(b"two", 1, 0)]);
        serve(&mut user, Duration::ZERO, || false).unwrap();
        assert_eq!(user.sent, [(b"one".to_vec(), 0, 0), (b"".to_vec(), 3, 77), (b"two".to_vec(), 1, 0)]);
        let mut user = Script::default();
        user.incoming.push_back(message(b"one", 0, 0));
        serve(&mut user, Duration::ZERO, || true).unwrap();
        assert!(user.sent.is_empty());
    }
}
