//! What it costs to read and to write messages: `cargo bench -p rserpool --bench codec`.
//!
//! Each figure is the best of three rounds. An argument with a number says how often each message is read in a round.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "edge: a benchmark measures time")]
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use allocation_counter::measure;
use rserpool::wire::{
    AsapMessage, AsapView, ElementId, EncodeOptions, EnrpMessage, EnrpView, Life, PolicyParam, PoolElement, PoolHandle, RegistrarId,
    ServerInformation, Transport, TransportUse, UpdateAction,
};

/// Nanoseconds and allocations of one call.
fn cost(rounds: u32, mut f: impl FnMut()) -> (f64, u64) {
    f();
    let allocations = measure(&mut f).count_total;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        for _ in 0..rounds {
            f();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds));
    }
    (best, allocations)
}

fn row(rounds: u32, name: &str, bytes: usize, view: impl FnMut(), owned: impl FnMut(), encode: impl FnMut()) {
    let cells = [cost(rounds, view), cost(rounds, owned), cost(rounds, encode)].map(|(ns, a)| format!("{ns:.0} ns, {a} allocations"));
    println!("| {name} | {bytes} | {} | {} | {} |", cells[0], cells[1], cells[2]);
}

fn element(id: u32) -> PoolElement {
    let addrs = ["10.1.1.2".parse().unwrap(), "2001:db8::5".parse().unwrap()];
    PoolElement {
        id: ElementId(id),
        home: RegistrarId(7),
        life: Life(90_000),
        user: Transport::sctp(4711, TransportUse::DATA_PLUS_CONTROL, addrs),
        policy: PolicyParam::LeastUsed { load: 7 },
        asap: Some(Transport::sctp(50_000, TransportUse::DATA, addrs)),
    }
}

fn asap_row(rounds: u32, name: &str, message: &AsapMessage) {
    let bytes = message.encode(EncodeOptions::default()).unwrap();
    let mut out = Vec::with_capacity(65_536);
    let view = || drop(black_box(AsapView::decode(black_box(&bytes))));
    let owned = || drop(black_box(AsapMessage::decode(black_box(&bytes))));
    row(rounds, name, bytes.len(), view, owned, || {
        out.clear();
        black_box(message.encode_into(EncodeOptions::default(), &mut out)).unwrap();
    });
}

fn enrp_row(rounds: u32, name: &str, message: &EnrpMessage) {
    let bytes = message.encode(EncodeOptions::default()).unwrap();
    let mut out = Vec::with_capacity(65_536);
    let view = || drop(black_box(EnrpView::decode(black_box(&bytes))));
    let owned = || drop(black_box(EnrpMessage::decode(black_box(&bytes))));
    row(rounds, name, bytes.len(), view, owned, || {
        out.clear();
        black_box(message.encode_into(EncodeOptions::default(), &mut out)).unwrap();
    });
}

fn main() {
    let rounds = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(200_000);
    let handle = PoolHandle::new("EchoPool").unwrap();
    let elements = || (1..=10).map(element).collect::<Vec<_>>();
    let (sender, receiver) = (RegistrarId(1), RegistrarId(2));
    println!("| message | bytes | read as a view | read into owned values | written into a used buffer |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    asap_row(rounds, "Registration", &AsapMessage::Registration { handle: handle.clone(), element: element(1) });
    asap_row(rounds, "Handle Resolution", &AsapMessage::HandleResolution { subscribe: false, handle: handle.clone(), items: Some(10) });
    let response = AsapMessage::HandleResolutionResponse {
        subscribed: false,
        handle: handle.clone(),
        policy: Some(PolicyParam::LeastUsed { load: 7 }),
        elements: elements(),
        error: None,
    };
    asap_row(rounds, "Handle Resolution Response, 10 elements", &response);
    asap_row(rounds, "Endpoint Keep-Alive Ack", &AsapMessage::KeepAliveAck { handle: handle.clone(), id: ElementId(1) });
    let transport = Transport::sctp(9901, TransportUse::DATA, ["10.1.1.1".parse().unwrap()]);
    let server = Some(ServerInformation { id: sender, transport });
    enrp_row(rounds, "Presence", &EnrpMessage::Presence { sender, receiver, reply_required: false, checksum: Some(1), server });
    let update = EnrpMessage::HandleUpdate {
        sender,
        receiver,
        action: UpdateAction::Add,
        takeover_suggested: false,
        handle: handle.clone(),
        element: element(1),
    };
    enrp_row(rounds, "Handle Update", &update);
    let pools = vec![(handle, elements())];
    enrp_row(
        rounds,
        "Handle Table Response, 10 elements",
        &EnrpMessage::HandleTableResponse { sender, receiver, reject: false, more: false, pools },
    );
}
