//! `sidecarless redrive`: moves readable messages from the dead-letter queue back to the spool.

use std::collections::HashSet;

use sidecarless::aws::clients;
use sidecarless::deliver::redrive::{DeadLetterQueue, RedriveError};
use sidecarless::model::failed_event::FailedEvent;
use sidecarless::model::shortened::shortened;
use sidecarless::model::spool::{SpoolDecodeError, SpoolMessage};

use crate::error::CommandError;
use crate::function;
use crate::output::CommandOutput;

/// Whether readable messages are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedriveMode {
    Move,
    /// Messages are only listed. SQS hides the listed messages for a minute.
    DryRun,
}

/// Number of processed messages, and a line for each.
#[derive(Debug, Default)]
struct Progress {
    text: String,
    readable: u64,
    unreadable: u64,
}

/// Processes the dead-letter queue of the spool. The result is incomplete if unreadable messages remain.
pub(crate) async fn run(mode: RedriveMode, variables: Vec<(String, String)>) -> Result<CommandOutput, CommandError> {
    let http = function::http()?;
    let settings = function::settings(variables, &http).await?;
    let spool = settings.spool_queue.as_ref().ok_or(CommandError::NoSpoolQueue)?;
    let sqs = clients::sqs(&clients::aws(&http).await);
    let mut progress = Progress::default();
    let result = match DeadLetterQueue::of_spool(sqs, spool).await {
        Ok(queue) => progress.process(&queue, mode).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => Ok(CommandOutput::new(progress.summary(mode), progress.unreadable == 0)),
        Err(error) => Err(CommandError::Redrive { moved: progress.text, error }),
    }
}

impl Progress {
    async fn process(&mut self, queue: &DeadLetterQueue, mode: RedriveMode) -> Result<(), RedriveError> {
        let mut seen = HashSet::new();
        loop {
            let messages = queue.receive().await?.into_iter();
            let messages: Vec<_> = messages.filter(|message| seen.insert(message.id.clone())).collect();
            if messages.is_empty() {
                return Ok(());
            }
            for message in &messages {
                let description = describe(&message.body);
                if description.is_ok() && mode == RedriveMode::Move {
                    queue.redrive(message).await?;
                }
                *if description.is_ok() { &mut self.readable } else { &mut self.unreadable } += 1;
                self.text.push_str(&format!("{}  {}\n", message.id, shown(&description)));
            }
        }
    }

    fn summary(&self, mode: RedriveMode) -> String {
        let Self { text, readable, unreadable } = self;
        match mode {
            RedriveMode::Move => {
                format!("{text}moved to the spool: {readable}, unreadable and not moved: {unreadable}\n")
            }
            RedriveMode::DryRun => format!("{text}readable: {readable}, unreadable: {unreadable}\n"),
        }
    }
}

/// Returns a description for the terminal. It contains names of items and errors, which are from clients and servers.
fn shown(description: &Result<String, SpoolDecodeError>) -> String {
    description.as_ref().map_or_else(shortened, shortened)
}

/// Describes spooled items, or an event that failed.
fn describe(body: &str) -> Result<String, SpoolDecodeError> {
    let spooled = match (SpoolMessage::parse(body), FailedEvent::parse(body)) {
        (Err(_), Some(event)) => return Ok(event.to_string()),
        (spooled, _) => spooled?,
    };
    let since = jiff::Timestamp::from_millisecond(spooled.first_attempt_ms).unwrap_or_default();
    let (items, names) = (spooled.payload.items(), spooled.payload.item_names(3).join(" "));
    Ok(format!("{items} items since {since:.0}  {names}  {}", spooled.error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_messages_are_shown_without_secrets() {
        let error = r"\u001b[2Jmoved to https://user:secret@a.example/b?token=secret";
        let failed = format!(
            r#"{{"timestamp":"2026-11-24T01:00:00Z","requestContext":{{"condition":"RetriesExhausted","approximateInvokeCount":3}},
            "requestPayload":{{}},"responsePayload":{{"errorMessage":"{error}"}}}}"#
        );
        let unreadable = format!(r#"{{"sidecarless":"spool","v":"{error}"}}"#);
        for body in [failed, unreadable] {
            let text = shown(&describe(&body));
            assert!(text.contains("moved to https://...@a.example/b?..."), "{text}");
            assert!(!text.contains("secret") && !text.contains('\u{1b}'), "{text}");
        }
    }
}
