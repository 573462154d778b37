//! Settings from environment variables, and from texts with lines of `NAME=value` for those that no template parameter sets.

use std::collections::BTreeMap;

use super::{PREFIX, all};

/// Setting whose value is such a text: the template parameter `Settings`.
pub(super) const SETTINGS: &str = "SIDECARLESS_SETTINGS";

/// Setting that names the SSM parameter with such a text: the template parameter `SettingsParameter`.
pub(super) const PARAMETER: &str = "SIDECARLESS_SETTINGS_PARAMETER";

/// The setting without the prefix.
const AWS_PROMETHEUS_ENDPOINT: &str = "AWS_PROMETHEUS_ENDPOINT";

/// All variables, and where the settings among them are from.
#[derive(Debug, Default)]
pub struct Sources {
    variables: Vec<(String, String)>,
    /// Names of the texts of settings that are in one.
    texts: BTreeMap<String, String>,
    errors: Vec<String>,
}

/// One setting of a text.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'a> {
    name: &'a str,
    value: String,
}

impl Sources {
    /// Returns the variables of the environment, and the settings in `SIDECARLESS_SETTINGS`. Text that is not UTF-8 has the character
    /// U+FFFD instead.
    pub fn new(variables: Vec<(String, String)>) -> Self {
        let mut sources = Self { variables, ..Self::default() };
        let is_changed =
            |(name, value): &&(String, String)| name.starts_with(PREFIX) && value.contains(char::REPLACEMENT_CHARACTER);
        let names = sources.variables.iter().filter(is_changed).map(|(name, _)| name);
        sources.errors =
            names.map(|name| format!("{name}: the value is not UTF-8: write it in this encoding")).collect();
        if let Some(text) = sources.get(SETTINGS).map(str::to_owned) {
            sources.add(SETTINGS, &text);
        }
        sources
    }

    /// Returns the name of the SSM parameter that contains further settings.
    pub fn parameter(&self) -> Option<&str> {
        self.get(PARAMETER)
    }

    /// Adds the settings in the value of an SSM parameter.
    pub fn add_parameter(&mut self, name: &str, text: &str) {
        self.add(&format!("the SSM parameter {name}"), text);
    }

    /// Adds an error of reading the SSM parameter.
    pub fn fail(&mut self, error: impl std::fmt::Display) {
        self.errors.push(format!("{PARAMETER}: {error}"));
    }

    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// Returns the value of a variable. Empty values are `None`, because templates cannot omit a variable.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.variables.iter().find(|(other, _)| other == name)?;
        Some(trimmed(value)).filter(|value| !value.is_empty())
    }

    /// Takes the errors of the texts.
    pub(super) fn take_errors(&mut self) -> Vec<String> {
        std::mem::take(&mut self.errors)
    }

    /// Adds the source of the setting to an error that starts with its name.
    pub(super) fn located(&self, error: String) -> String {
        let text = error.split_once(": ").and_then(|(name, rest)| Some((name, rest, self.texts.get(name)?)));
        text.map(|(name, rest, text)| format!("{name} in {text}: {rest}")).unwrap_or(error)
    }

    fn add(&mut self, text_name: &str, text: &str) {
        for entry in entries(text) {
            let result = match entry {
                Ok(entry) => self.add_entry(text_name, entry),
                Err(line) => Err(format!(
                    "{text_name}: line {line} is no setting: write NAME=value, and start a line with a space to continue the value above"
                )),
            };
            self.errors.extend(result.err());
        }
    }

    /// Adds a setting. An environment variable with the default of the setting is replaced: parameters of the template that nobody set
    /// have it.
    fn add_entry(&mut self, text_name: &str, Entry { name, value }: Entry<'_>) -> Result<(), String> {
        if name == SETTINGS || name == PARAMETER {
            return Err(format!("{name}: it cannot be set in {text_name}, only in the environment"));
        }
        if value.is_empty() {
            return Ok(());
        }
        if let Some(other) = self.texts.get(name) {
            return Err(format!("{name}: it is set twice, in {other} and in {text_name}: remove one of them"));
        }
        let default = all().find(|setting| setting.name == name).map_or("", |setting| setting.default);
        if self.get(name).is_some_and(|variable| variable != default && variable != value) {
            return Err(format!(
                "{name}: it is set twice, in the environment and in {text_name}: remove it from {text_name}, or do not set the parameter of \
                 the template"
            ));
        }
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value));
        self.texts.insert(name.to_owned(), text_name.to_owned());
        Ok(())
    }
}

