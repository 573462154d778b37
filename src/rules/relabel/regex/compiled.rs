//! A compiled expression: a lazy DFA, and an NFA for groups and for what takes the DFA too many states.
//!
//! The engine `meta` of the crate decides by itself how it matches. One byte then takes from one step to thousands of them, and an
//! expression with a thousand groups takes a gigabyte when it matches. Here each step is counted before it is taken.

use std::fmt;
use std::sync::Arc;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{BuildError, Compiler, NFA};
use regex_automata::util::pool::Pool;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;

use super::backtrack::Slots;
use super::{Expressions, MAX_COMPILED_TOTAL};
use crate::rules::InvalidValue;
use crate::rules::relabel::work::{RuleLimit, Work};

/// Memory of one compiled expression: a thousand repetitions of a letter in any case take about 100 KB.
const MAX_COMPILED: usize = 1 << 20;

/// Memory in which the states of one expression are kept, so that a byte costs one step. They are built again if it is full.
const STATES: usize = 64 << 10;

/// The same if there are many expressions.
const STATES_OF_MANY: usize = 16 << 10;

/// Number of expressions with more memory for states.
const MANY: usize = 64;

/// Number of times that the states are built again before it matters how many bytes are read with one state, and this number: the
/// values of the engine `meta`.
const MIN_REBUILDS: usize = 3;
const MIN_BYTES_PER_STATE: usize = 10;

/// States of the NFA for each byte that must be read with one state of the DFA, which takes as much time as they do. For each of
/// them, a byte counts as one step more.
const STATES_PER_BYTE: usize = 256;

type States = Pool<Cache, Box<dyn Fn() -> Cache + Send + Sync>>;

/// A compiled expression.
pub(super) struct Compiled {
    nfa: NFA,
    dfa: DFA,
    states: States,
}

/// Without thousands of states.
impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("states", &self.nfa.states().len()).finish_non_exhaustive()
    }
}

impl Compiled {
    pub(super) fn new(expression: &Hir, expressions: &mut Expressions) -> Result<Arc<Self>, InvalidValue> {
        let limit = MAX_COMPILED.min(expressions.memory_left);
        let nfa = Compiler::new().configure(NFA::config().nfa_size_limit(Some(limit))).build_from_hir(expression);
        let nfa = nfa.map_err(|error| too_large(&error))?;
        let states = if expressions.compiled < MANY { STATES } else { STATES_OF_MANY };
        let bytes_per_state = MIN_BYTES_PER_STATE.max(nfa.states().len() / STATES_PER_BYTE);
        let config = DFA::config()
            .cache_capacity(states)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(MIN_REBUILDS))
            .minimum_bytes_per_state(Some(bytes_per_state));
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa.clone());
        let dfa = dfa.map_err(|_| InvalidValue::new("the expression cannot be compiled: use fewer classes"))?;
        expressions.compiled += 1;
        expressions.memory_left = expressions.memory_left.saturating_sub(nfa.memory_usage());
        let of_states = dfa.clone();
        let states = Pool::new(Box::new(move || of_states.create_cache()) as Box<dyn Fn() -> Cache + Send + Sync>);
        Ok(Arc::new(Self { nfa, dfa, states }))
    }

    /// Returns whether the expression, which is anchored at both ends, matches a text.
    pub(super) fn is_match(&self, text: &str, work: &mut Work) -> Result<bool, RuleLimit> {
        work.spend(text.len() * (1 + self.nfa.states().len() / STATES_PER_BYTE))?;
        let input = Input::new(text).anchored(Anchored::Yes);
        match self.dfa.try_search_fwd(&mut self.states.get(), &input) {
            Ok(found) => Ok(found.is_some()),
            // The states are built more often than they are used.
            Err(_) => self.backtrack(text, &mut [], work),
        }
    }

    /// Finds the start and end of each group.
    pub(super) fn find(&self, text: &str, work: &mut Work) -> Result<Option<Slots>, RuleLimit> {
        if !self.is_match(text, work)? {
            return Ok(None);
        }
        let mut slots = vec![None; self.nfa.group_info().slot_len()];
        work.spend(slots.len())?;
        let is_match = self.backtrack(text, &mut slots, work)?;
        Ok(is_match.then_some(slots))
    }

    fn backtrack(&self, text: &str, slots: &mut [Option<usize>], work: &mut Work) -> Result<bool, RuleLimit> {
        let mut backtracking = std::mem::take(&mut work.backtracking);
        let result = backtracking.is_match(&self.nfa, text.as_bytes(), slots, work);
        work.backtracking = backtracking;
        result
    }
}

fn too_large(error: &BuildError) -> InvalidValue {
    let limits = format!(
        "at most {} KiB for an expression and {} KiB for all of them",
        MAX_COMPILED >> 10,
        MAX_COMPILED_TOTAL >> 10
    );
    let reason = if error.size_limit().is_some() { "takes too much memory" } else { "cannot be compiled" };
    InvalidValue::new(format!("the expression {reason}: use fewer repetitions and classes ({limits})"))
}
