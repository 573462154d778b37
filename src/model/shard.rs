//! A shard: up to 100 tasks of one cluster that a message asks this function to scrape.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The value of the key `sidecarless` of these messages.
pub const MESSAGE_TYPE: &str = "shard";

/// The version that is written, and the only one that is read: a shard lives for a minute.
const VERSION: u32 = 1;

/// How long after its time a shard is still worth its scrapes. Later, the next tick's shards are under way.
const MAX_DELAY_MS: i64 = 60_000;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    sidecarless: String,
    v: u32,
    /// By name or ARN.
    pub cluster: String,
    /// ARNs or ids, 100 at the most: what one call of DescribeTasks takes.
    pub tasks: Vec<String>,
    /// When the scrape is to be, in milliseconds since the epoch.
    pub due_ms: i64,
}

/// The message is no shard that this version can read.
#[derive(Debug, Error)]
pub enum ShardDecodeError {
    #[error("the shard is no JSON of this function's making: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the shard is of version {0}, and this function reads version {VERSION}")]
    Version(u32),
}

impl Shard {
    pub fn new(cluster: String, tasks: Vec<String>, due_ms: i64) -> Self {
        Self { sidecarless: MESSAGE_TYPE.into(), v: VERSION, cluster, tasks, due_ms }
    }

    /// The body of its message.
    pub fn into_message(self) -> String {
        // A struct of texts and numbers has no way to fail.
        serde_json::to_string(&self).unwrap_or_default()
    }

    pub fn parse(body: &str) -> Result<Self, ShardDecodeError> {
        let shard: Shard = serde_json::from_str(body)?;
        if shard.v == VERSION { Ok(shard) } else { Err(ShardDecodeError::Version(shard.v)) }
    }

    /// Whether it has waited for so long that its scrapes are no longer wanted.
    pub fn is_late(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.due_ms) > MAX_DELAY_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_comes_back_as_it_went() {
        let shard = Shard::new("shop".into(), vec!["5f0e".into()], 1_000);
        let message = shard.clone().into_message();
        assert_eq!(message, r#"{"sidecarless":"shard","v":1,"cluster":"shop","tasks":["5f0e"],"due_ms":1000}"#);
        assert_eq!(Shard::parse(&message).expect("it is ours"), shard);
        assert!(!shard.is_late(61_000));
        assert!(shard.is_late(61_001));
    }

    #[test]
    fn what_is_no_shard_of_this_version_says_so() {
        for (body, expected) in [
            ("{}", "no JSON of this function's making"),
            (r#"{"sidecarless":"shard","v":2,"cluster":"c","tasks":[],"due_ms":0}"#, "of version 2"),
        ] {
            let error = Shard::parse(body).expect_err("it is none").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
