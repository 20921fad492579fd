//! Kubernetes Secrets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{Described, Fault, only, path as file_path, unless, unless_any};

/// A field of a Kubernetes Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSettings {
    /// The kubeconfig file; the files of `KUBECONFIG`, or `~/.kube/config`, or the pod's own account where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<String>,
    /// The kubeconfig context; without it the current one, or the pod's own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The namespace.
    pub namespace: String,
    /// The Secret's name.
    pub secret: String,
    /// The field of the Secret; other fields stay as they are.
    pub field: String,
    /// The type of a Secret that gridkey makes; `Opaque` where it is not given. One that is there keeps its own.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub secret_type: Option<String>,
    /// Labels of a Secret that gridkey makes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of a Secret that gridkey makes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Whether gridkey makes the Secret where it is missing; the default is `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<bool>,
    /// Workloads of the namespace that are restarted once the key has changed, such as `deployment/mailer`:
    /// environment variables of a running pod never change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart: Vec<String>,
}

/// The kinds of workloads that can be restarted.
pub const WORKLOADS: [&str; 3] = ["deployment", "statefulset", "daemonset"];

fn is_workload(text: &str) -> bool {
    text.split_once('/').is_some_and(|(kind, name)| WORKLOADS.contains(&kind) && is_name(name))
}

/// A DNS subdomain, as names of objects are.
fn is_name(text: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= 253
        && is_end(text.chars().next())
        && is_end(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c))
}

const NAME: &str =
    "a name has lower-case letters, digits, `-` and `.`, and begins and ends with a letter or digit";

impl KubernetesSettings {
    fn object(&self) -> String {
        let [kubeconfig, context] =
            [&self.kubeconfig, &self.context].map(|text| text.as_deref().unwrap_or_default());
        let cluster = match kubeconfig {
            "" => context.to_string(),
            file => format!("{file}:{context}"),
        };
        format!("{cluster}/{}/{}", self.namespace, self.secret)
    }
}

impl Described for KubernetesSettings {
    fn place(&self) -> String {
        let Self {
            kubeconfig: _,
            context: _,
            namespace: _,
            secret: _,
            field,
            secret_type: _,
            labels: _,
            annotations: _,
            create: _,
            restart: _,
        } = self;
        format!("{}#{field}", self.object())
    }

    fn container(&self) -> Option<String> {
        Some(format!("kubernetes:{}", self.object()))
    }

    fn faults(&self) -> Vec<Fault> {
        vec![
            ("kubeconfig", self.kubeconfig.as_deref().map_or("", file_path)),
            ("namespace", unless(is_name(&self.namespace) && !self.namespace.contains('.'), NAME)),
            ("secret", unless(is_name(&self.secret), NAME)),
            (
                "field",
                unless(
                    (1..=253).contains(&self.field.len()) && only(&self.field, "-._"),
                    "a field has letters, digits, `-`, `_` and `.`",
                ),
            ),
            (
                "restart",
                unless(
                    self.restart.iter().all(|workload| is_workload(workload)),
                    "write `deployment/NAME`, `statefulset/NAME` or `daemonset/NAME`",
                ),
            ),
            (
                "type",
                unless_any(self.secret_type.as_ref(), |text| !text.trim().is_empty(), "such as `Opaque`"),
            ),
        ]
    }
}
