//! The corpus of manifests: each file or folder of `tests/manifests` is one, and its name is a claim.

use std::path::{Path, PathBuf};

use gridkey_core::Name;
use gridkey_core::manifest::SourceFile;

/// A manifest of the corpus.
pub struct Case {
    pub name: String,
    pub sources: Vec<SourceFile>,
    /// Environments that are asked for: the names behind `# requested:` in the first line.
    pub requested: Vec<Name>,
}

pub fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(kind)
}

/// All manifests of a kind, `good` or `bad`, in order.
pub fn cases(kind: &str) -> Vec<Case> {
    let mut cases: Vec<_> = entries(&folder(kind))
        .into_iter()
        .filter(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| case(&path))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() > 3, "the corpus is there");
    cases
}

fn case(path: &Path) -> Case {
    let mut files = if path.is_dir() { entries(path) } else { vec![path.to_path_buf()] };
    files.sort();
    let sources: Vec<_> = files
        .iter()
        .map(|file| SourceFile { name: name(file), bytes: std::fs::read(file).unwrap() })
        .collect();
    let first = String::from_utf8_lossy(&sources[0].bytes).lines().next().unwrap_or_default().to_string();
    let requested = first.strip_prefix("# requested:").unwrap_or_default().split_whitespace();
    Case {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        requested: requested.map(|name| Name::new(name).unwrap()).collect(),
        sources,
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
