//! How much memory associations take: exact, since the allocator counts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod attacker;

use core::time::Duration;

use testbed::alloc::measure;
use testbed::crowd::Crowd;

/// Associations measured: enough that what belongs to the stacks does not matter.
const MANY: usize = 1_000;
/// Most bytes of an idle association that has carried nothing, at one end.
const IDLE: i64 = 2_768;
/// Most bytes of an idle association that has carried messages, at one end.
const USED: i64 = 4_000;

#[test]
fn an_idle_association_is_small_before_and_after_use() {
    let (mut crowd, empty) = measure(|| Crowd::new(MANY));
    let each = |kept: i64| kept / (2 * i64::try_from(MANY).unwrap());
    let ((), opened) = measure(|| crowd.open(MANY));
    assert_eq!((crowd.client.stats().curr_estab, crowd.server.stats().curr_estab), (1000, 1000));
    println!("stacks {} bytes, idle {} bytes an association and end", empty.kept, each(opened.kept));
    let ((), used) = measure(|| {
        for len in [1, 100, 20_000] {
            for from_client in [true, false] {
                crowd.send_all(len, from_client);
                crowd.send_all(len, from_client);
            }
        }
        let end = crowd.now + Duration::from_secs(60);
        crowd.run_until(end);
    });
    assert_eq!(crowd.messages, 12 * 1000);
    println!("after use {} bytes", each(opened.kept + used.kept));
    assert!(each(opened.kept) <= IDLE, "idle: {} bytes", each(opened.kept));
    assert!(each(opened.kept + used.kept) <= USED, "after use: {} bytes", each(opened.kept + used.kept));
    let ((), gone) = measure(|| drop(crowd));
    assert_eq!(empty.kept + opened.kept + used.kept + gone.kept, 0, "something leaked");
}