/// Returns a value without whitespace around it. Several lines keep the indentation of the first one, which is as deep as that of the
/// others: they are YAML.
fn trimmed(value: &str) -> &str {
    let (lines, text) = (value.trim_end(), value.trim());
    let indented =
        lines.get(..lines.len() - text.len()).and_then(|before| lines.get(before.rfind('\n').map_or(0, |at| at + 1)..));
    indented.filter(|_| text.contains('\n')).unwrap_or(text)
}

/// Splits a text into its settings. An error is the number of a line that is none.
///
/// A setting is a line, or the part of a line up to the `;` before the next name, because a console has one line for a parameter. Lines that
/// start with a space, a tab or `- ` continue the value above, as in YAML.
fn entries(text: &str) -> Vec<Result<Entry<'_>, usize>> {
    let mut entries: Vec<Result<Entry<'_>, usize>> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let is_continued = line.starts_with([' ', '\t']) || line.starts_with("- ");
        match entries.last_mut() {
            Some(Ok(entry)) if is_continued && assignment(line.trim()).is_none() => {
                entry.value.push('\n');
                entry.value.push_str(line.trim_end());
            }
            _ if line.trim().is_empty() || line.trim_start().starts_with('#') => {}
            _ => entries.extend(parts(line).into_iter().map(|part| assignment(part).map(entry).ok_or(number))),
        }
    }
    entries
}

/// Splits a line at each `;` before a name. Rules in values are separated by `;` as well.
fn parts(line: &str) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, _) in line.match_indices(';') {
        let (Some(part), Some(rest)) = (line.get(start..at), line.get(at + 1..)) else { continue };
        if assignment(rest.trim_start()).is_some() {
            parts.push(part);
            start = at + 1;
        }
    }
    parts.extend(line.get(start..));
    parts.into_iter().map(|part| part.trim().trim_end_matches(';')).filter(|part| !part.is_empty()).collect()
}

/// Returns name and value of the setting that a text starts with.
fn assignment(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|char: char| !matches!(char, 'A'..='Z' | '0'..='9' | '_'))?;
    let (name, value) = text.split_at_checked(end)?;
    let is_setting = name.starts_with(PREFIX) || name == AWS_PROMETHEUS_ENDPOINT;
    value.strip_prefix('=').filter(|_| is_setting).map(|value| (name, value))
}

