//! Checks the invariants of src/lib.rs by reading the sources. Each rule has a test with a planted violation.

mod imports;
mod source;

use std::path::{Path, PathBuf};

use source::Source;

/// Stages of an invocation. They do not import each other; `handlers` connects them.
const STAGES: [&str; 5] = ["receiver", "discovery", "scrape", "translate", "deliver"];

/// Modules without I/O, and the modules that each may import.
const PURE: [(&str, &[&str]); 3] =
    [("model", &["model"]), ("translate", &["translate", "model"]), ("rules", &["rules", "translate", "model"])];

/// Maximum lines of code in a file. Comments, blank lines and tests are not counted.
const MAX_FILE_LINES: usize = 300;

/// Words that pure modules must not contain.
const IMPURE_WORDS: [&str; 9] =
    ["async", "await", "tokio", "reqwest", "hyper", "futures_util", "SystemTime", "Instant", "rand"];
/// Prefixes of crate names that pure modules must not contain.
const IMPURE_CRATES: [&str; 6] =
    ["aws_config", "aws_credential_types", "aws_sdk_", "aws_sigv4", "aws_smithy_", "lambda_runtime"];

const PANICS: [&str; 6] = [".unwrap()", ".expect(", "panic!", "unreachable!", "todo!", "unimplemented!"];

const ENVIRONMENT: [&str; 4] = ["std::env", "env::var", "env::args", "env::set_var"];

const CLOCKS: [&str; 4] = ["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now"];

/// Fields of Lambda events and responses.
const LAMBDA_JSON: [&str; 5] = ["requestContext", "isBase64Encoded", "httpMethod", "rawPath", "statusDescription"];

/// The only file that escapes JSON inside a JSON string, which is the form of segment documents in PutTraceSegments.
const ESCAPING_FILE: &str = "src/model/escaped_json.rs";
/// A quote behind a backslash, as string and character literals spell it.
const ESCAPED_QUOTE: &str = r#"\\\""#;

/// Returns the violations in one file.
fn violations(source: &Source) -> Vec<String> {
    let rules: [fn(&Source) -> Vec<String>; 7] = [imports, purity, panics, places, lambda_json, escaping, length];
    let violations = rules.iter().flat_map(|rule| rule(source));
    violations.map(|violation| format!("{}: {violation}", source.path)).collect()
}

fn is_in(source: &Source, module: &str) -> bool {
    source.path.starts_with(&format!("src/{module}/"))
}

fn stage(source: &Source) -> Option<&'static str> {
    STAGES.into_iter().find(|stage| is_in(source, stage))
}

fn pure_imports(source: &Source) -> Option<&'static [&'static str]> {
    PURE.into_iter().find(|(module, _)| is_in(source, module)).map(|(_, allowed)| allowed)
}

fn is_pure(source: &Source) -> bool {
    pure_imports(source).is_some()
}

fn imports(source: &Source) -> Vec<String> {
    let mut modules = source.modules();
    for stage in STAGES {
        if source.code.contains(&format!("super::{stage}::")) {
            modules.push(stage);
        }
    }
    let is_allowed = |module: &str| match (pure_imports(source), stage(source)) {
        (Some(allowed), _) => allowed.contains(&module),
        (None, Some(own)) => module == own || !STAGES.contains(&module) && module != "handlers",
        (None, None) => true,
    };
    let forbidden = modules.into_iter().filter(|module| !is_allowed(module));
    forbidden.map(|module| format!("must not import `{module}`")).collect()
}

fn purity(source: &Source) -> Vec<String> {
    let is_impure =
        |word: &str| IMPURE_WORDS.contains(&word) || IMPURE_CRATES.iter().any(|name| word.starts_with(name));
    let words = source.words().filter(|word| is_pure(source) && is_impure(word));
    words.map(|word| format!("pure module contains `{word}`")).collect()
}

fn panics(source: &Source) -> Vec<String> {
    let calls = PANICS.iter().filter(|call| is_pure(source) && source.code.contains(**call));
    calls.map(|call| format!("pure module may panic: `{call}`")).collect()
}

