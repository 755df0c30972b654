//! The log: lines on standard error, chosen by `--log` or `RUST_LOG`.

use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

/// Starts the log with `filter` (as in `RUST_LOG`: a level, or levels per module), else with `RUST_LOG`, else with `default`.
///
/// # Errors
/// A filter that makes no sense.
pub fn init(filter: Option<&str>, default: &str) -> Result<()> {
    let from_environment = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let text = filter.or(from_environment.as_deref()).unwrap_or(default);
    let filter = EnvFilter::try_new(text)
        .with_context(|| format!("cannot understand the log filter {text:?}: give a level such as info, or module=level,..."))?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).finish();
    // Started twice (by tests that run a program as a function), the first log stays.
    drop(tracing::subscriber::set_global_default(subscriber));
    Ok(())
}
