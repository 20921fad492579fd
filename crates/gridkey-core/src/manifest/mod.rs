//! The manifest: which keys should exist, parsed, merged, resolved and checked.

mod bounds;
mod check;
mod document;
mod load;
pub mod model;
pub mod policy;
mod problem;
mod read;
mod resolve;
mod schema;

pub use crate::credential::Credential;
pub use load::{Loaded, LoadedPolicy, SourceFile, load, load_policy};
pub use model::*;
pub use policy::*;
pub use schema::{manifest_schema, policy_schema};

pub use crate::text::source::{Position, SourceDigest};
