//! What happens in which state: one table, a test that drives a stack through every cell of it, and the diagram of
//! `ARCHITECTURE.md` that is made from it (`UPDATE=1 cargo test -p testbed --test rfc9260 state_table` writes it anew).

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;

use sctp_user::wire::chunk::{Abort, CookieEcho, ErrorChunk, Heartbeat, Shutdown, ShutdownComplete, kind};
use sctp_user::wire::{Cause, Chunk, Encode as _, Param, dump};
use sctp_user::{AssocConfig, CloseReason, Event, PeerAddr, SendOptions, Tsn, Vtag};
use testbed::puppet::{Envelope, Puppet, Seen, Sent, encode, encode_params, ip, raw_chunk};

/// The states of RFC 9260 section 4, in the order of the table's columns.
const STATES: [&str; 8] = [
    "CLOSED",
    "COOKIE-WAIT",
    "COOKIE-ECHOED",
    "ESTABLISHED",
    "SHUTDOWN-PENDING",
    "SHUTDOWN-SENT",
    "SHUTDOWN-RECEIVED",
    "SHUTDOWN-ACK-SENT",
];

/// Something that happens to an association, or to a stack that has none with this peer.
struct Row {
    name: &'static str,
    happens: fn(&mut Scene),
    /// For each state "next state / chunks sent / what the user is told"; a next state is named only if it is another one,
    /// and what is empty at the end is left out. "-" where it cannot happen.
    cells: [&'static str; 8],
}

/// The table. In SHUTDOWN-PENDING and SHUTDOWN-RECEIVED one DATA of ours is outstanding.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { name: "DATA", happens: Scene::data, cells: [
        "/ABORT(T)", "", "", "/SACK/Readable", "/SACK/Readable", "/SHUTDOWN SACK/Readable", "", ""] },
    Row { name: "INIT", happens: Scene::init, cells: [
        "/INIT-ACK", "/INIT-ACK", "/INIT-ACK", "/INIT-ACK", "/INIT-ACK", "/INIT-ACK", "/INIT-ACK", "/SHUTDOWN-ACK"] },
    Row { name: "INIT with a new address", happens: Scene::init_with_new_address, cells: [
        "/INIT-ACK", "/INIT-ACK", "/ABORT", "/ABORT", "/ABORT", "/ABORT", "/ABORT", "/SHUTDOWN-ACK"] },
    Row { name: "INIT without streams", happens: Scene::init_without_streams, cells: ["/ABORT"; 8] },
    Row { name: "INIT where nobody listens", happens: Scene::init_where_nobody_listens, cells: [
        "/ABORT", "/INIT-ACK", "/INIT-ACK", "/INIT-ACK", "/INIT-ACK", "/INIT-ACK", "/INIT-ACK", "/SHUTDOWN-ACK"] },
    Row { name: "INIT under a tag", happens: Scene::init_under_a_tag, cells: [""; 8] },
    Row { name: "INIT ACK", happens: Scene::init_ack, cells: [
        "/ABORT(T)", "COOKIE-ECHOED/COOKIE-ECHO", "", "", "", "", "", ""] },
    Row { name: "INIT ACK without a cookie", happens: Scene::init_ack_without_cookie, cells: [
        "/ABORT(T)", "CLOSED/ABORT/Lost(ProtocolViolation)", "", "", "", "", "", ""] },
    Row { name: "INIT ACK with tag 0", happens: Scene::init_ack_with_tag_zero, cells: [
        "/ABORT(T)", "CLOSED/ABORT(T)/Lost(ProtocolViolation)", "", "", "", "", "", ""] },
    Row { name: "INIT ACK with a small window", happens: Scene::init_ack_with_small_window, cells: [
        "/ABORT(T)", "/ABORT", "", "", "", "", "", ""] },
    Row { name: "COOKIE ECHO of this association", happens: Scene::cookie_echo, cells: [
        "ESTABLISHED/COOKIE-ACK/Connected", "-", "ESTABLISHED/COOKIE-ACK/Connected",
        "/COOKIE-ACK", "/COOKIE-ACK", "/COOKIE-ACK", "/COOKIE-ACK", "/COOKIE-ACK"] },
    Row { name: "COOKIE ECHO of a collision", happens: Scene::cookie_echo_of_a_collision, cells: [
        "-", "ESTABLISHED/COOKIE-ACK/Connected", "ESTABLISHED/COOKIE-ACK/Connected",
        "/COOKIE-ACK", "/COOKIE-ACK", "/COOKIE-ACK", "/COOKIE-ACK", "/COOKIE-ACK"] },
    Row { name: "COOKIE ECHO that is late", happens: Scene::cookie_echo_that_is_late, cells: [
        "ESTABLISHED/COOKIE-ACK/Connected", "", "", "", "", "", "", ""] },
    Row { name: "COOKIE ECHO of a restart", happens: Scene::cookie_echo_of_a_restart, cells: [
        "-", "-", "-", "/COOKIE-ACK/Restarted", "SHUTDOWN-SENT/COOKIE-ACK SHUTDOWN/SendFailed Restarted",
        "/COOKIE-ACK SHUTDOWN/Restarted", "ESTABLISHED/COOKIE-ACK/SendFailed Restarted", "/SHUTDOWN-ACK ERROR"] },
    Row { name: "COOKIE ECHO that is forged", happens: Scene::cookie_echo_that_is_forged, cells: [""; 8] },
    Row { name: "COOKIE ACK", happens: Scene::cookie_ack, cells: [
        "", "", "ESTABLISHED//Connected", "", "", "", "", ""] },
    Row { name: "SACK of nothing new", happens: Scene::sack_of_nothing_new, cells: [
        "/ABORT(T)", "", "", "", "", "", "", ""] },
    Row { name: "SACK of all", happens: Scene::sack_of_all, cells: [
        "/ABORT(T)", "", "", "", "SHUTDOWN-SENT/SHUTDOWN", "", "SHUTDOWN-ACK-SENT/SHUTDOWN-ACK", ""] },
    Row { name: "SACK of a TSN never sent", happens: Scene::sack_beyond, cells: [
        "/ABORT(T)", "", "CLOSED/ABORT/Lost(ProtocolViolation)", "CLOSED/ABORT/Lost(ProtocolViolation)",
        "CLOSED/ABORT/SendFailed Lost(ProtocolViolation)", "", "CLOSED/ABORT/SendFailed Lost(ProtocolViolation)", ""] },
    Row { name: "HEARTBEAT", happens: Scene::heartbeat, cells: [
        "/ABORT(T)", "", "/HEARTBEAT-ACK", "/HEARTBEAT-ACK", "/HEARTBEAT-ACK", "", "/HEARTBEAT-ACK", ""] },
    Row { name: "HEARTBEAT ACK unasked", happens: Scene::heartbeat_ack, cells: ["/ABORT(T)", "", "", "", "", "", "", ""] },
    Row { name: "ABORT", happens: Scene::abort, cells: [
        "", "CLOSED//Lost(Refused)", "CLOSED//Lost(Refused)", "CLOSED//Lost(PeerAborted)",
        "CLOSED//SendFailed Lost(PeerAborted)", "CLOSED//Lost(PeerAborted)",
        "CLOSED//SendFailed Lost(PeerAborted)", "CLOSED//Lost(PeerAborted)"] },
    Row { name: "ABORT with T bit", happens: Scene::abort_reflected, cells: [
        "", "", "CLOSED//Lost(Refused)", "CLOSED//Lost(PeerAborted)",
        "CLOSED//SendFailed Lost(PeerAborted)", "CLOSED//Lost(PeerAborted)",
        "CLOSED//SendFailed Lost(PeerAborted)", "CLOSED//Lost(Shutdown)"] },
    Row { name: "ABORT under a wrong tag", happens: Scene::abort_under_a_wrong_tag, cells: [""; 8] },
    Row { name: "ABORT that is malformed", happens: Scene::abort_that_is_malformed, cells: [""; 8] },
    Row { name: "SHUTDOWN", happens: Scene::shutdown_chunk, cells: [
        "/ABORT(T)", "", "", "SHUTDOWN-ACK-SENT/SHUTDOWN-ACK/ShutdownReceived", "SHUTDOWN-RECEIVED//ShutdownReceived",
        "SHUTDOWN-ACK-SENT/SHUTDOWN-ACK", "", "/SHUTDOWN-ACK"] },
    Row { name: "SHUTDOWN acknowledging all", happens: Scene::shutdown_acknowledging_all, cells: [
        "/ABORT(T)", "", "", "SHUTDOWN-ACK-SENT/SHUTDOWN-ACK/ShutdownReceived",
        "SHUTDOWN-ACK-SENT/SHUTDOWN-ACK/ShutdownReceived", "SHUTDOWN-ACK-SENT/SHUTDOWN-ACK",
        "SHUTDOWN-ACK-SENT/SHUTDOWN-ACK", "/SHUTDOWN-ACK"] },
    Row { name: "SHUTDOWN acknowledging a TSN never sent", happens: Scene::shutdown_beyond, cells: [
        "/ABORT(T)", "", "", "CLOSED/ABORT/Lost(ProtocolViolation)", "CLOSED/ABORT/SendFailed Lost(ProtocolViolation)",
        "CLOSED/ABORT/Lost(ProtocolViolation)", "CLOSED/ABORT/SendFailed Lost(ProtocolViolation)", "/SHUTDOWN-ACK"] },
    Row { name: "SHUTDOWN ACK", happens: Scene::shutdown_ack, cells: [
        "/SHUTDOWN-COMPLETE(T)", "/SHUTDOWN-COMPLETE(T)", "/SHUTDOWN-COMPLETE(T)", "", "",
        "CLOSED/SHUTDOWN-COMPLETE/Lost(Shutdown)", "", "CLOSED/SHUTDOWN-COMPLETE/Lost(Shutdown)"] },
    Row { name: "SHUTDOWN COMPLETE", happens: Scene::shutdown_complete, cells: [
        "", "", "", "", "", "", "", "CLOSED//Lost(Shutdown)"] },
    Row { name: "SHUTDOWN COMPLETE with T bit", happens: Scene::shutdown_complete_reflected, cells: [
        "", "", "", "", "", "", "", "CLOSED//Lost(Shutdown)"] },
    Row { name: "ERROR", happens: Scene::error, cells: [
        "/ABORT(T)", "", "", "//RemoteError", "//RemoteError", "//RemoteError", "//RemoteError", "//RemoteError"] },
    Row { name: "ERROR with Stale Cookie", happens: Scene::stale_cookie, cells: [
        "", "", "COOKIE-WAIT/INIT", "", "", "", "", ""] },
    Row { name: "ECNE", happens: Scene::ecne, cells: ["/ABORT(T)", "", "", "", "", "", "", ""] },
    Row { name: "CWR", happens: Scene::cwr, cells: ["/ABORT(T)", "", "", "", "", "", "", ""] },
    Row { name: "PAD, HEARTBEAT", happens: |s| s.before_heartbeat(0x84), cells: [
        "/ABORT(T)", "", "/HEARTBEAT-ACK", "/HEARTBEAT-ACK", "/HEARTBEAT-ACK", "", "/HEARTBEAT-ACK", ""] },
    Row { name: "unknown chunk 00, HEARTBEAT", happens: |s| s.before_heartbeat(0x3e), cells: [
        "/ABORT(T)", "", "", "", "", "", "", ""] },
    Row { name: "unknown chunk 01, HEARTBEAT", happens: |s| s.before_heartbeat(0x7e), cells: [
        "/ABORT(T)", "", "", "/ERROR", "/ERROR", "/ERROR", "/ERROR", "/ERROR"] },
    Row { name: "unknown chunk 10, HEARTBEAT", happens: |s| s.before_heartbeat(0xbe), cells: [
        "/ABORT(T)", "", "/HEARTBEAT-ACK", "/HEARTBEAT-ACK", "/HEARTBEAT-ACK", "", "/HEARTBEAT-ACK", ""] },
    Row { name: "unknown chunk 11, HEARTBEAT", happens: |s| s.before_heartbeat(0xfe), cells: [
        "/ABORT(T)", "", "/HEARTBEAT-ACK", "/ERROR HEARTBEAT-ACK", "/ERROR HEARTBEAT-ACK", "/ERROR",
        "/ERROR HEARTBEAT-ACK", "/ERROR"] },
    Row { name: "malformed DATA", happens: Scene::malformed_data, cells: [""; 8] },
    Row { name: "anything under a wrong tag", happens: Scene::data_under_a_wrong_tag, cells: [
        "/ABORT(T)", "", "", "", "", "", "", ""] },
    Row { name: "anything under tag 0", happens: Scene::data_under_tag_zero, cells: [""; 8] },
    Row { name: "[ASSOCIATE]", happens: Scene::associate, cells: [
        "COOKIE-WAIT/INIT", "//refused", "//refused", "//refused", "//refused", "//refused", "//refused", "//refused"] },
    Row { name: "[SEND]", happens: Scene::send, cells: [
        "-", "", "", "/DATA", "//refused", "//refused", "//refused", "//refused"] },
    Row { name: "[SHUTDOWN]", happens: Scene::shutdown, cells: [
        "-", "CLOSED//Lost(Aborted)", "CLOSED/ABORT/Lost(Aborted)", "SHUTDOWN-SENT/SHUTDOWN", "", "", "", ""] },
    Row { name: "[SHUTDOWN] with DATA outstanding", happens: Scene::send_and_shutdown, cells: [
        "-", "", "", "SHUTDOWN-PENDING/DATA", "//refused", "//refused", "//refused", "//refused"] },
    Row { name: "[ABORT]", happens: Scene::abort_primitive, cells: [
        "-", "CLOSED//Lost(Aborted)", "CLOSED/ABORT/Lost(Aborted)", "CLOSED/ABORT/Lost(Aborted)",
        "CLOSED/ABORT/SendFailed Lost(Aborted)", "CLOSED/ABORT/Lost(Aborted)",
        "CLOSED/ABORT/SendFailed Lost(Aborted)", "CLOSED/ABORT/Lost(Aborted)"] },
    Row { name: "[REQUEST HEARTBEAT]", happens: Scene::heartbeat_primitive, cells: [
        "-", "", "", "/HEARTBEAT", "/HEARTBEAT", "", "/HEARTBEAT", ""] },
    Row { name: "RTO passes (T1, T2, T3)", happens: Scene::rto, cells: [
        "", "/INIT", "/COOKIE-ECHO", "", "/DATA", "/SHUTDOWN", "/DATA", "/SHUTDOWN-ACK"] },
    Row { name: "silence for five RTO.Max (T5)", happens: Scene::guard, cells: [
        "", "CLOSED/INIT/Lost(ConnectTimeout)", "CLOSED/COOKIE-ECHO/Lost(ConnectTimeout)", "/HEARTBEAT/PathState", "/DATA/PathState",
        "CLOSED/SHUTDOWN ABORT/PathState Lost(ShutdownTimeout)", "/DATA/PathState", "CLOSED/SHUTDOWN-ACK ABORT/PathState Lost(ShutdownTimeout)"] },
    Row { name: "silence for an hour", happens: Scene::silence, cells: [
        "", "CLOSED/INIT/Lost(ConnectTimeout)", "CLOSED/COOKIE-ECHO/Lost(ConnectTimeout)",
        "CLOSED/HEARTBEAT/PathState Lost(PeerUnreachable)", "CLOSED/DATA/PathState SendFailed Lost(PeerUnreachable)",
        "CLOSED/SHUTDOWN ABORT/PathState Lost(ShutdownTimeout)", "CLOSED/DATA/PathState SendFailed Lost(PeerUnreachable)",
        "CLOSED/SHUTDOWN-ACK ABORT/PathState Lost(ShutdownTimeout)"] },
];

