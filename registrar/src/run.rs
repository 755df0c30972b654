//! The running registrar.
use crate::cli::Options;
use anyhow::Result;
/// Runs.
pub fn run(options: &Options) -> Result<()> {
    let _ = options;
    Ok(())
}
