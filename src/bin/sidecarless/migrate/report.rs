//! Report for the operator.

use std::fmt;

/// Result of a migration, except the definition.
#[derive(Debug, Default)]
pub(super) struct MigrationReport {
    /// Names and images of the removed containers.
    pub(super) sidecars: Vec<String>,
    /// Setting, value.
    pub(super) settings: Vec<(&'static str, String)>,
    /// Container, variable, value.
    pub(super) variables: Vec<(String, String, String)>,
    pub(super) notes: Vec<String>,
    /// Parts without an equivalent or that require a decision, each with a fix.
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
                &format!("two different values, the other is \"{value}\": a function has one value for all tasks"),
            ),
            None => self.settings.push((name, value)),
        }
    }

    /// Returns the value of a setting.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    pub(super) fn add_unsupported(&mut self, part: impl Into<String>, fix: &str) {
        let entry = (part.into(), fix.to_owned());
        if !self.unsupported.contains(&entry) {
            self.unsupported.push(entry);
        }
    }
}

/// Returns the template parameter of a setting. `None` if there is none.
fn parameter(setting: &str) -> Option<&'static str> {
    Some(match setting {
        "AWS_PROMETHEUS_ENDPOINT" => "RemoteWriteUrl",
        "SIDECARLESS_AMP_ROLE_ARN" => "AmpRoleArn",
        "SIDECARLESS_AMP_EXTERNAL_ID" => "AmpExternalId",
        "SIDECARLESS_XRAY_REGION" => "XRayRegion",
        "SIDECARLESS_XRAY_ROLE_ARN" => "XRayRoleArn",
        "SIDECARLESS_SCRAPE_RULES" => "ScrapeRules",
        "SIDECARLESS_XRAY_INDEXED_ATTRIBUTES" => "IndexedAttributes",
        "SIDECARLESS_CORS_ORIGINS" => "CorsOrigins",
        _ => return None,
    })
}

impl fmt::Display for MigrationReport {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "Removed containers: {}", self.sidecars.join(", "))?;
        writeln!(to, "\nFunction settings:")?;
        for (name, value) in &self.settings {
            // `Settings` takes all settings that have no parameter of their own.
            writeln!(to, "  {name}={value}   (template: {})", parameter(name).unwrap_or("Settings"))?;
        }
        if self.settings.is_empty() {
            writeln!(to, "  defaults")?;
        }
        writeln!(to, "\nContainer variables in the new definition:")?;
        for (container, name, value) in &self.variables {
            writeln!(to, "  {container}: {name}={value}")?;
        }
        if self.variables.is_empty() {
            writeln!(to, "  none")?;
        }
        writeln!(to, "\nNotes:\n  the keys of the new definition are sorted by name")?;
        for note in &self.notes {
            writeln!(to, "  {note}")?;
        }
        if self.unsupported.is_empty() {
            return writeln!(to, "\nEverything has an equivalent.");
        }
        writeln!(to, "\nWithout equivalent, or decision required:")?;
        self.unsupported.iter().try_for_each(|(part, fix)| writeln!(to, "  {part}: {fix}"))
    }
}
