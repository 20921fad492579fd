//! What the engine needs of the world: an account at SendGrid, sinks, a store, time.

pub mod account;
pub mod hook;
pub mod sink;
pub mod store;
pub mod time;

pub use account::{
    AccountReader, AccountWriter, CreateError, CreatedKey, Deleted, HeldKey, Listing, ReadError, WriteError,
};
pub use hook::{HookError, HookRunner};
pub use sink::{PutError, Readiness, SinkError, SinkFault, SinkReader, SinkWriter};
pub use store::{
    Lock, LockError, LockHolder, StateReader, StateWriter, StoreError, StoreWriteError, Stored, Version,
};
pub use time::Timer;

/// What happened and what to do about it, where only one text fits.
fn in_one_text(message: String, help: Option<String>) -> String {
    match help {
        Some(help) => format!("{message}; {help}"),
        None => message,
    }
}
