//! One account at SendGrid, as the engine sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::UnreadableReason;
use gridkey_core::{Access, KeyId, Scope, Scopes};
use jiff::Timestamp;

use crate::secret::Secret;

/// Reads one account. All that planning needs.
#[async_trait]
pub trait AccountReader: Send + Sync {
    /// The live keys. The answer may trail recent writes.
    async fn list(&self) -> Result<Listing, ReadError>;

    /// What SendGrid holds of a key; `None` where it knows no such key, which may trail a recent creation.
    async fn held(&self, id: &KeyId) -> Result<Option<HeldKey>, ReadError>;

    /// The scopes that the managing key can give to keys of this account.
    async fn grantable(&self) -> Result<BTreeSet<Scope>, ReadError>;

    /// SendGrid's clock now: what its last answer said, and what has passed since. `None` before the first answer.
    ///
    /// It may be late where it is not sure, so that what it is counted from lasts longer, and is never early.
    fn now(&self) -> Option<Timestamp>;

    /// The id of the key that these requests are made with, where its format tells.
    fn managing_key(&self) -> Option<KeyId>;

    /// Whether these requests are made with a key that only reads, and that is not the managing key.
    fn only_plans(&self) -> bool;
}

/// Changes one account.
///
/// *Guarantees*: an error that is not unclear means that the request had no effect and never will.
/// *Caveats*: an unclear one may have taken effect, or take it later.
#[async_trait]
pub trait AccountWriter: AccountReader {
    /// Makes a key. Never repeated by the adapter unless SendGrid surely did nothing.
    async fn create(&self, name: &str, access: &Access) -> Result<CreatedKey, CreateError>;

    /// Gives a key another name. Returns the name that the answer says SendGrid holds, where it says so: it may have
    /// cut it, or spell it otherwise.
    async fn rename(&self, id: &KeyId, name: &str) -> Result<Option<String>, WriteError>;

    /// Replaces name and scopes. SendGrid's answer does not show the scopes: read them back.
    async fn update(&self, id: &KeyId, name: &str, scopes: &Scopes) -> Result<(), WriteError>;

    async fn delete(&self, id: &KeyId) -> Result<Deleted, WriteError>;

    /// The longest that a request of this writer can be under way. A runner starts an effect only while
    /// its lease has more left than this.
    fn deadline(&self) -> Duration;
}

/// The live keys of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// SendGrid's clock, from the `Date` header.
    pub at: Timestamp,
    /// Id and name.
    pub keys: BTreeMap<KeyId, String>,
}

/// What SendGrid holds of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldKey {
    /// `None` where it does not say.
    pub name: Option<String>,
    /// With those SendGrid adds by itself.
    pub scopes: BTreeSet<Scope>,
}

/// A key that was just made; the only time its secret is shown.
#[derive(Debug)]
pub struct CreatedKey {
    pub id: KeyId,
    pub secret: Secret,
    /// SendGrid's clock, from the `Date` header.
    pub at: Timestamp,
    /// The scopes SendGrid says it gave; `None` where it does not say.
    pub scopes: Option<BTreeSet<Scope>>,
}

/// What became of a DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// 204: it is gone.
    Revoked,
    /// 404: gone, or so new that the answering replica has not heard of it.
    NotFound,
}

/// A read that gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ReadError {
    pub reason: UnreadableReason,
    /// Lower-case fragment, without secrets.
    pub message: String,
}

/// A write that was not confirmed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The managing key is no longer let in; nothing happened.
    #[error("the managing key was refused: {0}")]
    Unauthorized(String),
    /// The managing key may not do that; nothing happened.
    #[error("SendGrid refused: {0}")]
    Forbidden(String),
    /// SendGrid refused for another reason, and nothing happened.
    #[error("SendGrid refused: {0}")]
    Refused(String),
    /// The request never left this machine.
    #[error("the request was not sent: {0}")]
    NotSent(String),
    /// There is no such key, or none yet.
    #[error("SendGrid knows no such key")]
    NotFound,
    /// No answer that tells.
    #[error("the outcome is unclear: {0}")]
    Unclear(String),
}

/// A creation that gave no key.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CreateError {
    /// The account is full; surely nothing happened.
    #[error("the account is full: {0}")]
    CapReached(String),
    /// The managing key is no longer let in; surely nothing happened.
    #[error("the managing key was refused: {0}")]
    Unauthorized(String),
    /// The managing key may not do that; surely nothing happened.
    #[error("SendGrid refused: {0}")]
    Forbidden(String),
    /// SendGrid refused for another reason; surely nothing happened.
    #[error("SendGrid refused: {0}")]
    Refused(String),
    /// The request never left this machine.
    #[error("the request was not sent: {0}")]
    NotSent(String),
    /// SendGrid answered with a server error. It does so for scopes it does not grant, too.
    #[error("SendGrid failed: {0}")]
    ServerError(String),
    /// No answer that tells.
    #[error("SendGrid's answer was lost: {0}")]
    Unclear(String),
}

const VALID_KEY: &str = "give a managing key that is valid, and run again";
const MIGHTIER_KEY: &str = "SendGrid does not let the managing key do that: give it Full Access, or the scopes that start with `api_keys` \
                            and those that its keys get, and run again";
const IN_ITS_WORDS: &str = "nothing happened; put right what SendGrid's words are about, and run again";
const REACH: &str = "nothing happened; run again once this machine reaches SendGrid";

impl WriteError {
    /// Whether it may have taken effect, or take it later.
    pub fn is_unclear(&self) -> bool {
        matches!(self, Self::Unclear(_))
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unauthorized(_) => VALID_KEY,
            Self::Forbidden(_) => MIGHTIER_KEY,
            Self::Refused(_) => IN_ITS_WORDS,
            Self::NotSent(_) => REACH,
            Self::NotFound => {
                "it may have been revoked just now; `gridkey plan` shows what becomes of its address"
            }
            Self::Unclear(_) => "the next run looks again",
        }
    }
}

impl CreateError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::CapReached(_) => "others filled it since it was looked at; free a slot and run again",
            Self::Unauthorized(_) => VALID_KEY,
            Self::Forbidden(_) => MIGHTIER_KEY,
            Self::Refused(_) => IN_ITS_WORDS,
            Self::NotSent(_) => REACH,
            Self::ServerError(_) => {
                "SendGrid answers with a server error where the managing key lacks a scope that it should grant; \
                 otherwise run again later"
            }
            Self::Unclear(_) => {
                "no key came of it that is still live; run again once the connection to SendGrid holds"
            }
        }
    }
}
