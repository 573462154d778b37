//! Errors of the input files.

use thiserror::Error;

use super::MAX_FILE_BYTES;

/// A file that cannot be migrated.
#[derive(Debug, Error)]
#[error("{path}: {error}")]
pub(crate) struct MigrateError {
    pub(super) path: String,
    #[source]
    pub(super) error: InputError,
}

/// Invalid content of a file.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    #[error(transparent)]
    Read(#[from] std::io::Error),
    #[error("file has more than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    #[error("invalid JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("invalid task definition: {0}")]
    Definition(String),
    #[error(
        "no container has the image of a collector (aws-otel-collector, adot-collector, opentelemetry-collector, otelcol) \
         or of the X-Ray daemon"
    )]
    NoSidecar,
    #[error(
        "all containers are collectors: this is not a sidecar, delete the service after its clients use the function"
    )]
    OnlySidecars,
    #[error("invalid YAML: {0}")]
    Yaml(String),
    #[error("invalid collector configuration: {0}")]
    Config(&'static str),
    #[error("AOT_CONFIG_CONTENT of {container}: {error}")]
    ConfigContent { container: String, error: Box<InputError> },
}
