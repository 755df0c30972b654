//! The core against a scripted registrar.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sctp_user::{SeededEntropy, Time};

use super::*;
use crate::wire::{
    AsapMessage, CauseCode, ElementId, EncodeOptions, Life, OperationError, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport,
    TransportUse,
};

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

fn ms(n: u64) -> Time {
    Time::from_millis(n)
}

fn pool() -> PoolHandle {
    PoolHandle::new("EchoPool").unwrap()
}

fn registrar_at(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 3863))
}

fn announce(n: u8) -> Vec<u8> {
    AsapMessage::ServerAnnounce { registrar: RegistrarId(n.into()), transports: Vec::new() }.encode(EncodeOptions::default()).unwrap()
}

fn element(id: u32) -> PoolElement {
    PoolElement {
        id: ElementId(id),
        home: RegistrarId(1),
        life: Life(90_000),
        user: Transport::sctp(4711, TransportUse::DATA_PLUS_CONTROL, [LOCAL]),
        policy: PolicyParam::RoundRobin {},
        asap: None,
    }
}

fn resolved(elements: Vec<PoolElement>) -> AsapMessage {
    AsapMessage::HandleResolutionResponse {
        subscribed: false,
        handle: pool(),
        policy: Some(PolicyParam::RoundRobin {}),
        elements,
        error: None,
    }
}

/// The core with what it has done.
struct Bench {
    asap: Asap,
    now: Time,
    connects: Vec<(LinkId, SocketAddr)>,
    sent: Vec<(LinkId, AsapMessage)>,
    closed: Vec<(LinkId, Ending)>,
    events: Vec<AsapEvent>,
}

impl Bench {
    fn new() -> Self {
        Self::with(AsapConfig::default())
    }

    fn with(cfg: AsapConfig) -> Self {
        let asap = Asap::new(cfg, Box::new(SeededEntropy::new(7)));
        Self { asap, now: ms(0), connects: vec![], sent: vec![], closed: vec![], events: vec![] }
    }

