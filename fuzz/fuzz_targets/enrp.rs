//! See `sctp_fuzz::enrp`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sctp_fuzz::enrp(data));
