//! AWS Secrets Manager and the Parameter Store of AWS Systems Manager: what both have in common.
//!
//! Requests are signed here and sent by the client that all sinks share. Of the vendor's crates only those are used that find
//! credentials and that sign: the clients of single services cost more to build than all else.

mod client;
mod connector;
mod document;
mod login;
mod said;
mod secrets_manager;
mod ssm;
mod token;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gridkey_core::sink::AwsAssumeRoleSettings;
use tokio::sync::Mutex as AsyncMutex;

pub(crate) use secrets_manager::SecretsManager;
pub(crate) use ssm::Ssm;

use login::Login;

/// The tag by which gridkey knows what it made.
const MANAGED_BY: (&str, &str) = ("managed-by", "gridkey");

/// What is kept between calls.
#[derive(Default)]
pub(crate) struct Aws {
    logins: Mutex<BTreeMap<Access, Arc<Login>>>,
    /// Parameters are written one at a time for each account and region, as AWS refuses those that meet.
    writing: Mutex<BTreeMap<Access, Arc<AsyncMutex<()>>>>,
    /// When gridkey deleted a parameter: its name is to rest for a while.
    deleted: Mutex<BTreeMap<String, Instant>>,
}

/// With which credentials AWS is asked, and which AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Access {
    region: String,
    profile: Option<String>,
    assume_role: Option<AwsAssumeRoleSettings>,
    allowed_account_ids: Vec<String>,
    endpoint_url: Option<String>,
    ca_bundle: Option<String>,
}

impl Aws {
    fn login(&self, access: &Access) -> Arc<Login> {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(logins.entry(access.clone()).or_default())
    }

    fn writing(&self, access: &Access) -> Arc<AsyncMutex<()>> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(writing.entry(access.clone()).or_default())
    }

    fn was_deleted(&self, name: &str) {
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        deleted.insert(name.to_string(), Instant::now());
    }

    fn deleted_at(&self, name: &str) -> Option<Instant> {
        self.deleted.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }
}

/// A text that may be a secret, wiped when it is dropped.
fn wiped<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<zeroize::Zeroizing<String>>, D::Error> {
    Ok(<Option<String> as serde::Deserialize>::deserialize(deserializer)?.map(zeroize::Zeroizing::new))
}

/// A tag, as both services spell it.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

impl Tag {
    /// The tags of something that gridkey makes.
    fn of_new(wanted: &BTreeMap<String, String>) -> Vec<Self> {
        let (key, value) = MANAGED_BY;
        let own = Self { key: key.to_string(), value: value.to_string() };
        let wanted = wanted.iter().filter(|(name, _)| *name != key);
        let wanted = wanted.map(|(key, value)| Self { key: key.clone(), value: value.clone() });
        wanted.chain([own]).collect()
    }

    /// Whether these are the tags of something that gridkey made.
    fn are_own(tags: &[Self]) -> bool {
        tags.iter().any(|tag| (tag.key.as_str(), tag.value.as_str()) == MANAGED_BY)
    }
}
