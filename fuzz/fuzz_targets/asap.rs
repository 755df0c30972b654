//! See `sctp_fuzz::asap`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sctp_fuzz::asap(data));
