//! Errors of whole invocations.

use thiserror::Error;

use crate::discovery::DiscoveryError;
use crate::lambda::UnknownEvent;
use crate::model::json::DocumentError;
use crate::scrape::log_data::LogDataError;

/// Error of an invocation. Lambda counts it, and retries asynchronous invocations.
#[derive(Debug, Error)]
pub enum HandleError {
    #[error(transparent)]
    Unknown(#[from] UnknownEvent),
    #[error("no task could be discovered: {0}")]
    Discovery(DiscoveryError),
    #[error(transparent)]
    LogEvents(#[from] LogDataError),
    #[error(transparent)]
    EventDetail(#[from] DocumentError),
    #[error("{samples} samples could not be delivered: {error}")]
    Undelivered { samples: u64, error: String },
}
