//! Choosing: which of what was decided is done in this run.

pub(crate) mod approval;
pub(crate) mod schedule;
