//! What the model keeps: accounts, keys with hashes of their secrets, and effects that are on their way.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the data file that this emulator writes.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Everything that outlives the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub(crate) format_version: u32,
    /// By name: a parent's own, `parent/subuser`, or `parent/account-id X`.
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) flights: Vec<Flight>,
}

/// Why a data file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the data file was written by a newer emulator (version {0})")]
    Newer(u64),
    #[error("the data file is not one of the emulator")]
    Shape(#[from] serde_json::Error),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    pub keys: BTreeMap<String, Key>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub name: String,
    /// `None` is Full Access.
    pub scopes: Option<BTreeSet<String>>,
    /// SHA-256 of the whole key, in hexadecimal.
    pub hash: String,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// An effect that comes later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flight {
    pub due: Timestamp,
    pub account: String,
    pub method: String,
    pub target: String,
    pub body: Vec<u8>,
}

/// A key, for tests to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    pub id: String,
    pub name: String,
    /// `None` is Full Access.
    pub scopes: Option<BTreeSet<String>>,
    pub live: bool,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { format_version: FORMAT_VERSION, accounts: BTreeMap::new(), flights: Vec::new() }
    }
}

impl Snapshot {
    /// # Errors
    /// [`SnapshotError`] where the bytes are from a newer emulator, or are no data file.
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let value: serde_json::Value = serde_json::from_slice(bytes)?;
        match value.get("format_version").and_then(serde_json::Value::as_u64) {
            Some(version) if version > u64::from(FORMAT_VERSION) => Err(SnapshotError::Newer(version)),
            _ => Ok(serde_json::from_value(value)?),
        }
    }

    /// The parent accounts in it.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(String::as_str).filter(|account| !account.contains('/'))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("the data is plain, with text keys")
    }
}
