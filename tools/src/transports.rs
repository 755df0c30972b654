//! What carries SCTP: the flags that all programs of this crate share.

use std::net::IpAddr;

use anyhow::{Context, Result};
use clap::Args;
use registrar::cli::CommonOptions;
use sctp_user::socket::{Handle, Runtime, RuntimeBuilder, SocketNode};

/// Flags that choose what carries SCTP.
#[derive(Clone, Debug, Args)]
pub struct TransportOptions {
    /// Flags that the registrar has, too.
    #[command(flatten)]
    pub common: CommonOptions,
    /// Send and receive SCTP directly over IP, too; needs CAP_NET_RAW. Peers are tried over UDP first
    #[arg(long)]
    pub raw: bool,
    /// No other SCTP, of the kernel or another program, uses raw IP here: packets to ports that nobody has are answered by an ABORT
    #[arg(long, requires = "raw")]
    pub raw_alone: bool,
    /// Do without UDP encapsulation
    #[arg(long, requires = "raw")]
    pub no_udp: bool,
    /// Use this address of the host alone instead of all; the UDP port is then not shared with other programs
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<IpAddr>,
}

/// What a program does with its associations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Peers open them, so its UDP port must be the one that they know.
    Server,
    /// It opens them itself, which works from any UDP port.
    Client,
}

impl TransportOptions {
    /// Starts the log: with `--log`, else RUST_LOG, else `default`.
    ///
    /// # Errors
    /// A filter that makes no sense.
    pub fn init_log(&self, default: &str) -> Result<()> {
        registrar::log::init(self.common.log.as_deref(), default)
    }

    /// Applies the flags to a runtime that is being built.
    #[must_use]
    pub fn apply(&self, mut builder: RuntimeBuilder, role: Role) -> RuntimeBuilder {
        builder = builder.udp_port(self.common.udp_port).fallback_to_ephemeral(role == Role::Client);
        if self.raw {
            builder = builder.raw().raw_alone(self.raw_alone);
        }
        if self.no_udp {
            builder = builder.no_udp();
        }
        if let Some(addr) = self.bind {
            builder = builder.bind(addr);
        }
        if let Some(path) = &self.common.pcap {
            builder = builder.pcap(path);
        }
        builder
    }

    /// What carries SCTP, in words.
    #[must_use]
    pub fn describe(&self, udp_port: u16) -> String {
        match (self.no_udp, self.raw) {
            (true, _) => "over IP".into(),
            (false, true) => format!("over UDP port {udp_port} and over IP"),
            (false, false) => format!("over UDP port {udp_port}"),
        }
    }

    /// Binds the sockets and starts the thread that drives them.
    ///
    /// # Errors
    /// One line that can be shown to the user as it is.
    pub fn start(&self, role: Role) -> Result<Handle<SocketNode>> {
        let runtime = self.apply(Runtime::builder(), role).build()?;
        let node = SocketNode::new(runtime.stack_config()).context("no random numbers from the operating system")?;
        runtime.spawn(node).context("cannot start a thread")
    }
}
