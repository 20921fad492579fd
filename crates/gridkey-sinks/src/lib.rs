//! Where secrets are delivered: one adapter per file, heavy ones behind features.
//!
//! The crate is apart from the engine because clients of clouds and clusters are heavy, and nothing else
//! needs them. A secret is in memory and in its target, and nowhere else: no error, log or argument
//! carries one.

mod adapter;
#[cfg(feature = "age")]
mod age;
#[cfg(feature = "aws")]
mod aws;
mod azure;
mod command;
pub mod credential;
mod digest;
mod discover;
mod file;
mod format;
#[cfg(feature = "gcp")]
mod gcp;
mod github;
mod gitlab;
mod hooks;
mod http;
mod kept;
mod kubernetes;
mod local;
mod machine;
mod mention;
mod place;
mod scan;
mod services;
mod sinks;
mod sops;
mod stop;
mod vault;
mod walk;

pub use discover::{Discovery, Elsewhere, FileKind, discover};
pub use hooks::Hooks;
pub use mention::{Mention, mentions};
pub use scan::Scan;
pub use services::{feature, missing_kinds, supports};
pub use sinks::Sinks;
