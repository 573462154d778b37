//! Redirects of targets. A target may move a path, but not direct a request to another host or port: the function has access to
//! addresses that the target does not.

use reqwest::header::LOCATION;
use reqwest::{Response, StatusCode, Url};

use super::ScrapeError;
use crate::model::masked::{masked_url, start_of};

/// Most redirects of one request, as in the HTTP client of Prometheus (Go `net/http`, `defaultCheckRedirect`).
pub(super) const MAX_REDIRECTS: usize = 10;

/// Characters of a location in an error.
const SHOWN_CHARS: usize = 200;

/// Returns where a response directs the request; `None` if it is not a redirect.
pub(super) fn location(response: &Response) -> Result<Option<Url>, ScrapeError> {
    let is_redirect = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    match response.headers().get(LOCATION).filter(|_| is_redirect) {
        Some(location) => followed(response.url(), &String::from_utf8_lossy(location.as_bytes())).map(Some),
        None => Ok(None),
    }
}

/// Returns the URL of a location, if it has the scheme, host and port of the request.
fn followed(from: &Url, location: &str) -> Result<Url, ScrapeError> {
    let other = || {
        let masked = masked_url(location.trim());
        ScrapeError::Redirect(start_of(&masked, SHOWN_CHARS).escape_debug().to_string())
    };
    let to = from.join(location.trim()).map_err(|_| other())?;
    let has_user = !to.username().is_empty() || to.password().is_some();
    if to.origin() == from.origin() && !has_user { Ok(to) } else { Err(other()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_location_is_named_without_secrets() {
        let from = "http://10.0.0.9:9404/metrics".parse().expect("a URL");
        for location in [
            "http://10.0.0.7/login?token=secret",
            "http://10.0.0.7/login#token=secret",
            "http://10.0.0.7/login;jsessionid=secret",
            "http://user:secret@10.0.0.7/login",
            "http://secret@10.0.0.7/login",
            "//user:secret@10.0.0.7/login",
            r"http:\\user:sec@secret@10.0.0.7/login",
        ] {
            let error = followed(&from, location).expect_err("another host").to_string();
            assert!(error.contains("10.0.0.7/login") && !error.contains("sec"), "{error}");
        }
        let invalid = followed(&from, "http://user:secret/secret@10.0.0.7/").expect_err("a port that is no number");
        assert!(invalid.to_string().ends_with("http://user:..."), "{invalid}");
    }

    #[test]
    fn only_the_same_host_and_port_are_followed() {
        for (from, location, expected) in [
            ("http://10.0.0.9:9404/metrics", "/metrics/", Some("http://10.0.0.9:9404/metrics/")),
            (
                "http://10.0.0.9:9404/metrics",
                "prometheus?format=text",
                Some("http://10.0.0.9:9404/prometheus?format=text"),
            ),
            ("http://10.0.0.9:9404/a/b", "../c", Some("http://10.0.0.9:9404/c")),
            ("http://10.0.0.9:9404/m", "http://10.0.0.9:9404/n", Some("http://10.0.0.9:9404/n")),
            ("http://10.0.0.9:9404/m", "//10.0.0.9:9404/n", Some("http://10.0.0.9:9404/n")),
            ("http://10.0.0.9:80/m", "http://10.0.0.9/n", Some("http://10.0.0.9/n")),
            ("http://[fd00::9]:9404/m", "http://[FD00:0::9]:9404/n", Some("http://[fd00::9]:9404/n")),
            ("https://10.0.0.9:8443/m", "/n", Some("https://10.0.0.9:8443/n")),
            ("http://10.0.0.9:9404/m", "http://10.0.0.9:9405/n", None),
            ("http://10.0.0.9:9404/m", "http://10.0.0.9/n", None),
            ("http://10.0.0.9:9404/m", "https://10.0.0.9:9404/n", None),
            ("http://10.0.0.9:9404/m", "http://169.254.169.254/latest", None),
            ("http://10.0.0.9:9404/m", "http://localhost:9404/n", None),
            ("http://10.0.0.9:9404/m", "//169.254.169.254/latest", None),
            ("http://10.0.0.9:9404/m", "http://10.0.0.9:9404@169.254.169.254/", None),
            ("http://10.0.0.9:9404/m", "http://user@10.0.0.9:9404/n", None),
            ("http://10.0.0.9:9404/m", "file:///etc/passwd", None),
            ("http://10.0.0.9:9404/m", "http://", None),
        ] {
            let found = followed(&from.parse().expect("a URL"), location);
            match (found, expected) {
                (Ok(found), Some(expected)) => assert_eq!(found.as_str(), expected, "{location}"),
                (Err(ScrapeError::Redirect(named)), None) => assert_eq!(named, masked_url(location), "it is named"),
                (found, _) => panic!("{location}: {found:?}"),
            }
        }
    }
}
