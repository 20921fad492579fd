//! What the page says: the blocks of code of each of its sections.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::programs;

const SECTIONS: [&str; 7] = ["vault", "kubectl", "aws ssm", "aws secretsmanager", "gcloud", "op", "gh"];

/// The top of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The first block of a language in a section, without its fences.
pub fn block(section: &str, language: &str) -> String {
    blocks(section, language).into_iter().next().unwrap_or_else(|| panic!("{section} has no {language}"))
}

/// All blocks of a language in a section.
pub fn blocks(section: &str, language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/recipes.md")).unwrap();
    let (_, text) = page.split_once(&format!("\n## {section}\n")).expect("a section of this name");
    let text = text.split("\n## ").next().unwrap_or_default();
    // What is between two fences is every second part.
    let parts = text.split("\n```").skip(1).step_by(2);
    let blocks = parts.filter_map(|part| part.strip_prefix(language)?.strip_prefix('\n'));
    blocks.map(|block| format!("{block}\n")).collect()
}

/// The sink of a section, and its name.
pub fn sink(section: &str) -> (String, String) {
    let block = block(section, "yaml");
    let sink = block.strip_prefix("sinks:\n  ").expect("the sink comes first");
    let name = sink.split(':').next().unwrap_or_default().to_string();
    (block, name)
}

/// The script of a section, and its name.
pub fn script(section: &str) -> (String, String) {
    let block = block(section, "sh");
    let usage = block.strip_prefix("#!/bin/sh\n# ").expect("a script says how it is called");
    let name = usage.split(' ').next().unwrap_or_default().to_string();
    (block, name)
}

/// A recipe that no test runs is not one to copy.
#[test]
fn every_section_is_one_that_a_test_runs() {
    let page = std::fs::read_to_string(root().join("docs/recipes.md")).unwrap();
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(sections, SECTIONS);
}

#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    if programs("SHELLCHECK", ["shellcheck"]).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for section in SECTIONS {
        let (text, name) = script(section);
        std::fs::write(folder.path().join(&name), text).unwrap();
        let output = Command::new("shellcheck").arg(&name).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
