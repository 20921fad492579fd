//! Secrets of GitHub: of Actions, Dependabot and Codespaces.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{
    Described, Fault, PickUp, Reached, TOGETHER, address, is_variable, only, path as file_path, programs,
    server, unless, unless_any,
};
use crate::credential::Credential;

/// A secret of a GitHub repository, of one of its environments, or of an organisation. It can be written but never read.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubActionsSettings {
    /// `owner/name`; this or `organization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The organisation, for a secret of many repositories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The deployment environment; without it the secret is the repository's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The secret's name.
    pub secret: String,
    /// Whose secrets they are: `actions` (the default), `dependabot` or `codespaces`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["actions", "dependabot", "codespaces"]))]
    pub store: Option<String>,
    /// Which repositories of an organisation see the secret: `all`, `private` or `selected`. A secret that is there keeps
    /// its own where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["all", "private", "selected"]))]
    pub visibility: Option<String>,
    /// The names of the repositories that see it where `visibility` is `selected`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selected_repositories: Vec<String>,
    /// How to log in; the token of `GH_TOKEN` or `GITHUB_TOKEN` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<GithubAuthSettings>,
    /// The address of the API; `https://api.github.com` where it is not given, `https://HOST/api/v3` for GitHub Enterprise
    /// Server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// A file with the certificates of further authorities, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
}

/// How to log in to GitHub.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GithubAuthSettings {
    /// A token: a fine-grained or a classic one, or an installation's.
    Token(Credential),
    /// A GitHub App.
    App(GithubAppSettings),
}

/// A GitHub App that is installed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubAppSettings {
    /// The app's client id or its number.
    pub client_id: String,
    /// The installation's number, in quotes.
    pub installation_id: String,
    /// Where the app's private key is found, in PEM.
    pub private_key: Credential,
}

pub const API: &str = "https://api.github.com";

/// The name of a repository. GitHub takes a `.git` at its end for the address that Git knows it by.
fn is_segment(text: &str) -> bool {
    !text.is_empty() && only(text, "-_.") && text != "." && text != ".." && !text.ends_with(".git")
}

/// The name of a user or an organisation, which no host can be taken for.
fn is_owner(text: &str) -> bool {
    !text.is_empty() && only(text, "-_")
}

fn is_repository(text: &str) -> bool {
    text.split_once('/').is_some_and(|(owner, name)| is_owner(owner) && is_segment(name))
}

impl GithubActionsSettings {
    fn auth_fault(&self) -> &'static str {
        let Some(GithubAuthSettings::App(app)) = &self.auth else { return "" };
        if self.organization.is_some() && self.store.as_deref() == Some("codespaces") {
            return "GitHub lets no app write Codespaces secrets of an organisation; use a `token`";
        }
        if app.client_id.is_empty() || !only(&app.client_id, "._-") {
            return "`client_id` is the app's client id (`Iv23…`) or its number";
        }
        let is_number =
            !app.installation_id.is_empty() && app.installation_id.bytes().all(|b| b.is_ascii_digit());
        unless(is_number, "`installation_id` is a number, in quotes")
    }
}

impl Described for GithubActionsSettings {
    fn place(&self) -> String {
        let Self {
            repository,
            organization,
            environment,
            secret,
            store,
            visibility: _,
            selected_repositories: _,
            auth: _,
            api_url,
            ca_bundle: _,
        } = self;
        // A secret's name has no slash, so the parts before it tell whose it is.
        let owner = match (repository, organization, environment) {
            (Some(repository), _, Some(environment)) => format!("{repository}/{environment}"),
            (Some(owner), _, None) | (None, Some(owner), _) => owner.clone(),
            (None, None, _) => String::new(),
        };
        let server = api_url
            .as_deref()
            .map(server)
            .filter(|url| url != API)
            .map_or(String::new(), |url| format!("{url}/"));
        let store = store
            .as_deref()
            .filter(|store| *store != "actions")
            .map_or(String::new(), |store| format!("@{store}"));
        format!("{server}{owner}/{secret}{store}")
    }

    /// GitHub's names ignore case, those of repositories and environments too.
    fn reached(&self) -> Option<String> {
        Some(format!("github_actions:{}", self.place().to_lowercase()))
    }

    /// GitHub asks its clients to write one thing after the other.
    fn container(&self) -> Option<String> {
        Some(format!("github_actions:{}", server(self.api_url.as_deref().unwrap_or(API))))
    }

