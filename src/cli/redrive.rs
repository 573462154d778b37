//! `sidecarless redrive`: what lies in the dead-letter queue goes back to the spool, but for what nobody can read.

use std::collections::HashSet;
use std::process::ExitCode;

use crate::aws::clients;
use crate::deliver::redrive::{DeadLetterMessage, DeadLetterQueue};
use crate::model::spool::SpoolMessage;
use crate::settings::Settings;

/// What is done with messages that can be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RedriveMode {
    Move,
    /// Only said; the messages are out of sight for a minute.
    DryRun,
}

/// Goes through the dead-letter queue of the spool. The exit code is 1 when messages are left that cannot be read.
pub(super) async fn run(what: RedriveMode, settings: &Settings) -> Result<(String, ExitCode), String> {
    let spool = settings.spool_queue.as_ref().ok_or("SIDECARLESS_SPOOL_QUEUE_URL is not set")?;
    let sqs = clients::sqs(&clients::aws().await);
    let letters = DeadLetterQueue::of_spool(sqs, spool).await.map_err(|error| error.to_string())?;
    let (mut text, mut seen, mut left) = (String::new(), HashSet::new(), 0_u64);
    let mut readable = 0_u64;
    loop {
        let next = letters.receive().await.map_err(|error| format!("{text}{error}"))?;
        let next: Vec<_> = next.into_iter().filter(|letter| seen.insert(letter.id.clone())).collect();
        if next.is_empty() {
            break;
        }
        for letter in &next {
            match describe_message(letter) {
                Ok(description) => {
                    if what == RedriveMode::Move {
                        letters.redrive(letter).await.map_err(|error| format!("{text}{error}"))?;
                    }
                    readable += 1;
                    text.push_str(&description);
                }
                Err(description) => {
                    left += 1;
                    text.push_str(&description);
                }
            }
        }
    }
    let done = if what == RedriveMode::Move { "went back to the spool" } else { "can go back to the spool" };
    text.push_str(&format!("{readable} {done}, {left} cannot be read and stay\n"));
    Ok((text, if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

/// A line about a message; an error says why it cannot be delivered.
fn describe_message(letter: &DeadLetterMessage) -> Result<String, String> {
    match SpoolMessage::parse(&letter.body) {
        Ok(spooled) => {
            let since = jiff::Timestamp::from_millisecond(spooled.first_attempt_ms).unwrap_or_default();
            let (items, names) = (spooled.payload.items(), spooled.payload.item_names(3).join(" "));
            Ok(format!("{}  {items} items since {since:.0}  {names}  {}\n", letter.id, spooled.error))
        }
        Err(unreadable) => Err(format!("{}  {unreadable}\n", letter.id)),
    }
}
