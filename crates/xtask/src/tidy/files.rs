//! Files: each opens with a sentence that says what belongs in it, and none is too long.

use super::Finding;
use super::source::Sources;

/// A file of more lines is two files.
const LINES: usize = 800;

/// Files that do not open with `//!`.
pub fn opening(sources: &Sources) -> Vec<Finding> {
    let without = sources.iter().filter(|source| !source.text.starts_with("//! "));
    let findings = without.map(|source| Finding {
        file: source.path.clone(),
        line: 1,
        message: "does not open with `//! `: say in one sentence what belongs in this file".to_string(),
    });
    findings.collect()
}

/// Files of too many lines.
pub fn length(sources: &Sources) -> Vec<Finding> {
    let long = sources.iter().map(|source| (source, source.text.lines().count()));
    let findings = long.filter(|(_, lines)| *lines > LINES).map(|(source, lines)| Finding {
        file: source.path.clone(),
        line: lines,
        message: format!("has {lines} lines, and {LINES} are the most: make it two files"),
    });
    findings.collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::made_up::tree;
    use super::*;

    #[test]
    fn a_file_opens_with_a_sentence() {
        let sources = tree(&[
            ("crates/a/src/good.rs", "//! Good.\n"),
            ("crates/a/src/late.rs", "use b::c;\n//~ Late.\n"),
            ("crates/a/src/comment.rs", "// No doc.\n"),
        ]);
        let found: Vec<String> = opening(&sources).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("crates/a/src/late.rs:1: does not open"), "{found:?}");
    }

    #[test]
    fn a_file_may_have_as_many_lines_as_the_limit_and_no_more() {
        let (most, more) = ("//\n".repeat(LINES), "//\n".repeat(LINES + 1));
        let sources = tree(&[("crates/a/src/a.rs", &most), ("crates/a/src/b.rs", &more)]);
        let found: Vec<String> = length(&sources).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["crates/a/src/b.rs:801: has 801 lines, and 800 are the most: make it two files"]);
    }
}
