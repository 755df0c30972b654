//! INIT and INIT ACK (RFC 9260 sections 3.3.2 and 3.3.3), which share one form.

use super::Encode as _;
use crate::num::{Tsn, Vtag};
use crate::wire::cursor::{Reader, Writer};
use crate::wire::items::Items;
use crate::wire::packet::RawChunk;
use crate::wire::param::{Param, Params};

/// The parameters of an INIT: as they came, or as a list to send.
pub type InitParams<'a> = Items<'a, Param<'a>>;

/// Length of an INIT or INIT ACK without parameters, in bytes.
pub(crate) const INIT_LEN: usize = 20;

/// INIT or INIT ACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Init<'a> {
    /// Initiate Tag: the tag that the receiver shall put into its packets. Zero is decoded, the rules for it are the handshake's.
    pub tag: Vtag,
    /// Advertised receiver window credit in bytes.
    pub a_rwnd: u32,
    /// Number of outbound streams.
    pub outbound: u16,
    /// Maximum number of inbound streams.
    pub inbound: u16,
    /// Initial TSN.
    pub tsn: Tsn,
    /// Parameters.
    pub params: InitParams<'a>,
}

impl<'a> Init<'a> {
    pub(super) fn decode(raw: &RawChunk<'a>) -> Option<Self> {
        let mut r = Reader::new(raw.value);
        Some(Self {
            tag: Vtag(r.u32()?),
            a_rwnd: r.u32()?,
            outbound: r.u16()?,
            inbound: r.u16()?,
            tsn: Tsn(r.u32()?),
            params: InitParams::Wire(r.rest()),
        })
    }

    pub(super) fn encode_as(&self, kind: u8, w: &mut Writer<'_>) {
        w.chunk(kind, 0, |w| {
            w.u32(self.tag.0);
            w.u32(self.a_rwnd);
            w.u16(self.outbound);
            w.u16(self.inbound);
            w.u32(self.tsn.0);
            self.params.encode(w);
        });
    }

    /// The parameters that came, one by one; none if this INIT was made to be sent.
    #[must_use]
    pub const fn params(&self) -> Params<'a> {
        self.params.iter()
    }
}
