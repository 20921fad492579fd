//! State: what gridkey owns in one account, and how that changes.

mod document;
pub mod transition;

pub use document::{
    ABANDONED_KEPT, AbandonedMarker, AccountState, Born, Delivery, FORMAT_VERSION, OwnedKey, PendingKey,
    PendingPhase, Purpose, RetiringKey, RetiringLocation, RetiringReason, RevokeOld, SecretStatus, Settings,
    StateError, UncertainKey,
};
