//! Services: one line for each kind of sink that is reached over the network.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gridkey_core::{SinkKind, SinkLocation, SinkSettings};

use crate::adapter::Adapter;
#[cfg(feature = "aws")]
use crate::aws::{Aws, SecretsManager, Ssm};
use crate::azure::{self, AzureAdapter};
#[cfg(feature = "gcp")]
use crate::gcp::{self, GcpAdapter};
use crate::github::{Github, GithubAdapter};
use crate::gitlab::{Gitlab, GitlabAdapter};
use crate::kubernetes::{Clusters, KubernetesAdapter};
use crate::machine::Machine;
use crate::vault::{VaultAdapter, Vaults};

/// What the adapters of services share: the machine, and what each of them keeps between calls, such as a login.
pub(crate) struct Services {
    machine: Machine,
    #[cfg(feature = "aws")]
    aws: Aws,
    azure: azure::Logins,
    clusters: Clusters,
    #[cfg(feature = "gcp")]
    gcp: gcp::Logins,
    github: Github,
    gitlab: Gitlab,
    vaults: Vaults,
}

impl Services {
    pub fn new(machine: Machine) -> Self {
        Self {
            machine,
            #[cfg(feature = "aws")]
            aws: Aws::default(),
            azure: azure::Logins::default(),
            clusters: Clusters::default(),
            #[cfg(feature = "gcp")]
            gcp: gcp::Logins::default(),
            github: Github::default(),
            gitlab: Gitlab::default(),
            vaults: Vaults::default(),
        }
    }

    pub fn with_variables(self, variables: BTreeMap<String, String>) -> Self {
        Self { machine: self.machine.with_variables(variables), ..self }
    }

    /// The adapter of a location; `None` where it is on this machine, or where this build has none for its kind.
    pub fn adapter<'a>(&'a self, location: &'a SinkLocation) -> Option<Box<dyn Adapter + 'a>> {
        let machine = &self.machine;
        let adapter: Box<dyn Adapter + 'a> = match &*location.at {
            SinkSettings::Dotenv(_)
            | SinkSettings::Json(_)
            | SinkSettings::Yaml(_)
            | SinkSettings::Age(_)
            | SinkSettings::Sops(_)
            | SinkSettings::Command(_) => return None,
            #[cfg(feature = "aws")]
            SinkSettings::AwsSecretsManager(settings) => {
                Box::new(SecretsManager::new(machine, &self.aws, settings))
            }
            #[cfg(feature = "aws")]
            SinkSettings::AwsSsm(settings) => Box::new(Ssm::new(machine, &self.aws, settings)),
            #[cfg(not(feature = "aws"))]
            SinkSettings::AwsSecretsManager(_) | SinkSettings::AwsSsm(_) => return None,
            SinkSettings::AzureKeyVault(settings) => {
                Box::new(AzureAdapter::new(machine, &self.azure, settings))
            }
            #[cfg(feature = "gcp")]
            SinkSettings::GcpSecretManager(settings) => {
                Box::new(GcpAdapter::new(machine, &self.gcp, settings))
            }
            #[cfg(not(feature = "gcp"))]
            SinkSettings::GcpSecretManager(_) => return None,
            SinkSettings::GithubActions(settings) => {
                Box::new(GithubAdapter::new(&self.github, machine, settings)?)
            }
            SinkSettings::GitlabCi(settings) => Box::new(GitlabAdapter::new(&self.gitlab, machine, settings)),
            SinkSettings::Kubernetes(settings) => {
                Box::new(KubernetesAdapter { machine, clusters: &self.clusters, settings })
            }
            SinkSettings::Vault(settings) => Box::new(VaultAdapter::new(settings, &self.vaults, machine)),
        };
        Some(adapter)
    }

    /// A path of a setting other than the file of a sink itself.
    pub fn path(&self, path: &str) -> PathBuf {
        self.machine.path(path)
    }
}

/// The feature that a kind of sink is a part of; `None` for those that every build has.
pub fn feature(kind: SinkKind) -> Option<&'static str> {
    match kind {
        SinkKind::Age => Some("age"),
        SinkKind::AwsSecretsManager | SinkKind::AwsSsm => Some("aws"),
        SinkKind::GcpSecretManager => Some("gcp"),
        SinkKind::Dotenv
        | SinkKind::Json
        | SinkKind::Yaml
        | SinkKind::Sops
        | SinkKind::Command
        | SinkKind::Vault
        | SinkKind::AzureKeyVault
        | SinkKind::Kubernetes
        | SinkKind::GithubActions
        | SinkKind::GitlabCi => None,
    }
}

/// Whether this build has an adapter for a kind of sink. A manifest that uses another one is refused
/// before anything is done.
pub fn supports(kind: SinkKind) -> bool {
    match feature(kind) {
        None => true,
        Some("age") => cfg!(feature = "age"),
        Some("aws") => cfg!(feature = "aws"),
        Some("gcp") => cfg!(feature = "gcp"),
        Some(other) => unreachable!("`{other}` is no feature"),
    }
}

/// The kinds that this build has no adapter for.
pub fn missing_kinds() -> std::collections::BTreeSet<SinkKind> {
    SinkKind::ALL.into_iter().filter(|kind| !supports(*kind)).collect()
}
