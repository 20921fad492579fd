//! Where secrets are delivered to, and what is there.

use std::fmt::Write as _;

use serde_json::Value;

use crate::site::Site;

/// A sink that both projects have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sink {
    /// A file for each environment of a project.
    Own,
    /// One file of each kind for everything of both projects.
    Dotenv,
    Json,
    Yaml,
}

/// The place of one secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    pub file: String,
    entry: Vec<String>,
    sink: Sink,
}

impl Sink {
    pub const ALL: [Self; 4] = [Self::Own, Self::Dotenv, Self::Json, Self::Yaml];

    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Dotenv => "dotenv",
            Self::Json => "json",
            Self::Yaml => "yaml",
        }
    }

    /// Its block of a manifest.
    pub fn block(self, project: &str) -> String {
        let settings = match self {
            Self::Own => r#"dotenv: { path: ".env.{environment}", variable: "SENDGRID_{KEY}" }"#.to_string(),
            Self::Dotenv => {
                format!(
                    r#"dotenv: {{ path: ../shared/.env, variable: "{project}_{{ENVIRONMENT}}_{{KEY}}" }}"#
                )
            }
            Self::Json => {
                format!(
                    r#"json: {{ path: ../shared/config.json, pointer: "/{project}/{{environment}}/{{key}}" }}"#
                )
            }
            Self::Yaml => {
                format!(
                    r#"yaml: {{ path: ../shared/config.yaml, pointer: "/{project}/{{environment}}/{{key}}" }}"#
                )
            }
        };
        format!("  {}: {{ {settings} }}\n", self.name())
    }

    /// Where it puts a key.
    pub fn location(self, project: &str, environment: &str, key: &str) -> Location {
        let upper = |text: &str| text.to_uppercase().replace('-', "_");
        let (file, entry) = match self {
            Self::Own => (format!("{project}/.env.{environment}"), vec![format!("SENDGRID_{}", upper(key))]),
            Self::Dotenv => {
                let variable = format!("{project}_{}_{}", upper(environment), upper(key));
                ("shared/.env".to_string(), vec![variable])
            }
            Self::Json | Self::Yaml => {
                let entry = [project, environment, key].map(ToString::to_string).to_vec();
                (format!("shared/config.{}", self.name()), entry)
            }
        };
        Location { file, entry, sink: self }
    }
}

impl Location {
    /// What is there.
    ///
    /// # Errors
    /// A file that is not whole.
    pub fn held(&self, site: &Site) -> Result<Option<String>, String> {
        let Ok(text) = std::fs::read_to_string(site.path(&self.file)) else { return Ok(None) };
        let broken = |error: String| format!("{} is not whole: {error}", self.file);
        let value: Value = match self.sink {
            Sink::Own | Sink::Dotenv => {
                let mut lines = text.lines().filter_map(|line| line.split_once('='));
                let line = lines.find(|(name, _)| *name == self.entry[0]);
                return Ok(line.map(|(_, value)| value.to_string()).filter(|value| !value.is_empty()));
            }
            Sink::Json => serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?,
            Sink::Yaml => serde_yaml::from_str(&text).map_err(|error| broken(error.to_string()))?,
        };
        let at = self.entry.iter().fold(&value, |value, part| &value[part]);
        Ok(at.as_str().filter(|text| !text.is_empty()).map(ToString::to_string))
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        f.write_char('#')?;
        f.write_str(&self.entry.join("/"))
    }
}
