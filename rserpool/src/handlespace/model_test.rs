//! The handlespace against a model that is nothing but a list.

use core::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sctp_user::SeededEntropy;

use super::*;
use crate::wire::{Life, LifeUnit, TransportUse};

#[derive(Clone, Debug)]
enum Op {
    Register { pool: u8, id: u32, home: u32, life: u32, load: Option<u32> },
    Remove { pool: u8, id: u32 },
    Wait(u64),
    Select { pool: u8, n: usize, increment: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let life = prop_oneof![1u32..50, Just(u32::MAX)];
    prop_oneof![
        4 => (0u8..3, 1u32..6, 1u32..4, life, prop::option::of(0u32..3))
            .prop_map(|(pool, id, home, life, load)| Op::Register { pool, id, home, life, load }),
        1 => (0u8..3, 1u32..6).prop_map(|(pool, id)| Op::Remove { pool, id }),
        1 => (1u64..30).prop_map(Op::Wait),
        2 => (0u8..3, 0usize..5, 0usize..3).prop_map(|(pool, n, increment)| Op::Select { pool, n, increment }),
    ]
}

struct Row {
    pool: u8,
    id: u32,
    home: u32,
    load: Option<u32>,
    expires: Option<u64>,
    turn: u64,
}

#[derive(Default)]
struct Model {
    rows: Vec<Row>,
    turn: u64,
}

const MAX_IN_POOL: usize = 4;

impl Model {
    /// Whether the element is taken in.
    fn register(&mut self, now: u64, (pool, id): (u8, u32), home: u32, life: u32, load: Option<u32>) -> bool {
        let fits = self.rows.iter().filter(|r| r.pool == pool).all(|r| r.load.is_some() == load.is_some());
        let expires = (life != u32::MAX).then(|| now + u64::from(life));
        if !fits {
            return false;
        }
        if let Some(row) = self.rows.iter_mut().find(|r| r.pool == pool && r.id == id) {
            (row.home, row.load, row.expires) = (home, load, expires);
            return true;
        }
        if self.rows.iter().filter(|r| r.pool == pool).count() >= MAX_IN_POOL {
            return false;
        }
        self.turn += 1;
        self.rows.push(Row { pool, id, home, load, expires, turn: self.turn });
        true
    }

    fn select(&mut self, pool: u8, n: usize, increment: usize) -> Vec<u32> {
        let mut rows: Vec<&mut Row> = self.rows.iter_mut().filter(|r| r.pool == pool).collect();
        rows.sort_by_key(|r| (r.load, r.turn));
        for row in rows.iter_mut().take(n.min(increment)) {
            self.turn += 1;
            row.turn = self.turn;
        }
        rows.iter().take(n).map(|r| r.id).collect()
    }
}

fn handle(pool: u8) -> PoolHandle {
    PoolHandle::new(["b", "a", "longer"][usize::from(pool)]).unwrap()
}

fn element(id: u32, home: u32, life: u32, load: Option<u32>) -> PoolElement {
    PoolElement {
        id: ElementId(id),
        home: RegistrarId(home),
        life: Life(life),
        user: Transport::sctp(1, TransportUse::DATA, ["10.0.0.1".parse().unwrap()]),
        policy: load.map_or(PolicyParam::RoundRobin {}, |load| PolicyParam::LeastUsed { load }),
        asap: None,
    }
}

proptest! {
    #[test]
    fn like_the_model(ops in vec(op(), 1..80)) {
        let limits = Limits { elements_per_pool: MAX_IN_POOL, ..Limits::default() };
        let mut rng = SeededEntropy::new(0);
        let mut space = Handlespace::new(Config { limits, ..Config::default() }, &mut rng);
        let mut model = Model::default();
        let mut now = 0;
        for op in ops {
            match op {
                Op::Register { pool, id, home, life, load } => {
                    let taken = space.register(Time::from_millis(now), &handle(pool), &element(id, home, life, load));
                    prop_assert_eq!(taken.is_ok(), model.register(now, (pool, id), home, life, load));
                }
                Op::Remove { pool, id } => {
                    let gone = space.find(&handle(pool), ElementId(id)).and_then(|key| space.remove(key));
                    let before = model.rows.len();
                    model.rows.retain(|r| (r.pool, r.id) != (pool, id));
                    prop_assert_eq!(gone.is_some(), model.rows.len() < before);
                    if let Some(gone) = gone {
                        prop_assert_eq!(gone.pool_gone, model.rows.iter().all(|r| r.pool != pool));
                    }
                }
                Op::Wait(ms) => {
                    now += ms;
                    while let Some(key) = space.pop_expired(Time::from_millis(now)) {
                        space.remove(key).unwrap();
                    }
                    model.rows.retain(|r| r.expires.is_none_or(|t| t > now));
                }
                Op::Select { pool, n, increment } => {
                    let mut keys = Vec::new();
                    space.select(&handle(pool), n, Some(increment), &mut rng, &mut keys);
                    let ids: Vec<u32> = keys.iter().map(|k| space.element(*k).unwrap().id().0).collect();
                    prop_assert_eq!(ids, model.select(pool, n, increment));
                }
            }
            prop_assert_eq!(space.audit(), Ok(()));
            prop_assert_eq!(space.element_count(), model.rows.len());
            prop_assert_eq!(space.next_expiry(), model.rows.iter().filter_map(|r| r.expires).min().map(Time::from_millis));
            for home in 1..4 {
                let mut sum = Checksum::default();
                model.rows.iter().filter(|r| r.home == home).for_each(|r| sum.add(&handle(r.pool), ElementId(r.id)));
                prop_assert_eq!(space.checksum(RegistrarId(home)), sum.value());
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut space = Handlespace::new(
        Config { limits: Limits { pools: 1, elements: 2, elements_per_pool: 2 }, life_unit: LifeUnit::Seconds, ..Config::default() },
        &mut SeededEntropy::new(0),
    );
    let pool = handle(0);
    let mut register = |handle: &PoolHandle, e: PoolElement| space.register(Time::ZERO, handle, &e).map(|r| (r.new_pool, r.new_element));
    let random = PoolElement { policy: PolicyParam::Other { number: 99, values: Vec::new() }, ..element(1, 1, 1, None) };
    assert_eq!(register(&pool, random.clone()), Err(RegisterError::UnsupportedPolicy(99)));
    assert_eq!(register(&pool, element(1, 1, 1, None)), Ok((true, true)));
    assert_eq!(register(&pool, random), Err(RegisterError::InconsistentPolicy(PolicyParam::RoundRobin {})));
    let control = PoolElement { user: Transport::sctp(1, TransportUse::DATA_PLUS_CONTROL, []), ..element(2, 1, 1, None) };
    assert_eq!(register(&pool, control), Err(RegisterError::InconsistentControl));
    let tcp = PoolElement { user: Transport::single(crate::wire::Protocol::Tcp, "10.0.0.1:1".parse().unwrap()), ..element(2, 1, 1, None) };
    assert_eq!(register(&pool, tcp), Err(RegisterError::InconsistentTransport(element(1, 1, 1, None).user)));
    assert_eq!(register(&handle(1), element(1, 1, 1, None)), Err(RegisterError::Full("pools")));
    assert_eq!(register(&pool, element(1, 1, 5, None)), Ok((false, false)));
    assert_eq!(register(&pool, element(2, 1, 1, None)), Ok((false, true)));
    assert_eq!(register(&pool, element(3, 1, 1, None)), Err(RegisterError::Full("elements")));
    assert_eq!(space.next_expiry(), Some(Time::ZERO + Duration::from_secs(1)));
    assert_eq!(space.audit(), Ok(()));
}
