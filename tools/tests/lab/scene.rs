//! What one test sets up: hosts in the guest, RSPLIB's programs on them, and ours beside it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Background, RSP, run, text};
use crate::machine::{Turn, machine};

/// For anything that happens at once, had the guest a processor.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Where our programs are.
pub(crate) const OURS: &str = "10.77.1.1";

/// A test's part of the laboratory. Everything that it started ends with it.
pub(crate) struct Scene {
    machine: Turn,
    dir: tempfile::TempDir,
}

impl Scene {
    /// New hosts, with one network and IPv4 only; `None` where the laboratory cannot run.
    pub(crate) fn new(hosts: &str) -> Option<Self> {
        let scene = Self { machine: machine()?, dir: tempfile::tempdir().unwrap() };
        scene.clear();
        scene.sh(&format!("lab topo-del; LAB_V6=0 LAB_NETS=1 lab topo {hosts}"));
        hosts.clone_into(&mut scene.machine.hosts());
        scene.beside("echo 1 > /proc/sys/net/ipv6/conf/lab1/disable_ipv6; ip addr flush dev lab2; ip neigh flush dev lab1");
        Some(scene)
    }

    /// One host, `a`, at 10.77.1.31, 10.77.2.31, fd77:1::31 and fd77:2::31; ours are those that end in 1. What the last test of this
    /// kind left is good enough.
    pub(crate) fn two_networks() -> Option<Self> {
        const HOSTS: &str = "a:31 on two networks";
        let scene = Self { machine: machine()?, dir: tempfile::tempdir().unwrap() };
        scene.clear();
        if *scene.machine.hosts() == HOSTS {
            return Some(scene);
        }
        scene.sh("lab topo-del; lab topo a:31");
        HOSTS.clone_into(&mut scene.machine.hosts());
        for n in [1, 2] {
            scene.beside(&format!("echo 0 > /proc/sys/net/ipv6/conf/lab{n}/disable_ipv6; ip neigh flush dev lab{n}"));
            scene.beside(&format!("ip addr replace 10.77.{n}.1/24 dev lab{n}; ip addr replace fd77:{n}::1/64 dev lab{n} nodad"));
        }
        Some(scene)
    }

    /// The network namespace beside the guest.
    pub(crate) fn namespace(&self) -> &str {
        self.machine.namespace()
    }

    /// Runs `script` beside the guest.
    fn beside(&self, script: &str) {
        let output = run(self.machine.beside(self.dir.path(), &["sh", "-c", script]), LIMIT);
        assert!(output.status.success(), "{script}: {}: {}", output.status, text(&output));
    }

    fn clear(&self) {
        let all = r#"for b in $(lab bgs | grep running | cut -d" " -f1); do lab kill $b KILL; done; rm -f /run/bg/*"#;
        drop(self.machine.run(all, LIMIT));
    }

    /// Runs `script` in the guest, which must succeed; what it printed.
    pub(crate) fn sh(&self, script: &str) -> String {
        let output = self.machine.run(script, LIMIT);
        assert!(output.status.success(), "{script}: {}: {}", output.status, text(&output));
        text(&output)
    }

    /// Starts RSPLIB's `program` with `options` on `host`, in the background, as `name`.
    pub(crate) fn start(&self, name: &str, host: &str, program: &str, options: &str) {
        self.sh(&format!("lab bg {name} {} {options}", on(host, program)));
    }

    /// Starts one of RSPLIB's registrars on `host` with address 10.77.1.`id`.
    pub(crate) fn registrar(&self, name: &str, host: &str, id: u8, options: &str) {
        let addrs = format!("-asap=10.77.1.{id}:3863 -enrp=10.77.1.{id}:9901");
        self.start(name, host, "rspregistrar", &format!("{addrs} {options}"));
        self.expect(name, "Registrar started");
    }

    /// What `name` has printed so far.
    pub(crate) fn log(&self, name: &str) -> String {
        self.sh(&format!("lab log {name}"))
    }