/// Finds code that only one file or folder may contain.
fn places(source: &Source) -> Vec<String> {
    // Each binary reads the environment in its main file.
    let main_file = if source.path.starts_with("src/bin/") { "src/bin/sidecarless/main.rs" } else { "src/main.rs" };
    let rules: [(&str, &[&str]); 4] = [
        (main_file, &ENVIRONMENT),
        ("src/deadline.rs", &CLOCKS),
        ("src/aws/sign.rs", &["aws_sigv4"]),
        ("src/model/", &["#[prost(", "prost::Message)", "prost::Oneof)"]),
    ];
    let elsewhere = rules.into_iter().filter(|(place, _)| !source.path.starts_with(place));
    let misplaced = elsewhere.flat_map(|(place, phrases)| {
        phrases.iter().filter(|phrase| source.code.contains(**phrase)).map(move |phrase| (place, phrase))
    });
    misplaced.map(|(place, phrase)| format!("`{phrase}` is allowed only in {place}")).collect()
}

fn lambda_json(source: &Source) -> Vec<String> {
    let fields = LAMBDA_JSON.iter().filter(|field| !is_in(source, "lambda") && source.text.contains(**field));
    fields.map(|field| format!("`{field}` is allowed only in src/lambda/")).collect()
}

fn escaping(source: &Source) -> Vec<String> {
    let is_violation = source.path != ESCAPING_FILE && source.text.contains(ESCAPED_QUOTE);
    is_violation.then(|| format!("`{ESCAPED_QUOTE}` is allowed only in {ESCAPING_FILE}")).into_iter().collect()
}

fn length(source: &Source) -> Vec<String> {
    let lines = source.lines();
    let is_long = lines > MAX_FILE_LINES;
    is_long.then(|| format!("{lines} lines of code, more than {MAX_FILE_LINES}")).into_iter().collect()
}

