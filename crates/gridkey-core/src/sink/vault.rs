//! HashiCorp Vault and OpenBao.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{
    Described, Fault, Reached, address, path as file_path, path_parts, programs, server, unless, unless_any,
};
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
    /// The namespace, on servers that have them. No variable stands in for it: where a secret lies is what the manifest says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How to log in; the token of `VAULT_TOKEN`, `BAO_TOKEN` or `~/.vault-token` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<VaultAuthSettings>,
    /// A file with the certificates of the authority that signed the server's, in PEM; `VAULT_CACERT` or `BAO_CACERT` where it is not
    /// given. Those that the system trusts hold besides.
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
    /// The token of the provider.
    pub jwt: Credential,
}

/// What stands between a mount and a path in the addresses and policies of KV version 2.
const ENDPOINTS: [&str; 2] = ["data", "metadata"];

/// What an address has that was taken from a request or from a browser.
fn is_of_a_page(address: &str) -> bool {
    let parts = path_parts(address);
    let is_end = |end: Option<&&str>| matches!(end, Some(&("v1" | "ui")));
    is_end(parts.first()) || is_end(parts.last()) || parts.windows(2).any(|two| two == ["ui", "vault"])
}

/// A mount can have slashes, and could be called so; of the names that Vault's own documentation has for mounts it is surely the
/// path of a policy.
fn is_endpoint(mount: &str) -> bool {
    mount
        .split_once('/')
        .is_some_and(|(name, rest)| ["secret", "kv"].contains(&name) && ENDPOINTS.contains(&rest))
}

impl VaultSettings {
    /// Namespace, mount and path, without slashes at their ends.
    fn parts(&self) -> [&str; 3] {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        [namespace, &self.mount, &self.path].map(|part| part.trim_matches('/'))
    }

