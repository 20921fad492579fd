//! One account at SendGrid, for the engine: the client, and on whose behalf it asks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::UnreadableReason;
use gridkey_core::{Access, KeyId, OnBehalfOf, Scope, Scopes};
use gridkey_engine::Secret;
use gridkey_engine::ports::{
    AccountReader, AccountWriter, CreateError, CreatedKey, Deleted, HeldKey, Listing, ReadError, WriteError,
};
use gridkey_sendgrid::{Behalf, Client, Error, KeyAccess, Kind, ScopeList};
use jiff::Timestamp;

/// An account at SendGrid, to be looked at. What has this alone changes nothing.
pub struct RemoteReader {
    client: Client,
    behalf: Behalf,
    /// Whether the credential is the one that only plans.
    only_plans: bool,
}

/// An account at SendGrid, to be changed.
pub struct RemoteWriter {
    reader: RemoteReader,
    deadline: Duration,
}

impl RemoteReader {
    pub fn new(client: Client, on_behalf_of: Option<&OnBehalfOf>) -> Self {
        let behalf = match on_behalf_of {
            None => Behalf::Own,
            Some(OnBehalfOf::Subuser(name)) => Behalf::Subuser(name.clone()),
            Some(OnBehalfOf::AccountId(id)) => Behalf::AccountId(id.clone()),
        };
        Self { client, behalf, only_plans: false }
    }

    /// The credential is not the managing key, so its own scopes say nothing of what apply can grant.
    #[must_use]
    pub fn only_plans(self) -> Self {
        Self { only_plans: true, ..self }
    }
}

impl RemoteWriter {
    /// No request takes longer than `deadline`.
    pub fn new(reader: RemoteReader, deadline: Duration) -> Self {
        Self { reader, deadline }
    }
}

fn read_error(error: Error) -> ReadError {
    let reason = match error.kind {
        Kind::Unauthorized if is_about_address(&error.message) => UnreadableReason::AddressNotListed,
        Kind::Unauthorized => UnreadableReason::Unauthorized,
        Kind::Forbidden | Kind::CapReached => UnreadableReason::Forbidden,
        Kind::DataResidency => UnreadableReason::DataResidency,
        Kind::BadRequest
        | Kind::NotFound
        | Kind::RateLimited
        | Kind::ServerError
        | Kind::Unintelligible
        | Kind::NoAnswer
        | Kind::NotSent => UnreadableReason::Unavailable,
    };
    ReadError { reason, message: error.message }
}

/// Whether a refusal is about where the request came from. SendGrid has no status of its own for that, and its words are
/// known from reports alone.
fn is_about_address(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("ip address") || message.contains("whitelist") || message.contains("allowlist")
}

fn write_error(error: Error) -> WriteError {
    match error.kind {
        Kind::NotFound => WriteError::NotFound,
        Kind::Unauthorized => WriteError::Unauthorized(error.message),
        Kind::Forbidden => WriteError::Forbidden(error.message),
        Kind::NotSent => WriteError::NotSent(error.message),
        kind if kind.is_definite() => WriteError::Refused(error.message),
        _ => WriteError::Unclear(error.message),
    }
}

fn create_error(error: Error) -> CreateError {
    let message = error.message;
    match error.kind {
        Kind::CapReached => CreateError::CapReached(message),
        Kind::Unauthorized => CreateError::Unauthorized(message),
        Kind::Forbidden => CreateError::Forbidden(message),
        Kind::NotSent => CreateError::NotSent(message),
        Kind::ServerError => CreateError::ServerError(message),
        kind if kind.is_definite() => CreateError::Refused(message),
        _ => CreateError::Unclear(message),
    }
}

fn to_scopes(scopes: BTreeSet<String>) -> BTreeSet<Scope> {
    scopes.into_iter().map(Scope::new).collect()
}

fn scope_list(scopes: &Scopes) -> ScopeList {
    ScopeList::new(scopes.iter().map(ToString::to_string)).expect("`Scopes` holds at least one scope")
}

