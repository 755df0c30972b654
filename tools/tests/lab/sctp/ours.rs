//! Our end: a runtime in a network namespace, driven by the test itself.

use std::fs::File;
use std::thread;

use sctp_user::socket::{Handle, Runtime, RuntimeBuilder, SctpStream, SocketNode};
use sctp_user::stack::Snapshot;
use sctp_user::{Assoc, AssocConfig, AssocStats};

use crate::scene::LIMIT;

/// Runs `f` in a thread that is in the network namespace; threads that it starts are there too.
pub(crate) fn within<R: Send>(namespace: &str, f: impl FnOnce() -> R + Send) -> R {
    let file = File::open(format!("/run/netns/{namespace}")).unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network)).unwrap();
            f()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Starts a runtime in the namespace.
pub(crate) fn start(namespace: &str, builder: RuntimeBuilder) -> Handle<SocketNode> {
    within(namespace, || {
        let runtime: Runtime = builder.build().unwrap();
        let node = SocketNode::new(runtime.stack_config()).unwrap();
        runtime.spawn(node).unwrap()
    })
}

/// 64 streams each way, and time-outs for a test.
pub(crate) fn config() -> AssocConfig {
    let mut cfg = AssocConfig::signalling();
    (cfg.outbound_streams, cfg.max_inbound_streams) = (64, 64);
    // A guest that gets no processor for a while is not dead.
    (cfg.path_max_retrans, cfg.assoc_max_retrans, cfg.max_init_retransmits) = (5, 20, 12);
    cfg
}

pub(crate) fn stats(stream: &SctpStream) -> AssocStats {
    let id = stream.id();
    stream.handle().with(|node, _| node.stack_mut().assoc(id).unwrap().stats()).unwrap()
}

/// All that can be told of the association; `None` if it is gone.
pub(crate) fn snapshot(stream: &SctpStream) -> Option<Snapshot> {
    let id = stream.id();
    stream.handle().with(|node, now| node.stack_mut().assoc(id).and_then(|assoc| assoc.snapshot(now))).unwrap()
}

/// Waits until the association is as `wanted`.
pub(crate) fn until<R>(stream: &SctpStream, what: &str, wanted: impl Fn(&Assoc<'_>) -> Option<R>) -> R {
    let id = stream.id();
    let met = stream.handle().wait(Some(LIMIT), |node, _| wanted(&node.stack_mut().assoc(id)?));
    met.unwrap().unwrap_or_else(|| panic!("{what}: {:#?}", snapshot(stream)))
}

/// Waits until the counters are what is `wanted`.
pub(crate) fn stats_until(stream: &SctpStream, what: &str, wanted: impl Fn(&AssocStats) -> bool) {
    until(stream, what, |assoc| wanted(&assoc.stats()).then_some(()));
}
