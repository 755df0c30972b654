//! From files to streams: a thread for each file, because reading blocks.
#![allow(clippy::disallowed_methods, reason = "edge: threads")]

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use sctp_user::Ppid;
use sctp_user::socket::{SctpStream, SndInfo};

use super::Counters;
use super::files::{Input, Inputs};

/// How long the threads may take to notice that the association has ended. One that waits for input notices nothing.
const PATIENCE: Duration = Duration::from_millis(200);

/// How input becomes messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Longest message.
    pub(super) size: usize,
    /// Each line is a message.
    pub(super) lines: bool,
    /// Payload protocol identifier.
    pub(super) ppid: Ppid,
    /// Without regard to order.
    pub(super) unordered: bool,
    /// End the association when everything was sent.
    pub(super) shut_down: bool,
}

/// How one file went.
type Outcome = (String, Result<(), Failure>);

#[derive(Debug)]
enum Failure {
    Read(io::Error),
    /// The association has ended, whose reader knows why.
    Send,
}

/// The threads that send.
pub(super) struct Sender {
    outcomes: Receiver<Outcome>,
    pending: usize,
}

impl Sender {
    /// Starts to send all `inputs`.
    pub(super) fn start(stream: &Arc<SctpStream>, inputs: Inputs, manner: Manner, counters: &Arc<Counters>) -> Result<Self> {
        let (tell, outcomes) = mpsc::channel();
        let pending = inputs.all.len();
        let left = Arc::new(AtomicUsize::new(pending));
        for input in inputs.all {
            let (stream, counters, left, tell) = (Arc::clone(stream), Arc::clone(counters), Arc::clone(&left), tell.clone());
            let body = move || {
                let name = input.name.clone();
                let result = send_all(&stream, input, manner, &counters);
                let last = left.fetch_sub(1, Ordering::AcqRel) == 1;
                // Nothing sent at all: standard input was not meant to be sent. A file that cannot be read ends the copy, too.
                let something = counters.sent_messages.load(Ordering::Acquire) > 0;
                if matches!(result, Err(Failure::Read(_))) {
                    drop(stream.abort(b"cannot read what was to be sent"));
                } else if last && something && manner.shut_down {
                    // An association that has ended needs no end.
                    drop(stream.shutdown());
                }
                drop(stream);
                // Nobody waits any more if the program is about to end.
                drop(tell.send((name, result)));
            };
            thread::Builder::new().name("input".into()).spawn(body).context("cannot start a thread")?;
        }
        Ok(Self { outcomes, pending })
    }

    /// The association has ended: was everything sent before?
    pub(super) fn finish(self) -> Result<()> {
        for _ in 0..self.pending {
            match self.outcomes.recv_timeout(PATIENCE) {
                Ok((_, Ok(()))) => {}
                Ok((name, Err(Failure::Read(err)))) => return Err(err).with_context(|| format!("cannot read {name}")),
                Ok((name, Err(Failure::Send))) => bail!("the peer ended the association before all of {name} was sent"),
                // It waits for more input, of which nobody knows whether it will come.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }
}

fn send_all(stream: &SctpStream, input: Input, manner: Manner, counters: &Counters) -> Result<(), Failure> {
    let mut info = SndInfo::stream(input.stream).ppid(manner.ppid);
    info.unordered = manner.unordered;
    let mut source = Source { reader: BufReader::with_capacity(manner.size.max(64), input.reader), manner };
    while let Some(message) = source.next().map_err(Failure::Read)? {
        let len = u64::try_from(message.len()).unwrap_or(u64::MAX);
        stream.send_bytes(message, &info).map_err(|_| Failure::Send)?;
        counters.sent.fetch_add(len, Ordering::Relaxed);
        counters.sent_messages.fetch_add(1, Ordering::Release);
    }
    Ok(())
}

/// Cuts input into messages.
struct Source<R: Read> {
    reader: BufReader<R>,
    manner: Manner,
}

impl<R: Read> Source<R> {
    /// The next message; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let limit = u64::try_from(self.manner.size).unwrap_or(u64::MAX);
        let mut message = Vec::new();
        if self.manner.lines {
            self.reader.by_ref().take(limit).read_until(b'\n', &mut message)?;
        } else {
            // What is there, so that a line that somebody types leaves at once.
            let ready = retry(|| self.reader.fill_buf().map(<[u8]>::len))?.min(self.manner.size);
            message = self.reader.buffer().get(..ready).unwrap_or_default().to_vec();
            self.reader.consume(ready);
        }
        Ok((!message.is_empty()).then(|| message.into()))
    }
}

fn retry<T>(mut f: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match f() {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, size: usize, lines: bool) -> Vec<String> {
        let manner = Manner { size, lines, ppid: Ppid(0), unordered: false, shut_down: true };
        let mut source = Source { reader: BufReader::with_capacity(size.max(64), text.as_bytes()), manner };
        let mut all = Vec::new();
        while let Some(message) = source.next().unwrap() {
            all.push(String::from_utf8(message.to_vec()).unwrap());
        }
        all
    }

    #[test]
    fn input_is_cut_into_messages() {
        assert_eq!(cut("", 4, false), Vec::<String>::new());
        assert_eq!(cut("abcdefghij", 4, false), ["abcd", "efgh", "ij"]);
        assert_eq!(cut("one\n\ntwo", 100, true), ["one\n", "\n", "two"]);
        assert_eq!(cut("seven77\nx\n", 4, true), ["seve", "n77\n", "x\n"]);
        let long = "x".repeat(1000);
        assert_eq!(cut(&long, 300, false).concat(), long);
        assert!(cut(&long, 300, false).iter().all(|part| part.len() <= 300));
    }
}
