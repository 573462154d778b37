//! The modules that hold no I/O, for fuzzing: nouns and meaning.

#[path = "../src/model/mod.rs"]
pub mod model;
#[path = "../src/translate/mod.rs"]
pub mod translate;
