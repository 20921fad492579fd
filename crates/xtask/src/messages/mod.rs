//! The table of messages: every sentence that the sources can say in an error, a finding or a diagnostic, in words
//! that the binary was seen to print. What is said nowhere is found.

mod exempt;
mod shown;
mod wording;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::tidy::{Finding, Sources};
use exempt::{Exempt, NO_MESSAGES, NOT_SHOWN};
use shown::{Kind, Shown};
use wording::Wording;

/// Where the table is.
pub const TABLE: &str = "docs/reference/messages.md";

/// Where sentences come from that the table has, if they are shown anywhere.
const READ: [&str; 7] = [
    "crates/gridkey/src",
    "crates/gridkey-core/src",
    "crates/gridkey-engine/src",
    "crates/gridkey-files/src",
    "crates/gridkey-sendgrid/src",
    "crates/gridkey-sinks/src",
    "crates/gridkey-stores/src",
];

/// Where every sentence has to be shown. Scenarios reach no service and run no program of others: what those sinks say is
/// held against their servers by the contract suite of `gridkey-sinks`.
const HELD: [&str; 45] = [
    "crates/gridkey/src/args/habit.rs",
    "crates/gridkey/src/args/keys.rs",
    "crates/gridkey/src/args/mistake.rs",
    "crates/gridkey/src/args/value.rs",
    "crates/gridkey/src/choice.rs",
    "crates/gridkey/src/command",
    "crates/gridkey/src/credential.rs",
    "crates/gridkey/src/emulated.rs",
    "crates/gridkey/src/environments.rs",
    "crates/gridkey/src/lib.rs",
    "crates/gridkey/src/project.rs",
    "crates/gridkey/src/real_paths.rs",
    "crates/gridkey-core/src/access.rs",
    "crates/gridkey-core/src/address.rs",
    "crates/gridkey-core/src/catalogue",
    "crates/gridkey-core/src/finding.rs",
    "crates/gridkey-core/src/key.rs",
    "crates/gridkey-core/src/manifest/check",
    "crates/gridkey-core/src/manifest/load.rs",
    "crates/gridkey-core/src/manifest/problem.rs",
    "crates/gridkey-core/src/manifest/read",
    "crates/gridkey-core/src/manifest/resolve",
    "crates/gridkey-core/src/name.rs",
    "crates/gridkey-core/src/plan",
    "crates/gridkey-core/src/state",
    "crates/gridkey/src/remote.rs",
    "crates/gridkey-core/src/audit.rs",
    "crates/gridkey-core/src/manifest_from_account.rs",
    "crates/gridkey-core/src/whois.rs",
    "crates/gridkey-engine/src",
    "crates/gridkey-files/src",
    "crates/gridkey-sendgrid/src",
    "crates/gridkey-sinks/src/command.rs",
    "crates/gridkey-sinks/src/credential.rs",
    "crates/gridkey-sinks/src/discover.rs",
    "crates/gridkey-sinks/src/file",
    "crates/gridkey-sinks/src/format",
    "crates/gridkey-sinks/src/local.rs",
    "crates/gridkey-sinks/src/mention.rs",
    "crates/gridkey-sinks/src/place.rs",
    "crates/gridkey-sinks/src/scan.rs",
    "crates/gridkey-sinks/src/sinks.rs",
    "crates/gridkey-sinks/src/stop.rs",
    "crates/gridkey-sinks/src/walk.rs",
    "crates/gridkey-stores/src",
];

/// The table, and the sentences that it should have and has not.
pub struct Messages {
    pub table: String,
    pub findings: Vec<Finding>,
}

/// Reads the sources and what they were seen to say.
///
/// # Errors
/// A file that cannot be read.
pub fn read(root: &Path) -> Result<Messages, String> {
    let sources = Sources::read(root)?;
    let shown = shown::read(root)?;
    let all: Vec<Wording> = READ.iter().flat_map(|place| wording::wordings(&sources, place)).collect();
    let held: Vec<Wording> = HELD.iter().flat_map(|place| wording::wordings(&sources, place)).collect();
    Ok(messages(&all, &held, &shown, &Lists { not_shown: &NOT_SHOWN, no_messages: &NO_MESSAGES }))
}

/// What need not be shown.
struct Lists<'a> {
    not_shown: &'a [Exempt],
    no_messages: &'a [Exempt],
}

impl Lists<'_> {
    fn literals(&self) -> impl Iterator<Item = &str> {
        let Self { not_shown, no_messages } = self;
        not_shown.iter().chain(*no_messages).map(|exempt| exempt.literal)
    }

    fn has(&self, wording: &Wording) -> bool {
        self.literals().any(|literal| literal == wording.literal)
    }
}

fn messages(all: &[Wording], held: &[Wording], shown: &[Shown], lists: &Lists<'_>) -> Messages {
    let texts: Vec<String> = shown.iter().map(Shown::text).collect();
    let is_shown = |wording: &Wording| texts.iter().any(|text| wording.is_in(text));
    let unseen: Vec<&Wording> = held.iter().filter(|wording| !is_shown(wording)).collect();
    let missing = unseen.iter().filter(|wording| !lists.has(wording));
    let mut findings: Vec<Finding> = missing
        .map(|wording| Finding {
            file: wording.file.clone(),
            line: wording.line,
            message: format!(
                "no scenario and no snapshot of a manifest shows `{}`: add one to tests/scenarios/messages",
                wording.literal
            ),
        })
        .collect();
    let needed: BTreeSet<&str> = unseen.iter().map(|wording| wording.literal.as_str()).collect();
    findings.extend(lists.literals().filter(|literal| !needed.contains(literal)).map(|literal| Finding {
        file: PathBuf::from("crates/xtask/src/messages/exempt.rs"),
        line: 1,
        message: format!("`{literal}` is shown, or no source says it any more: take it out"),
    }));
    Messages { table: table(&chosen(all, shown, &texts), lists), findings }
}