fn entry<'a>((name, value): (&'a str, &'a str)) -> Entry<'a> {
    Entry { name, value: value.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::{Auth, ConfigErrors, Settings};
    use super::*;

    fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Reads variables and the value of an SSM parameter.
    fn read(variables: &[(&str, &str)], parameter: &str) -> Result<Settings, ConfigErrors> {
        let mut sources = Sources::new(owned(variables));
        sources.add_parameter("/shop/settings", parameter);
        Settings::from_sources(sources)
    }

    fn parsed(text: &str) -> Vec<Result<(&str, String), usize>> {
        entries(text).into_iter().map(|entry| entry.map(|Entry { name, value }| (name, value))).collect()
    }

    #[test]
    fn settings_are_lines_or_separated_before_a_name() {
        let all = [Ok(("SIDECARLESS_AUTH", "iam".to_owned())), Ok(("SIDECARLESS_DELTA", "keep".to_owned()))];
        for text in [
            "SIDECARLESS_AUTH=iam\nSIDECARLESS_DELTA=keep",
            "# who may push\r\nSIDECARLESS_AUTH= iam \r\n\n  SIDECARLESS_DELTA=keep\n",
            "SIDECARLESS_AUTH=iam;SIDECARLESS_DELTA=keep",
            "SIDECARLESS_AUTH=iam; SIDECARLESS_DELTA=keep;",
        ] {
            assert_eq!(parsed(text), all, "{text}");
        }
        let rules = "SIDECARLESS_WRITE_RELABEL_CONFIGS=drop a; keep b=c;SIDECARLESS_SCRAPE_RULES=service=a port=1; service=b port=2";
        let expected = [
            Ok(("SIDECARLESS_WRITE_RELABEL_CONFIGS", "drop a; keep b=c".to_owned())),
            Ok(("SIDECARLESS_SCRAPE_RULES", "service=a port=1; service=b port=2".to_owned())),
        ];
        assert_eq!(parsed(rules), expected);
    }

    #[test]
    fn indented_lines_continue_a_value() {
        let text = "SIDECARLESS_WRITE_RELABEL_CONFIGS=\n- action: keep\n  regex: a=b\n\nSIDECARLESS_AUTH=iam";
        let expected = [
            Ok(("SIDECARLESS_WRITE_RELABEL_CONFIGS", "\n- action: keep\n  regex: a=b".to_owned())),
            Ok(("SIDECARLESS_AUTH", "iam".to_owned())),
        ];
        assert_eq!(parsed(text), expected);
    }

    #[test]
    fn first_line_of_several_keeps_its_indentation() {
        for (value, expected) in [
            (" a ", "a"),
            ("\n\n  a\n", "a"),
            ("\n  - a\n  - b\n", "  - a\n  - b"),
            ("  - a\n  - b", "  - a\n  - b"),
            ("- a\n- b", "- a\n- b"),
            ("\u{2003}a\nb", "\u{2003}a\nb"),
            (" \n ", ""),
        ] {
            assert_eq!(trimmed(value), expected, "{value:?}");
        }
        let rules = "SIDECARLESS_WRITE_RELABEL_CONFIGS=\n  - action: labeldrop\n    regex: a\n  - action: labeldrop\n    regex: b";
        assert!(read(&[], rules).is_ok());
    }

    #[test]
    fn all_texts_are_settings() {
        let variables = [("SIDECARLESS_SETTINGS", "SIDECARLESS_AUTH=iam"), ("SIDECARLESS_NAMESPACE", "shop")];
        let settings = read(&variables, "SIDECARLESS_CLUSTERS=web,batch").expect("valid");
        assert_eq!((settings.auth, &settings.clusters[..]), (Auth::Iam, &["web".to_owned(), "batch".to_owned()][..]));
    }

    #[test]
    fn default_of_a_variable_gives_way_and_another_value_conflicts() {
        let text = ("SIDECARLESS_SETTINGS", "SIDECARLESS_CLUSTERS=web");
        for (variable, is_valid) in [("", true), ("*", true), ("web", true), ("shop", false)] {
            let result = read(&[text, ("SIDECARLESS_CLUSTERS", variable)], "");
            assert_eq!(result.is_ok(), is_valid, "{variable}: {result:?}");
            let clusters = result.map(|settings| settings.clusters).unwrap_or_default();
            assert!(!is_valid || clusters == ["web"], "{clusters:?}");
        }
    }

    #[test]
    fn errors_name_the_setting_and_its_source() {
        let variables = [
            (
                "SIDECARLESS_SETTINGS",
                "SIDECARLESS_AUTH=maybe\nCLUSTERS=web\nSIDECARLESS_DELTA=keep\nSIDECARLESS_NAMESPACE=a",
            ),
            ("SIDECARLESS_NAMESPACE", "b"),
        ];
        let parameter = "SIDECARLESS_CLUSTER=web\nSIDECARLESS_DELTA=keep\nSIDECARLESS_SETTINGS_PARAMETER=/other";
        let errors = read(&variables, parameter).expect_err("six errors");
        for expected in [
            "SIDECARLESS_AUTH in SIDECARLESS_SETTINGS: unknown value \"maybe\": use token, iam or none",
            "SIDECARLESS_SETTINGS: line 2 is no setting: write NAME=value",
            "SIDECARLESS_NAMESPACE: it is set twice, in the environment and in SIDECARLESS_SETTINGS",
            "SIDECARLESS_CLUSTER in the SSM parameter /shop/settings: unknown setting: did you mean SIDECARLESS_CLUSTERS?",
            "SIDECARLESS_DELTA in SIDECARLESS_SETTINGS: it is set twice, in SIDECARLESS_SETTINGS and in the SSM parameter /shop/settings",
            "SIDECARLESS_SETTINGS_PARAMETER: it cannot be set in the SSM parameter /shop/settings",
        ] {
            assert!(errors.0.iter().any(|error| error.starts_with(expected)), "{expected} is not in\n{errors}");
        }
        assert_eq!(errors.0.len(), 6, "{errors}");
    }
}