    /// Both servers take 64 fields, of 128 and 512 bytes.
    fn custom_metadata_fault(&self) -> &'static str {
        let is_taken = |name: &String, value: &String| {
            (1..=128).contains(&name.len()) && (1..=512).contains(&value.len())
        };
        unless(
            self.custom_metadata.len() <= 64
                && self.custom_metadata.iter().all(|(name, value)| is_taken(name, value)),
            "it has 64 fields at most, with names of 1 to 128 bytes and values of 1 to 512",
        )
    }

    /// The secret that the field is of, in one spelling.
    fn secret(&self) -> String {
        let [namespace, mount, path] = self.parts();
        let server = self.address.as_deref().map_or("VAULT_ADDR".to_string(), server);
        // A namespace may be said by itself, or in front of the mount; no mount has the name of a namespace. Where a mount
        // ends makes another path.
        let mount = format!("{namespace}/{mount}");
        format!("vault:{server}/{}/{path}", mount.trim_matches('/').replace('/', "%2F"))
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
        let address = address.as_deref().unwrap_or("$VAULT_ADDR");
        let namespace = namespace.as_deref().unwrap_or_default();
        let parts = [address, namespace, mount, path].map(|part| part.trim_matches('/'));
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("{}#{field}", parts.join("/"))
    }

    fn reached(&self) -> Option<String> {
        Some(format!("{}#{}", self.secret(), self.field))
    }

    fn container(&self) -> Option<String> {
        Some(self.secret())
    }

    fn faults(&self) -> Vec<Fault> {
        let [_, mount, path] = self.parts();
        let is_below_endpoint = |path: &str| {
            ENDPOINTS.iter().any(|name| path.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')))
        };
        let behind_mount = path.strip_prefix(mount).and_then(|rest| rest.strip_prefix('/'));
        let has_parts =
            |text: &str| !text.is_empty() && text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let namespace = self.namespace.as_deref().unwrap_or("none").trim_matches('/');
        vec![
            ("address", self.address.as_deref().map_or("", address)),
            (
                "address",
                unless_any(
                    self.address.as_ref(),
                    |address| !is_of_a_page(address),
                    "write the server's own address, such as `https://vault.internal:8200`: gridkey adds `/v1`, and `/ui` is \
                     for browsers",
                ),
            ),
            (
                "mount",
                unless(
                    !is_endpoint(mount),
                    "`data` and `metadata` are no part of a mount, and are put in front of the path by gridkey: write the \
                     mount alone, such as `secret`",
                ),
            ),
            ("mount", unless(has_parts(mount), "it names a mount, such as `secret`")),
            ("path", unless(has_parts(path), "it names a secret in the mount, such as `mail/sendgrid`")),
            (
                "path",
                unless(
                    !is_below_endpoint(path),
                    "`data/` and `metadata/` are put in front by gridkey; leave them out",
                ),
            ),
            (
                "path",
                unless(
                    !behind_mount.is_some_and(is_below_endpoint),
                    "it begins behind the mount, without `data/` or `metadata/`: `mail/sendgrid`",
                ),
            ),
            ("field", unless(!self.field.is_empty(), "it names a field of the secret, such as `api_key`")),
            (
                "namespace",
                unless(
                    has_parts(namespace),
                    "it names a namespace, such as `platform/mail`; leave it out for the root",
                ),
            ),
            ("custom_metadata", self.custom_metadata_fault()),
            ("ca_cert", self.ca_cert.as_deref().map_or("", file_path)),
            ("client_cert", self.client_cert.as_deref().map_or("", file_path)),
            ("client_key", self.client_key.as_deref().map_or("", file_path)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn faulty(change: impl Fn(&mut VaultSettings)) -> Vec<&'static str> {
        let mut settings = VaultSettings {
            address: Some("https://vault.internal:8200".to_string()),
            mount: "secret".to_string(),
            path: "mail/sendgrid".to_string(),
            field: "api_key".to_string(),
            ..VaultSettings::default()
        };
        change(&mut settings);
        settings.faults().into_iter().filter(|(_, help)| !help.is_empty()).map(|(field, _)| field).collect()
    }

    #[test]
    fn what_the_server_would_not_take_is_told_by_its_field() {
        assert_eq!(faulty(|_| ()), Vec::<&str>::new());
        for path in ["", "/", "data/mail", "metadata/mail", "mail//sendgrid", "mail/../other", "./mail"] {
            assert_eq!(faulty(|settings| settings.path = path.to_string()), ["path"], "{path:?}");
        }
        for path in ["/mail/sendgrid/", "database/mail", "mail/data/x"] {
            assert_eq!(faulty(|settings| settings.path = path.to_string()), Vec::<&str>::new(), "{path:?}");
        }
        for path in ["secret/data/mail", "secret/metadata/mail/sendgrid"] {
            assert_eq!(faulty(|settings| settings.path = path.to_string()), ["path"], "{path:?}");
        }
        for path in ["secret/mail", "secrets/data/mail", "secret/database/mail", "data"] {
            assert_eq!(faulty(|settings| settings.path = path.to_string()), Vec::<&str>::new(), "{path:?}");
        }
        for mount in ["secret/data", "kv/metadata/", "/kv/data"] {
            assert_eq!(faulty(|settings| settings.mount = mount.to_string()), ["mount"], "{mount:?}");
        }
        for mount in ["teams/data", "secret/mail", "data", "secret/data/eu"] {
            assert_eq!(
                faulty(|settings| settings.mount = mount.to_string()),
                Vec::<&str>::new(),
                "{mount:?}"
            );
        }
        for address in [
            "https://vault.internal:8200/v1",
            "https://vault.internal:8200/v1/",
            "https://vault.internal:8200/v1/secret/data/mail",
            "https://vault.internal:8200/ui",
            "https://vault.internal:8200/ui/vault/secrets",
            "https://proxy.internal/vault/v1",
            "https://proxy.internal/vault/ui/vault/auth",
        ] {
            let set = |settings: &mut VaultSettings| settings.address = Some(address.to_string());
            assert_eq!(faulty(set), ["address"], "{address}");
        }
        for address in
            ["https://v1", "https://ui/", "https://proxy.internal/vault", "https://vault.internal/v1beta"]
        {
            let set = |settings: &mut VaultSettings| settings.address = Some(address.to_string());
            assert_eq!(faulty(set), Vec::<&str>::new(), "{address}");
        }
        for mount in ["", "/", "a//b", ".."] {
            assert_eq!(faulty(|settings| settings.mount = mount.to_string()), ["mount"], "{mount:?}");
        }
        for namespace in ["a//b", ".."] {
            let set = |settings: &mut VaultSettings| settings.namespace = Some(namespace.to_string());
            assert_eq!(faulty(set), ["namespace"], "{namespace:?}");
        }
        assert_eq!(faulty(|settings| settings.field.clear()), ["field"]);
        assert_eq!(faulty(|settings| settings.client_cert = Some("cert.pem".to_string())), ["client_cert"]);
        let marked = |name: &str, value: &str| {
            faulty(|settings| {
                settings.custom_metadata = BTreeMap::from([(name.to_string(), value.to_string())])
            })
        };
        assert_eq!(marked("owner", "mail"), Vec::<&str>::new());
        for (name, value) in [("", "x"), ("owner", ""), (&"n".repeat(129), "x"), ("owner", &"v".repeat(513))]
        {
            assert_eq!(marked(name, value), ["custom_metadata"]);
        }
    }

    #[test]
    fn a_place_has_no_doubled_slashes() {
        let place = |namespace: Option<&str>, mount: &str| {
            VaultSettings {
                address: Some("https://vault.internal:8200/".to_string()),
                namespace: namespace.map(ToString::to_string),
                mount: mount.to_string(),
                path: "/mail".to_string(),
                field: "key".to_string(),
                ..VaultSettings::default()
            }
            .place()
        };
        assert_eq!(place(None, "kv/"), "https://vault.internal:8200/kv/mail#key");
        assert_eq!(place(Some("team/a/"), "kv"), "https://vault.internal:8200/team/a/kv/mail#key");
    }

    #[test]
    fn a_namespace_in_front_of_the_mount_is_the_same_place() {
        let secret = |namespace: Option<&str>, mount: &str, path: &str| {
            let namespace = namespace.map(ToString::to_string);
            VaultSettings {
                namespace,
                mount: mount.to_string(),
                path: path.to_string(),
                ..VaultSettings::default()
            }
            .secret()
        };
        assert_eq!(secret(Some("team/a"), "kv", "p"), secret(None, "team/a/kv", "p"));
        assert_eq!(secret(Some("/"), "kv/", "/p/"), secret(None, "kv", "p"));
        assert_ne!(secret(None, "kv/a", "b"), secret(None, "kv", "a/b"));
    }
}
