//! The director of the show: starts processes that share one UDP port, and kills or stops the one that reads it.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::UdpSocket;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Longest wait for anything: much longer than it takes, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);
/// Answers that a pair must exchange before and after each blow.
const PROGRESS: u64 = 100;

/// What a process says of its requests to one peer.
#[derive(Clone, Copy, Default, Debug)]
pub struct Count {
    /// Answers received, in order.
    pub answered: u64,
    /// Answers lost, doubled or out of order.
    pub wrong: u64,
    /// Longest silence since the last question, in milliseconds.
    pub gap_ms: u64,
}

/// A process; killed when dropped.
pub struct Member {
    /// Its SCTP port.
    pub port: u16,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    /// News that came while something else was awaited.
    news: Vec<String>,
}

impl Drop for Member {
    fn drop(&mut self) {
        // Also one that is stopped; an error means that it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Member {
    /// Starts `command`, which must run [`super::member::run`] with this port.
    pub fn start(mut command: Command, port: u16) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        let (tx, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // A test harness may print before it on the same line.
                if let Some((_, said)) = line.split_once('@')
                    && tx.send(said.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        let mut member = Self { port, child, input, lines, news: Vec::new() };
        member.await_line("ready")?;
        Ok(member)
    }

    fn await_line(&mut self, start: &str) -> io::Result<String> {
        if let Some(at) = self.news.iter().position(|line| line.starts_with(start)) {
            return Ok(self.news.remove(at));
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).map_err(|_| io::Error::other(format!("{}: no {start:?}", self.port)))?;
            if line.starts_with(start) {
                return Ok(line);
            }
            self.news.push(line);
        }
    }

    /// What it said without being asked.
    fn news(&mut self) -> Vec<String> {
        self.news.extend(self.lines.try_iter());
        self.news.clone()
    }

    fn tell(&mut self, command: &str) -> io::Result<()> {
        writeln!(self.input, "{command}")?;
        self.input.flush()
    }

    /// Asks how it is: its role, and its counts by peer. The gaps begin anew.
    pub fn status(&mut self) -> io::Result<(String, BTreeMap<u16, Count>)> {
        self.tell("status")?;
        let line = self.await_line("status")?;
        let mut words = line.split_whitespace().skip(1);
        let role = words.next().unwrap_or_default().to_owned();
        let counts = words.filter_map(|word| {
            let mut numbers = word.split(':').map(|n| n.parse::<u64>().ok());
            let port = u16::try_from(numbers.next()??).ok()?;
            Some((port, Count { answered: numbers.next()??, wrong: numbers.next()??, gap_ms: numbers.next()?? }))
        });
        Ok((role, counts.collect()))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.ok_or_else(|| io::Error::other("no pid"))?, signal)?)
    }

    /// Waits for the news that its association with `port` is lost.
    pub fn await_loss(&mut self, port: u16) -> io::Result<String> {
        self.await_line(&format!("lost {port} "))
    }
}

/// Two UDP ports that are free now are unlikely to be taken a moment later.
pub fn free_udp_port() -> io::Result<u16> {
    Ok(UdpSocket::bind("[::]:0")?.local_addr()?.port())
}

/// Everybody sends requests to everybody.
pub fn introduce(members: &mut [Member], newcomer: usize) -> io::Result<()> {
    let ports: Vec<u16> = members.iter().map(|m| m.port).collect();
    for (i, member) in members.iter_mut().enumerate() {
        for (j, port) in ports.iter().enumerate() {
            if i != j && (j == newcomer || i == newcomer) {
                member.tell(&format!("talk {port}"))?;
            }
        }
    }
    Ok(())
}

