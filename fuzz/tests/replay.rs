//! Runs every input of the corpus through its target, as plain tests.

#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

/// Runs all inputs of one target; the name of the input that fails is the last one printed.
fn replay(name: &str) {
    let (_, target) = sctp_fuzz::TARGETS.into_iter().find(|(n, _)| *n == name).expect("no such target");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut inputs: Vec<_> = fs::read_dir(&dir).expect("corpus").map(|e| e.expect("corpus").path()).collect();
    inputs.sort();
    for input in &inputs {
        println!("{}", input.display());
        target(&fs::read(input).expect("input"));
    }
    assert!(inputs.len() >= 5, "{} has only {} inputs", dir.display(), inputs.len());
    target(&[]);
}

macro_rules! replays {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn no_target_is_left_out() {
            let here = [$(stringify!($name)),*];
            assert_eq!(here.to_vec(), sctp_fuzz::TARGETS.map(|(name, _)| name).to_vec());
        }
    };
}

replays!(packet, chunk_roundtrip, cookie, asap, share, two_peers, assoc_ops, enrp, registrar);
