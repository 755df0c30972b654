//! The command line, and how a program says that something is wrong: in one line.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Args, Parser};

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
  registrar --udp-port 9900            if another user of this host has UDP port 9899
  registrar --pcap asap.pcapng         what it sends and receives, for Wireshark
  registrar --log debug                tell more

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

/// Flags of the registrar.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// SCTP port of ASAP [default: 3863, or a free one if that is taken]
    #[arg(long, value_name = "PORT")]
    pub asap: Option<u16>,
    /// Identifier of this registrar, e.g. 0x1234abcd [default: random]
    #[arg(long, value_name = "ID", value_parser = identifier)]
    pub identifier: Option<u32>,
    /// Multicast group and UDP port to announce to
    #[arg(long, value_name = "GROUP:PORT", default_value = ANNOUNCE_GROUP)]
    pub announce: SocketAddr,
    /// Announce once in so many milliseconds [default: by the number of registrars, 1000 to 2000]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub announce_interval: Option<Duration>,
    /// Ask each element for a sign of life once in so many milliseconds
    #[arg(long, value_name = "MS", default_value = "5000", value_parser = milliseconds)]
    pub keep_alive_interval: Duration,
    /// Time to live of announces; 1 stays on the link
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: u8,
    /// Announce on the loopback interface only
    #[arg(long, conflicts_with = "interface")]
    pub loopback_only: bool,
    /// Announce from this local address only; may be repeated
    #[arg(long, value_name = "ADDR")]
    pub interface: Vec<IpAddr>,
    /// Most elements in one answer to a user; 0 for all
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub max_hr_items: usize,
    /// Shared flags.
    #[command(flatten)]
    pub common: CommonOptions,
    /// Flags for the demo.
    #[command(flatten)]
    pub child: ChildOptions,
}

/// Reads an identifier of an element or a registrar: decimal, or hexadecimal behind `0x`; zero is reserved.
///
/// # Errors
/// Anything else.
pub fn identifier(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.ok().filter(|&id| id != 0).ok_or_else(|| "an identifier is a number from 1 to 0xffffffff".into())
}

/// Reads a time in whole milliseconds, at least one.
///
/// # Errors
/// Anything else.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<u32>().ok().filter(|&ms| ms > 0);
    parsed.map(|ms| Duration::from_millis(ms.into())).ok_or_else(|| "a time is a whole number of milliseconds, at least 1".into())
}

/// Reads the address of a registrar: an IP address or a host's name, with or without a port.
///
/// # Errors
/// A name that has no address.
pub fn registrar_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Ok(addr);
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, ASAP_PORT));
    }
    let resolved = if text.contains(':') { text.to_socket_addrs() } else { (text, ASAP_PORT).to_socket_addrs() };
    resolved.ok().and_then(|mut addrs| addrs.next()).ok_or_else(|| "no such address: give ADDR or ADDR:PORT".into())
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
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["registrar"]).unwrap();
        assert_eq!(cli.options.announce.to_string(), ANNOUNCE_GROUP);
        assert_eq!(cli.options.keep_alive_interval, Duration::from_secs(5));
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

    #[test]
    fn values_are_read_strictly() {
        assert_eq!(identifier("0xBEEF"), Ok(0xbeef));
        assert_eq!(identifier("17"), Ok(17));
        for bad in ["0", "0x0", "", "x", "-1", "0x100000000"] {
            assert!(identifier(bad).is_err(), "{bad}");
        }
        assert_eq!(milliseconds("250"), Ok(Duration::from_millis(250)));
        assert!(milliseconds("0").is_err() && milliseconds("1.5").is_err());
        assert_eq!(registrar_address("127.0.0.1"), Ok("127.0.0.1:3863".parse().unwrap()));
        assert_eq!(registrar_address("[::1]:77"), Ok("[::1]:77".parse().unwrap()));
        assert!(registrar_address("127.0.0.1:x").is_err());
    }
}
