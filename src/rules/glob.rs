//! Globs: `*` matches any number of characters, `?` matches one.

/// Returns whether a pattern is not a plain name.
pub fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Returns whether the pattern matches the full text. The time is at worst proportional to the product of the lengths.
pub fn matches(pattern: &str, text: &str) -> bool {
    if !is_glob(pattern) {
        return pattern == text;
    }
    let (mut pattern, mut rest) = (pattern.chars(), text.chars());
    // Where to continue if the characters after the last star do not match: one character further.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let expected = pattern.clone().next();
        if expected == Some('*') {
            pattern.next();
            retry = Some((pattern.clone(), rest.clone()));
            continue;
        }
        let actual = rest.next();
        if expected.is_none() && actual.is_none() {
            return true;
        }
        if actual.is_some() && (expected == actual || expected == Some('?')) {
            pattern.next();
            continue;
        }
        let Some((after_star, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        (pattern, rest) = (after_star.clone(), from.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_the_full_text() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("shop", "shop", true),
            ("shop", "shops", false),
            ("shop-*", "shop-prod", true),
            ("*-prod", "shop-prod", true),
            ("s*p-*d", "shop-prod", true),
            ("s*x*d", "shop-prod", false),
            ("shop-?", "shop-1", true),
            ("shop-?", "shop-", false),
            ("a*b*c", "aXbYbZc", true),
            ("**a", "ba", true),
            ("a*c*e", "abcde", true),
            ("?b", "b", false),
            ("a?", "aé", true),
            ("a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("*ab", "aab", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
