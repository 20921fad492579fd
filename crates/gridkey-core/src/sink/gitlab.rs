//! CI/CD variables of GitLab.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{
    Described, Fault, Reached, TOGETHER, VARIABLE, address, only, path as file_path, path_parts, programs,
    server, unless, unless_any,
};
use crate::credential::Credential;

/// A CI/CD variable of a GitLab project, of a group, or of the whole instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitlabCiSettings {
    /// The server's address; `https://gitlab.com` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The project's path or number; this, `group` or `instance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The group's path or number, for a variable of all its projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `true` for a variable of every project of the instance, which its administrators set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<bool>,
    /// The variable's name.
    pub variable: String,
    /// The environment scope; `*` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_scope: Option<String>,
    /// Whether job logs hide the value; the default is `true`, and one that is there keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked: Option<bool>,
    /// Whether nobody is ever shown the value, gridkey included. GitLab takes it when the variable is made, and never
    /// changes it. Instance variables cannot be hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// Whether only jobs of protected branches and tags get it; the default is `false`, and one that is there keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    /// `env_var` (the default) or `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["env_var", "file"]))]
    pub variable_type: Option<String>,
    /// The description of a variable that gridkey makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where the token is found; `GITLAB_TOKEN` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Credential>,
    /// A file with the certificates of further authorities, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
}

const PATH: &str = "write the path as the browser shows it (`group/name`), or the number in quotes";

/// A path of groups and a project, or a number. A dot is a part of a name, and never a name alone.
fn is_path(text: &str) -> bool {
    let text = text.trim_matches('/');
    let is_part = |part: &str| !part.trim_matches('.').is_empty() && part != "-";
    !text.is_empty() && only(text, "-_./") && text.split('/').all(is_part) && !text.ends_with(".git")
}

