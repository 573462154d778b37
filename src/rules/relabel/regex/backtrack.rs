//! Matches by backtracking, with the groups of the match.
//!
//! A state is entered once for each position of the text, so that the number of steps is at most their product. The first match in
//! this order is the match of RE2 and Go.

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;

use crate::rules::relabel::backtracking::{Backtracking, Frame};
use crate::rules::relabel::work::{RuleLimit, Work};

/// Start and end of each group: two slots for each.
pub(super) type Slots = Vec<Option<usize>>;

/// Maximum product of states and positions: 8 MiB of memory, one bit for each. An expression that cuts a text after 64 characters has
/// 650 states, and so reads texts of up to 100 KB.
const MAX_VISITED: usize = 1 << 26;

/// Maximum number of alternatives that are to be tried later, 12 MiB.
const MAX_FRAMES: usize = 1 << 19;

/// Memory that is kept for the next match.
const KEPT_WORDS: usize = 1 << 15;

/// Bits that are cleared in one step.
const BITS_PER_STEP: usize = 1 << 9;

impl Backtracking {
    /// Returns whether an anchored NFA matches a text, and sets as many slots as there are.
    pub(super) fn is_match(
        &mut self,
        nfa: &NFA,
        text: &[u8],
        slots: &mut [Option<usize>],
        work: &mut Work,
    ) -> Result<bool, RuleLimit> {
        self.positions = text.len() + 1;
        let bits = nfa.states().len().saturating_mul(self.positions);
        if bits > MAX_VISITED {
            return Err(RuleLimit::Steps);
        }
        work.spend(bits / BITS_PER_STEP)?;
        self.visited.clear();
        self.visited.resize(bits.div_ceil(64), 0);
        self.frames.clear();
        self.frames.push(Frame::Enter { state: nfa.start_anchored(), at: 0 });
        let mut is_match = false;
        while let Some(frame) = self.frames.pop().filter(|_| !is_match) {
            match frame {
                Frame::Restore { slot, value } => set(slots, slot, value),
                Frame::Enter { state, at } => is_match = self.follow(nfa, text, (state, at), slots, work)?,
            }
        }
        self.visited.truncate(KEPT_WORDS);
        self.visited.shrink_to(KEPT_WORDS);
        self.frames.shrink_to(KEPT_WORDS);
        Ok(is_match)
    }

    /// Follows a path to its end. Returns whether that is a match.
    fn follow(
        &mut self,
        nfa: &NFA,
        text: &[u8],
        (mut state, mut at): (StateID, usize),
        slots: &mut [Option<usize>],
        work: &mut Work,
    ) -> Result<bool, RuleLimit> {
        while self.is_first_visit(state, at) {
            work.spend(1)?;
            let next = match nfa.state(state) {
                State::ByteRange { trans } => trans.matches(text, at).then_some(trans.next),
                State::Sparse(transitions) => transitions.matches(text, at),
                State::Dense(transitions) => transitions.matches(text, at),
                State::Look { look, next } => nfa.look_matcher().matches(*look, text, at).then_some(*next),
                State::Union { alternates } => {
                    work.spend(alternates.len())?;
                    let later = alternates.iter().skip(1).rev().map(|&state| Frame::Enter { state, at });
                    self.frames.extend(later);
                    alternates.first().copied()
                }
                State::BinaryUnion { alt1, alt2 } => {
                    self.frames.push(Frame::Enter { state: *alt2, at });
                    Some(*alt1)
                }
                State::Capture { next, slot, .. } => {
                    if let Some(&value) = slots.get(slot.as_usize()) {
                        self.frames.push(Frame::Restore { slot: slot.as_usize(), value });
                        set(slots, slot.as_usize(), Some(at));
                    }
                    Some(*next)
                }
                State::Fail => None,
                State::Match { .. } => return Ok(true),
            };
            let Some(next) = next else { return Ok(false) };
            if self.frames.len() > MAX_FRAMES {
                return Err(RuleLimit::Steps);
            }
            at += usize::from(!nfa.state(state).is_epsilon());
            state = next;
        }
        Ok(false)
    }

    fn is_first_visit(&mut self, state: StateID, at: usize) -> bool {
        let bit = state.as_usize() * self.positions + at;
        let Some(word) = self.visited.get_mut(bit / 64) else { return false };
        let mask = 1 << (bit % 64);
        let is_first = *word & mask == 0;
        *word |= mask;
        is_first
    }
}

fn set(slots: &mut [Option<usize>], slot: usize, value: Option<usize>) {
    if let Some(current) = slots.get_mut(slot) {
        *current = value;
    }
}
