//! Errors of command-line arguments.

use thiserror::Error;

/// Invalid arguments.
#[derive(Debug, Error)]
pub(crate) enum UsageError {
    #[error("missing command: see `sidecarless --help`")]
    MissingCommand,
    #[error("unknown command \"{name}\": {hint}")]
    UnknownCommand { name: String, hint: String },
    #[error("missing {0}: see `sidecarless --help`")]
    MissingFile(&'static str),
    #[error("{0}: see `sidecarless --help`")]
    Argument(#[from] lexopt::Error),
    #[error("{0} is set twice")]
    DuplicateOption(String),
    #[error("invalid {option} \"{value}\": use {expected}")]
    InvalidValue { option: &'static str, value: String, expected: String },
    #[error("--{option} requires --tasks: without it, {counted} are counted")]
    RequiresTasks { option: &'static str, counted: &'static str },
}
