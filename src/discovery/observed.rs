//! What a call found out about a resource, with the description before.

use std::sync::Arc;

/// A resource before and after a call. The series of a resource that is gone, or that has other labels now, end.
#[derive(Clone, Debug)]
pub struct Observed<T> {
    /// Previous description by this execution environment.
    pub before: Option<Arc<T>>,
    /// `None` if the resource no longer exists.
    pub now: Option<Arc<T>>,
}
