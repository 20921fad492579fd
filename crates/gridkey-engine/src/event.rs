//! Events: what happened, as data. Views turn them into words.

use std::time::Duration;

use gridkey_core::hook::Hook;
use gridkey_core::plan::Action;
use gridkey_core::{Address, KeyId, Name, SinkLocation};
use serde::Serialize;

use crate::apply::LessThanFull;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// Another run holds the lock.
    WaitingForLock {
        account: Name,
        holder: String,
    },
    Observing {
        account: Name,
    },
    /// Reads may not show yet what an earlier run did.
    Settling {
        account: Name,
        remaining: Duration,
    },
    Started {
        account: Name,
        address: Address,
        action: Action,
    },
    Created {
        account: Name,
        address: Address,
        id: KeyId,
    },
    /// Nothing stands against writing to a sink, and nothing proves that it is allowed.
    Unproven {
        location: SinkLocation,
        why: String,
        /// How many more locations of the sink are like this one.
        others: usize,
    },
    /// SendGrid's answer to a creation was lost: it is being watched for.
    Watching {
        account: Name,
        address: Address,
        remaining: Duration,
    },
    Delivered {
        address: Address,
        id: KeyId,
        location: SinkLocation,
    },
    Recorded {
        account: Name,
        address: Address,
        id: KeyId,
    },
    Renamed {
        account: Name,
        address: Address,
        id: KeyId,
        name: String,
    },
    /// SendGrid holds another name than the one that was asked for: cut, or spelt otherwise.
    NameNotHeld {
        account: Name,
        address: Address,
        id: KeyId,
        asked: String,
        held: String,
    },
    /// A key that was to get Full Access got less.
    LessThanFull(LessThanFull),
    Updated {
        account: Name,
        address: Address,
        id: KeyId,
    },
    /// State owns a live key from now on.
    Adopted {
        account: Name,
        address: Address,
        id: KeyId,
    },
    /// State no longer owns the key, which stays as it is.
    Forgotten {
        account: Name,
        address: Address,
        id: KeyId,
    },
    /// State knows the key by another address.
    Moved {
        account: Name,
        from: Address,
        address: Address,
    },
    Revoked {
        account: Name,
        address: Address,
        id: KeyId,
    },
    /// A key is not revoked, as the one that takes its place under another name was not made.
    LeftForSuccessor {
        account: Name,
        address: Address,
        successor: Address,
    },
    Cleared {
        address: Address,
        location: SinkLocation,
    },
    /// The sink cannot remove the value, so it was left.
    NotCleared {
        address: Address,
        location: SinkLocation,
        reason: String,
    },
    /// What is to be done about a delivery is begun.
    HookStarted {
        account: Name,
        address: Address,
        hook: Hook,
    },
    /// It has ended well.
    HookEnded {
        account: Name,
        address: Address,
        hook: Hook,
    },
    /// It is not run, as things are only tried out.
    HookLeftOut {
        account: Name,
        address: Address,
        hook: Hook,
    },
    Done {
        account: Name,
        address: Address,
        action: Action,
    },
    Failed(Failure),
    /// Nothing more is done in this account.
    AccountStopped {
        account: Name,
        reason: String,
    },
    /// No new step is started; those under way are finished.
    Interrupted,
}

/// A change that was not carried out, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub account: Name,
    pub address: Address,
    pub action: Action,
    /// What failed and why; a lower-case fragment without secrets.
    pub message: String,
    /// What to do, or what the next run does.
    pub help: Option<String>,
}

/// Takes events as they happen.
pub trait Observer: Send + Sync {
    fn event(&self, event: Event);
}

/// Takes no notice.
pub struct Unobserved;

impl Observer for Unobserved {
    fn event(&self, _event: Event) {}
}
