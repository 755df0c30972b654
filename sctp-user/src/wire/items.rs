//! Lists of items of type, length and value: parameters of INIT, of RE-CONFIG, of ASCONF and ASCONF-ACK.

use core::marker::PhantomData;

use super::chunk::Encode;
use super::cursor::Writer;
use super::tlv::{Tlv, TlvError, TlvIter};

/// What such a list has any number of.
pub trait Item<'a>: Encode + Sized {
    /// Decodes one item; `None` if its length does not suit its type.
    fn decode(tlv: Tlv<'a>) -> Option<Self>;
}

/// A list of items: as they came, or as they are to be sent.
#[derive(Clone, Copy, Debug)]
pub enum Items<'a, T> {
    /// Undecoded bytes.
    Wire(&'a [u8]),
    /// To be encoded.
    List(&'a [T]),
}

impl<'a, T: Item<'a>> Items<'a, T> {
    /// The list that came, if every item decodes.
    pub(super) fn checked(bytes: &'a [u8]) -> Option<Self> {
        Decoded::<T>::new(bytes).all(|item| item.is_ok()).then_some(Self::Wire(bytes))
    }

    /// The items that came; none if this list was made to be sent.
    #[must_use]
    pub const fn iter(&self) -> Decoded<'a, T> {
        match self {
            Self::Wire(bytes) => Decoded::new(bytes),
            Self::List(_) => Decoded::new(&[]),
        }
    }
}

impl<T: Encode> Encode for Items<'_, T> {
    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Wire(bytes) => w.bytes(bytes),
            Self::List(list) => {
                list.iter().for_each(|item| item.encode(w));
                w.trim_padding();
            }
        }
    }
}

impl<T: Encode> PartialEq for Items<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |list: &Self| {
            let mut buf = Vec::new();
            list.encode(&mut Writer::new(&mut buf));
            buf
        };
        bytes(self) == bytes(other)
    }
}

impl<T: Encode> Eq for Items<'_, T> {}

/// Decodes items one by one, each with its bytes; ends after the first malformed one.
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a, T> {
    items: TlvIter<'a>,
    item: PhantomData<T>,
}

impl<'a, T> Decoded<'a, T> {
    /// The items in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { items: TlvIter::new(bytes), item: PhantomData }
    }
}

impl<'a, T: Item<'a>> Iterator for Decoded<'a, T> {
    type Item = Result<(T, Tlv<'a>), TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.items.offset();
        let tlv = match self.items.next()? {
            Ok(tlv) => tlv,
            Err(e) => return Some(Err(e)),
        };
        let Some(item) = T::decode(tlv) else {
            self.items = TlvIter::new(&[]);
            return Some(Err(TlvError { offset }));
        };
        Some(Ok((item, tlv)))
    }
}
