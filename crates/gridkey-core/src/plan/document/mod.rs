//! The plan as a document: what views are drawn from and the executor walks.

pub mod change;
pub mod checked;
pub mod effect;
pub mod step;
