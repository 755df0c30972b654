//! What happened when, for the reader.
#![allow(clippy::disallowed_methods, reason = "edge: reads the clock")]

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Prints lines with the time since the demo began, above a progress bar if a human watches.
pub(super) struct Timeline {
    begin: Instant,
    bar: ProgressBar,
}

impl Timeline {
    /// Begins now.
    pub(super) fn start(pixels: u64) -> Self {
        let bar = ProgressBar::new(pixels);
        if let Ok(style) = ProgressStyle::with_template("{percent:>9} % [{wide_bar}]") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { begin: Instant::now(), bar }
    }

    /// Time since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Prints one line.
    pub(super) fn say(&self, what: impl Display) {
        let line = format!("{:>8.3} s  {what}", self.elapsed().as_secs_f64());
        self.bar.suspend(|| {
            // A reader that is gone is no reason to stop.
            drop(writeln!(io::stdout(), "{line}"));
        });
    }

    /// Moves the progress bar.
    pub(super) fn progress(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Removes the progress bar.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
