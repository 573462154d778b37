//! The modules that hold no I/O, for fuzzing: nouns, meaning, and the front door.

#[path = "../src/model/mod.rs"]
pub mod model;
#[path = "../src/translate/mod.rs"]
pub mod translate;

#[path = "../src/config/mod.rs"]
pub mod config;
#[path = "../src/invocation/mod.rs"]
pub mod invocation;

#[path = "../src/collect"]
pub mod collect {
    mod inflate;
    pub mod receive;
}
