//! The codecs of ASAP and ENRP.

use allocation_counter::measure;
use rserpool::wire::{AsapMessage, AsapView, EncodeOptions, EnrpMessage, EnrpView};

/// What owned messages may take, for `len` bytes that came: the worst are error causes without data.
fn bound(len: usize) -> u64 {
    32 * u64::try_from(len).unwrap_or(u64::MAX) + 1024
}

/// An arbitrary ASAP message: whatever can be decoded is the same after encoding and decoding, with either way to count padding.
/// A view allocates nothing, and an owned message no more than a small multiple of the bytes.
pub fn asap(data: &[u8]) {
    let cost = measure(|| drop(AsapView::decode(data)));
    assert_eq!(cost.count_total, 0, "a view allocates");
    let mut decoded = None;
    let cost = measure(|| decoded = Some(AsapMessage::decode(data)));
    assert!(cost.bytes_max <= bound(data.len()), "{} bytes for {}", cost.bytes_max, data.len());
    let decoded = match decoded {
        Some(Ok(decoded)) => decoded,
        Some(Err(e)) => {
            let report = e.to_report(data);
            assert!(report.is_none_or(|r| !r.causes.is_empty()), "an empty report for {e}");
            return;
        }
        None => return,
    };
    assert!(decoded.reports.len() <= 8);
    for count_padding in [false, true] {
        // What was sent with few bytes by leaving out padding may be too long in its proper form.
        let Ok(bytes) = decoded.message.encode(EncodeOptions { count_padding }) else { continue };
        let again = AsapMessage::decode(&bytes).unwrap_or_else(|e| panic!("{e} in {:?}", decoded.message));
        assert_eq!(again.message, decoded.message);
        assert_eq!(again.message.encode(again.options).as_ref(), Ok(&bytes));
        assert!(again.reports.is_empty());
    }
}

/// An arbitrary ENRP message, likewise.
pub fn enrp(data: &[u8]) {
    let cost = measure(|| drop(EnrpView::decode(data)));
    assert_eq!(cost.count_total, 0, "a view allocates");
    let mut decoded = None;
    let cost = measure(|| decoded = Some(EnrpMessage::decode(data)));
    assert!(cost.bytes_max <= bound(data.len()), "{} bytes for {}", cost.bytes_max, data.len());
    let decoded = match decoded {
        Some(Ok(decoded)) => decoded,
        Some(Err(e)) => {
            let report = e.to_report(data);
            assert!(report.is_none_or(|r| !r.causes.is_empty()), "an empty report for {e}");
            return;
        }
        None => return,
    };
    assert!(decoded.reports.len() <= 8);
    assert_eq!(EnrpMessage::sender_of(data), Some(decoded.message.sender()));
    for count_padding in [false, true] {
        let Ok(bytes) = decoded.message.encode(EncodeOptions { count_padding }) else { continue };
        let again = EnrpMessage::decode(&bytes).unwrap_or_else(|e| panic!("{e} in {:?}", decoded.message));
        assert_eq!(again.message, decoded.message);
        assert_eq!(again.message.encode(again.options).as_ref(), Ok(&bytes));
        assert!(again.reports.is_empty());
    }
}
