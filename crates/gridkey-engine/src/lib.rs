//! The part of gridkey that acts: ports, refresh, apply and events, without knowing any service.
//!
//! Reading and writing are different traits, so planning only ever holds the reading half, and a dry run
//! means that nobody made a writer.

pub mod ports;
pub mod secret;

pub use secret::Secret;
