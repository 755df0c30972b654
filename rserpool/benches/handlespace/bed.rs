//! A handlespace with elements, and what is done with them.

use std::hint::black_box;

use allocation_counter::measure;
use rserpool::handlespace::{Config, ElementKey, Handlespace, Limits};
use rserpool::wire::{ElementId, Life, PolicyParam, PoolElement, PoolHandle, RegistrarId, Transport, TransportUse};
use rustix::time::{ClockId, clock_gettime};
use sctp_user::{SeededEntropy, Time};

/// CPU time of this process.
pub(crate) struct Clock;

impl Clock {
    pub(crate) fn start() -> Self {
        Self
    }

    pub(crate) fn now(&self) -> u64 {
        let t = clock_gettime(ClockId::ProcessCPUTime);
        t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
    }
}

/// A bijection that scatters 32 bits (the finalizer of murmur3).
pub(crate) fn scatter(n: u64) -> u64 {
    let mut n = n as u32;
    n = (n ^ n >> 16).wrapping_mul(0x85eb_ca6b);
    n = (n ^ n >> 13).wrapping_mul(0xc2b2_ae35);
    u64::from(n ^ n >> 16)
}

/// How many elements an operation is measured with.
pub(crate) fn batch(size: usize) -> usize {
    (size / 4).min(50_000)
}

/// How often.
pub(crate) fn rounds(size: usize) -> usize {
    (150_000 / size).clamp(1, 150)
}

/// `n` of the numbers below `size`, in random order.
pub(crate) fn shuffled(size: usize, n: usize, seed: u64) -> Vec<usize> {
    let mut all: Vec<usize> = (0..size).collect();
    for i in 0..n {
        let left = (size - i) as u64;
        let draw = scatter(seed << 20 ^ i as u64) << 32 | scatter(!(seed << 20 ^ i as u64));
        all.swap(i, i + usize::try_from((u128::from(draw) * u128::from(left)) >> 64).unwrap());
    }
    all.truncate(n);
    all
}

/// Values of a policy for the element that drew `random`: weights 1 to 100, priorities 1 to 10, 256 levels of load.
pub(crate) fn values(name: &str, random: u64) -> PolicyParam {
    let weight = 1 + (random % 100) as u32;
    let load = (random % 256) as u32 * 0x0100_0000;
    let step = 0x0001_0000;
    let distance = (random % 200) as u32;
    let candidates: [&[u32]; 10] = [
        &[],
        &[if name == "Priority" {
            1 + (random % 10) as u32
        } else if name.contains("Weighted") {
            weight
        } else {
            load
        }],
        &[load, step],
        &[if name.contains("Weighted") { weight } else { load }, 0x0010_0000, distance],
        &[load, step, 0x0010_0000, distance],
        &[],
        &[],
        &[],
        &[],
        &[],
    ];
    candidates.iter().find_map(|values| PolicyParam::from_name(name, values)).unwrap()
}

/// Nanoseconds an operation, and allocations a thousand operations.
#[derive(Clone, Default, Debug)]
pub(crate) struct Costs {
    pub(crate) register: f64,
    pub(crate) renew: f64,
    pub(crate) change: f64,
    pub(crate) deregister: f64,
    pub(crate) resolve_1: f64,
    pub(crate) resolve_10: f64,
    pub(crate) takeover: f64,
    /// Of all renewals, changes and resolutions together: must be none.
    pub(crate) allocations: u64,
}

pub(crate) const HOME: RegistrarId = RegistrarId(0x1111_1111);
const OTHER: RegistrarId = RegistrarId(0x2222_2222);

pub(crate) struct Bed {
    /// What the elements choose from.
    values: Vec<PolicyParam>,
    size: usize,
    handles: Vec<PoolHandle>,
    pub(crate) space: Handlespace,
    /// What is registered is made in here, as a decoder does with a message: it is at hand.
    info: PoolElement,
    now: u64,
    seed: u64,
    rng: SeededEntropy,
    out: Vec<ElementKey>,
}

impl Bed {
    /// Without elements.
    pub(crate) fn empty(name: &str, size: usize, pools: usize, seed: u64) -> Self {
        let mut rng = SeededEntropy::new(seed);
        let limits = Limits { pools: usize::MAX, elements: usize::MAX, elements_per_pool: usize::MAX };
        let space = Handlespace::new(Config { limits, ..Config::default() }, &mut rng);
        let handles = (0..pools).map(|p| PoolHandle::new(format!("BenchPool-{p:06}")).unwrap()).collect();
        let info = PoolElement {
            id: ElementId(1),
            home: HOME,
            life: Life(300_000),
            user: Transport::sctp(4711, TransportUse::DATA, ["10.0.0.1".parse().unwrap()]),
            policy: values(name, 0),
            asap: Some(Transport::sctp(5711, TransportUse::DATA, ["10.0.0.1".parse().unwrap()])),
        };
        let values = (0..256).map(|random| values(name, random)).collect();
        Self { values, size, handles, space, info, now: 0, seed, rng, out: Vec::with_capacity(10) }
    }

