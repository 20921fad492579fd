//! The recipes of `docs/recipes.md`, run as they stand there, by the real process and the programs that they are for.
//!
//! `.ci/run` installs what they need into `target/recipes`.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it skips"
)]

mod aws;
mod bench;
mod gcloud;
mod kubectl;
mod page;
#[path = "../support/process.rs"]
mod process;
mod server;
mod stand_in;
mod vault;
