//! Formats of an exposition, for HTTP content negotiation.

/// `Accept` header of a scrape: OpenMetrics, then text, then any format, with the order and weights of Prometheus
/// (`scrape/scrape.go`). The protobuf format is missing because it is not supported.
pub const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=0.0.1;q=0.5,\
                          text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,\
                          */*;q=0.2";

/// Format of an exposition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0 text format.
    OpenMetrics,
}

impl Format {
    /// Returns the format for the media type of a `Content-Type` header. Parameters such as the version do not affect the
    /// grammar. A missing or unknown type means text 0.0.4, because exporters without a client library often send none.
    pub fn from_content_type(content_type: Option<&str>) -> Format {
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("application/openmetrics-text") { Format::OpenMetrics } else { Format::Text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_type_selects_the_format_and_defaults_to_text() {
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
