//! What went over the wire, where neither end tells.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sctp_user::wire::Packet;
use tools::frames::{Frames, find_sctp};

use super::scenario::Site;
use super::transport::UDP;

const AUTH: u8 = 15;

/// A file with all packets of a test, which is kept if that fails.
pub(crate) struct Capture(PathBuf);

impl Capture {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lab-{}-{}.pcapng", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    pub(crate) fn file(&self) -> &Path {
        &self.0
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("all packets are in {}", self.0.display());
        } else {
            drop(std::fs::remove_file(&self.0));
        }
    }
}

impl Site<'_> {
    /// How many AUTH chunks there were since then (after the Unix epoch), by whether we sent them and by their HMAC identifier.
    pub(crate) fn hmacs(&self, since: Duration) -> BTreeMap<(bool, u16), usize> {
        let mut hmacs = BTreeMap::new();
        for frame in Frames::read(BufReader::new(File::open(self.capture).unwrap())).unwrap() {
            let frame = frame.unwrap();
            let Some(found) = find_sctp(&frame, &[UDP]).filter(|_| frame.time >= since) else { continue };
            for chunk in Packet::parse(found.payload).unwrap().chunks().map_while(Result::ok).filter(|chunk| chunk.kind == AUTH) {
                let hmac = u16::from_be_bytes([chunk.value[2], chunk.value[3]]);
                *hmacs.entry((self.ours.contains(&found.src), hmac)).or_default() += 1;
            }
        }
        hmacs
    }
}
