//! See `sctp_fuzz::two_peers`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sctp_fuzz::two_peers(data));
