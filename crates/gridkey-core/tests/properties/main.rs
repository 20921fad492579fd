//! Properties of plans over random worlds, each with an oracle of its own that is too simple to share the
//! planner's mistakes.
//!
//! `GRIDKEY_CASES` says over how many worlds each is checked; `GRIDKEY_SEED` shows the world of one seed and what
//! a property says about it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "helpers of tests read the environment, say what they saw, and stop at the first surprise"
)]

mod approval;
mod cost;
mod determinism;
mod due;
mod effect;
mod harness;
mod outage;
mod policy;
mod protection;
mod selection;
mod shown;
mod told;
mod world;
