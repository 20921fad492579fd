//! Judging: what stands against a plan, looked at in the changes that were chosen.

pub(crate) mod account;
pub(crate) mod capacity;
pub(crate) mod limits;
pub(crate) mod lint;
pub(crate) mod policy;
pub(crate) mod project;
pub(crate) mod reach;
pub(crate) mod risk;

pub(crate) use account::{is_right_account, unreadable};
pub(crate) use limits::changes;
pub(crate) use lint::lints;
pub(crate) use policy::{foreign, full_access, policy, vanished};
pub(crate) use project::project;