/// What an address has that was taken from a request.
fn is_of_the_api(address: &str) -> bool {
    let is_version = |text: &str| {
        text.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    path_parts(address).windows(2).any(|two| two[0] == "api" && is_version(two[1]))
}

pub const GITLAB: &str = "https://gitlab.com";

impl GitlabCiSettings {
    fn owner(&self) -> String {
        match (&self.project, &self.group) {
            (Some(project), _) => project.clone(),
            (None, Some(group)) => format!("groups/{group}"),
            (None, None) => "instance".to_string(),
        }
    }
}

impl Described for GitlabCiSettings {
    fn place(&self) -> String {
        let Self {
            address,
            project: _,
            group: _,
            instance: _,
            variable,
            environment_scope,
            masked: _,
            hidden: _,
            protected: _,
            variable_type: _,
            description: _,
            token: _,
            ca_bundle: _,
        } = self;
        format!(
            "{}/{}/{variable}@{}",
            address.as_deref().unwrap_or(GITLAB).trim_end_matches('/'),
            self.owner(),
            environment_scope.as_deref().unwrap_or("*"),
        )
    }

    fn reached(&self) -> Option<String> {
        Some(format!(
            "gitlab_ci:{}/{}/{}@{}",
            server(self.address.as_deref().unwrap_or(GITLAB)),
            self.owner().trim_matches('/').to_lowercase(),
            self.variable,
            self.environment_scope.as_deref().unwrap_or("*"),
        ))
    }

    fn is_readable(&self) -> bool {
        self.hidden != Some(true)
    }

    fn faults(&self) -> Vec<Fault> {
        let is_instance = self.instance == Some(true);
        let owners = [self.project.is_some(), self.group.is_some(), is_instance];
        let is_variable = super::describe::is_variable(&self.variable) && self.variable.len() <= 255;
        vec![
            ("variable", unless(is_variable, VARIABLE)),
            (
                TOGETHER,
                unless(
                    owners.into_iter().filter(|is_there| *is_there).count() == 1,
                    "say whose variable it is: `project: PATH`, `group: PATH` or `instance: true`, one of them",
                ),
            ),
            ("project", unless_any(self.project.as_ref(), |path| is_path(path), PATH)),
            ("group", unless_any(self.group.as_ref(), |path| is_path(path), PATH)),
            (
                "environment_scope",
                unless_any(
                    self.environment_scope.as_ref(),
                    |scope| !scope.is_empty() && scope.len() <= 255 && only(scope, "_-/${}. *"),
                    "a scope has letters, digits, blanks and `_-/.*${}`, 255 characters at most",
                ),
            ),
            ("address", self.address.as_deref().map_or("", address)),
            (
                "address",
                unless_any(
                    self.address.as_ref(),
                    |address| !is_of_the_api(address),
                    "write the server's own address, as the browser shows it: gridkey adds `/api/v4`",
                ),
            ),
            (
                "environment_scope",
                unless(
                    !is_instance || self.environment_scope.is_none(),
                    "variables of the instance have no scope",
                ),
            ),
            (
                "hidden",
                unless(
                    !is_instance || self.hidden != Some(true),
                    "variables of the instance cannot be hidden",
                ),
            ),
            (
                "masked",
                unless(
                    self.hidden != Some(true) || self.masked != Some(false),
                    "what is hidden is masked as well; leave it out",
                ),
            ),
            (
                "variable_type",
                unless_any(
                    self.variable_type.as_ref(),
                    |text| ["env_var", "file"].contains(&text.as_str()),
                    "it is `env_var` or `file`",
                ),
            ),
            ("ca_bundle", self.ca_bundle.as_deref().map_or("", file_path)),
        ]
    }

    fn reaches(&self) -> Vec<Reached<'_>> {
        let endpoint = Reached::Endpoint(self.address.as_deref().unwrap_or(GITLAB));
        std::iter::once(endpoint).chain(programs(&self.token)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of the faults that there are.
    fn faults(text: &str) -> Vec<&'static str> {
        let settings: GitlabCiSettings = serde_json::from_str(text).expect(text);
        settings.faults().into_iter().filter(|(_, help)| !help.is_empty()).map(|(field, _)| field).collect()
    }

    #[test]
    fn what_gitlab_would_refuse_is_told_without_asking_it() {
        for (text, field) in [
            (r#"{"project": "acme/shop", "variable": "MAIL-KEY"}"#, "variable"),
            (&format!(r#"{{"project": "acme/shop", "variable": "{}"}}"#, "K".repeat(256)), "variable"),
            (r#"{"variable": "KEY"}"#, TOGETHER),
            (r#"{"project": "acme/shop", "group": "acme", "variable": "KEY"}"#, TOGETHER),
            (r#"{"project": "acme/shop", "instance": true, "variable": "KEY"}"#, TOGETHER),
            (r#"{"project": "acme%2Fshop", "variable": "KEY"}"#, "project"),
            (r#"{"project": "acme/../shop", "variable": "KEY"}"#, "project"),
            (r#"{"project": "acme/shop.git", "variable": "KEY"}"#, "project"),
            (r#"{"project": "https://gitlab.com/acme/shop", "variable": "KEY"}"#, "project"),
            (r#"{"project": "acme/shop/-/settings", "variable": "KEY"}"#, "project"),
            (r#"{"group": "", "variable": "KEY"}"#, "group"),
            (
                r#"{"project": "acme/shop", "variable": "KEY", "environment_scope": "a,b"}"#,
                "environment_scope",
            ),
            (r#"{"project": "acme/shop", "variable": "KEY", "environment_scope": ""}"#, "environment_scope"),
            (r#"{"instance": true, "variable": "KEY", "environment_scope": "*"}"#, "environment_scope"),
            (r#"{"instance": true, "variable": "KEY", "hidden": true}"#, "hidden"),
            (r#"{"project": "acme/shop", "variable": "KEY", "hidden": true, "masked": false}"#, "masked"),
            (r#"{"project": "acme/shop", "variable": "KEY", "variable_type": "text"}"#, "variable_type"),
            (r#"{"project": "acme/shop", "variable": "KEY", "address": "gitlab.acme.com"}"#, "address"),
            (
                r#"{"instance": true, "variable": "KEY", "address": "https://gitlab.acme.com/api/v4"}"#,
                "address",
            ),
            (
                r#"{"instance": true, "variable": "KEY", "address": "https://acme.com/git/api/v4/"}"#,
                "address",
            ),
            (
                r#"{"instance": true, "variable": "KEY", "address": "https://acme.com/api/v4/projects/7"}"#,
                "address",
            ),
        ] {
            assert_eq!(faults(text), [field], "{text}");
        }
        for text in [
            r#"{"project": "Acme/tools/shop.js", "variable": "KEY", "environment_scope": "review/*", "hidden": true}"#,
            r#"{"group": "7", "variable": "KEY", "masked": false, "variable_type": "file"}"#,
            r#"{"instance": true, "variable": "KEY"}"#,
            r#"{"instance": true, "variable": "KEY", "address": "https://acme.com/api/git/"}"#,
        ] {
            assert_eq!(faults(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn a_hidden_variable_can_never_be_looked_at() {
        let settings = |hidden| GitlabCiSettings { hidden, ..GitlabCiSettings::default() };
        assert!(settings(None).is_readable() && settings(Some(false)).is_readable());
        assert!(!settings(Some(true)).is_readable());
    }
}
