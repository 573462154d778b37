//! Globs of settings: `*` stands for any characters, `?` for one.

/// Whether a pattern is more than a plain name.
pub fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Whether `text` as a whole matches `pattern`. Linear in both, whatever the pattern.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when the characters after the last star do not match.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                retry = Some((p + 1, t));
                p += 1;
            }
            (Some(&expected), Some(&found)) if expected == b'?' || expected == found => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    retry = Some((after_star, from + 1));
                    p = after_star;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&rest| rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
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
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
