//! The handlespace against a model that is nothing but a list.

use core::time::Duration;
use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use sctp_user::SeededEntropy;

use super::policy_model::{Rank, is_random, values};
use super::*;
use crate::wire::{Life, LifeUnit, PolicyParam, PoolElement, RegistrarId, Transport, TransportUse};

#[derive(Clone, Debug)]
enum Op {
    Register { pool: u8, id: u32, home: u32, life: u32, small: u32, addrs: usize },
    Remove { pool: u8, id: u32 },
    SetHome { pool: u8, id: u32, home: u32 },
    SetAssoc { pool: u8, id: u32, assoc: Option<u32> },
    SetTimer { pool: u8, id: u32, after: Option<u64> },
    Wait(u64),
    Select { pool: u8, n: usize, increment: Option<usize> },
    Mark { home: u32 },
    Unmark { pool: u8, id: u32 },
    Sweep { home: u32, most: usize },
    Walk { owner: Option<u32>, most: usize },
}

const POOLS: u8 = 3;

fn op() -> impl Strategy<Value = Op> {
    let life = prop_oneof![1u32..50, Just(u32::MAX)];
    let (pool, id, home) = (0..POOLS, 1u32..12, 1u32..4);
    let element = (pool.clone(), id.clone());
    prop_oneof![
        8 => (pool.clone(), id, home.clone(), life, 0u32..3, 1usize..3)
            .prop_map(|(pool, id, home, life, small, addrs)| Op::Register { pool, id, home, life, small, addrs }),
        2 => element.clone().prop_map(|(pool, id)| Op::Remove { pool, id }),
        2 => (element.clone(), home.clone()).prop_map(|((pool, id), home)| Op::SetHome { pool, id, home }),
        2 => (element.clone(), prop::option::of(1u32..5)).prop_map(|((pool, id), assoc)| Op::SetAssoc { pool, id, assoc }),
        3 => (element.clone(), prop::option::of(0u64..40)).prop_map(|((pool, id), after)| Op::SetTimer { pool, id, after }),
        1 => (1u64..30).prop_map(Op::Wait),
        4 => (pool, 0usize..8, prop::option::of(0usize..4)).prop_map(|(pool, n, increment)| Op::Select { pool, n, increment }),
        1 => home.clone().prop_map(|home| Op::Mark { home }),
        1 => element.prop_map(|(pool, id)| Op::Unmark { pool, id }),
        1 => (home.clone(), 0usize..4).prop_map(|(home, most)| Op::Sweep { home, most }),
        3 => (prop::option::weighted(0.7, home), 0usize..6).prop_map(|(owner, most)| Op::Walk { owner, most }),
    ]
}

/// An element as the model sees it.
#[derive(Clone)]
struct Row {
    pool: u8,
    info: PoolElement,
    key: ElementKey,
    since: u64,
    renewed: u64,
    /// When it expires, unless it was named as expired already.
    expires: Option<u64>,
    timer: Option<u64>,
    assoc: Option<u32>,
    marked: bool,
    rank: Rank,
}

/// A table transfer that is going on.
struct Walk {
    owner: Option<RegistrarId>,
    cursor: TableCursor,
    /// Who was there all the time, and not taken yet.
    missing: BTreeSet<ElementKey>,
    taken: BTreeSet<ElementKey>,
}

struct Bed {
    space: Handlespace,
    rows: Vec<Row>,
    policies: [u32; POOLS as usize],
    now: u64,
    turn: u64,
    walk: Option<Walk>,
    rng: SeededEntropy,
}

const MAX_IN_POOL: usize = 9;

fn handle(pool: u8) -> PoolHandle {
    PoolHandle::new(["b", "a", "longer"][usize::from(pool)]).unwrap()
}

fn element(id: u32, home: u32, life: u32, policy: PolicyParam) -> PoolElement {
    PoolElement {
        id: ElementId(id),
        home: RegistrarId(home),
        life: Life(life),
        user: Transport::sctp(1, TransportUse::DATA, ["10.0.0.1".parse().unwrap()]),
        policy,
        asap: None,
    }
}

impl Bed {
    fn new(policies: [u32; 3]) -> Self {
        let mut rng = SeededEntropy::new(0);
        let limits = Limits { elements_per_pool: MAX_IN_POOL, ..Limits::default() };
        let space = Handlespace::new(Config { limits, ..Config::default() }, &mut rng);
        Self { space, rows: Vec::new(), policies, now: 0, turn: 0, walk: None, rng }
    }

