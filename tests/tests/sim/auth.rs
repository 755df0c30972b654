//! Authentication (RFC 4895) over bad links: whatever is to be authenticated, and while keys change, all is delivered; and nobody
//! without the key gets anything in.

use core::time::Duration;

use sctp_user::wire::chunk::{ChunkTypes, kind};
use sctp_user::{AssocStats, Entropy, HmacId, KeyId, KeyRing, SeededEntropy};
use testbed::bed::unlimited;
use testbed::{Bed, Scenario, WireOracle};

const LIMIT: Duration = Duration::from_secs(4 * 3600);
/// ABORT among them would leave to timers what these tests are not about.
const TYPES: [u8; 10] = [
    kind::DATA,
    kind::SACK,
    kind::HEARTBEAT,
    kind::HEARTBEAT_ACK,
    kind::SHUTDOWN,
    kind::SHUTDOWN_ACK,
    kind::ERROR,
    kind::COOKIE_ECHO,
    kind::COOKIE_ACK,
    kind::CWR,
];

fn scenario(seed: u64, messages: usize) -> Scenario {
    let mut scenario = Scenario::rough(seed, messages);
    let mut rng = SeededEntropy::new(seed ^ 0xa074);
    let cfg = &mut scenario.assoc;
    cfg.auth = true;
    let all = rng.below(3) == 0;
    cfg.auth_chunks = TYPES.iter().filter(|_| all || rng.below(2) == 0).fold(ChunkTypes::of(&[kind::DATA]), |set, kind| set.with(*kind));
    if rng.below(2) == 0 {
        cfg.auth_hmacs = vec![HmacId::Sha1];
    }
    cfg.auth_keys = KeyRing::only(KeyId(1), b"the first key").unwrap();
    scenario
}

/// Both sides learn the next key; one after the other begins to use it; then the last one is given up.
fn change_keys(bed: &mut Bed, rng: &mut SeededEntropy, next: u16, patient: bool) {
    let pause = |rng: &mut SeededEntropy| Duration::from_millis(rng.below(400));
    let sides = if rng.below(2) == 0 { [bed.client, bed.server] } else { [bed.server, bed.client] };
    let each = |bed: &mut Bed, rng: &mut SeededEntropy, change: &dyn Fn(&mut KeyRing)| {
        for side in sides {
            bed.world.with(side, |n, now| {
                let Some(id) = n.latest().map(|(id, _)| id) else { return };
                let Some(mut assoc) = n.stack.assoc(id) else { return };
                assoc.reconfigure(now, |cfg| change(&mut cfg.auth_keys)).unwrap();
            });
            bed.world.run_for(pause(rng));
        }
    };
    each(bed, rng, &|keys| keys.set(KeyId(next), format!("key number {next}").as_bytes()).unwrap());
    each(bed, rng, &|keys| {
        keys.activate(KeyId(next)).unwrap();
        keys.deactivate(KeyId(next - 1)).unwrap();
    });
    // What is under way with the old key and comes later is lost, and sent again with the new one.
    if patient {
        bed.world.run_for(Duration::from_secs(5));
    }
    each(bed, rng, &|keys| keys.delete(KeyId(next - 1)).unwrap());
}

fn stats(bed: &Bed) -> [AssocStats; 2] {
    [bed.client(), bed.server()].map(|peer| peer.stack.stats().assocs)
}

#[test]
fn all_is_delivered_while_keys_change_over_bad_links() {
    for seed in 0..60 {
        let mut bed = scenario(seed, 30).build();
        // The oracle does not know that what came was not to be taken.
        let patient = seed % 2 == 0;
        let wire = patient.then(|| WireOracle::watch(&mut bed.world, Duration::from_millis(200)));
        bed.connected_within(LIMIT);
        let mut rng = SeededEntropy::new(seed);
        for next in 2..8 {
            change_keys(&mut bed, &mut rng, next, patient);
        }
        bed.deliver(LIMIT).unwrap_or_else(|e| panic!("{seed}: {e}"));
        bed.world.run_for(Duration::from_secs(2));
        bed.world.with(bed.client, |n, now| n.shutdown(now));
        bed.closed(LIMIT).unwrap_or_else(|e| panic!("{seed}: {e}"));
        wire.map_or(Ok(()), |wire| wire.check()).unwrap_or_else(|e| panic!("{seed}: {e}"));
        for s in stats(&bed) {
            assert!(s.in_auths > 20 && s.in_unauthenticated_chunks == 0, "{seed}: {s:?}");
        }
    }
}

#[test]
fn with_different_keys_nothing_gets_through() {
    for types in [&[kind::COOKIE_ECHO][..], &[kind::DATA]] {
        let mut scenario = Scenario::new(1);
        scenario.assoc = unlimited(scenario.assoc);
        scenario.assoc.max_init_retransmits = 4;
        scenario.assoc.assoc_max_retrans = 4;
        scenario.assoc.auth = true;
        scenario.assoc.auth_chunks = ChunkTypes::of(types);
        scenario.assoc.auth_keys = KeyRing::only(KeyId(1), b"the server's key").unwrap();
        scenario.upload = testbed::Workload::steady(1, 5, 100);
        let mut bed = scenario.build();
        bed.world.with(bed.client, |n, _| {
            let mut endpoint = n.stack.endpoint_config(n.endpoint).unwrap();
            let mut assoc = sctp_user::AssocConfig::clone(&endpoint.assoc);
            assoc.auth_keys = KeyRing::only(KeyId(1), b"another key").unwrap();
            endpoint.assoc = assoc.into();
            n.stack.reconfigure_endpoint(n.endpoint, endpoint).unwrap();
        });
        bed.connect();
        bed.world.run_for(Duration::from_secs(600));
        assert_eq!((bed.client().delivered(), bed.server().delivered()), (0, 0));
        assert_eq!(bed.client().losses().len(), 1, "{types:?}: found out");
        let server = bed.server().stack.stats();
        assert!(server.assocs.bad_auths + server.stack.unauthenticated_cookies >= 5, "{server:?}");
    }
}
