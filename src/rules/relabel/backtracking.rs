//! Memory of a match by backtracking.

use regex_automata::util::primitives::StateID;

/// What to do if the path so far does not match.
#[derive(Clone, Copy, Debug)]
pub(super) enum Frame {
    Enter { state: StateID, at: usize },
    Restore { slot: usize, value: Option<usize> },
}

/// Memory of a match, which later matches use again.
#[derive(Debug, Default)]
pub(super) struct Backtracking {
    pub(super) frames: Vec<Frame>,
    /// One bit for each state and position.
    pub(super) visited: Vec<u64>,
    /// Number of positions of the text.
    pub(super) positions: usize,
}
