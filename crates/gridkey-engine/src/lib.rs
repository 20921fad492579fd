//! The part of gridkey that acts: ports, refresh, apply and events, without knowing any service.
//!
//! Reading and writing are different traits, so planning only ever holds the reading half, and a dry run
//! means that no writer was made.

pub mod apply;
pub mod concurrency;
pub mod event;
pub mod lookup;
pub mod ports;
pub mod refresh;
pub mod secret;
pub mod session;

pub use apply::{Apply, ApplyOptions, Cancel, LessThanFull, Outcome, apply};
pub use concurrency::Concurrency;
pub use event::{Event, Failure, Observer, Unobserved};
pub use lookup::{Lookup, lookup};
pub use refresh::{Depth, Readers, Refresh, Settle, refresh};
pub use secret::Secret;
pub use session::{LockedAccount, Session, SessionError};
