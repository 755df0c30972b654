//! What everything that takes part in a pool has in common: flags, and sessions for the services.
#![allow(clippy::disallowed_methods, reason = "edge: a thread looks after the key file")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use registrar::cli::{ANNOUNCE_GROUP, ChildOptions, KeyOptions, KeyWatch, Place, milliseconds, registrar_place};
use registrar::signal::Stop;
use rserpool::api::{
    AsapConfig, ElementConfig, Error, Failover, PeSession, PoolListener, PoolStream, Received, RegisterError, ResolveError, Rserpool,
    SendInfo, SessionConfig,
};
use rserpool::wire::{CauseCode, PoolHandle};
use tools::service::session::{Heard, Incoming, PoolSession, Session};
use tools::transports::{self, TransportOptions};

/// How long a message may wait for room before its session counts as broken.
const SEND_PATIENCE: Duration = Duration::from_secs(30);
/// How long the end of a session or of an element may take.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// How long an element whose registrar is gone waits for the one that takes over.
const ADOPTION_WAIT: Duration = Duration::from_secs(2);

/// Flags of pool elements and pool users.
#[derive(Debug, Args)]
pub(crate) struct PoolOptions {
    /// Pool handle [default: that of the service]
    #[arg(long, value_name = "NAME")]
    pub(crate) pool: Option<String>,
    /// Addresses or host name of a registrar, besides those whose announces are heard; may be repeated
    #[arg(long, value_name = "ADDR[:PORT][,ADDR]|NAME[:PORT]", value_parser = registrar_place)]
    pub(crate) registrar: Vec<Place>,
    /// Multicast group and UDP port to listen to for registrars' announces
    #[arg(long, value_name = "GROUP:PORT", default_value = ANNOUNCE_GROUP)]
    pub(crate) announce: SocketAddr,
    /// Give up if no registrar is found within so many milliseconds
    #[arg(long, value_name = "MS", default_value = "5000", value_parser = milliseconds)]
    pub(crate) registrar_timeout: Duration,
    /// Use the loopback interface only
    #[arg(long)]
    pub(crate) loopback_only: bool,
    /// Shared keys.
    #[command(flatten)]
    pub(crate) keys: KeyOptions,
    /// Flags that choose what carries SCTP.
    #[command(flatten)]
    pub(crate) transport: TransportOptions,
    /// Flags for the demo.
    #[command(flatten)]
    pub(crate) child: ChildOptions,
}

/// What a program does in its pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// It serves, so others must find its UDP port.
    Element,
    /// It only asks, which works from any UDP port.
    User,
}

/// A pool, and the runtime to take part in it.
pub(crate) struct Member<'a> {
    options: &'a PoolOptions,
    /// Before the pool, which ends with the last who holds it.
    _keeper: Option<Keeper>,
    rsp: Rserpool,
    pool: PoolHandle,
}

/// How often to look whether the key file was changed.
const KEY_TICK: Duration = Duration::from_millis(250);

