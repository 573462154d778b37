//! What comes in: which tasks there are, what they say of themselves, and what clients push. I/O only; what it means is
//! said in translate/.

pub mod discover;
mod inflate;
pub mod insights;
pub mod pages;
mod rate;
pub mod receive;
pub mod scrape;
pub mod targets;
