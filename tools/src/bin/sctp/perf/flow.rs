//! Sending and counting messages: the same for client and server.
#![allow(clippy::disallowed_methods, reason = "edge: reads the clock")]

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use registrar::signal::Stop;
use sctp_user::socket::{RcvInfo, SctpStream, SndInfo};
use sctp_user::{Ppid, StreamId};

use super::wire::{CONTROL, Control, Counted, DATA, MAX_CONTROL, MAX_SIZE, Test};
use crate::association::TICK;
use crate::path::microseconds;

/// One end of an association, with the parts of messages that have come so far.
pub(super) struct Flow<'a> {
    pub(super) stream: &'a SctpStream,
    stop: &'a Stop,
    /// A message of which parts have come; at most [`MAX_SIZE`] bytes.
    parts: Vec<u8>,
}

/// What was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// Bytes of a message that is measured, the last ones if `whole`.
    Data { stream: StreamId, bytes: Bytes, whole: bool },
    /// What the peer tells.
    Control(Control),
    /// The peer has ended the association.
    End,
}

impl<'a> Flow<'a> {
    /// An end that looks for a request to stop while it waits.
    pub(super) fn new(stream: &'a SctpStream, stop: &'a Stop) -> Result<Self> {
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(TICK))?;
        Ok(Self { stream, stop, parts: Vec::new() })
    }

    /// Tells the peer something.
    pub(super) fn tell(&self, control: &Control) -> Result<()> {
        self.send(control.encode().into(), &SndInfo::default().ppid(CONTROL))
    }

    /// Sends `bytes` as one message.
    pub(super) fn send(&self, bytes: Bytes, info: &SndInfo) -> Result<()> {
        loop {
            match self.stream.send_bytes(bytes.clone(), info) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => self.check_stop()?,
                other => return other.context("the peer is gone"),
            }
        }
    }

    /// Waits for what comes next.
    pub(super) fn hear(&mut self) -> Result<Heard> {
        loop {
            match self.stream.recv() {
                Ok(Some((info, bytes))) if info.ppid == CONTROL => {
                    if let Some(control) = self.control(&info, &bytes)? {
                        return Ok(Heard::Control(control));
                    }
                }
                Ok(Some((info, bytes))) if info.ppid == DATA => return Ok(Heard::Data { stream: info.sid, bytes, whole: !info.more }),
                Ok(Some((info, _))) => {
                    bail!("the peer does not speak our protocol: its messages have payload protocol identifier {}", info.ppid.0)
                }
                Ok(None) => return Ok(Heard::End),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => self.check_stop()?,
                Err(err) => return Err(err).context("the peer is gone"),
            }
        }
    }

    /// A message of the peer that is put together here, at most [`MAX_SIZE`] bytes long.
    pub(super) fn hear_whole(&mut self) -> Result<Option<(StreamId, Bytes)>> {
        self.parts.clear();
        loop {
            match self.hear()? {
                Heard::Data { stream, bytes, whole: true } if self.parts.is_empty() => return Ok(Some((stream, bytes))),
                Heard::Data { stream, bytes, whole } => {
                    if self.parts.len() + bytes.len() > usize::try_from(MAX_SIZE)? {
                        bail!("the peer sends messages that are too long");
                    }
                    self.parts.extend_from_slice(&bytes);
                    if whole {
                        return Ok(Some((stream, core::mem::take(&mut self.parts).into())));
                    }
                }
                Heard::Control(_) => bail!("the peer does not keep to our protocol"),
                Heard::End => return Ok(None),
            }
        }
    }

    fn control(&mut self, info: &RcvInfo, bytes: &[u8]) -> Result<Option<Control>> {
        let len = u64::try_from(bytes.len())?;
        if info.more || info.offset.saturating_add(len) > u64::try_from(MAX_CONTROL)? {
            bail!("the peer does not speak our protocol");
        }
        Control::decode(bytes).map(Some).context("the peer asks for what we do not know: is its version another one?")
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.is_requested() { bail!("stopped by a signal") } else { Ok(()) }
    }

    /// Sends what the test asks for, for as long as it asks for, and then how much it was. `progress` hears the bytes so far.
    pub(super) fn send_all(&self, test: &Test, mut progress: impl FnMut(u64)) -> Result<u64> {
        let message = Bytes::from(vec![0x55; usize::try_from(test.size)?]);
        let streams = test.streams.min(self.stream.status()?.outbound_streams).max(1);
        let begin = Instant::now();
        let (mut messages, mut told) = (0_u64, Duration::ZERO);
        loop {
            let elapsed = begin.elapsed();
            if elapsed >= test.duration() {
                break;
            }
            if elapsed - told >= TICK {
                told = elapsed;
                progress(messages.saturating_mul(test.size.into()));
            }
            let stream = u16::try_from(messages % u64::from(streams))?;
            self.send(message.clone(), &info(stream, DATA, test.unordered))?;
            messages += 1;
        }
        self.tell(&Control::End { messages })?;
        Ok(messages)
    }

    /// Counts until as many messages have come as the peer says it sent. `progress` hears the bytes so far.
    pub(super) fn count_all(&mut self, mut progress: impl FnMut(u64)) -> Result<Counted> {
        let begin = Instant::now();
        let mut counted = Counted::default();
        let (mut expected, mut told) = (None, Duration::ZERO);
        while expected != Some(counted.messages) {
            match self.hear()? {
                Heard::Data { bytes, whole, .. } => {
                    counted.bytes = counted.bytes.saturating_add(u64::try_from(bytes.len())?);
                    counted.messages += u64::from(whole);
                    let elapsed = begin.elapsed();
                    counted.microseconds = microseconds(elapsed);
                    if elapsed - told >= TICK {
                        told = elapsed;
                        progress(counted.bytes);
                    }
                }
                Heard::Control(Control::End { messages }) => expected = Some(messages),
                Heard::Control(_) => bail!("the peer does not keep to our protocol"),
                Heard::End => bail!("the peer ended the association too early"),
            }
        }
        Ok(counted)
    }
}

/// How a message is sent.
pub(super) fn info(stream: u16, ppid: Ppid, unordered: bool) -> SndInfo {
    let mut info = SndInfo::stream(stream).ppid(ppid);
    info.unordered = unordered;
    info
}
