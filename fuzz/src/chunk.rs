//! Chunks that a fuzzer makes up: well-formed, with fields near what the association expects, so that they reach deep.

use arbitrary::Arbitrary;
use std::net::IpAddr;

use sctp_user::wire::chunk::{
    Abort, AddressRequest, Asconf, AsconfAck, AsconfParam, AsconfParams, AsconfResponse, AsconfResponses, CookieEcho, Data, Duplicates,
    Entries, ErrorChunk, ForwardTsn, GapBlock, Gaps, Heartbeat, IData, IForwardTsn, Init, InitParams, Place, Reconfig, ReconfigParam,
    ReconfigParams, ReconfigResult, Sack, Shutdown, ShutdownComplete, SkippedMid, SkippedSsn, StreamList,
};
use sctp_user::wire::cursor::Writer;
use sctp_user::wire::param::Param;
use sctp_user::wire::{Chunk, Encode as _, PacketWriter};
use sctp_user::{Assoc, Fsn, Mid, Ppid, ResetDirection, Serial, Ssn, StreamId, Time, Tsn, Vtag};

/// Most items of any list in a chunk.
const MAX_ITEMS: usize = 16;
/// Longest user data of a DATA chunk, in bytes.
const MAX_DATA: usize = 2_000;

/// What the maker of packets knows of the association, as an attacker on the path does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knowledge {
    /// The TSN that the stack expects next.
    pub(crate) next_tsn: u32,
    /// The highest TSN that the stack has sent.
    pub(crate) highest: u32,
    /// The last State Cookie of the stack.
    pub(crate) cookie: Vec<u8>,
    /// The last HEARTBEAT of the stack, its parameters.
    pub(crate) heartbeat: Vec<u8>,
    /// The peer's tag.
    pub(crate) peer_tag: u32,
    /// The peer's first TSN.
    pub(crate) peer_tsn: u32,
    /// The number of the peer's next ASCONF.
    pub(crate) asconf: u32,
    /// The number of the stack's last ASCONF.
    pub(crate) asked: u32,
    /// The number of the peer's next RE-CONFIG request.
    pub(crate) request: u32,
    /// The number of the stack's last RE-CONFIG request.
    pub(crate) requested: u32,
}

impl Knowledge {
    /// The TSN so far beyond the last one that the stack has got; the next one follows it.
    fn skip(&mut self, ahead: i8) -> Tsn {
        let cum = near(self.next_tsn.wrapping_sub(1), ahead);
        if ahead > 0 {
            self.next_tsn = cum.0.wrapping_add(1);
        }
        cum
    }
}

/// A chunk by fields. Numbers of transmission are relative to what the association knows.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum FuzzChunk {
    Data {
        ahead: i8,
        sid: u8,
        ssn: u8,
        flags: u8,
        ppid: u8,
        len: u16,
    },
    /// The next TSN in one piece, as a peer in its right mind sends it.
    NextData {
        sid: u8,
        ssn: u8,
        unordered: bool,
        len: u8,
    },
    Sack {
        behind: i8,
        rwnd: u32,
        gaps: Vec<(u8, u8)>,
        dups: Vec<i8>,
    },
    /// Acknowledges everything.
    SackAll {
        rwnd: u16,
    },
    Init(FuzzInit),
    InitAck(FuzzInit),
    Heartbeat {
        info: Vec<u8>,
    },
    HeartbeatAck {
        genuine: bool,
        info: Vec<u8>,
    },
    Abort {
        t: bool,
        causes: Vec<FuzzCause>,
    },
    Shutdown {
        behind: i8,
    },
    ShutdownAck,
    Error {
        causes: Vec<FuzzCause>,
    },
    CookieEcho {
        genuine: bool,
        cookie: Vec<u8>,
    },
    CookieAck,
    Ecne(i8),
    Cwr(i8),
    ShutdownComplete {
        t: bool,
    },
    /// A change of the peer's addresses: the next one, if `ahead` is 0.
    Asconf {
        ahead: i8,
        addr: u8,
        requests: Vec<(u8, u8, u8)>,
    },
    /// An answer to the stack's last ASCONF, if `ahead` is 0.
    AsconfAck {
        ahead: i8,
        errors: Vec<(u8, FuzzCause)>,
    },
    /// I-DATA; the number is that of the protocol, or of the fragment.
    IData {
        ahead: i8,
        sid: u8,
        mid: i8,
        flags: u8,
        number: i8,
        len: u16,
    },
    /// The next TSN as I-DATA, of a message that is cut into pieces.
    NextIData {
        sid: u8,
        mid: u8,
        fsn: u8,
        end: bool,
        unordered: bool,
        len: u8,
    },
    /// Requests and responses of stream reconfiguration; numbers from what comes next.
    Reconfig(Vec<FuzzReconfig>),
    /// Skips up to so many TSNs beyond what came, and in these streams up to these sequence numbers.
    ForwardTsn {
        ahead: i8,
        streams: Vec<(u8, u16)>,
    },
    /// The same with message identifiers.
    IForwardTsn {
        ahead: i8,
        streams: Vec<(u8, bool, u32)>,
    },
    /// Any type, any value.
    Raw {
        kind: u8,
        flags: u8,
        value: Vec<u8>,
    },
}

