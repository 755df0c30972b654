//! The wire oracle: what RFC 9260 and its extensions say about packets and their order, checked on every packet that a host sends.
//!
//! It knows nothing of the stack's state; what it needs it learns from the packets that the host has sent and received. A host
//! may have dropped what it received, so only statements that hold in any case are made.

use core::hash::{Hash as _, Hasher as _};
use core::time::Duration;
use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sctp_user::sim::{HostId, Seen, World, describe};
use sctp_user::wire::chunk::Sack;
use sctp_user::wire::{Chunk, Packet, RawChunk};
use sctp_user::{Ecn, Time};

use crate::raw::{self, Fragment, Terms, forward_point};

/// A judge of all SCTP packets of a world.
#[derive(Clone, Debug)]
pub struct WireOracle(Rc<RefCell<Judge>>);

#[derive(Debug)]
struct Judge {
    /// How long a SACK may be delayed.
    sack_delay: Duration,
    /// For each host the tag that it receives with, and the tag that it sends with.
    tags: BTreeMap<(HostId, u32), u32>,
    /// The other way round, from all INIT ACKs: which of them counts shows in the host's COOKIE ECHO or COOKIE ACK.
    offers: BTreeMap<(HostId, u32), BTreeSet<u32>>,
    /// What a host does in an association, by the tag that it sends with.
    sides: BTreeMap<(HostId, u32), Side>,
    /// What a host has ever said about extensions: what it has.
    own_terms: BTreeMap<HostId, Terms>,
    violations: Vec<String>,
}

/// One end of an association.
#[derive(Debug, Default)]
struct Side {
    /// The TSN that follows the highest one sent, and what each unacknowledged one said.
    next_tsn: Option<u32>,
    sent: BTreeMap<u32, u64>,
    /// The highest cumulative TSN that the peer has acknowledged.
    acked: Option<u32>,
    /// The highest TSN that the peer was told to skip (RFC 3758): nothing up to it is sent again.
    skipped: Option<u32>,
    /// What the peer said about extensions.
    peer_terms: Terms,
    /// Whether partial reliability was agreed on: a TSN may stand for the rest of a message, given up, and is never sent.
    may_leave_out: bool,
    /// The peer's initial TSN; the TSNs received beyond the prefix without gaps, relative to it; the length of that prefix.
    peer_initial: Option<u32>,
    beyond: BTreeSet<u32>,
    prefix: u32,
    /// The last cumulative TSN acknowledged to the peer, relative to its initial TSN.
    told: u32,
    /// Since when DATA waits for its SACK.
    owes_sack_since: Option<Time>,
    /// Packets with DATA since the last SACK.
    owed_packets: u32,
    /// The lowest TSNs of packets that came with a congestion mark (RFC 4960 Appendix A): what an ECNE may say.
    marked: BTreeSet<u32>,
    /// TSNs of the ECNEs that came: what a CWR may answer.
    echoes: BTreeSet<u32>,
    open: bool,
    closing: bool,
    /// Whether SHUTDOWN or SHUTDOWN ACK has been sent.
    finished_sending: bool,
}

impl WireOracle {
    /// Watches a world; `sack_delay` is how long its stacks may delay a SACK.
    #[must_use]
    pub fn watch(world: &mut World, sack_delay: Duration) -> Self {
        let judge = Judge {
            sack_delay,
            tags: BTreeMap::new(),
            offers: BTreeMap::new(),
            sides: BTreeMap::new(),
            own_terms: BTreeMap::new(),
            violations: Vec::new(),
        };
        let judge = Rc::new(RefCell::new(judge));
        let tap = Rc::clone(&judge);
        world.tap(move |seen| {
            if !seen.plain {
                tap.borrow_mut().see(seen);
            }
        });
        Self(judge)
    }

    /// What was wrong so far.
    ///
    /// # Errors
    /// The first violations.
    pub fn check(&self) -> Result<(), String> {
        let judge = self.0.borrow();
        if judge.violations.is_empty() {
            return Ok(());
        }
        Err(judge.violations.iter().take(5).cloned().collect::<Vec<_>>().join("\n"))
    }
}