#[async_trait]
impl AccountReader for RemoteReader {
    async fn list(&self) -> Result<Listing, ReadError> {
        let listed = self.client.list(&self.behalf).await.map_err(read_error)?;
        let keys: BTreeMap<_, _> =
            listed.value.into_iter().map(|key| (KeyId::new(key.id), key.name)).collect();
        Ok(Listing { at: listed.at, keys })
    }

    async fn held(&self, id: &KeyId) -> Result<Option<HeldKey>, ReadError> {
        let detail = self.client.get(&self.behalf, id.as_str()).await.map_err(read_error)?;
        Ok(detail.map(|detail| HeldKey {
            name: Some(detail.name).filter(|name| !name.is_empty()),
            scopes: to_scopes(detail.scopes),
        }))
    }

    async fn grantable(&self) -> Result<BTreeSet<Scope>, ReadError> {
        if self.only_plans {
            return Err(ReadError {
                reason: UnreadableReason::Forbidden,
                message: "this plan was made with `plan_api_key`, whose scopes are not the managing key's"
                    .into(),
            });
        }
        self.client.scopes(&self.behalf).await.map(to_scopes).map_err(read_error)
    }

    fn now(&self) -> Option<Timestamp> {
        self.client.now()
    }

    fn managing_key(&self) -> Option<KeyId> {
        self.client.own_id().map(KeyId::new)
    }

    fn only_plans(&self) -> bool {
        self.only_plans
    }
}

#[async_trait]
impl AccountReader for RemoteWriter {
    async fn list(&self) -> Result<Listing, ReadError> {
        self.reader.list().await
    }

    async fn held(&self, id: &KeyId) -> Result<Option<HeldKey>, ReadError> {
        self.reader.held(id).await
    }

    async fn grantable(&self) -> Result<BTreeSet<Scope>, ReadError> {
        self.reader.grantable().await
    }

    fn now(&self) -> Option<Timestamp> {
        self.reader.now()
    }

    fn managing_key(&self) -> Option<KeyId> {
        self.reader.managing_key()
    }

    fn only_plans(&self) -> bool {
        self.reader.only_plans
    }
}

#[async_trait]
impl AccountWriter for RemoteWriter {
    async fn create(&self, name: &str, access: &Access) -> Result<CreatedKey, CreateError> {
        let RemoteReader { client, behalf, only_plans: _ } = &self.reader;
        let access = match access {
            Access::Full => KeyAccess::Full,
            Access::Restricted(scopes) | Access::Billing(scopes) => KeyAccess::Scopes(scope_list(scopes)),
        };
        let created = client.create(behalf, name, &access).await.map_err(create_error)?;
        let (key, at) = (created.value, created.at);
        Ok(CreatedKey {
            id: KeyId::new(key.id),
            secret: Secret::new(key.secret),
            at,
            scopes: key.scopes.map(to_scopes),
        })
    }

    async fn rename(&self, id: &KeyId, name: &str) -> Result<Option<String>, WriteError> {
        let RemoteReader { client, behalf, only_plans: _ } = &self.reader;
        client.rename(behalf, id.as_str(), name).await.map_err(write_error)
    }

    async fn update(&self, id: &KeyId, name: &str, scopes: &Scopes) -> Result<(), WriteError> {
        let RemoteReader { client, behalf, only_plans: _ } = &self.reader;
        let scopes = scope_list(scopes);
        client.update(behalf, id.as_str(), name, &scopes).await.map_err(write_error)
    }

    async fn delete(&self, id: &KeyId) -> Result<Deleted, WriteError> {
        let RemoteReader { client, behalf, only_plans: _ } = &self.reader;
        let deleted = client.delete(behalf, id.as_str()).await.map_err(write_error)?;
        Ok(match deleted {
            gridkey_sendgrid::Deleted::Revoked => Deleted::Revoked,
            gridkey_sendgrid::Deleted::NotFound => Deleted::NotFound,
        })
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}
