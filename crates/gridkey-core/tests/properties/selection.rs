//! To come.
use crate::world::Kind;
pub const SELECTED: &[Kind] = &[Kind::Environments, Kind::Environments, Kind::Only, Kind::Destroy];
