//! Error of a command.

use sidecarless::deliver::redrive::RedriveError;
use sidecarless::settings::ConfigErrors;
use thiserror::Error;

use crate::migrate::MigrateError;
use crate::push_stats::PushStatsError;
use crate::query::QueryError;
use crate::usage::UsageError;

/// The command cannot run.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Settings(#[from] ConfigErrors),
    /// Error in the code shared with the function.
    #[error(transparent)]
    Function(#[from] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot read {path}: {error}")]
    ReadEvent { path: String, error: std::io::Error },
    #[error("SIDECARLESS_SPOOL_QUEUE_URL is not set")]
    NoSpoolQueue,
    /// `moved` describes the messages that were processed before the error.
    #[error("{moved}{error}")]
    Redrive { moved: String, error: RedriveError },
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error(transparent)]
    PushStats(#[from] PushStatsError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("cannot read random numbers from the operating system")]
    Random,
}