    fn drain(&mut self) {
        while let Some(output) = self.asap.poll_output() {
            match output {
                Output::Connect { link, peer } => self.connects.push((link, peer[0])),
                Output::Send { link, bytes } => self.sent.push((link, AsapMessage::decode(&bytes).unwrap().message)),
                Output::Close { link, how } => self.closed.push((link, how)),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn hear(&mut self, n: u8) {
        self.asap.handle(self.now, Input::Announce { src: registrar_at(n), bytes: &announce(n) });
        self.drain();
    }

    fn up(&mut self, link: LinkId) {
        self.asap.handle(self.now, Input::Connected { link, local: vec![LOCAL] });
        self.drain();
    }

    fn lost(&mut self, link: LinkId) {
        self.asap.handle(self.now, Input::Lost { link });
        self.drain();
    }

    fn say(&mut self, link: LinkId, message: &AsapMessage) {
        let bytes = message.encode(EncodeOptions::default()).unwrap();
        self.asap.handle(self.now, Input::Message { link, bytes: &bytes });
        self.drain();
    }

    /// Lets time pass, timers firing on the way.
    fn run_until(&mut self, until: Time) {
        let mut rounds = 0;
        while let Some(at) = self.asap.poll_timeout().filter(|t| *t <= until) {
            rounds += 1;
            assert!(rounds < 10_000, "timers spin at {}", self.now);
            self.now = self.now.max(at);
            self.asap.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// A core that has a home registrar and an element that is registered with it.
    fn registered() -> (Self, LinkId, ElementKey) {
        let mut b = Self::new();
        let key = b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap();
        b.hear(1);
        let home = b.connects[0].0;
        b.up(home);
        b.accept_registration(home, &key);
        assert_eq!(b.asap.element_state(&key), Some(ElementState::Registered));
        b.sent.clear();
        b.events.clear();
        (b, home, key)
    }

    fn accept_registration(&mut self, home: LinkId, key: &ElementKey) {
        self.say(home, &AsapMessage::RegistrationResponse { reject: false, handle: key.handle.clone(), id: key.id, error: None });
    }

    fn messages(&mut self) -> Vec<AsapMessage> {
        self.sent.drain(..).map(|(_, m)| m).collect()
    }
}

#[test]
fn registers_with_what_the_registrar_knows_us_by_and_renews() {
    let mut b = Bench::new();
    let key = b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap();
    b.drain();
    assert!(b.connects.is_empty(), "nobody heard yet");
    b.now = ms(700);
    b.hear(1);
    assert_eq!(b.connects, [(LinkId(1), registrar_at(1))]);
    b.up(LinkId(1));
    let [(link, AsapMessage::Registration { handle, element })] = &b.sent[..] else { panic!("{:?}", b.sent) };
    assert_eq!((*link, handle, element.id), (LinkId(1), &pool(), key.id));
    assert_eq!(element.user, Transport::sctp(5000, TransportUse::DATA_PLUS_CONTROL, [LOCAL]));
    assert_eq!((element.life, element.home), (Life(90_000), RegistrarId::UNDEFINED));
    b.accept_registration(LinkId(1), &key);
    b.sent.clear();
    b.run_until(ms(30_699));
    assert!(b.sent.is_empty());
    b.run_until(ms(30_700));
    assert_eq!(b.messages().len(), 1, "T4");
    assert_eq!(b.events.iter().filter(|e| matches!(e, AsapEvent::Registered { .. })).count(), 1);
}

#[test]
fn no_registrar_is_told_in_time_and_once_and_tried_on() {
    let mut b = Bench::new();
    let key = b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap();
    let request = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.run_until(ms(60_000));
    let failed = AsapEvent::RegistrationFailed { key: key.clone(), error: RegisterError::NoRegistrar };
    let unresolved = AsapEvent::Resolved { request, result: Err(ResolveError::NoRegistrar) };
    assert_eq!(b.events, [failed, unresolved]);
    b.hear(1);
    let home = b.connects[0].0;
    b.up(home);
    assert_eq!(b.sent.len(), 1);
    b.accept_registration(home, &key);
    assert_eq!(b.asap.element_state(&key), Some(ElementState::Registered));
}

#[test]
fn an_unreachable_static_registrar_ends_in_no_registrar() {
    let cfg = AsapConfig { registrars: vec![vec![registrar_at(7)]], ..AsapConfig::default() };
    let mut b = Bench::with(cfg);
    let request = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    let link = b.connects[0].0;
    b.now = ms(3_500);
    b.lost(link);
    b.run_until(ms(9_999));
    assert_eq!((b.connects.len(), b.events.len()), (2, 0), "tried again after a pause");
    b.run_until(ms(10_000));
    assert_eq!(b.events, [AsapEvent::Resolved { request, result: Err(ResolveError::NoRegistrar) }]);
    b.run_until(ms(20_000));
    assert_eq!(b.asap.poll_timeout(), None, "nothing is wanted any more");
}

#[test]
fn the_first_of_three_becomes_home_and_the_others_are_given_up() {
    let mut b = Bench::new();
    for n in 1..=4 {
        b.hear(n);
    }
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert_eq!(b.connects.len(), 3);
    let (second, others) = (b.connects[1].0, [b.connects[0].0, b.connects[2].0]);
    b.up(second);
    assert_eq!(b.closed, others.map(|l| (l, Ending::Abort)));
    assert_eq!(b.sent.len(), 1);
    assert_eq!(
        b.asap.home(),
        Some(RegistrarId(u32::from(match b.connects[1].1.ip() {
            IpAddr::V4(a) => a.octets()[3],
            IpAddr::V6(_) => 0,
        })))
    );
}

#[test]
fn answers_belong_to_requests_in_their_order() {
    let (mut b, home, key) = Bench::registered();
    let first = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    let other = PoolHandle::new("Other").unwrap();
    let second = b.asap.resolve(b.now, &other, 1, Duration::ZERO);
    b.asap.update(b.now, &key, PolicyParam::RoundRobin {});
    b.drain();
    assert_eq!(b.messages().len(), 2, "both are in flight; an update without a change is none");
    b.say(home, &resolved(vec![element(5)]));
    let unknown = AsapMessage::HandleResolutionResponse {
        subscribed: false,
        handle: other.clone(),
        policy: None,
        elements: vec![],
        error: Some(OperationError::from(CauseCode::UNKNOWN_POOL_HANDLE)),
    };
    b.say(home, &unknown);
    let expected = [
        AsapEvent::Resolved { request: first, result: Ok(vec![element(5)]) },
        AsapEvent::Resolved { request: second, result: Err(ResolveError::UnknownPoolHandle(other)) },
    ];
    assert_eq!(b.events, expected);
}

#[test]
fn a_wrong_answer_or_none_moves_everything_to_another_registrar() {
    for silent in [false, true] {
        let (mut b, home, key) = Bench::registered();
        b.hear(2);
        let request = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
        b.drain();
        if silent {
            b.hear(1);
            b.run_until(ms(2_999));
            assert_eq!(b.closed, []);
            b.run_until(ms(3_000));
        } else {
            b.accept_registration(home, &key);
        }
        assert_eq!(b.closed, [(home, Ending::Abort)], "silent: {silent}");
        let (link, addr) = *b.connects.last().unwrap();
        assert_eq!(addr, registrar_at(2), "the other one first");
        b.sent.clear();
        b.up(link);
        let sent = b.messages();
        assert!(matches!(sent[..], [AsapMessage::HandleResolution { .. }, AsapMessage::Registration { .. }]), "{sent:?}");
        b.say(link, &resolved(vec![element(5)]));
        b.accept_registration(link, &key);
        assert!(b.events.contains(&AsapEvent::Resolved { request, result: Ok(vec![element(5)]) }));
    }
}

#[test]
fn requests_are_not_repeated_for_ever() {
    let mut b = Bench::with(AsapConfig { registrars: vec![vec![registrar_at(7)]], ..AsapConfig::default() });
    let request = b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    let mut times = 0;
    for _ in 0..20 {
        if b.events.iter().any(|e| matches!(e, AsapEvent::Resolved { .. })) {
            break;
        }
        let link = b.connects.last().unwrap().0;
        if !b.closed.iter().any(|(l, _)| *l == link) && b.asap.home().is_none() {
            b.up(link);
            times += 1;
        }
        let next = b.asap.poll_timeout().unwrap();
        b.run_until(next);
    }
    assert_eq!(times, 3, "once and MAX-REQUEST-RETRANSMIT times");
    assert!(b.events.contains(&AsapEvent::Resolved { request, result: Err(ResolveError::Timeout) }));
}

#[test]
fn keep_alives_are_answered_and_the_h_bit_moves_home() {
    let (mut b, home, key) = Bench::registered();
    let second = b.asap.register(b.now, ElementSpec::new(pool(), 5001)).unwrap();
    b.drain();
    b.accept_registration(home, &second);
    b.sent.clear();
    let ask =
        |new_home, handle: &PoolHandle, id| AsapMessage::KeepAlive { new_home, registrar: RegistrarId(77), handle: handle.clone(), id };
    b.say(home, &ask(false, &pool(), Some(key.id)));
    assert_eq!(b.messages(), [AsapMessage::KeepAliveAck { handle: pool(), id: key.id }]);
    b.say(home, &ask(false, &pool(), Some(ElementId(key.id.0 ^ 1))));
    b.say(home, &ask(false, &PoolHandle::new("Other").unwrap(), None));
    assert_eq!(b.messages(), [], "not ours: silence");
    b.say(home, &ask(false, &pool(), None));
    assert_eq!(b.messages().len(), 2, "without an identifier: all of the pool");

    let visitor = b.asap.accept(b.now, vec![LOCAL]).unwrap();
    b.say(visitor, &ask(false, &pool(), Some(key.id)));
    assert_eq!(b.sent.drain(..).map(|(l, _)| l).collect::<Vec<_>>(), [visitor], "acknowledged where it came from");
    assert_eq!(b.closed, []);
    b.say(visitor, &ask(true, &pool(), Some(key.id)));
    assert_eq!(b.closed, [(home, Ending::Abort)]);
    assert_eq!(b.asap.home(), Some(RegistrarId(77)));
    assert!(b.sent.iter().all(|(l, _)| *l == visitor));
    let sent = b.messages();
    assert!(matches!(sent[0], AsapMessage::KeepAliveAck { .. }));
    assert_eq!(sent.iter().filter(|m| matches!(m, AsapMessage::Registration { .. })).count(), 2);
}

#[test]
fn visitors_are_bounded_and_leave() {
    let mut b = Bench::new();
    let all: Vec<_> = std::iter::from_fn(|| b.asap.accept(b.now, vec![])).take(1_000).collect();
    assert_eq!(all.len(), 16);
    b.run_until(ms(29_999));
    assert_eq!(b.closed, []);
    b.run_until(ms(30_000));
    assert_eq!(b.closed.len(), 16);
    assert!(b.asap.accept(b.now, vec![]).is_some());
}

#[test]
fn a_rejected_element_is_not_tried_again_unless_changed() {
    let mut b = Bench::new();
    let key = b.asap.register(b.now, ElementSpec::new(pool(), 5000)).unwrap();
    b.hear(1);
    b.up(LinkId(1));
    let error = Some(OperationError::from(CauseCode::INCONSISTENT_POLICY));
    b.say(LinkId(1), &AsapMessage::RegistrationResponse { reject: true, handle: pool(), id: key.id, error });
    let rejected = RegisterError::Rejected(CauseCode::INCONSISTENT_POLICY);
    assert_eq!(b.events.last(), Some(&AsapEvent::RegistrationFailed { key: key.clone(), error: rejected }));
    b.sent.clear();
    b.run_until(ms(200_000));
    assert_eq!(b.sent, []);
    b.asap.update(b.now, &key, PolicyParam::LeastUsed { load: 1 });
    b.drain();
    assert_eq!(b.messages().len(), 1);
}

#[test]
fn a_registrar_that_lacked_resources_is_asked_again_for_an_element_that_it_had() {
    let (mut b, home, key) = Bench::registered();
    let error = Some(OperationError::from(CauseCode::LACK_OF_RESOURCES));
    let refusal = AsapMessage::RegistrationResponse { reject: true, handle: pool(), id: key.id, error };
    b.run_until(ms(30_000));
    assert_eq!(b.messages().len(), 1, "T4");
    let mut asked_at = vec![];
    for _ in 0..3 {
        b.say(home, &refusal);
        assert_eq!(b.asap.element_state(&key), Some(ElementState::Registering));
        let again = b.asap.poll_timeout().unwrap();
        b.run_until(again);
        assert_eq!(b.messages().len(), 1);
        asked_at.push(again);
    }
    assert!(asked_at[2] - asked_at[1] > asked_at[1] - asked_at[0], "the pauses grow: {asked_at:?}");
    b.accept_registration(home, &key);
    assert_eq!(b.asap.element_state(&key), Some(ElementState::Registered));
}

#[test]
fn updates_do_not_flood_and_the_last_one_counts() {
    let (mut b, home, key) = Bench::registered();
    b.run_until(ms(1_000));
    for load in 1..=50 {
        b.asap.update(b.now, &key, PolicyParam::LeastUsed { load });
    }
    b.drain();
    assert_eq!(b.messages().len(), 1);
    b.accept_registration(home, &key);
    b.run_until(ms(2_000));
    let sent = b.messages();
    let [AsapMessage::Registration { element, .. }] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(element.policy, PolicyParam::LeastUsed { load: 50 });
}

#[test]
fn deregistration_and_expiry() {
    let (mut b, home, key) = Bench::registered();
    let gone = AsapMessage::DeregistrationResponse { handle: pool(), id: key.id, error: None };
    b.say(home, &gone);
    assert!(matches!(b.messages()[..], [AsapMessage::Registration { .. }]), "the life expired: again");
    b.accept_registration(home, &key);
    b.events.clear();
    b.asap.deregister(b.now, &key);
    b.drain();
    assert_eq!(b.messages(), [AsapMessage::Deregistration { handle: pool(), id: key.id }]);
    b.say(home, &gone);
    assert_eq!(b.events, [AsapEvent::Deregistered { key }]);
    assert!(!b.asap.has_elements());
    b.run_until(ms(100_000));
    assert_eq!(b.sent, []);
}

#[test]
fn deregistration_without_a_registrar_ends_too() {
    let (mut b, home, key) = Bench::registered();
    b.run_until(ms(6_000));
    b.lost(home);
    b.asap.deregister(b.now, &key);
    b.run_until(ms(60_000));
    assert!(b.events.contains(&AsapEvent::Deregistered { key }));
}

#[test]
fn failed_elements_are_reported_and_left_out() {
    let (mut b, home, _) = Bench::registered();
    b.asap.report_unreachable(b.now, &pool(), ElementId(5), Some(element(5).user));
    b.drain();
    assert_eq!(b.messages(), [AsapMessage::Unreachable { handle: pool(), id: ElementId(5) }]);
    b.asap.resolve(b.now, &pool(), 2, Duration::ZERO);
    b.say(home, &resolved(vec![element(5), element(6)]));
    assert!(matches!(b.events.last(), Some(AsapEvent::Resolved { result: Ok(e), .. }) if *e == [element(6)]));

    // Only failed ones in a list that may be incomplete: asked again for all.
    b.sent.clear();
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.say(home, &resolved(vec![element(5)]));
    let items: Vec<_> = b
        .messages()
        .into_iter()
        .map(|m| match m {
            AsapMessage::HandleResolution { items, .. } => items,
            m => panic!("{m:?}"),
        })
        .collect();
    assert_eq!(items, [Some(1), Some(128)]);
    b.say(home, &resolved(vec![element(5)]));
    let all_failed = ResolveError::AllExcluded(pool());
    assert!(matches!(b.events.last(), Some(AsapEvent::Resolved { result: Err(e), .. }) if *e == all_failed));
    b.run_until(ms(29_000));
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    b.run_until(ms(30_000));
    b.say(home, &resolved(vec![element(5)]));
    assert!(matches!(b.events.last(), Some(AsapEvent::Resolved { result: Ok(e), .. }) if *e == [element(5)]));
}

#[test]
fn the_cache_answers_while_it_is_fresh_and_when_nobody_else_does() {
    let (mut b, home, _) = Bench::registered();
    let second = Duration::from_secs(1);
    b.asap.resolve(b.now, &pool(), 2, second);
    b.say(home, &resolved(vec![element(5), element(6)]));
    b.sent.clear();
    b.asap.resolve(b.now, &pool(), 1, second);
    b.drain();
    assert_eq!(b.sent, [], "from the cache");
    b.run_until(ms(6_000));
    b.asap.resolve(b.now, &pool(), 1, second);
    b.drain();
    assert_eq!(b.messages().len(), 1, "stale");
    b.say(home, &resolved(vec![element(5), element(6)]));
    b.lost(home);
    b.events.clear();
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.run_until(ms(12_000));
    assert!(b.events.iter().any(|e| matches!(e, AsapEvent::Resolved { result: Ok(_), .. })), "{:?}", b.events);
}

#[test]
fn nonsense_does_no_harm() {
    let (mut b, home, _) = Bench::registered();
    for bytes in [&b""[..], b"\x01", b"\x99\x00\x00\x04", b"\x0e\x00\x00\x04", b"\x03\x00\x00\x08\x00\x09\x00\x00", &[0xff; 70_000]] {
        b.asap.handle(b.now, Input::Message { link: home, bytes });
        b.asap.handle(b.now, Input::Message { link: LinkId(999), bytes });
        b.asap.handle(b.now, Input::Announce { src: registrar_at(1), bytes });
    }
    b.drain();
    assert_eq!(b.asap.registrars_known(b.now), 1);
}

#[test]
fn announces_name_addresses_or_come_from_them() {
    let mut b = Bench::new();
    let named = Transport::sctp(4000, TransportUse::DATA, ["10.0.0.50".parse().unwrap(), "fe80::1".parse().unwrap()]);
    let message = AsapMessage::ServerAnnounce { registrar: RegistrarId(1), transports: vec![named] };
    let bytes = message.encode(EncodeOptions::default()).unwrap();
    b.asap.handle(b.now, Input::Announce { src: registrar_at(1), bytes: &bytes });
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert_eq!(b.connects[0].1, "10.0.0.50:4000".parse().unwrap());
    let mut b = Bench::new();
    b.asap.handle(b.now, Input::Announce { src: "[::ffff:10.0.0.3]:44".parse().unwrap(), bytes: &announce(9) });
    b.asap.resolve(b.now, &pool(), 1, Duration::ZERO);
    b.drain();
    assert_eq!(b.connects[0].1, "10.0.0.3:44".parse().unwrap());
}
