//! Formats numbers and tables.

/// Maximum line length.
const WIDTH: usize = 110;

/// Formats an integer with commas, such as `43,800`.
pub(super) fn count(number: f64) -> String {
    commas(&format!("{number:.0}"))
}

/// Formats up to two decimals, such as `25`, `0.25` or `12.5`.
pub(super) fn amount(number: f64) -> String {
    let text = format!("{number:.2}");
    commas(text.trim_end_matches('0').trim_end_matches('.'))
}

/// Formats an amount such as `$1,234.50`.
pub(super) fn dollars(usd: f64) -> String {
    format!("${}", commas(&format!("{usd:.2}")))
}

/// Formats text such as `1 task` or `2,000 tasks`.
pub(super) fn plural(number: f64, word: &str) -> String {
    let one = (number - 1.0).abs() < f64::EPSILON;
    let shown = if number.fract() == 0.0 { count(number) } else { number.to_string() };
    format!("{shown} {word}{}", if one { "" } else { "s" })
}

/// Formats a list item, wrapped to the line length.
pub(super) fn bullet(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), "-".to_owned());
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = " ".into();
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}

fn commas(number: &str) -> String {
    let (integer, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut text = String::new();
    for (at, digit) in integer.chars().enumerate() {
        if at > 0 && (integer.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

/// Formats two columns, the second aligned to the right.
pub(super) fn columns(rows: &[(String, String)]) -> String {
    let width = |of: fn(&(String, String)) -> &String| rows.iter().map(|row| of(row).chars().count()).max();
    let (left, right) = (width(|row| &row.0).unwrap_or_default(), width(|row| &row.1).unwrap_or_default());
    rows.iter()
        .map(|(description, usd)| format!("{description:left$}  {usd:>right$}").trim_end().to_owned() + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
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
    fn amounts_are_aligned() {
        let rows = [("a", "$10.00"), ("bcd", "$1.00"), ("e", "")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(columns(&rows), "a    $10.00\nbcd   $1.00\ne\n");
    }

    #[test]
    fn words_are_singular_or_plural() {
        for (number, expected) in [(0.0, "0 spans"), (0.5, "0.5 spans"), (1.0, "1 span"), (2_000.0, "2,000 spans")] {
            assert_eq!(plural(number, "span"), expected);
        }
    }

    #[test]
    fn wrapped_lines_are_indented() {
        assert_eq!(bullet("short"), "- short\n");
        let long = bullet(&["word"; 40].join(" "));
        let lines: Vec<&str> = long.lines().collect();
        assert_eq!((lines.len(), lines[0].len(), lines[1].starts_with("  word")), (2, 106, true), "{long}");
    }
}
