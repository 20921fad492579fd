//! Tidy: what the code's shape promises, held by reading it.
//!
//! A rule takes the sources and returns findings. Which rules are in force is a table; `cargo xtask check` and
//! a test here go by it, and `cargo xtask tidy` shows what the others would find.

mod arms;
mod files;
mod functions;
mod layers;
mod paths;
mod source;

use std::fmt;
use std::path::{Path, PathBuf};

pub use source::Sources;
#[cfg(test)]
pub use source::made_up;

/// What is wrong at a line, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub file: PathBuf,
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.message)
    }
}

/// One thing that the code's shape promises.
pub struct Rule {
    pub name: &'static str,
    check: fn(&Sources) -> Vec<Finding>,
}

/// Every rule.
pub const RULES: [Rule; 6] = [
    Rule { name: "every file opens with `//!`", check: files::opening },
    Rule { name: "no file is too long", check: files::length },
    Rule { name: "no open arm over enums that grow", check: arms::check },
    Rule { name: "no long function in the planner", check: functions::check },
    Rule { name: "folders import one way", check: layers::direction },
    Rule { name: "no child imports its parent", check: layers::parents },
];

impl Rule {
    /// What it finds, in the order of the files.
    pub fn findings(&self, sources: &Sources) -> Vec<Finding> {
        let mut findings = (self.check)(sources);
        findings.sort();
        findings.dedup();
        findings
    }
}

/// What the rules find below the root of the repository.
///
/// # Errors
/// A file that cannot be read, or is not Rust.
pub fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let sources = Sources::read(root)?;
    Ok(RULES.iter().flat_map(|rule| rule.findings(&sources)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let findings: Vec<String> =
            check(&root).expect("it is read").iter().map(Finding::to_string).collect();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}
