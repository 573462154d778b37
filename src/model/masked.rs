//! Texts from outside without the secrets that they may have: user names, passwords, queries and fragments of URLs, and the session
//! token of AWS.
//!
//! [`shortened`](super::shortened) masks every text of a log line or a response, so that no error can add a secret to one. A text that
//! is only a URL, and that is cut or quoted, is masked before, by [`masked_url`].

/// Replaces a secret.
const MASK: &str = "...";

/// Starts of the authority of a URL; in JSON, a slash may have a backslash.
const AUTHORITY_STARTS: [&str; 2] = ["://", r":\/\/"];

/// Header with the session token. An error about a signature repeats it with the other signed headers, in "The Canonical String for
/// this request should have been" (IAM User Guide, "Troubleshoot signed requests for AWS APIs").
const SESSION_TOKEN: &str = "x-amz-security-token";

/// Characters that begin what the owner of a URL may keep secret: query, fragment, and path parameters such as `;jsessionid=`.
const SECRET_PARTS: [char; 3] = ['?', '#', ';'];

/// Returns a text with its secrets masked.
pub fn masked(text: &str) -> String {
    let mut masked = MaskedText::default();
    text.chars().for_each(|c| masked.push(c));
    masked.into_text()
}

/// Returns a text that is a URL or a path, with its secrets masked. It need not be valid: if the port is no number, what follows may be
/// a part of a password.
pub fn masked_url(url: &str) -> String {
    let (shown, secret) = url.split_at(url.find(SECRET_PARTS).unwrap_or(url.len()));
    let mut text = without_user(shown);
    if let Some(mark) = secret.chars().next() {
        text.push(mark);
        text.push_str(MASK);
    }
    text
}

/// Returns the first characters of a text. A user name that is cut would not be recognized, so it is left out.
pub fn start_of(text: &str, max_chars: usize) -> &str {
    let Some((end, _)) = text.char_indices().nth(max_chars) else { return text };
    let start = text.get(..end).unwrap_or_default();
    let authority = AUTHORITY_STARTS.iter().filter_map(|mark| Some(start.rfind(mark)? + mark.len())).max();
    let is_end = |c: char| matches!(c, '/' | '\\' | '?' | '#') || ends_url(c);
    let (before, last) = start.split_at(authority.unwrap_or(end));
    if last.contains(is_end) { start } else { before }
}

fn without_user(url: &str) -> String {
    let is_slash = |c: char| matches!(c, '/' | '\\');
    // Browsers and this crate's parser accept any number of slashes (URL Standard, "special authority ignore slashes state").
    let scheme_end = url.find(':').filter(|&end| url.get(end + 1..).is_some_and(|rest| rest.starts_with(is_slash)));
    let (scheme, rest) = url.split_at(scheme_end.map_or(0, |end| end + 1));
    let (slashes, rest) = rest.split_at(rest.find(|c| !is_slash(c)).unwrap_or(rest.len()));
    let has_authority = !scheme.is_empty() || slashes.len() != 1;
    let (authority, path) = rest.split_at(rest.find(is_slash).unwrap_or(rest.len()));
    if !has_authority {
        return url.to_owned();
    }
    let (user, host) = authority.split_at(authority.rfind('@').unwrap_or_default());
    let port = host.rsplit_once(']').map_or(host, |(_, port)| port).split_once(':').map_or("", |(_, port)| port);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let mask = if user.is_empty() && !host.starts_with('@') { "" } else { MASK };
    match host.split_once(':') {
        Some((name, _)) if !is_port => [scheme, slashes, mask, name, ":", MASK].concat(),
        _ => [scheme, slashes, mask, host, path].concat(),
    }
}

/// A text that is masked while it is written.
#[derive(Debug, Default)]
pub(super) struct MaskedText {
    text: String,
    place: Place,
}

/// Where the next character is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// In the authority of a URL, which starts at this byte of the result.
    Authority(usize),
    /// In the path of a URL.
    Path,
    /// Behind the name of the header with the session token.
    TokenName,
    Secret,
    /// In a secret, behind a backslash.
    Backslash,
    /// In a secret, behind `\u`.
    Escape,
}

