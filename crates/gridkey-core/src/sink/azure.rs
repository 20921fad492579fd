//! Azure Key Vault.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{Described, Fault, Reached, address, only, programs, server, unless, unless_any};
use crate::credential::Credential;

/// A secret in Azure Key Vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureKeyVaultSettings {
    /// The vault's address, such as `https://acme.vault.azure.net`.
    pub vault: String,
    /// The secret's name.
    pub secret: String,
    /// How to log in: `managed_identity`, `workload_identity`, `cli` or `client_secret`; without it the first of them that
    /// there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["managed_identity", "workload_identity", "cli", "client_secret"]))]
    pub credential: Option<String>,
    /// The tenant; `AZURE_TENANT_ID` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The client; `AZURE_CLIENT_ID` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where the client's secret is found; `AZURE_CLIENT_SECRET` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Credential>,
    /// Where to log in, in a sovereign cloud, such as `https://login.microsoftonline.us`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_host: Option<String>,
    /// The content type; without it that of the version before stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Tags to set; others stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Whether a secret that was deleted and is remembered by the vault is brought back first; the default is `false`, and
    /// such a secret is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recover_soft_deleted: Option<bool>,
}

impl Described for AzureKeyVaultSettings {
    fn place(&self) -> String {
        let Self {
            vault,
            secret,
            credential: _,
            tenant_id: _,
            client_id: _,
            client_secret: _,
            authority_host: _,
            content_type: _,
            tags: _,
            recover_soft_deleted: _,
        } = self;
        format!("{}/{secret}", vault.trim_end_matches('/'))
    }

    /// Key Vault's names ignore case.
    fn reached(&self) -> Option<String> {
        Some(format!("azure_key_vault:{}/{}", server(&self.vault), self.secret.to_lowercase()))
    }

    fn faults(&self) -> Vec<Fault> {
        const KINDS: [&str; 4] = ["managed_identity", "workload_identity", "cli", "client_secret"];
        vec![
            ("vault", address(&self.vault)),
            (
                "secret",
                unless(
                    (1..=127).contains(&self.secret.len()) && only(&self.secret, "-"),
                    "a name has up to 127 letters, digits and `-`; Key Vault takes no `_` and no dot",
                ),
            ),
            (
                "credential",
                unless_any(
                    self.credential.as_ref(),
                    |kind| KINDS.contains(&kind.as_str()),
                    "it is `managed_identity`, `workload_identity`, `cli` or `client_secret`",
                ),
            ),
            ("authority_host", self.authority_host.as_deref().map_or("", address)),
        ]
    }

    fn reaches(&self) -> Vec<Reached<'_>> {
        let addresses = std::iter::once(&self.vault).chain(&self.authority_host);
        addresses.map(|address| Reached::Endpoint(address)).chain(programs(&self.client_secret)).collect()
    }
}
