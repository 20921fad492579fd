//! Kubernetes Secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{
    Described, Fault, PickUp, Reached, address as server_address, normal_path, only, path as file_path,
    programs, server, unless, unless_any,
};
use crate::credential::Credential;

/// A field of a Kubernetes Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSettings {
    /// The address that the API server has to have in the kubeconfig, which then cannot lead anywhere else; and the same
    /// cluster by whatever kubeconfig and context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The kubeconfig file; the files of `KUBECONFIG`, or `~/.kube/config`, or the pod's own account where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<String>,
    /// The kubeconfig context; without it the current one, or the pod's own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// A token of the API server, or a command that prints one, instead of the user of the kubeconfig. What a kubeconfig
    /// names as its `exec` command goes here, where a policy sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Credential>,
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
    text.len() <= MAX_NAME && text.split('.').all(is_label)
}

/// A part of a DNS name, without regard to its length.
fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.bytes().all(is_inner) && !text.is_empty() && !text.starts_with('-') && !text.ends_with('-')
}

/// The key of a label or annotation: a name, and perhaps a DNS name and `/` before it.
fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_name(prefix) && is_label_text(name) && !name.is_empty(),
        None => is_label_text(text) && !text.is_empty(),
    }
}

/// What a label can say.
fn is_label_text(text: &str) -> bool {
    let is_end = |end: Option<char>| end.is_none_or(|end| end.is_ascii_alphanumeric());
    text.len() <= MAX_LABEL
        && only(text, "-._")
        && is_end(text.chars().next())
        && is_end(text.chars().next_back())
}

/// What Kubernetes takes.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;
const MAX_ANNOTATIONS: usize = 256 << 10;

const NAME: &str =
    "a name has lower-case letters, digits, `-` and `.`, and begins and ends with a letter or digit";
const NAMESPACE: &str =
    "a namespace has up to 63 lower-case letters, digits and `-`, and begins and ends with a letter or digit";
const FIELD: &str =
    "a field has up to 253 letters, digits, `-`, `_` and `.`, and is not `.` nor begins with `..`";
const LABELS: &str = "keys and values of labels have up to 63 letters, digits, `-`, `_` and `.`, and begin and end with a \
    letter or digit; a key may have a DNS name and `/` in front";
const ANNOTATIONS: &str = "keys of annotations have up to 63 letters, digits, `-`, `_` and `.`, and may have a DNS name and \
    `/` in front; all together have 256 KiB at most";

impl KubernetesSettings {
    /// The Secret, after what tells its cluster from others: its address, or else the kubeconfig and context. A kubeconfig
    /// cannot be looked into here, so two contexts may be one cluster.
    fn object(&self, kubeconfig: Option<&str>) -> String {
        let context = self.context.as_deref().unwrap_or_default();
        let cluster = match (&self.address, kubeconfig) {
            (Some(address), _) => server(address),
            (None, Some(file)) => format!("{file}:{context}"),
            (None, None) => context.to_string(),
        };
        format!("{cluster}/{}/{}", self.namespace, self.secret)
    }

    /// The Secret, whatever its kubeconfig's path is spelt like.
    fn secret(&self) -> String {
        let kubeconfig = self.kubeconfig.as_deref().map(normal_path);
        format!("kubernetes:{}", self.object(kubeconfig.as_deref()))
    }
}

impl KubernetesSettings {
    fn has_good_annotations(&self) -> bool {
        let sizes = self.annotations.iter().map(|(key, value)| key.len() + value.len());
        self.annotations.keys().all(|key| is_key(key)) && sizes.sum::<usize>() <= MAX_ANNOTATIONS
    }

    /// Whether anything is said that only a Secret that gridkey makes can have.
    fn says_how_to_make_it(&self) -> bool {
        self.secret_type.is_some() || !self.labels.is_empty() || !self.annotations.is_empty()
    }
}

impl Described for KubernetesSettings {
    fn place(&self) -> String {
        let Self {
            address: _,
            kubeconfig: _,
            context: _,
            token: _,
            namespace: _,
            secret: _,
            field,
            secret_type: _,
            labels: _,
            annotations: _,
            create: _,
            restart: _,
        } = self;
        format!("{}#{field}", self.object(self.kubeconfig.as_deref()))
    }

    fn reached(&self) -> Option<String> {
        Some(format!("{}#{}", self.secret(), self.field))
    }

    /// Workloads are restarted after the write.
    fn follows_up(&self) -> bool {
        !self.restart.is_empty()
    }

    fn container(&self) -> Option<String> {
        Some(self.secret())
    }

    /// Variables of a pod never change, and a file that is mounted does within two minutes: which it is, nobody can tell.
    fn pick_up(&self) -> PickUp {
        match self.restart.is_empty() {
            true => PickUp::AtStart,
            false => PickUp::Within(Duration::from_secs(15 * 60)),
        }
    }

