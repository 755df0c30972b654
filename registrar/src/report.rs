//! Lines on standard output: for humans, and for programs to read: `event=NAME key=value ...`, asked for by `--report`.
//!
//! `rsp demo` follows its children by them. Values hold no spaces; a space in a text is written as `_`.

use std::fmt::{self, Display};
use std::io::{self, Write};

/// Writes a line for humans to standard output. Unlike with `println!`, a reader that is gone (`| head`) is no reason to panic.
pub fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// A line in the making.
#[derive(Debug)]
pub struct Report(String);

impl Report {
    /// Begins the line of `event`.
    #[must_use]
    pub fn new(event: &str) -> Self {
        Self(format!("event={event}"))
    }

    /// Adds `key=value`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Display) -> Self {
        let value: String = value.to_string().chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect();
        self.0.push_str(&format!(" {key}={value}"));
        self
    }

    /// Writes the line to standard output. A reader that is gone is no reason to stop.
    pub fn print(&self) {
        say(self);
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A line that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pairs: Vec<(String, String)>,
}

impl Line {
    /// Reads a line; `None` if it is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let pair = |word: &str| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let pairs = text.split_ascii_whitespace().map(pair).collect::<Option<Vec<_>>>()?;
        pairs.first().is_some_and(|(key, _)| key == "event").then_some(Self { pairs })
    }

    /// The event's name.
    #[must_use]
    pub fn event(&self) -> &str {
        self.get("event").unwrap_or_default()
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// The value of `key` as a text with its spaces.
    #[must_use]
    pub fn text(&self, key: &str) -> String {
        self.get(key).unwrap_or_default().replace('_', " ")
    }

    /// The value of `key` as a number: decimal, or hexadecimal behind `0x`.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        let value = self.get(key)?;
        match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => value.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let report = Report::new("failover").with("element", format_args!("{:#010x}", 0xbeef)).with("reason", "no answer").with("ms", 12);
        assert_eq!(report.to_string(), "event=failover element=0x0000beef reason=no_answer ms=12");
        let line = Line::parse(&report.to_string()).unwrap();
        assert_eq!(line.event(), "failover");
        assert_eq!(line.number("element"), Some(0xbeef));
        assert_eq!(line.number("ms"), Some(12));
        assert_eq!(line.text("reason"), "no answer");
        assert_eq!(line.get("other"), None);
    }

    #[test]
    fn other_lines_are_left_alone() {
        for text in ["", "hello", "a=b", "event=x and more", "ms=1 event=x"] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }
}
