//! To come.
use crate::world::Kind;
pub const CHOSEN: &[Kind] = &[Kind::DueExclude, Kind::DueOnly];