/// Has a pool follow the changes of its key file, until it is dropped.
struct Keeper {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    fn start(rsp: Rserpool, mut watch: KeyWatch) -> io::Result<Self> {
        let stop = Stop::default();
        let stopped = stop.clone();
        let look = move || {
            while !stopped.wait(KEY_TICK) {
                if let Some(keys) = watch.poll()
                    && rsp.protect(&keys).is_err()
                {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("keys".into()).spawn(look)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            // A panic was printed already.
            drop(thread.join());
        }
    }
}

impl PoolOptions {
    /// Opens the sockets for the pool of `--pool`, else for `default_pool`.
    pub(crate) fn start(&self, default_pool: &str, role: Role) -> Result<Member<'_>> {
        let name = self.pool.as_deref().unwrap_or(default_pool);
        let pool = PoolHandle::new(name).with_context(|| format!("{name:?} cannot be a pool handle"))?;
        let mut asap = AsapConfig::rsplib();
        asap.hunt_limit = self.registrar_timeout;
        asap.reach_limit = asap.reach_limit.max(self.registrar_timeout);
        if role == Role::Element {
            asap.adoption_wait = ADOPTION_WAIT;
        }
        let role = if role == Role::User { transports::Role::Client } else { transports::Role::Server };
        let mut builder = Rserpool::builder().transports(|b| self.transport.apply(b, role)).announce_group(self.announce).asap(asap);
        for place in &self.registrar {
            builder = match place {
                Place::Addrs(addrs) => builder.multihomed_registrar(addrs.clone()),
                Place::Name(name, port) => builder.registrar_name(name, *port),
            };
        }
        if self.loopback_only {
            builder = builder.announce_interfaces(vec![self.loopback()]);
        }
        let watch = self.keys.watch();
        if let Some(keys) = self.keys.read()? {
            builder = builder.keys(keys);
        }
        let rsp = builder.start()?;
        let keeper = self.keys.key_file.is_some().then(|| Keeper::start(rsp.clone(), watch)).transpose();
        Ok(Member { options: self, _keeper: keeper.context("cannot start a thread")?, rsp, pool })
    }

    fn loopback(&self) -> IpAddr {
        if self.announce.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }
    }
}

impl Member<'_> {
    /// The pool.
    pub(crate) fn pool(&self) -> &PoolHandle {
        &self.pool
    }

    /// Opens a session with the pool.
    pub(crate) fn session(&self) -> Result<UserSession> {
        let stream = PoolStream::connect(&self.rsp, self.pool.clone(), SessionConfig::default()).map_err(|err| self.explain(err))?;
        let element = stream.element()?.map_or(0, |id| id.0);
        Ok(UserSession { stream, element })
    }

    /// Becomes an element of the pool.
    pub(crate) fn listen(&self, config: ElementConfig) -> Result<PoolListener> {
        let addrs = self.options.loopback_only.then(|| vec![self.options.loopback()]);
        PoolListener::bind(&self.rsp, self.pool.clone(), ElementConfig { addrs, ..config }).map_err(|err| self.explain(err))
    }

    /// Waits, within bounds, until what was said at the end of sessions has arrived.
    pub(crate) fn finish(&self) -> Result<()> {
        // The last association is the one with the registrar, which may stay.
        let over = |count: usize| (count <= 1).then_some(());
        self.rsp.handle().wait(Some(END_PATIENCE), |host, _| over(host.node()?.stack().association_count()))?;
        Ok(())
    }

    /// What is wrong, and how to mend it.
    fn explain(&self, err: Error) -> anyhow::Error {
        let pool = &self.pool;
        match err {
            Error::Resolve(ResolveError::NoRegistrar) | Error::Register(RegisterError::NoRegistrar) => {
                let ms = self.options.registrar_timeout.as_millis();
                let named: Vec<String> = self.options.registrar.iter().map(ToString::to_string).collect();
                if named.is_empty() {
                    anyhow!("no registrar found within {ms} ms: start one with `registrar`, or name one with --registrar ADDR")
                } else {
                    anyhow!("no registrar found, neither by an announce nor at {}: check --registrar, or start one", named.join(", "))
                }
            }
            Error::Resolve(ResolveError::Timeout) | Error::Register(RegisterError::Timeout) => {
                anyhow!("the registrar does not answer: start another one with `registrar`, or name one with --registrar ADDR")
            }
            Error::Resolve(ResolveError::UnknownPoolHandle(_)) => {
                anyhow!("pool {pool} does not exist: start an element of it with `rsp server --pool {pool}`")
            }
            Error::Register(RegisterError::Rejected(cause) | RegisterError::Postponed(cause)) => {
                anyhow!("the registrar refuses an element of pool {pool}: {cause}: {}", remedy(cause))
            }
            other => anyhow!(other),
        }
    }
}

