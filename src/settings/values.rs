//! Formats of setting values.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;
use url::Url;

use super::{MetricsTo, StatsSources};
use crate::model::arn::Arn;
use crate::model::masked::masked_url;
use crate::rules::InvalidValue;

/// Maximum length of the name of a log group or log stream (CloudWatch Logs API Reference, CreateLogGroup).
const MAX_LOG_NAME_LENGTH: usize = 512;

/// Destinations of the `sidecarless_*` metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SelfMetricsDestinations {
    pub amp: bool,
    pub emf: bool,
}

/// Parses a duration such as `500ms`, `30s`, `5m`, `1h` or `7d`.
pub fn duration(text: &str) -> Result<Duration, InvalidValue> {
    let invalid = || InvalidValue::new(format!("invalid duration \"{text}\": use 500ms, 30s, 5m, 1h or 7d"));
    let (number, unit) = number_and_unit(text).ok_or_else(invalid)?;
    let seconds = |per_unit: u64| number.checked_mul(per_unit).map(Duration::from_secs).ok_or_else(invalid);
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        _ => Err(invalid()),
    }
}

/// Parses an origin such as `https://shop.example.com:8443`, or `*`. Returns it as browsers write it: in lower case, without the
/// port that the scheme implies (HTML Standard, "Serialization of an origin").
pub fn origin(text: &str) -> Result<String, InvalidValue> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let invalid = || {
        InvalidValue::new(format!("invalid origin \"{}\": use https://host, https://host:port or *", masked_url(text)))
    };
    let url = Url::parse(text).map_err(|_| invalid())?;
    let has_more = text.ends_with('/') || url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    let has_user = !url.username().is_empty() || url.password().is_some();
    // An origin is one host. Browsers never write a pattern.
    let has_pattern = text.contains('*');
    if !matches!(url.scheme(), "https" | "http") || has_more || has_user || has_pattern {
        return Err(invalid());
    }
    Ok(url.origin().ascii_serialization())
}

/// Parses a duration that is not zero.
pub fn positive_duration(text: &str) -> Result<Duration, InvalidValue> {
    match duration(text)? {
        Duration::ZERO => Err(InvalidValue::new("invalid duration 0: use a positive duration")),
        positive => Ok(positive),
    }
}

/// Parses a duration or `off`.
pub fn duration_or_off(text: &str) -> Result<Option<Duration>, InvalidValue> {
    if text == "off" { Ok(None) } else { duration(text).map(Some) }
}

/// Parses a number of minutes in a range, or `off`.
pub fn minutes_or_off(text: &str, range: RangeInclusive<u8>) -> Result<Option<u8>, InvalidValue> {
    if text == "off" {
        return Ok(None);
    }
    let minutes = text.parse().ok().filter(|minutes| range.contains(minutes));
    let (first, last) = range.into_inner();
    let invalid = || InvalidValue::new(format!("invalid number of minutes \"{text}\": use {first} to {last}, or off"));
    minutes.map(Some).ok_or_else(invalid)
}

/// Parses a size in bytes such as `512KB`, `16MB` or `1GB`. Units are powers of 1024, as in Prometheus.
pub fn size(text: &str) -> Result<usize, InvalidValue> {
    let invalid = || InvalidValue::new(format!("invalid size \"{text}\": use 512KB, 16MB or 1GB"));
    let (number, unit) = number_and_unit(text).ok_or_else(invalid)?;
    let shift = match unit {
        "KB" => 10,
        "MB" => 20,
        "GB" => 30,
        _ => return Err(invalid()),
    };
    let bytes = number.checked_mul(1 << shift).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.filter(|&bytes| bytes > 0).ok_or_else(invalid)
}

/// Splits `30s` into 30 and `s`. `None` without a number or a unit.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    Some((number.parse().ok()?, unit))
}

/// Parses a number of things, such as `series`; `off` is `None`.
pub fn count_or_off<T: FromStr>(text: &str, things: &str) -> Result<Option<T>, InvalidValue> {
    if text == "off" {
        return Ok(None);
    }
    let invalid = |_| InvalidValue::new(format!("invalid number of {things} \"{text}\": use an integer or off"));
    text.parse().map(Some).map_err(invalid)
}

