//! See `sctp_fuzz::chunk_roundtrip`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sctp_fuzz::chunk_roundtrip(data));
