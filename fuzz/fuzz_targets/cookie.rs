//! See `sctp_fuzz::cookie`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sctp_fuzz::cookie(data));
