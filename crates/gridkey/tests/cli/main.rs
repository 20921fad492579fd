//! The real process, against an emulated SendGrid over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it ran"
)]

mod accounts;
mod answers;
#[path = "../scenarios/clock.rs"]
mod clock;
mod docs;
#[cfg(unix)]
mod files;
mod from_account;
mod habits;

mod input;
mod interruption;
mod lives;
mod narrow;
mod output;
mod planner;
#[path = "../support/process.rs"]
mod process;
mod quickstart;
mod review;
mod sharing;
mod slips;
mod summary;
mod support;
mod tutorial;
mod whois;
mod write_only;
