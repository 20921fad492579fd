//! Where secrets are delivered: the kinds of sinks, their settings, and single locations in them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::file_sink::{DotenvSettings, Encoding, FileMode, FileModeError, FileSettings};
use crate::name::Name;

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
    /// A GitHub Actions secret; it can be written but never read.
    GithubActions(GithubActionsSettings),
    /// A GitLab CI/CD variable.
    GitlabCi(GitlabCiSettings),
}

/// An age-encrypted file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgeSettings {
    /// The file, relative to the manifest's folder.
    pub path: String,
    /// Public keys (`age1…`) the file is encrypted to.
    pub recipients: Vec<String>,
}

/// Commands that store, and perhaps show and remove, a secret. None is run through a shell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// Program and arguments; the secret comes on standard input. It must be safe to run again with the same secret.
    pub put: Vec<String>,
    /// Program and arguments that print the stored secret, or nothing where there is none. Without it the sink is write-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Vec<String>>,
    /// Exit codes of `read` that say that nothing is stored. Without them, an exit code other than 0 is a failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent_exit: Vec<u8>,
    /// Program and arguments that remove the stored secret. Without it the value is left where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<Vec<String>>,
    /// Variables of gridkey's environment that the commands get besides `PATH`, `HOME`, the user's name, the locale, the time
    /// zone and the folder for temporary files. Never one that holds a managing key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}

/// Whether every command of a sink gets a variable of gridkey's environment, besides those that its `env` lists. The
/// environment of a pipeline holds more than one secret, among them the key that manages all the others.
pub fn is_given_to_every_command(variable: &str) -> bool {
    const GIVEN: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR"];
    // What no program starts without there.
    const GIVEN_ON_WINDOWS: [&str; 7] =
        ["COMSPEC", "PATHEXT", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERPROFILE"];
    let of_the_system = if cfg!(windows) { &GIVEN_ON_WINDOWS[..] } else { &[] };
    GIVEN.contains(&variable) || of_the_system.contains(&variable) || variable.starts_with("LC_")
}

/// What gridkey's own files beside a sink's file are called: the lock of its folder, and temporary ones. They hold secrets, so what
/// a killed process left of them is cleared away.
pub const OWN_PREFIX: &str = ".gridkey-";
pub const OWN_SUFFIX: &str = ".tmp";

/// Whether a file's name is one of gridkey's own, which no sink may have.
pub fn is_own_name(name: &str) -> bool {
    name.starts_with(OWN_PREFIX) && name.ends_with(OWN_SUFFIX)
}

/// A field of a secret in Vault's KV version 2.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultSettings {
    /// The server's address, such as `https://vault.internal:8200`.
    pub address: String,
    /// The KV mount.
    pub mount: String,
    /// The secret's path in the mount.
    pub path: String,
    /// The field of the secret; other fields stay as they are.
    pub field: String,
    /// The namespace, on servers that have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A secret in AWS Secrets Manager.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsSecretsManagerSettings {
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// The secret's name or ARN.
    pub secret: String,
    /// A field of a JSON secret; without it the secret is the whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// A parameter in AWS Systems Manager.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsSsmSettings {
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// The parameter's name, such as `/prod/sendgrid`.
    pub parameter: String,
}

/// A secret in Google Cloud Secret Manager.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GcpSecretManagerSettings {
    /// The Google Cloud project.
    pub project: String,
    /// The secret's id.
    pub secret: String,
}

/// A secret in Azure Key Vault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureKeyVaultSettings {
    /// The vault's address, such as `https://acme.vault.azure.net`.
    pub vault: String,
    /// The secret's name.
    pub secret: String,
}

/// A field of a Kubernetes Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSettings {
    /// The kubeconfig context; without it the current one, or the pod's own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The namespace.
    pub namespace: String,
    /// The Secret's name.
    pub secret: String,
    /// The field of the Secret; other fields stay as they are.
    pub field: String,
}

/// A secret of a GitHub repository or of one of its environments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubActionsSettings {
    /// `owner/name`.
    pub repository: String,
    /// The deployment environment; without it the secret is the repository's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The secret's name.
    pub secret: String,
}

/// A CI/CD variable of a GitLab project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitlabCiSettings {
    /// The server's address; `https://gitlab.com` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The project's path or number.
    pub project: String,
    /// The variable's name.
    pub variable: String,
    /// The environment scope; `*` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_scope: Option<String>,
}

/// The kinds of sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinkKind {
    Dotenv,
    Json,
    Yaml,
    Age,
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

/// One place that holds one secret: a sink's settings with every placeholder filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkLocation {
    /// The sink's name in the manifest.
    pub sink: Name,
    /// Where in it.
    #[schemars(with = "SinkSettings")]
    pub at: SharedSettings,
}

/// The settings of a location, shared by all that speak of it, with what they reach worked out once: a plan asks for it
/// a dozen times for each key.
#[derive(Clone)]
pub struct SharedSettings(Arc<(SinkSettings, LocationId)>);

