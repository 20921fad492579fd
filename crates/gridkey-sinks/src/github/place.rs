//! Whose secrets they are: paths of the API, permissions by their names, words.

use std::fmt;

use gridkey_core::sink::GithubActionsSettings;
use serde_json::{Value, json};

/// The owner of a store of secrets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner<'a> {
    Repository { owner: &'a str, name: &'a str },
    Environment { owner: &'a str, name: &'a str, environment: &'a str },
    Organization(&'a str),
}

/// Where a secret is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub owner: Owner<'a>,
    /// `actions`, `dependabot` or `codespaces`.
    store: &'a str,
}

impl<'a> Place<'a> {
    /// `None` where the settings do not say whose secret it is, which their faults tell.
    pub fn of(settings: &'a GithubActionsSettings) -> Option<Self> {
        let owner = match (&settings.repository, &settings.environment, &settings.organization) {
            (Some(repository), environment, _) => {
                let (owner, name) = repository.split_once('/')?;
                match environment {
                    Some(environment) => Owner::Environment { owner, name, environment },
                    None => Owner::Repository { owner, name },
                }
            }
            (None, _, Some(organization)) => Owner::Organization(organization),
            (None, _, None) => return None,
        };
        Some(Self { owner, store: settings.store.as_deref().unwrap_or("actions") })
    }

    /// The path of the secrets, segment by segment, as each is encoded by itself and once.
    pub fn secrets(&self) -> Vec<&'a str> {
        match self.owner {
            Owner::Repository { owner, name } => vec!["repos", owner, name, self.store, "secrets"],
            Owner::Environment { owner, name, environment } => {
                vec!["repos", owner, name, "environments", environment, "secrets"]
            }
            Owner::Organization(name) => vec!["orgs", name, self.store, "secrets"],
        }
    }

    pub fn secret(&self, name: &'a str) -> Vec<&'a str> {
        [self.secrets(), vec![name]].concat()
    }

    /// A key is of one store of one owner: what was sealed with another one's is taken and is garbage in the job.
    pub fn public_key(&self) -> Vec<&'a str> {
        [self.secrets(), vec!["public-key"]].concat()
    }

    /// The repository that the secret is of or in.
    pub fn repository(&self) -> Option<Vec<&'a str>> {
        match self.owner {
            Owner::Repository { owner, name } | Owner::Environment { owner, name, environment: _ } => {
                Some(vec!["repos", owner, name])
            }
            Owner::Organization(_) => None,
        }
    }

    /// The permissions, as tokens and apps call them, with which a secret can be written.
    pub fn permissions(&self) -> &'static [&'static str] {
        match (self.owner, self.store) {
            (Owner::Environment { .. }, _) => &["secrets", "environments"],
            (Owner::Repository { .. }, "dependabot") => &["dependabot_secrets"],
            (Owner::Repository { .. }, "codespaces") => &["codespaces_secrets"],
            (Owner::Repository { .. }, _) => &["secrets"],
            (Owner::Organization(_), "dependabot") => &["organization_dependabot_secrets"],
            (Owner::Organization(_), "codespaces") => &["organization_codespaces_secrets"],
            (Owner::Organization(_), _) => &["organization_secrets"],
        }
    }

    /// The scope of a classic token that allows the same.
    pub fn classic_scope(&self) -> &'static str {
        match self.owner {
            Owner::Repository { .. } | Owner::Environment { .. } => "repo",
            Owner::Organization(_) => "admin:org",
        }
    }

    /// Numbers of repositories as the store takes them: Dependabot's wants texts.
    pub fn numbers(&self, numbers: &[u64]) -> Vec<Value> {
        let number = |number: &u64| match self.store {
            "dependabot" => json!(number.to_string()),
            _ => json!(number),
        };
        numbers.iter().map(number).collect()
    }

    /// What a token needs, for a help.
    pub fn need(&self) -> String {
        let permissions: Vec<String> =
            self.permissions().iter().map(|name| format!("`{name}: write`")).collect();
        let scope = self.classic_scope();
        format!("the token or app needs {}, a classic token the scope `{scope}`", permissions.join(" and "))
    }
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository { owner, name } => write!(f, "the repository `{owner}/{name}`"),
            Self::Environment { owner, name, environment } => {
                write!(f, "the environment `{environment}` of `{owner}/{name}`")
            }
            Self::Organization(name) => write!(f, "the organisation `{name}`"),
        }
    }
}