impl Judge {
    fn see(&mut self, seen: &Seen<'_>) {
        self.overdue_sacks(seen.now);
        let packet = Packet::parse(seen.payload);
        let outcome = match (seen.sent, packet) {
            (true, Ok(p)) => self.on_sent(seen, &p),
            (true, Err(e)) => Err(format!("does not parse: {e}")),
            // Damaged on its way.
            (false, Err(_)) => Ok(()),
            (false, Ok(p)) => {
                self.on_received(seen, &p);
                Ok(())
            }
        };
        if let Err(why) = outcome {
            self.violations.push(format!("{} host {:?}: {why}: {}", seen.now, seen.host, describe(seen.payload)));
        }
    }

    fn overdue_sacks(&mut self, now: Time) {
        for ((host, tag), side) in &mut self.sides {
            if let Some(since) = side.owes_sack_since
                && now > since + self.sack_delay
            {
                side.owes_sack_since = None;
                self.violations.push(format!("{now} host {host:?} tag {tag:08x}: DATA of {since} is not acknowledged"));
            }
        }
    }

    fn on_sent(&mut self, seen: &Seen<'_>, packet: &Packet<'_>) -> Result<(), String> {
        if !seen.payload.len().is_multiple_of(4) {
            return Err("length is not a multiple of four".into());
        }
        let tag = packet.header.vtag.0;
        let (mut raws, mut chunks) = (Vec::new(), Vec::new());
        for raw in packet.chunks() {
            let raw = raw.map_err(|e| e.to_string())?;
            let chunk = raw.decode().map_err(|e| e.to_string())?;
            // What is authenticated is arranged as if AUTH were not there.
            if raw.kind != raw::AUTH {
                chunks.push(chunk);
            }
            raws.push(raw);
        }
        arrangement(&chunks, &raws)?;
        if let Some(Chunk::Init(init) | Chunk::InitAck(init)) = chunks.first() {
            self.own_terms.entry(seen.host).or_default().extend(Terms::of(init));
        }
        match chunks.first() {
            None => return Err("no chunk".into()),
            Some(Chunk::Init(_)) if tag != 0 => return Err("INIT with a tag".into()),
            Some(Chunk::Init(_)) => return Ok(()),
            Some(Chunk::InitAck(ack)) => {
                self.tags.insert((seen.host, ack.tag.0), tag);
                self.offers.entry((seen.host, tag)).or_default().insert(ack.tag.0);
            }
            // ABORT and SHUTDOWN COMPLETE may be about no association of this host, with the peer's own tag.
            Some(Chunk::Abort(_) | Chunk::ShutdownComplete(_)) => {
                if let Some(side) = self.sides.get_mut(&(seen.host, tag)) {
                    side.closing = true;
                    side.owes_sack_since = None;
                }
                return Ok(());
            }
            Some(Chunk::CookieEcho(_) | Chunk::CookieAck) => {
                let Some(offers) = self.offers.get(&(seen.host, tag)) else { return Err("cookie without INIT ACK".into()) };
                self.tags.extend(offers.iter().map(|local| ((seen.host, *local), tag)));
            }
            Some(_) if tag == 0 => return Err("tag zero".into()),
            Some(_) => {}
        }
        let side = self.sides.entry((seen.host, tag)).or_default();
        let fragments = Fragment::all(packet);
        if seen.ecn.is_some() {
            side.may_be_marked(&fragments)?;
        }
        if !matches!(chunks.first(), Some(Chunk::InitAck(_))) {
            let own = self.own_terms.entry(seen.host).or_default();
            side.may_leave_out = [own, &side.peer_terms].iter().all(|terms| terms.takes.contains(&raw::FORWARD_TSN));
            side.keeps_terms(&raws, own)?;
        }
        for chunk in &chunks {
            side.on_sent_chunk(chunk)?;
        }
        for raw in &raws {
            side.on_sent_raw(raw)?;
        }
        let data = !fragments.is_empty();
        // RFC 9260 section 6.2: whoever sends DATA has the chance to acknowledge, and SHOULD at every second packet.
        if data && side.owed_packets > 2 {
            return Err(format!("{} packets with DATA received and not acknowledged", side.owed_packets));
        }
        Ok(())
    }

