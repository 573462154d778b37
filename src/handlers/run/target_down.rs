//! Reasons why a target counts as down.

use thiserror::Error;

use crate::model::json::DocumentError;
use crate::scrape::ScrapeError;
use crate::translate::exposition::ExpositionErrorKind;

/// Reason why a target counts as down.
#[derive(Debug, Error)]
pub(in crate::handlers) enum TargetDown {
    #[error(transparent)]
    Scrape(#[from] ScrapeError),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("the endpoint returned the stats of another task")]
    OtherTask,
    #[error("invalid exposition: {0}")]
    Exposition(ExpositionErrorKind),
    #[error("exposition has {samples} samples, more than SIDECARLESS_SCRAPE_SAMPLE_LIMIT={limit}")]
    SampleLimit { samples: u64, limit: u64 },
}

impl From<ExpositionErrorKind> for TargetDown {
    fn from(kind: ExpositionErrorKind) -> Self {
        match kind {
            ExpositionErrorKind::SampleLimit { samples, limit } => Self::SampleLimit { samples, limit },
            ExpositionErrorKind::Syntax(_) => Self::Exposition(kind),
        }
    }
}
