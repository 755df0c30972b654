//! The other end: `tools/lab/src/peer.c`, led line by line.

use std::net::IpAddr;
use std::ops::Range;

use super::work::Tally;
use crate::common::Background;
use crate::scene::LIMIT;

/// A running peer.
pub(crate) struct Peer(pub(crate) Background);

impl Peer {
    /// Sends the line; the line that begins with `answer`.
    pub(crate) fn ask(&mut self, line: &str, answer: &str) -> String {
        self.0.say(line);
        self.line(answer)
    }

    /// Waits for a line that begins with `answer`.
    pub(crate) fn line(&mut self, answer: &str) -> String {
        loop {
            let line = self.0.expect("", LIMIT);
            assert!(!line.starts_with("failed"), "{line}");
            if line.starts_with(answer) {
                return line;
            }
        }
    }

    /// Begins to send; `how` are further words of the line. [`Self::sent`] is what it was.
    pub(crate) fn send(&mut self, count: u32, sizes: &[usize], how: &str) {
        let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
        self.0.say(&format!("send {count} {} {how}", sizes.join(",")));
    }

    pub(crate) fn sent(&mut self) -> Tally {
        Tally::parse(&self.line("sent "))
    }

    /// What has come once `count` messages have come in all.
    pub(crate) fn received(&mut self, count: u64) -> Tally {
        Tally::parse(&self.ask(&format!("await {count}"), "received "))
    }

    /// Waits until it is told what begins with `text`, if it has not been already. Each notification counts once.
    pub(crate) fn note(&mut self, text: &str) -> String {
        let wanted = format!("note {text}");
        if !self.0.seen.iter().any(|line| line.starts_with(&wanted)) {
            self.line(&wanted);
        }
        let at = self.0.seen.iter().position(|line| line.starts_with(&wanted)).unwrap();
        self.0.seen.remove(at)
    }

    /// Which of these messages have not come there.
    pub(crate) fn missing(&mut self, numbers: &Range<u32>) -> Vec<u32> {
        let line = self.ask(&format!("missing {} {}", numbers.start, numbers.end), "missing ");
        let list = line.rsplit(' ').next().unwrap();
        list.split(',').filter(|number| !number.is_empty()).map(|number| number.parse().unwrap()).collect()
    }

    /// As which one message `number` came, from 1; 0: it has not.
    pub(crate) fn place(&mut self, number: u32) -> u64 {
        field(&self.ask(&format!("place {number}"), "place "), "at")
    }

    /// What it says of its paths.
    pub(crate) fn paths(&mut self) -> Vec<String> {
        self.0.say("paths");
        let from = self.0.seen.len();
        self.line("paths end");
        self.0.seen[from..].iter().filter(|line| line.starts_with("path ")).cloned().collect()
    }
}

/// The number of `key=number` in the line.
pub(crate) fn field(line: &str, key: &str) -> u64 {
    let word = line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    word.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {key} in {line:?}"))
}

/// The command line: `server` waits for us.
pub(crate) fn arguments(server: bool, ports: (u16, u16), theirs: &[IpAddr], ours: IpAddr, options: &[String]) -> String {
    let mut words: Vec<String> = theirs.iter().map(|ip| format!("-l {ip}")).collect();
    words.push(format!("-p {} -P {}", ports.0, ports.1));
    words.push(if server { "-s".into() } else { format!("-r {ours}") });
    words.extend(options.iter().map(|option| format!("-o {option}")));
    words.join(" ")
}