    fn is_readable(&self) -> bool {
        false
    }

    /// Runs that were queued before hold the older value until they end.
    fn pick_up(&self) -> PickUp {
        PickUp::Within(Duration::from_secs(24 * 60 * 60))
    }

    fn faults(&self) -> Vec<Fault> {
        let name = self.secret.to_ascii_uppercase();
        let is_organization = self.organization.is_some();
        let is_store = |store: &String| ["actions", "dependabot", "codespaces"].contains(&store.as_str());
        let store = self.store.as_deref().unwrap_or("actions");
        vec![
            (
                "secret",
                unless(
                    is_variable(&self.secret) && !name.starts_with("GITHUB_"),
                    "letters, digits and `_`, no digit first, and not `GITHUB_` in front",
                ),
            ),
            (
                "repository",
                unless_any(
                    self.repository.as_ref(),
                    |text| is_repository(text),
                    "write `owner/name` alone, without an address before it or `.git` behind it",
                ),
            ),
            (
                TOGETHER,
                unless(
                    self.repository.is_some() != is_organization,
                    "say whose secret it is: `repository: owner/name` or `organization: name`, one of them",
                ),
            ),
            (
                "organization",
                unless_any(
                    self.organization.as_ref(),
                    |name| is_owner(name),
                    "write the organisation's name alone",
                ),
            ),
            (
                "environment",
                unless(
                    self.environment.is_none() || !is_organization,
                    "environments are those of a repository",
                ),
            ),
            (
                "environment",
                unless(
                    self.environment.is_none() || store == "actions",
                    "Dependabot and Codespaces have no secrets of environments",
                ),
            ),
            (
                "environment",
                unless_any(
                    self.environment.as_ref(),
                    |name| {
                        !name.trim().is_empty() && !["..", "."].contains(&name.as_str()) && name.len() <= 255
                    },
                    "write the environment's name as GitHub shows it; it has 255 characters at most",
                ),
            ),
            (
                "store",
                unless_any(self.store.as_ref(), is_store, "it is `actions`, `dependabot` or `codespaces`"),
            ),
            (
                "visibility",
                unless_any(
                    self.visibility.as_ref(),
                    |text| ["all", "private", "selected"].contains(&text.as_str()),
                    "it is `all`, `private` or `selected`, of an organisation's secret",
                ),
            ),
            (
                "visibility",
                unless(
                    self.visibility.is_none() || is_organization,
                    "it is for the secret of an organisation; a repository's own has none, so take it out",
                ),
            ),
            (
                "selected_repositories",
                unless(
                    self.selected_repositories.is_empty() || self.visibility.as_deref() == Some("selected"),
                    "it goes with `visibility: selected`",
                ),
            ),
            (
                "selected_repositories",
                unless(
                    self.selected_repositories.iter().all(|name| is_segment(name)),
                    "write the names of the repositories alone, without the organisation's",
                ),
            ),
            ("auth", self.auth_fault()),
            ("api_url", self.api_url.as_deref().map_or("", address)),
            ("ca_bundle", self.ca_bundle.as_deref().map_or("", file_path)),
        ]
    }

    fn reaches(&self) -> Vec<Reached<'_>> {
        let credential = match &self.auth {
            None => None,
            Some(GithubAuthSettings::Token(token)) => Some(token),
            Some(GithubAuthSettings::App(app)) => Some(&app.private_key),
        };
        let endpoint = Reached::Endpoint(self.api_url.as_deref().unwrap_or(API));
        std::iter::once(endpoint).chain(programs(credential)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Name, SinkLocation, SinkSettings};

    fn settings(text: &str) -> GithubActionsSettings {
        serde_json::from_str(text).expect(text)
    }

