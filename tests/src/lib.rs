//! What the whole-project tests share: a world that fails on purpose, and the checks that hold in it.

pub mod browser;
pub mod invariants;
pub mod plans;
pub mod world;
