//! Path of a request, without what an origin or a client adds to it: the stage of API Gateway, a query, a token.

use std::fmt;

/// Segment of a path before a token. The remote samplers for Java and .NET send neither headers nor the user information of an
/// address, but append their paths to an address that has a path.
const SAMPLING_TOKEN: &str = "sampling-token";

/// A token from a path. Its debug output does not contain the token.
#[derive(Clone, PartialEq, Eq)]
pub struct PathToken(String);

impl PathToken {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PathToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PathToken(..)")
    }
}

/// Removes the stage, so that `/prod/v1/traces` of stage `prod` is `/v1/traces`, and a query that the origin left in the path.
pub(super) fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let stage = stage.filter(|stage| !stage.is_empty() && *stage != "$default");
    let inner =
        stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage)).filter(|rest| rest.starts_with('/'));
    inner.unwrap_or(path)
}

/// Removes `/sampling-token/<token>`, wherever it is, so that no later stage can write the token to a log or a response. Returns
/// the first token.
pub(super) fn without_token(path: &str) -> (String, Option<PathToken>) {
    let (mut rest, mut token) = (String::with_capacity(path.len()), None);
    let mut segments = path.split('/');
    rest.push_str(segments.next().unwrap_or_default());
    while let Some(segment) = segments.next() {
        if segment.eq_ignore_ascii_case(SAMPLING_TOKEN) {
            let found = segments.next().map(|token| PathToken(token.to_owned()));
            token = token.or(found);
        } else {
            rest.push('/');
            rest.push_str(segment);
        }
    }
    (rest, token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_removed_from_every_place_of_a_path() {
        for (path, rest, token) in [
            ("/GetSamplingRules", "/GetSamplingRules", None),
            ("/sampling-token/secret/GetSamplingRules", "/GetSamplingRules", Some("secret")),
            ("//Sampling-Token/secret//GetSamplingRules", "///GetSamplingRules", Some("secret")),
            ("/a/sampling-token/secret/v1/traces/", "/a/v1/traces/", Some("secret")),
            ("/sampling-token/secret", "", Some("secret")),
            ("/sampling-token/", "", Some("")),
            ("/sampling-token", "", None),
            ("/sampling-token/one/sampling-token/two/x", "/x", Some("one")),
            ("/sampling-tokens/a", "/sampling-tokens/a", None),
            ("", "", None),
            ("/", "/", None),
        ] {
            let (found, presented) = without_token(path);
            assert_eq!((found.as_str(), presented.as_ref().map(PathToken::as_str)), (rest, token), "{path}");
            assert!(!format!("{presented:?}").contains("secret"));
        }
    }
}