    pub(crate) fn new(name: &str, size: usize, pools: usize, seed: u64) -> Self {
        let mut bed = Self::empty(name, size, pools, seed);
        (0..size).for_each(|i| bed.register(i));
        bed
    }

    /// Bytes an element, as the allocator counts them.
    pub(crate) fn memory(name: &str, size: usize, pools: usize) -> f64 {
        let mut bed = Self::empty(name, size, pools, 1);
        let used = measure(|| (0..size).for_each(|i| bed.register(i)));
        used.bytes_current as f64 / size as f64
    }

    fn fill(&mut self, i: usize, salt: u64) -> usize {
        let random = scatter(i as u64 ^ salt << 24);
        self.info.id = ElementId(scatter(i as u64) as u32 | u32::from(i == 0));
        self.info.policy = self.values[(random % 256) as usize].clone();
        let addr = std::net::Ipv4Addr::from(0x0a00_0000 | i as u32).into();
        self.info.user.addrs[0] = addr;
        self.info.asap.as_mut().unwrap().addrs[0] = addr;
        self.now += 10_000;
        i % self.handles.len()
    }

    /// Registration of a new element: with its association and its timer.
    pub(crate) fn register(&mut self, i: usize) {
        let pool = self.fill(i, 0);
        let now = Time::from_nanos(self.now);
        let done = self.space.register(now, &self.handles[pool], &self.info).unwrap();
        self.space.set_assoc(done.key, Some(i as u32));
        self.space.set_timer(done.key, Some(Time::from_nanos(self.now + 5_000_000_000)));
    }

    /// A renewal, with other values if the salt is not 0, and the timer.
    pub(crate) fn renew(&mut self, i: usize, salt: u64) {
        let pool = self.fill(i, salt);
        let now = Time::from_nanos(self.now);
        let done = self.space.register(now, &self.handles[pool], &self.info).unwrap();
        debug_assert!(!done.new_element);
        self.space.set_timer(done.key, Some(Time::from_nanos(self.now + 5_000_000_000)));
    }

    pub(crate) fn deregister(&mut self, i: usize) {
        let id = ElementId(scatter(i as u64) as u32 | u32::from(i == 0));
        let key = self.space.find(&self.handles[i % self.handles.len()], id).unwrap();
        black_box(self.space.remove(key));
    }

    pub(crate) fn resolve(&mut self, pool: usize, n: usize) {
        self.out.clear();
        self.space.select(&self.handles[pool], n, None, &mut self.rng, &mut self.out);
        black_box(&self.out);
    }

    /// The first elements of the home registrar, as many as a batch.
    pub(crate) fn owned(&self) -> Vec<ElementKey> {
        self.space.owned_by(HOME).take(batch(self.size)).collect()
    }

    pub(crate) fn take_over(&mut self, key: ElementKey, back: bool) {
        self.space.set_home(key, if back { HOME } else { OTHER });
    }

    /// All operations, each in batches.
    pub(crate) fn costs(mut self) -> Costs {
        let (clock, mut sums, mut allocations) = (Clock::start(), [0u64; 7], 0);
        let (size, pools) = (self.size, self.handles.len());
        let (mut elements, mut single) = (0, 0);
        for round in 0..rounds(size) {
            let salt = self.seed + 2 * round as u64 + 1;
            let order = shuffled(size, batch(size), salt);
            let resolved: Vec<usize> = (0..4 * order.len()).map(|i| scatter(i as u64 ^ salt << 20) as usize % pools).collect();
            let mut timed = |sum: usize, work: &mut dyn FnMut()| {
                let from = clock.now();
                let used = measure(&mut *work);
                sums[sum] += clock.now() - from;
                used.count_total
            };
            allocations += timed(0, &mut || order.iter().for_each(|i| self.renew(*i, 0)));
            allocations += timed(1, &mut || order.iter().for_each(|i| self.renew(*i, salt)));
            order.iter().for_each(|i| self.renew(*i, 0));
            timed(2, &mut || order.iter().for_each(|i| self.deregister(*i)));
            timed(3, &mut || order.iter().for_each(|i| self.register(*i)));
            self.resolve(0, 10);
            allocations += timed(4, &mut || resolved.iter().for_each(|p| self.resolve(*p, 1)));
            allocations += timed(5, &mut || resolved.iter().take(order.len()).for_each(|p| self.resolve(*p, 10)));
            let owned = self.owned();
            timed(6, &mut || owned.iter().for_each(|key| self.take_over(*key, false)));
            owned.iter().for_each(|key| self.take_over(*key, true));
            elements += order.len();
            single += resolved.len();
        }
        let [renew, change, deregister, register, one, ten, takeover] = sums.map(|s| s as f64 / elements as f64);
        let resolve_1 = one * elements as f64 / single as f64;
        Costs { register, renew, change, deregister, resolve_1, resolve_10: ten, takeover, allocations }
    }
}