    fn on_received(&mut self, seen: &Seen<'_>, packet: &Packet<'_>) {
        let chunks: Vec<_> = packet.chunks().map_while(|raw| raw.ok()?.decode().ok()).collect();
        let local_tag = packet.header.vtag.0;
        match chunks.first() {
            Some(Chunk::Init(init)) => {
                let side = self.sides.entry((seen.host, init.tag.0)).or_default();
                side.peer_initial.get_or_insert(init.tsn.0);
                side.peer_terms = Terms::of(init);
                return;
            }
            Some(Chunk::InitAck(ack)) => {
                self.offers.entry((seen.host, ack.tag.0)).or_default().insert(local_tag);
                let side = self.sides.entry((seen.host, ack.tag.0)).or_default();
                side.peer_initial = Some(ack.tsn.0);
                side.peer_terms = Terms::of(ack);
            }
            _ => {}
        }
        let Some(tag) = self.tags.get(&(seen.host, local_tag)) else { return };
        let side = self.sides.entry((seen.host, *tag)).or_default();
        let before = side.open;
        for chunk in &chunks {
            side.on_received_chunk(chunk);
        }
        for raw in packet.chunks().map_while(Result::ok) {
            side.on_received_raw(&raw);
        }
        let fragments = Fragment::all(packet);
        if seen.ecn == Some(Ecn::Ce) {
            side.marked.extend(fragments.iter().map(|f| f.tsn).reduce(|a, b| if after(a, b) { b } else { a }));
        }
        if !fragments.is_empty() && before && !side.closing {
            side.owes_sack_since.get_or_insert(seen.now);
            side.owed_packets += 1;
        }
    }
}