    /// Waits until `name` prints a line that contains `text`; that line.
    pub(crate) fn expect(&self, name: &str, text: &str) -> String {
        self.expect_one(name, &[text.to_owned()])
    }

    /// Waits until `name` prints a line that contains one of `texts`; that line.
    pub(crate) fn expect_one(&self, name: &str, texts: &[String]) -> String {
        let patterns: String = texts.iter().map(|text| format!(" -e '{}'", text.replace('\'', r"'\''"))).collect();
        let grep = format!("grep -m1 -F{patterns} /run/bg/{name}.log");
        let seconds = LIMIT.as_secs();
        // The shell of the guest looks, so that each look is cheap.
        let script = format!("n=0; until {grep}; do n=$((n + 1)); [ $n -lt {seconds}0 ] || exit 1; sleep 0.1; done");
        let output = self.machine.run(&script, 4 * LIMIT);
        assert!(output.status.success(), "{name} does not print {texts:?}: {}", self.log(name));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ends `name` by `signal`.
    pub(crate) fn kill(&self, name: &str, signal: &str) {
        self.sh(&format!("lab kill {name} {signal}"));
    }

    /// A program of the guest that talks to this test.
    pub(crate) fn interactive(&self, script: &str) -> Background {
        Background::spawn(self.machine.guest(script))
    }

    /// Starts `rsp` with `args` beside the guest.
    pub(crate) fn rsp(&self, args: &[&str]) -> Background {
        Background::spawn(self.machine.beside(self.dir.path(), &[&[RSP], args].concat()))
    }

    /// Our registrar, once it serves.
    pub(crate) fn our_registrar(&self, args: &[&str]) -> Background {
        let mut registrar = self.rsp(&[&["registrar", "--log", "debug"], args].concat());
        registrar.expect("is ready", LIMIT);
        registrar
    }

    /// Our element, once it has registered, and its identifier: 0x and eight digits.
    pub(crate) fn our_element(&self, args: &[&str]) -> (Background, String) {
        let mut element = self.rsp(&[&["server", "--registrar-timeout", "60000"], args].concat());
        let id = identifier(&element.expect("has registered", LIMIT));
        (element, id)
    }

    /// The handlespace of the registrar at `addr`, as soon as it is what is `wanted`.
    pub(crate) fn dump_until(&self, addr: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + LIMIT;
        loop {
            let output = run(self.machine.beside(self.dir.path(), &[RSP, "dump", addr, "--json"]), LIMIT);
            let dump = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
            if output.status.success() && wanted(&dump) {
                return dump;
            }
            assert!(Instant::now() < deadline, "the handlespace of {addr} is another one: {} {dump:#}", text(&output));
        }
    }

    /// One line to a pool and back by RSPLIB's terminal; the identifier of the element that answered.
    pub(crate) fn terminal(&self, options: &str) -> String {
        let mut terminal = self.interactive(&format!("exec {} {options}", on("pu", "rspterminal")));
        terminal.expect("Pool Handle", LIMIT);
        terminal.say("to and fro");
        let answer = terminal.expect("> to and fro", LIMIT);
        identifier(&answer)
    }
}

/// The command line of RSPLIB's `program` on `host`; it would print nothing before its end but to a terminal.
fn on(host: &str, program: &str) -> String {
    format!("ip netns exec {host} stdbuf -oL {program} -logcolor=off -loglevel=4")
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.machine.run("cd /run/bg; for f in *.log; do echo \"--- $f\"; tail -n 60 $f; done", LIMIT);
            println!("{}", text(&logs));
        }
        self.clear();
    }
}

/// The identifier in a line, `0x0123abcd` or RSPLIB's `$0123abcd`, as we write it.
pub(crate) fn identifier(line: &str) -> String {
    let digits = line.match_indices(['x', '$']).find_map(|(at, _)| {
        let digits = line.get(at + 1..at + 9)?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(digits)
    });
    format!("0x{}", digits.unwrap_or_else(|| panic!("no identifier in {line:?}")))
}
