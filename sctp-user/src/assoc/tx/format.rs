//! What user data is sent in: DATA or I-DATA, as was agreed on when the association was opened (RFC 8260 section 2.2.1).

use super::fragment::Fragment;
use crate::num::Tsn;
use crate::wire::PacketWriter;
use crate::wire::chunk::{DATA_CHUNK_HEADER_LEN, Data, I_DATA_CHUNK_HEADER_LEN, IData, Place, kind};

/// The kind of chunk that fragments become.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum FragmentFormat {
    /// DATA: the fragments of a message follow each other.
    #[default]
    Data,
    /// I-DATA: fragments of other streams may come between.
    IData,
}

impl FragmentFormat {
    /// The format if interleaving was agreed on, or was not.
    pub(crate) const fn of(interleaving: bool) -> Self {
        if interleaving { Self::IData } else { Self::Data }
    }

    /// Length of a chunk without user data, in bytes.
    pub(crate) const fn header_len(self) -> usize {
        match self {
            Self::Data => DATA_CHUNK_HEADER_LEN,
            Self::IData => I_DATA_CHUNK_HEADER_LEN,
        }
    }

    /// The chunk's type.
    pub(crate) const fn kind(self) -> u8 {
        match self {
            Self::Data => kind::DATA,
            Self::IData => kind::I_DATA,
        }
    }

    /// Whether a fragment of another stream may follow before the message is complete.
    pub(super) const fn interleaves(self) -> bool {
        matches!(self, Self::IData)
    }
}

impl Fragment {
    /// Writes it as a chunk.
    pub(super) fn write(&self, tsn: Tsn, immediate: bool, pkt: &mut PacketWriter<'_>) {
        let (unordered, sid, end, payload) = (self.unordered, self.sid, self.end(), self.payload());
        match self.format {
            FragmentFormat::Data => {
                pkt.push(&Data { immediate, unordered, begin: self.begin(), end, tsn, sid, ssn: self.ssn(), ppid: self.ppid, payload });
            }
            FragmentFormat::IData => {
                let place = if self.begin() { Place::First(self.ppid) } else { Place::Later(self.fsn) };
                pkt.push(&IData { immediate, unordered, end, tsn, sid, mid: self.mid, place, payload });
            }
        }
    }
}
