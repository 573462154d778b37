//! The formats of a scraped page, as request and answer name them.

/// The `Accept` header of a scrape: OpenMetrics first, then text, then anything, in the order and with the weights that
/// Prometheus sends (its `scrape/scrape.go`), less the protobuf format, which is not read here.
pub const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=0.0.1;q=0.5,\
                          text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,\
                          */*;q=0.2";

/// Which grammar a scraped page follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0 text format.
    OpenMetrics,
}

impl Format {
    /// The format that a `Content-Type` header names by its media type; parameters such as the version say nothing that
    /// the grammar depends on. An absent or unknown type is read as text 0.0.4, as exporters without a library send it.
    pub fn from_content_type(content_type: Option<&str>) -> Format {
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("application/openmetrics-text") { Format::OpenMetrics } else { Format::Text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_names_the_format_and_anything_else_is_text() {
        for (content_type, expected) in [
            (Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), Format::OpenMetrics),
            (Some("Application/OpenMetrics-Text"), Format::OpenMetrics),
            (Some("application/openmetrics-text;version=99"), Format::OpenMetrics),
            (Some("text/plain; version=0.0.4"), Format::Text),
            (Some("text/html"), Format::Text),
            (Some(";;"), Format::Text),
            (Some(""), Format::Text),
            (None, Format::Text),
        ] {
            assert_eq!(Format::from_content_type(content_type), expected, "{content_type:?}");
        }
    }
}
