//! The extensions, one file each (design: they take the whole [`Core`](super::Core), which names none of them).
//!
//! RFC 9260 needs none, and none is built yet. Each will be a field of [`Extensions`] whose presence means "negotiated", with
//! the five methods `offer`, `negotiate`, `on_chunk`, `emit` and `on_deadline`: AUTH (RFC 4895), ASCONF (RFC 5061), RE-CONFIG
//! (RFC 6525), PR-SCTP (RFC 3758), I-DATA (RFC 8260), ECN (RFC 4960 Appendix A), zero checksum (RFC 9653).

/// The negotiated extensions of an association.
#[derive(Debug, Default)]
pub(crate) struct Extensions {}
