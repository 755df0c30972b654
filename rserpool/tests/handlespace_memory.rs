//! What a handlespace takes of memory: so many bytes an element, and nothing at all for a renewal or a resolution.
#![allow(clippy::unwrap_used, reason = "a test")]

use allocation_counter::measure;
use rserpool::handlespace::policy::NUMBERS;
use rserpool::handlespace::{Config, Handlespace};
use rserpool::wire::{ElementId, Life, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport, TransportUse};
use sctp_user::{SeededEntropy, Time};

/// Bytes an element may take with one address for users and one for registrars (RSPLIB: 528).
const MAX_BYTES: u64 = 250;

/// A policy of this number with small values.
fn policy(number: u32, small: u32) -> PolicyParam {
    let values = [small + 1, small + 2, 3, 4];
    let mut policies = PolicyParam::NAMES.iter().flat_map(|name| (0..=4).filter_map(|n| PolicyParam::from_name(name, values.get(..n)?)));
    policies.rfind(|p| p.number() == number).unwrap()
}

struct Bed {
    space: Handlespace,
    handles: Vec<PoolHandle>,
    info: PoolElement,
    rng: SeededEntropy,
}

impl Bed {
    fn new(number: u32, pools: u32) -> Self {
        let mut rng = SeededEntropy::new(1);
        let addr = "10.0.0.1".parse().unwrap();
        Self {
            space: Handlespace::new(Config::default(), &mut rng),
            handles: (0..pools).map(|p| PoolHandle::new(format!("pool {p}")).unwrap()).collect(),
            info: PoolElement {
                id: ElementId(1),
                home: RegistrarId(1),
                life: Life(300_000),
                user: Transport::sctp(1, TransportUse::DATA, [addr]),
                policy: policy(number, 0),
                asap: Some(Transport::sctp(2, TransportUse::DATA, [addr])),
            },
            rng,
        }
    }

    fn register(&mut self, id: u32, ms: u64) {
        self.info.id = ElementId(id);
        let pool = self.handles.get(id as usize % self.handles.len()).unwrap();
        let done = self.space.register(Time::from_millis(ms), pool, &self.info).unwrap();
        self.space.set_timer(done.key, Some(Time::from_millis(ms + 5000)));
        if done.new_element {
            self.space.set_assoc(done.key, Some(id));
        }
    }
}

#[test]
fn an_element_takes_at_most_250_bytes() {
    for (number, elements, pools) in NUMBERS.iter().flat_map(|n| [(*n, 60_000, 1), (*n, 30_000, 30)]) {
        let mut bed = Bed::new(number, pools);
        let used = measure(|| (1..=elements).for_each(|id| bed.register(id, 0)));
        let bytes = used.bytes_current.unsigned_abs() / u64::from(elements);
        assert!(bytes <= MAX_BYTES, "policy 0x{number:08x}: {bytes} bytes, {elements} elements in {pools} pools");
    }
}

#[test]
fn renewals_and_resolutions_allocate_nothing() {
    for (number, pools) in NUMBERS.iter().flat_map(|n| [(*n, 1), (*n, 50)]) {
        let mut bed = Bed::new(number, pools);
        (1..=1000).for_each(|id| bed.register(id, 0));
        let mut out = Vec::with_capacity(10);
        let values: Vec<PolicyParam> = (0..7).map(|small| policy(number, small)).collect();
        let mut round = |bed: &mut Bed, ms: u64| {
            for (id, values) in (1..=1000).zip(values.iter().cycle()) {
                // Every other one changes its values.
                if id % 2 == 0 {
                    bed.info.policy.clone_from(values);
                }
                bed.register(id, ms);
                for n in [1, 10] {
                    out.clear();
                    let pool = &bed.handles[id as usize % bed.handles.len()];
                    bed.space.select(pool, n, None, &mut bed.rng, &mut out);
                }
            }
        };
        round(&mut bed, 1);
        let used = measure(|| round(&mut bed, 2));
        assert_eq!(used.count_total, 0, "policy 0x{number:08x} in {pools} pools");
        assert_eq!(bed.space.audit(), Ok(()));
    }
}
