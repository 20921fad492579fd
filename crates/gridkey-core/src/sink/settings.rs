//! The kinds of sinks, and the settings of each: one line for each kind here, and one file beside.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::age::{AgeSettings, SopsSettings};
use super::aws::{AwsSecretsManagerSettings, AwsSsmSettings};
use super::azure::AzureKeyVaultSettings;
use super::command::CommandSettings;
use super::describe::{self, Described, PickUp, Reached};
use super::file::{DotenvSettings, FileSettings};
use super::gcp::GcpSecretManagerSettings;
use super::github::GithubActionsSettings;
use super::gitlab::GitlabCiSettings;
use super::kubernetes::KubernetesSettings;
use super::vault::VaultSettings;

/// The settings of a sink, by kind: `{ dotenv: { path: …, variable: … } }`.
///
/// The kind is the key of its settings rather than a `type:` field, as serde loses the position of
/// every error inside a tagged value. In a manifest the texts may hold placeholders; in a
/// [`SinkLocation`] they are filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinkSettings {
    /// A variable in a dotenv file.
    Dotenv(DotenvSettings),
    /// A value in a JSON file.
    Json(FileSettings),
    /// A value in a YAML file.
    Yaml(FileSettings),
    /// A file encrypted to age recipients.
    Age(AgeSettings),
    /// A value in a file that `sops` encrypts.
    Sops(SopsSettings),
    /// A command that takes the secret on standard input.
    Command(CommandSettings),
    /// HashiCorp Vault or OpenBao, KV version 2.
    Vault(VaultSettings),
    /// AWS Secrets Manager.
    AwsSecretsManager(AwsSecretsManagerSettings),
    /// AWS Systems Manager Parameter Store, as a SecureString.
    AwsSsm(AwsSsmSettings),
    /// Google Cloud Secret Manager.
    GcpSecretManager(GcpSecretManagerSettings),
    /// Azure Key Vault.
    AzureKeyVault(AzureKeyVaultSettings),
    /// A Kubernetes Secret.
    Kubernetes(KubernetesSettings),
    /// A secret of GitHub Actions, Dependabot or Codespaces; it can be written but never read.
    GithubActions(GithubActionsSettings),
    /// A GitLab CI/CD variable.
    GitlabCi(GitlabCiSettings),
}

/// The kinds of sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinkKind {
    Dotenv,
    Json,
    Yaml,
    Age,
    Sops,
    Command,
    Vault,
    AwsSecretsManager,
    AwsSsm,
    GcpSecretManager,
    AzureKeyVault,
    Kubernetes,
    GithubActions,
    GitlabCi,
}

impl SinkKind {
    pub const ALL: [Self; 14] = [
        Self::Dotenv,
        Self::Json,
        Self::Yaml,
        Self::Age,
        Self::Sops,
        Self::Command,
        Self::Vault,
        Self::AwsSecretsManager,
        Self::AwsSsm,
        Self::GcpSecretManager,
        Self::AzureKeyVault,
        Self::Kubernetes,
        Self::GithubActions,
        Self::GitlabCi,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dotenv => "dotenv",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Age => "age",
            Self::Sops => "sops",
            Self::Command => "command",
            Self::Vault => "vault",
            Self::AwsSecretsManager => "aws_secrets_manager",
            Self::AwsSsm => "aws_ssm",
            Self::GcpSecretManager => "gcp_secret_manager",
            Self::AzureKeyVault => "azure_key_vault",
            Self::Kubernetes => "kubernetes",
            Self::GithubActions => "github_actions",
            Self::GitlabCi => "gitlab_ci",
        }
    }
}

impl fmt::Display for SinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl SinkSettings {
    pub fn kind(&self) -> SinkKind {
        match self {
            Self::Dotenv(_) => SinkKind::Dotenv,
            Self::Json(_) => SinkKind::Json,
            Self::Yaml(_) => SinkKind::Yaml,
            Self::Age(_) => SinkKind::Age,
            Self::Sops(_) => SinkKind::Sops,
            Self::Command(_) => SinkKind::Command,
            Self::Vault(_) => SinkKind::Vault,
            Self::AwsSecretsManager(_) => SinkKind::AwsSecretsManager,
            Self::AwsSsm(_) => SinkKind::AwsSsm,
            Self::GcpSecretManager(_) => SinkKind::GcpSecretManager,
            Self::AzureKeyVault(_) => SinkKind::AzureKeyVault,
            Self::Kubernetes(_) => SinkKind::Kubernetes,
            Self::GithubActions(_) => SinkKind::GithubActions,
            Self::GitlabCi(_) => SinkKind::GitlabCi,
        }
    }

