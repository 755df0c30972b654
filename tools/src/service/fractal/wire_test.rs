//! The bytes here were written by hand from the format's description.

use proptest::prelude::*;

use super::*;

/// 400 x 250, 128 iterations, Mandelbrot, from −1.5−1.5i to 1.5+1.5i, N = 2.
const PARAMETER: [u8; 60] = [
    0x01, 0x00, 0x00, 0x3c, // type, flags, length
    0x00, 0x00, 0x01, 0x90, // width
    0x00, 0x00, 0x00, 0xfa, // height
    0x00, 0x00, 0x00, 0x80, // iterations
    0x00, 0x00, 0x00, 0x01, // algorithm
    0xbf, 0xf8, 0, 0, 0, 0, 0, 0, // C1 real
    0xbf, 0xf8, 0, 0, 0, 0, 0, 0, // C1 imaginary
    0x3f, 0xf8, 0, 0, 0, 0, 0, 0, // C2 real
    0x3f, 0xf8, 0, 0, 0, 0, 0, 0, // C2 imaginary
    0x40, 0x00, 0, 0, 0, 0, 0, 0, // N
];

fn parameter() -> Parameter {
    Parameter {
        width: 400,
        height: 250,
        max_iterations: 128,
        algorithm: Algorithm::Mandelbrot,
        c1: Complex { re: -1.5, im: -1.5 },
        c2: Complex { re: 1.5, im: 1.5 },
        n: 2.0,
    }
}

fn cookie_bytes() -> Vec<u8> {
    let mut bytes = b"<FG-TD1>".to_vec();
    bytes.extend_from_slice(&PARAMETER);
    bytes.extend_from_slice(&[0, 0, 0, 7, 0, 0, 0, 9]);
    bytes
}

/// `bytes` with the byte at `at` replaced.
fn with(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out[at] = value;
    out
}

#[test]
fn parameter_has_the_documented_bytes() {
    assert_eq!(parameter().encode(), PARAMETER);
    assert_eq!(Parameter::decode(&PARAMETER), Ok(parameter()));
    assert_eq!(Parameter::decode(&with(&PARAMETER, 1, 0xff)), Ok(parameter()), "flags are ignored");
}

#[test]
fn parameter_is_read_strictly() {
    assert_eq!(Parameter::decode(&PARAMETER[..59]), Err(WireError::Length { expected: 60, got: 59 }));
    assert_eq!(Parameter::decode(&[]), Err(WireError::Length { expected: 60, got: 0 }));
    assert_eq!(Parameter::decode(&with(&PARAMETER, 0, 2)), Err(WireError::Type(2)));
    assert_eq!(Parameter::decode(&with(&PARAMETER, 3, 4)), Err(WireError::LengthField(4)));
    assert_eq!(Parameter::decode(&with(&PARAMETER, 19, 3)), Err(WireError::Algorithm(3)));
    let widest = with(&with(&with(&PARAMETER, 5, 1), 6, 0), 7, 0);
    assert_eq!(Parameter::decode(&widest).unwrap().width, 65_536);
    assert_eq!(Parameter::decode(&with(&widest, 7, 1)), Err(WireError::Size(65_537, 250)));
    assert_eq!(Parameter::decode(&with(&PARAMETER, 11, 0)), Err(WireError::Size(400, 0)));
    let patient = Parameter { max_iterations: 1_000_000, ..parameter() };
    assert_eq!(Parameter::decode(&patient.encode()), Ok(patient));
    let endless = Parameter { max_iterations: 1_000_001, ..parameter() };
    assert_eq!(Parameter::decode(&endless.encode()), Err(WireError::Iterations(1_000_001)));
}

#[test]
fn data_has_the_documented_bytes() {
    let bytes = [2, 0, 0, 24, 0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0x80, 0, 1, 0, 0];
    let data = Data::Points { x: 5, y: 256, values: vec![128, 65_536] };
    assert_eq!(data.encode(), bytes);
    assert_eq!(Data::decode(&bytes), Ok(data));
    let end = [2, 0, 0, 16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    assert_eq!(Data::End.encode(), end);
    assert_eq!(Data::decode(&end), Ok(Data::End));
}

#[test]
fn data_is_read_strictly() {
    let full = Data::Points { x: 0, y: 0, values: vec![7; 324] }.encode();
    assert_eq!(full.len(), 1312);
    assert!(Data::decode(&full).is_ok());
    let mut over = full.clone();
    over.extend_from_slice(&[0, 0, 0, 7]);
    over[3] += 4;
    over[15] += 1;
    assert_eq!(Data::decode(&over), Err(WireError::Points(325)));
    assert_eq!(Data::decode(&full[..1308]), Err(WireError::LengthField(1312)));
    assert_eq!(Data::decode(&with(&full, 15, 0)), Err(WireError::Length { expected: 16 + 4 * 256, got: 1312 }));
    assert_eq!(Data::decode(&with(&full, 0, 1)), Err(WireError::Type(1)));
    assert_eq!(Data::decode(&[2, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Err(WireError::Points(0)));
    assert_eq!(Data::decode(&[2, 0]), Err(WireError::Length { expected: 4, got: 2 }));
}

#[test]
fn cookie_has_the_documented_bytes() {
    let cookie = Cookie { parameter: parameter(), x: 7, y: 9 };
    assert_eq!(cookie.encode(), cookie_bytes());
    assert_eq!(cookie.encode().len(), 76);
    assert_eq!(Cookie::decode(&cookie_bytes()), Ok(cookie));
    assert_eq!(Cookie::decode(&with(&cookie_bytes(), 11, 4)), Ok(cookie), "RSPLIB's embedded length");
}

#[test]
fn cookie_is_read_strictly() {
    let bytes = cookie_bytes();
    assert_eq!(Cookie::decode(&bytes[..75]), Err(WireError::Length { expected: 76, got: 75 }));
    assert_eq!(Cookie::decode(&with(&bytes, 6, b'2')), Err(WireError::CookieId));
    assert_eq!(Cookie::decode(&with(&bytes, 8, 2)), Err(WireError::Type(2)));
    assert_eq!(Cookie::decode(&with(&bytes, 11, 5)), Err(WireError::LengthField(5)));
    assert_eq!(Cookie::decode(&with(&bytes, 70, 0x10)), Err(WireError::Position(0x1007, 9)));
    assert_eq!(Cookie::decode(&with(&bytes, 75, 250)), Err(WireError::Position(7, 250)));
    let complete = Cookie { parameter: parameter(), x: 0, y: 250 };
    assert_eq!(Cookie::decode(&complete.encode()), Ok(complete), "a complete image is a position too");
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_encode_again(bytes in prop::collection::vec(any::<u8>(), 0..100), kind in 0u8..3) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() { *first = kind; }
        if let Ok(data) = Data::decode(&bytes) {
            prop_assert_eq!(&data.encode()[2..], &bytes[2..]);
        }
        let _ = Parameter::decode(&bytes);
        let _ = Cookie::decode(&bytes);
    }

    #[test]
    fn data_round_trips(x in 0u32..65_536, y in 0u32..65_536, values in prop::collection::vec(any::<u32>(), 1..=324)) {
        let data = Data::Points { x, y, values };
        prop_assert_eq!(Data::decode(&data.encode()), Ok(data));
    }
}
