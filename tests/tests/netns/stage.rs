//! Starting peers on hosts, and asking them.

use std::io;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use testbed::netns::{Host, PATIENCE, Program};

/// The environment variable that makes this program a peer: see [`super::peer`].
pub(super) const SETTINGS: &str = "SCTP_NETNS_PEER";

/// A peer that runs on a host.
pub(super) struct Peer(Program);

/// What a peer says of an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) returned: u64,
    pub(super) wrong: u64,
    pub(super) gap: Duration,
    pub(super) sent: u64,
}

impl Peer {
    pub(super) fn start(host: &Host, settings: &str) -> io::Result<Self> {
        let mut command = host.command(std::env::current_exe()?);
        command.args(["peer", "--exact", "--nocapture", "--test-threads=1"]).env(SETTINGS, settings);
        let mut program = Program::start(format!("peer {settings}"), command)?;
        program.await_line("ready")?;
        Ok(Self(program))
    }

    /// Asks, and refuses an error as an answer.
    pub(super) fn ask(&mut self, line: &str) -> io::Result<String> {
        let answer = self.0.ask(line)?;
        let rest = answer.split_once(' ').map_or("", |(_, rest)| rest);
        match rest.strip_prefix("error") {
            Some(err) => Err(io::Error::other(format!("{line}:{err}"))),
            None => Ok(rest.to_owned()),
        }
    }

    /// Opens an association and starts to send on it: its number.
    pub(super) fn talk_to(&mut self, addrs: &str, size: usize, window: usize) -> io::Result<usize> {
        let k = self.ask(&format!("connect {addrs}"))?.parse().map_err(io::Error::other)?;
        self.ask(&format!("talk {k} {size} {window}"))?;
        Ok(k)
    }

    /// The role of a shared port, and the counts of all associations; gaps begin anew.
    pub(super) fn status(&mut self) -> io::Result<(String, Vec<Count>)> {
        let line = self.ask("status")?;
        let mut words = line.split_whitespace();
        let role = words.next().unwrap_or_default().to_owned();
        let counts = words.map(|word| {
            let n: Vec<u64> = word.split(':').filter_map(|n| n.parse().ok()).collect();
            Count { returned: n[1], wrong: n[2], gap: Duration::from_millis(n[3]), sent: n[4] }
        });
        Ok((role, counts.collect()))
    }

    /// Waits until `more` further messages have come back on association `k`: the longest gap meanwhile.
    pub(super) fn progress(&mut self, k: usize, more: u64) -> io::Result<Duration> {
        let start = self.status()?.1[k].returned;
        let (until, mut gap) = (Instant::now() + PATIENCE, Duration::ZERO);
        loop {
            let count = self.status()?.1[k];
            gap = gap.max(count.gap);
            if count.returned >= start + more {
                assert_eq!(count.wrong, 0, "messages came back changed or out of order");
                return Ok(gap);
            }
            if Instant::now() > until {
                let paths = self.ask(&format!("paths {k}"));
                return Err(io::Error::other(format!("no progress: {count:?} since {start}; {paths:?}; news: {:?}", self.0.news())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends no more on association `k`, and waits until everything has come back.
    pub(super) fn rest(&mut self, k: usize) -> io::Result<()> {
        self.ask(&format!("rest {k}"))?;
        let until = Instant::now() + PATIENCE;
        loop {
            let count = self.status()?.1[k];
            assert_eq!(count.wrong, 0, "messages came back changed or out of order");
            if count.returned == count.sent {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(io::Error::other(format!("{count:?}; news: {:?}", self.0.news())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the paths of an association are so.
    pub(super) fn await_paths(&mut self, k: usize, wanted: impl Fn(&[&str]) -> bool) -> io::Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let paths = self.ask(&format!("paths {k}"))?;
            if wanted(&paths.split_whitespace().collect::<Vec<_>>()) {
                return Ok(paths);
            }
            if Instant::now() > until {
                return Err(io::Error::other(format!("paths: {paths}; news: {:?}", self.0.news())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends no more, waits for what is out, closes, and checks that nothing was lost or changed: how many messages came back.
    pub(super) fn finish(&mut self, k: usize) -> io::Result<u64> {
        self.ask(&format!("finish {k}"))?;
        let line = self.0.await_line(&format!("closed {k} "))?;
        let value = |key: &str| -> u64 {
            let word = line.split_whitespace().find_map(|w| w.strip_prefix(key));
            word.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no {key} in {line}"))
        };
        assert_eq!((value("returned="), value("wrong=")), (value("sent="), 0), "{line}");
        let complaints: Vec<_> =
            self.0.news().iter().filter(|n| ["lost", "failed", "refused", "unreturned"].iter().any(|w| n.starts_with(w))).collect();
        assert!(complaints.is_empty(), "{complaints:?}");
        Ok(value("returned="))
    }
}

impl Deref for Peer {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.0
    }
}

impl DerefMut for Peer {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.0
    }
}
