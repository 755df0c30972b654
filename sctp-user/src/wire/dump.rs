//! Packets for human eyes: on one line for logs, or as a tree for tools.
//!
//! What comes from the peer is cut short and escaped, so that a dump stays readable and cannot forge lines of a log.

use core::fmt::{self, Arguments, Display, Formatter, Write};

use super::cause::{Cause, Causes};
use super::chunk::{
    Asconf, AsconfAck, AsconfParam, AsconfResponse, Chunk, Data, Heartbeat, IData, Init, Place, Reconfig, ReconfigParam, ReconfigResult,
    Sack, StreamList, kind,
};
use super::packet::{Packet, RawChunk};
use super::param::{Param, kind as param};
use super::tlv::TlvError;

/// Items of a list that are shown before the rest is only counted.
const MAX_ITEMS: usize = 16;
/// Bytes of opaque values that are shown.
const MAX_BYTES: usize = 16;

/// A packet on one line, see [`line()`].
#[derive(Clone, Copy, Debug)]
pub struct Line<'a>(Packet<'a>);

/// A packet as a tree of several lines, see [`tree`].
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a>(Packet<'a>);

/// Shows `packet` on one line: `5001 > 3863 tag=1f2e3d4c SACK cum=17 a_rwnd=131072 | DATA BE tsn=18 ...`.
#[must_use]
pub const fn line<'a>(packet: &Packet<'a>) -> Line<'a> {
    Line(*packet)
}

/// Shows `packet` as a tree: a line for the common header, one for each chunk with its offset, one for each field.
#[must_use]
pub const fn tree<'a>(packet: &Packet<'a>) -> Tree<'a> {
    Tree(*packet)
}

/// The name of a chunk type, those of the extensions included.
#[must_use]
pub const fn chunk_name(kind: u8) -> &'static str {
    match kind {
        kind::DATA => "DATA",
        kind::INIT => "INIT",
        kind::INIT_ACK => "INIT-ACK",
        kind::SACK => "SACK",
        kind::HEARTBEAT => "HEARTBEAT",
        kind::HEARTBEAT_ACK => "HEARTBEAT-ACK",
        kind::ABORT => "ABORT",
        kind::SHUTDOWN => "SHUTDOWN",
        kind::SHUTDOWN_ACK => "SHUTDOWN-ACK",
        kind::ERROR => "ERROR",
        kind::COOKIE_ECHO => "COOKIE-ECHO",
        kind::COOKIE_ACK => "COOKIE-ACK",
        kind::ECNE => "ECNE",
        kind::CWR => "CWR",
        kind::SHUTDOWN_COMPLETE => "SHUTDOWN-COMPLETE",
        kind::AUTH => "AUTH",
        kind::I_DATA => "I-DATA",
        128 => "ASCONF-ACK",
        kind::RE_CONFIG => "RE-CONFIG",
        kind::PAD => "PAD",
        192 => "FORWARD-TSN",
        193 => "ASCONF",
        194 => "I-FORWARD-TSN",
        _ => "UNKNOWN",
    }
}

/// The name of a parameter type of INIT and INIT ACK, those of the extensions included.
#[must_use]
pub const fn param_name(kind: u16) -> &'static str {
    match kind {
        param::HEARTBEAT_INFO => "heartbeat-info",
        param::IPV4 => "ipv4",
        param::IPV6 => "ipv6",
        param::STATE_COOKIE => "state-cookie",
        param::UNRECOGNIZED => "unrecognized",
        param::COOKIE_PRESERVATIVE => "cookie-preservative",
        param::HOST_NAME => "host-name",
        param::SUPPORTED_ADDRESS_TYPES => "address-types",
        param::ECN_CAPABLE => "ecn-capable",
        0x8001 => "zero-checksum",
        0x8002 => "random",
        0x8003 => "chunks",
        0x8004 => "hmac-algo",
        0x8005 => "padding",
        0x8008 => "supported-extensions",
        0xc000 => "forward-tsn-supported",
        param::ADD_IP => "add-ip",
        param::DELETE_IP => "delete-ip",
        param::ERROR_CAUSE => "error-cause",
        param::SET_PRIMARY => "set-primary",
        param::SUCCESS => "success",
        0xc006 => "adaptation-layer",
        _ => "unknown",
    }
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let h = self.0.header;
        write!(f, "{} > {} tag={:08x}", h.src_port, h.dst_port, h.vtag.0)?;
        for (i, chunk) in self.0.chunks().enumerate() {
            f.write_str(if i == 0 { " " } else { " | " })?;
            match chunk {
                Ok(raw) => show(&raw, &mut InLine(f))?,
                Err(e) => write!(f, "MALFORMED({e})")?,
            }
        }
        Ok(())
    }
}

