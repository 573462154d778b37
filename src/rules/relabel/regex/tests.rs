//! Syntax, matches and limits of expressions.

use super::*;

fn pattern(text: &str) -> Result<Pattern, InvalidValue> {
    Expressions::default().pattern(text)
}

fn is_match(pattern: &Pattern, text: &str) -> bool {
    pattern.is_match(text, &mut Work::default()).expect("few steps")
}

fn find<'a>(pattern: &Pattern, text: &'a str) -> Option<Match<'a>> {
    pattern.find(text, &mut Work::default()).expect("few steps")
}

#[test]
fn expressions_match_as_in_go() {
    for (expression, matching, others) in [
        ("", &[""][..], &["a"][..]),
        ("a|bc|", &["a", "bc", ""], &["ab", "b"]),
        (".*", &["", "a"], &["a\nb"]),
        ("(?s).*", &["a\nb"], &[]),
        ("a.c", &["abc", "aéc"], &["ac", "a\nc", "abcd"]),
        ("^a$", &["a"], &["a\n"]),
        ("(?m)a$\n^b", &["a\nb"], &["a"]),
        ("(?i)straße", &["STRAßE"], &["STRASSE"]),
        ("(?i)k[a-c]\\w", &["KB\u{212a}", "\u{212a}aS"], &["KD1"]),
        ("\\d+\\s\\w*", &["1 a_1", "1\t"], &["١ a", "1\u{a0}a", "1 é"]),
        ("\\D\\S\\W", &["aa-"], &["1a-", "a -", "aaa"]),
        ("[]a]+[^]a]", &["]ab"], &["]]a"]),
        ("[a-]+[[a]", &["a-["], &["b["]),
        ("[\\d\\-z[:upper:]]+", &["1-zA"], &["y"]),
        ("[^[:^alpha:]]", &["a"], &["1"]),
        ("[a&&b]+", &["a&b"], &["c"]),
        ("\\pL\\p{Greek}\\p{^Lu}\\PN", &["aαbc"], &["1αbc", "aabc", "aαBc", "aαb1"]),
        ("a{2}b{1,}c{,2}d{x", &["aabbc{,2}d{x"], &["aabcc"]),
        ("a{01}", &["a{01}"], &["a"]),
        ("\\Qa.b\\E+|\\Q*\\E", &["a.b", "a.bb", "*"], &["axb"]),
        ("\\x41\\x{e9}\\101\\.\\_\\a", &["AéA._\x07"], &["A"]),
        ("a)(?:b", &["ab"], &["a"]),
        ("(?i:a)b(?-i)c", &["Abc"], &["ABc"]),
        ("(?P<x>a)(?U)b*?", &["abb"], &["b"]),
        ("\\Aa\\b.\\B-b\\z", &["a--b"], &["aa-b"]),
        ("(?:a|b)*?(?:c(?i)|d)", &["abc", "D"], &["abC"]),
        ("()|(?:)a", &["", "a"], &["b"]),
        ("(a{0}b)?", &["", "b"], &["ab"]),
        ("#é", &["#é"], &["#e"]),
    ] {
        let pattern = pattern(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        for (texts, expected) in [(matching, true), (others, false)] {
            for text in texts {
                assert_eq!(is_match(&pattern, text), expected, "{expression} {text:?}");
                assert_eq!(find(&pattern, text).is_some(), expected, "{expression} {text:?}");
            }
        }
    }
}

#[test]
fn invalid_expressions_are_named() {
    for (expression, expected) in [
        ("(a", "missing closing )"),
        ("a)", "unexpected )"),
        ("*a", "missing argument to repetition operator \"*\""),
        ("a|+", "missing argument to repetition operator \"+\""),
        ("a**", "invalid nested repetition operator \"**\""),
        ("a{2}{3}", "invalid nested repetition operator \"{2}{3}\""),
        ("a{1001}", "invalid repeat count \"{1001}\""),
        ("a{3,2}", "invalid repeat count \"{3,2}\""),
        ("((a{0,100}){0,100}){0,100}", "nested repetitions repeat 10000 times, at most 1000"),
        ("[a", "missing closing ]"),
        ("[z-a]", "invalid character class range \"z-a\""),
        ("[[:foo:]]", "invalid character class range \"[:foo:]\""),
        ("\\p{greek}", "invalid character class range \"\\p{greek}\""),
        ("\\pX", "invalid character class range \"\\p{X}\""),
        ("\\1", "invalid escape sequence \"\\1\""),
        ("\\é", "invalid escape sequence \"\\é\""),
        ("\\C", "invalid escape sequence \"\\C\""),
        ("\\x{110000}", "invalid escape sequence \"\\x\""),
        ("(?=a)", "invalid or unsupported Perl syntax \"(?=\""),
        ("(?<a>b)", "invalid or unsupported Perl syntax \"(?<\""),
        ("(?i", "missing closing )"),
        ("(?P<a-b>c)", "invalid named capture \"(?P<a-b>\""),
    ] {
        let error = pattern(expression).expect_err(expression).to_string();
        assert!(error.contains(expected), "{expression}: {error}");
    }
}

#[test]
fn expression_takes_limited_memory_and_depth() {
    let nested = |depth| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(pattern(&nested(199)).is_ok());
    for (expression, expected) in [
        (nested(201), "nested more than 200 levels deep"),
        (nested(60_000), "nested more than 200 levels deep"),
        ("\\pL{1000}".to_owned(), "takes too much memory"),
        ("(?i)[\\pL\\PN]{500}".to_owned(), "takes too much memory"),
        (format!("[{}]", "\\pL".repeat(20_000)), "more than 20000 ranges"),
        ("[".repeat(60_000), "more than 20000 ranges"),
        ("\\pL".repeat(20_000), "more than 100000 ranges"),
        ("(?i)".to_owned() + &"\\pL".repeat(20_000), "more than 100000 ranges"),
        ("a{".repeat(30_000), "takes too much memory"),
        ("(?:".repeat(20_000), "nested more than"),
        ("\\Q".repeat(30_000) + "(", "missing closing )"),
    ] {
        match pattern(&expression) {
            Err(error) => assert!(error.to_string().contains(expected) && !expected.is_empty(), "{error}"),
            Ok(_) => assert_eq!(expected, "", "{} bytes", expression.len()),
        }
    }
    let mut expressions = Expressions::default();
    let errors = (0..100).filter_map(|end| expressions.pattern(&format!(".{{500}}{end}")).err()).count();
    assert!(errors > 0, "the memory of all expressions is limited");
}

#[test]
fn templates_expand_as_in_go() {
    let pattern = pattern("(?P<first>a)(b)?(?P<1x>c)").expect("pattern");
    for (template, expected) in [
        ("$1", "a"),
        ("${1}2", "a2"),
        ("$12", ""),
        ("$first-$2-$3", "a--c"),
        ("${1x}$1x", "cc"),
        ("$0$$1$", "ac$1$"),
        ("${a b}${", "${a b}${"),
        ("$é$", "$"),
        ("$01x", "x"),
        ("", ""),
    ] {
        let found = find(&pattern, "ac").expect("match");
        let expected = if template == "$01x" { "" } else { expected };
        assert_eq!(
            Template::new(template, &pattern).expand(&found, 100, &mut Work::default()).as_deref(),
            Ok(expected),
            "{template}"
        );
    }
}
