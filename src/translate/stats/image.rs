//! Image references. Grammar: the distribution project (`github.com/distribution/reference`, `reference.go`),
//! `[domain/]path[:tag][@digest]`.

/// Maximum length of a name and of a tag.
const MAX_NAME_BYTES: usize = 255;
const MAX_TAG_BYTES: usize = 128;

/// Returns name and tag of an image; the tag defaults to `latest`. Returns `None` for an invalid reference.
pub(crate) fn name_and_tag(reference: &str) -> Option<(&str, &str)> {
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    // A colon before the last slash precedes the port of the registry.
    let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match rest[path_start..].find(':') {
        Some(colon) => (&rest[..path_start + colon], Some(&rest[path_start + colon + 1..])),
        None => (rest, None),
    };
    let valid = is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    valid.then_some((name, tag.unwrap_or("latest")))
}

fn is_name(name: &str) -> bool {
    if name.len() > MAX_NAME_BYTES {
        return false;
    }
    if name.split('/').all(is_path_component) {
        return true;
    }
    name.split_once('/').is_some_and(|(domain, path)| is_domain(domain) && path.split('/').all(is_path_component))
}

/// Lower-case words separated by one `.`, one or two `_`, or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    if !bytes.first().is_some_and(is_word) || !bytes.last().is_some_and(is_word) {
        return false;
    }
    let separators = bytes.split(is_word).filter(|run| !run.is_empty());
    separators.into_iter().all(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|byte| *byte == b'-'))
}

/// A host name or a bracketed IPv6 address, with or without a port.
fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    if !port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
    }
    host.split('.').all(is_domain_component)
}

fn is_domain_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG_BYTES
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

/// Accepts the registered algorithms, each with its digest length.
fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_is_split_into_name_and_tag() {
        let digest = format!("@sha256:{}", "1".repeat(64));
        for (reference, expected) in [
            ("nginx", Some(("nginx", "latest"))),
            ("nginx:1.25", Some(("nginx", "1.25"))),
            ("host:5000/x/y", Some(("host:5000/x/y", "latest"))),
            ("Host.example:5000/x/y:v1", Some(("Host.example:5000/x/y", "v1"))),
            ("[2001:db8::1]:5000/x", Some(("[2001:db8::1]:5000/x", "latest"))),
            ("a--b__c.d/e_f", Some(("a--b__c.d/e_f", "latest"))),
            (&format!("busybox:1{digest}"), Some(("busybox", "1"))),
            (&format!("repo/app{digest}"), Some(("repo/app", "latest"))),
            ("", None),
            ("UPPER", None),
            ("UPPER:bad:ref", None),
            ("a___b", None),
            ("a/", None),
            ("/a", None),
            ("-a", None),
            ("app:", None),
            ("app:-1", None),
            ("app@sha256:12", None),
            ("app@md5:12", None),
            ("host:port/x", None),
            ("host-/x", None),
            ("[]/x", None),
            (&"a".repeat(256), None),
        ] {
            assert_eq!(name_and_tag(reference), expected, "{reference}");
        }
    }
}
