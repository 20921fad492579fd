//! The pipelines: the scripts against stand-ins of GitHub, GitLab and gridkey, and the form of everything that people copy.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it skipped"
)]

mod approval;
mod comments;
mod forge;
mod form;
mod install;
mod support;
mod whole_way;
