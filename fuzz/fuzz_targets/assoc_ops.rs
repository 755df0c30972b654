//! See `sctp_fuzz::assoc_ops`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sctp_fuzz::assoc_ops(data));
