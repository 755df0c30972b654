//! Shared keys (RFC 4895): from a file that nobody else may read, or from the environment; never from the command line, which every
//! user of a host can see.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use sctp_user::{KeyId, KeyRing};
use zeroize::Zeroizing;

/// The variable with the keys themselves, for programs without a file: what a file would hold, `;` between its lines.
pub const KEY_VARIABLE: &str = "RSP_KEY";
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// Most keys: enough to change them while both the old and the new ones are in use.
const MAX_KEYS: usize = 16;
/// Shortest and longest key, in bytes. Below 128 bits it could be guessed.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=256;
/// How to mend a line that cannot be read.
const FORMAT: &str = "a line is IDENTIFIER:KEY, the identifier between 1 and 65535, the key 16 to 256 bytes as hexadecimal digits";

/// Flags about shared keys.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Keys")]
pub struct KeyOptions {
    /// Speak only with who has one of the shared keys in FILE (lines IDENTIFIER:HEX; the first one is sent with); changes of the
    /// file are noticed. Without it, keys may be in the environment variable RSP_KEY
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

impl KeyOptions {
    /// The keys that the user gave, of which the first is the active one; `None` if he wants none.
    ///
    /// # Errors
    /// One line for the user: what is wrong with the file or the variable, and how to mend it.
    pub fn read(&self) -> Result<Option<KeyRing>> {
        if let Some(path) = &self.key_file {
            return read(path).map(Some);
        }
        let Ok(text) = std::env::var(KEY_VARIABLE).map(Zeroizing::new) else { return Ok(None) };
        parse(&text).map(Some).with_context(|| format!("environment variable {KEY_VARIABLE}"))
    }

    /// A look-out for changes of the file.
    #[must_use]
    pub fn watch(&self) -> KeyWatch {
        let path = self.key_file.clone();
        KeyWatch { state: path.as_deref().map(FileState::of), path }
    }
}

/// Notices that the key file was changed.
#[derive(Debug)]
pub struct KeyWatch {
    path: Option<PathBuf>,
    state: Option<FileState>,
}

impl KeyWatch {
    /// The keys of the file if it has changed since the last call, and a line in the log about it. If they cannot be read, those that
    /// are in use stay.
    pub fn poll(&mut self) -> Option<KeyRing> {
        match self.changed() {
            Ok(keys) => {
                if let Some(keys) = &keys {
                    tracing::info!("the shared keys have changed: sending with key {}", keys.active());
                }
                keys
            }
            Err(err) => {
                tracing::error!("the shared keys stay as they are: {err:#}");
                None
            }
        }
    }

    /// As [`Self::poll`].
    fn changed(&mut self) -> Result<Option<KeyRing>> {
        let Some(path) = &self.path else { return Ok(None) };
        let state = FileState::of(path);
        if self.state.as_ref() == Some(&state) {
            return Ok(None);
        }
        self.state = Some(state);
        read(path).map(Some)
    }
}

/// What tells one content of a file from another.
#[derive(PartialEq, Eq, Debug)]
struct FileState(Option<[i64; 4]>);

impl FileState {
    fn of(path: &Path) -> Self {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Self(std::fs::metadata(path).ok().map(|m| [number(m.ino()), number(m.len()), m.mtime(), m.mtime_nsec()]))
    }
}

fn read(path: &Path) -> Result<KeyRing> {
    let name = path.display();
    let mut file = File::open(path).with_context(|| format!("cannot read the keys in {name}"))?;
    // Of what is open, not of what the name means a moment later.
    let metadata = file.metadata().with_context(|| format!("cannot read the keys in {name}"))?;
    check(&metadata, rustix::process::geteuid().as_raw()).with_context(|| name.to_string())?;
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(metadata.len().min(MAX_FILE)).unwrap_or(0) + 1));
    file.by_ref().take(MAX_FILE + 1).read_to_string(&mut text).with_context(|| format!("cannot read the keys in {name}"))?;
    parse(&text).with_context(|| name.to_string())
}

/// Whether a file may hold keys for a user.
fn check(file: &Metadata, user: u32) -> Result<()> {
    if !file.is_file() {
        bail!("is no file: give the name of one with keys");
    }
    if file.uid() != user && file.uid() != 0 {
        bail!("belongs to another user, who could change the keys: own it yourself");
    }
    if file.mode() & 0o077 != 0 {
        bail!("others may read or change the keys (mode {:03o}): chmod 600 it", file.mode() & 0o777);
    }
    if file.len() > MAX_FILE {
        bail!("is longer than {MAX_FILE} bytes: {FORMAT}");
    }
    Ok(())
}

