//! The plan as a document: what views are drawn from and the executor walks.

pub mod change;
pub mod step;
