//! Fractal Generator Protocol: the messages between a pool user and a fractal element, and the element's cookie.
//!
//! Every message starts with type (1 byte), flags (1 byte) and the length of the whole message (2 bytes). All
//! numbers are big-endian, real numbers are IEEE 754 doubles. The layouts are RSPLIB's, so that each side can be
//! replaced by RSPLIB's programs.

use thiserror::Error;

/// Length of a [`Parameter`] message in bytes.
pub const PARAMETER_LEN: usize = 60;
/// Most points that one [`Data`] message carries.
pub const MAX_POINTS: usize = 324;
/// Length of a [`Cookie`] in bytes.
pub const COOKIE_LEN: usize = 76;
/// Length of the largest message in bytes.
pub const MAX_MESSAGE_LEN: usize = DATA_HEADER_LEN + 4 * MAX_POINTS;
/// Largest width and height of an image.
pub const MAX_SIZE: u32 = 65_536;
/// Largest number of iterations per pixel.
pub const MAX_ITERATIONS: u32 = 1_000_000;

const DATA_HEADER_LEN: usize = 16;
const TYPE_PARAMETER: u8 = 1;
const TYPE_DATA: u8 = 2;
const COOKIE_ID: &[u8; 8] = b"<FG-TD1>";
/// Start coordinates of the message that ends an image.
const END: u32 = u32::MAX;
/// What RSPLIB writes into the length field of the parameter message inside a cookie.
const EMBEDDED_LEN: u16 = 4;

/// Why a message or a cookie was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum WireError {
    /// Fewer bytes than the format needs, or more than it says.
    #[error("message of {got} bytes where {expected} were expected")]
    Length {
        /// Bytes that the format asks for.
        expected: usize,
        /// Bytes that were there.
        got: usize,
    },
    /// The length field does not fit the message.
    #[error("length field says {0}")]
    LengthField(u16),
    /// A message type that does not exist, or not in this direction.
    #[error("unexpected message type {0}")]
    Type(u8),
    /// An algorithm that we do not know.
    #[error("unknown algorithm {0}")]
    Algorithm(u32),
    /// Width or height is zero or beyond [`MAX_SIZE`].
    #[error("image of {0} x {1} pixels: each must be 1 to {MAX_SIZE}")]
    Size(u32, u32),
    /// More iterations than [`MAX_ITERATIONS`].
    #[error("{0} iterations per pixel: at most {MAX_ITERATIONS}")]
    Iterations(u32),
    /// A number of points that no message may carry.
    #[error("{0} points in one message: at most {MAX_POINTS}")]
    Points(u32),
    /// Not a cookie of this service.
    #[error("not a cookie of the fractal service")]
    CookieId,
    /// The position in a cookie lies outside of its image.
    #[error("position ({0}, {1}) outside of the image")]
    Position(u32, u32),
}

/// What is computed for each pixel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// z = z² − c.
    Mandelbrot,
    /// z = zᴺ − c.
    MandelbrotN,
}

/// A point of the complex plane.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Complex {
    /// Real part.
    pub re: f64,
    /// Imaginary part.
    pub im: f64,
}

/// Request for an image.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Parameter {
    /// Width in pixels, 1 to [`MAX_SIZE`].
    pub width: u32,
    /// Height in pixels, 1 to [`MAX_SIZE`].
    pub height: u32,
    /// Where to give up on a pixel, at most [`MAX_ITERATIONS`].
    pub max_iterations: u32,
    /// The formula.
    pub algorithm: Algorithm,
    /// The corner of the first pixel.
    pub c1: Complex,
    /// The opposite corner.
    pub c2: Complex,
    /// The exponent of [`Algorithm::MandelbrotN`].
    pub n: f64,
}

impl Parameter {
    /// Number of pixels; at most 2^32.
    #[must_use]
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PARAMETER_LEN);
        self.append(&mut out);
        out
    }

    /// Reads the message that a user sent.
    ///
    /// # Errors
    /// Any deviation from the format, and sizes beyond the limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        exact(bytes, PARAMETER_LEN)?;
        let mut r = Reader(bytes);
        let (kind, length) = r.header()?;
        if kind != TYPE_PARAMETER {
            return Err(WireError::Type(kind));
        }
        if usize::from(length) != PARAMETER_LEN {
            return Err(WireError::LengthField(length));
        }
        Self::decode_body(&mut r)
    }

    fn append(&self, out: &mut Vec<u8>) {
        put_header(out, TYPE_PARAMETER, PARAMETER_LEN);
        let algorithm = match self.algorithm {
            Algorithm::Mandelbrot => 1,
            Algorithm::MandelbrotN => 2,
        };
        for value in [self.width, self.height, self.max_iterations, algorithm] {
            out.extend_from_slice(&value.to_be_bytes());
        }
        for value in [self.c1.re, self.c1.im, self.c2.re, self.c2.im, self.n] {
            out.extend_from_slice(&value.to_bits().to_be_bytes());
        }
    }

    fn decode_body(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let (width, height, max_iterations) = (r.u32()?, r.u32()?, r.u32()?);
        let algorithm = match r.u32()? {
            1 => Algorithm::Mandelbrot,
            2 => Algorithm::MandelbrotN,
            other => return Err(WireError::Algorithm(other)),
        };
        let c1 = Complex { re: r.f64()?, im: r.f64()? };
        let c2 = Complex { re: r.f64()?, im: r.f64()? };
        let n = r.f64()?;
        let size = 1..=MAX_SIZE;
        if !size.contains(&width) || !size.contains(&height) {
            return Err(WireError::Size(width, height));
        }
        if max_iterations > MAX_ITERATIONS {
            return Err(WireError::Iterations(max_iterations));
        }
        Ok(Self { width, height, max_iterations, algorithm, c1, c2, n })
    }
}

