//! What a service needs of a session with a pool user; the services are tested without any network below it.

use std::io;
use std::time::Duration;

use bytes::Bytes;

/// What came from the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// A message.
    Message {
        /// Its bytes.
        bytes: Bytes,
        /// Its stream.
        stream: u16,
        /// Its payload protocol identifier.
        ppid: u32,
    },
    /// A cookie that this or another element of the pool gave to the user.
    CookieEcho(Bytes),
    /// Nothing within the time.
    Nothing,
    /// The user has ended the session, or is lost.
    Closed,
}

/// A session, seen from the pool element.
pub trait Session {
    /// Waits for something from the user.
    ///
    /// # Errors
    /// The session is broken.
    fn receive(&mut self, wait: Duration) -> io::Result<Incoming>;

    /// Sends a message, in order, on `stream`.
    ///
    /// # Errors
    /// The session is broken.
    fn send(&mut self, bytes: &[u8], stream: u16, ppid: u32) -> io::Result<()>;

    /// Gives the user a cookie, in order with the messages of stream 0.
    ///
    /// # Errors
    /// The session is broken.
    fn send_cookie(&mut self, cookie: &[u8]) -> io::Result<()>;
}

/// What a user hears of its session with a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A message of the element that serves.
    Message(Bytes),
    /// The element that served is lost.
    Lost {
        /// How that was noticed.
        reason: String,
    },
    /// Another element serves now.
    FailedOver {
        /// Its identifier.
        element: u32,
        /// Whether it was given the cookie of the one before.
        resumed: bool,
    },
    /// Nothing within the time.
    Nothing,
}

/// A session, seen from the pool user.
pub trait PoolSession {
    /// The element that serves, or served last.
    fn element(&self) -> u32;

    /// Waits for something to happen.
    ///
    /// # Errors
    /// The session has ended for good: no element is left, or no registrar.
    fn receive(&mut self, wait: Duration) -> io::Result<Heard>;

    /// Sends a message, in order, on stream 0.
    ///
    /// # Errors
    /// The session has ended for good.
    fn send(&mut self, bytes: &[u8], ppid: u32) -> io::Result<()>;

    /// Gives the element up and goes on with another one.
    ///
    /// # Errors
    /// The session has ended for good.
    fn force_failover(&mut self) -> io::Result<()>;
}

#[cfg(test)]
pub(crate) mod mock {
    use std::collections::VecDeque;

    use super::*;

    /// A pool whose side of the session is written down before.
    pub(crate) struct Pool {
        pub(crate) element: u32,
        pub(crate) heard: VecDeque<Heard>,
        pub(crate) sent: Vec<(Vec<u8>, u32)>,
        pub(crate) forced: usize,
    }

    impl PoolSession for Pool {
        fn element(&self) -> u32 {
            self.element
        }

        fn receive(&mut self, _wait: Duration) -> io::Result<Heard> {
            let heard = self.heard.pop_front().ok_or(io::ErrorKind::ConnectionAborted)?;
            if let Heard::FailedOver { element, .. } = heard {
                self.element = element;
            }
            Ok(heard)
        }

        fn send(&mut self, bytes: &[u8], ppid: u32) -> io::Result<()> {
            self.sent.push((bytes.to_vec(), ppid));
            Ok(())
        }

        fn force_failover(&mut self) -> io::Result<()> {
            self.forced += 1;
            Ok(())
        }
    }

    /// A user whose side of the session is written down before.
    #[derive(Default)]
    pub(crate) struct Script {
        pub(crate) incoming: VecDeque<Incoming>,
        pub(crate) sent: Vec<(Vec<u8>, u16, u32)>,
        pub(crate) cookies: Vec<Vec<u8>>,
    }

    impl Session for Script {
        fn receive(&mut self, _wait: Duration) -> io::Result<Incoming> {
            Ok(self.incoming.pop_front().unwrap_or(Incoming::Closed))
        }

        fn send(&mut self, bytes: &[u8], stream: u16, ppid: u32) -> io::Result<()> {
            self.sent.push((bytes.to_vec(), stream, ppid));
            Ok(())
        }

        fn send_cookie(&mut self, cookie: &[u8]) -> io::Result<()> {
            self.cookies.push(cookie.to_vec());
            Ok(())
        }
    }

    pub(crate) fn message(bytes: &[u8], stream: u16, ppid: u32) -> Incoming {
        Incoming::Message { bytes: Bytes::copy_from_slice(bytes), stream, ppid }
    }
}
