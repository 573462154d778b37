pub mod model;
pub mod translate;
