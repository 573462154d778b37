//! Shards: SQS messages with up to 100 tasks of one cluster to scrape.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Value of the key `sidecarless` in shard messages.
pub const MESSAGE_TYPE: &str = "shard";

/// Version of the format. No other version is read, because a shard is used for a minute only.
const VERSION: u32 = 1;

/// Time until a shard expires. After that, the shards of the next scheduled run have been sent.
const MAX_DELAY_MS: i64 = 60_000;

/// A shard message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    sidecarless: String,
    v: u32,
    /// Name or ARN.
    pub cluster: String,
    /// ARNs or ids, at most 100, the limit of one DescribeTasks call.
    pub tasks: Vec<String>,
    /// Time of the scrape in milliseconds since the epoch.
    pub due_ms: i64,
}

/// Error for a message that is not a shard of this version.
#[derive(Debug, Error)]
pub enum ShardDecodeError {
    #[error("invalid shard message: {0}")]
    Json(#[from] serde_json::Error),
    #[error("unsupported version {0} of a shard message: this function reads version {VERSION}")]
    Version(u32),
}

impl Shard {
    pub fn new(cluster: String, tasks: Vec<String>, due_ms: i64) -> Self {
        Self { sidecarless: MESSAGE_TYPE.into(), v: VERSION, cluster, tasks, due_ms }
    }

    /// Returns the body of the message.
    pub fn into_message(self) -> String {
        // Serialization of strings and numbers cannot fail.
        serde_json::to_string(&self).unwrap_or_default()
    }

    pub fn parse(body: &str) -> Result<Self, ShardDecodeError> {
        let shard: Shard = serde_json::from_str(body)?;
        if shard.v == VERSION { Ok(shard) } else { Err(ShardDecodeError::Version(shard.v)) }
    }

    /// Returns whether the shard has expired.
    pub fn is_late(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.due_ms) > MAX_DELAY_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_round_trip_is_lossless() {
        let shard = Shard::new("shop".into(), vec!["5f0e".into()], 1_000);
        let message = shard.clone().into_message();
        assert_eq!(message, r#"{"sidecarless":"shard","v":1,"cluster":"shop","tasks":["5f0e"],"due_ms":1000}"#);
        assert_eq!(Shard::parse(&message).expect("valid"), shard);
        assert!(!shard.is_late(61_000));
        assert!(shard.is_late(61_001));
    }

    #[test]
    fn invalid_shard_is_an_error() {
        for (body, expected) in [
            ("{}", "invalid shard message"),
            (r#"{"sidecarless":"shard","v":2,"cluster":"c","tasks":[],"due_ms":0}"#, "unsupported version 2"),
        ] {
            let error = Shard::parse(body).expect_err("invalid").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