/// A parameter of RE-CONFIG by fields.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum FuzzReconfig {
    Outgoing { ahead: i8, response: i8, after: i8, streams: Vec<u8> },
    Incoming { ahead: i8, streams: Vec<u8> },
    Tsn { ahead: i8 },
    Response { ahead: i8, result: u8, tsns: Option<(i8, i8)> },
    AddOutgoing { ahead: i8, count: u16 },
    AddIncoming { ahead: i8, count: u16 },
}

impl FuzzReconfig {
    /// The streams that it names.
    fn streams(&self) -> Vec<StreamId> {
        match self {
            Self::Outgoing { streams, .. } | Self::Incoming { streams, .. } => {
                streams.iter().take(MAX_ITEMS).map(|sid| StreamId(u16::from(*sid % 8))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// As a parameter; a request of the right number makes the next one right.
    fn param<'a>(&self, k: &mut Knowledge, streams: &'a [StreamId]) -> ReconfigParam<'a> {
        let streams = StreamList::List(streams);
        let response = |ahead: i8| k.requested.wrapping_add_signed(i32::from(ahead));
        let mut request = |ahead: i8| {
            let number = k.request.wrapping_add_signed(i32::from(ahead));
            k.request = k.request.wrapping_add(u32::from(ahead == 0));
            number
        };
        match self {
            Self::Outgoing { ahead, response: to, after, .. } => ReconfigParam::OutgoingReset {
                response: response(*to),
                request: request(*ahead),
                last_tsn: near(k.next_tsn, *after),
                streams,
            },
            Self::Incoming { ahead, .. } => ReconfigParam::IncomingReset { request: request(*ahead), streams },
            Self::Tsn { ahead } => ReconfigParam::TsnReset { request: request(*ahead) },
            Self::Response { ahead, result, tsns } => ReconfigParam::Response {
                response: response(*ahead),
                result: ReconfigResult(u32::from(*result % 8)),
                next_tsns: tsns.map(|(a, b)| (near(k.next_tsn, a), near(k.highest, b))),
            },
            Self::AddOutgoing { ahead, count } => ReconfigParam::AddOutgoing { request: request(*ahead), count: *count },
            Self::AddIncoming { ahead, count } => ReconfigParam::AddIncoming { request: request(*ahead), count: *count },
        }
    }
}

/// The fields of an INIT or INIT ACK; the cookie is for the latter.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) struct FuzzInit {
    /// Whether it is the peer as it is known, and not another that took its place.
    pub(crate) known: bool,
    pub(crate) tag: u32,
    pub(crate) tsn: u32,
    pub(crate) rwnd: u32,
    pub(crate) streams: (u16, u16),
    pub(crate) cookie: bool,
    pub(crate) params: Vec<FuzzParam>,
}

#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum FuzzParam {
    V4([u8; 4]),
    V6([u8; 16]),
    Preservative(u32),
    Types(Vec<u8>),
    HostName(Vec<u8>),
    Ecn,
    Raw { kind: u16, value: Vec<u8> },
}

#[derive(Arbitrary, Clone, Debug)]
pub(crate) struct FuzzCause {
    code: u8,
    value: Vec<u8>,
}

