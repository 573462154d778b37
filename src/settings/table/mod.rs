//! All settings. README.md, `sidecarless --help` and the template are compared with these rows by tests/settings.rs.

mod destinations;
mod discovery;
mod receiver;
mod scrape;
mod translation;

use std::fmt;

use super::Settings;
use crate::rules::InvalidValue;

pub use destinations::LOG_SETTING;

/// One setting, an environment variable.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    /// Valid values, for people.
    pub values: &'static str,
    /// As it would be written. Empty if the setting is unset by default.
    pub default: &'static str,
    pub description: &'static str,
    /// Parses a value that is not empty and stores it.
    pub(super) apply: fn(&mut Settings, &str) -> Result<(), InvalidValue>,
}

/// All settings, in the order of the reference.
const SETTINGS: [&[Setting]; 5] =
    [destinations::ROWS, receiver::ROWS, discovery::ROWS, scrape::ROWS, translation::ROWS];

/// Returns all settings, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.into_iter().flatten()
}

/// Valid values of a switch.
const ON_OFF: &[(&str, bool)] = &[("on", true), ("off", false)];

/// Stores a parsed value in its field.
fn store<T, E: fmt::Display>(field: &mut T, parsed: Result<T, E>) -> Result<(), InvalidValue> {
    *field = parsed.map_err(|error| InvalidValue::new(error.to_string()))?;
    Ok(())
}

/// Stores a parsed value in a field that is `None` if the setting is unset.
fn store_some<T, E: fmt::Display>(field: &mut Option<T>, parsed: Result<T, E>) -> Result<(), InvalidValue> {
    store(field, parsed.map(Some))
}
