//! The machine as sinks see it: a folder, variables, credentials, the network.

use std::collections::BTreeMap;
use std::env::VarError;
use std::path::{Path, PathBuf};

use gridkey_core::credential::Credential;
use gridkey_engine::ports::{SinkError, SinkFault};
use zeroize::Zeroizing;

use crate::credential;
use crate::http::Http;

/// What sinks have in common.
pub(crate) struct Machine {
    /// What relative paths of a manifest are relative to.
    folder: PathBuf,
    variables: Variables,
    pub http: Http,
}

/// Where variables are looked up.
enum Variables {
    Environment,
    /// These alone.
    Given(BTreeMap<String, String>),
}

impl Machine {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, variables: Variables::Environment, http: Http::default() }
    }

    pub fn with_variables(self, variables: BTreeMap<String, String>) -> Self {
        Self { variables: Variables::Given(variables), ..self }
    }

    /// A path of the manifest.
    pub fn path(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/").and_then(|rest| Some(Path::new(&self.variable("HOME")?).join(rest))) {
            Some(path) => path,
            None => self.folder.join(path),
        }
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.look_up(name).ok().filter(|value| !value.is_empty())
    }

    fn look_up(&self, name: &str) -> Result<String, VarError> {
        match &self.variables {
            Variables::Environment => std::env::var(name),
            Variables::Given(given) => given.get(name).cloned().ok_or(VarError::NotPresent),
        }
    }

    /// A credential of a sink, for its service.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn credential(&self, credential: &Credential) -> Result<Zeroizing<String>, SinkError> {
        let found = credential::find(credential, &self.folder, |name| self.look_up(name)).await;
        let found = found.map_err(|message| SinkError::new(SinkFault::Unauthenticated, message))?;
        Ok(found.value)
    }

    /// The first of these variables that is set.
    pub fn first_variable(&self, names: &[&str]) -> Option<Zeroizing<String>> {
        names.iter().find_map(|name| self.variable(name)).map(Zeroizing::new)
    }
}
