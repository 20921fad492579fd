//! Where a key goes: a sink of the manifest, and the way behind gridkey's back to what it holds.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};
use serde_json::{Value as Json, json};

use crate::proxy::Proxy;
use crate::service::{Service, Value, Whom};

/// What other programs have in the files.
const DOTENV: &str = "# theirs\nexport OTHER='hunter2'\nSENDGRID_API_KEY=\nLAST=1\n";
const JSON: &str = "{\n  // theirs\n  \"other\": [1, 2.50],\n  \"mail\": { \"user\": \"shop\" }\n}\n";
const YAML: &str = "# theirs\nother: [1, 2.50]\nmail:\n  user: shop # of the shop\n";

/// A text of another program.
const THEIRS: &str = "theirs: \u{e9} \"quoted\"";

/// A sink, and who can look behind it.
pub struct Target {
    pub at: SinkLocation,
    behind: Behind,
}

enum Behind {
    /// A file of this machine, as any program reads it.
    File(PathBuf),
    Service {
        service: Arc<dyn Service>,
        proxy: Proxy,
        /// What the service was asked to call it.
        called: String,
        /// Another part of the document, or another document beside it, which gridkey is told nothing of.
        neighbour: SinkLocation,
    },
}

impl Target {
    /// A file in the folder; `None` where the kind is no plain file.
    pub fn file(folder: &Path, kind: SinkKind) -> Option<Self> {
        let (file, text, settings) = match kind {
            SinkKind::Dotenv => {
                (".env", DOTENV, json!({"dotenv": {"path": ".env", "variable": "SENDGRID_API_KEY"}}))
            }
            SinkKind::Json => {
                ("app.json", JSON, json!({"json": {"path": "app.json", "pointer": "/mail/api_key"}}))
            }
            SinkKind::Yaml => {
                ("app.yaml", YAML, json!({"yaml": {"path": "app.yaml", "pointer": "/mail/api_key"}}))
            }
            SinkKind::Command => (
                "stored",
                "",
                json!({"command": {
                    "put": ["sh", "-c", "umask 077; cat >stored"], "read": ["cat", "stored"],
                    "remove": ["sh", "-c", ": >stored"],
                }}),
            ),
            SinkKind::Age
            | SinkKind::Sops
            | SinkKind::Vault
            | SinkKind::AwsSecretsManager
            | SinkKind::AwsSsm
            | SinkKind::GcpSecretManager
            | SinkKind::AzureKeyVault
            | SinkKind::Kubernetes
            | SinkKind::GithubActions
            | SinkKind::GitlabCi => return None,
        };
        let path = folder.join(file);
        std::fs::write(&path, text).unwrap();
        // A plan tells of modes that change.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Some(Self { at: SinkLocation::new(name(kind), settings_of(settings)), behind: Behind::File(path) })
    }

    /// A location of a service that no other test has, behind a proxy of its own.
    pub async fn of(service: Arc<dyn Service>, kind: SinkKind, folder: &Path, at: &str, whom: Whom) -> Self {
        let proxy = Proxy::start(service.clone()).await;
        let mut location = service.location(proxy.address(), folder, at, whom).await;
        location.sink = name(kind);
        let neighbour = match service.beside(&location) {
            Some(neighbour) => neighbour,
            None => service.location(proxy.address(), folder, &format!("{at}-theirs"), whom).await,
        };
        let called = at.to_string();
        Self { at: location, behind: Behind::Service { service, proxy, called, neighbour } }
    }

    /// The same place, with the settings of another credential.
    pub async fn is_reached_as(&mut self, folder: &Path, whom: Whom) {
        let Behind::Service { service, proxy, called, .. } = &self.behind else { return };
        let location = service.location(proxy.address(), folder, called, whom).await;
        self.at = SinkLocation::new(self.at.sink.clone(), (*location.at).clone());
    }

    pub fn kind(&self) -> SinkKind {
        self.at.at.kind()
    }

    /// What is between gridkey and the service, where there is one.
    pub fn proxy(&self) -> Option<&Proxy> {
        match &self.behind {
            Behind::File(_) => None,
            Behind::Service { proxy, .. } => Some(proxy),
        }
    }

    pub fn service(&self) -> Option<&Arc<dyn Service>> {
        match &self.behind {
            Behind::File(_) => None,
            Behind::Service { service, .. } => Some(service),
        }
    }

    /// What another client than gridkey finds there.
    pub async fn value(&self) -> Value {
        match &self.behind {
            Behind::File(path) => secret_in(path).map_or(Value::Nothing, Value::Text),
            Behind::Service { service, .. } => service.value(&self.at).await,
        }
    }

    /// Another program writes beside it, and says all that can be said of it.
    pub async fn adorn(&self) {
        if let Behind::Service { service, neighbour, .. } = &self.behind {
            service.overwrite(neighbour, THEIRS).await;
            service.adorn(&self.at).await;
        }
    }

    /// What other programs wrote: the same text as long as all of it is there.
    pub async fn adornments(&self) -> String {
        match &self.behind {
            Behind::File(path) => {
                let text = std::fs::read_to_string(path).unwrap();
                secret_in(path).map_or(text.clone(), |secret| text.replace(&secret, "the key"))
            }
            Behind::Service { service, neighbour, .. } => {
                let neighbour = service.value(neighbour).await;
                format!("{neighbour:?} beside {}", service.adornments(&self.at).await)
            }
        }
    }
}

/// What the manifest calls the sink.
fn name(kind: SinkKind) -> Name {
    Name::new(kind.as_str().replace('_', "-")).unwrap()
}

pub fn settings_of(settings: Json) -> SinkSettings {
    serde_json::from_value(settings).unwrap()
}

/// The first key in a file.
pub fn secret_in(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let secret = &text[text.find("SG.")?..];
    let is_of_it = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    Some(secret.chars().take_while(|letter| is_of_it(*letter)).collect())
}