fn parse(text: &str) -> Result<KeyRing> {
    let mut keys: Option<KeyRing> = None;
    let mut count = 0;
    let lines = text.split(['\n', ';']).map(str::trim).zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    for (line, number) in lines {
        // No message shows a part of the line: it might be one of the key.
        let (id, key) = key(line).with_context(|| format!("line {number}: {FORMAT}"))?;
        match &mut keys {
            None => keys = Some(KeyRing::only(id, &key)?),
            Some(keys) if keys.get(id).is_some() => bail!("line {number}: identifier {id} stands there twice: give each key its own"),
            Some(keys) => keys.set(id, &key)?,
        }
        count += 1;
        if count > MAX_KEYS {
            bail!("there are more than {MAX_KEYS} keys: remove those that are not used any more");
        }
    }
    keys.with_context(|| format!("there is no key: {FORMAT}"))
}

fn key(line: &str) -> Option<(KeyId, Zeroizing<Vec<u8>>)> {
    let (id, digits) = line.split_once(':')?;
    let id = id.trim().parse().ok().filter(|id| *id != 0)?;
    let digits = digits.trim().as_bytes();
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() || !LENGTHS.contains(&pairs.len()) {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    // With room for all of it: what a vector leaves behind when it grows would not be wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for [high, low] in pairs {
        bytes.push(nibble(*high)? << 4 | nibble(*low)?);
    }
    Some((KeyId(id), bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const A: &str = "000102030405060708090a0b0c0d0e0f";
    const B: &str = "FFEEDDCCBBAA99887766554433221100ff";

    fn write(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn options(path: &Path) -> KeyOptions {
        KeyOptions { key_file: Some(path.to_owned()) }
    }

    #[test]
    fn keys_have_identifiers_and_the_first_is_sent_with() {
        let keys = parse(&format!("# ours\n\n 7:{A} \r\n1 : {B}\n")).unwrap();
        let mut expected = KeyRing::only(KeyId(7), &(0..16).collect::<Vec<u8>>()).unwrap();
        let other: Vec<u8> = (0..16u8).map(|n| 0xff - 0x11 * n).chain([0xff]).collect();
        expected.set(KeyId(1), &other).unwrap();
        assert_eq!(keys, expected);
        assert_eq!((keys.active(), keys.get(KeyId(0))), (KeyId(7), None), "who has no key is not let in");
        assert_eq!(parse(&format!("1:{A};2:{B}")).unwrap().iter().count(), 2);
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        let short = &A[2..];
        let long = "00".repeat(257);
        let many: String = (1..=17).map(|n| format!("{n}:{A}\n")).collect();
        for (text, why) in [
            (String::new(), "no key"),
            (A.to_owned(), "line 1: a line is"),
            (format!("0:{A}"), "line 1"),
            (format!("65536:{A}"), "line 1"),
            (format!("1:{short}"), "16 to 256"),
            (format!("1:{A}0"), "line 1"),
            (format!("1:{A}xy"), "line 1"),
            (format!("1:{long}"), "line 1"),
            (format!("1:{A}\n1:{B}"), "line 2: identifier 1 stands there twice"),
            (many, "more than 16"),
        ] {
            let told = format!("{:#}", parse(&text).unwrap_err());
            assert!(told.contains(why) && !told.contains(short), "{text}: {told}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        for mode in [0o640, 0o604, 0o620, 0o666] {
            write(&path, &format!("1:{A}"), mode);
            let told = format!("{:#}", options(&path).read().unwrap_err());
            assert!(told.contains("chmod 600") && told.contains(&format!("{mode:o}")), "{told}");
        }
        for mode in [0o600, 0o400] {
            write(&path, &format!("1:{A}"), mode);
            assert_eq!(options(&path).read().unwrap().unwrap().active(), KeyId(1));
            std::fs::remove_file(&path).unwrap();
        }
        assert!(format!("{:#}", options(&path).read().unwrap_err()).contains("cannot read"));
        assert!(format!("{:#}", options(dir.path()).read().unwrap_err()).contains("no file"));
        write(&path, &" ".repeat(70_000), 0o600);
        assert!(format!("{:#}", options(&path).read().unwrap_err()).contains("longer than"));
    }

    #[test]
    fn another_users_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        write(&path, &format!("1:{A}"), 0o600);
        let metadata = std::fs::metadata(&path).unwrap();
        check(&metadata, metadata.uid()).unwrap();
        let other = check(&metadata, metadata.uid() + 1);
        // Root may change everything anyway.
        assert_eq!(other.is_ok(), metadata.uid() == 0);
    }

    #[test]
    fn a_change_is_noticed_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        write(&path, &format!("1:{A}"), 0o600);
        let mut watch = options(&path).watch();
        assert!(watch.changed().unwrap().is_none());
        // As one changes it: a new file takes the name, so that nobody reads half of it.
        let new = dir.path().join("new");
        write(&new, &format!("2:{B}\n1:{A}"), 0o600);
        std::fs::rename(&new, &path).unwrap();
        assert_eq!(watch.changed().unwrap().unwrap().active(), KeyId(2));
        assert!(watch.changed().unwrap().is_none());
        write(&path, "nonsense", 0o600);
        watch.changed().unwrap_err();
        assert!(watch.changed().unwrap().is_none());
        assert!(KeyOptions::default().watch().changed().unwrap().is_none());
    }
}
