//! Ping Pong Protocol: the two messages, and the element's cookie.
//!
//! Every message starts with type (1 byte), flags (1 byte) and the length of the whole message (2 bytes). All numbers are
//! big-endian. The layouts are RSPLIB's, so that each side can be replaced by RSPLIB's programs.

use bytes::Bytes;
use thiserror::Error;

/// Length of a [`Ping`] without data, in bytes.
pub const PING_LEN: usize = 12;
/// Length of a [`Pong`] without data, in bytes.
pub const PONG_LEN: usize = 20;
/// Length of a [`Cookie`] in bytes.
pub const COOKIE_LEN: usize = 16;
/// Most bytes of data in a message: a Pong with them must still fit its length field.
pub const MAX_DATA_LEN: usize = u16::MAX as usize - PONG_LEN;

const TYPE_PING: u8 = 1;
const TYPE_PONG: u8 = 2;
const COOKIE_ID: &[u8; 8] = b"<PP-TD1>";

/// Why a message or a cookie was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum WireError {
    /// Fewer bytes than the format needs, or more than it can hold.
    #[error("message of {0} bytes")]
    Length(usize),
    /// The length field does not fit the message.
    #[error("length field says {0}")]
    LengthField(u16),
    /// A message type that does not exist, or not in this direction.
    #[error("unexpected message type {0}")]
    Type(u8),
    /// Not a cookie of this service.
    #[error("not a cookie of the ping-pong service")]
    Cookie,
}

/// What a user sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ping {
    /// The user's number of it.
    pub message: u64,
    /// Comes back as it is; at most [`MAX_DATA_LEN`] bytes.
    pub data: Bytes,
}

/// What an element answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pong {
    /// The number of the ping.
    pub message: u64,
    /// The number of the answer, from 1 on over all elements that serve the session one after the other.
    pub reply: u64,
    /// The data of the ping.
    pub data: Bytes,
}

/// What the next element needs to count on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cookie {
    /// The number of the next answer.
    pub next_reply: u64,
}

impl Ping {
    /// The message.
    ///
    /// # Errors
    /// [`WireError::Length`] if there is too much data.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        encode(TYPE_PING, &[self.message], &self.data)
    }

    /// Reads the message that a user sent.
    ///
    /// # Errors
    /// Any deviation from the format.
    pub fn decode(bytes: &Bytes) -> Result<Self, WireError> {
        let ([message], data) = decode(TYPE_PING, bytes)?;
        if data.len() > MAX_DATA_LEN {
            return Err(WireError::Length(bytes.len()));
        }
        Ok(Self { message, data })
    }
}

impl Pong {
    /// The message.
    ///
    /// # Errors
    /// [`WireError::Length`] if there is too much data.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        encode(TYPE_PONG, &[self.message, self.reply], &self.data)
    }

    /// Reads the message that an element sent.
    ///
    /// # Errors
    /// Any deviation from the format.
    pub fn decode(bytes: &Bytes) -> Result<Self, WireError> {
        let ([message, reply], data) = decode(TYPE_PONG, bytes)?;
        Ok(Self { message, reply, data })
    }
}

impl Cookie {
    /// The cookie's bytes.
    #[must_use]
    pub fn encode(self) -> [u8; COOKIE_LEN] {
        let mut out = [0; COOKIE_LEN];
        let (id, number) = out.split_at_mut(COOKIE_ID.len());
        id.copy_from_slice(COOKIE_ID);
        number.copy_from_slice(&self.next_reply.to_be_bytes());
        out
    }

    /// Reads a cookie that came back.
    ///
    /// # Errors
    /// [`WireError::Cookie`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let number = bytes.strip_prefix(COOKIE_ID).and_then(|rest| rest.try_into().ok());
        number.map(|number| Self { next_reply: u64::from_be_bytes(number) }).ok_or(WireError::Cookie)
    }
}

fn encode(kind: u8, numbers: &[u64], data: &[u8]) -> Result<Vec<u8>, WireError> {
    let length = 4 + 8 * numbers.len() + data.len();
    let field = u16::try_from(length).map_err(|_| WireError::Length(length))?;
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(&[kind, 0]);
    out.extend_from_slice(&field.to_be_bytes());
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
    out.extend_from_slice(data);
    Ok(out)
}