impl Display for Tree<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let h = self.0.header;
        write!(f, "SCTP port {} > {}, tag {:08x}", h.src_port, h.dst_port, h.vtag.0)?;
        for chunk in self.0.chunks() {
            match chunk {
                Ok(raw) => {
                    write!(f, "\n  @{} ", raw.offset)?;
                    show(&raw, &mut InTree(f))?;
                }
                Err(e) => write!(f, "\n  MALFORMED({e})")?,
            }
        }
        Ok(())
    }
}

/// Where the parts of a chunk go: both forms are written by the same code.
trait Sink {
    /// The chunk's name, flags and length.
    fn head(&mut self, raw: &RawChunk<'_>, flags: &str) -> fmt::Result;
    /// A field.
    fn field(&mut self, name: &str, value: Arguments<'_>) -> fmt::Result;
    /// A parameter, cause or other element of a list.
    fn item(&mut self, value: Arguments<'_>) -> fmt::Result;
}

struct InLine<'f, 'g>(&'f mut Formatter<'g>);

impl Sink for InLine<'_, '_> {
    fn head(&mut self, raw: &RawChunk<'_>, flags: &str) -> fmt::Result {
        self.0.write_str(chunk_name(raw.kind))?;
        if flags.is_empty() { Ok(()) } else { write!(self.0, " {flags}") }
    }

    fn field(&mut self, name: &str, value: Arguments<'_>) -> fmt::Result {
        write!(self.0, " {name}={value}")
    }

    fn item(&mut self, value: Arguments<'_>) -> fmt::Result {
        write!(self.0, " [{value}]")
    }
}

struct InTree<'f, 'g>(&'f mut Formatter<'g>);

impl Sink for InTree<'_, '_> {
    fn head(&mut self, raw: &RawChunk<'_>, flags: &str) -> fmt::Result {
        write!(self.0, "{} (type {}), flags 0x{:02x}", chunk_name(raw.kind), raw.kind, raw.flags)?;
        if !flags.is_empty() {
            write!(self.0, " ({flags})")?;
        }
        write!(self.0, ", {} bytes", raw.raw.len())
    }

    fn field(&mut self, name: &str, value: Arguments<'_>) -> fmt::Result {
        write!(self.0, "\n      {name}: {value}")
    }

    fn item(&mut self, value: Arguments<'_>) -> fmt::Result {
        write!(self.0, "\n      - {value}")
    }
}

fn show(raw: &RawChunk<'_>, s: &mut impl Sink) -> fmt::Result {
    let chunk = match raw.decode() {
        Ok(chunk) => chunk,
        Err(e) => {
            s.head(raw, "")?;
            return s.field("malformed", format_args!("{}", e.what));
        }
    };
    match chunk {
        Chunk::Data(c) => show_data(raw, &c, s),
        Chunk::IData(c) => show_i_data(raw, &c, s),
        Chunk::Init(c) | Chunk::InitAck(c) => show_init(raw, &c, s),
        Chunk::Sack(c) => show_sack(raw, &c, s),
        Chunk::Heartbeat(c) | Chunk::HeartbeatAck(c) => show_heartbeat(raw, &c, s),
        Chunk::Abort(c) => {
            s.head(raw, t_flag(c.t))?;
            show_causes(c.causes(), s)
        }
        Chunk::Error(c) => {
            s.head(raw, "")?;
            show_causes(c.causes(), s)
        }
        Chunk::Shutdown(c) => {
            s.head(raw, "")?;
            s.field("cum", format_args!("{}", c.cum_tsn))
        }
        Chunk::CookieEcho(c) => {
            s.head(raw, "")?;
            s.field("cookie", format_args!("{}", Hex(c.cookie)))
        }
        Chunk::Ecne(tsn) | Chunk::Cwr(tsn) => {
            s.head(raw, "")?;
            s.field("tsn", format_args!("{tsn}"))
        }
        Chunk::ShutdownComplete(c) => s.head(raw, t_flag(c.t)),
        Chunk::ShutdownAck | Chunk::CookieAck => s.head(raw, ""),
        Chunk::Auth(c) => {
            s.head(raw, "")?;
            s.field("key", format_args!("{}", c.key))?;
            s.field("hmac", format_args!("{}", c.hmac))?;
            s.field("mac", format_args!("{}", Hex(c.mac)))
        }
        Chunk::Reconfig(c) => show_reconfig(raw, &c, s),
        Chunk::Pad(c) => {
            s.head(raw, "")?;
            s.field("len", format_args!("{}", c.padding.len()))
        }
        Chunk::Asconf(c) => show_asconf(raw, &c, s),
        Chunk::AsconfAck(c) => show_asconf_ack(raw, &c, s),
        Chunk::ForwardTsn(c) => {
            s.head(raw, "")?;
            s.field("cum", format_args!("{}", c.cum_tsn))?;
            show_list("skipped", c.skipped.iter(), |e| format!("{}:{}", e.sid, e.ssn), s)
        }
        Chunk::IForwardTsn(c) => {
            s.head(raw, "")?;
            s.field("cum", format_args!("{}", c.cum_tsn))?;
            show_list("skipped", c.skipped.iter(), |e| format!("{}:{}{}", e.sid, e.mid, if e.unordered { "U" } else { "" }), s)
        }
        Chunk::Unknown(raw) => {
            s.head(&raw, "")?;
            s.field("type", format_args!("{}", raw.kind))?;
            s.field("value", format_args!("{}", Hex(raw.value)))
        }
    }
}

/// The first entries of a list, if there are any.
fn show_list<T>(name: &str, list: impl Iterator<Item = T> + Clone, show: impl Fn(T) -> String, s: &mut impl Sink) -> fmt::Result {
    let text: Vec<_> = list.clone().take(MAX_ITEMS).map(show).collect();
    if text.is_empty() { Ok(()) } else { s.field(name, format_args!("{}{}", text.join(" "), More(list.count()))) }
}

/// The first items of a list, then what is broken in it.
fn show_items<T, S: Sink>(
    items: impl Iterator<Item = Result<T, TlvError>> + Clone,
    s: &mut S,
    show: impl Fn(T, &mut S) -> fmt::Result,
) -> fmt::Result {
    for (i, item) in items.clone().enumerate() {
        if i >= MAX_ITEMS {
            return s.item(format_args!("... and {} more", items.count() - i));
        }
        match item {
            Ok(item) => show(item, s)?,
            Err(e) => show_broken(e, s)?,
        }
    }
    Ok(())
}

const fn t_flag(t: bool) -> &'static str {
    if t { "T" } else { "" }
}

fn show_data(raw: &RawChunk<'_>, c: &Data<'_>, s: &mut impl Sink) -> fmt::Result {
    s.head(raw, &data_flags([c.immediate, c.unordered, c.begin, c.end]))?;
    s.field("tsn", format_args!("{}", c.tsn))?;
    s.field("sid", format_args!("{}", c.sid))?;
    s.field("ssn", format_args!("{}", c.ssn))?;
    s.field("ppid", format_args!("{}", c.ppid))?;
    s.field("len", format_args!("{}", c.payload.len()))
}

fn show_i_data(raw: &RawChunk<'_>, c: &IData<'_>, s: &mut impl Sink) -> fmt::Result {
    s.head(raw, &data_flags([c.immediate, c.unordered, c.place.is_first(), c.end]))?;
    s.field("tsn", format_args!("{}", c.tsn))?;
    s.field("sid", format_args!("{}", c.sid))?;
    s.field("mid", format_args!("{}", c.mid))?;
    match c.place {
        Place::First(ppid) => s.field("ppid", format_args!("{ppid}"))?,
        Place::Later(fsn) => s.field("fsn", format_args!("{fsn}"))?,
    }
    s.field("len", format_args!("{}", c.payload.len()))
}

/// The flags of DATA and I-DATA that are set, by their letters.
fn data_flags(set: [bool; 4]) -> String {
    set.into_iter().zip("IUBE".chars()).filter(|(on, _)| *on).map(|(_, letter)| letter).collect()
}

fn show_init(raw: &RawChunk<'_>, c: &Init<'_>, s: &mut impl Sink) -> fmt::Result {
    s.head(raw, "")?;
    s.field("tag", format_args!("{:08x}", c.tag.0))?;
    s.field("a_rwnd", format_args!("{}", c.a_rwnd))?;
    s.field("out", format_args!("{}", c.outbound))?;
    s.field("in", format_args!("{}", c.inbound))?;
    s.field("tsn", format_args!("{}", c.tsn))?;
    show_items(c.params(), s, |(param, _), s| show_param(&param, s))
}

fn show_param(p: &Param<'_>, s: &mut impl Sink) -> fmt::Result {
    match p {
        Param::HeartbeatInfo(v) => s.item(format_args!("heartbeat-info {}", Hex(v))),
        Param::Address(a) => s.item(format_args!("{a}")),
        Param::StateCookie(v) => s.item(format_args!("state-cookie {}", Hex(v))),
        Param::Unrecognized(v) => s.item(format_args!("unrecognized {}", Hex(v))),
        Param::CookiePreservative(ms) => s.item(format_args!("cookie-preservative {ms} ms")),
        Param::HostName(v) => s.item(format_args!("host-name {}", Text(v))),
        Param::SupportedAddressTypes(v) => s.item(format_args!("address-types {}", Hex(v))),
        Param::EcnCapable => s.item(format_args!("ecn-capable")),
        Param::ZeroChecksum(method) => s.item(format_args!("zero-checksum {method}")),
        Param::Random(v) => s.item(format_args!("random {}", Hex(v))),
        Param::Chunks(v) => s.item(format_args!("chunks {}", Hex(v))),
        Param::HmacAlgo(v) => s.item(format_args!("hmac-algo {}", Hex(v))),
        Param::SupportedExtensions(v) => s.item(format_args!("supported-extensions {}", Hex(v))),
        Param::ForwardTsnSupported => s.item(format_args!("forward-tsn-supported")),
        Param::SetPrimary { correlation, addr } => s.item(format_args!("set-primary {addr} #{correlation}")),
        Param::Adaptation(n) => s.item(format_args!("adaptation {n:08x}")),
        Param::Unknown(t) => s.item(format_args!("{} (0x{:04x}) {}", param_name(t.kind), t.kind, Hex(t.value))),
    }
}

fn show_sack(raw: &RawChunk<'_>, c: &Sack<'_>, s: &mut impl Sink) -> fmt::Result {
    s.head(raw, "")?;
    s.field("cum", format_args!("{}", c.cum_tsn))?;
    s.field("a_rwnd", format_args!("{}", c.a_rwnd))?;
    if !c.gaps.is_empty() {
        let mut text = String::new();
        for g in c.gaps.iter().take(MAX_ITEMS) {
            write!(text, "+{}..+{} ", g.start, g.end)?;
        }
        s.field("gaps", format_args!("{}{}", text.trim_end(), More(c.gaps.len())))?;
    }
    if !c.dups.is_empty() {
        let mut text = String::new();
        for t in c.dups.iter().take(MAX_ITEMS) {
            write!(text, "{t} ")?;
        }
        s.field("dups", format_args!("{}{}", text.trim_end(), More(c.dups.len())))?;
    }
    Ok(())
}

fn show_heartbeat(raw: &RawChunk<'_>, c: &Heartbeat<'_>, s: &mut impl Sink) -> fmt::Result {
    s.head(raw, "")?;
    s.field("info", format_args!("{}", Hex(c.info().unwrap_or(&[]))))
}

fn show_asconf(raw: &RawChunk<'_>, c: &Asconf<'_>, s: &mut impl Sink) -> fmt::Result {
    s.head(raw, "")?;
    s.field("serial", format_args!("{}", c.serial))?;
    s.field("address", format_args!("{}", c.address))?;
    show_items(c.params.iter(), s, |(param, _), s| match param {
        AsconfParam::Request { request, correlation, addr } => s.item(format_args!("{} {addr} #{correlation}", param_name(request.kind()))),
        AsconfParam::Unknown(t) => s.item(format_args!("{} (0x{:04x}) {}", param_name(t.kind), t.kind, Hex(t.value))),
    })
}

fn show_asconf_ack(raw: &RawChunk<'_>, c: &AsconfAck<'_>, s: &mut impl Sink) -> fmt::Result {
    s.head(raw, "")?;
    s.field("serial", format_args!("{}", c.serial))?;
    show_items(c.responses.iter(), s, |(response, _), s| match response {
        AsconfResponse::Success { correlation } => s.item(format_args!("success #{correlation}")),
        AsconfResponse::Error { correlation, .. } => {
            s.item(format_args!("error #{correlation}"))?;
            show_causes(response.causes(), s)
        }
        AsconfResponse::Unknown(t) => s.item(format_args!("{} (0x{:04x}) {}", param_name(t.kind), t.kind, Hex(t.value))),
    })
}

fn show_reconfig(raw: &RawChunk<'_>, c: &Reconfig<'_>, s: &mut impl Sink) -> fmt::Result {
    s.head(raw, "")?;
    show_items(c.params(), s, |param, s| match param {
        ReconfigParam::OutgoingReset { request, response, last_tsn, streams } => {
            s.item(format_args!("outgoing-reset {request} for {response} after TSN {last_tsn} of {}", Streams(streams)))
        }
        ReconfigParam::IncomingReset { request, streams } => s.item(format_args!("incoming-reset {request} of {}", Streams(streams))),
        ReconfigParam::TsnReset { request } => s.item(format_args!("tsn-reset {request}")),
        ReconfigParam::Response { response, result, next_tsns: None } => {
            s.item(format_args!("response to {response}: {}", result_name(result)))
        }
        ReconfigParam::Response { response, result, next_tsns: Some((sender, receiver)) } => {
            s.item(format_args!("response to {response}: {}, next TSNs {sender} and {receiver}", result_name(result)))
        }
        ReconfigParam::AddOutgoing { request, count } => s.item(format_args!("add-outgoing {request}: {count} streams")),
        ReconfigParam::AddIncoming { request, count } => s.item(format_args!("add-incoming {request}: {count} streams")),
        ReconfigParam::Unknown(t) => s.item(format_args!("unknown ({}) {}", t.kind, Hex(t.value))),
    })
}

/// The results of RFC 6525 section 4.4.
const fn result_name(result: ReconfigResult) -> &'static str {
    match result {
        ReconfigResult::NOTHING_TO_DO => "nothing to do",
        ReconfigResult::PERFORMED => "performed",
        ReconfigResult::DENIED => "denied",
        ReconfigResult::WRONG_SSN => "wrong SSN",
        ReconfigResult::ALREADY_IN_PROGRESS => "request already in progress",
        ReconfigResult::BAD_SEQUENCE_NUMBER => "bad sequence number",
        ReconfigResult::IN_PROGRESS => "in progress",
        _ => "unknown result",
    }
}

fn show_causes(causes: Causes<'_>, s: &mut impl Sink) -> fmt::Result {
    show_items(causes, s, |cause, s| show_cause(&cause, s))
}

fn show_cause(c: &Cause<'_>, s: &mut impl Sink) -> fmt::Result {
    match c {
        Cause::InvalidStream(sid) => s.item(format_args!("invalid stream {sid}")),
        Cause::MissingParams(v) => s.item(format_args!("missing parameters {}", Hex(v))),
        Cause::StaleCookie(us) => s.item(format_args!("stale cookie by {us} us")),
        Cause::OutOfResource => s.item(format_args!("out of resource")),
        Cause::UnresolvableAddress(v) => s.item(format_args!("unresolvable address {}", Hex(v))),
        Cause::UnrecognizedChunk(v) => s.item(format_args!("unrecognized chunk {}", Hex(v))),
        Cause::InvalidMandatoryParam => s.item(format_args!("invalid mandatory parameter")),
        Cause::UnrecognizedParams(v) => s.item(format_args!("unrecognized parameters {}", Hex(v))),
        Cause::NoUserData(tsn) => s.item(format_args!("no user data in TSN {tsn}")),
        Cause::CookieWhileShuttingDown => s.item(format_args!("cookie while shutting down")),
        Cause::RestartNewAddresses(v) => s.item(format_args!("restart with new addresses {}", Hex(v))),
        Cause::UserAbort(v) => s.item(format_args!("user abort {}", Text(v))),
        Cause::ProtocolViolation(v) => s.item(format_args!("protocol violation {}", Text(v))),
        Cause::DeleteLastAddress(v) => s.item(format_args!("delete last address {}", Hex(v))),
        Cause::ResourceShortage(v) => s.item(format_args!("resource shortage {}", Hex(v))),
        Cause::DeleteSourceAddress(v) => s.item(format_args!("delete source address {}", Hex(v))),
        Cause::IllegalAsconfAck => s.item(format_args!("illegal ASCONF-ACK")),
        Cause::NotAuthorized(v) => s.item(format_args!("not authorized {}", Hex(v))),
        Cause::UnsupportedHmac(id) => s.item(format_args!("unsupported HMAC identifier {id}")),
        Cause::Unknown(t) => s.item(format_args!("cause {} {}", t.kind, Hex(t.value))),
    }
}

fn show_broken(e: TlvError, s: &mut impl Sink) -> fmt::Result {
    s.item(format_args!("MALFORMED({e})"))
}

/// The streams that a request names.
struct Streams<'a>(StreamList<'a>);

impl Display for Streams<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("all streams");
        }
        f.write_str("streams")?;
        for sid in self.0.iter().take(MAX_ITEMS) {
            write!(f, " {sid}")?;
        }
        write!(f, "{}", More(self.0.len()))
    }
}

/// The first bytes of an opaque value, and its length.
struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take(MAX_BYTES) {
            write!(f, "{byte:02x}")?;
        }
        if self.0.len() > MAX_BYTES { write!(f, "..({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

/// Text that the peer chose: escaped and cut short.
struct Text<'a>(&'a [u8]);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..MAX_BYTES * 4).unwrap_or(self.0);
        write!(f, "\"{}\"", shown.escape_ascii())?;
        if shown.len() < self.0.len() { write!(f, "..({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

/// How many elements of a list were left out, if any.
struct More(usize);

impl Display for More {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 > MAX_ITEMS { write!(f, " (+{})", self.0 - MAX_ITEMS) } else { Ok(()) }
    }
}