/// What an element answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data {
    /// Consecutive points, running on into the next row at the end of one.
    Points {
        /// Column of the first point.
        x: u32,
        /// Row of the first point.
        y: u32,
        /// Iterations of each point, 1 to [`MAX_POINTS`] of them.
        values: Vec<u32>,
    },
    /// The image is complete.
    End,
}

impl Data {
    /// The message. Only the first [`MAX_POINTS`] points fit one message; more are not written.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (x, y, values) = match self {
            Self::Points { x, y, values } => (*x, *y, values.get(..MAX_POINTS).unwrap_or(values)),
            Self::End => (END, END, &[][..]),
        };
        let len = DATA_HEADER_LEN + 4 * values.len();
        let mut out = Vec::with_capacity(len);
        put_header(&mut out, TYPE_DATA, len);
        let points = u32::try_from(values.len()).unwrap_or(0);
        for value in [x, y, points].into_iter().chain(values.iter().copied()) {
            out.extend_from_slice(&value.to_be_bytes());
        }
        out
    }

    /// Reads the message that an element sent. Whether the points lie inside of the image is for the receiver to check.
    ///
    /// # Errors
    /// Any deviation from the format.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader(bytes);
        let (kind, length) = r.header()?;
        if kind != TYPE_DATA {
            return Err(WireError::Type(kind));
        }
        if usize::from(length) != bytes.len() {
            return Err(WireError::LengthField(length));
        }
        let (x, y, points) = (r.u32()?, r.u32()?, r.u32()?);
        let count = usize::try_from(points).ok().filter(|&n| n <= MAX_POINTS).ok_or(WireError::Points(points))?;
        exact(bytes, DATA_HEADER_LEN + 4 * count)?;
        if count == 0 {
            return if (x, y) == (END, END) { Ok(Self::End) } else { Err(WireError::Points(0)) };
        }
        let values = (0..count).map(|_| r.u32()).collect::<Result<_, _>>()?;
        Ok(Self::Points { x, y, values })
    }
}

/// The state that an element gives its user, so that another element can go on from there.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cookie {
    /// The image.
    pub parameter: Parameter,
    /// Column of the next pixel to compute.
    pub x: u32,
    /// Row of the next pixel to compute; the height once all are done.
    pub y: u32,
}

impl Cookie {
    /// The bytes to send as a cookie.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(COOKIE_LEN);
        out.extend_from_slice(COOKIE_ID);
        self.parameter.append(&mut out);
        out.extend_from_slice(&self.x.to_be_bytes());
        out.extend_from_slice(&self.y.to_be_bytes());
        out
    }

    /// Reads a cookie that a user echoed; it may have come from an RSPLIB element.
    ///
    /// # Errors
    /// Any deviation from the format, and a position outside of the image.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        exact(bytes, COOKIE_LEN)?;
        let mut r = Reader(bytes);
        if r.array::<8>()? != *COOKIE_ID {
            return Err(WireError::CookieId);
        }
        let (kind, length) = r.header()?;
        if kind != TYPE_PARAMETER {
            return Err(WireError::Type(kind));
        }
        if usize::from(length) != PARAMETER_LEN && length != EMBEDDED_LEN {
            return Err(WireError::LengthField(length));
        }
        let parameter = Parameter::decode_body(&mut r)?;
        let (x, y) = (r.u32()?, r.u32()?);
        let complete = x == 0 && y == parameter.height;
        if (x >= parameter.width || y >= parameter.height) && !complete {
            return Err(WireError::Position(x, y));
        }
        Ok(Self { parameter, x, y })
    }
}

fn put_header(out: &mut Vec<u8>, kind: u8, length: usize) {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    out.extend_from_slice(&[kind, 0]);
    out.extend_from_slice(&length.to_be_bytes());
}

fn exact(bytes: &[u8], expected: usize) -> Result<(), WireError> {
    if bytes.len() == expected { Ok(()) } else { Err(WireError::Length { expected, got: bytes.len() }) }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(WireError::Length { expected: N, got: self.0.len() })?;
        self.0 = rest;
        Ok(*head)
    }

    /// Message type and length; the flags mean nothing so far and are not looked at.
    fn header(&mut self) -> Result<(u8, u16), WireError> {
        let [kind, _flags, hi, lo] = self.array()?;
        Ok((kind, u16::from_be_bytes([hi, lo])))
    }

    fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    fn f64(&mut self) -> Result<f64, WireError> {
        self.array().map(|b| f64::from_bits(u64::from_be_bytes(b)))
    }
}

#[cfg(test)]
#[path = "wire_test.rs"]
mod wire_test;
