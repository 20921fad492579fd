//! The account that there is no way to: whatever is asked of it is refused, and nothing is sent.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::UnreadableReason;
use gridkey_core::{Access, KeyId, Scope, Scopes};
use jiff::Timestamp;

use crate::ports::{
    AccountReader, AccountWriter, CreateError, CreatedKey, Deleted, HeldKey, Listing, ReadError, WriteError,
};

/// Stands in for an account that the manifest does not name.
pub(super) struct UnreachableAccount;

const REASON: &str = "the manifest does not have this account, so it is not talked to";

fn unreadable() -> ReadError {
    ReadError { reason: UnreadableReason::Credential, message: REASON.to_string() }
}

fn refused() -> WriteError {
    WriteError::Refused(REASON.to_string())
}

#[async_trait]
impl AccountReader for UnreachableAccount {
    async fn list(&self) -> Result<Listing, ReadError> {
        Err(unreadable())
    }

    async fn held(&self, _id: &KeyId) -> Result<Option<HeldKey>, ReadError> {
        Err(unreadable())
    }

    async fn grantable(&self) -> Result<BTreeSet<Scope>, ReadError> {
        Err(unreadable())
    }

    fn now(&self) -> Option<Timestamp> {
        None
    }

    fn managing_key(&self) -> Option<KeyId> {
        None
    }

    fn only_plans(&self) -> bool {
        false
    }
}

#[async_trait]
impl AccountWriter for UnreachableAccount {
    async fn create(&self, _name: &str, _access: &Access) -> Result<CreatedKey, CreateError> {
        Err(CreateError::Refused(REASON.to_string()))
    }

    async fn rename(&self, _id: &KeyId, _name: &str) -> Result<Option<String>, WriteError> {
        Err(refused())
    }

    async fn update(&self, _id: &KeyId, _name: &str, _scopes: &Scopes) -> Result<(), WriteError> {
        Err(refused())
    }

    async fn delete(&self, _id: &KeyId) -> Result<Deleted, WriteError> {
        Err(refused())
    }

    fn deadline(&self) -> Duration {
        Duration::ZERO
    }
}
