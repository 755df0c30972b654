//! Counts the instructions that the hot path takes for a message, by callgrind, and compares them with `instructions.toml`.
//!
//! `cargo run --profile counted -p instructions`; more than 5 % above a figure fails. `-- --update` writes the figures of today.
//!
//! A count is no time, but it is the same on a busy machine and on a quiet one. It depends on the compiler, hence the version in
//! the file, and on what Valgrind says of the processor: it has to show SSE 4.2 (it does on any since 2008), for the checksum is
//! computed by it; how the C library copies is pinned below.
#![forbid(unsafe_code)]

mod workloads;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use toml::{Table, Value};
use workloads::{ALL, Workload};

/// Largest change of a count that is no news, in percent.
const TOLERANCE: u64 = 5;
/// Which instructions the C library copies with shall not depend on the processor.
const PINNED: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX512VL,-AVX512BW,-AVX2,-AVX,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load");

fn main() -> Result<ExitCode> {
    // Two words are no reason to compile a parser in every run of CI.
    let words: Vec<String> = std::env::args().skip(1).collect();
    let update = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--update"] => true,
        // A workload, and nothing is counted: what callgrind is called with.
        ["--run", name] => {
            ALL.iter().find(|w| w.name == name).context("no such workload")?.run();
            return Ok(ExitCode::SUCCESS);
        }
        _ => bail!("instructions [--update]"),
    };
    if let Some(reason) = missing() {
        println!("SKIP: {reason}");
        ensure!(std::env::var("REQUIRE").as_deref() != Ok("all"), "a skip is a failure here");
        return Ok(ExitCode::SUCCESS);
    }
    let counts = ALL.iter().map(|w| Ok((w.name, count(w)?))).collect::<Result<Vec<_>>>()?;
    if update {
        std::fs::write(file(), page(&counts)).context("instructions.toml")?;
    }
    compare(&counts)
}

/// What is not there that a count needs.
fn missing() -> Option<&'static str> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Some("the figures are for x86-64 Linux");
    }
    let valgrind = Command::new("valgrind").arg("--version").output().is_ok_and(|o| o.status.success());
    (!valgrind).then_some("valgrind is not installed")
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml")
}

/// Instructions of a message, or whatever the workload counts.
fn count(w: &Workload) -> Result<u64> {
    let exe = std::env::current_exe()?;
    let dir = exe.parent().context("a program is in a directory")?.join("callgrind");
    std::fs::create_dir_all(&dir)?;
    let profile = dir.join(format!("{}.out", w.name));
    let mut out_file = std::ffi::OsString::from("--callgrind-out-file=");
    out_file.push(&profile);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*workloads*measured*"])
        .arg(out_file)
        .arg(&exe)
        .args(["--run", w.name])
        .env(PINNED.0, PINNED.1)
        .output()?;
    ensure!(output.status.success(), "{}: {}", w.name, String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&profile)?;
    let total = text.lines().find_map(|l| l.strip_prefix("totals: ")).context("callgrind gave no total")?;
    let total: u64 = total.trim().parse().context("callgrind's total")?;
    ensure!(total > 0, "{}: nothing was counted: the function is not in the profile {}", w.name, profile.display());
    println!("{:<14} profile: callgrind_annotate {}", w.name, profile.display());
    Ok(total / w.count as u64)
}

fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output().context("rustc")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The text of `instructions.toml`.
fn page(counts: &[(&str, u64)]) -> String {
    let mut text = String::from(
        "# Instructions of the hot path for a message, a round trip, an association; both ends together, in memory.\n\
         # Written by `cargo run --profile counted -p instructions -- --update`; the check without `--update` fails beyond 5 %.\n",
    );
    text += &format!("compiler = \"{}\"\n\n[instructions]\n", compiler().unwrap_or_default());
    for (name, n) in counts {
        text += &format!("{name} = {n}\n");
    }
    text
}

/// Prints what was counted beside the committed figures; fails if a count is too large.
fn compare(counts: &[(&str, u64)]) -> Result<ExitCode> {
    let committed: Table = std::fs::read_to_string(file()).context("instructions.toml")?.parse()?;
    let figures = committed.get("instructions").and_then(Value::as_table).context("no table [instructions]")?;
    if let Some(theirs) = committed.get("compiler").and_then(Value::as_str) {
        let ours = compiler()?;
        if ours != theirs {
            println!("the figures are of {theirs}, this is {ours}: a change may be the compiler's");
        }
    }
    let (mut worse, mut better) = (Vec::new(), Vec::new());
    for &(name, now) in counts {
        let Some(before) = figures.get(name).and_then(Value::as_integer).and_then(|n| u64::try_from(n).ok()) else {
            bail!("{name}: no figure in instructions.toml; run with --update");
        };
        let change = 100 * (i128::from(now) - i128::from(before)) / i128::from(before.max(1));
        println!("{name:<14} {now:>8} instructions, committed {before:>8}, {change:+} %");
        if now * 100 > before * (100 + TOLERANCE) {
            worse.push(name);
        } else if now * (100 + TOLERANCE) < before * 100 {
            better.push(name);
        }
    }
    if !better.is_empty() {
        println!("more than {TOLERANCE} % better: {}. Commit the new figures: --update", better.join(", "));
    }
    if worse.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("more than {TOLERANCE} % worse: {}", worse.join(", "));
    Ok(ExitCode::FAILURE)
}
