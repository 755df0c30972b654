//! The tools in an unprivileged container: a root file system that is read-only and holds nothing but the programs with their
//! libraries, `/proc` and `/dev/null`, another user, no capabilities, no network but loopback, no `/run`, no `/tmp`, no `XDG_RUNTIME_DIR`.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use crate::common::{RSP, command, has, is_root, run, skip, text};
use crate::program::SCTP;

const LIMIT: Duration = Duration::from_secs(150);

/// Makes the container in the directory `$1` with the programs that follow up to `--`, and runs the rest there.
const CONTAINER: &str = r#"
root=$1; shift
mount --make-rprivate /
mount -t tmpfs container "$root"
mkdir "$root/bin" "$root/dev" "$root/out" "$root/proc"
: > "$root/dev/null"
mount --bind /dev/null "$root/dev/null"
while [ "$1" != -- ]; do
    cp "$1" "$root/bin/"
    for library in $(ldd "$1" | grep -o '/[^ ]*'); do
        mkdir -p "$root/$(dirname "$library")"
        cp -n -L "$library" "$root/$library"
    done
    shift
done
shift
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0777 out "$root/out"
ip link set lo up
mount -o remount,ro "$root"
exec chroot "$root" /bin/setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"#;

/// Runs a script of `sh` in the container; says why not if that cannot be.
fn in_container(script: &str) -> Option<Output> {
    let tools = ["setpriv", "unshare", "ip", "ldd", "chroot", "mount"];
    if let Some(tool) = tools.iter().find(|tool| !has(tool)) {
        skip(&format!("needs the program {tool}"));
        return None;
    }
    if !is_root() {
        skip("needs root to make a root file system");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let path = |name: &str| {
        let path = std::env::var_os("PATH").unwrap();
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file()).unwrap().to_str().unwrap().to_owned()
    };
    let (sh, setpriv) = (path("sh"), path("setpriv"));
    let words = ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-e", "-c", CONTAINER, "sh", root, &sh, &setpriv, SCTP, RSP, "--"];
    let mut command = command(Path::new("/"), &[&words[..], &["/bin/sh", "-c", script]].concat());
    command.env_remove("TMPDIR");
    Some(run(command, LIMIT))
}

#[test]
fn nothing_is_allowed_there() {
    // The container is what it is said to be.
    let script = "
        for dir in / /bin /dev /proc /out; do (: > $dir/file) 2>/dev/null && echo $dir; done
        for dir in /tmp /run /etc \"$XDG_RUNTIME_DIR\"; do [ ! -e \"$dir\" ] || echo there: $dir; done
        while read key value; do case $key in Cap???:|Uid:) echo $key $value ;; esac; done < /proc/self/status";
    let Some(output) = in_container(script) else { return };
    let none = "0000000000000000";
    let expected =
        format!("/out\nUid: 65534 65534 65534 65534\nCapInh: {none}\nCapPrm: {none}\nCapEff: {none}\nCapBnd: {none}\nCapAmb: {none}\n");
    assert_eq!(text(&output), expected);
}

#[test]
fn cat() {
    // It sends itself to standard output. Until the server listens it is refused.
    let script = "
        sctp cat --listen 5000 --receive-only &
        until sctp cat 127.0.0.1:5000 --in /bin/sctp 2>/out/why; do
            read why < /out/why
            case $why in *refuses*) ;; *) echo \"$why\" >&2; exit 1;; esac
        done
        wait $!";
    let Some(output) = in_container(script) else { return };
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == std::fs::read(SCTP).unwrap(), "{} bytes came", output.stdout.len());
    // A runtime directory that is not there, as a login leaves it behind.
    let script = "XDG_RUNTIME_DIR=/run/user/65534 sctp ping 127.0.0.1:9 --count 1";
    let Some(output) = in_container(script) else { return };
    assert!(text(&output).contains("refuses"), "{}", text(&output));
}

#[test]
fn demo() {
    let Some(output) = in_container("rsp demo --out /out && [ -s /out/demo.png ] && [ -s /out/demo-elements.png ] && echo pictures") else {
        return;
    };
    let text = text(&output);
    assert!(output.status.success(), "{}: {text}", output.status);
    assert!(text.contains("equal the locally computed image") && text.ends_with("pictures\n"), "{text}");
}
