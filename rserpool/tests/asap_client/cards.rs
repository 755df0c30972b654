//! Business cards (RFC 5352 section 3.9): where to go on is known before it is needed, in both directions.

use bytes::Bytes;
use rserpool::asap::{AsapConfig, ElementKey, ElementSpec};
use rserpool::node::PoolNode;
use rserpool::node::pool::{AcceptedId, ListenerConfig, ListenerId, SessionId};
use rserpool::session::{EndReason, Failover, Outgoing, Received, SessionConfig, SessionState};
use rserpool::wire::{ElementId, TransportUse};
use sctp_user::sim::{LinkConfig, NodeId};

use super::bed::{Bed, ms, pool};

const PPID: u32 = 7;

fn text(s: &str) -> Outgoing {
    Outgoing { data: Bytes::copy_from_slice(s.as_bytes()), ppid: PPID, stream: 0, unordered: false }
}

/// A host with an element.
struct Server {
    host: NodeId<PoolNode>,
    listener: ListenerId,
    key: ElementKey,
    accepted: Vec<AcceptedId>,
}

impl Server {
    fn new(bed: &mut Bed, n: u8, name: &str, id: u32, business_cards: bool, usage: TransportUse) -> Self {
        let host = bed.host(n, AsapConfig::default());
        let (listener, key) = bed.world.with(host, |node, now| {
            let cfg = ListenerConfig { business_cards, ..ListenerConfig::default() };
            let listener = node.open_listener(7_000, cfg).unwrap();
            let mut spec = ElementSpec::new(pool(name), 0);
            (spec.key.id, spec.usage) = (ElementId(id), usage);
            (listener, node.announce(now, listener, spec).unwrap())
        });
        Self { host, listener, key, accepted: vec![] }
    }

    /// Takes sessions, and echoes what they say.
    fn serve(&mut self, bed: &mut Bed) {
        if !bed.world.is_up(self.host) {
            return;
        }
        let (listener, accepted) = (self.listener, &mut self.accepted);
        bed.world.with(self.host, |n, now| {
            accepted.extend(std::iter::from_fn(|| n.accept(listener)));
            for id in accepted {
                while let Some(item) = n.accepted_recv(now, *id) {
                    if let Received::Message(m) = item {
                        let echo = Outgoing { data: m.data, ppid: m.ppid, stream: 0, unordered: false };
                        n.accepted_send(now, *id, echo).unwrap();
                    }
                }
            }
        });
    }
}

fn run(bed: &mut Bed, servers: &mut [Server], millis: u64) {
    for _ in 0..millis / 5 {
        bed.world.run_for(ms(5));
        for server in &mut *servers {
            server.serve(bed);
        }
    }
}

/// Three elements of pool "Echo" that hand out cards or not, and a session with one of them that has said something.
fn three(business_cards: bool, usage: TransportUse) -> (Bed, Vec<Server>, NodeId<PoolNode>, SessionId) {
    let mut bed = Bed::new(11, 1, LinkConfig::ideal(ms(2)));
    let mut servers: Vec<Server> = (1..=3).map(|id| Server::new(&mut bed, 10 + id, "Echo", id.into(), business_cards, usage)).collect();
    let user = bed.host(2, AsapConfig::default());
    run(&mut bed, &mut servers, 8_000);
    let session = bed.world.with(user, |n, now| {
        let session = n.open_session(now, 9_000, pool("Echo"), SessionConfig::default()).unwrap();
        n.session_send(now, session, text("hello")).unwrap();
        session
    });
    run(&mut bed, &mut servers, 500);
    (bed, servers, user, session)
}

fn serving(bed: &Bed, user: NodeId<PoolNode>, session: SessionId) -> Option<u32> {
    match bed.world.node(user).session(session).unwrap().state() {
        SessionState::Up(id) => Some(id.0),
        _ => None,
    }
}