/// Returns the dependencies that have no comment in the line above.
fn without_reason(manifest: &str) -> Vec<&str> {
    let (mut is_dependency, mut above, mut dependencies) = (false, "", Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_dependency = line.contains("dependencies");
        } else if is_dependency && line.contains('=') && !line.starts_with([' ', '#', ']']) && !above.starts_with('#') {
            dependencies.push(line);
        }
        above = line;
    }
    dependencies
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads all sources in src/ except files that contain only tests.
fn sources() -> Vec<Source> {
    let (mut folders, mut sources) = (vec![root().join("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
                sources.push(Source::new(name, &std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources
}

#[test]
fn sources_follow_every_rule() {
    let sources = sources();
    assert!(sources.len() > 100, "only {} sources were found", sources.len());
    let violations: Vec<String> = sources.iter().flat_map(violations).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn no_two_files_import_each_other() {
    let cycles = imports::cycles(&sources());
    assert!(cycles.is_empty(), "files import each other:\n{}", cycles.join("\n"));
}

#[test]
fn every_dependency_has_a_comment_with_its_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert_eq!(without_reason(&manifest), Vec::<&str>::new());
    assert_eq!(
        without_reason("[dependencies]\n# Reason.\na = \"1\"\nb = \"2\"\n\n[lints.rust]\nc = \"warn\"\n"),
        ["b = \"2\""]
    );
}

#[test]
fn each_rule_detects_a_planted_violation() {
    for (path, text, expected) in [
        ("src/scrape/a.rs", "use crate::deliver::xray;", "must not import `deliver`"),
        ("src/receiver/a.rs", "use crate::handlers::Pipeline;", "must not import `handlers`"),
        ("src/receiver/a.rs", "use crate::discovery::Discovery;", "must not import `discovery`"),
        ("src/discovery/a.rs", "use crate::scrape::Scraper;", "must not import `scrape`"),
        ("src/deliver/a.rs", "use crate::{model::{a, b}, translate};", "must not import `translate`"),
        ("src/deliver/a.rs", "use super::super::scrape::a;", "must not import `scrape`"),
        ("src/translate/a.rs", "fn f() { crate::settings::list(\"\"); }", "must not import `settings`"),
        ("src/translate/a.rs", "use crate::rules::glob::Glob;", "must not import `rules`"),
        ("src/model/a.rs", "use crate::deadline::Deadline;", "must not import `deadline`"),
        ("src/rules/a.rs", "use crate::deadline::Deadline;", "must not import `deadline`"),
        ("src/model/a.rs", "async fn f() {}", "pure module contains `async`"),
        ("src/rules/a.rs", "use std::time::SystemTime;", "pure module contains `SystemTime`"),
        ("src/translate/a.rs", "use aws_sdk_ecs::types::Task;", "pure module contains `aws_sdk_ecs`"),
        ("src/translate/a.rs", "use std::time::Instant;", "pure module contains `Instant`"),
        ("src/translate/a.rs", "fn f() { g().unwrap() }", "pure module may panic: `.unwrap()`"),
        ("src/model/a.rs", "fn f() { unreachable!() }", "pure module may panic: `unreachable!`"),
        ("src/rules/a.rs", "fn f() { panic!() }", "pure module may panic: `panic!`"),
        ("src/settings/a.rs", "use std::env;", "`std::env` is allowed only in src/main.rs"),
        (
            "src/bin/sidecarless/a.rs",
            "fn f() { env::var(\"A\") }",
            "`env::var` is allowed only in src/bin/sidecarless/main.rs",
        ),
        ("src/deliver/a.rs", "fn f() { Instant::now() }", "`Instant::now` is allowed only in src/deadline.rs"),
        ("src/deliver/post.rs", "use aws_sigv4::sign;", "`aws_sigv4` is allowed only in src/aws/sign.rs"),
        (
            "src/scrape/a.rs",
            "struct A { #[prost(string, tag = \"1\")] a: String }",
            "`#[prost(` is allowed only in src/model/",
        ),
        ("src/receiver/a.rs", "fn f() { \"requestContext\" }", "`requestContext` is allowed only in src/lambda/"),
        (
            "src/translate/a.rs",
            r#"fn f(out: &mut String) { out.push_str("{\\\"id\\\":") }"#,
            r#"`\\\"` is allowed only in src/model/escaped_json.rs"#,
        ),
    ] {
        assert_eq!(violations(&Source::new(path, text)), [format!("{path}: {expected}")], "{text}");
    }
    let long = Source::new("src/scrape/a.rs", &"fn f() {}\n".repeat(301));
    assert_eq!(violations(&long), ["src/scrape/a.rs: 301 lines of code, more than 300"]);
}

#[test]
fn mutual_imports_are_detected() {
    let cycles = |sources: &[(&str, &str)]| {
        imports::cycles(&sources.iter().map(|(path, text)| Source::new(path, text)).collect::<Vec<_>>())
    };
    assert_eq!(
        cycles(&[
            ("src/a/mod.rs", "mod b; mod c; pub use b::B;"),
            ("src/a/b.rs", "use super::c::C;"),
            ("src/a/c.rs", "fn f() -> super::b::B { super::g() }"),
        ]),
        ["src/a/b.rs, src/a/c.rs"]
    );
    assert_eq!(
        cycles(&[
            ("src/a.rs", "use crate::{b::{c::C, d}, e};"),
            ("src/b/c.rs", "use crate::e;"),
            ("src/e/mod.rs", "use crate::a::{A};"),
            ("src/f.rs", "use crate::a;"),
        ]),
        ["src/a.rs, src/b/c.rs, src/e/mod.rs"]
    );
    // A module and its submodules may refer to each other, and tests may refer to anything.
    assert!(
        cycles(&[
            ("src/a/mod.rs", "mod b; use self::b::B;"),
            ("src/a/b.rs", "use super::A; use crate::c::C;"),
            ("src/c.rs", "#[cfg(test)]\nmod tests { use crate::a::b::B; }"),
            // In a binary, `crate` is the folder of the binary.
            ("src/bin/d/main.rs", "mod a; use a::A;"),
            ("src/bin/d/a.rs", "use crate::c::C;"),
            ("src/bin/d/c.rs", "use crate::f;"),
        ])
        .is_empty()
    );
}

#[test]
fn comments_literals_and_tests_violate_no_rule() {
    for text in [
        "//! async tokio std::env\n",
        "/* SystemTime::now */ fn f() {}",
        "const A: &str = \"async \\\" tokio\";",
        "const A: &str = r#\"tokio \" reqwest\"#; const B: &[u8] = br\"tokio\";",
        "fn f<'a>(a: &'a str) -> char { '\"' } // panic!",
        "fn f() -> char { '\\'' } // tokio",
        "#[cfg(test)]\nmod tests { async fn f() { g(\"}\").unwrap() } }",
        "#[cfg(test)]\nmod tests { const A: &str = r#\"{\"a\":{}}}\"#; async fn f() {} }",
        "#[cfg(test)]\nmod tests;\nfn f() {}",
        "use crate::model::a; use crate::translate::b;",
    ] {
        assert_eq!(violations(&Source::new("src/translate/a.rs", text)), Vec::<String>::new(), "{text}");
    }
    let mixed = Source::new("src/translate/a.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nasync fn g() {}");
    assert_eq!(violations(&mixed).len(), 1, "code after a test module is checked");
    let commented = Source::new("src/translate/a.rs", &"// a comment\n\nfn f() {}\n".repeat(300));
    assert_eq!(violations(&commented), Vec::<String>::new());
}