/// An address: one of the peer's, a stranger's, none, or one that nobody has.
fn some_ip(n: u8) -> IpAddr {
    match n {
        0 => [0; 4].into(),
        1 => [0_u16; 8].into(),
        2 => [224, 0, 0, 1].into(),
        3 => [0xfd00, 0, 0, 0, 0, 0, 0, 1].into(),
        n => [10, 0, 1, n % 80].into(),
    }
}

fn near(base: u32, by: i8) -> Tsn {
    Tsn(base.wrapping_add_signed(i32::from(by)))
}

fn tlv(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let value = value.get(..value.len().min(255)).unwrap_or_default();
    Writer::new(out).tlv(kind, |w| w.bytes(value));
}

fn params(list: &[FuzzParam], cookie: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(cookie) = cookie {
        Param::StateCookie(cookie).encode(&mut Writer::new(&mut out));
    }
    for p in list.iter().take(MAX_ITEMS) {
        let mut w = Writer::new(&mut out);
        match p {
            FuzzParam::V4(a) => Param::Address((*a).into()).encode(&mut w),
            FuzzParam::V6(a) => Param::Address((*a).into()).encode(&mut w),
            FuzzParam::Preservative(ms) => Param::CookiePreservative(*ms).encode(&mut w),
            FuzzParam::Types(v) => tlv(&mut out, sctp_user::wire::param::kind::SUPPORTED_ADDRESS_TYPES, v),
            FuzzParam::HostName(v) => tlv(&mut out, sctp_user::wire::param::kind::HOST_NAME, v),
            FuzzParam::Ecn => Param::EcnCapable.encode(&mut w),
            FuzzParam::Raw { kind, value } => tlv(&mut out, *kind, value),
        }
    }
    out
}

fn causes(list: &[FuzzCause]) -> Vec<u8> {
    let mut out = Vec::new();
    for c in list.iter().take(MAX_ITEMS) {
        tlv(&mut out, u16::from(c.code), &c.value);
    }
    out
}

impl FuzzChunk {
    /// Whether the association must look at it whatever the tag is: it may be about another association, or a new one.
    pub(crate) const fn is_about_others(&self) -> bool {
        match self {
            Self::Init(_) | Self::InitAck(_) | Self::CookieEcho { .. } | Self::ShutdownAck => true,
            Self::Raw { kind, .. } => matches!(*kind, 1 | 2 | 6 | 8 | 9 | 10 | 14),
            _ => false,
        }
    }

