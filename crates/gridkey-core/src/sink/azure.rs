//! Azure Key Vault.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{
    Described, Fault, Reached, address, only, path_parts, programs, server, unless, unless_any,
};
use crate::credential::Credential;

/// Key Vault takes no more tags, and one of them is gridkey's.
const MOST_TAGS: usize = 15;

/// The program that `credential: cli` runs.
static CLI: LazyLock<Vec<String>> =
    LazyLock::new(|| ["az", "account", "get-access-token"].map(String::from).to_vec());

/// A secret in Azure Key Vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureKeyVaultSettings {
    /// The vault's address, such as `https://acme.vault.azure.net`.
    pub vault: String,
    /// The secret's name.
    pub secret: String,
    /// How to log in: `client_secret`, `workload_identity`, `managed_identity` or `cli`; without it the first of them, in this
    /// order, that there is.
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
                "vault",
                unless(
                    path_parts(&self.vault).is_empty(),
                    "it is the vault's address without a path, such as `https://acme.vault.azure.net`; the secret's name \
                     stands in `secret`",
                ),
            ),
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
            (
                "client_secret",
                unless(
                    self.client_secret.is_none()
                        || self.credential.as_deref().is_none_or(|kind| kind == "client_secret"),
                    "it is for `credential: client_secret`; leave one of them out",
                ),
            ),
            ("authority_host", self.authority_host.as_deref().map_or("", address)),
            (
                "tags",
                unless(
                    self.tags.len() < MOST_TAGS
                        && !self.tags.contains_key("gridkey-key-id")
                        && self.tags.iter().all(|(name, value)| name.len() <= 256 && value.len() <= 256),
                    "there are up to 14 tags, each with up to 256 characters; `gridkey-key-id` is gridkey's own",
                ),
            ),
        ]
    }

    fn reaches(&self) -> Vec<Reached<'_>> {
        let addresses = std::iter::once(&self.vault).chain(&self.authority_host);
        let cli = (self.credential.as_deref() == Some("cli")).then(|| Reached::Command(&CLI));
        addresses
            .map(|address| Reached::Endpoint(address))
            .chain(programs(&self.client_secret))
            .chain(cli)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &str) -> AzureKeyVaultSettings {
        let text = format!(r#"{{"vault": "https://acme.vault.azure.net"{more}}}"#);
        serde_json::from_str(&text).expect("settings")
    }

    fn faults(more: &str) -> Vec<&'static str> {
        let faults = settings(more).faults().into_iter();
        faults.filter(|(_, help)| !help.is_empty()).map(|(field, _)| field).collect()
    }

    #[test]
    fn what_key_vault_would_refuse_is_told_before() {
        let long = format!(r#", "secret": "{}""#, "x".repeat(128));
        let tags: Vec<_> = (0..15).map(|tag| format!(r#""{tag}": """#)).collect();
        let many = format!(r#", "secret": "key", "tags": {{{}}}"#, tags.join(", "));
        for (more, fault) in [
            (r#", "secret": "mail_key""#, "secret"),
            (r#", "secret": "mail.key""#, "secret"),
            (r#", "secret": """#, "secret"),
            (long.as_str(), "secret"),
            (r#", "secret": "key", "credential": "certificate""#, "credential"),
            (r#", "secret": "key", "credential": "cli", "client_secret": {"env": "S"}"#, "client_secret"),
            (r#", "secret": "key", "authority_host": "login.microsoftonline.us""#, "authority_host"),
            (r#", "secret": "key", "tags": {"gridkey-key-id": "x"}"#, "tags"),
            (many.as_str(), "tags"),
        ] {
            assert_eq!(faults(more), [fault], "{more}");
        }
        for vault in ["https://acme.vault.azure.net/secrets/key", "https://acme.vault.azure.net/secrets"] {
            let settings =
                AzureKeyVaultSettings { vault: vault.to_string(), ..settings(r#", "secret": "key""#) };
            let faults = settings.faults().into_iter().filter(|(_, help)| !help.is_empty());
            assert_eq!(faults.map(|(field, _)| field).collect::<Vec<_>>(), ["vault"], "{vault}");
        }
        let all = r#", "secret": "Mail-Key-1", "credential": "client_secret", "client_secret": {"env": "S"}, "tags": {"a": "b"},
            "authority_host": "https://login.microsoftonline.us""#;
        assert_eq!(faults(all), [""; 0]);
    }

    #[test]
    fn a_policy_sees_the_program_that_logs_in() {
        let programs = |more: &str| {
            let settings = settings(more);
            let reached = settings.reaches().into_iter();
            reached.filter(|reached| matches!(reached, Reached::Command(_))).count()
        };
        assert_eq!(programs(r#", "secret": "key""#), 0);
        assert_eq!(programs(r#", "secret": "key", "credential": "cli""#), 1);
        assert_eq!(programs(r#", "secret": "key", "client_secret": {"command": ["pass", "azure"]}"#), 1);
    }
}
