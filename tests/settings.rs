//! Compares the settings reference in README.md and the template with the settings table.

use std::path::{Path, PathBuf};

use sidecarless::settings;

const BEGIN: &str = "<!-- settings -->";
const END: &str = "<!-- /settings -->";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the reference in Markdown.
fn reference() -> String {
    let mut table = "| setting | values | default | description |\n|---|---|---|---|\n".to_owned();
    for setting in settings::all() {
        let default = if setting.default.is_empty() { "unset".to_owned() } else { format!("`{}`", setting.default) };
        let description = setting.description.replace('|', "\\|");
        table +=
            &format!("| `{}` | {} | {default} | {description} |\n", setting.name, setting.values.replace('|', "\\|"));
    }
    table
}

/// Replaces the block between the markers. `None` if the markers are missing.
fn with_block(text: &str, block: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{block}\n{END}{after}"))
}

/// Returns all settings that are keys of a YAML mapping.
fn keys(template: &str) -> Vec<&str> {
    let keys = template.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").split_once(':'));
    let is_setting = |key: &&str| key.starts_with("SIDECARLESS_") || *key == "AWS_PROMETHEUS_ENDPOINT";
    keys.map(|(key, _)| key.trim().trim_matches(['"', '\''])).filter(is_setting).collect()
}

fn unknown(template: &str) -> Vec<&str> {
    keys(template).into_iter().filter(|key| !settings::all().any(|setting| setting.name == *key)).collect()
}

#[test]
fn readme_contains_the_settings_table() {
    let readme = read("README.md");
    let expected = with_block(&readme, &reference()).expect("README.md has the markers");
    #[expect(clippy::disallowed_methods, reason = "UPDATE=1 writes README.md")]
    let is_update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    if is_update {
        std::fs::write(file("README.md"), expected).unwrap();
        return;
    }
    assert!(
        readme == expected,
        "README.md does not match src/settings/table: run UPDATE=1 cargo test --test integration settings"
    );
}

#[test]
fn template_variables_are_settings() {
    let template = read("template.yaml");
    assert!(!keys(&template).is_empty(), "the template sets no variables");
    assert_eq!(unknown(&template), Vec::<&str>::new());
}

#[test]
fn unknown_settings_are_found() {
    let template = "Variables:\n  SIDECARLESS_AUTH: token\n  SIDECARLESS_ATUH: token\n  RUST_LOG: info\n";
    assert_eq!(keys(template), ["SIDECARLESS_AUTH", "SIDECARLESS_ATUH"]);
    assert_eq!(unknown(template), ["SIDECARLESS_ATUH"]);
}

#[test]
fn each_setting_has_one_row() {
    let reference = reference();
    assert_eq!(reference.lines().count(), settings::all().count() + 2);
    for row in reference.lines() {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
    }
}

#[test]
fn blocks_are_written_between_their_markers() {
    let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
    let written = with_block(&text, "new\n").unwrap();
    assert_eq!(written, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
    assert_eq!(with_block(&written, "new\n").as_deref(), Some(written.as_str()), "a second update changes nothing");
    assert_eq!(with_block("no markers", "new\n"), None);
}