/// What can be done about the refusal of an element.
fn remedy(cause: CauseCode) -> &'static str {
    match cause {
        CauseCode::NON_UNIQUE_ELEMENT_ID => "another element has this identifier: give another one with --identifier, or none",
        CauseCode::INCONSISTENT_POLICY => "use the policy of the elements that are there, or another pool with --pool",
        CauseCode::INCONSISTENT_TRANSPORT | CauseCode::INCONSISTENT_CONTROL => {
            "another service uses this pool: choose another one with --pool"
        }
        CauseCode::LACK_OF_RESOURCES => "it is full: try again later, or name another registrar with --registrar",
        CauseCode::SECURITY => "its access list does not allow it: ask who runs it, or name another registrar with --registrar",
        CauseCode::INVALID_VALUES => "a pool handle has at most 32 bytes, and elements on loopback addresses only serve their own host",
        CauseCode::RSPLIB_NO_ASAP_ADDRESSES | CauseCode::RSPLIB_NO_USER_ADDRESSES => {
            "this host needs an address that other hosts can reach"
        }
        _ => "the registrar's log may tell more",
    }
}

/// A session, seen from the pool user.
pub(crate) struct UserSession {
    stream: PoolStream,
    element: u32,
}

impl UserSession {
    /// Ends the session in order, within bounds.
    pub(crate) fn close(self) {
        // An element that is lost just now cannot be told.
        drop(self.stream.close(Some(END_PATIENCE)));
    }
}

impl PoolSession for UserSession {
    fn element(&self) -> u32 {
        self.element
    }

    fn receive(&mut self, wait: Duration) -> io::Result<Heard> {
        Ok(match self.stream.recv(Some(wait)) {
            Ok(Received::Message(message)) => {
                self.element = message.element.0;
                Heard::Message(message.data)
            }
            Ok(Received::Failover(Failover::Necessary { element, reason, .. })) => {
                self.element = element.0;
                Heard::Lost { reason: reason.to_string() }
            }
            Ok(Received::Failover(Failover::Complete { element, cookie_sent, .. })) => {
                self.element = element.0;
                Heard::FailedOver { element: element.0, resumed: cookie_sent }
            }
            // The services here send again by themselves what was not answered.
            Ok(_) | Err(Error::Timeout) => Heard::Nothing,
            Err(err) => return Err(err.into()),
        })
    }

    fn send(&mut self, bytes: &[u8], ppid: u32) -> io::Result<()> {
        Ok(self.stream.send(bytes, &SendInfo { timeout: Some(SEND_PATIENCE), ..SendInfo::ppid(ppid) })?)
    }

    fn force_failover(&mut self) -> io::Result<()> {
        Ok(self.stream.force_failover(true)?)
    }
}

/// A session, seen from the pool element.
pub(crate) struct ElementSession(pub(crate) PeSession);

impl Session for ElementSession {
    fn receive(&mut self, wait: Duration) -> io::Result<Incoming> {
        Ok(match self.0.recv(Some(wait)) {
            Ok(Received::Message(m)) => Incoming::Message { bytes: m.data, stream: m.stream, ppid: m.ppid },
            Ok(Received::CookieEcho(cookie)) => Incoming::CookieEcho(cookie),
            Ok(Received::Shutdown) | Err(Error::Ended(_)) => Incoming::Closed,
            Ok(_) | Err(Error::Timeout) => Incoming::Nothing,
            Err(err) => return Err(err.into()),
        })
    }

    fn send(&mut self, bytes: &[u8], stream: u16, ppid: u32) -> io::Result<()> {
        Ok(self.0.send(bytes, &SendInfo { stream, timeout: Some(SEND_PATIENCE), ..SendInfo::ppid(ppid) })?)
    }

    fn send_cookie(&mut self, cookie: &[u8]) -> io::Result<()> {
        Ok(self.0.send_cookie(cookie, Some(SEND_PATIENCE))?)
    }
}
