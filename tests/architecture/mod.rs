//! The invariants of src/lib.rs, held by reading the sources. Every rule is shown to catch what it is for.

mod source;

use std::path::{Path, PathBuf};

use source::Source;

const STAGES: [&str; 3] = ["collect", "translate", "deliver"];

/// Lines of code per file; comments, blank lines and tests are not counted.
const LONGEST_FILE: usize = 300;

/// What has no place in pure code: words, and the beginnings of the names of crates.
const IMPURE_WORDS: [&str; 9] =
    ["async", "await", "tokio", "reqwest", "hyper", "futures_util", "SystemTime", "Instant", "rand"];
const IMPURE_CRATES: [&str; 6] =
    ["aws_config", "aws_credential_types", "aws_sdk_", "aws_sigv4", "aws_smithy_", "lambda_runtime"];

const PANICS: [&str; 6] = [".unwrap()", ".expect(", "panic!", "unreachable!", "todo!", "unimplemented!"];

const ENVIRONMENT: [&str; 4] = ["std::env", "env::var", "env::args", "env::set_var"];

const CLOCKS: [&str; 4] = ["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now"];

/// Fields of events and answers.
const LAMBDA_JSON: [&str; 5] = ["requestContext", "isBase64Encoded", "httpMethod", "rawPath", "statusDescription"];

/// What a file does that it must not.
fn violations(source: &Source) -> Vec<String> {
    let rules: [fn(&Source) -> Vec<String>; 6] = [imports, purity, panics, places, lambda_json, length];
    let found = rules.iter().flat_map(|rule| rule(source));
    found.map(|what| format!("{}: {what}", source.path)).collect()
}

/// The stage whose file it is.
fn stage(source: &Source) -> Option<&'static str> {
    STAGES.into_iter().find(|stage| source.path.starts_with(&format!("src/{stage}/")))
}

fn is_pure(source: &Source) -> bool {
    ["src/translate/", "src/model/"].iter().any(|folder| source.path.starts_with(folder))
}

fn imports(source: &Source) -> Vec<String> {
    let mut modules = source.modules();
    for stage in STAGES {
        if source.code.contains(&format!("super::{stage}::")) {
            modules.push(stage);
        }
    }
    let is_allowed = |module: &str| {
        if source.path.starts_with("src/model/") {
            return module == "model";
        }
        match stage(source) {
            Some("translate") => matches!(module, "translate" | "model"),
            Some(own) => module == own || !STAGES.contains(&module) && module != "pipeline",
            None => true,
        }
    };
    let wrong = modules.into_iter().filter(|module| !is_allowed(module));
    wrong.map(|module| format!("it imports `{module}`")).collect()
}

fn purity(source: &Source) -> Vec<String> {
    let is_impure =
        |word: &str| IMPURE_WORDS.contains(&word) || IMPURE_CRATES.iter().any(|name| word.starts_with(name));
    let words = source.words().filter(|word| is_pure(source) && is_impure(word));
    words.map(|word| format!("it is pure and says `{word}`")).collect()
}

fn panics(source: &Source) -> Vec<String> {
    let said = PANICS.iter().filter(|call| is_pure(source) && source.code.contains(**call));
    said.map(|call| format!("it must not panic and says `{call}`")).collect()
}

/// What only one place may do.
fn places(source: &Source) -> Vec<String> {
    let rules: [(&str, &[&str]); 4] = [
        ("src/main.rs", &ENVIRONMENT),
        ("src/deadline.rs", &CLOCKS),
        ("src/aws/sign.rs", &["aws_sigv4"]),
        ("src/model/", &["#[prost(", "prost::Message)", "prost::Oneof)"]),
    ];
    // Each binary reads the environment in its main file.
    let is_main = source.path == "src/bin/sidecarless/main.rs";
    let elsewhere =
        rules.into_iter().filter(|(place, _)| !source.path.starts_with(place) && !(is_main && *place == "src/main.rs"));
    let found = elsewhere.flat_map(|(place, phrases)| {
        phrases.iter().filter(|phrase| source.code.contains(**phrase)).map(move |phrase| (place, phrase))
    });
    found.map(|(place, phrase)| format!("`{phrase}` belongs into {place}")).collect()
}