/// The numbers and the data of a message.
fn decode<const N: usize>(kind: u8, bytes: &Bytes) -> Result<([u64; N], Bytes), WireError> {
    let short = WireError::Length(bytes.len());
    let (&[got, _flags, hi, lo], mut rest) = bytes.split_first_chunk().ok_or(short)?;
    if got != kind {
        return Err(WireError::Type(got));
    }
    let field = u16::from_be_bytes([hi, lo]);
    if usize::from(field) != bytes.len() {
        return Err(WireError::LengthField(field));
    }
    let mut numbers = [0; N];
    for number in &mut numbers {
        let (bytes, after) = rest.split_first_chunk().ok_or(short)?;
        (*number, rest) = (u64::from_be_bytes(*bytes), after);
    }
    Ok((numbers, bytes.slice_ref(rest)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first exchange of RSPLIB's `pingpongclient` and `rspserver -pingpong`, the data cut to its first five bytes.
    const PING: &[u8] = b"\x01\x00\x00\x11\0\0\0\0\0\0\0\x01Nachr";
    const PONG: &[u8] = b"\x02\x00\x00\x19\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01Nachr";
    const COOKIE: &[u8] = b"<PP-TD1>\0\0\0\0\0\0\0\x02";

    #[test]
    fn the_bytes_are_those_of_rsplib() {
        let ping = Ping { message: 1, data: Bytes::from_static(b"Nachr") };
        assert_eq!(Ping::decode(&Bytes::from_static(PING)), Ok(ping.clone()));
        assert_eq!(ping.encode().unwrap(), PING);
        let pong = Pong { message: 1, reply: 1, data: ping.data };
        assert_eq!(Pong::decode(&Bytes::from_static(PONG)), Ok(pong.clone()));
        assert_eq!(pong.encode().unwrap(), PONG);
        assert_eq!(Cookie::decode(COOKIE), Ok(Cookie { next_reply: 2 }));
        assert_eq!(Cookie { next_reply: 2 }.encode(), COOKIE);
    }

    #[test]
    fn other_bytes_are_refused() {
        let ping = |bytes: &'static [u8]| Ping::decode(&Bytes::from_static(bytes)).unwrap_err();
        assert_eq!(ping(b""), WireError::Length(0));
        assert_eq!(ping(b"\x01\0\0\x04"), WireError::Length(4));
        assert_eq!(ping(b"\x01\0\0\x0d\0\0\0\0\0\0\0\x01"), WireError::LengthField(13));
        assert_eq!(ping(PONG), WireError::Type(2));
        assert_eq!(Pong::decode(&Bytes::from_static(PING)), Err(WireError::Type(1)));
        assert_eq!(Cookie::decode(b"<PP-TD2>\0\0\0\0\0\0\0\x02"), Err(WireError::Cookie));
        assert_eq!(Cookie::decode(b"<PP-TD1>\0\0\0\0\0\0\0\x02\0"), Err(WireError::Cookie));
        // An answer to it would not fit.
        let long = Ping { message: 1, data: vec![0; MAX_DATA_LEN + 1].into() };
        assert_eq!(Ping::decode(&long.encode().unwrap().into()), Err(WireError::Length(PING_LEN + MAX_DATA_LEN + 1)));
        assert_eq!(Pong { message: 1, reply: 1, data: long.data }.encode(), Err(WireError::Length(65_536)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(message: u64, reply: u64, data: Vec<u8>) {
            let ping = Ping { message, data: data.clone().into() };
            prop_assert_eq!(Ping::decode(&ping.encode().unwrap().into()), Ok(ping));
            let pong = Pong { message, reply, data: data.into() };
            prop_assert_eq!(Pong::decode(&pong.encode().unwrap().into()), Ok(pong));
            prop_assert_eq!(Cookie::decode(&Cookie { next_reply: reply }.encode()), Ok(Cookie { next_reply: reply }));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = (Ping::decode(&bytes.clone().into()), Cookie::decode(&bytes), Pong::decode(&bytes.into()));
        }
    }
}
