//! The virtual machine: started with the first test, ended with the process, however that ends.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::common::{has, is_root, run, skip, text};

/// Downloads included.
const BUILD_LIMIT: Duration = Duration::from_secs(600);
const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// So many tests run at once, each in a machine of its own: most of the time they wait for timers.
const MACHINES: usize = 2;

/// A machine that is up.
pub(crate) struct Machine {
    scripts: PathBuf,
    out: PathBuf,
    namespace: String,
    /// What the hosts in the guest are at present.
    hosts: Mutex<String>,
}

/// A machine for one test; given back when dropped.
pub(crate) struct Turn {
    machine: &'static Machine,
    place: usize,
}

impl Deref for Turn {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        self.machine
    }
}

/// Which machines are taken, and the news that one is free again.
static TAKEN: (Mutex<[bool; MACHINES]>, Condvar) = (Mutex::new([false; MACHINES]), Condvar::new());

impl Drop for Turn {
    fn drop(&mut self) {
        give_back(self.place);
    }
}

fn give_back(place: usize) {
    // A test that failed has left nothing behind that the next one does not clear away.
    TAKEN.0.lock().unwrap_or_else(PoisonError::into_inner)[place] = false;
    TAKEN.1.notify_one();
}

/// A machine that no other test uses; `None`, with the reason printed, where it cannot run.
pub(crate) fn machine() -> Option<Turn> {
    static STARTED: [OnceLock<Result<Machine, String>>; MACHINES] = [const { OnceLock::new() }; MACHINES];
    // `.ci/run` runs these tests in a step of their own.
    if asked("LAB", "0") {
        println!("SKIP: the laboratory is left out by LAB=0");
        return None;
    }
    let taken = TAKEN.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = TAKEN.1.wait_while(taken, |taken| taken.iter().all(|t| *t)).unwrap_or_else(PoisonError::into_inner);
    let place = taken.iter().position(|t| !t).unwrap();
    taken[place] = true;
    drop(taken);
    match STARTED[place].get_or_init(|| Machine::start(place)) {
        Ok(machine) => Some(Turn { machine, place }),
        Err(reason) => {
            give_back(place);
            skip(reason);
            None
        }
    }
}

fn asked(name: &str, value: &str) -> bool {
    std::env::var(name).is_ok_and(|v| v == value)
}

impl Machine {
    fn start(place: usize) -> Result<Self, String> {
        if !asked("LAB", "1") && !asked("REQUIRE", "all") {
            return Err("the laboratory takes minutes: set LAB=1 or REQUIRE=all".into());
        }
        if !is_root() {
            return Err("the laboratory needs root".into());
        }
        if !["bash", "ip", "flock"].into_iter().all(has) {
            return Err("the laboratory needs bash, iproute2 and util-linux".into());
        }
        if !has("apt-get") && !has("qemu-system-x86_64") {
            return Err("the laboratory needs Debian's packages".into());
        }
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab");
        let out = std::env::var_os("LAB_OUT").map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab"), PathBuf::from);
        let machine = Self { scripts, out, namespace: format!("lab-{}-{place}", std::process::id()), hosts: Mutex::default() };
        let build = run(machine.script("build.sh"), BUILD_LIMIT);
        if !build.status.success() {
            return Err(format!("the laboratory cannot be built: {}", text(&build)));
        }
        machine.end_with_this_process();
        // From here on it is our fault.
        let mut up = machine.script("up.sh");
        up.arg("2");
        let up = run(up, BOOT_LIMIT);
        assert!(up.status.success(), "the laboratory does not start: {}", text(&up));
        println!("{}", text(&up).trim());
        Ok(machine)
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.scripts.join(name));
        command.env("LAB_OUT", &self.out).env("LAB_NS", &self.namespace).env("DEBIAN_FRONTEND", "noninteractive");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Leaves someone behind who takes the machine down as soon as this process is gone: its end of a pipe closes.
    fn end_with_this_process(&self) {
        let down = self.script("down.sh");
        let mut keeper = Command::new("sh");
        keeper.args(["-c", r#"cat > /dev/null; exec "$0""#]).arg(down.get_program());
        keeper.envs(down.get_envs().filter_map(|(key, value)| Some((key, value?))));
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: Ctrl-C at the terminal is for the tests.
        std::os::unix::process::CommandExt::process_group(&mut keeper, 0);
        std::mem::forget(keeper.spawn().unwrap());
    }

    /// The network namespace beside the guest.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What the hosts in the guest are at present.
    pub(crate) fn hosts(&self) -> MutexGuard<'_, String> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `words` as a command of this machine in the namespace beside the guest.
    pub(crate) fn beside(&self, dir: &Path, words: &[&str]) -> Command {
        crate::common::command(dir, &[&["ip", "netns", "exec", &self.namespace], words].concat())
    }

    /// The command that runs `script` by the guest's shell.
    pub(crate) fn guest(&self, script: &str) -> Command {
        self.beside(Path::new("/"), &[self.out.join("agent").to_str().unwrap(), "run", "127.0.0.1", "7700", script])
    }

    /// Runs `script` by the guest's shell.
    pub(crate) fn run(&self, script: &str, limit: Duration) -> Output {
        run(self.guest(script), limit)
    }
}
