//! Messages in a few words, for traces.

/// What an ENRP message is called (RFC 5353 section 2), and from and to whom it goes.
pub(crate) fn enrp(bytes: &[u8]) -> String {
    const NAMES: [&str; 11] = [
        "?",
        "Presence",
        "HandleTableRequest",
        "HandleTableResponse",
        "HandleUpdate",
        "ListRequest",
        "ListResponse",
        "InitTakeover",
        "InitTakeoverAck",
        "TakeoverServer",
        "Error",
    ];
    let word = |at: usize| bytes.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let kind = bytes.first().copied().unwrap_or(0);
    let name = NAMES.get(usize::from(kind)).copied().unwrap_or("?");
    let flags = bytes.get(1).copied().unwrap_or(0);
    let more = match kind {
        // What an update does, or whom a takeover is about.
        4 | 7..=9 => format!(" {:#010x}", word(12)),
        _ => String::new(),
    };
    format!("{name} flags {flags} of {:#010x} to {:#010x}{more}, {} bytes", word(4), word(8), bytes.len())
}
