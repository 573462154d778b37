//! Output of a command.

/// Format of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    Table,
    Json,
}

/// Text for standard output, and whether it is complete.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) text: String,
    pub(crate) is_complete: bool,
}

impl CommandOutput {
    pub(crate) fn complete(text: String) -> Self {
        Self { text, is_complete: true }
    }

    pub(crate) fn new(text: String, is_complete: bool) -> Self {
        Self { text, is_complete }
    }
}
