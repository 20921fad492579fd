//! Deciding: what may be done for each key, in parts. Nothing here knows of approvals or rules.

pub(crate) mod compare;
pub(crate) mod decision;
pub(crate) mod handover;
pub(crate) mod hooks;
pub(crate) mod key;
pub(crate) mod location;
pub(crate) mod mint;
pub(crate) mod recover;
pub(crate) mod remove;
pub(crate) mod retire;
pub(crate) mod schedule;
pub(crate) mod scopes;
