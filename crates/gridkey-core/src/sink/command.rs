//! Commands that store a secret.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{Described, Fault, Reached, unless};

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

impl Described for CommandSettings {
    fn place(&self) -> String {
        let Self { put, read: _, absent_exit: _, remove: _, env: _ } = self;
        put.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    fn is_readable(&self) -> bool {
        self.read.is_some()
    }

    fn faults(&self) -> Vec<Fault> {
        let program = |words: &[String]| {
            unless(words.first().is_some_and(|word| !word.trim().is_empty()), "it starts with a program")
        };
        let optional = |words: &Option<Vec<String>>| words.as_deref().map_or("", program);
        let is_about_read =
            self.absent_exit.is_empty() || (self.read.is_some() && !self.absent_exit.contains(&0));
        vec![
            ("put", program(&self.put)),
            ("read", optional(&self.read)),
            ("remove", optional(&self.remove)),
            (
                "absent_exit",
                unless(
                    is_about_read,
                    "it is about `read`, whose exit code 0 says that what it prints is stored",
                ),
            ),
        ]
    }

    fn environment(&self) -> &[String] {
        &self.env
    }

    fn reaches(&self) -> Vec<Reached<'_>> {
        let others = [&self.read, &self.remove].into_iter().filter_map(Option::as_deref);
        std::iter::once(&self.put[..]).chain(others).map(Reached::Command).collect()
    }
}

/// A word of a command line, in quotes where a shell would want them.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,{}".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', "'\\''"))),
    }
}
