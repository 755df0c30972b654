//! What client and server tell each other: JSON objects with a payload protocol identifier of their own, among the messages that
//! are measured.

use sctp_user::Ppid;
use serde_json::{Value, json};

/// Identifies what is measured.
pub(super) const DATA: Ppid = Ppid(0x7065_7266);
/// Identifies what is told.
pub(super) const CONTROL: Ppid = Ppid(0x7065_7263);
/// Longest message that is measured, in bytes.
pub(super) const MAX_SIZE: u32 = 1 << 20;
/// Longest measurement.
pub(super) const MAX_SECONDS: u32 = 86_400;
/// Longest message that tells something.
pub(super) const MAX_CONTROL: usize = 1024;
const VERSION: u64 = 1;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// Throughput from the client to the server.
    ToServer,
    /// Throughput from the server to the client.
    FromServer,
    /// Round trips.
    Echo,
}

impl Mode {
    const ALL: [Self; 3] = [Self::ToServer, Self::FromServer, Self::Echo];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ToServer => "to-server",
            Self::FromServer => "from-server",
            Self::Echo => "latency",
        }
    }
}

/// A measurement that a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Test {
    pub(super) mode: Mode,
    /// Length of the messages in bytes, 1 to [`MAX_SIZE`].
    pub(super) size: u32,
    /// How long the sender sends, 1 to [`MAX_SECONDS`].
    pub(super) seconds: u32,
    /// Streams to send on in turn, at least 1.
    pub(super) streams: u16,
    pub(super) unordered: bool,
}

/// What a receiver has counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Counted {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// From the beginning to the last message, in microseconds.
    pub(super) microseconds: u64,
}

/// What one tells the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Control {
    /// Client: do this.
    Test(Test),
    /// Sender: so many messages were sent. On its way it may overtake some of them.
    End { messages: u64 },
    /// Receiver: all of them have come.
    Counted(Counted),
}

impl Control {
    /// The message.
    pub(super) fn encode(&self) -> Vec<u8> {
        let value = match self {
            Self::Test(t) => json!({ "perf": VERSION, "mode": t.mode.name(), "size": t.size, "seconds": t.seconds,
                "streams": t.streams, "unordered": t.unordered }),
            Self::End { messages } => json!({ "end": messages }),
            Self::Counted(c) => json!({ "counted": c.messages, "bytes": c.bytes, "microseconds": c.microseconds }),
        };
        value.to_string().into_bytes()
    }

    /// Reads a message of the peer; `None` if it is none of ours or asks for what nobody should do.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes.get(..MAX_CONTROL.min(bytes.len()))?).ok()?;
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        if let Some(messages) = number("end") {
            return Some(Self::End { messages });
        }
        if let Some(messages) = number("counted") {
            return Some(Self::Counted(Counted { messages, bytes: number("bytes")?, microseconds: number("microseconds")? }));
        }
        let name = value.get("mode").and_then(Value::as_str)?;
        let within = |key, max: u64| number(key).filter(|n| (1..=max).contains(n));
        let test = Test {
            mode: Mode::ALL.into_iter().find(|mode| mode.name() == name)?,
            size: u32::try_from(within("size", MAX_SIZE.into())?).ok()?,
            seconds: u32::try_from(within("seconds", MAX_SECONDS.into())?).ok()?,
            streams: u16::try_from(within("streams", u16::MAX.into())?).ok()?,
            unordered: value.get("unordered").and_then(Value::as_bool)?,
        };
        (number("perf") == Some(VERSION)).then_some(Self::Test(test))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let test = |mode| Control::Test(Test { mode, size: MAX_SIZE, seconds: 1, streams: 65_535, unordered: mode == Mode::Echo });
        let counted = Control::Counted(Counted { messages: 1, bytes: u64::MAX, microseconds: 3 });
        for control in Mode::ALL.map(test).into_iter().chain([Control::End { messages: 0 }, counted]) {
            let bytes = control.encode();
            assert!(bytes.len() <= MAX_CONTROL);
            assert_eq!(Control::decode(&bytes), Some(control));
            assert_eq!(Control::decode(&bytes[1..]), None);
        }
    }

    #[test]
    fn nonsense_is_not_done() {
        let good = r#"{"perf":1,"mode":"latency","size":10,"seconds":2,"streams":1,"unordered":false}"#;
        assert!(Control::decode(good.as_bytes()).is_some());
        for (from, to) in
            [("perf\":1", "perf\":2"), ("latency", "all"), ("10", "0"), ("10", "1048577"), ("2,", "-2,"), ("1,\"un", "65536,\"un")]
        {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert_eq!(Control::decode(bad.as_bytes()), None, "{bad}");
        }
        let long = format!("{good}{}", " ".repeat(MAX_CONTROL));
        assert!(Control::decode(long.as_bytes()).is_some(), "what follows is not looked at");
        for bad in ["", "{}", "[]", "7", "{\"counted\":1}", "\u{fffd}"] {
            assert_eq!(Control::decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