    fn faults(&self) -> Vec<Fault> {
        vec![
            ("address", self.address.as_deref().map_or("", server_address)),
            ("kubeconfig", self.kubeconfig.as_deref().map_or("", file_path)),
            ("namespace", unless(is_label(&self.namespace) && self.namespace.len() <= MAX_LABEL, NAMESPACE)),
            ("secret", unless(is_name(&self.secret), NAME)),
            (
                "field",
                unless(
                    (1..=MAX_NAME).contains(&self.field.len())
                        && only(&self.field, "-._")
                        && self.field != "."
                        && !self.field.starts_with(".."),
                    FIELD,
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
            (
                "labels",
                unless(self.labels.iter().all(|(key, value)| is_key(key) && is_label_text(value)), LABELS),
            ),
            ("annotations", unless(self.has_good_annotations(), ANNOTATIONS)),
            (
                "create",
                unless(
                    self.create != Some(false) || !self.says_how_to_make_it(),
                    "`type`, `labels` and `annotations` are for Secrets that gridkey makes; leave them out, or `create: false`",
                ),
            ),
        ]
    }

    /// A kubeconfig that the manifest brings along leads anywhere, so that a policy about servers has to see an address with it.
    fn reaches(&self) -> Vec<Reached<'_>> {
        let endpoint = self.address.as_deref().or(self.kubeconfig.as_deref());
        endpoint.map(Reached::Endpoint).into_iter().chain(programs(&self.token)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(change: impl FnOnce(&mut KubernetesSettings)) -> Vec<&'static str> {
        let mut settings = KubernetesSettings {
            namespace: "app".to_string(),
            secret: "sendgrid".to_string(),
            field: "api-key".to_string(),
            ..KubernetesSettings::default()
        };
        change(&mut settings);
        settings.faults().into_iter().filter(|(_, help)| !help.is_empty()).map(|(field, _)| field).collect()
    }

    #[test]
    fn what_the_api_server_refuses_is_told_before_it_is_asked() {
        assert_eq!(fault(|_| ()), [""; 0]);
        for field in [".dockerconfigjson", "SENDGRID_API_KEY", &"a".repeat(253)] {
            assert_eq!(fault(|settings| settings.field = field.to_string()), [""; 0], "{field}");
        }
        for field in ["", ".", "..", "..x", "a/b", "a b", "ä", &"a".repeat(254)] {
            assert_eq!(fault(|settings| settings.field = field.to_string()), ["field"], "{field}");
        }
        for name in ["", "A", "a_b", "-a", "a-", "a..b", "a.-b", &"a".repeat(254)] {
            assert_eq!(fault(|settings| settings.secret = name.to_string()), ["secret"], "{name}");
        }
        assert_eq!(fault(|settings| settings.secret = "a.b-c.0".to_string()), [""; 0]);
        for namespace in ["", "a.b", "A", &"a".repeat(64)] {
            assert_eq!(fault(|settings| settings.namespace = namespace.to_string()), ["namespace"]);
        }
        for workload in ["mailer", "pod/mailer", "deployment/", "deployment/A", "deployments/mailer"] {
            assert_eq!(fault(|settings| settings.restart.push(workload.to_string())), ["restart"]);
        }
        for (key, value) in [("a b", ""), ("", ""), ("A/b", ""), ("a/", ""), ("a", "b c"), ("a", "-b")] {
            let label = (key.to_string(), value.to_string());
            assert_eq!(fault(|settings| settings.labels.extend([label])), ["labels"], "{key}={value}");
        }
        for (key, value) in [("a", ""), ("acme.example/team", "Mail_1"), ("a.b", "c.d")] {
            let label = (key.to_string(), value.to_string());
            assert_eq!(fault(|settings| settings.labels.extend([label])), [""; 0], "{key}={value}");
        }
        let note = |length| ("acme.example/note".to_string(), "x".repeat(length));
        assert_eq!(fault(|settings| settings.annotations.extend([note(1000)])), [""; 0]);
        assert_eq!(fault(|settings| settings.annotations.extend([note(256 << 10)])), ["annotations"]);
        let made = fault(|settings| {
            settings.create = Some(false);
            settings.secret_type = Some("Opaque".to_string());
        });
        assert_eq!(made, ["create"], "what is never made has no type of ours");
    }

    #[test]
    fn a_command_for_a_token_is_seen_by_a_policy() {
        let command = vec!["aws".to_string(), "eks".to_string(), "get-token".to_string()];
        let settings =
            KubernetesSettings { token: Some(Credential::Command(command.clone())), ..Default::default() };
        assert_eq!(settings.reaches(), [Reached::Command(&command)]);
    }

    #[test]
    fn an_address_is_the_cluster_and_a_kubeconfig_without_one_leads_anywhere() {
        let settings = |address: Option<&str>, kubeconfig: &str| KubernetesSettings {
            address: address.map(ToString::to_string),
            kubeconfig: Some(kubeconfig.to_string()),
            namespace: "mail".to_string(),
            secret: "sendgrid".to_string(),
            field: "key".to_string(),
            ..Default::default()
        };
        let one = settings(Some("https://Shop.example:443/"), "a");
        let other = settings(Some("https://shop.example"), "b");
        assert_eq!(one.reached(), other.reached());
        assert_eq!(one.container(), other.container());
        assert_eq!(other.reaches(), [Reached::Endpoint("https://shop.example")]);
        let unsaid = settings(None, "./a");
        assert_eq!(unsaid.reached(), settings(None, "a").reached());
        assert_ne!(unsaid.reached(), one.reached());
        assert_eq!(unsaid.reaches(), [Reached::Endpoint("./a")], "no policy about servers lets it pass");
    }
}
