//! The part of gridkey that decides: it touches nothing, so that every decision can be tested as a function.
//!
//! Five nouns run through it: [`manifest::Manifest`] (what people want), [`inventory::Inventory`] (what was
//! observed), [`state::AccountState`] (what gridkey owns, and what it has begun), [`plan::Plan`] (what is
//! decided) and events (what happened, in the engine). [`plan::plan`] takes the first three, a time and a
//! seed, and returns the fourth.

pub mod access;
pub mod address;
pub mod audit;
pub mod catalogue;
pub mod credential;
pub mod finding;
pub mod hook;
pub mod identity;
pub mod inventory;
pub mod key;
pub mod manifest;
pub mod manifest_from_account;
pub mod name;
pub mod plan;
pub mod sink;
pub mod state;
pub mod text;
mod time;
pub mod whois;

pub use access::{Access, AccessKind, Scope, Scopes};
pub use address::{Address, AddressError, AddressPattern};
pub use identity::{AccountIdentity, OnBehalfOf, Region};
pub use key::{KeyId, Marker};
pub use name::Name;
pub use sink::{Known, LocationId, Receipt, SinkKind, SinkLocation, SinkSettings};