/// What is shown, without what says nothing that something before has not said.
fn chosen<'a>(all: &[Wording], shown: &'a [Shown], texts: &[String]) -> Vec<&'a Shown> {
    let mut order: Vec<usize> = (0..shown.len()).filter(|index| shown[*index].kind != Kind::Line).collect();
    order.sort_by_key(|index| shown[*index].kind);
    let mut said: Vec<bool> = vec![false; all.len()];
    let mut chosen = Vec::new();
    for index in order {
        let mut is_new = false;
        for (wording, said) in all.iter().zip(&mut said).filter(|(_, said)| !**said) {
            if wording.is_in(&texts[index]) {
                *said = true;
                is_new = true;
            }
        }
        if is_new {
            chosen.push(&shown[index]);
        }
    }
    chosen
}

fn table(chosen: &[&Shown], lists: &Lists<'_>) -> String {
    let mut text = "# Messages\n\nGenerated by `cargo xtask generate` from what the program was seen to print in its \
                    tests. Each message stands here once, in the\nwords of one example, with the command that gave it \
                    and its exit code.\n"
        .to_string();
    for (kind, title) in [
        (Kind::Error, "Errors of commands"),
        (Kind::Finding, "Findings of plans"),
        (Kind::Failure, "What a run could not do"),
        (Kind::Diagnostic, "What is wrong, or odd, in manifests and policies"),
    ] {
        let mut of_kind: Vec<&Shown> = chosen.iter().copied().filter(|shown| shown.kind == kind).collect();
        of_kind.sort_by_key(|shown| (group(shown), shown.text()));
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n## {title}\n");
        let mut before = None;
        for shown in of_kind {
            let group = group(shown);
            if before.as_ref() != Some(&group) {
                let _ = write!(text, "\n### {group}\n");
                before = Some(group);
            }
            entry(shown, &mut text);
        }
    }
    text.push_str(
        "\n## Not shown by a test\n\nThese cannot be brought about on every machine that runs the tests.\n\n",
    );
    for Exempt { literal, reason } in lists.not_shown {
        let _ = writeln!(text, "- `` {literal} ``: {reason}");
    }
    text
}

/// What messages of a kind are grouped by: the command, the code of a finding, the claim about a manifest.
fn group(shown: &Shown) -> String {
    let first = shown.lines.first().map(String::as_str).unwrap_or_default();
    match shown.kind {
        Kind::Finding => {
            let code = first.split(['[', ']']).nth(1).unwrap_or_default();
            format!("`{code}`")
        }
        Kind::Error | Kind::Failure => {
            let words: Vec<&str> = shown.command.iter().flat_map(|command| command.split(' ')).collect();
            let command = words.iter().skip(1).find(|word| word.chars().all(|c| c.is_ascii_lowercase()));
            format!("`gridkey {}`", command.unwrap_or(&""))
        }
        Kind::Diagnostic | Kind::Line => {
            let name = Path::new(&shown.file).file_stem().unwrap_or_default().to_string_lossy();
            name.replace('_', " ")
        }
    }
}

fn entry(shown: &Shown, text: &mut String) {
    let Shown { kind: _, lines, exit, command, file } = shown;
    let _ = write!(text, "\n```text\n{}\n```\n", lines.join("\n"));
    if let (Some(command), Some(exit)) = (command, exit) {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let claim = folder.file_name().unwrap_or_default().to_string_lossy().replace('_', " ");
        let link = folder.display();
        let _ = write!(text, "\n`{command}` ends with {exit}; [{claim}](../../{link})\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::made_up::tree;

    fn said(text: &str) -> Shown {
        Shown {
            kind: Kind::Error,
            lines: vec![text.to_string()],
            exit: Some("1".to_string()),
            command: Some("gridkey plan".to_string()),
            file: "tests/scenarios/a/b/expected.txt".to_string(),
        }
    }

    #[test]
    fn every_message_is_in_the_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let messages = read(&root).expect("it is read");
        let findings: Vec<String> = messages.findings.iter().map(Finding::to_string).collect();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }

    #[test]
    fn a_message_that_nothing_shows_is_found_and_so_is_an_exemption_of_none() {
        let text = "fn f() { say(format!(\"the key {id} is gone\")); say(\"the door is open wide\"); }";
        let sources = tree(&[("crates/gridkey/src/a.rs", text)]);
        let all = wording::wordings(&sources, "crates/gridkey");
        let shown = [said("error: the key 7 is gone"), said("error: the key 8 is gone")];
        let exempt = [Exempt { literal: "nobody says this now", reason: "a test" }];
        let lists = Lists { not_shown: &exempt, no_messages: &[] };
        let Messages { table, findings } = messages(&all, &all, &shown, &lists);
        let found: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("the door is open wide") && found[1].contains("nobody says this now"));
        assert!(table.contains("key 7") && !table.contains("key 8"), "{table}");
    }
}
