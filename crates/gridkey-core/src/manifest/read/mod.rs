//! Reading: bytes become trees in which every value has its place, and the trees of a folder become one.

pub(crate) mod merge;
pub(crate) mod node;
pub(crate) mod yaml;
