//! Planning: manifest, state and inventory in, a plan out.

mod account;
mod adopt;
mod applied;
mod assemble;
mod choose;
mod comparison;
mod decide;
pub mod document;
mod drift;
mod findings;
mod index;
mod input;
mod judge;
mod moves;
mod reached;
mod seed;
mod stages;

pub(crate) use account::overlap_of;
pub use adopt::adoptable;
pub use assemble::ApprovedPlan;
pub use choose::approval::{AlreadyResolved, Approval, PlanFileError, Refusal};
pub use comparison::compare;
pub use decide::scopes::gives_scopes;
pub use document::change::{
    AccountPlan, Action, Capacity, Cause, Change, ComputedFrom, FORMAT_VERSION, KeyValues, Note, Plan,
    PlanKind, Reason, RotationDates, plan_schema,
};
pub use document::checked::CheckedPlan;
pub use document::effect::{Effect, Revocation};
pub use document::step::{Adopt, Delete, DeleteKey, FinishPending, Mint, Order, Phase, Put, Step};
pub use drift::{as_applied, drift};
pub use input::{DEFAULT_READ_LAG, Due, Extent, Options, PlanInput, Requests, RetireRequest, Selection};
pub use judge::foreign::unknown_keys;
pub use judge::policy::broken_by_move;
pub use judge::reach::{reach, reach_of_states};
pub use judge::risk::Risk;
pub use moves::{Finished, WithMoves, finished, with_moves};
pub use seed::Seed;
pub use stages::{plan, plan_approved};

pub use crate::finding::{Allow, AllowError, Code, Finding, Severity};
pub use crate::inventory::may_be_full;
pub use crate::manifest::DEFAULT_OVERLAP;
pub use crate::state::{ABANDONED_KEPT, RevokeOld, Settings, UncertainKey};
pub use crate::text::pattern::matches_pattern;