    fn row(&mut self, pool: u8, id: u32) -> Option<&mut Row> {
        self.rows.iter_mut().find(|r| r.pool == pool && r.info.id.0 == id)
    }

    fn row_of(&mut self, key: ElementKey) -> &mut Row {
        self.rows.iter_mut().find(|r| r.key == key).unwrap()
    }

    fn register(&mut self, pool: u8, info: PoolElement) {
        let now = self.now;
        let done = self.space.register(Time::from_millis(now), &handle(pool), &info);
        let in_pool = self.rows.iter().filter(|r| r.pool == pool).count();
        let first = self.rows.iter().filter(|r| r.pool == pool).map(|r| r.rank).min();
        let expires = (info.life.0 != u32::MAX).then(|| now + u64::from(info.life.0));
        if let Some(row) = self.row(pool, info.id.0) {
            let before = row.info.home;
            let moved_from = (before != info.home).then_some(before);
            let changed = row.info != info;
            assert_eq!(done, Ok(Registered { key: row.key, new_element: false, new_pool: false, changed, moved_from }));
            row.rank.renew(&info.policy);
            (row.renewed, row.expires, row.marked) = (now, expires, false);
            let key = row.key;
            row.info = info;
            if moved_from.is_some() {
                self.left(key);
            }
            return;
        }
        if in_pool >= MAX_IN_POOL {
            return assert_eq!(done, Err(RegisterError::Full("elements in the pool")));
        }
        let done = done.unwrap();
        assert_eq!((done.new_element, done.new_pool, done.changed, done.moved_from), (true, in_pool == 0, true, None));
        self.turn += 1;
        let rank = Rank::new(&info.policy, self.turn, first);
        let (key, timer, assoc) = (done.key, None, None);
        self.rows.push(Row { pool, info, key, since: now, renewed: now, expires, timer, assoc, marked: false, rank });
    }

    /// The element is not for all of the walk what is looked for.
    fn left(&mut self, key: ElementKey) {
        if let Some(walk) = &mut self.walk
            && (walk.owner.is_some() || self.rows.iter().all(|r| r.key != key))
        {
            walk.missing.remove(&key);
        }
    }

    fn remove(&mut self, pool: u8, id: u32) {
        let key = self.space.find(&handle(pool), ElementId(id));
        assert_eq!(key, self.row(pool, id).map(|r| r.key));
        let Some(key) = key else { return };
        let gone = self.space.remove(key).unwrap();
        assert_eq!(self.space.remove(key), None);
        assert_eq!((gone.handle, gone.id, gone.home), (handle(pool), ElementId(id), self.row_of(key).info.home));
        self.rows.retain(|r| r.key != key);
        assert_eq!(gone.pool_gone, self.rows.iter().all(|r| r.pool != pool));
        self.left(key);
    }

    fn wait(&mut self, ms: u64) {
        self.now += ms;
        let (now, mut last) = (self.now, 0);
        while let Some(key) = self.space.pop_due(Time::from_millis(now)) {
            let at = self.row_of(key).timer.take().unwrap();
            assert!(last <= at && at <= now, "in order, and not too early");
            last = at;
        }
        assert!(self.rows.iter().all(|r| r.timer.is_none_or(|t| t > now)));
        last = 0;
        while let Some(key) = self.space.pop_expired(Time::from_millis(now)) {
            let row = self.row_of(key);
            let at = row.expires.take().unwrap();
            let (pool, id) = (row.pool, row.info.id.0);
            assert!(last <= at && at <= now, "in order, and not too early");
            last = at;
            // Some stay a while: they must not be named again.
            if id % 3 != 0 {
                self.remove(pool, id);
            }
        }
        assert!(self.rows.iter().all(|r| r.expires.is_none_or(|t| t > now)));
    }

