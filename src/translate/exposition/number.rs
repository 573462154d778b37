//! Numbers as Go writes them (`strconv.ParseFloat` and `ParseInt`, as the reference parser restricts them).

/// The one NaN that Prometheus stores (`model/value`, `NormalNaN`): every other one would read as something else, above
/// all as the marker of a series' end.
const NORMAL_NAN: u64 = 0x7ff8_0000_0000_0001;

/// A decimal number, with or without exponent, `Inf`, `Infinity` or `NaN` in any case, infinities with a sign. Not a
/// hexadecimal number, not one with underscores, and not one too large for a float.
pub(super) fn float(text: &[u8]) -> Result<f64, &'static str> {
    const INVALID: &str = "is no number";
    let text = str::from_utf8(text).map_err(|_| INVALID)?;
    let value: f64 = text.parse().map_err(|_| INVALID)?;
    if value.is_nan() {
        return if text.starts_with(['+', '-']) { Err(INVALID) } else { Ok(f64::from_bits(NORMAL_NAN)) };
    }
    if value.is_infinite() && !text.contains(['i', 'I']) {
        return Err("is out of range");
    }
    Ok(value)
}

/// OpenMetrics: seconds since the epoch, as a float, to whole milliseconds towards zero.
pub(super) fn seconds_to_ms(text: &[u8]) -> Result<i64, &'static str> {
    let seconds = float(text)?;
    if !seconds.is_finite() {
        return Err("is no time");
    }
    // The cast saturates: a time beyond the range of i64 is beyond what is written, too.
    Ok((seconds * 1000.0) as i64)
}

/// Text 0.0.4: milliseconds since the epoch, digits only.
pub(super) fn milliseconds(digits: &[u8]) -> Result<i64, &'static str> {
    str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or("is out of range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_those_that_go_reads() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("-0", Some(-0.0)),
            ("1", Some(1.0)),
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
    fn every_nan_is_the_normal_one() {
        for text in ["NaN", "nan", "NAN"] {
            assert_eq!(float(text.as_bytes()).map(f64::to_bits), Ok(NORMAL_NAN));
        }
    }

    #[test]
    fn times_are_whole_milliseconds() {
        for (text, expected) in [
            ("1700000000.1239", Ok(1_700_000_000_123)),
            ("-1.5", Ok(-1500)),
            ("1e300", Ok(i64::MAX)),
            ("NaN", Err("is no time")),
            ("+Inf", Err("is no time")),
            ("x", Err("is no number")),
        ] {
            assert_eq!(seconds_to_ms(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(milliseconds(b"1700000000123"), Ok(1_700_000_000_123));
        assert_eq!(milliseconds(b"9223372036854775808"), Err("is out of range"));
    }
}
