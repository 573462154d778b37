//! Reasons why a target counts as down.

use thiserror::Error;

use crate::model::budget::BudgetExceeded;
use crate::model::json::DocumentError;
use crate::rules::relabel::RelabelError;
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
    #[error(
        "its response takes more time than the share of one target: expose fewer series, or raise the memory size of the function"
    )]
    TimeShare,
    #[error(
        "its series need more memory than the function has: expose fewer series, or raise the memory size of the function"
    )]
    Memory,
    #[error("{0}")]
    Relabelling(RelabelError),
    #[error("exposition has {samples} samples, more than SIDECARLESS_SCRAPE_SAMPLE_LIMIT={limit}")]
    SampleLimit { samples: u64, limit: u64 },
}

impl From<ExpositionErrorKind> for TargetDown {
    fn from(kind: ExpositionErrorKind) -> Self {
        match kind {
            ExpositionErrorKind::SampleLimit { samples, limit } => Self::SampleLimit { samples, limit },
            ExpositionErrorKind::Budget(exceeded) => exceeded.into(),
            ExpositionErrorKind::Syntax(_) => Self::Exposition(kind),
        }
    }
}

impl From<RelabelError> for TargetDown {
    fn from(error: RelabelError) -> Self {
        match error {
            RelabelError::Budget(exceeded) => exceeded.into(),
            RelabelError::InvalidName(_) | RelabelError::Limit { .. } => Self::Relabelling(error),
        }
    }
}

impl From<BudgetExceeded> for TargetDown {
    fn from(exceeded: BudgetExceeded) -> Self {
        if exceeded.is_permanent() { Self::Memory } else { Self::TimeShare }
    }
}
