//! Values on a command line.

use std::time::Duration;

/// Reads an identifier of an element or a registrar: decimal, or hexadecimal behind `0x`; zero is reserved.
///
/// # Errors
/// Anything else.
pub fn identifier(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.ok().filter(|&id| id != 0).ok_or_else(|| "an identifier is a number from 1 to 0xffffffff".into())
}

/// Reads a time in whole milliseconds, at least one.
///
/// # Errors
/// Anything else.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<u32>().ok().filter(|&ms| ms > 0);
    parsed.map(|ms| Duration::from_millis(ms.into())).ok_or_else(|| "a time is a whole number of milliseconds, at least 1".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_strictly() {
        assert_eq!(identifier("0xBEEF"), Ok(0xbeef));
        assert_eq!(identifier("17"), Ok(17));
        for bad in ["0", "0x0", "", "x", "-1", "0x100000000"] {
            assert!(identifier(bad).is_err(), "{bad}");
        }
        assert_eq!(milliseconds("250"), Ok(Duration::from_millis(250)));
        assert!(milliseconds("0").is_err() && milliseconds("1.5").is_err());
    }
}