    fn select(&mut self, pool: u8, n: usize, increment: Option<usize>) {
        let mut keys = Vec::new();
        self.space.select(&handle(pool), n, increment, &mut self.rng, &mut keys);
        let mut rows: Vec<&mut Row> = self.rows.iter_mut().filter(|r| r.pool == pool).collect();
        if is_random(self.policies[usize::from(pool)]) {
            let distinct: BTreeSet<ElementKey> = keys.iter().copied().collect();
            let able = rows.iter().filter(|r| r.rank.weight() > 0).count();
            assert_eq!((distinct.len(), keys.len()), (n.min(able), n.min(able)));
            for (i, key) in keys.iter().enumerate() {
                let row = rows.iter_mut().find(|r| r.key == *key).unwrap();
                assert!(row.rank.weight() > 0, "who has no weight is never chosen");
                if i < increment.unwrap_or(1) {
                    row.rank.used(0);
                }
            }
            return;
        }
        rows.sort_by_key(|r| r.rank);
        assert_eq!(keys, rows.iter().take(n).map(|r| r.key).collect::<Vec<_>>());
        for row in rows.iter_mut().take(n.min(increment.unwrap_or(1))) {
            self.turn += 1;
            row.rank.used(self.turn);
        }
    }

    fn walk(&mut self, owner: Option<u32>, most: usize) {
        let Self { space, rows, walk, .. } = self;
        let walk = walk.get_or_insert_with(|| {
            let owner = owner.map(RegistrarId);
            let missing = rows.iter().filter(|r| owner.is_none_or(|o| r.info.home == o)).map(|r| r.key).collect();
            Walk { owner, cursor: TableCursor::default(), missing, taken: BTreeSet::new() }
        });
        let mut left = most;
        let more = space.table(&mut walk.cursor, walk.owner, |e| {
            assert!(walk.owner.is_none_or(|o| e.home() == o));
            if left == 0 {
                return false;
            }
            left -= 1;
            assert!(walk.taken.insert(e.key()), "nobody is taken twice");
            walk.missing.remove(&e.key());
            true
        });
        if !more {
            assert!(walk.missing.is_empty(), "who was there all the time was taken");
            self.walk = None;
        }
    }

    fn run(&mut self, op: Op) {
        let now = self.now;
        match op {
            Op::Register { pool, id, home, life, small, addrs } => {
                let mut info = element(id, home, life, values(self.policies[usize::from(pool)], small));
                info.user.addrs = (1..=addrs).map(|n| format!("10.0.0.{n}").parse().unwrap()).collect();
                info.asap = (addrs == 2).then(|| info.user.clone());
                self.register(pool, info);
            }
            Op::Remove { pool, id } => self.remove(pool, id),
            Op::SetHome { pool, id, home } => {
                let Some(row) = self.row(pool, id) else { return };
                let (before, key) = (core::mem::replace(&mut row.info.home, RegistrarId(home)), row.key);
                row.marked = false;
                if before != RegistrarId(home) {
                    self.left(key);
                }
                self.space.set_home(key, RegistrarId(home));
            }
            Op::SetAssoc { pool, id, assoc } => {
                let Some(row) = self.row(pool, id) else { return };
                row.assoc = assoc;
                let key = row.key;
                self.space.set_assoc(key, assoc);
            }
            Op::SetTimer { pool, id, after } => {
                let Some(row) = self.row(pool, id) else { return };
                row.timer = after.map(|ms| now + ms);
                let (key, at) = (row.key, row.timer.map(Time::from_millis));
                self.space.set_timer(key, at);
            }
            Op::Wait(ms) => self.wait(ms),
            Op::Select { pool, n, increment } => self.select(pool, n, increment),
            Op::Mark { home } => {
                self.space.mark_owned(RegistrarId(home));
                self.rows.iter_mut().filter(|r| r.info.home.0 == home).for_each(|r| r.marked = true);
            }
            Op::Unmark { pool, id } => {
                let Some(row) = self.row(pool, id) else { return };
                row.marked = false;
                let key = row.key;
                self.space.unmark(key);
            }
            Op::Sweep { home, most } => {
                for _ in 0..most {
                    let Some(key) = self.space.pop_marked(RegistrarId(home)) else {
                        return assert!(self.rows.iter().all(|r| r.info.home.0 != home || !r.marked));
                    };
                    let row = self.row_of(key);
                    assert!(row.marked && row.info.home.0 == home);
                    row.marked = false;
                    let (pool, id) = (row.pool, row.info.id.0);
                    if id % 2 == 0 {
                        self.remove(pool, id);
                    }
                }
            }
            Op::Walk { owner, most } => self.walk(owner, most),
        }
    }