impl Side {
    fn on_sent_chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), String> {
        match chunk {
            Chunk::CookieAck => self.open = true,
            Chunk::Sack(s) => return self.on_sent_sack(s),
            Chunk::Ecne(tsn) if !self.marked.contains(&tsn.0) => return Err(format!("ECNE for TSN {}, which came without a mark", tsn.0)),
            Chunk::Cwr(tsn) if !self.echoes.contains(&tsn.0) => return Err(format!("CWR for TSN {}, which no ECNE named", tsn.0)),
            Chunk::Shutdown(_) | Chunk::ShutdownAck => {
                self.finished_sending = true;
                self.closing = true;
                self.owes_sack_since = None;
                self.owed_packets = 0;
            }
            Chunk::Heartbeat(_) if self.finished_sending => return Err("HEARTBEAT after SHUTDOWN".into()),
            _ => {}
        }
        Ok(())
    }

    /// What the codecs of the stack are not asked about.
    fn on_sent_raw(&mut self, raw: &RawChunk<'_>) -> Result<(), String> {
        if let Some(fragment) = Fragment::of(raw) {
            return self.on_sent_data(&fragment);
        }
        let Some(point) = forward_point(raw) else { return Ok(()) };
        // RFC 3758 section 3.5: what is skipped was sent, or is the rest of what was.
        if let Some(next) = self.next_tsn
            && !after(next, point)
        {
            self.next_tsn = Some(point.wrapping_add(1));
        }
        if self.skipped.is_none_or(|before| after(point, before)) {
            self.skipped = Some(point);
        }
        Ok(())
    }

    /// Chunks of extensions go to who has listed them, DATA or I-DATA as agreed on, and behind AUTH what the peer wants there.
    fn keeps_terms(&self, raws: &[RawChunk<'_>], own: &Terms) -> Result<(), String> {
        let peer = &self.peer_terms;
        if let Some(raw) = raws.iter().find(|raw| raw::of_extension(raw.kind) && !peer.takes.contains(&raw.kind)) {
            return Err(format!("chunk type {:#04x}, which the peer has not listed", raw.kind));
        }
        let interleaves = own.takes.contains(&raw::I_DATA) && peer.takes.contains(&raw::I_DATA);
        let wrong = if interleaves { [raw::DATA, raw::FORWARD_TSN] } else { [raw::I_DATA, raw::I_FORWARD_TSN] };
        if let Some(raw) = raws.iter().find(|raw| wrong.contains(&raw.kind)) {
            return Err(format!("chunk type {:#04x}, with interleaving agreed on: {interleaves}", raw.kind));
        }
        let bare = raws.iter().take_while(|raw| raw.kind != raw::AUTH);
        if own.takes.contains(&raw::AUTH)
            && let Some(raw) = bare.into_iter().find(|raw| peer.wants_authenticated.contains(&raw.kind))
        {
            return Err(format!("chunk type {:#04x} without AUTH before it", raw.kind));
        }
        Ok(())
    }

    /// RFC 3168 sections 6.1.4 and 6.1.5: a packet that says that it is ECN-capable has DATA, all of it for the first time.
    fn may_be_marked(&self, fragments: &[Fragment<'_>]) -> Result<(), String> {
        let new = |f: &Fragment<'_>| self.next_tsn.is_none_or(|next| f.tsn == next || after(f.tsn, next));
        if fragments.is_empty() || !fragments.iter().all(new) {
            return Err("ECN-capable, though it has no DATA or sends some again".into());
        }
        Ok(())
    }

    fn on_sent_data(&mut self, d: &Fragment<'_>) -> Result<(), String> {
        if self.finished_sending {
            return Err("DATA after SHUTDOWN".into());
        }
        if d.payload.is_empty() {
            return Err("DATA without user data".into());
        }
        let mut hasher = DefaultHasher::new();
        d.hash(&mut hasher);
        let content = hasher.finish();
        let next = *self.next_tsn.get_or_insert(d.tsn);
        if d.tsn == next || self.may_leave_out && after(d.tsn, next) {
            self.next_tsn = Some(d.tsn.wrapping_add(1));
            self.sent.insert(d.tsn, content);
            return Ok(());
        }
        if self.acked.is_some_and(|acked| !after(d.tsn, acked)) {
            return Err(format!("TSN {} again, which is acknowledged", d.tsn));
        }
        if self.skipped.is_some_and(|skipped| !after(d.tsn, skipped)) {
            return Err(format!("TSN {} again, which is abandoned", d.tsn));
        }
        match self.sent.get(&d.tsn) {
            None => Err(format!("TSN {} comes out of order: {next} is next", d.tsn)),
            Some(before) if *before != content => Err(format!("TSN {} again, with another content", d.tsn)),
            Some(_) => Ok(()),
        }
    }

    fn on_sent_sack(&mut self, s: &Sack<'_>) -> Result<(), String> {
        self.owes_sack_since = None;
        self.owed_packets = 0;
        let Some(initial) = self.peer_initial else { return Err("SACK before INIT or INIT ACK".into()) };
        // How many TSNs are acknowledged without a gap.
        let told = s.cum_tsn.0.wrapping_sub(initial).wrapping_add(1);
        if told < self.told {
            return Err(format!("the cumulative TSN goes back by {}", self.told - told));
        }
        if told > self.prefix {
            return Err(format!("{} TSNs are acknowledged that never came", told - self.prefix));
        }
        self.told = told;
        let mut last = 0;
        for gap in s.gaps.iter() {
            if gap.start <= last || gap.start > gap.end || gap.start < 2 {
                return Err("gap blocks in disorder".into());
            }
            // A block that touches the one before would be one with it.
            if last > 0 && gap.start == last + 1 {
                return Err("gap blocks that touch".into());
            }
            last = gap.end;
            let came = |offset: u16| {
                let at = told.wrapping_add(u32::from(offset) - 1);
                at < self.prefix || self.beyond.contains(&at)
            };
            if !(gap.start..=gap.end).all(came) {
                return Err(format!("a gap block acknowledges what never came: {gap:?}"));
            }
        }
        Ok(())
    }

    fn on_received_chunk(&mut self, chunk: &Chunk<'_>) {
        match chunk {
            Chunk::CookieAck => self.open = true,
            Chunk::Sack(s) => self.acknowledged(s.cum_tsn.0),
            Chunk::Ecne(tsn) => {
                self.echoes.insert(tsn.0);
            }
            Chunk::Shutdown(s) => {
                self.closing = true;
                self.owes_sack_since = None;
                self.acknowledged(s.cum_tsn.0);
            }
            Chunk::ShutdownAck | Chunk::ShutdownComplete(_) | Chunk::Abort(_) => {
                self.closing = true;
                self.owes_sack_since = None;
            }
            _ => {}
        }
    }

    fn on_received_raw(&mut self, raw: &RawChunk<'_>) {
        let Some(initial) = self.peer_initial else { return };
        if let Some(fragment) = Fragment::of(raw) {
            let at = fragment.tsn.wrapping_sub(initial);
            if at >= self.prefix {
                self.beyond.insert(at);
            }
        } else if let Some(point) = forward_point(raw) {
            let skipped = point.wrapping_sub(initial).wrapping_add(1);
            if after(skipped, self.prefix) {
                self.prefix = skipped;
                self.beyond = self.beyond.split_off(&skipped);
            }
        }
        while self.beyond.remove(&self.prefix) {
            self.prefix += 1;
        }
    }

    fn acknowledged(&mut self, cum: u32) {
        if self.acked.is_none_or(|before| after(cum, before)) {
            self.acked = Some(cum);
            self.sent.retain(|tsn, _| after(*tsn, cum));
        }
    }
}

/// Whether `a` is later than `b` (RFC 1982).
const fn after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

/// RFC 9260 section 6.10: who may share a packet, and in which order. RFC 4895 section 5.1: there is one AUTH at most, before
/// something.
fn arrangement(chunks: &[Chunk<'_>], raws: &[RawChunk<'_>]) -> Result<(), String> {
    let auth = |raw: &&RawChunk<'_>| raw.kind == raw::AUTH;
    if raws.iter().filter(auth).count() > 1 || raws.last().is_some_and(|raw| raw.kind == raw::AUTH) {
        return Err("two AUTH chunks, or one with nothing behind it".into());
    }
    let alone = |c: &Chunk<'_>| matches!(c, Chunk::Init(_) | Chunk::InitAck(_) | Chunk::ShutdownComplete(_));
    if chunks.len() > 1 && chunks.iter().any(alone) {
        return Err("INIT, INIT ACK or SHUTDOWN COMPLETE is not alone".into());
    }
    let leads = |c: &Chunk<'_>| matches!(c, Chunk::CookieEcho(_) | Chunk::CookieAck);
    if chunks.iter().skip(1).any(leads) {
        return Err("COOKIE ECHO or COOKIE ACK is not first".into());
    }
    let data = |raw: &RawChunk<'_>| matches!(raw.kind, raw::DATA | raw::I_DATA);
    if raws.iter().skip_while(|raw| !data(raw)).any(|raw| !data(raw)) {
        return Err("a control chunk behind DATA".into());
    }
    let echo = chunks.iter().position(|c| matches!(c, Chunk::Ecne(_)));
    if echo.is_some_and(|at| !matches!(chunks.get(at + 1), Some(Chunk::Sack(_)))) {
        return Err("ECNE that no SACK follows".into());
    }
    if chunks.iter().filter(|c| matches!(c, Chunk::Sack(_))).count() > 1 {
        return Err("two SACKs in one packet".into());
    }
    if raws.iter().any(data) && chunks.iter().any(|c| matches!(c, Chunk::Abort(_) | Chunk::Shutdown(_) | Chunk::ShutdownAck)) {
        return Err("DATA beside ABORT or SHUTDOWN".into());
    }
    Ok(())
}
