//! How the process ends: its exit codes, and errors as people read them.

use std::process::ExitCode;

use crate::print;

/// Exit codes; of several, an error comes before a part, a part before a block, a block before changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or no changes.
    Done,
    Error,
    /// Changes are present, and the caller asked to be told by the exit code.
    Changes,
    /// Blocked by a finding, or declined.
    Blocked,
    /// Applied in part.
    Partly,
    Usage,
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Exit {
    /// The same of a run that failed besides. One that was interrupted may have printed less for that reason.
    #[must_use]
    pub fn with_error(self) -> Self {
        match self {
            Self::Interrupted => self,
            Self::Done | Self::Error | Self::Changes | Self::Blocked | Self::Partly | Self::Usage => {
                Self::Error
            }
        }
    }

    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Changes => 2,
            Self::Blocked => 3,
            Self::Partly => 4,
            Self::Usage => 64,
            Self::Interrupted => 130,
        }
    }
}

/// A command that failed: what, the chain of causes, and what to do.
#[derive(Debug)]
pub struct CommandError {
    pub exit: Exit,
    pub message: String,
    pub causes: Vec<String>,
    pub help: Option<String>,
}

impl CommandError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { exit: Exit::Error, message: message.into(), causes: Vec::new(), help: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(message) }
    }

    #[must_use]
    pub fn because(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub fn print(&self) {
        print::error(&self.message, &self.causes, self.help.as_deref());
    }
}
