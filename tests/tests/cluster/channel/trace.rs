//! What happened: a hash always, lines if somebody wants to read them.

use core::hash::Hasher as _;
use std::hash::DefaultHasher;

use sctp_user::Time;

#[derive(Default)]
pub(crate) struct Trace {
    hash: DefaultHasher,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn record(&mut self) {
        self.lines = Some(Vec::new());
    }

    /// Notes an event: `what` names its kind, `bytes` are what was sent or said.
    pub(crate) fn note(&mut self, now: Time, host: usize, what: &str, bytes: &[u8], line: impl FnOnce() -> String) {
        self.hash.write_u64(now.as_nanos());
        self.hash.write_usize(host);
        self.hash.write(what.as_bytes());
        self.hash.write(bytes);
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{now} h{host:<3} {what:<9} {}", line()));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    pub(crate) fn take(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