/// What tells one location from another, whatever the sink is called: kind, place and field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LocationId(Arc<str>);

impl LocationId {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl SinkKind {
    pub const ALL: [Self; 13] = [
        Self::Dotenv,
        Self::Json,
        Self::Yaml,
        Self::Age,
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

    /// Whether gridkey can look at what a location holds.
    ///
    /// An age file is encrypted to identities that gridkey does not have; GitHub never shows a
    /// secret; a command can be read where it says how.
    pub fn is_readable(&self) -> bool {
        match self {
            Self::Age(_) | Self::GithubActions(_) => false,
            Self::Command(CommandSettings { put: _, read, absent_exit: _, remove: _, env: _ }) => {
                read.is_some()
            }
            Self::Dotenv(_)
            | Self::Json(_)
            | Self::Yaml(_)
            | Self::Vault(_)
            | Self::AwsSecretsManager(_)
            | Self::AwsSsm(_)
            | Self::GcpSecretManager(_)
            | Self::AzureKeyVault(_)
            | Self::Kubernetes(_)
            | Self::GitlabCi(_) => true,
        }
    }

    /// Where these settings point, without what does not tell places apart.
    ///
    /// No two places have the same text: plans that were approved are compared by it.
    pub fn place(&self) -> String {
        let path = |path: &str| normal_path(path);
        // A `#` of the path is told from the one before the field.
        let in_file = |file: &str, field: &str| {
            format!("{}#{field}", path(file).replace('\\', "\\\\").replace('#', "\\#"))
        };
        match self {
            Self::Dotenv(DotenvSettings { path: file, variable, mode: _, encoding: _ }) => {
                in_file(file, variable)
            }
            Self::Json(FileSettings { path: file, pointer, mode: _, encoding: _ })
            | Self::Yaml(FileSettings { path: file, pointer, mode: _, encoding: _ }) => {
                in_file(file, pointer)
            }
            Self::Age(AgeSettings { path: file, recipients: _ }) => path(file),
            Self::Command(CommandSettings { put, read: _, absent_exit: _, remove: _, env: _ }) => {
                put.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
            }
            Self::Vault(VaultSettings { address, mount, path, field, namespace }) => {
                let namespace = namespace.as_deref().unwrap_or_default();
                format!("{}/{namespace}/{mount}/{path}#{field}", address.trim_end_matches('/'))
            }
            Self::AwsSecretsManager(AwsSecretsManagerSettings { region, secret, field }) => {
                format!("{region}/{secret}#{}", field.as_deref().unwrap_or_default())
            }
            Self::AwsSsm(AwsSsmSettings { region, parameter }) => format!("{region}/{parameter}"),
            Self::GcpSecretManager(GcpSecretManagerSettings { project, secret }) => {
                format!("{project}/{secret}")
            }
            Self::AzureKeyVault(AzureKeyVaultSettings { vault, secret }) => {
                format!("{}/{secret}", vault.trim_end_matches('/'))
            }
            Self::Kubernetes(KubernetesSettings { context, namespace, secret, field }) => {
                format!("{}/{namespace}/{secret}#{field}", context.as_deref().unwrap_or_default())
            }
            Self::GithubActions(GithubActionsSettings { repository, environment, secret }) => {
                format!("{repository}/{}/{secret}", environment.as_deref().unwrap_or_default())
            }
            Self::GitlabCi(GitlabCiSettings { address, project, variable, environment_scope }) => format!(
                "{}/{project}/{variable}@{}",
                address.as_deref().unwrap_or("https://gitlab.com").trim_end_matches('/'),
                environment_scope.as_deref().unwrap_or("*"),
            ),
        }
    }
}

impl SinkSettings {
    /// The path of a sink that is a file.
    pub fn path_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Dotenv(DotenvSettings { path, variable: _, mode: _, encoding: _ }) => Some(path),
            Self::Json(FileSettings { path, pointer: _, mode: _, encoding: _ })
            | Self::Yaml(FileSettings { path, pointer: _, mode: _, encoding: _ }) => Some(path),
            Self::Age(AgeSettings { path, recipients: _ }) => Some(path),
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