/// Another peer's tag.
const OTHER_TAG: u32 = 0x7a97_0002;

/// A stack that has opened an association, in some state, with the cookies that the puppet could collect on the way.
struct Scene {
    p: Puppet,
    /// Of an INIT that came before the association: what case C of section 5.2.4 compares, and fresh in CLOSED.
    late: (u32, Vec<u8>),
    /// With the tags of the association (case D).
    own: (u32, Vec<u8>),
    /// With another tag of the peer (case B).
    crossing: (u32, Vec<u8>),
    sent: Vec<Sent>,
    refused: bool,
}

impl Scene {
    fn new(state: &str) -> Self {
        let mut p = Puppet::new(AssocConfig::rfc());
        let none = (0, Vec::new());
        let ack = p.give_init();
        let mut s = Self { late: (ack.tag, ack.cookie()), own: none.clone(), crossing: none, p, sent: Vec::new(), refused: false };
        if state != "CLOSED" {
            s.p.connect();
            s.crossing = s.cookie_for(OTHER_TAG);
        }
        if !matches!(state, "CLOSED" | "COOKIE-WAIT") {
            s.p.give_init_ack();
            s.own = s.cookie_for(s.p.tag);
            if state != "COOKIE-ECHOED" {
                s.p.give(&[Chunk::CookieAck]);
            }
        }
        if matches!(state, "SHUTDOWN-PENDING" | "SHUTDOWN-RECEIVED") {
            s.p.send(0, b"outstanding");
        }
        if matches!(state, "SHUTDOWN-PENDING" | "SHUTDOWN-SENT") {
            s.p.shutdown();
        }
        if matches!(state, "SHUTDOWN-RECEIVED" | "SHUTDOWN-ACK-SENT") {
            let cum_tsn = s.nothing_new(state == "SHUTDOWN-RECEIVED");
            s.p.give(&[Chunk::Shutdown(Shutdown { cum_tsn })]);
        }
        assert_eq!(s.p.state(), state);
        s.p.events.clear();
        s
    }

