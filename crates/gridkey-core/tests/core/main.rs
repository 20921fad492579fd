//! Tests of the core through its public interface: one binary, as linking is what takes the time.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests read files and stop at the first surprise"
)]

mod bounds;
mod corpus;
mod folder;
mod format;
mod manifest;
mod pages;
mod policy;
mod schema;
mod secrets;
mod transition;
