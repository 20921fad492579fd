//! Where secrets are delivered: the kinds of sinks, their settings, and single locations in them.
//!
//! A kind is one file here, with its settings and what gridkey must know of them, and one line in [`SinkSettings`] and in
//! [`SinkKind`].

mod age;
mod aws;
mod azure;
mod bech32;
mod command;
mod describe;
mod file;
mod gcp;
mod github;
mod gitlab;
mod kubernetes;
mod location;
mod settings;
mod vault;

pub use age::{AgeSettings, SopsSettings};
pub use aws::{AwsAssumeRoleSettings, AwsSecretsManagerSettings, AwsSsmSettings};
pub use azure::AzureKeyVaultSettings;
pub(crate) use command::quoted;
pub use command::{CommandSettings, is_given_to_every_command};
pub use describe::{OWN_PREFIX, OWN_SUFFIX, is_own_name};
pub(crate) use describe::{PickUp, Reached, TOGETHER, is_plain_elsewhere, unless};
pub use file::{DotenvSettings, Encoding, FileMode, FileModeError, FileSettings};
pub use gcp::GcpSecretManagerSettings;
pub use github::{API as GITHUB_API, GithubActionsSettings, GithubAppSettings, GithubAuthSettings};
pub use gitlab::{GITLAB, GitlabCiSettings};
pub use kubernetes::{KubernetesSettings, WORKLOADS};
pub(crate) use location::nested_in;
pub use location::{Known, LocationId, Receipt, SharedSettings, SinkLocation};
pub use settings::{SinkKind, SinkSettings};
pub use vault::{
    VaultAppRoleSettings, VaultAuthSettings, VaultJwtSettings, VaultKubernetesSettings, VaultSettings,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    fn dotenv(path: &str) -> LocationId {
        let at = SinkSettings::Dotenv(DotenvSettings::new(path, "KEY"));
        SinkLocation::new(Name::new("local").expect("a name"), at).id()
    }

    #[test]
    fn spellings_of_one_file_are_one_location() {
        for path in ["./.env", "a/../.env", ".//.env"] {
            assert_eq!(dotenv(path), dotenv(".env"), "{path}");
        }
        assert_ne!(dotenv("/.env"), dotenv(".env"));
        assert_ne!(dotenv("../.env"), dotenv(".env"));
    }

    /// An approval is held against what is wanted by these texts.
    #[test]
    fn no_two_places_have_one_text() {
        let command = |put: &[&str]| format!(r#"{{"command": {{"put": {put:?}}}}}"#);
        for (one, other) in [
            (command(&["./store", "prod"]), command(&["./store prod"])),
            (command(&["sh", "-c", "cat > key"]), command(&["sh", "-c", "cat", ">", "key"])),
            (command(&["a", ""]), command(&["a"])),
            (
                r#"{"json": {"path": "vault.json", "pointer": "/www#/k"}}"#.to_string(),
                r#"{"json": {"path": "vault.json#/www", "pointer": "/k"}}"#.to_string(),
            ),
        ] {
            let place = |text: &str| serde_json::from_str::<SinkSettings>(text).expect("settings").place();
            assert_ne!(place(&one), place(&other));
        }
    }

    #[test]
    fn spellings_of_one_place_are_one_location() {
        let id = |text: &str| {
            let at = serde_json::from_str(text).expect("settings");
            SinkLocation::new(Name::new("any").expect("a name"), at).id()
        };
        for (one, other) in [
            (
                r#"{"json": {"path": "./a/../x", "pointer": "/k"}}"#,
                r#"{"yaml": {"path": "x", "pointer": "/k"}}"#,
            ),
            (
                r#"{"json": {"path": "/../x", "pointer": "/k"}}"#,
                r#"{"json": {"path": "/x", "pointer": "/k"}}"#,
            ),
            (
                r#"{"github_actions": {"repository": "Acme/Shop", "secret": "sendgrid"}}"#,
                r#"{"github_actions": {"repository": "acme/shop", "secret": "SENDGRID"}}"#,
            ),
            (
                r#"{"azure_key_vault": {"vault": "https://Acme.vault.azure.net:443/", "secret": "Key"}}"#,
                r#"{"azure_key_vault": {"vault": "https://acme.vault.azure.net", "secret": "key"}}"#,
            ),
            (
                r#"{"vault": {"address": "HTTPS://Vault", "mount": "kv/", "path": "/a", "field": "f"}}"#,
                r#"{"vault": {"address": "https://vault/", "mount": "kv", "path": "a", "field": "f", "namespace": ""}}"#,
            ),
            (
                r#"{"gitlab_ci": {"project": "Acme/shop", "variable": "KEY"}}"#,
                r#"{"gitlab_ci": {"address": "https://gitlab.com", "project": "acme/shop", "variable": "KEY"}}"#,
            ),
        ] {
            assert_eq!(id(one), id(other), "{one} {other}");
        }
        for (one, other) in [
            (
                r#"{"dotenv": {"path": "x", "variable": "KEY"}}"#,
                r#"{"dotenv": {"path": "x", "variable": "key"}}"#,
            ),
            (
                r#"{"gitlab_ci": {"project": "a/b", "variable": "KEY"}}"#,
                r#"{"gitlab_ci": {"project": "a/b", "variable": "key"}}"#,
            ),
            (
                r#"{"vault": {"address": "https://v", "mount": "kv", "path": "a", "field": "f"}}"#,
                r#"{"vault": {"address": "https://v", "mount": "kv", "path": "A", "field": "f"}}"#,
            ),
        ] {
            assert_ne!(id(one), id(other), "{one} {other}");
        }
    }

    #[test]
    fn every_kind_is_the_key_of_its_settings() {
        for kind in SinkKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("plain data"), kind.as_str());
        }
    }
}