    fn described(&self) -> &dyn Described {
        match self {
            Self::Dotenv(settings) => settings,
            Self::Json(settings) => settings,
            Self::Yaml(settings) => settings,
            Self::Age(settings) => settings,
            Self::Sops(settings) => settings,
            Self::Command(settings) => settings,
            Self::Vault(settings) => settings,
            Self::AwsSecretsManager(settings) => settings,
            Self::AwsSsm(settings) => settings,
            Self::GcpSecretManager(settings) => settings,
            Self::AzureKeyVault(settings) => settings,
            Self::Kubernetes(settings) => settings,
            Self::GithubActions(settings) => settings,
            Self::GitlabCi(settings) => settings,
        }
    }

    /// Whether gridkey can look at what a location holds.
    ///
    /// An age file is encrypted to identities that gridkey does not have; GitHub never shows a
    /// secret; a command can be read where it says how.
    pub fn is_readable(&self) -> bool {
        self.described().is_readable()
    }

    /// Whether it can be told which key a location has, though the value itself may never be seen.
    pub fn tells_key(&self) -> bool {
        self.described().tells_key()
    }

    /// Whether a put does more than write, which a run that breaks off may have left undone: then the same put does it.
    pub(crate) fn follows_up(&self) -> bool {
        self.described().follows_up()
    }

    /// Where these settings point, without what does not tell places apart.
    ///
    /// No two places have the same text: plans that were approved are compared by it.
    pub fn place(&self) -> String {
        self.described().place()
    }

    /// What these settings reach, in one spelling.
    pub(super) fn reached(&self) -> String {
        self.described().reached().unwrap_or_else(|| format!("{}:{}", self.kind(), self.place()))
    }

    /// The document that these settings are about a part of: writes to one are made one at a time. A location that has a
    /// document of its own is one.
    pub fn container(&self) -> String {
        self.described().container().unwrap_or_else(|| self.reached())
    }

    /// Whether the secret is the whole of that document, so that no other one can be a part of it.
    pub(crate) fn is_whole(&self) -> bool {
        self.described().is_whole()
    }

    /// How long it usually takes until programs have what was written.
    pub(crate) fn pick_up(&self) -> PickUp {
        self.described().pick_up()
    }

    /// What can be told to be wrong before the service is asked: fields, and what they can be.
    pub(crate) fn faults(&self) -> Vec<describe::Fault> {
        self.described().faults()
    }

    /// Where in its file a secret stands, of a kind whose files have values within values: the last part of what these
    /// settings reach.
    pub(super) fn pointer(&self) -> Option<&str> {
        self.described().pointer()
    }

    /// Which item of a list has the fault that is told of its field, counted from 0.
    pub(crate) fn faulty_item(&self, field: &str) -> Option<usize> {
        self.described().faulty_item(field)
    }

    /// Variables of gridkey's environment that a program of these settings gets.
    pub(crate) fn environment(&self) -> &[String] {
        self.described().environment()
    }

    /// What these settings run or talk to, as far as they say it.
    pub(crate) fn reaches(&self) -> Vec<Reached<'_>> {
        self.described().reaches()
    }

    /// How a place is used, besides where it is: what an approval of a plan covers as well.
    pub(crate) fn manner(&self) -> Value {
        self.described().manner().unwrap_or_else(|| json!(self))
    }

    /// The path of a sink that is a file.
    pub fn path_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Dotenv(DotenvSettings { path, variable: _, mode: _, encoding: _ }) => Some(path),
            Self::Json(FileSettings { path, pointer: _, mode: _, encoding: _ })
            | Self::Yaml(FileSettings { path, pointer: _, mode: _, encoding: _ }) => Some(path),
            Self::Age(AgeSettings { path, recipients: _, recipients_file: _, armor: _ }) => Some(path),
            Self::Sops(SopsSettings { path, pointer: _, program: _, config: _, env: _ }) => Some(path),
            Self::Command(_)
            | Self::Vault(_)
            | Self::AwsSecretsManager(_)
            | Self::AwsSsm(_)
            | Self::GcpSecretManager(_)
            | Self::AzureKeyVault(_)
            | Self::Kubernetes(_)
            | Self::GithubActions(_)
            | Self::GitlabCi(_) => None,
        }
    }
}
