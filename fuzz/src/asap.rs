//! The codec of ASAP.

use rserpool::wire::{AsapMessage, EncodeOptions};

/// An arbitrary message: whatever can be decoded is the same after encoding and decoding, with either way to count padding.
pub fn asap(data: &[u8]) {
    let decoded = match AsapMessage::decode(data) {
        Ok(decoded) => decoded,
        Err(e) => {
            let report = e.to_report(data);
            assert!(report.is_none_or(|r| !r.causes.is_empty()), "an empty report for {e}");
            return;
        }
    };
    assert!(decoded.reports.len() <= 8);
    for count_padding in [false, true] {
        // What was sent with few bytes by leaving out padding may be too long in its proper form.
        let Ok(bytes) = decoded.message.encode(EncodeOptions { count_padding }) else { continue };
        let again = AsapMessage::decode(&bytes).unwrap_or_else(|e| panic!("{e} in {:?}", decoded.message));
        assert_eq!(again.message, decoded.message);
        assert!(again.reports.is_empty());
    }
}
