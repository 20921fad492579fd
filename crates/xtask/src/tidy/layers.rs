//! Layers: which module of `gridkey-core` may import which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Finding;
use super::paths::{NamedPath, named};
use super::source::{Source, Sources};

/// The crate whose modules have layers.
const CRATE: &str = "crates/gridkey-core/src";

/// From the bottom to the top: a module imports from its own layer and from those below it. A module belongs
/// to the longest entry that is the beginning of its path.
///
/// Entries of one layer may import one another one way, and not in a circle; what stands below one entry may
/// import as it likes.
const LAYERS: [&[&str]; 18] = [
    &["text", "time"],
    // Small types.
    &[
        "access",
        "address",
        "catalogue",
        "credential",
        "finding",
        "identity",
        "inventory",
        "key",
        "name",
        "sink",
    ],
    &["hook"],
    &["manifest", "state"],
    &["plan::input", "plan::reached", "plan::seed"],
    &["plan::document", "plan::moves"],
    &["plan::findings", "plan::index"],
    &["plan::account", "plan::applied"],
    &["plan::adopt"],
    &["plan::decide"],
    &["plan::choose"],
    &["plan::judge"],
    &["plan::assemble"],
    &["plan::stages"],
    &["plan"],
    &["audit"],
    &["whois"],
    &["manifest_from_account"],
];

/// Imports that go up, or in a circle; and modules that have no layer.
pub fn direction(sources: &Sources) -> Vec<Finding> {
    let modules = Modules::of(sources);
    let mut findings = Vec::new();
    let mut sideways: BTreeMap<(usize, &str, &str), Vec<Finding>> = BTreeMap::new();
    for (module, source) in &modules.0 {
        if module.is_empty() {
            continue;
        }
        let Some((own, entry)) = layer(module) else {
            findings.push(finding(
                source,
                1,
                format!(
                    "`{}` has no layer: give it one in `LAYERS` of crates/xtask/src/tidy/layers.rs",
                    module.join("::")
                ),
            ));
            continue;
        };
        for import in named(&source.syntax, module) {
            // What has no layer is said where it stands.
            let Some((theirs, other)) = modules.target(&import.path).and_then(layer) else { continue };
            let words = format!("`{entry}` imports `{}`", import.path.join("::"));
            if theirs > own {
                let message = format!(
                    "{words}, and `{other}` stands above it: move what is needed down, or the code that needs it up"
                );
                findings.push(finding(source, import.line, message));
            } else if theirs == own && other != entry {
                let message = format!(
                    "{words}, and `{other}` imports `{entry}` in turn: move what both need below both"
                );
                let edge = (own, entry, other);
                sideways.entry(edge).or_default().push(finding(source, import.line, message));
            }
        }
    }
    let edges: BTreeSet<(&str, &str)> = sideways.keys().map(|(_, from, to)| (*from, *to)).collect();
    let circular = sideways.into_iter().filter(|((_, from, to), _)| leads(&edges, to, from));
    findings.extend(circular.flat_map(|(_, findings)| findings));
    findings
}

/// Imports from a module that the importing one stands below.
pub fn parents(sources: &Sources) -> Vec<Finding> {
    let modules = Modules::of(sources);
    let mut findings = Vec::new();
    for (module, source) in &modules.0 {
        for NamedPath { line, path } in named(&source.syntax, module) {
            let Some(target) = modules.target(&path) else { continue };
            if target.len() < module.len() && module.starts_with(target) {
                let parent = if target.is_empty() {
                    "the crate's root".to_string()
                } else {
                    format!("its parent `{}`", target.join("::"))
                };
                findings.push(finding(
                    source,
                    line,
                    format!(
                        "`{}` imports `{}` from {parent}: import it from the module that defines it",
                        module.join("::"),
                        path.join("::")
                    ),
                ));
            }
        }
    }
    findings
}

/// The modules of the crate, by their paths; its root has none.
struct Modules<'a>(BTreeMap<Vec<String>, &'a Source>);

impl<'a> Modules<'a> {
    fn of(sources: &'a Sources) -> Self {
        let modules = sources.below(CRATE).map(|source| {
            let path = source.path.strip_prefix(CRATE).unwrap_or(&source.path);
            (module(path), source)
        });
        Self(modules.collect())
    }

    /// The module that a path leads into.
    fn target<'p>(&self, path: &'p [String]) -> Option<&'p [String]> {
        (0..=path.len()).rev().map(|length| &path[..length]).find(|path| self.0.contains_key(*path))
    }
}

/// `plan/judge/mod.rs` as `plan::judge`.
fn module(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let mut parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts
}

/// A module's layer, and the entry that says so.
fn layer(module: &[String]) -> Option<(usize, &'static str)> {
    let path = module.join("::");
    let belongs =
        |entry: &str| path.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    let entries =
        LAYERS.iter().enumerate().flat_map(|(number, layer)| layer.iter().map(move |entry| (number, *entry)));
    entries.filter(|(_, entry)| belongs(entry)).max_by_key(|(_, entry)| entry.len())
}

/// Whether one entry leads to another over any number of imports.
fn leads(edges: &BTreeSet<(&str, &str)>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut waiting = vec![from];
    while let Some(at) = waiting.pop() {
        if at == to {
            return true;
        }
        let next = edges.iter().filter(|(from, _)| *from == at).map(|(_, to)| *to);
        waiting.extend(next.filter(|next| seen.insert(next)));
    }
    false
}

