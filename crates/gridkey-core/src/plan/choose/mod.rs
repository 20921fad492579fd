//! Choosing: which parts of what was decided are done in this run. After this nothing is added or replaced.

pub(crate) mod approval;
pub(crate) mod capacity;
pub(crate) mod order;
pub(crate) mod parts;
pub(crate) mod schedule;