/// Returns the elements of a comma-separated list, trimmed and without empty ones.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// Parses all elements of a list.
pub fn parse_list<T>(text: &str, parse: impl Fn(&str) -> Result<T, InvalidValue>) -> Result<Vec<T>, InvalidValue> {
    list(text).map(parse).collect()
}

/// Parses one of the words of `choices`.
pub fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, InvalidValue> {
    let value = choices.iter().find(|(word, _)| *word == text).map(|&(_, value)| value);
    value.ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|&(word, _)| word).collect();
        let (last, first) = words.split_last().unwrap_or((&"", &[]));
        InvalidValue::new(format!("unknown value \"{text}\": use {} or {last}", first.join(", ")))
    })
}

/// Parses `name=value`.
pub fn name_value(text: &str) -> Result<(String, String), InvalidValue> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.into(), value.into())),
        _ => Err(InvalidValue::new(format!("invalid label \"{text}\": use name=value"))),
    }
}

/// Parses a hexadecimal SHA-256 hash.
pub fn sha256(text: &str) -> Result<[u8; 32], InvalidValue> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).map_err(|_| {
        // The value may be a token by mistake, so the error does not repeat it.
        InvalidValue::new(format!("invalid SHA-256 hash of {} characters: use 64 hexadecimal digits", text.len()))
    })?;
    Ok(hash)
}

/// Parses a remote write URL.
pub fn endpoint(text: &str) -> Result<Url, InvalidValue> {
    let url = url(text)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(InvalidValue::new(format!("invalid URL \"{}\": use http or https", masked_url(text))));
    }
    if url.path() == "/" {
        let hint = "the remote write URL of an AMP workspace ends with /api/v1/remote_write";
        return Err(InvalidValue::new(format!("\"{}\" has no path: {hint}", masked_url(text))));
    }
    Ok(url)
}

pub fn url(text: &str) -> Result<Url, InvalidValue> {
    Url::parse(text).map_err(|error| InvalidValue::new(format!("invalid URL \"{}\": {error}", masked_url(text))))
}

/// Parses a list of `amp` and `emf`, or `off`.
pub fn self_metrics(text: &str) -> Result<SelfMetricsDestinations, InvalidValue> {
    if text == "off" {
        return Ok(SelfMetricsDestinations { amp: false, emf: false });
    }
    let words: Vec<&str> = list(text).collect();
    match words.iter().find(|word| !matches!(**word, "amp" | "emf")) {
        None => Ok(SelfMetricsDestinations { amp: words.contains(&"amp"), emf: words.contains(&"emf") }),
        Some(word) => Err(InvalidValue::new(format!("unknown value \"{word}\": use amp, emf or both, or only off"))),
    }
}

/// Parses a list of destinations of OTLP metrics.
pub fn metrics_to(text: &str) -> Result<MetricsTo, InvalidValue> {
    let mut to = MetricsTo::default();
    for word in list(text) {
        match word {
            "amp" => to.amp = true,
            "cloudwatch" => to.cloudwatch = true,
            _ => return Err(InvalidValue::new(format!("unknown value \"{word}\": use amp, cloudwatch or both"))),
        }
    }
    if to == MetricsTo::default() { Err(InvalidValue::new("empty list: use amp, cloudwatch or both")) } else { Ok(to) }
}

/// Parses a list of stats sources.
pub fn sources(text: &str) -> Result<StatsSources, InvalidValue> {
    let mut sources = StatsSources::default();
    for word in list(text) {
        let enable: fn(&mut StatsSources) = choice(
            word,
            &[
                ("push", (|all| all.push = true) as fn(&mut StatsSources)),
                ("endpoint", |all| all.endpoint = true),
                ("insights", |all| all.insights = true),
                ("prometheus", |all| all.prometheus = true),
            ],
        )?;
        enable(&mut sources);
    }
    Ok(sources)
}

