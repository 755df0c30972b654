//! Messages that are larger than every buffer on their way (RFC 9260 section 6.9, partial delivery).

use core::time::Duration;

use sctp_user::sim::{Chance, LinkConfig, Loss};
use sctp_user::{AssocConfig, CloseReason, Event};
use testbed::bed::unlimited;
use testbed::{Bed, Scenario, Workload};

const MIB: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(3600);

/// Messages of these lengths each way, on as many streams.
fn scenario(lengths: &[usize]) -> Scenario {
    let plan = |key| {
        let mut w = Workload::steady(key, lengths.len(), 1);
        for (n, (m, len)) in w.messages.iter_mut().zip(lengths).enumerate() {
            m.len = *len;
            m.sid = u16::try_from(n % 10).unwrap();
            m.unordered = n % 3 == 2;
        }
        w
    };
    let mut s = Scenario::new(11);
    s.assoc = unlimited(AssocConfig::rfc());
    let link = LinkConfig { rate: Some(200_000_000), queue: MIB / 2, ..LinkConfig::default() };
    (s.there, s.back) = (link.clone(), link);
    (s.upload, s.download) = (plan(1), plan(2));
    s
}

fn in_parts(bed: &Bed) -> [usize; 2] {
    [bed.client(), bed.server()].map(|p| p.latest().unwrap().1.oracle.in_parts())
}

/// RFC 9260 rows: 6.9-1, 6.9-10, 6.9-16.
#[test]
fn sixteen_mebibytes_each_way_through_buffers_of_one() {
    for loss in [0, 1] {
        let mut s = scenario(&[16 * MIB]);
        (s.there.loss, s.back.loss) = (Loss::percent(loss), Loss::percent(loss));
        let mut bed = s.build();
        bed.connected();
        bed.deliver(LIMIT).unwrap();
        assert_eq!(in_parts(&bed), [1, 1]);
        bed.world.with(bed.client, |n, now| n.shutdown(now));
        bed.closed(LIMIT).unwrap();
    }
}

#[test]
fn several_streams_at_once_over_a_bad_link() {
    let mut s = scenario(&[2 * MIB, 100, 3 * MIB, 70_000, 2 * MIB, 1, 1, 900_000, 3 * MIB, 5_000]);
    for link in [&mut s.there, &mut s.back] {
        link.loss = Loss::percent(2);
        link.duplicate = Chance::percent(2);
        link.reorder = Chance::percent(5);
        link.reorder_by = Duration::from_millis(15);
    }
    let mut bed = s.build();
    bed.connected();
    bed.deliver(LIMIT).unwrap();
    let [client, server] = in_parts(&bed);
    assert!(client >= 4 && server >= 4, "{client} {server}");
}

#[test]
fn messages_that_fit_are_whole() {
    let mut bed = scenario(&[MIB - 20_000, MIB / 2, MIB / 2, 100, MIB - 20_000]).build();
    bed.connected();
    bed.deliver(LIMIT).unwrap();
    assert_eq!(in_parts(&bed), [0, 0]);
}

#[test]
fn a_slow_reader_loses_nothing() {
    let mut s = scenario(&[3 * MIB, 200, 2 * MIB]);
    (s.there.loss, s.back.loss) = (Loss::percent(1), Loss::percent(1));
    let mut bed = s.build();
    bed.connected();
    for n in 0..20 {
        bed.world.with(bed.server, |p, now| p.set_reading(now, n % 2 == 1));
        bed.world.run_for(Duration::from_millis(400));
        bed.check().unwrap();
    }
    bed.world.with(bed.server, |p, now| p.set_reading(now, true));
    bed.deliver(LIMIT).unwrap();
}

#[test]
fn without_partial_delivery_a_message_is_whole_however_long() {
    let mut s = scenario(&[5 * MIB]);
    s.assoc.partial_delivery = false;
    let mut bed = s.build();
    bed.connected();
    bed.deliver(LIMIT).unwrap();
    assert_eq!(in_parts(&bed), [0, 0]);
}

#[test]
fn a_limit_ends_the_association() {
    let mut s = scenario(&[3 * MIB]);
    s.assoc.max_received_message = Some(2 * MIB);
    let mut bed = s.build();
    bed.connected();
    bed.closed(LIMIT).unwrap();
    let violated = |r: &CloseReason| matches!(r, CloseReason::ProtocolViolation("message too long"));
    assert!([bed.client(), bed.server()].iter().any(|p| p.losses().iter().any(|(_, r)| violated(r))));
}

fn aborted(events: &[(sctp_user::Time, sctp_user::AssocId, Event)]) -> Vec<&Event> {
    events
        .iter()
        .map(|(_, _, e)| e)
        .filter(|e| matches!(e, Event::PartialDeliveryAborted { .. } | Event::Lost { .. } | Event::Restarted))
        .collect()
}

/// What ends in the midst of a message is told before the end of the association.
#[test]
fn an_abort_and_a_restart_in_the_midst_of_a_message_are_told() {
    for restart in [false, true] {
        let mut s = scenario(&[16 * MIB]);
        s.download = Workload::none();
        let mut bed = s.build();
        bed.connected();
        let server = bed.server;
        let until = bed.world.now() + LIMIT;
        assert!(bed.world.run_until_idle_or(until, |w| w.node(server).latest().is_some_and(|(_, c)| c.oracle.is_partial())));
        if restart {
            bed.restart_client();
            bed.connect();
        } else {
            bed.world.with(bed.client, |n, now| n.abort(now, b"enough"));
        }
        bed.world.run_for(Duration::from_secs(2));
        let log = bed.server().log.clone();
        match aborted(&log).as_slice() {
            [Event::PartialDeliveryAborted { .. }, Event::Restarted, ..] if restart => {}
            [Event::PartialDeliveryAborted { .. }, Event::Lost { .. }] if !restart => {}
            other => panic!("restart {restart}: {other:?}"),
        }
        bed.check().unwrap();
    }
}
