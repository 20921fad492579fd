//! Google Cloud Secret Manager.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{Described, Fault, Reached, address, only, unless, unless_any};

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
    /// What becomes of a version whose key was revoked: `disable` (the default), `destroy` or `keep`.
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

    fn faults(&self) -> Vec<Fault> {
        let is_name = |text: &str| (1..=255).contains(&text.len()) && only(text, "_-");
        vec![
            (
                "project",
                unless(!self.project.is_empty() && only(&self.project, "-:."), "it is a project's id"),
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