/// Parses the name, ARN or glob of a cluster.
pub fn cluster(text: &str) -> Result<String, InvalidValue> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_*?:/".contains(c);
    match text.chars().find(|&c| !is_allowed(c)) {
        None => Ok(text.to_owned()),
        Some(c) => Err(InvalidValue::new(format!("invalid cluster \"{text}\": remove the character \"{c}\""))),
    }
}

/// Parses the name of a log group or log stream.
pub fn log_name(text: &str) -> Result<String, InvalidValue> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_./#".contains(c);
    match text.chars().find(|&c| !is_allowed(c)) {
        None if text.len() <= MAX_LOG_NAME_LENGTH => Ok(text.to_owned()),
        None => Err(InvalidValue::new(format!("the name has more than {MAX_LOG_NAME_LENGTH} characters"))),
        Some(c) => {
            Err(InvalidValue::new(format!("invalid log group or log stream \"{text}\": remove the character \"{c}\"")))
        }
    }
}

/// Parses the name of a region.
pub fn region(text: &str) -> Result<String, InvalidValue> {
    let is_valid = text.split('-').count() >= 3
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err(InvalidValue::new(format!("invalid region \"{text}\": use a name such as eu-west-1")))
    }
}

/// Parses the ARN of an IAM role.
pub fn role_arn(text: &str) -> Result<String, InvalidValue> {
    let is_role = Arn::parse(text).is_some_and(|arn| arn.service == "iam" && arn.resource.starts_with("role/"));
    let error = || InvalidValue::new(format!("invalid role \"{text}\": use arn:aws:iam::111122223333:role/NAME"));
    is_role.then(|| text.to_owned()).ok_or_else(error)
}

/// Parses an external ID (AWS STS API Reference, AssumeRole, `ExternalId`).
pub fn external_id(text: &str) -> Result<String, InvalidValue> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
    if text.len() < 2 || !text.chars().all(is_allowed) {
        // The value may be a secret, so the error does not repeat it.
        return Err(InvalidValue::new(
            "invalid external ID: use at least two letters, digits and characters of _+=,.@:/-",
        ));
    }
    Ok(text.to_owned())
}

pub fn cidr(text: &str) -> Result<IpNet, InvalidValue> {
    text.parse()
        .map_err(|_| InvalidValue::new(format!("invalid CIDR \"{text}\": use an address range such as 10.0.0.0/8")))
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
    fn regions_roles_and_external_ids_are_validated() {
        for (text, expected) in [("eu-west-1", true), ("us-gov-west-1", true), ("eu-west", false), ("EU-WEST-1", false)]
        {
            assert_eq!(region(text).is_ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("arn:aws:iam::111122223333:role/metrics/writer", true),
            ("arn:aws-cn:iam::111122223333:role/writer", true),
            ("arn:aws:iam::111122223333:user/writer", false),
            ("writer", false),
        ] {
            assert_eq!(role_arn(text).is_ok(), expected, "{text}");
        }
        let error = external_id("pass word").unwrap_err().to_string();
        assert!(!error.contains("pass word"), "{error}");
        assert!(external_id("shop:42").is_ok());
    }

    #[test]
    fn invalid_url_is_repeated_without_secrets() {
        for text in [
            "https://user:secret@example.com",
            "https://user:secret/secret@example.com/a",
            "ftp://user:secret@example.com/a?secret",
            "https://example.com?secret",
        ] {
            let errors = [endpoint(text).err(), origin(text).err(), url(&text.replace("example", "ex ample")).err()];
            for error in errors.into_iter().flatten() {
                let error = error.to_string();
                assert!(error.contains("://") && !error.contains("secret"), "{error}");
            }
        }
    }

    #[test]
    fn invalid_hash_is_not_repeated_in_the_error() {
        let error = sha256("super-secret-token").unwrap_err().to_string();
        assert!(!error.contains("super"), "{error}");
        assert_eq!(sha256(&"0f".repeat(32)), Ok([0x0f; 32]));
    }
}