    /// The fields of the faults that there are.
    fn faults(text: &str) -> Vec<&'static str> {
        let faults = settings(text).faults();
        faults.into_iter().filter(|(_, help)| !help.is_empty()).map(|(field, _)| field).collect()
    }

    #[test]
    fn what_github_would_refuse_is_told_without_asking_it() {
        for (text, field) in [
            (r#"{"repository": "acme/shop", "secret": "1KEY"}"#, "secret"),
            (r#"{"repository": "acme/shop", "secret": "MAIL-KEY"}"#, "secret"),
            (r#"{"repository": "acme/shop", "secret": "github_key"}"#, "secret"),
            (r#"{"secret": "KEY"}"#, TOGETHER),
            (r#"{"repository": "acme/shop", "organization": "acme", "secret": "KEY"}"#, TOGETHER),
            (r#"{"repository": "shop", "secret": "KEY"}"#, "repository"),
            (r#"{"repository": "acme/..", "secret": "KEY"}"#, "repository"),
            (r#"{"repository": "acme/shop?", "secret": "KEY"}"#, "repository"),
            (r#"{"repository": "acme/shop.git", "secret": "KEY"}"#, "repository"),
            (r#"{"repository": "https://github.com/acme/shop", "secret": "KEY"}"#, "repository"),
            (r#"{"repository": "github.com/acme", "secret": "KEY"}"#, "repository"),
            (r#"{"repository": "git@github.com:acme/shop.git", "secret": "KEY"}"#, "repository"),
            (r#"{"repository": "acme/shop/settings", "secret": "KEY"}"#, "repository"),
            (r#"{"organization": "acme/shop", "secret": "KEY"}"#, "organization"),
            (r#"{"organization": "acme", "environment": "production", "secret": "KEY"}"#, "environment"),
            (
                r#"{"repository": "acme/shop", "environment": "x", "store": "dependabot", "secret": "KEY"}"#,
                "environment",
            ),
            (r#"{"repository": "acme/shop", "environment": "..", "secret": "KEY"}"#, "environment"),
            (r#"{"repository": "acme/shop", "environment": "", "secret": "KEY"}"#, "environment"),
            (r#"{"repository": "acme/shop", "store": "agents", "secret": "KEY"}"#, "store"),
            (r#"{"repository": "acme/shop", "visibility": "all", "secret": "KEY"}"#, "visibility"),
            (
                r#"{"organization": "acme", "selected_repositories": ["shop"], "secret": "KEY"}"#,
                "selected_repositories",
            ),
            (
                r#"{"organization": "acme", "visibility": "selected", "selected_repositories": ["acme/shop"], "secret": "KEY"}"#,
                "selected_repositories",
            ),
            (r#"{"repository": "acme/shop", "secret": "KEY", "api_url": "ghe.acme.com"}"#, "api_url"),
            (
                r#"{"organization": "acme", "store": "codespaces", "secret": "KEY",
                    "auth": {"app": {"client_id": "Iv23", "installation_id": "1", "private_key": {"env": "K"}}}}"#,
                "auth",
            ),
            (
                r#"{"repository": "acme/shop", "secret": "KEY",
                    "auth": {"app": {"client_id": "Iv23", "installation_id": "acme", "private_key": {"env": "K"}}}}"#,
                "auth",
            ),
        ] {
            assert_eq!(faults(text), [field], "{text}");
        }
        for text in [
            r#"{"repository": "acme/shop.js", "environment": "review/eu west", "secret": "sendgrid_key"}"#,
            r#"{"organization": "acme", "visibility": "selected", "selected_repositories": ["shop", "a.b"], "secret": "KEY"}"#,
            r#"{"organization": "acme", "store": "codespaces", "secret": "KEY", "auth": {"token": {"env": "T"}}}"#,
        ] {
            assert_eq!(faults(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn spellings_of_one_secret_are_one_location_and_stores_are_apart() {
        let id = |text: &str| {
            let at = SinkSettings::GithubActions(settings(text));
            SinkLocation::new(Name::new("any").expect("a name"), at).id()
        };
        let plain = r#"{"repository": "acme/shop", "environment": "production", "secret": "KEY"}"#;
        for other in [
            r#"{"repository": "Acme/Shop", "environment": "Production", "secret": "key"}"#,
            r#"{"repository": "acme/shop", "environment": "production", "secret": "KEY", "store": "actions"}"#,
            r#"{"repository": "acme/shop", "environment": "production", "secret": "KEY", "api_url": "https://API.github.com:443/"}"#,
        ] {
            assert_eq!(id(plain), id(other), "{other}");
        }
        for other in [
            r#"{"repository": "acme/shop", "secret": "KEY"}"#,
            r#"{"organization": "acme", "secret": "KEY"}"#,
            r#"{"repository": "acme/shop", "environment": "production", "secret": "KEY", "api_url": "https://ghe.acme.com/api/v3"}"#,
            r#"{"repository": "acme/shop", "secret": "KEY", "store": "dependabot"}"#,
        ] {
            assert_ne!(id(plain), id(other), "{other}");
        }
    }
}