fn finding(source: &Source, line: usize, message: String) -> Finding {
    Finding { file: source.path.clone(), line, message }
}

#[cfg(test)]
mod tests {
    use super::super::source::made_up::tree;
    use super::*;

    /// A tree of the crate, and what a rule finds in it, by file and line.
    fn found(rule: fn(&Sources) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<(String, &str)> =
            files.iter().map(|(path, text)| (format!("{CRATE}/{path}"), *text)).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let shown = |finding: &Finding| {
            let path = finding.file.strip_prefix(CRATE).expect("it is in the crate");
            format!("{}:{}: {}", path.display(), finding.line, finding.message)
        };
        rule(&tree(&files)).iter().map(shown).collect()
    }

    #[test]
    fn imports_go_down() {
        let files = [
            ("lib.rs", "mod audit; pub use plan::plan;"),
            ("text/mod.rs", ""),
            ("name.rs", "use crate::text::Position;"),
            ("manifest/mod.rs", "use crate::name::Name;\nuse crate::state::Settings;"),
            ("manifest/load.rs", "use crate::manifest::model::Model;"),
            ("manifest/model.rs", "use crate::manifest::load::load;"),
            ("state/mod.rs", "use crate::{name::Name, text};"),
            ("plan/document/step.rs", "use crate::state::State;"),
            ("plan/judge/mod.rs", "use crate::plan::choose::Chosen;"),
            ("plan/choose/mod.rs", "use crate::plan::{decide, document::step::Step};"),
            ("plan/decide/mod.rs", "use crate::plan::moves::Move;"),
            ("plan/index.rs", "use crate::plan::moves::Move;"),
            ("plan/moves.rs", ""),
            ("plan/stages.rs", "use crate::plan::judge::judge;"),
            ("plan/mod.rs", "pub use crate::plan::stages::plan;"),
            ("audit.rs", "use crate::plan::judge::lint;"),
        ];
        assert_eq!(found(direction, &files), [""; 0]);
    }

    #[test]
    fn an_import_that_goes_up_is_found_wherever_it_stands() {
        let files = [
            ("plan/mod.rs", ""),
            ("plan/document/mod.rs", ""),
            ("plan/judge/limits.rs", ""),
            ("plan/choose/mod.rs", "\nfn f() {\n    crate::plan::judge::limits::check();\n}\n"),
            ("name.rs", "use crate::{\n    plan::document::Step,\n};"),
            ("plan/decide/mod.rs", "#[cfg(test)]\nmod tests { use crate::plan::judge::limits; }"),
        ];
        let found = found(direction, &files);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found[0].starts_with("name.rs:2: `name` imports `plan::document::Step`, and `plan::document`")
        );
        assert!(
            found[1].starts_with("plan/choose/mod.rs:3: `plan::choose` imports `plan::judge::limits::check`")
        );
    }

    #[test]
    fn entries_of_one_layer_import_one_another_in_no_circle() {
        let one_way =
            [("key.rs", "use crate::name::Name;"), ("name.rs", ""), ("sink.rs", "use crate::key::Key;")];
        assert_eq!(found(direction, &one_way), [""; 0]);
        let circle = [
            ("key.rs", "use crate::name::Name;"),
            ("name.rs", "use crate::sink::Sink;"),
            ("sink.rs", "use crate::key::Key;"),
        ];
        let found = found(direction, &circle);
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[0].contains("`key` imports `name::Name`"), "{found:#?}");
    }

    #[test]
    fn a_module_without_a_layer_is_found() {
        let found = found(
            direction,
            &[("surprise.rs", "use crate::name::Name;"), ("name.rs", "use crate::surprise::A;")],
        );
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with("surprise.rs:1: `surprise` has no layer: give it one"), "{found:#?}");
    }

    #[test]
    fn a_child_does_not_import_its_parent() {
        let files = [
            ("lib.rs", "pub use name::Name;"),
            ("name.rs", ""),
            ("plan/mod.rs", "use crate::plan::judge::Judge; use self::judge::Other;"),
            ("plan/judge/mod.rs", "use crate::plan::Code;\nuse crate::plan::document::Step;"),
            ("plan/judge/lint.rs", "use super::limits::Limit;\nuse super::Judge;\nuse crate::Name;"),
            ("plan/judge/limits.rs", "fn f() { super::super::plan() }"),
            ("plan/document.rs", "use crate::name::Name; use self::Step; use crate::plan::document::Action;"),
        ];
        let mut found = found(parents, &files);
        found.sort();
        let begins = [
            "plan/judge/limits.rs:1: `plan::judge::limits` imports `plan::plan` from its parent `plan`",
            "plan/judge/lint.rs:2: `plan::judge::lint` imports `plan::judge::Judge` from its parent `plan::judge`",
            "plan/judge/lint.rs:3: `plan::judge::lint` imports `Name` from the crate's root",
            "plan/judge/mod.rs:1: `plan::judge` imports `plan::Code` from its parent `plan`",
        ];
        assert_eq!(found.len(), begins.len(), "{found:#?}");
        for (found, begins) in found.iter().zip(begins) {
            assert!(found.starts_with(begins), "{found}");
        }
    }
}
