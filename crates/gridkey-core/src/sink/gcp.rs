//! Google Cloud Secret Manager.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{Described, Fault, PickUp, Reached, address, only, unless, unless_any};

/// A secret in Google Cloud Secret Manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GcpSecretManagerSettings {
    /// The Google Cloud project, by its id.
    pub project: String,
    /// The secret's id.
    pub secret: String,
    /// The location of a regional secret, such as `europe-west3`; without it the secret is a global one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Where a secret that gridkey makes is kept; without it Google decides. A regional secret has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replication_locations: Vec<String>,
    /// The KMS key of a secret that gridkey makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_name: Option<String>,
    /// Labels of a secret that gridkey makes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of a secret that gridkey makes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Whether gridkey makes the secret where it is missing; the default is `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<bool>,
    /// What becomes of a version once two newer keys came after it: `disable` (the default), `destroy` or `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["disable", "destroy", "keep"]))]
    pub after_overlap: Option<String>,
    /// A service account to act as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impersonate_service_account: Option<String>,
    /// The project that requests are counted against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_project: Option<String>,
    /// An address in place of Google's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

impl Described for GcpSecretManagerSettings {
    fn place(&self) -> String {
        let Self {
            project,
            secret,
            location,
            replication_locations: _,
            kms_key_name: _,
            labels: _,
            annotations: _,
            create: _,
            after_overlap: _,
            impersonate_service_account: _,
            quota_project: _,
            endpoint: _,
        } = self;
        match location {
            None => format!("{project}/{secret}"),
            Some(location) => format!("{project}/{location}/{secret}"),
        }
    }

    /// `latest` may go on to lead to the version before for an hour.
    fn pick_up(&self) -> PickUp {
        PickUp::Within(Duration::from_secs(60 * 60))
    }

    fn faults(&self) -> Vec<Fault> {
        let is_name = |text: &str| (1..=255).contains(&text.len()) && only(text, "_-");
        vec![
            (
                "project",
                unless(
                    only(&self.project, "-:.") && self.project.contains(|c: char| c.is_ascii_alphabetic()),
                    "it is a project's id, not its number or its name",
                ),
            ),
            ("secret", unless(is_name(&self.secret), "an id has up to 255 letters, digits, `_` and `-`")),
            (
                "location",
                unless_any(self.location.as_ref(), |text| only(text, "-"), "such as `europe-west3`"),
            ),
            (
                "replication_locations",
                unless(
                    self.location.is_none() || self.replication_locations.is_empty(),
                    "a regional secret is where its `location` is; leave this out",
                ),
            ),
            (
                "kms_key_name",
                unless(
                    self.kms_key_name.is_none() || self.replication_locations.len() <= 1,
                    "a KMS key is in one location, and so is what it encrypts: name one of `replication_locations`",
                ),
            ),
            (
                "kms_key_name",
                unless_any(
                    self.kms_key_name.as_ref(),
                    |name| is_kms_key(name),
                    "write its whole name: `projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY`",
                ),
            ),
            (
                "labels",
                unless(
                    self.labels
                        .iter()
                        .all(|(name, value)| !name.is_empty() && is_label(name) && is_label(value)),
                    "labels and their values have up to 63 lower-case letters, digits, `_` and `-`",
                ),
            ),
            (
                "annotations",
                unless(
                    !self.annotations.keys().any(|name| name.starts_with("gridkey-version-")),
                    "`gridkey-version-…` are gridkey's own",
                ),
            ),
            (
                "after_overlap",
                unless_any(
                    self.after_overlap.as_ref(),
                    |text| ["disable", "destroy", "keep"].contains(&text.as_str()),
                    "it is `disable`, `destroy` or `keep`",
                ),
            ),
            ("endpoint", self.endpoint.as_deref().map_or("", address)),
        ]
    }

    fn reaches(&self) -> Vec<Reached<'_>> {
        self.endpoint.as_deref().map(Reached::Endpoint).into_iter().collect()
    }
}

/// The name of a key, and not of one of its versions.
fn is_kms_key(name: &str) -> bool {
    let is_part = |part: &&str| !part.is_empty() && only(part, "-_.:");
    match name.split('/').collect::<Vec<_>>()[..] {
        ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key] => {
            [project, location, ring, key].iter().all(is_part)
        }
        _ => false,
    }
}

/// Letters of other scripts are taken too, in lower case.
fn is_label(text: &str) -> bool {
    text.chars().count() <= 63
        && text.chars().all(|c| (c.is_alphanumeric() && !c.is_uppercase()) || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of the faults that there are; `KMS` stands for the name of a key.
    fn faults(text: &str) -> Vec<&'static str> {
        let text =
            text.replace("KMS", "projects/acme/locations/europe-west3/keyRings/mail/cryptoKeys/keys_1");
        let settings: GcpSecretManagerSettings = serde_json::from_str(&text).expect("settings");
        settings.faults().into_iter().filter(|(_, help)| !help.is_empty()).map(|(field, _)| field).collect()
    }

    #[test]
    fn what_google_would_refuse_is_told_before() {
        for (more, fault) in [
            (r#""secret": "mail.key""#, "secret"),
            (r#""secret": """#, "secret"),
            (r#""secret": "key", "location": "europe/west3""#, "location"),
            (
                r#""secret": "key", "location": "europe-west3", "replication_locations": ["europe-west1"]"#,
                "replication_locations",
            ),
            (
                r#""secret": "key", "replication_locations": ["a", "b"], "kms_key_name": "KMS""#,
                "kms_key_name",
            ),
            (r#""secret": "key", "kms_key_name": "k""#, "kms_key_name"),
            (r#""secret": "key", "kms_key_name": "KMS/cryptoKeyVersions/1""#, "kms_key_name"),
            (r#""secret": "key", "kms_key_name": "https://cloudkms.googleapis.com/v1/KMS""#, "kms_key_name"),
            (r#""secret": "key", "labels": {"Team": "mail"}"#, "labels"),
            (r#""secret": "key", "labels": {"team": "mail team"}"#, "labels"),
            (r#""secret": "key", "annotations": {"gridkey-version-1": "x"}"#, "annotations"),
            (r#""secret": "key", "after_overlap": "delete""#, "after_overlap"),
            (r#""secret": "key", "endpoint": "secretmanager.internal""#, "endpoint"),
        ] {
            assert_eq!(faults(&format!(r#"{{"project": "acme", {more}}}"#)), [fault], "{more}");
        }
        for more in [
            r#""secret": "mail_key-1""#,
            r#""secret": "key", "location": "europe-west3", "kms_key_name": "KMS""#,
            r#""secret": "key", "replication_locations": ["a"], "kms_key_name": "KMS""#,
            r#""secret": "key", "labels": {"team": "", "größe": "klein-1_2"}, "annotations": {"owner": "The Mail Team"}"#,
        ] {
            assert_eq!(faults(&format!(r#"{{"project": "acme", {more}}}"#)), [""; 0], "{more}");
        }
        for project in ["", "1075", "acme mail", "acme/mail"] {
            assert_eq!(
                faults(&format!(r#"{{"project": "{project}", "secret": "key"}}"#)),
                ["project"],
                "{project}"
            );
        }
    }
}
