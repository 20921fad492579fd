//! Deciding: what is done for each key, were all of it chosen. Nothing here knows of selections, approvals or rules.

pub(crate) mod compare;
pub(crate) mod handover;
pub(crate) mod location;
pub(crate) mod mint;
pub(crate) mod recover;
pub(crate) mod remove;
pub(crate) mod scopes;