impl MaskedText {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Returns the length of the part that further characters do not change. The last part may be a user name.
    pub(super) fn final_len(&self) -> usize {
        match self.place {
            Place::Authority(start) => start,
            _ => self.text.len(),
        }
    }

    /// Adds a character.
    pub(super) fn push(&mut self, c: char) {
        self.push_as(c, |text| text.push(c));
    }

    /// Adds a character as `write` writes it.
    pub(super) fn push_as(&mut self, c: char, write: impl FnOnce(&mut String)) {
        if self.hides(c) {
            return;
        }
        let names_token = matches!(c, ':' | '=') && self.ends_with_token_name();
        write(&mut self.text);
        self.place = match (self.place, c) {
            _ if names_token => Place::TokenName,
            (_, '/') if AUTHORITY_STARTS.iter().any(|start| self.text.ends_with(start)) => {
                Place::Authority(self.text.len())
            }
            (Place::Authority(_) | Place::Path, '?' | '#') => self.begin_secret(),
            (Place::Authority(_), '/' | '\\') => Place::Path,
            (Place::Authority(_) | Place::Path | Place::Secret, _) if ends_url(c) => Place::Text,
            (place, _) => place,
        };
    }

    /// Returns whether a character is a part of a secret. If it ends a user name, replaces the name.
    fn hides(&mut self, c: char) -> bool {
        let (place, is_hidden) = match (self.place, c) {
            (Place::Secret, '\\') => (Place::Backslash, true),
            (Place::Secret, _) => (Place::Secret, !ends_url(c)),
            // `\/` and `\u0026` in JSON.
            (Place::Backslash, 'u') => (Place::Escape, true),
            (Place::Backslash, '/') => (Place::Secret, true),
            (Place::Escape, '0'..='9' | 'a'..='f' | 'A'..='F') => (Place::Secret, true),
            (Place::Backslash, _) => (self.resume("\\"), false),
            (Place::Escape, _) => (self.resume("\\u"), false),
            (Place::TokenName, ':' | '=' | ' ' | '"' | '\'') => (Place::TokenName, false),
            (Place::TokenName, _) => (self.begin_secret(), !ends_url(c)),
            (Place::Authority(start), '@') => {
                self.text.truncate(start);
                self.text.push_str(MASK);
                (Place::Authority(start), false)
            }
            (place, _) => (place, false),
        };
        self.place = place;
        is_hidden
    }

    fn begin_secret(&mut self) -> Place {
        self.text.push_str(MASK);
        Place::Secret
    }

    /// Writes what turned out not to be a part of the secret.
    fn resume(&mut self, text: &str) -> Place {
        self.text.push_str(text);
        Place::Text
    }

    fn ends_with_token_name(&self) -> bool {
        let text = self.text.trim_end_matches(['"', '\'']).as_bytes();
        text.last_chunk::<{ SESSION_TOKEN.len() }>()
            .is_some_and(|name| name.eq_ignore_ascii_case(SESSION_TOKEN.as_bytes()))
    }
}

