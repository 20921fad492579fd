//! `--emulator`: every account of the manifest, answered by an emulated SendGrid in this process.
//!
//! Nothing outside the emulator's folder is read or written, no credential is looked for, no command run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gridkey_core::Name;
use gridkey_core::manifest::Manifest;
use gridkey_emulator::{Model, Server, ServerSettings, Settings, Snapshot};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::exit::CommandError;

/// A running emulator, and where it keeps things.
pub struct Emulated {
    server: Server,
    folder: PathBuf,
    /// By parent account.
    keys: BTreeMap<Name, String>,
}

impl Emulated {
    /// Starts the emulator that belongs to the manifest in `base`.
    pub async fn start(manifest: &Manifest, base: &Path) -> Result<Self, CommandError> {
        let folder = folder(base);
        let data = folder.join("sendgrid.json");
        let snapshot = load(&data)?;
        let mut model = Model::with_data(Settings::default(), rand::random(), snapshot);
        let mut keys = BTreeMap::new();
        for (name, account) in &manifest.accounts {
            match (&account.parent, &account.on_behalf_of) {
                (Some(parent), Some(child)) => model.child(parent.as_str(), &child.to_string()),
                _ => {
                    keys.insert(name.clone(), model.parent(name.as_str(), Timestamp::now()));
                }
            }
        }
        let settings = ServerSettings { data: Some(data), ..ServerSettings::default() };
        let server = Server::start(model, settings)
            .await
            .map_err(|error| CommandError::new("the emulator could not be started").because(&error))?;
        Ok(Self { server, folder, keys })
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Where state is kept, whatever the manifest says.
    pub fn state(&self) -> PathBuf {
        self.folder.join(STATE)
    }

    /// Where sinks keep their values.
    pub fn sinks(&self) -> PathBuf {
        self.folder.join("sinks")
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The managing key of a parent account.
    pub fn managing_key(&self, parent: &Name) -> Option<SecretString> {
        self.keys.get(parent).map(|key| SecretString::from(key.clone()))
    }
}

/// Where state is kept in the emulator's folder.
const STATE: &str = "state";

/// Where state of the manifest in `base` is kept, whatever the manifest says.
pub fn state_folder(base: &Path) -> PathBuf {
    folder(base).join(STATE)
}

/// The emulator's folder beside a manifest.
pub fn folder(base: &Path) -> PathBuf {
    base.join(".gridkey").join("emulator")
}

/// What an emulator kept, or an empty SendGrid.
pub fn load(path: &Path) -> Result<Snapshot, CommandError> {
    match std::fs::read(path) {
        Ok(bytes) => Snapshot::parse(&bytes).map_err(|error| {
            CommandError::new(format!("the emulator's data in {} cannot be used", path.display()))
                .because(&error)
                .help("delete the file to start with an empty SendGrid")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Snapshot::default()),
        Err(error) => Err(CommandError::new(format!("{} cannot be read", path.display())).because(&error)),
    }
}
