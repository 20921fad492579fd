//! Services: one line for each kind of sink that is reached over the network or through another program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gridkey_core::{SinkKind, SinkLocation, SinkSettings};

use crate::adapter::Adapter;
use crate::machine::Machine;
use crate::vault::{VaultAdapter, Vaults};

/// What the adapters of services share: the machine, and what each of them keeps between calls, such as a login.
pub(crate) struct Services {
    machine: Machine,
    vaults: Vaults,
}

impl Services {
    pub fn new(machine: Machine) -> Self {
        Self { machine, vaults: Vaults::default() }
    }

    pub fn with_variables(self, variables: BTreeMap<String, String>) -> Self {
        Self { machine: self.machine.with_variables(variables), ..self }
    }

    /// The adapter of a location; `None` where this build has none for its kind.
    pub fn adapter<'a>(&'a self, location: &'a SinkLocation) -> Option<Box<dyn Adapter + 'a>> {
        match &*location.at {
            // On this machine, and not here.
            SinkSettings::Dotenv(_)
            | SinkSettings::Json(_)
            | SinkSettings::Yaml(_)
            | SinkSettings::Age(_)
            | SinkSettings::Sops(_)
            | SinkSettings::Command(_) => None,
            SinkSettings::Vault(settings) => {
                Some(Box::new(VaultAdapter::new(settings, &self.vaults, &self.machine)))
            }
            SinkSettings::AwsSecretsManager(_)
            | SinkSettings::AwsSsm(_)
            | SinkSettings::GcpSecretManager(_)
            | SinkSettings::AzureKeyVault(_)
            | SinkSettings::Kubernetes(_)
            | SinkSettings::GithubActions(_)
            | SinkSettings::GitlabCi(_) => None,
        }
    }

    /// A path of a setting other than the file of a sink itself.
    pub fn path(&self, path: &str) -> PathBuf {
        self.machine.path(path)
    }
}

/// Whether this build has an adapter for a kind of sink. A manifest that uses another one is refused
/// before anything is done.
pub fn supports(kind: SinkKind) -> bool {
    match kind {
        SinkKind::Dotenv
        | SinkKind::Json
        | SinkKind::Yaml
        | SinkKind::Command
        | SinkKind::Sops
        | SinkKind::Vault => true,
        SinkKind::Age => cfg!(feature = "age"),
        SinkKind::AwsSecretsManager
        | SinkKind::AwsSsm
        | SinkKind::GcpSecretManager
        | SinkKind::AzureKeyVault
        | SinkKind::Kubernetes
        | SinkKind::GithubActions
        | SinkKind::GitlabCi => false,
    }
}

/// The kinds that this build has no adapter for.
pub fn missing_kinds() -> std::collections::BTreeSet<SinkKind> {
    SinkKind::ALL.into_iter().filter(|kind| !supports(*kind)).collect()
}
