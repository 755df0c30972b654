//! Running `sctp` on loopback.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::common::{self, Background};

pub(crate) const SCTP: &str = env!("CARGO_BIN_EXE_sctp");
/// Generous: nothing here takes more than a second on an idle machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A directory for files, and a UDP port that no other test uses.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) udp: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let udp = socket.local_addr().unwrap().port().to_string();
        Self { dir: tempfile::tempdir().unwrap(), udp }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path().join(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    /// `sctp WORDS` with this place's UDP port.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut all = vec![SCTP];
        all.extend(words.split_whitespace());
        let mut command = common::command(self.path(), &all);
        command.env("SCTP_UDP_PORT", &self.udp);
        command
    }

    /// Starts it beside the test.
    pub(crate) fn spawn(&self, words: &str) -> Background {
        Background::spawn(self.command(words))
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, words: &str) -> Output {
        common::run(self.command(words), LIMIT)
    }

    /// Runs it to its end, which must be a good one: its standard output.
    pub(crate) fn succeed(&self, words: &str) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words}: {}", common::text(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Starts `sctp cat --listen 0 WORDS`, and answers the port.
pub(crate) fn listen(place: &Place, words: &str) -> (Background, String) {
    let mut server = place.spawn(&format!("cat --listen 0 -v {words}"));
    let line = server.expect("on SCTP port", LIMIT);
    let port = line.rsplit(' ').next().unwrap().to_owned();
    (server, port)
}

/// Waits for the end of a program, which must be a good one.
pub(crate) fn ends_well(program: &mut Background) {
    let status = common::wait(&mut program.child, LIMIT).expect("it goes on");
    program.rest();
    assert!(status.success(), "{status}: {:#?}", program.seen);
}

/// Bytes that are all different.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes.extend(x.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
