//! Reading and writing bytes: the only place that deals with offsets.

/// Reads big-endian fields from the front of a slice; every method answers `None` when the bytes run out.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(n)?;
        self.rest = tail;
        Some(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        self.rest = tail;
        Some(*head)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    /// The next 16 bits.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

/// Appends big-endian fields to a buffer, padding relative to where it began.
#[derive(Debug)]
pub struct Writer<'a> {
    buf: &'a mut Vec<u8>,
    start: usize,
    /// Where the last padding begins and ends in `buf`.
    padding: (usize, usize),
}

impl<'a> Writer<'a> {
    /// Appends to `buf`; alignment is counted from its present end.
    pub const fn new(buf: &'a mut Vec<u8>) -> Self {
        let start = buf.len();
        Self { buf, start, padding: (0, 0) }
    }

    /// Bytes written through this writer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a byte.
    pub fn u8(&mut self, v: u8) {
        self.buf.push(v);
    }

    /// Appends 16 bits.
    pub fn u16(&mut self, v: u16) {
        self.buf.extend_from_slice(&v.to_be_bytes());
    }

    /// Appends 32 bits.
    pub fn u32(&mut self, v: u32) {
        self.buf.extend_from_slice(&v.to_be_bytes());
    }

    /// Appends 64 bits.
    pub fn u64(&mut self, v: u64) {
        self.buf.extend_from_slice(&v.to_be_bytes());
    }

    /// Appends bytes.
    pub fn bytes(&mut self, v: &[u8]) {
        self.buf.extend_from_slice(v);
    }

    /// Appends zero bytes up to the next multiple of four.
    pub fn pad4(&mut self) {
        let end = self.start + padded(self.len());
        self.padding = (self.buf.len(), end);
        let missing = end - self.buf.len();
        self.buf.extend_from_slice([0; 3].get(..missing).unwrap_or(&[]));
    }

    /// Takes back what the last [`Writer::pad4`] appended, if nothing was written since: a chunk's length covers the padding
    /// between its parameters, but not the padding behind the last one (RFC 9260 section 3.2).
    pub fn trim_padding(&mut self) {
        let (begin, end) = self.padding;
        if self.buf.len() == end {
            self.buf.truncate(begin);
        }
    }

    /// Appends a type-length-value item whose 16-bit length covers its 4-byte header and what `value` writes, then the
    /// padding, which the length does not count. A value beyond 65,531 bytes is cut off: callers keep to smaller ones.
    pub fn tlv(&mut self, kind: u16, value: impl FnOnce(&mut Writer<'_>)) {
        self.u16(kind);
        self.counted(value);
        self.pad4();
    }

    /// Appends a chunk: type, flags, 16-bit length as in [`Writer::tlv`], value and padding.
    pub fn chunk(&mut self, kind: u8, flags: u8, value: impl FnOnce(&mut Writer<'_>)) {
        self.u8(kind);
        self.u8(flags);
        self.counted(value);
        self.pad4();
    }

    /// The 16-bit length of a 4-byte header plus value, then the value.
    fn counted(&mut self, value: impl FnOnce(&mut Writer<'_>)) {
        let at = self.buf.len();
        self.u16(0);
        value(&mut Writer { buf: self.buf, start: at + 2, padding: (0, 0) });
        let max = usize::from(u16::MAX) - 4;
        self.buf.truncate(at + 2 + max);
        let len = u16::try_from(self.buf.len() - at + 2).unwrap_or(u16::MAX);
        if let Some(field) = self.buf.get_mut(at..at + 2) {
            field.copy_from_slice(&len.to_be_bytes());
        }
    }
}

/// `n` rounded up to a multiple of four.
#[must_use]
pub const fn padded(n: usize) -> usize {
    // As a number that overflows nowhere near, it needs no division and no branch.
    n.saturating_add(3) & !3
}
