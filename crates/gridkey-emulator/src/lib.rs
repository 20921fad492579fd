//! A local SendGrid that behaves as the real one is reported to. It depends on no other crate of gridkey, so
//! that a misread API cannot test as right.
//!
//! [`Model`] is the whole of it: requests and a time in, answers out, without a clock or a socket.
//! [`Server`] puts it behind HTTP on this machine.

mod data;
mod fault;
mod http;
mod model;
mod rate;
mod scopes;
mod server;
mod settings;
mod wire;

pub use data::{KeyView, Snapshot, SnapshotError};
pub use fault::{Fault, FaultRule, Operation};
pub use http::{Answer, Reply, Request};
pub use model::{LogEntry, Model, NewKey};
pub use rate::RateLimit;
pub use server::{Announcement, Server, ServerError, ServerSettings};
pub use settings::{EmptyScopes, Settings, UnknownSubuser};
