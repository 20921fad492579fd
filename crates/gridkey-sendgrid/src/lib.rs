//! A typed client of SendGrid's API key endpoints, usable without the rest of gridkey.
//!
//! Requests are built ([`request`]) and answers read ([`answer`]) without I/O; [`Client`] carries them. An
//! error says whether the request surely had no effect: a POST is never repeated without that certainty.

pub mod answer;
mod client;
mod error;
mod pace;
pub mod request;
mod time;

pub use answer::{Created, Deleted, KeyDetail, KeySummary, Reported, Subuser};
pub use client::{BaseUrl, BaseUrlError, Client, Limits};
pub use error::{Error, Kind};
pub use pace::{WaitObserver, WaitReason};
pub use request::{Behalf, BehalfError, KeyAccess, Operation, ScopeList};
pub use time::{Clock, SystemClock};
