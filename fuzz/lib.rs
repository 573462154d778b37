//! The modules without I/O, for fuzzing.

#![allow(dead_code, reason = "some items are used only by the modules with I/O")]

#[path = "../src/lambda/mod.rs"]
pub mod lambda;
#[path = "../src/model/mod.rs"]
pub mod model;
#[path = "../src/receiver/mod.rs"]
pub mod receiver;
#[path = "../src/rules/mod.rs"]
pub mod rules;
#[path = "../src/settings/mod.rs"]
pub mod settings;
#[path = "../src/translate/mod.rs"]
pub mod translate;
