//! Judging: what stands against what was chosen. It looks at values, causes and effects, after the last choice, once.

pub(crate) mod account;
pub(crate) mod capacity;
pub(crate) mod foreign;
pub(crate) mod key;
pub(crate) mod limits;
pub(crate) mod lint;
pub(crate) mod policy;
pub(crate) mod project;
pub(crate) mod protection;
pub(crate) mod reach;
pub(crate) mod risk;
