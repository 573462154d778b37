//! Numbers in Go syntax (`strconv.ParseFloat` and `ParseInt`, with the restrictions of the reference parser).

/// The NaN that Prometheus stores for values (`model/value`, `NormalNaN`). Other NaNs have other meanings, such as the
/// staleness marker.
const NORMAL_NAN: u64 = 0x7ff8_0000_0000_0001;

/// Digits of the integers that are all below 2^53.
const MAX_EXACT_DIGITS: usize = 15;

/// Invalid number or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NumberError {
    #[error("not a number")]
    Syntax,
    #[error("out of range")]
    OutOfRange,
    #[error("not a time")]
    NotFinite,
}

/// Parses a decimal number with an optional exponent, or `Inf`, `Infinity` or `NaN` in any case. `Inf` and `Infinity` can
/// have a sign. Hexadecimal numbers, underscores, and numbers out of the range of an f64 are errors.
pub(super) fn float(text: &[u8]) -> Result<f64, NumberError> {
    if let Some(value) = small_integer(text) {
        return Ok(value);
    }
    let text = str::from_utf8(text).map_err(|_| NumberError::Syntax)?;
    let value: f64 = text.parse().map_err(|_| NumberError::Syntax)?;
    if value.is_nan() {
        return if text.starts_with(['+', '-']) { Err(NumberError::Syntax) } else { Ok(f64::from_bits(NORMAL_NAN)) };
    }
    if value.is_infinite() && !text.contains(['i', 'I']) {
        return Err(NumberError::OutOfRange);
    }
    Ok(value)
}

/// Parses an integer that an f64 represents exactly. Most values are counters, and the general algorithm takes ten times as long.
fn small_integer(digits: &[u8]) -> Option<f64> {
    if !(1..=MAX_EXACT_DIGITS).contains(&digits.len()) {
        return None;
    }
    let mut value = 0_u64;
    for digit in digits {
        value = value * 10 + u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    Some(value as f64)
}

/// Parses an OpenMetrics timestamp (seconds since the epoch) to milliseconds, truncated.
pub(super) fn seconds_to_ms(text: &[u8]) -> Result<i64, NumberError> {
    let seconds = float(text)?;
    if !seconds.is_finite() {
        return Err(NumberError::NotFinite);
    }
    // The cast saturates. Such times are out of bounds and not written.
    Ok((seconds * 1000.0) as i64)
}

/// Parses a timestamp of text 0.0.4 (milliseconds since the epoch, digits only).
pub(super) fn milliseconds(digits: &[u8]) -> Result<i64, NumberError> {
    str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(NumberError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_go_syntax() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("-0", Some(-0.0)),
            ("1", Some(1.0)),
            ("007", Some(7.0)),
            ("999999999999999", Some(999_999_999_999_999.0)),
            ("9007199254740993", Some(9_007_199_254_740_992.0)),
            ("12345678901234:", None),
            ("1/2", None),
            ("+1.5", Some(1.5)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e3", Some(1000.0)),
            ("1E+3", Some(1000.0)),
            ("1.7976931348623157e308", Some(f64::MAX)),
            ("4.9e-324", Some(4.9e-324)),
            ("1e-999", Some(0.0)),
            ("Inf", Some(f64::INFINITY)),
            ("+inf", Some(f64::INFINITY)),
            ("-INF", Some(f64::NEG_INFINITY)),
            ("infinity", Some(f64::INFINITY)),
            ("", None),
            (".", None),
            ("1e", None),
            ("1e999", None),
            ("-1e999", None),
            ("1_000", None),
            ("0x1p3", None),
            ("0x1", None),
            ("+nan", None),
            ("-NaN", None),
            ("infi", None),
            ("1,5", None),
            ("1\r", None),
        ] {
            assert_eq!(float(text.as_bytes()).ok().map(f64::to_bits), expected.map(f64::to_bits), "{text:?}");
        }
    }

    #[test]
    fn nan_is_the_normal_nan() {
        for text in ["NaN", "nan", "NAN"] {
            assert_eq!(float(text.as_bytes()).map(f64::to_bits), Ok(NORMAL_NAN));
        }
    }

    #[test]
    fn times_are_truncated_to_milliseconds() {
        for (text, expected) in [
            ("1700000000.1239", Ok(1_700_000_000_123)),
            ("-1.5", Ok(-1500)),
            ("1e300", Ok(i64::MAX)),
            ("NaN", Err(NumberError::NotFinite)),
            ("+Inf", Err(NumberError::NotFinite)),
            ("x", Err(NumberError::Syntax)),
        ] {
            assert_eq!(seconds_to_ms(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(milliseconds(b"1700000000123"), Ok(1_700_000_000_123));
        assert_eq!(milliseconds(b"9223372036854775808"), Err(NumberError::OutOfRange));
    }
}