    fn check(&self) {
        let Self { space, rows, .. } = self;
        assert_eq!(space.audit(), Ok(()));
        assert_eq!(space.element_count(), rows.len());
        for row in rows {
            let e = space.element(row.key).unwrap();
            assert_eq!((e.info(), e.handle(), e.is_marked()), (row.info.clone(), &handle(row.pool), row.marked));
            assert_eq!((e.since().as_millis(), e.renewed().as_millis()), (row.since, row.renewed));
            assert_eq!(e.timer().map(Time::as_millis), row.timer);
            let life = u64::from(row.info.life.0);
            assert_eq!(e.expires().map(Time::as_millis), (row.info.life != Life::INFINITE).then(|| row.renewed + life));
            assert_eq!(e.assoc(), row.assoc);
        }
        let earliest = |next: Option<Time>, all: &mut dyn Iterator<Item = u64>| {
            all.min().is_none_or(|first| next.is_some_and(|t| t.as_millis() <= first))
        };
        assert!(earliest(space.next_expiry(), &mut rows.iter().filter_map(|r| r.expires)));
        assert!(earliest(space.next_due(), &mut rows.iter().filter_map(|r| r.timer)));
        for home in (1..4).map(RegistrarId) {
            let mine = || rows.iter().filter(|r| r.info.home == home);
            let mut sum = Checksum::default();
            mine().for_each(|r| sum.add(&handle(r.pool), r.info.id));
            assert_eq!((space.checksum(home), space.owned_count(home)), (sum.value(), mine().count()));
            assert_eq!(space.owned_by(home).collect::<BTreeSet<_>>(), mine().map(|r| r.key).collect());
        }
        for assoc in 1..5 {
            let on: BTreeSet<ElementKey> = rows.iter().filter(|r| r.assoc == Some(assoc)).map(|r| r.key).collect();
            assert_eq!(space.on_assoc(assoc).collect::<BTreeSet<_>>(), on);
        }
        for pool in 0..POOLS {
            let members: Vec<ElementKey> = rows.iter().filter(|r| r.pool == pool).map(|r| r.key).collect();
            assert_eq!(space.members(&handle(pool)).map(|e| e.key()).collect::<Vec<_>>(), members, "in the order of joining");
        }
        assert!(space.pools().map(Pool::handle).is_sorted());
    }
}

proptest! {
    #[test]
    fn like_the_model(policies in prop::array::uniform3(prop::sample::select(policy::NUMBERS.as_slice())), ops in vec(op(), 1..150)) {
        let mut bed = Bed::new(policies);
        for op in ops {
            bed.run(op);
            bed.check();
        }
        // Whatever happened: a walk comes to its end.
        for _ in 0..1000 {
            bed.walk(None, 3);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let element = |id, life| element(id, 1, life, PolicyParam::RoundRobin {});
    let mut space = Handlespace::new(
        Config { limits: Limits { pools: 1, elements: 2, elements_per_pool: 2 }, life_unit: LifeUnit::Seconds, ..Config::default() },
        &mut SeededEntropy::new(0),
    );
    let pool = handle(0);
    let mut register = |handle: &PoolHandle, e: PoolElement| space.register(Time::ZERO, handle, &e).map(|r| (r.new_pool, r.new_element));
    let random = PoolElement { policy: PolicyParam::Other { number: 99, values: Vec::new() }, ..element(1, 1) };
    assert_eq!(register(&pool, random.clone()), Err(RegisterError::UnsupportedPolicy(99)));
    assert_eq!(register(&pool, element(1, 1)), Ok((true, true)));
    assert_eq!(register(&pool, random), Err(RegisterError::InconsistentPolicy(PolicyParam::RoundRobin {})));
    let control = PoolElement { user: Transport::sctp(1, TransportUse::DATA_PLUS_CONTROL, []), ..element(2, 1) };
    assert_eq!(register(&pool, control), Err(RegisterError::InconsistentControl));
    let tcp = PoolElement { user: Transport::single(crate::wire::Protocol::Tcp, "10.0.0.1:1".parse().unwrap()), ..element(2, 1) };
    assert_eq!(register(&pool, tcp), Err(RegisterError::InconsistentTransport(element(1, 1).user)));
    assert_eq!(register(&handle(1), element(1, 1)), Err(RegisterError::Full("pools")));
    assert_eq!(register(&pool, element(1, 5)), Ok((false, false)));
    assert_eq!(register(&pool, element(2, 1)), Ok((false, true)));
    assert_eq!(register(&pool, element(3, 1)), Err(RegisterError::Full("elements")));
    assert_eq!(space.next_expiry(), Some(Time::ZERO + Duration::from_secs(1)));
    assert_eq!(space.audit(), Ok(()));
}