fn lambda_json(source: &Source) -> Vec<String> {
    let is_place = source.path.starts_with("src/invocation/");
    let fields = LAMBDA_JSON.iter().filter(|field| !is_place && source.text.contains(**field));
    fields.map(|field| format!("`{field}` belongs into src/invocation/")).collect()
}

fn length(source: &Source) -> Vec<String> {
    let lines = source.lines();
    let is_long = lines > LONGEST_FILE;
    is_long.then(|| format!("it has {lines} lines of code, more than {LONGEST_FILE}")).into_iter().collect()
}

/// Dependencies without a comment in the line above.
fn without_reason(manifest: &str) -> Vec<&str> {
    let (mut is_dependency, mut above, mut found) = (false, "", Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_dependency = line.contains("dependencies");
        } else if is_dependency && line.contains('=') && !line.starts_with([' ', '#', ']']) && !above.starts_with('#') {
            found.push(line);
        }
        above = line;
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source of the crate but its test modules in files of their own.
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
fn every_source_keeps_every_rule() {
    let sources = sources();
    assert!(sources.len() > 100, "only {} sources were found", sources.len());
    let found: Vec<String> = sources.iter().flat_map(violations).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_dependency_has_its_reason_above_it() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert_eq!(without_reason(&manifest), Vec::<&str>::new());
    assert_eq!(
        without_reason("[dependencies]\n# Why.\na = \"1\"\nb = \"2\"\n\n[lints.rust]\nc = \"warn\"\n"),
        ["b = \"2\""]
    );
}

#[test]
fn each_rule_catches_what_it_is_for() {
    for (path, text, expected) in [
        ("src/collect/a.rs", "use crate::deliver::post;", "it imports `deliver`"),
        ("src/collect/a.rs", "use crate::pipeline::Pipeline;", "it imports `pipeline`"),
        ("src/deliver/a.rs", "use crate::{model::{a, b}, translate};", "it imports `translate`"),
        ("src/deliver/a.rs", "use super::super::collect::scrape;", "it imports `collect`"),
        ("src/translate/a.rs", "fn f() { crate::config::values::list(\"\"); }", "it imports `config`"),
        ("src/model/a.rs", "use crate::deadline::Deadline;", "it imports `deadline`"),
        ("src/model/a.rs", "async fn f() {}", "it is pure and says `async`"),
        ("src/translate/a.rs", "use aws_sdk_ecs::types::Task;", "it is pure and says `aws_sdk_ecs`"),
        ("src/translate/a.rs", "use std::time::Instant;", "it is pure and says `Instant`"),
        ("src/translate/a.rs", "fn f() { g().unwrap() }", "it must not panic and says `.unwrap()`"),
        ("src/model/a.rs", "fn f() { unreachable!() }", "it must not panic and says `unreachable!`"),
        ("src/config/a.rs", "use std::env;", "`std::env` belongs into src/main.rs"),
        ("src/deliver/a.rs", "fn f() { Instant::now() }", "`Instant::now` belongs into src/deadline.rs"),
        ("src/deliver/post.rs", "use aws_sigv4::sign;", "`aws_sigv4` belongs into src/aws/sign.rs"),
        (
            "src/collect/a.rs",
            "struct A { #[prost(string, tag = \"1\")] a: String }",
            "`#[prost(` belongs into src/model/",
        ),
        ("src/collect/a.rs", "fn f() { \"requestContext\" }", "`requestContext` belongs into src/invocation/"),
    ] {
        assert_eq!(violations(&Source::new(path, text)), [format!("{path}: {expected}")], "{text}");
    }
    let long = Source::new("src/collect/a.rs", &"fn f() {}\n".repeat(301));
    assert_eq!(violations(&long), ["src/collect/a.rs: it has 301 lines of code, more than 300"]);
}

#[test]
fn what_is_no_code_breaks_no_rule() {
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
    assert_eq!(violations(&mixed).len(), 1, "what follows a test module counts");
    let commented = Source::new("src/translate/a.rs", &"// a comment\n\nfn f() {}\n".repeat(300));
    assert_eq!(violations(&commented), Vec::<String>::new());
}
