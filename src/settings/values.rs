//! Values of settings: from text to something that cannot be wrong.

use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::StatsSources;

/// A duration as `500ms`, `30s`, `5m`, `1h` or `7d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration: write it as 500ms, 30s, 5m, 1h or 7d");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = |per_unit: u64| number.checked_mul(per_unit).map(Duration::from_secs).ok_or_else(wrong);
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        _ => Err(wrong()),
    }
}

/// A duration that is not zero.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("0 is not allowed".into()),
        positive => Ok(positive),
    }
}

/// A duration, or `off`.
pub fn duration_or_off(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" { Ok(None) } else { duration(text).map(Some) }
}

/// A size in bytes as `512KB`, `16MB` or `1GB`, by powers of 1024 as in Prometheus' own settings.
pub fn size(text: &str) -> Result<usize, String> {
    let wrong = || format!("`{text}` is no size: write it as 512KB, 16MB or 1GB");
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?);
    let shift = match unit {
        "KB" => 10,
        "MB" => 20,
        "GB" => 30,
        _ => return Err(wrong()),
    };
    let number: usize = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).filter(|&bytes| bytes > 0).ok_or_else(wrong)
}

/// The elements of a comma-separated list, trimmed; empty ones are left out.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// Every element of a list parsed; the first wrong one is the error.
pub fn parse_list<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    list(text).map(parse).collect()
}

/// One of the words of `choices`.
pub fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let words = || crate::model::rejection::join(choices.iter().map(|(word, _)| format!("`{word}`")));
    choices
        .iter()
        .find(|(word, _)| *word == text)
        .map(|&(_, value)| value)
        .ok_or_else(|| format!("`{text}` is none of {}", words()))
}

/// `name=value`.
pub fn name_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.into(), value.into())),
        _ => Err(format!("`{text}` is not of the form name=value")),
    }
}

/// A SHA-256 hash in hex.
pub fn sha256(text: &str) -> Result<[u8; 32], String> {
    let mut hash = [0; 32];
    // The text may be a token put here by mistake: the error must not repeat it.
    let wrong = || format!("an element of {} characters is no SHA-256 hash: 64 hex digits are expected", text.len());
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(hash)
}

/// A remote write URL.
pub fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("`{text}` is no http or https URL"));
    }
    if url.path() == "/" {
        let hint = "the remote write URL of an AMP workspace ends with /api/v1/remote_write";
        return Err(format!("`{text}` has no path: {hint}"));
    }
    Ok(url)
}

/// A URL.
pub fn url(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|error| format!("`{text}` is no URL: {error}"))
}

/// Whether the function's own metrics go to AMP and into the log: a list of `amp` and `emf`, or `off`.
pub fn self_metrics(text: &str) -> Result<(bool, bool), String> {
    let words: Vec<&str> = list(text).collect();
    match words.iter().find(|word| !matches!(**word, "amp" | "emf")) {
        None => Ok((words.contains(&"amp"), words.contains(&"emf"))),
        Some(&"off") if words.len() == 1 => Ok((false, false)),
        Some(other) => Err(format!("`{other}` is none of `amp`, `emf`, and not `off` alone")),
    }
}

/// Sources of stats, as a list of their names.
pub fn sources(text: &str) -> Result<StatsSources, String> {
    let mut sources = StatsSources::default();
    for word in list(text) {
        let turn_on: fn(&mut StatsSources) = choice(
            word,
            &[
                ("endpoint", (|all| all.endpoint = true) as fn(&mut StatsSources)),
                ("insights", |all| all.insights = true),
                ("prometheus", |all| all.prometheus = true),
            ],
        )?;
        turn_on(&mut sources);
    }
    Ok(sources)
}

/// The name, ARN or glob of a cluster.
pub fn cluster(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_*?:/".contains(c);
    match text.chars().find(|&c| !allowed(c)) {
        None => Ok(text.to_owned()),
        Some(c) => Err(format!("`{text}` is no name, ARN or glob of a cluster: it contains `{c}`")),
    }
}

/// The name of a log group or log stream (CloudWatch Logs API Reference, CreateLogGroup).
pub fn log_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./#".contains(c);
    match text.chars().find(|&c| !allowed(c)) {
        None if text.len() <= 512 => Ok(text.to_owned()),
        None => Err("a name of more than 512 characters".into()),
        Some(c) => Err(format!("`{text}` is no name of a log group or stream: it contains `{c}`")),
    }
}

/// A CIDR.
pub fn cidr(text: &str) -> Result<IpNet, String> {
    text.parse().map_err(|_| format!("`{text}` is no CIDR such as 10.0.0.0/8"))
}

/// The name among `known` that `unknown` was probably meant to be.
pub fn closest_match<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.min_by_key(|name| edit_distance(unknown, name))
}

/// Levenshtein distance, byte by byte.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let cost = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = cost;
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_unit() {
        for (text, expected) in [
            ("512KB", Some(512 << 10)),
            ("16MB", Some(16 << 20)),
            ("1GB", Some(1 << 30)),
            ("16", None),
            ("16MiB", None),
            ("0MB", None),
            ("99999999999999999999KB", None),
            ("MB", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        for (text, expected) in [
            ("500ms", Some(Duration::from_millis(500))),
            ("30s", Some(Duration::from_secs(30))),
            ("5m", Some(Duration::from_secs(300))),
            ("1h", Some(Duration::from_secs(3600))),
            ("7d", Some(Duration::from_secs(604_800))),
            ("30", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("1.5h", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn the_nearest_name_is_the_one_with_the_fewest_edits() {
        let known = ["SIDECARLESS_AUTH", "SIDECARLESS_CLUSTERS", "SIDECARLESS_DELTA"];
        for (unknown, expected) in [
            ("SIDECARLESS_CLUSTER", "SIDECARLESS_CLUSTERS"),
            ("SIDECARLES_AUTH", "SIDECARLESS_AUTH"),
            ("SIDECARLESS_DETLA", "SIDECARLESS_DELTA"),
        ] {
            assert_eq!(closest_match(unknown, known.into_iter()), Some(expected));
        }
    }

    #[test]
    fn a_token_in_the_place_of_its_hash_is_not_repeated() {
        let error = sha256("super-secret-token").unwrap_err();
        assert!(!error.contains("super"), "{error}");
        assert_eq!(sha256(&"0f".repeat(32)), Ok([0x0f; 32]));
    }
}