    /// The cumulative TSN before what is outstanding.
    fn nothing_new(&self, outstanding: bool) -> Tsn {
        Tsn(self.p.cum.wrapping_sub(u32::from(outstanding)))
    }

    fn outstanding(&mut self) -> bool {
        matches!(self.p.state(), "SHUTDOWN-PENDING" | "SHUTDOWN-RECEIVED")
    }

    /// The cookie that the stack gives to an INIT with `tag`, and the tag of the INIT ACK.
    fn cookie_for(&mut self, tag: u32) -> (u32, Vec<u8>) {
        let sent = self.init_with(tag, &[], 10, 0);
        let Some(Seen::InitAck(ack)) = sent.first().map(Sent::first) else { panic!("no INIT ACK") };
        (ack.tag, ack.cookie())
    }

    fn init_with(&mut self, tag: u32, params: &[u8], outbound: u16, vtag: u32) -> Vec<Sent> {
        let mut init = self.p.init_chunk(params);
        (init.tag, init.outbound) = (Vtag(tag), outbound);
        let envelope = self.p.envelope().tagged(vtag);
        self.p.give_in(envelope, &[Chunk::Init(init)])
    }

    /// Where packets of the association come from; in CLOSED under the tag that a late cookie would have had.
    fn give(&mut self, chunks: &[Chunk<'_>]) {
        let envelope = self.p.envelope();
        self.give_in(envelope, chunks);
    }

    fn give_in(&mut self, envelope: Envelope, chunks: &[Chunk<'_>]) {
        let sent = self.p.give_in(envelope, chunks);
        self.sent.extend(sent);
    }

    fn data(&mut self) {
        let data = self.p.data(0, b"data");
        self.give(&[data]);
    }

    fn data_under_a_wrong_tag(&mut self) {
        let data = self.p.data(0, b"data");
        self.give_in(self.p.envelope().tagged(0x0bad_0bad), &[data]);
    }

    fn data_under_tag_zero(&mut self) {
        let data = self.p.data(0, b"data");
        self.give_in(self.p.envelope().tagged(0), &[data]);
    }

    fn malformed_data(&mut self) {
        self.sent = self.p.give_raw(&[0, 3, 0, 8, 0, 0, 0, 1]);
    }

    fn init(&mut self) {
        self.sent = self.init_with(OTHER_TAG, &[], 10, 0);
    }

    fn init_with_new_address(&mut self) {
        let listed = encode_params(&[Param::Address(ip("10.9.9.9"))]);
        self.sent = self.init_with(OTHER_TAG, &listed, 10, 0);
    }

    fn init_without_streams(&mut self) {
        self.sent = self.init_with(OTHER_TAG, &[], 0, 0);
    }

    fn init_where_nobody_listens(&mut self) {
        self.p.stack.listen(self.p.endpoint, false);
        self.init();
    }

    fn init_under_a_tag(&mut self) {
        self.sent = self.init_with(OTHER_TAG, &[], 10, self.p.peer_tag);
    }

    fn init_ack(&mut self) {
        self.sent = self.p.give_init_ack();
    }

    fn init_ack_without_cookie(&mut self) {
        let ack = self.p.init_chunk(&[]);
        self.give(&[Chunk::InitAck(ack)]);
    }

    fn init_ack_with_tag_zero(&mut self) {
        let mut ack = self.p.init_chunk(&[]);
        ack.tag = Vtag::ZERO;
        self.give(&[Chunk::InitAck(ack)]);
    }

    fn init_ack_with_small_window(&mut self) {
        let mut ack = self.p.init_chunk(&[]);
        ack.a_rwnd = 1499;
        self.give(&[Chunk::InitAck(ack)]);
    }

    fn echo(&mut self, (tag, cookie): &(u32, Vec<u8>)) {
        self.give_in(self.p.envelope().tagged(*tag), &[Chunk::CookieEcho(CookieEcho { cookie })]);
    }

    fn cookie_echo(&mut self) {
        let own = if self.own.1.is_empty() { self.late.clone() } else { self.own.clone() };
        self.echo(&own);
    }

    fn cookie_echo_of_a_collision(&mut self) {
        self.echo(&self.crossing.clone());
    }

    fn cookie_echo_that_is_late(&mut self) {
        self.echo(&self.late.clone());
    }

    fn cookie_echo_of_a_restart(&mut self) {
        let cookie = self.restart_cookie();
        self.echo(&cookie);
    }

    /// In SHUTDOWN-ACK-SENT there is none to be had: it is from a moment before.
    fn restart_cookie(&mut self) -> (u32, Vec<u8>) {
        if self.p.state() != "SHUTDOWN-ACK-SENT" {
            return self.cookie_for(OTHER_TAG);
        }
        let mut before = Self::new("ESTABLISHED");
        let cookie = before.cookie_for(OTHER_TAG);
        let cum_tsn = before.nothing_new(false);
        before.p.give(&[Chunk::Shutdown(Shutdown { cum_tsn })]);
        before.p.events.clear();
        *self = before;
        cookie
    }

    fn cookie_echo_that_is_forged(&mut self) {
        let mut forged = self.late.clone();
        forged.1[20] ^= 1;
        self.echo(&forged);
    }

    fn cookie_ack(&mut self) {
        self.give(&[Chunk::CookieAck]);
    }

    fn sack_of_nothing_new(&mut self) {
        self.p.cum = {
            let outstanding = self.outstanding();
            self.nothing_new(outstanding).0
        };
        self.give(&[self.p.sack()]);
    }

    fn sack_of_all(&mut self) {
        self.give(&[self.p.sack()]);
    }

    fn sack_beyond(&mut self) {
        self.p.cum = self.p.cum.wrapping_add(1);
        self.give(&[self.p.sack()]);
    }

    fn heartbeat(&mut self) {
        self.give(&[Chunk::Heartbeat(Heartbeat { tlvs: &[0, 1, 0, 8, 1, 2, 3, 4] })]);
    }

    fn heartbeat_ack(&mut self) {
        self.give(&[Chunk::HeartbeatAck(Heartbeat { tlvs: &[0, 1, 0, 8, 1, 2, 3, 4] })]);
    }

    fn abort(&mut self) {
        self.give(&[Chunk::Abort(Abort { t: false, causes: &[] })]);
    }

    fn abort_reflected(&mut self) {
        self.give_in(self.p.envelope().tagged(self.p.tag), &[Chunk::Abort(Abort { t: true, causes: &[] })]);
    }

    fn abort_under_a_wrong_tag(&mut self) {
        for t in [false, true] {
            self.give_in(self.p.envelope().tagged(0x0bad_0bad), &[Chunk::Abort(Abort { t, causes: &[] })]);
        }
    }

    fn abort_that_is_malformed(&mut self) {
        self.give(&[Chunk::Abort(Abort { t: false, causes: &[0, 12, 0, 9, 1, 2, 3, 4] })]);
    }

    fn shutdown_chunk(&mut self) {
        let outstanding = self.outstanding();
        let cum_tsn = self.nothing_new(outstanding);
        self.give(&[Chunk::Shutdown(Shutdown { cum_tsn })]);
    }

    fn shutdown_acknowledging_all(&mut self) {
        self.give(&[Chunk::Shutdown(self.p.shutdown_chunk())]);
    }

    fn shutdown_beyond(&mut self) {
        self.give(&[Chunk::Shutdown(Shutdown { cum_tsn: Tsn(self.p.cum.wrapping_add(1)) })]);
    }

    fn shutdown_ack(&mut self) {
        self.give(&[Chunk::ShutdownAck]);
    }

    fn shutdown_complete(&mut self) {
        self.give(&[Chunk::ShutdownComplete(ShutdownComplete { t: false })]);
    }

    fn shutdown_complete_reflected(&mut self) {
        self.give_in(self.p.envelope().tagged(self.p.tag), &[Chunk::ShutdownComplete(ShutdownComplete { t: true })]);
    }

    fn error(&mut self) {
        let causes = Cause::OutOfResource.to_vec();
        self.give(&[Chunk::Error(ErrorChunk { causes: &causes })]);
    }

    fn stale_cookie(&mut self) {
        let causes = Cause::StaleCookie(1_000).to_vec();
        self.give(&[Chunk::Error(ErrorChunk { causes: &causes })]);
    }

    fn ecne(&mut self) {
        self.give(&[Chunk::Ecne(Tsn(self.p.cum))]);
    }

    fn cwr(&mut self) {
        self.give(&[Chunk::Cwr(Tsn(self.p.cum))]);
    }

    fn before_heartbeat(&mut self, kind: u8) {
        let mut chunks = raw_chunk(kind, 0, b"????");
        chunks.extend(encode(&[Chunk::Heartbeat(Heartbeat { tlvs: &[0, 1, 0, 8, 1, 2, 3, 4] })]));
        self.sent = self.p.give_raw(&chunks);
    }

    fn associate(&mut self) {
        let peer = PeerAddr::from(std::net::SocketAddr::new(self.p.addrs[0], self.p.port));
        match self.p.stack.connect(self.p.now, self.p.endpoint, &[peer], None) {
            Ok(id) => self.p.id = Some(id),
            Err(_) => self.refused = true,
        }
    }

    fn send(&mut self) {
        self.refused = self.p.try_send(0, b"more", SendOptions::ordered()).is_err();
    }

    fn send_and_shutdown(&mut self) {
        self.send();
        self.shutdown();
    }

    fn shutdown(&mut self) {
        let sent = self.p.shutdown();
        self.sent.extend(sent);
    }

    fn abort_primitive(&mut self) {
        self.sent = self.p.abort(b"enough");
    }

    fn heartbeat_primitive(&mut self) {
        if let Some(mut a) = self.p.stack.assoc(self.p.id.unwrap()) {
            a.heartbeat(self.p.now);
        }
    }

    fn rto(&mut self) {
        self.sent = self.p.pass(Duration::from_secs(1));
    }

    fn guard(&mut self) {
        self.sent = self.p.pass(Duration::from_secs(300));
    }

    fn silence(&mut self) {
        self.sent = self.p.pass(Duration::from_secs(3_600));
    }

    /// What came of it, as the table writes it: the next state, the chunks sent, what the user was told; each chunk and each
    /// notification once.
    fn outcome(&mut self, before: &str) -> String {
        let more = self.p.collect();
        self.sent.extend(more);
        let mut sent = Vec::new();
        for c in self.sent.iter().flat_map(|packet| &packet.chunks) {
            let reflected = matches!(c.kind, kind::ABORT | kind::SHUTDOWN_COMPLETE) && c.flags & 1 != 0;
            sent.push(format!("{}{}", dump::chunk_name(c.kind), if reflected { "(T)" } else { "" }));
        }
        let mut told: Vec<_> = self.p.events.iter().map(event_name).collect();
        told.extend(self.refused.then(|| "refused".to_owned()));
        for list in [&mut sent, &mut told] {
            let mut seen = std::collections::BTreeSet::new();
            list.retain(|item| seen.insert(item.clone()));
        }
        let after = self.p.state();
        let next = if after == before { "" } else { after };
        format!("{next}/{}/{}", sent.join(" "), told.join(" ")).trim_end_matches('/').to_owned()
    }
}

fn event_name(event: &Event) -> String {
    let name = |debug: String| debug.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
    match event {
        Event::Lost { reason } => format!("Lost({})", reason_name(reason, name)),
        other => name(format!("{other:?}")),
    }
}

fn reason_name(reason: &CloseReason, name: impl Fn(String) -> String) -> String {
    name(format!("{reason:?}"))
}

/// RFC 9260 rows: 4-1, 5.2.3-1, 8.5.1-13, 9.2-9, 9.2-23.
#[test]
fn every_chunk_primitive_and_timer_in_every_state() {
    let mut wrong = String::new();
    let mut driven = 0;
    for row in TABLE {
        for (state, expected) in STATES.into_iter().zip(row.cells) {
            if expected == "-" {
                continue;
            }
            let mut scene = Scene::new(state);
            (row.happens)(&mut scene);
            let outcome = scene.outcome(state);
            driven += 1;
            if outcome != expected {
                writeln!(wrong, "{} in {state}: table {expected:?}, stack {outcome:?}", row.name).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(driven > 400, "{driven} cells");
}

/// The transitions of the table as a Mermaid diagram.
fn diagram() -> String {
    let mut edges: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
    for row in TABLE {
        for (from, cell) in row.cells.into_iter().enumerate() {
            let mut parts = cell.split('/');
            let next = parts.next().unwrap_or_default();
            let Some(to) = STATES.iter().position(|s| *s == next) else { continue };
            let sent = parts.next().unwrap_or_default().replace('-', " ");
            let label = if sent.is_empty() { row.name.to_owned() } else { format!("{} / {sent}", row.name) };
            edges.entry((from, to)).or_default().push(label);
        }
    }
    let id = |n: usize| if n == 0 { "[*]".to_owned() } else { STATES[n].replace('-', "_") };
    let mut out = String::from("```mermaid\nstateDiagram-v2\n");
    for state in &STATES[1..] {
        writeln!(out, "    state \"{state}\" as {}", state.replace('-', "_")).unwrap();
    }
    for ((from, to), labels) in edges {
        writeln!(out, "    {} --> {}: {}", id(from), id(to), labels.join("\\n")).unwrap();
    }
    out + "```\n"
}

const BEGIN: &str = "<!-- state diagram: made from tests/tests/rfc9260/state_table.rs, see there -->\n";
const END: &str = "<!-- state diagram: end -->\n";

#[test]
fn the_diagram_in_the_architecture_is_made_from_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).unwrap().replace("\r\n", "\n");
    let (before, rest) = text.split_once(BEGIN).expect("ARCHITECTURE.md has no place for the state diagram");
    let (present, after) = rest.split_once(END).expect("the place of the state diagram has no end");
    let made = diagram();
    if present == made {
        return;
    }
    if std::env::var_os("UPDATE").is_some_and(|v| v == "1") {
        std::fs::write(path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    panic!("the state diagram in ARCHITECTURE.md is out of date: run this test with UPDATE=1");
}