    /// Appends the chunk to a packet.
    pub(crate) fn write(&self, k: &mut Knowledge, w: &mut PacketWriter<'_>) {
        let fill = [0x5a; MAX_DATA];
        let user_data = |len: u16| fill.get(..usize::from(len).min(MAX_DATA)).unwrap_or_default();
        match self {
            Self::Data { ahead, sid, ssn, flags, ppid, len } => w.push(&Data {
                immediate: flags & 8 != 0,
                unordered: flags & 4 != 0,
                begin: flags & 2 != 0,
                end: flags & 1 != 0,
                tsn: near(k.next_tsn, *ahead),
                sid: StreamId(u16::from(*sid)),
                ssn: Ssn(u16::from(*ssn)),
                ppid: Ppid(u32::from(*ppid)),
                payload: user_data(*len),
            }),
            Self::NextData { sid, ssn, unordered, len } => {
                let tsn = Tsn(k.next_tsn);
                k.next_tsn = k.next_tsn.wrapping_add(1);
                w.push(&Data {
                    immediate: false,
                    unordered: *unordered,
                    begin: true,
                    end: true,
                    tsn,
                    sid: StreamId(u16::from(*sid % 4)),
                    ssn: Ssn(u16::from(*ssn)),
                    ppid: Ppid(7),
                    payload: user_data(u16::from(*len) + 1),
                });
            }
            Self::IData { ahead, sid, mid, flags, number, len } => {
                // Near the wrap, too.
                let number = u32::MAX.wrapping_add_signed(i32::from(*number)).wrapping_add(1);
                w.push(&IData {
                    immediate: flags & 8 != 0,
                    unordered: flags & 4 != 0,
                    end: flags & 1 != 0,
                    tsn: near(k.next_tsn, *ahead),
                    sid: StreamId(u16::from(*sid)),
                    mid: Mid(0_u32.wrapping_add_signed(i32::from(*mid))),
                    place: if flags & 2 != 0 { Place::First(Ppid(number)) } else { Place::Later(Fsn(number)) },
                    payload: user_data(*len),
                });
            }
            Self::NextIData { sid, mid, fsn, end, unordered, len } => {
                let tsn = Tsn(k.next_tsn);
                k.next_tsn = k.next_tsn.wrapping_add(1);
                w.push(&IData {
                    immediate: false,
                    unordered: *unordered,
                    end: *end,
                    tsn,
                    sid: StreamId(u16::from(*sid % 4)),
                    mid: Mid(u32::from(*mid % 4)),
                    place: if fsn % 4 == 0 { Place::First(Ppid(7)) } else { Place::Later(Fsn(u32::from(fsn % 4))) },
                    payload: user_data(u16::from(*len) + 1),
                });
            }
            Self::Sack { behind, rwnd, gaps, dups } => {
                let gaps: Vec<_> =
                    gaps.iter().take(MAX_ITEMS).map(|(a, b)| GapBlock { start: u16::from(*a), end: u16::from(*b) }).collect();
                let dups: Vec<_> = dups.iter().take(MAX_ITEMS).map(|d| near(k.highest, *d)).collect();
                let (gaps, dups) = (Gaps::List(&gaps), Duplicates::List(&dups));
                w.push(&Sack { cum_tsn: near(k.highest, *behind), a_rwnd: *rwnd, gaps, dups });
            }
            Self::SackAll { rwnd } => {
                w.push(&Sack { cum_tsn: Tsn(k.highest), a_rwnd: u32::from(*rwnd), gaps: Gaps::List(&[]), dups: Duplicates::List(&[]) });
            }
            Self::Init(f) => {
                let bytes = params(&f.params, None);
                w.push(&Chunk::Init(f.chunk(k, &bytes)));
            }
            Self::InitAck(f) => {
                let bytes = params(&f.params, f.cookie.then_some(b"a cookie of the peer"));
                w.push(&Chunk::InitAck(f.chunk(k, &bytes)));
            }
            Self::Heartbeat { info } => {
                let mut tlvs = Vec::new();
                tlv(&mut tlvs, 1, info);
                w.push(&Chunk::Heartbeat(Heartbeat { tlvs: &tlvs }));
            }
            Self::HeartbeatAck { genuine, info } => {
                let mut tlvs = k.heartbeat.clone();
                if !genuine {
                    tlvs.clear();
                    tlv(&mut tlvs, 1, info);
                }
                w.push(&Chunk::HeartbeatAck(Heartbeat { tlvs: &tlvs }));
            }
            Self::Abort { t, causes: list } => w.push(&Abort { t: *t, causes: &causes(list) }),
            Self::Shutdown { behind } => w.push(&Shutdown { cum_tsn: near(k.highest, *behind) }),
            Self::ShutdownAck => w.push(&Chunk::ShutdownAck),
            Self::Error { causes: list } => w.push(&ErrorChunk { causes: &causes(list) }),
            Self::CookieEcho { genuine, cookie } => w.push(&CookieEcho { cookie: if *genuine { &k.cookie } else { cookie } }),
            Self::CookieAck => w.push(&Chunk::CookieAck),
            Self::Ecne(by) => w.push(&Chunk::Ecne(near(k.highest, *by))),
            Self::Cwr(by) => w.push(&Chunk::Cwr(near(k.next_tsn, *by))),
            Self::ShutdownComplete { t } => w.push(&ShutdownComplete { t: *t }),
            Self::Asconf { ahead, addr, requests } => {
                let serial = Serial(k.asconf.wrapping_add_signed(i32::from(*ahead)));
                k.asconf = k.asconf.wrapping_add(u32::from(*ahead == 0));
                let kind = |kind: u8| match kind % 3 {
                    0 => AddressRequest::Add,
                    1 => AddressRequest::Delete,
                    _ => AddressRequest::SetPrimary,
                };
                let request = |(n, id, addr): &(u8, u8, u8)| AsconfParam::Request {
                    request: kind(*n),
                    correlation: u32::from(*id),
                    addr: some_ip(*addr),
                };
                let params: Vec<_> = requests.iter().take(MAX_ITEMS).map(request).collect();
                w.push(&Chunk::Asconf(Asconf { serial, address: some_ip(*addr), params: AsconfParams::List(&params) }));
            }
            Self::AsconfAck { ahead, errors } => {
                let causes: Vec<_> = errors
                    .iter()
                    .take(MAX_ITEMS)
                    .map(|(id, c)| (k.asked.wrapping_add(u32::from(*id)), causes(core::slice::from_ref(c))))
                    .collect();
                let responses: Vec<_> =
                    causes.iter().map(|(correlation, causes)| AsconfResponse::Error { correlation: *correlation, causes }).collect();
                let serial = Serial(k.asked.wrapping_add_signed(i32::from(*ahead)));
                w.push(&Chunk::AsconfAck(AsconfAck { serial, responses: AsconfResponses::List(&responses) }));
            }
            Self::Reconfig(list) => {
                let list = list.get(..list.len().min(3)).unwrap_or_default();
                let streams: Vec<_> = list.iter().map(FuzzReconfig::streams).collect();
                let params: Vec<_> = list.iter().zip(&streams).map(|(p, s)| p.param(k, s)).collect();
                w.push(&Reconfig { params: ReconfigParams::List(&params) });
            }
            Self::ForwardTsn { ahead, streams } => {
                let list: Vec<_> = streams
                    .iter()
                    .take(MAX_ITEMS)
                    .map(|(sid, ssn)| SkippedSsn { sid: StreamId(u16::from(*sid % 6)), ssn: Ssn(*ssn) })
                    .collect();
                w.push(&ForwardTsn { cum_tsn: k.skip(*ahead), skipped: Entries::List(&list) });
            }
            Self::IForwardTsn { ahead, streams } => {
                let list: Vec<_> = streams
                    .iter()
                    .take(MAX_ITEMS)
                    .map(|(sid, unordered, mid)| SkippedMid { sid: StreamId(u16::from(*sid % 6)), unordered: *unordered, mid: Mid(*mid) })
                    .collect();
                w.push(&IForwardTsn { cum_tsn: k.skip(*ahead), skipped: Entries::List(&list) });
            }
            Self::Raw { kind, flags, value } => {
                let value = value.get(..value.len().min(512)).unwrap_or_default();
                let mut raw = vec![*kind, *flags];
                raw.extend(u16::try_from(value.len() + 4).unwrap_or(4).to_be_bytes());
                raw.extend(value);
                raw.resize(raw.len().next_multiple_of(4), 0);
                w.push(&Bytes(&raw));
            }
        }
    }
}

