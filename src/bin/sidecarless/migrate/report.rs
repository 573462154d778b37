//! What a person reads beside the new definition.

use std::fmt;

#[derive(Debug, Default)]
pub(super) struct MigrationReport {
    /// Name and image of what is taken out.
    pub(super) sidecars: Vec<String>,
    /// Setting, value.
    pub(super) settings: Vec<(&'static str, String)>,
    /// Container, variable, value.
    pub(super) variables: Vec<(String, String, String)>,
    pub(super) notes: Vec<String>,
    /// What has no equivalent or needs a decision, and what to do.
    pub(super) unsupported: Vec<(String, String)>,
}

impl MigrationReport {
    /// Adds a setting once.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        let value = value.into();
        match self.settings.iter().find(|(known, _)| *known == name) {
            Some((_, known)) if *known == value => {}
            Some(_) => self.add_unsupported(
                name,
                &format!("two values are asked for; the other is `{value}`: one function writes one way"),
            ),
            None => self.settings.push((name, value)),
        }
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    pub(super) fn add_unsupported(&mut self, what: impl Into<String>, instead: &str) {
        let gap = (what.into(), instead.to_owned());
        if !self.unsupported.contains(&gap) {
            self.unsupported.push(gap);
        }
    }
}

/// The template's parameter for a setting, where it has one.
fn parameter(setting: &str) -> Option<&'static str> {
    Some(match setting {
        "AWS_PROMETHEUS_ENDPOINT" => "RemoteWriteUrl",
        "SIDECARLESS_SCRAPE_RULES" => "ScrapeRules",
        "SIDECARLESS_XRAY_INDEXED_ATTRIBUTES" => "IndexedAttributes",
        _ => return None,
    })
}

impl fmt::Display for MigrationReport {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "taken out: {}", self.sidecars.join(", "))?;
        writeln!(to, "\nsettings of the function:")?;
        for (name, value) in &self.settings {
            let parameter = parameter(name).map(|name| format!("   (template: {name})")).unwrap_or_default();
            writeln!(to, "  {name}={value}{parameter}")?;
        }
        if self.settings.is_empty() {
            writeln!(to, "  none but the defaults")?;
        }
        writeln!(to, "\nvariables of the containers, as in the new definition:")?;
        for (container, name, value) in &self.variables {
            writeln!(to, "  {container}: {name}={value}")?;
        }
        if self.variables.is_empty() {
            writeln!(to, "  none")?;
        }
        writeln!(to, "\nto know:\n  the keys of the new definition are sorted by name")?;
        for note in &self.notes {
            writeln!(to, "  {note}")?;
        }
        if self.unsupported.is_empty() {
            return writeln!(to, "\neverything has an equivalent");
        }
        writeln!(to, "\nwithout equivalent, or to decide:")?;
        self.unsupported.iter().try_for_each(|(what, instead)| writeln!(to, "  {what}: {instead}"))
    }
}