/// Whether a character ends a URL or a header in a text. No URL contains one of them unescaped (RFC 3986, appendix C).
fn ends_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_in_a_text_have_no_user_query_or_fragment() {
        for (text, expected) in [
            ("see https://a.example/b: refused", "see https://a.example/b: refused"),
            ("https://user:s3cret@a.example/b", "https://...@a.example/b"),
            ("(https://s3cret@a.example)", "(https://...@a.example)"),
            ("https://user:s3@cret@a.example:80/b@c", "https://...@a.example:80/b@c"),
            ("<a href=\"https://u:s3cret@a/?s3cret\">Moved</a>", "<a href=\"https://...@a/?...\">Moved</a>"),
            ("for url (https://a/b?c=s3cret&d): end", "for url (https://a/b?... end"),
            ("https://a#token=s3cret next", "https://a#... next"),
            (
                r#"{"at":"https:\/\/u:s3cret@a\/b?c=\/s3cret\u0026s3cret","d":1}"#,
                r#"{"at":"https:\/\/...@a\/b?...","d":1}"#,
            ),
            (r#"{"at":"https://a?s3cret\nnext"}"#, r#"{"at":"https://a?...\nnext"}"#),
            ("https://a?s3cret\\u{a}next", "https://a?...\\u{a}next"),
            ("postgres://u:s3cret@db/x,redis://:s3cret@cache", "postgres://...@db/x,redis://...@cache"),
            ("https://sampler:<token>@<host>", "https://sampler:<token>@<host>"),
            ("a@b: is c? d#e", "a@b: is c? d#e"),
            ("f@https://a/b.js", "f@https://a/b.js"),
        ] {
            assert_eq!(masked(text), expected);
            assert_eq!(masked(expected), expected, "masked once");
        }
    }

    #[test]
    fn start_of_a_text_has_no_part_of_a_user_name() {
        for text in ["at https://hunter:hunter2@a.example/b", r"at https:\/\/hunter@a", "a://b/c://hunter@d"] {
            for length in 0..=text.len() {
                let start = start_of(text, length);
                assert!(text.starts_with(start) && !masked(start).contains("hu"), "{start}");
            }
            assert_eq!(start_of(text, text.len()), text);
        }
        let shown = |length| start_of("see https://a.example/b for é", length);
        assert_eq!(
            [7, 12, 21, 22, 28].map(shown),
            ["see htt", "see https://", "see https://", "see https://a.example/", "see https://a.example/b for "]
        );
    }

    #[test]
    fn session_token_is_masked() {
        let canonical =
            "should have been\n'POST\n/\n\nhost:a\nx-amz-security-token:s3cret/+==\n\nhost;x-amz-security-token\n0f'";
        assert_eq!(masked(canonical), canonical.replace("s3cret/+==", MASK));
        let json = r#"{"message":"been\n'POST\nX-Amz-Security-Token:s3cret\/+==\n\nhost;x-amz-security-token\n0f'"}"#;
        assert_eq!(masked(json), json.replace(r"s3cret\/+==", MASK));
        for (text, expected) in [
            (r#"{"x-amz-security-token": "s3cret"}"#, r#"{"x-amz-security-token": "..."}"#),
            ("x-amz-security-token=s3cret next", "x-amz-security-token=... next"),
            ("x-amz-security-token is invalid: next", "x-amz-security-token is invalid: next"),
        ] {
            assert_eq!(masked(text), expected);
            assert_eq!(masked(expected), expected, "masked once");
        }
    }

    #[test]
    fn text_that_is_a_url_is_masked_even_if_it_is_invalid() {
        for (url, expected) in [
            ("https://a.example:8443/b", "https://a.example:8443/b"),
            ("/metrics?token=s3cret", "/metrics?..."),
            ("/metrics", "/metrics"),
            ("/@/metrics", "/@/metrics"),
            ("https://user:s3cret@a.example/b?c#d", "https://...@a.example/b?..."),
            ("//user:s3cret@a.example/b", "//...@a.example/b"),
            (r"http:\\user:s3cret@a.example\b", r"http:\\...@a.example\b"),
            ("http:/user:s3cret@a.example/b", "http:/...@a.example/b"),
            ("user:s3cret@a.example/b", "...@a.example/b"),
            ("https://@a.example", "https://...@a.example"),
            ("https://[fd00::9]:9404/m", "https://[fd00::9]:9404/m"),
            ("https://u:s3cret@[fd00::9]:9404/m", "https://...@[fd00::9]:9404/m"),
            ("https://user:s3cret/s3cret@a.example/b", "https://user:..."),
            ("https://user:s3cret?s3cret@a.example/b", "https://user:...?..."),
            ("http://a/login;jsessionid=s3cret", "http://a/login;..."),
            ("http://", "http://"),
            ("", ""),
        ] {
            assert_eq!(masked_url(url), expected);
        }
    }
}