/// With the registrar gone, the element's card is all that a user has; without cards it finds nobody.
///
/// RFC 5352 rows: 3.9-1, 3.9-2.
#[test]
fn a_user_goes_on_without_a_registrar_where_the_card_sends_it() {
    for (business_cards, usage) in
        [(true, TransportUse::DATA_PLUS_CONTROL), (false, TransportUse::DATA_PLUS_CONTROL), (true, TransportUse::DATA)]
    {
        let (mut bed, mut servers, user, session) = three(business_cards, usage);
        let first = serving(&bed, user, session).unwrap();
        bed.kill(bed.registrars[0]);
        bed.kill(servers[first as usize - 1].host);
        run(&mut bed, &mut servers, 3_000);
        let second = serving(&bed, user, session);
        if !(business_cards && usage == TransportUse::DATA_PLUS_CONTROL) {
            // RFC 5352 section 3.9: only if there is a control channel.
            assert_eq!(second, None, "cards: {business_cards}, {usage:?}");
            continue;
        }
        assert!(second.is_some_and(|id| id != first), "{second:?}");
        let complete = bed.world.with(user, |n, now| {
            n.session_send(now, session, text("again")).unwrap();
            std::iter::from_fn(|| n.session_recv(now, session))
                .filter(|r| matches!(r, Received::Failover(Failover::Complete { .. })))
                .count()
        });
        assert_eq!(complete, 1);
        run(&mut bed, &mut servers, 100);
        let echo = bed.world.with(user, |n, now| n.session_recv(now, session));
        assert!(matches!(echo, Some(Received::Message(m)) if &m.data[..] == b"again"));
        // The new element knows that the old one is gone as little as the registrar did; the user does, and it is not tried again.
        let third = 6 - first - second.unwrap();
        bed.kill(servers[second.unwrap() as usize - 1].host);
        run(&mut bed, &mut servers, 3_000);
        assert_eq!(serving(&bed, user, session), Some(third));
    }
}

/// A new card replaces the old one when the pool changes (RFC 5352 section 3.9), and the sender is not on it.
#[test]
fn cards_follow_the_pool() {
    let (mut bed, mut servers, ..) = three(true, TransportUse::DATA_PLUS_CONTROL);
    let listed = |bed: &Bed, s: &Server| {
        let card = bed.world.node(s.host).listener_card(s.listener).unwrap();
        let mut ids: Vec<u32> = card.elements.iter().map(|e| e.id.0).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!([0, 1, 2].map(|i| listed(&bed, &servers[i])), [[2, 3], [1, 3], [1, 2]]);
    let left = servers.remove(1);
    bed.world.with(left.host, |n, now| n.close_listener(now, left.listener));
    run(&mut bed, &mut servers, 500);
    assert_eq!([0, 1].map(|i| listed(&bed, &servers[i])), [[3], [1]]);
    servers.push(Server::new(&mut bed, 20, "Echo", 9, true, TransportUse::DATA_PLUS_CONTROL));
    run(&mut bed, &mut servers, 4_000);
    assert_eq!(listed(&bed, &servers[0]), [3, 9]);
    assert_eq!(listed(&bed, &servers[2]), [1, 3]);
}

/// The user is an element itself and dies: the element that served it goes on with another one of the user's pool.
#[test]
fn an_element_finds_another_user_where_the_card_sends_it() {
    let mut bed = Bed::new(12, 1, LinkConfig::ideal(ms(2)));
    let control = TransportUse::DATA_PLUS_CONTROL;
    let mut servers: Vec<Server> = (1..=2).map(|id| Server::new(&mut bed, 20 + id, "Workers", id.into(), true, control)).collect();
    servers.push(Server::new(&mut bed, 30, "Echo", 7, false, control));
    run(&mut bed, &mut servers, 8_000);
    // Worker 1 is a user of the echo service.
    let worker = servers[0].host;
    let card = bed.world.node(worker).listener_card(servers[0].listener).unwrap().clone();
    assert_eq!(card.elements.iter().map(|e| e.id).collect::<Vec<_>>(), [servers[1].key.id]);
    bed.world.with(worker, |n, now| {
        let cfg = SessionConfig { business_card: Some(card.clone()), ..SessionConfig::default() };
        let session = n.open_session(now, 9_000, pool("Echo"), cfg).unwrap();
        n.session_send(now, session, text("work")).unwrap();
    });
    run(&mut bed, &mut servers, 500);
    let echo = servers[2].host;
    let accepted = servers[2].accepted[0];
    assert_eq!(bed.world.node(echo).accepted_card(accepted), Some(&card));
    bed.kill(bed.registrars[0]);
    bed.kill(worker);
    // The association's HEARTBEATs tell.
    run(&mut bed, &mut servers, 15_000);
    assert_eq!(bed.world.node(echo).accepted_end(accepted), Some(EndReason::UserLost));
    let back = bed.world.with(echo, |n, now| {
        let card = n.accepted_card(accepted).unwrap().clone();
        n.drop_accepted(now, accepted, false);
        let back = n.open_session_by_card(now, 9_100, card, SessionConfig::default()).unwrap();
        n.session_send(now, back, text("where were we?")).unwrap();
        back
    });
    run(&mut bed, &mut servers, 1_000);
    assert_eq!(serving(&bed, echo, back), Some(servers[1].key.id.0));
    let heard = bed.world.with(echo, |n, now| n.session_recv(now, back));
    assert!(matches!(heard, Some(Received::Message(m)) if &m.data[..] == b"where were we?"));
}