/// The user asks for other streams; what cannot be had is refused.
pub(crate) fn reconfigure(assoc: &mut Assoc<'_>, now: Time, what: u8) {
    let some = [StreamId(u16::from(what >> 4) % 4)];
    let streams = if what & 8 != 0 { &some[..] } else { &[] };
    let _ = match what % 5 {
        0 => assoc.reset_streams(now, ResetDirection::Outgoing, streams),
        1 => assoc.reset_streams(now, ResetDirection::Incoming, streams),
        2 => assoc.reset_streams(now, ResetDirection::Both, streams),
        3 => assoc.reset_association(now),
        _ => assoc.add_streams(now, u16::from(what >> 6), u16::from(what >> 5 & 1)),
    };
}

/// A chunk that is written as it is.
struct Bytes<'a>(&'a [u8]);

impl sctp_user::wire::Encode for Bytes<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(self.0);
    }
}

impl FuzzInit {
    fn chunk<'a>(&self, k: &Knowledge, params: &'a [u8]) -> Init<'a> {
        Init {
            tag: Vtag(if self.known { k.peer_tag } else { self.tag }),
            a_rwnd: self.rwnd,
            outbound: self.streams.0,
            inbound: self.streams.1,
            tsn: Tsn(if self.known { k.peer_tsn } else { self.tsn }),
            params: InitParams::Wire(params),
        }
    }
}
