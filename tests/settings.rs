//! README's reference and the template are held to the one table of settings.

use std::path::{Path, PathBuf};

use sidecarless::settings::SETTINGS;

const BEGIN: &str = "<!-- settings -->";
const END: &str = "<!-- /settings -->";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The reference in Markdown.
fn reference() -> String {
    let mut table = "| setting | values | default | meaning |\n|---|---|---|---|\n".to_owned();
    for setting in SETTINGS {
        let default = if setting.default.is_empty() { "unset".to_owned() } else { format!("`{}`", setting.default) };
        let about = setting.description.replace('|', "\\|");
        table += &format!("| `{}` | {} | {default} | {about} |\n", setting.name, setting.values.replace('|', "\\|"));
    }
    table
}

/// A text with the block between the marks replaced; `None`: the marks are not there.
fn with_block(text: &str, block: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{block}\n{END}{after}"))
}

/// `SIDECARLESS_*` and the endpoint, wherever they are keys of a YAML mapping.
fn keys(template: &str) -> Vec<&str> {
    let keys = template.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").split_once(':'));
    let is_setting = |key: &&str| key.starts_with("SIDECARLESS_") || *key == "AWS_PROMETHEUS_ENDPOINT";
    keys.map(|(key, _)| key.trim().trim_matches(['"', '\''])).filter(is_setting).collect()
}

fn unknown(template: &str) -> Vec<&str> {
    keys(template).into_iter().filter(|key| !SETTINGS.iter().any(|setting| setting.name == *key)).collect()
}

#[test]
fn the_readme_shows_the_table_of_settings() {
    let readme = read("README.md");
    let expected = with_block(&readme, &reference()).expect("README.md has a block between the marks");
    #[expect(clippy::disallowed_methods, reason = "who runs the tests says whether README.md is to be written")]
    let is_update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    if is_update {
        std::fs::write(file("README.md"), expected).unwrap();
        return;
    }
    assert!(
        readme == expected,
        "README.md is behind src/settings/table.rs: run UPDATE=1 cargo test --test integration settings"
    );
}

#[test]
fn the_template_sets_nothing_unknown() {
    let template = read("template.yaml");
    assert!(!keys(&template).is_empty(), "the template sets nothing at all");
    assert_eq!(unknown(&template), Vec::<&str>::new());
}

#[test]
fn a_key_that_is_no_setting_is_found() {
    let template = "Variables:\n  SIDECARLESS_AUTH: token\n  SIDECARLESS_ATUH: token\n  RUST_LOG: info\n";
    assert_eq!(keys(template), ["SIDECARLESS_AUTH", "SIDECARLESS_ATUH"]);
    assert_eq!(unknown(template), ["SIDECARLESS_ATUH"]);
}

#[test]
fn every_setting_has_one_row() {
    let reference = reference();
    assert_eq!(reference.lines().count(), SETTINGS.len() + 2);
    for row in reference.lines() {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
    }
}

#[test]
fn a_block_is_written_between_its_marks() {
    let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
    let written = with_block(&text, "new\n").unwrap();
    assert_eq!(written, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
    assert_eq!(with_block(&written, "new\n").as_deref(), Some(written.as_str()), "writing it again changes nothing");
    assert_eq!(with_block("no marks", "new\n"), None);
}
