//! Parameters of one kind, several in a message.

use core::fmt;
use core::marker::PhantomData;

use super::super::param::{DecodeError, Param, Params, Reports};

/// What lists are made of.
#[allow(unnameable_types, reason = "nothing outside is such an item")]
pub trait Item<'a>: Sized {
    /// Whether parameters of type `k` are such items.
    fn is_kind(k: u16) -> bool;

    /// Checks a parameter and gives a view of it.
    #[allow(private_interfaces, reason = "nobody outside can name this trait")]
    fn decode(p: &Param<'a>, reports: &mut Reports<'a>) -> Result<Self, DecodeError>;
}

/// The parameters of one kind in a message, all of which have been checked.
pub struct List<'a, T> {
    bytes: &'a [u8],
    items: PhantomData<fn() -> T>,
}

impl<'a, T: Item<'a>> List<'a, T> {
    /// Those in `bytes`, which hold nothing but parameters that have been checked.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, items: PhantomData }
    }

    /// Walks through them, in their order.
    #[must_use]
    pub const fn iter(&self) -> ListIter<'a, T> {
        ListIter { params: Params::new(self.bytes, 0), items: PhantomData }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<'a, T: Item<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Item<'a>> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Item<'a>> IntoIterator for &List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

/// Walks through a [`List`].
#[derive(Clone, Debug)]
pub struct ListIter<'a, T> {
    params: Params<'a>,
    items: PhantomData<fn() -> T>,
}

impl<'a, T: Item<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        // Errors were found when the message was checked, and what is to be reported was noted.
        loop {
            let p = self.params.next().ok()??;
            if T::is_kind(p.kind) {
                return T::decode(&p, &mut Reports::default()).ok();
            }
        }
    }
}