    /// What these settings reach, in one spelling.
    fn reached(&self) -> String {
        match self {
            // JSON is YAML: a value of one file is the same value by either kind.
            Self::Json(_) | Self::Yaml(_) => format!("file:{}", self.place()),
            Self::Vault(VaultSettings { address, mount, path, field, namespace }) => {
                let namespace = namespace.as_deref().unwrap_or_default().trim_matches('/');
                let (mount, path) = (mount.trim_matches('/'), path.trim_matches('/'));
                // A mount may have slashes, and where it ends makes another path.
                format!("vault:{}/{namespace}/{}/{path}#{field}", server(address), mount.replace('/', "%2F"))
            }
            // Key Vault's names ignore case.
            Self::AzureKeyVault(AzureKeyVaultSettings { vault, secret }) => {
                format!("azure_key_vault:{}/{}", server(vault), secret.to_lowercase())
            }
            // GitHub's names ignore case, those of repositories and environments too.
            Self::GithubActions(_) => format!("github_actions:{}", self.place().to_lowercase()),
            Self::GitlabCi(GitlabCiSettings { address, project, variable, environment_scope }) => format!(
                "gitlab_ci:{}/{}/{variable}@{}",
                server(address.as_deref().unwrap_or("https://gitlab.com")),
                project.trim_matches('/').to_lowercase(),
                environment_scope.as_deref().unwrap_or("*"),
            ),
            Self::Dotenv(_)
            | Self::Age(_)
            | Self::Command(_)
            | Self::AwsSecretsManager(_)
            | Self::AwsSsm(_)
            | Self::GcpSecretManager(_)
            | Self::Kubernetes(_) => format!("{}:{}", self.kind(), self.place()),
        }
    }
}

/// A word of a command line, in quotes where a shell would want them.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,{}".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', "'\\''"))),
    }
}

/// How a place is used, besides where it is: what an approval of a plan covers as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner<'a> {
    File(Option<FileMode>, Encoding),
    Recipients(&'a [String]),
    Command(&'a CommandSettings),
    /// What else there is to say of it says where it is.
    Place,
}

impl SinkSettings {
    pub(crate) fn manner(&self) -> Manner<'_> {
        match self {
            Self::Dotenv(DotenvSettings { path: _, variable: _, mode, encoding }) => {
                Manner::File(*mode, *encoding)
            }
            Self::Json(FileSettings { path: _, pointer: _, mode, encoding })
            | Self::Yaml(FileSettings { path: _, pointer: _, mode, encoding }) => {
                Manner::File(*mode, *encoding)
            }
            Self::Age(AgeSettings { path: _, recipients }) => Manner::Recipients(recipients),
            Self::Command(command) => Manner::Command(command),
            Self::Vault(_)
            | Self::AwsSecretsManager(_)
            | Self::AwsSsm(_)
            | Self::GcpSecretManager(_)
            | Self::AzureKeyVault(_)
            | Self::Kubernetes(_)
            | Self::GithubActions(_)
            | Self::GitlabCi(_) => Manner::Place,
        }
    }
}

/// A server's address in one spelling: scheme and host in lower case, without the scheme's own port.
fn server(address: &str) -> String {
    let address = address.trim_end_matches('/');
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_lowercase() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (scheme, host) = (scheme.to_lowercase(), host.to_lowercase());
    let port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    format!("{scheme}://{}{path}", host.strip_suffix(port).unwrap_or(&host))
}

impl SharedSettings {
    pub fn new(settings: SinkSettings) -> Self {
        let id = LocationId::new(settings.reached());
        Self(Arc::new((settings, id)))
    }

    /// The settings alone, to be changed.
    pub fn to_settings(&self) -> SinkSettings {
        SinkSettings::clone(self)
    }
}

impl Deref for SharedSettings {
    type Target = SinkSettings;

    fn deref(&self) -> &SinkSettings {
        &self.0.0
    }
}

impl fmt::Debug for SharedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SinkSettings::fmt(self, f)
    }
}

impl PartialEq for SharedSettings {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || **self == **other
    }
}

impl Eq for SharedSettings {}

impl PartialOrd for SharedSettings {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SharedSettings {
    fn cmp(&self, other: &Self) -> Ordering {
        match Arc::ptr_eq(&self.0, &other.0) {
            true => Ordering::Equal,
            false => SinkSettings::cmp(self, other),
        }
    }
}

impl Serialize for SharedSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SinkSettings::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for SharedSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SinkSettings::deserialize(deserializer).map(Self::new)
    }
}

impl SinkLocation {
    pub fn new(sink: Name, at: SinkSettings) -> Self {
        Self { sink, at: SharedSettings::new(at) }
    }

    /// Two locations with the same id are the same place: writing one overwrites the other.
    ///
    /// It goes by what the settings reach and not by how they are spelt. Links are not followed here: the binary, which has
    /// a file system, replaces paths by what they lead to first ([`SinkSettings::path_mut`]).
    pub fn id(&self) -> LocationId {
        self.at.0.1.clone()
    }
}

impl fmt::Display for SinkLocation {
    /// The place as a person would point at it, after the sink's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A program may be called as a file is.
        let runs = if self.at.kind() == SinkKind::Command { "runs " } else { "" };
        write!(f, "{} ({runs}{})", self.sink, self.at.place())
    }
}

/// A path without `.` segments, doubled slashes, and with `a/..` folded, so that two spellings of a
/// file are one location. It looks at the text alone: links are followed nowhere.
fn normal_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            // There is nothing above the root.
            ".." if parts.is_empty() && path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
