//! Which environments a command is about: `--env`, held against the manifest and state.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use gridkey_core::Name;
use gridkey_core::manifest::Manifest;
use gridkey_core::plan::matches_pattern;
use gridkey_core::text::suggest::closest;

use crate::exit::CommandError;

/// `--env`: a name, or a pattern of those that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentChoice {
    Name(Name),
    Pattern(String),
}

impl EnvironmentChoice {
    /// The name, where it is one.
    pub fn name(&self) -> Option<Name> {
        match self {
            Self::Name(name) => Some(name.clone()),
            Self::Pattern(_) => None,
        }
    }
}

impl FromStr for EnvironmentChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains('*') {
            return Name::new(text).map(Self::Name).map_err(|error| error.to_string());
        }
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '*');
        match text.chars().all(fits) {
            true => Ok(Self::Pattern(text.to_string())),
            false => Err("a pattern holds lower-case letters, digits, `-` and `*`".to_string()),
        }
    }
}

impl fmt::Display for EnvironmentChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Pattern(pattern) => f.pad(pattern),
        }
    }
}

/// What becomes of an environment that state knows and the manifest has no block for any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It is an error that names the way out.
    Refused,
    /// It is chosen all the same, as by a command that ends it.
    Allowed,
}

/// The environments that were chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// `None` stands for every environment that does not come from a pattern.
    pub names: Option<BTreeSet<Name>>,
    /// Those of them that the manifest has to make, where they come from a pattern.
    pub requested: Vec<Name>,
}

/// Holds `--env` against what there is.
///
/// # Errors
/// A name or a pattern that nothing goes by, as a usage error; one that only state knows.
pub fn choose(
    choices: &[EnvironmentChoice],
    manifest: &Manifest,
    owned: &BTreeSet<Name>,
    gone: Gone,
) -> Result<Chosen, CommandError> {
    if choices.is_empty() {
        return Ok(Chosen::default());
    }
    let has_block = |name: &Name| {
        manifest.environments.contains_key(name)
            || manifest.patterns.keys().any(|pattern| matches_pattern(pattern, name.as_str()))
    };
    let mut names = BTreeSet::new();
    for choice in choices {
        match choice {
            EnvironmentChoice::Name(name) if has_block(name) => {
                names.insert(name.clone());
            }
            EnvironmentChoice::Name(name) if !owned.contains(name) => {
                let named = manifest.environments.keys().map(Name::as_str);
                let patterns = manifest.patterns.keys().map(String::as_str);
                let all: Vec<String> =
                    named.clone().chain(patterns).map(|name| format!("`{name}`")).collect();
                let known: BTreeSet<&str> = named.chain(owned.iter().map(Name::as_str)).collect();
                let meant = match closest(name.as_str(), &known) {
                    Some(meant) => format!(", did you mean `{meant}`?"),
                    None => String::new(),
                };
                let help = match all.is_empty() {
                    true => "the manifest has no environments".to_string(),
                    false => format!("the manifest has {}", all.join(", ")),
                };
                return Err(
                    CommandError::usage(format!("there is no environment `{name}`{meant}")).help(help)
                );
            }
            EnvironmentChoice::Name(name) if gone == Gone::Allowed => {
                names.insert(name.clone());
            }
            EnvironmentChoice::Name(name) => {
                return Err(CommandError::usage(format!(
                    "environment `{name}` is no longer in the manifest, and state owns keys in it"
                ))
                .help(format!("`gridkey destroy --env {name}` ends it; or put its block back")));
            }
            EnvironmentChoice::Pattern(pattern) => {
                let matches = |name: &&Name| matches_pattern(pattern, name.as_str());
                let before = names.len();
                names.extend(manifest.environments.keys().chain(owned).filter(matches).cloned());
                let known = manifest.patterns.keys().any(|known| matches_pattern(pattern, known));
                if names.len() == before && !known {
                    return Err(CommandError::usage(format!("no environment matches `{pattern}`"))
                        .help("`gridkey environments list` shows those there are"));
                }
            }
        }
    }
    let requested = names.iter().filter(|name| has_block(name) || !owned.contains(*name)).cloned().collect();
    Ok(Chosen { names: Some(names), requested })
}
