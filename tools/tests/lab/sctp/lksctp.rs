//! `sctp_darn` and `sctp_test`, the test programs of lksctp-tools, as the other side.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use sctp_user::socket::{SctpListener, SctpStream, SndInfo};
use sctp_user::{EndpointConfig, PeerAddr};

use super::kernel::Lab;
use super::ours::config;
use super::scenario::Site;
use crate::common::wait;
use crate::scene::LIMIT;

/// Their port, and ours.
const THEIRS: u16 = 5101;
const OURS: u16 = 5102;

/// How `sctp_test` is told to send: a message of each of these sizes, twice, ordered, on streams 0 to 5 in turn.
const CASE_4: [usize; 10] = [1, 1000, 2000, 3000, 5000, 10_000, 15_000, 20_000, 25_000, 32_768];

struct Programs<'a> {
    lab: &'a Lab,
    site: &'a Site<'a>,
}

impl Programs<'_> {
    /// Both addresses and ports, as both programs want them.
    fn command(&self, program: &str, options: &str) -> String {
        format!("exec ip netns exec a stdbuf -oL {program} -H {} -P {THEIRS} {options}", self.site.theirs[0])
    }

    fn towards_us(&self, program: &str, options: &str) -> String {
        self.command(program, &format!("-h {} -p {OURS} {options}", self.site.ours[0]))
    }

    fn endpoint(&self, port: u16) -> EndpointConfig {
        let mut cfg = EndpointConfig::with(port, Arc::new(config()));
        cfg.bind.clone_from(&self.site.ours);
        cfg
    }

    fn connect(&self) -> SctpStream {
        let to = PeerAddr { addr: SocketAddr::new(self.site.theirs[0], THEIRS), channel: self.site.channel };
        let deadline = Instant::now() + LIMIT;
        let stream = loop {
            match SctpStream::connect_with(self.site.handle, &[to], self.endpoint(OURS), Some(LIMIT)) {
                // They say that they listen a little before they do.
                Err(err) if err.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline => {}
                outcome => break outcome.unwrap(),
            }
        };
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream
    }

    fn listen(&self) -> SctpListener {
        let listener = SctpListener::bind_with(self.site.handle, self.endpoint(OURS), 1).unwrap();
        listener.set_read_timeout(Some(LIMIT)).unwrap();
        listener
    }

    fn accept(&self, listener: &SctpListener) -> SctpStream {
        let (stream, from) = listener.accept().unwrap();
        assert_eq!(from, SocketAddr::new(self.site.theirs[0], THEIRS));
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    fn darn_listens(&self) {
        let mut darn = self.lab.scene.interactive(&self.command("sctp_darn", "-l"));
        darn.expect("listening", LIMIT);
        let stream = self.connect();
        stream.send(b"to and fro\0", &SndInfo::stream(3).ppid(7)).unwrap();
        darn.expect("to and fro", LIMIT);
        stream.close(LIMIT).unwrap();
        darn.expect("SHUTDOWN", LIMIT);
    }

    fn darn_sends(&self) {
        let listener = self.listen();
        let mut darn = self.lab.scene.interactive(&self.towards_us("sctp_darn", "-s"));
        darn.say("forth");
        let stream = self.accept(&listener);
        darn.say("and fro");
        for line in ["forth", "and fro"] {
            let (_, message) = stream.recv().unwrap().unwrap();
            assert!(message.starts_with(line.as_bytes()), "{message:?}");
        }
        // It ends with its input, and the kernel closes for it.
        drop(darn.child.stdin.take());
        assert_eq!(stream.recv().unwrap(), None);
    }

    fn test_listens(&self) {
        let mut test = self.lab.scene.interactive(&self.command("sctp_test", "-l -d 2"));
        test.expect("listen", LIMIT);
        let stream = self.connect();
        for (n, size) in CASE_4.into_iter().enumerate() {
            stream.send(&vec![b'x'; size], &SndInfo::stream(u16::try_from(n % 6).unwrap())).unwrap();
        }
        stream.close(LIMIT).unwrap();
        test.expect("SHUTDOWN", LIMIT);
    }

    fn test_sends(&self) {
        let listener = self.listen();
        let mut test = self.lab.scene.interactive(&self.towards_us("sctp_test", "-s -c 4 -x 2 -o 1 -M 5"));
        let stream = self.accept(&listener);
        let mut sizes = Vec::new();
        while let Some((info, part)) = stream.recv().unwrap() {
            assert!(!info.unordered && info.sid.0 <= 5, "{info:?}");
            if info.offset == 0 {
                sizes.push(0);
            }
            *sizes.last_mut().unwrap() += part.len();
        }
        assert!(sizes.starts_with(&CASE_4), "{sizes:?}");
        assert!(wait(&mut test.child, LIMIT).expect("sctp_test goes on").success());
    }
}

/// Each of the programs, waiting for us and coming to us.
pub(crate) fn programs(lab: &Lab, site: &Site<'_>) {
    let programs = Programs { lab, site };
    programs.darn_listens();
    programs.darn_sends();
    programs.test_listens();
    programs.test_sends();
}
