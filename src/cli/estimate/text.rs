//! Numbers and tables for people.

/// Whole, with commas: `43,800`.
pub(super) fn count(number: f64) -> String {
    commas(&format!("{number:.0}"))
}

/// Up to two digits behind the point: `25`, `0.25`, `12.5`.
pub(super) fn amount(number: f64) -> String {
    let text = format!("{number:.2}");
    commas(text.trim_end_matches('0').trim_end_matches('.'))
}

/// `$1,234.50`.
pub(super) fn dollars(usd: f64) -> String {
    format!("${}", commas(&format!("{usd:.2}")))
}

fn commas(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

/// Two columns, the second to the right.
pub(super) fn columns(rows: &[(String, String)]) -> String {
    let width = |of: fn(&(String, String)) -> &String| rows.iter().map(|row| of(row).chars().count()).max();
    let (left, right) = (width(|row| &row.0).unwrap_or_default(), width(|row| &row.1).unwrap_or_default());
    rows.iter().map(|(what, usd)| format!("{what:left$}  {usd:>right$}").trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_commas() {
        for (number, expected) in [(0.4, "0"), (999.0, "999"), (43_800.0, "43,800"), (2_628_000.4, "2,628,000")] {
            assert_eq!(count(number), expected);
        }
        for (number, expected) in [(25.0, "25"), (0.25, "0.25"), (1_012.5, "1,012.5"), (0.0, "0"), (100.0, "100")] {
            assert_eq!(amount(number), expected);
        }
        for (usd, expected) in [(0.0, "$0.00"), (9.010_025, "$9.01"), (1_234_567.895_1, "$1,234,567.90")] {
            assert_eq!(dollars(usd), expected);
        }
    }

    #[test]
    fn amounts_stand_below_one_another() {
        let rows = [("a", "$10.00"), ("bcd", "$1.00"), ("e", "")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(columns(&rows), "a    $10.00\nbcd   $1.00\ne\n");
    }
}
