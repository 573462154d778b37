//! Names that rules give to metrics and labels.

use crate::model::series::Labels;
use crate::translate::names::{Utf8Names, is_legacy_label, is_legacy_metric};

/// Characters of a name in an example.
const SHOWN_CHARS: usize = 60;

/// Returns the reason why AMP would reject a series for the names that rules give it.
pub(super) fn invalid_name(labels: &Labels, name: &str, utf8_names: Utf8Names) -> Option<(&'static str, String)> {
    let shown = |text: &str| text.chars().take(SHOWN_CHARS).collect::<String>();
    let Some(new_name) = labels.get("__name__") else {
        return Some(("empty_name", format!("rules remove the name of {name}")));
    };
    let keeps_utf8 = utf8_names == Utf8Names::Send;
    if !keeps_utf8 && !is_legacy_metric(new_name) {
        return Some(("invalid_name", format!("rules give {name} the name \"{}\"", shown(new_name))));
    }
    let (label, _) = labels.iter().find(|(label, _)| label.is_empty() || !(keeps_utf8 || is_legacy_label(label)))?;
    Some(("invalid_label_name", format!("rules give a label of {name} the name \"{}\"", shown(label))))
}