/// Waits until every pair among `who` has exchanged [`PROGRESS`] more requests; the longest gap of each meanwhile.
pub fn progress(members: &mut [Member], who: &[usize]) -> io::Result<BTreeMap<(u16, u16), Count>> {
    let ports: Vec<u16> = who.iter().filter_map(|i| members.get(*i)).map(|m| m.port).collect();
    let until = Instant::now() + PATIENCE;
    let mut start: BTreeMap<(u16, u16), u64> = BTreeMap::new();
    let mut now: BTreeMap<(u16, u16), Count> = BTreeMap::new();
    loop {
        for i in who {
            let Some(member) = members.get_mut(*i) else { continue };
            let from = member.port;
            for (to, count) in member.status()?.1 {
                if ports.contains(&to) {
                    start.entry((from, to)).or_insert(count.answered);
                    let entry = now.entry((from, to)).or_default();
                    *entry = Count { gap_ms: entry.gap_ms.max(count.gap_ms), ..count };
                }
            }
        }
        let pairs = ports.len() * ports.len().saturating_sub(1);
        let done = |(pair, count): (&(u16, u16), &Count)| start.get(pair).is_some_and(|s| count.answered >= s + PROGRESS);
        if now.len() == pairs && now.iter().all(done) {
            return Ok(now);
        }
        if Instant::now() > until {
            let news: Vec<_> = members.iter_mut().map(|m| (m.port, m.news())).collect();
            return Err(io::Error::other(format!("no progress: {now:?} since {start:?}; news: {news:?}")));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The index of the process that reads the port.
pub fn reader(members: &mut [Member]) -> io::Result<usize> {
    let mut found = Vec::new();
    for (i, member) in members.iter_mut().enumerate() {
        if member.status()?.0 == "reader" {
            found.push(i);
        }
    }
    match found[..] {
        [one] => Ok(one),
        _ => Err(io::Error::other(format!("{} readers", found.len()))),
    }
}

/// What the show is about.
pub fn perform(command: impl Fn(u16, u16) -> Command, say: impl Fn(&str)) -> io::Result<Vec<Count>> {
    let udp_port = free_udp_port()?;
    let mut members = Vec::new();
    for port in [5001, 5002, 5003] {
        members.push(Member::start(command(udp_port, port), port)?);
        let newcomer = members.len() - 1;
        introduce(&mut members, newcomer)?;
    }
    let mut all = progress(&mut members, &[0, 1, 2])?;
    say(&format!("three processes exchange messages through UDP port {udp_port}"));

    let first = reader(&mut members)?;
    let victim = members.remove(first);
    let dead_port = victim.port;
    victim.signal(Signal::KILL)?;
    say(&format!("killed the reader, which had SCTP port {dead_port}"));
    let counts = progress(&mut members, &[0, 1])?;
    report("SIGKILL", &counts, &say);
    all.extend(counts.iter().map(|((a, b), c)| ((*a, *b), *c)));
    for member in &mut members {
        let news = member.await_loss(dead_port)?;
        say(&format!("{}: {news}", member.port));
    }
    drop(victim);

    let port = 5004;
    members.push(Member::start(command(udp_port, port), port)?);
    introduce(&mut members, 2)?;
    progress(&mut members, &[0, 1, 2])?;
    let second = reader(&mut members)?;
    let others: Vec<usize> = (0..3).filter(|i| *i != second).collect();
    let frozen = members.get(second).ok_or_else(|| io::Error::other("no reader"))?;
    frozen.signal(Signal::STOP)?;
    say(&format!("stopped the new reader, which has SCTP port {}", frozen.port));
    let counts = progress(&mut members, &others)?;
    report("SIGSTOP", &counts, &say);
    let mut last: Vec<Count> = all.into_values().chain(counts.into_values()).collect();

    let frozen = members.get(second).ok_or_else(|| io::Error::other("no reader"))?;
    frozen.signal(Signal::CONT)?;
    let counts = progress(&mut members, &[0, 1, 2])?;
    say("the stopped process goes on, and all three exchange messages again");
    reader(&mut members)?;
    last.extend(counts.into_values());
    Ok(last)
}

fn report(blow: &str, counts: &BTreeMap<(u16, u16), Count>, say: &impl Fn(&str)) {
    for ((from, to), count) in counts {
        say(&format!(
            "{blow}: {from} has {} answers from {to}, {} lost or out of order; longest gap {} ms",
            count.answered, count.wrong, count.gap_ms
        ));
    }
}
