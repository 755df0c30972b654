//! Three registrars as programs on one host: they find each other, and when one is killed, another one takes over its
//! elements. Everything is waited for by what the programs say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "edge: tests run the program"
)]

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rserpool::api::Rserpool;
use rserpool::asap::ElementSpec;
use rserpool::wire::PoolHandle;

const LIMIT: Duration = Duration::from_secs(60);

/// A registrar whose log is read.
struct Registrar {
    child: Child,
    log: Receiver<String>,
    seen: Vec<String>,
}

impl Registrar {
    fn start(id: u32, args: &[String]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registrar"));
        command.args(args).args(["--identifier", &id.to_string(), "--log", "debug"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (told, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        Self { child, log, seen: Vec::new() }
    }

    /// Waits until a line has both words.
    #[track_caller]
    fn wait_for(&mut self, what: &str, of: &str) {
        self.wait_until(&format!("{what:?} and {of:?}"), |line| line.contains(what) && line.contains(of));
    }

    /// Waits until the registrar `dead` is known to be gone: somebody took it over, or the element was so quick to find another
    /// home that nothing was left to take over.
    #[track_caller]
    fn wait_for_the_end_of(&mut self, dead: u32) {
        let words = ["taken over by", "lost, the home of 0 elements"].map(|end| format!("registrar 0x{dead:08x} {end}"));
        self.wait_until(&words.join(" or "), |line| words.iter().any(|word| line.contains(word)));
    }

    #[track_caller]
    fn wait_until(&mut self, wanted: &str, fits: impl Fn(&String) -> bool) {
        if self.seen.iter().any(&fits) {
            return;
        }
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let found = fits(&line);
                    self.seen.push(line);
                    if found {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line with {wanted}:\n{}", self.seen.join("\n"))
                }
            }
        }
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// RFC 5353 sections 3.2, 3.3 and 3.5 on real sockets, all on the loopback interface.
#[test]
fn an_element_survives_two_of_its_registrars() {
    let (udp, announce, presence) = (free_port(), free_port(), free_port());
    let args = [
        "--loopback-only".to_owned(),
        format!("--udp-port={udp}"),
        format!("--announce=239.0.0.50:{announce}"),
        format!("--enrp-announce=239.0.0.51:{presence}"),
    ];
    let mut all: Vec<(u32, Registrar)> = [1, 2, 3].map(|id| (id, Registrar::start(id, &args))).into();
    for (id, registrar) in &mut all {
        for other in [1, 2, 3].into_iter().filter(|o| o != id) {
            registrar.wait_for(&format!("registrar 0x{other:08x} found"), "127.0.0.1");
        }
        registrar.wait_for("serving", "");
    }
    let rsp = Rserpool::builder()
        .udp_port(udp)
        .announce_group(format!("239.0.0.50:{announce}").parse().unwrap())
        .announce_interfaces(vec!["127.0.0.1".parse().unwrap()])
        .start()
        .unwrap();
    let pool = PoolHandle::new("Pool").unwrap();
    let spec = ElementSpec::new(pool.clone(), 4711);
    let registration = rsp.register(spec, Some(LIMIT)).unwrap();
    // Each is killed while it is the element's home: the one that says so last.
    for _ in 0..2 {
        let home = home_of(&mut all);
        let (dead, registrar) = all.remove(home);
        drop(registrar);
        for (_, survivor) in &mut all {
            survivor.wait_for_the_end_of(dead);
        }
        let found = rsp.resolve(&pool, 3, Some(LIMIT)).unwrap();
        assert_eq!(found.len(), 1);
    }
    drop(registration);
}

/// Which registrar was the last to take the element in, by the times in their logs.
fn home_of(all: &mut [(u32, Registrar)]) -> usize {
    let words = ["registered in \"Pool\"", "has its home here now", "renewed in \"Pool\""];
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        let mut last: Option<(String, usize)> = None;
        for (i, (_, registrar)) in all.iter_mut().enumerate() {
            while let Ok(line) = registrar.log.recv_timeout(Duration::from_millis(20)) {
                registrar.seen.push(line);
            }
            let homecoming = registrar.seen.iter().filter(|line| words.iter().any(|w| line.contains(w))).max();
            last = last.max(homecoming.map(|line| (line.clone(), i)));
        }
        if let Some((_, home)) = last {
            return home;
        }
    }
    panic!("no registrar is the home")
}
