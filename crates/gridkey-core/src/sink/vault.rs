//! HashiCorp Vault and OpenBao.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{Described, Fault, Reached, address, path as file_path, programs, server, unless};
use crate::credential::Credential;

/// A field of a secret in Vault's KV version 2.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultSettings {
    /// The server's address, such as `https://vault.internal:8200`; that of the variable `VAULT_ADDR` or `BAO_ADDR` where
    /// it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The KV mount, of version 2.
    pub mount: String,
    /// The secret's path in the mount, without `data/`.
    pub path: String,
    /// The field of the secret; other fields stay as they are.
    pub field: String,
    /// The namespace, on servers that have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How to log in; the token of `VAULT_TOKEN`, `BAO_TOKEN` or `~/.vault-token` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<VaultAuthSettings>,
    /// A file with the certificates of the authority that signed the server's, in PEM; `VAULT_CACERT` where it is not given,
    /// and those that the system trusts where that is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<String>,
    /// The name that the server's certificate has, where it is not that of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
    /// A file with the client's certificate, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<String>,
    /// A file with the client's private key, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// Fields to set in the secret's custom metadata; others stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_metadata: BTreeMap<String, String>,
}

/// How to log in to Vault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VaultAuthSettings {
    /// A token.
    Token(Credential),
    /// An AppRole.
    AppRole(VaultAppRoleSettings),
    /// The service account of the pod that gridkey runs in.
    Kubernetes(VaultKubernetesSettings),
    /// A token of an identity provider, such as a pipeline's.
    Jwt(VaultJwtSettings),
}

/// An AppRole of Vault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultAppRoleSettings {
    /// Where the method is mounted; `approle` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// The role's id.
    pub role_id: Credential,
    /// The secret id. One that may be used once is enough for one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id: Option<Credential>,
}

/// A login by a Kubernetes service account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultKubernetesSettings {
    /// Where the method is mounted; `kubernetes` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// The role.
    pub role: String,
    /// The file of the service account's token; the one that Kubernetes mounts where it is not given. Its audience must be
    /// the role's: a projected token has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
}

/// A login by a JSON Web Token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultJwtSettings {
    /// Where the method is mounted; `jwt` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// The role; the method's default role where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Where the token is found.
    pub jwt: Credential,
}

impl VaultSettings {
    /// Namespace, mount and path, without slashes at their ends.
    fn parts(&self) -> [&str; 3] {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        [namespace, &self.mount, &self.path].map(|part| part.trim_matches('/'))
    }

    /// The secret that the field is of, in one spelling.
    fn secret(&self) -> String {
        let [namespace, mount, path] = self.parts();
        let server = self.address.as_deref().map_or("VAULT_ADDR".to_string(), server);
        // A mount may have slashes, and where it ends makes another path.
        format!("vault:{server}/{namespace}/{}/{path}", mount.replace('/', "%2F"))
    }
}

impl Described for VaultSettings {
    fn place(&self) -> String {
        let Self {
            address,
            mount,
            path,
            field,
            namespace,
            auth: _,
            ca_cert: _,
            tls_server_name: _,
            client_cert: _,
            client_key: _,
            custom_metadata: _,
        } = self;
        let address = address.as_deref().unwrap_or("$VAULT_ADDR").trim_end_matches('/');
        format!("{address}/{}/{mount}/{path}#{field}", namespace.as_deref().unwrap_or_default())
    }

    fn reached(&self) -> Option<String> {
        Some(format!("{}#{}", self.secret(), self.field))
    }

    fn container(&self) -> Option<String> {
        Some(self.secret())
    }

    fn faults(&self) -> Vec<Fault> {
        let [_, mount, path] = self.parts();
        let is_api_path = ["data/", "metadata/"].iter().any(|prefix| path.starts_with(prefix));
        let has_parts =
            |text: &str| !text.is_empty() && text.split('/').all(|part| !part.is_empty() && part != "..");
        vec![
            ("address", self.address.as_deref().map_or("", address)),
            ("mount", unless(has_parts(mount), "it names a mount, such as `secret`")),
            ("path", unless(has_parts(path), "it names a secret in the mount, such as `mail/sendgrid`")),
            (
                "path",
                unless(!is_api_path, "`data/` and `metadata/` are put in front by gridkey; leave them out"),
            ),
            ("ca_cert", self.ca_cert.as_deref().map_or("", file_path)),
            ("client_cert", self.client_cert.as_deref().map_or("", file_path)),
            (
                "client_cert",
                unless(
                    self.client_cert.is_some() == self.client_key.is_some(),
                    "`client_cert` and `client_key` go together",
                ),
            ),
        ]
    }

    fn reaches(&self) -> Vec<Reached<'_>> {
        let credentials: Vec<&Credential> = match &self.auth {
            None | Some(VaultAuthSettings::Kubernetes(_)) => Vec::new(),
            Some(VaultAuthSettings::Token(token)) => vec![token],
            Some(VaultAuthSettings::AppRole(VaultAppRoleSettings { mount: _, role_id, secret_id })) => {
                std::iter::once(role_id).chain(secret_id).collect()
            }
            Some(VaultAuthSettings::Jwt(VaultJwtSettings { mount: _, role: _, jwt })) => vec![jwt],
        };
        self.address.as_deref().map(Reached::Endpoint).into_iter().chain(programs(credentials)).collect()
    }
}
