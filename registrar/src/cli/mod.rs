//! The command line, and how a program says that something is wrong: in one line.

mod access;
mod elements;
mod file;
mod keys;
mod limits;
mod options;
mod peers;
mod place;
mod values;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Args, Parser};

pub use access::AccessOptions;
pub use elements::ElementOptions;
pub use file::Options;
pub use keys::{KEY_VARIABLE, KeyOptions, KeyWatch};
pub use limits::LimitOptions;
pub use options::{AnnounceOptions, Flags, Groups};
pub use peers::{ArbitrationRule, Group, PRESENCE_GROUP, Peer, PeerOptions, Timers};
pub use place::{Place, registrar_place};
pub use values::{AnnouncePeriod, AnnouncePortRule, MinScope, Switch, Unit, identifier, milliseconds};

/// SCTP port of ASAP (RFC 5352 section 8.2), and the UDP port of its announces in RSPLIB.
pub const ASAP_PORT: u16 = 3863;
/// Multicast group and port of the announces: RSPLIB's.
pub const ANNOUNCE_GROUP: &str = "239.0.0.50:3863";

const USAGE_STATUS: u8 = 2;

/// The command line of the program `registrar`.
#[derive(Debug, Parser)]
#[command(name = "registrar", version, about = "The registrar (ENRP server) of Reliable Server Pooling", long_about = None, after_help = EXAMPLES)]
pub struct Cli {
    /// Flags.
    #[command(flatten)]
    pub options: Options,
}

/// Shown at the end of the help text.
pub const EXAMPLES: &str = "\
Examples:
  registrar                            all defaults: elements and users on this link find it by its announces
  registrar --loopback-only            for this host alone
  registrar --peer 192.0.2.7           with another registrar that multicast does not reach
  registrar --udp-port 9900            if another user of this host has UDP port 9899
  registrar --pcap asap.pcapng         what it sends and receives, for Wireshark
  registrar --log debug                tell more
  registrar --group iana --announce-period rfc --announce-port-rule rfc --life-unit seconds --keepalive-pe-id off
                                       as the RFCs have it, without RSPLIB in the scope
  registrar --allow-element 'Echo*@10.1.0.0/16' --allow-user 10.0.0.0/8
                                       echo servers from one network, users from a larger one
  registrar --resolution-rate 100/500 --max-elements-per-peer 50
                                       keep peers within bounds
  registrar --key-file /etc/rserpool.keys
                                       speak only with who has one of these shared keys
  registrar --config /etc/registrar.toml
                                       flags from a file, like `max-handle = 64`

It runs until SIGINT (Ctrl-C) or SIGTERM.";

/// Flags that all our programs share.
#[derive(Clone, Debug, Args)]
pub struct CommonOptions {
    /// UDP port that carries SCTP (RFC 6951), here and at the peers
    #[arg(long, value_name = "PORT", env = "SCTP_UDP_PORT", default_value_t = 9899, value_parser = clap::value_parser!(u16).range(1..))]
    pub udp_port: u16,
    /// Write every packet sent and received to FILE (pcapng)
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Log filter: error, warn, info, debug, trace, or module=level,... [env: RUST_LOG]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

/// Flags for programs that another program started.
#[derive(Clone, Debug, Args)]
pub struct ChildOptions {
    /// Print lines for programs to read
    #[arg(long, hide = true)]
    pub report: bool,
    /// Stop at the end of standard input
    #[arg(long, hide = true)]
    pub stop_on_eof: bool,
}

/// Prints what is wrong with the command line, or the help that was asked for.
#[must_use]
pub fn usage_error(program: &str, err: &clap::Error) -> ExitCode {
    let nothing_said = err.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if nothing_said || !err.use_stderr() {
        drop(err.print());
        return if nothing_said { ExitCode::from(USAGE_STATUS) } else { ExitCode::SUCCESS };
    }
    complain(program, format_args!("{} (try --help)", one_line(err)));
    ExitCode::from(USAGE_STATUS)
}

/// The exit status of a program that ended with `result`; an error is printed in one line.
#[must_use]
pub fn finish(program: &str, result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            complain(program, chain(&err));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, without those that an error before them has told already.
fn chain(err: &anyhow::Error) -> String {
    err.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        before if before.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}

fn complain(program: &str, what: impl Display) {
    let text = what.to_string().replace('\n', " ");
    // The standard error being closed leaves nobody to tell.
    drop(std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{program}: {text}\n")));
}

/// The message without the usage text behind it.
fn one_line(err: &clap::Error) -> String {
    let text = err.to_string();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .map(words)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("; ").trim_start_matches("error: ").replace(":;", ":")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["registrar"]).unwrap();
        assert_eq!(cli.options.announces.groups().collect::<Vec<_>>(), [ANNOUNCE_GROUP.parse().unwrap()]);
        assert_eq!(cli.options.elements.keep_alive_interval, Duration::from_secs(5));
    }

    #[test]
    fn errors_take_one_line() {
        for args in [&["registrar", "--prot"][..], &["registrar", "--ttl", "0"], &["registrar", "--announce"], &["registrar", "x"]] {
            let line = one_line(&Cli::try_parse_from(args).unwrap_err());
            assert!(!line.contains('\n') && !line.contains("Usage"), "{line}");
            assert!(line.len() > 20 && !line.starts_with("error"), "{line}");
        }
    }

    #[test]
    fn causes_are_told_once() {
        let root = std::io::Error::other("disk full");
        let err = anyhow::Error::new(root).context("cannot write f: disk full").context("no capture");
        assert_eq!(chain(&err), "no capture: cannot write f: disk full");
    }
}
