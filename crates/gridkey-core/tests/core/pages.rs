//! The pages of sinks: every manifest in them can be used as it stands there.

use std::path::Path;

use gridkey_core::manifest::{SourceFile, load};

/// What a block of sinks lacks to be a manifest.
const REST: &str = "\
version: 1
accounts: { acme: { api_key: { env: SENDGRID_API_KEY } } }
environments: { prod: {} }
";

/// What blocks begin with that are for other programs.
const OTHERS: [&str; 3] = ["apiVersion:", "volumes:", "title:"];

/// The blocks of YAML in a page, without the indentation of a list that they stand in.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() != "```yaml" {
            continue;
        }
        let margin = &line[..line.len() - "```yaml".len()];
        let block = lines.by_ref().map(|line| line.strip_prefix(margin).unwrap_or(line));
        blocks.push(
            block.take_while(|line| *line != "```").fold(String::new(), |text, line| text + line + "\n"),
        );
    }
    blocks
}

/// A manifest that a block is, or is the sinks of; nothing where it is for another program.
fn manifest(block: &str) -> Option<String> {
    if OTHERS.iter().any(|start| block.starts_with(start)) {
        return None;
    }
    let Some(sinks) = block.strip_prefix("sinks:\n") else { return Some(block.to_string()) };
    let names = sinks.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    let names: Vec<&str> = names.filter(|name| !name.starts_with(' ')).collect();
    assert!(!names.is_empty(), "no sink in:\n{block}");
    Some(format!(
        "{REST}keys: {{ mailer: {{ scopes: [mail.send], sinks: [{}] }} }}\n{block}",
        names.join(", ")
    ))
}

#[test]
fn every_manifest_in_the_pages_of_sinks_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sinks");
    let mut pages: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    assert!(pages.len() >= 10, "{pages:?}");
    for page in pages {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        let manifests: Vec<String> = blocks(&std::fs::read_to_string(&page).unwrap())
            .iter()
            .filter_map(|block| manifest(block))
            .collect();
        assert!(!manifests.is_empty(), "{name} has no example");
        for text in manifests {
            let source = SourceFile { name: name.clone(), bytes: text.clone().into_bytes() };
            if let Err(found) = load(&[source], &[]) {
                panic!("an example of {name} is refused:\n{}\n{text}", found.to_text());
            }
        }
    }
}
