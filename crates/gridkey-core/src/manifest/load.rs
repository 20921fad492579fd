//! Loading: files in, a resolved manifest or everything that is wrong with them.

use sha2::{Digest, Sha256};

use crate::manifest::bounds::MAX_TOTAL_BYTES;
use crate::manifest::check;
use crate::manifest::model::Manifest;
use crate::manifest::policy::PolicyFile;
use crate::manifest::problem::{Found, Problems};
use crate::manifest::read::node::{Node, Site};
use crate::manifest::read::{merge, yaml};
use crate::manifest::resolve;
use crate::name::Name;
use crate::text::diagnostic::{Diagnostic, Diagnostics, Sources};
use crate::text::redact::{self, hide, redact};
use crate::text::source::SourceDigest;

/// A file of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as messages show it.
    pub name: String,
    pub bytes: Vec<u8>,
}

impl SourceFile {
    /// What it was, for a document that is computed from it.
    pub fn digest(&self) -> SourceDigest {
        let digest = Sha256::digest(&self.bytes);
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        SourceDigest { file: self.name.clone(), sha256 }
    }
}

/// A manifest that can be planned.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub manifest: Manifest,
    /// What is odd and not wrong.
    pub warnings: Vec<Diagnostic>,
    /// Scopes that are written out and that the catalogue does not have. Offline they count as errors; with
    /// an account at hand its own list decides.
    pub unknown_scopes: Vec<Diagnostic>,
    /// The texts that the diagnostics point into.
    pub sources: Sources,
}

/// A manifest does not have more files than this.
const MAX_FILES: usize = 1_000;

/// Reads a manifest: one file, or the files of a folder.
///
/// `requested` are concrete environments that were asked for by name; one that matches a pattern is made
/// from it, and no environment comes from a pattern otherwise.
///
/// # Errors
/// Everything that is wrong, ordered by file and position. Nothing partial is returned.
pub fn load(sources: &[SourceFile], requested: &[Name]) -> Result<Loaded, Diagnostics> {
    let mut problems = Problems::new(sources.iter().map(|source| source.name.clone()).collect());
    if sources.is_empty() || sources.len() > MAX_FILES {
        let message = match sources.len() {
            0 => "there is no manifest file".to_string(),
            count => format!("there are {count} files, and a manifest has at most {MAX_FILES}"),
        };
        problems.error_nowhere(
            "no_files",
            message,
            "name a file, or a folder with `*.yaml` or `*.yml` files in it, not in folders below",
        );
        return Err(diagnostics(problems.into_found(), Sources::default()));
    }
    let total: usize = sources.iter().map(|source| source.bytes.len().min(yaml::MAX_BYTES)).sum();
    if total > MAX_TOTAL_BYTES {
        let message = format!(
            "the files have {} MiB together, and a manifest at most {} MiB",
            total >> 20,
            MAX_TOTAL_BYTES >> 20
        );
        problems.error_nowhere("files_too_large", message, "make it several projects");
        return Err(diagnostics(problems.into_found(), Sources::default()));
    }
    let mut trees = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        pasted_secrets(index, &source.bytes, &mut problems);
        if let Some(tree) = yaml::parse(index, &source.bytes, &mut problems) {
            merge::check_version(&tree, &mut problems);
            trees.push(tree);
        }
    }
    let unread = unread(sources, &trees);
    let complete = unread.is_empty();
    let manifest = merge::merge(trees, &mut problems).map(|tree| {
        let document = check::document(&tree, &mut problems);
        // Names that a broken file defines would all be reported as unknown, and so would those of a section that is
        // too large.
        let whole = complete && !problems.has_exceeded();
        whole.then(|| resolve::resolve(&document, requested, &mut problems)).flatten()
    });
    let shown = shown(sources, &unread, problems.hidden());
    let found = problems.into_found();
    match manifest.flatten() {
        Some(manifest) if found.errors.is_empty() => Ok(Loaded {
            manifest: Manifest { sources: sources.iter().map(SourceFile::digest).collect(), ..manifest },
            warnings: found.warnings,
            unknown_scopes: found.unknown_scopes,
            sources: shown,
        }),
        _ => Err(diagnostics(found, shown)),
    }
}

/// The rules of a policy file, and what is odd about them.
#[derive(Clone, Debug)]
pub struct LoadedPolicy {
    pub policy: PolicyFile,
    pub warnings: Vec<Diagnostic>,
    pub sources: Sources,
}

/// Reads the file of `--policy`: the fields of a manifest's `policy`, at the top level.
///
/// # Errors
/// Everything that is wrong, ordered by position.
pub fn load_policy(source: &SourceFile) -> Result<LoadedPolicy, Diagnostics> {
    let mut problems = Problems::new(vec![source.name.clone()]);
    if source.bytes.trim_ascii().is_empty() {
        let message = format!("the policy file {} is empty", source.name);
        problems.error_nowhere("empty_file", message, "write its rules, such as `require_owner: true`");
        return Err(diagnostics(problems.into_found(), Sources::default()));
    }
    pasted_secrets(0, &source.bytes, &mut problems);
    let tree = yaml::parse(0, &source.bytes, &mut problems);
    let policy = tree.as_ref().map(|tree| check::policy_file(tree, &mut problems));
    let sources = std::slice::from_ref(source);
    let shown = shown(sources, &unread(sources, tree.as_slice()), problems.hidden());
    let found = problems.into_found();
    match policy {
        Some(policy) if found.errors.is_empty() => Ok(LoadedPolicy {
            policy: PolicyFile { policy, source: source.digest() },
            warnings: found.warnings,
            sources: shown,
        }),
        _ => Err(diagnostics(found, shown)),
    }
}

/// Where a manifest is wrong anyway, unknown scopes are reported with the rest.
fn diagnostics(found: Found, sources: Sources) -> Diagnostics {
    let Found { mut errors, warnings, unknown_scopes } = found;
    errors.extend(unknown_scopes);
    errors.sort_by(|a, b| a.order().cmp(&b.order()));
    Diagnostics { errors, warnings, sources }
}

/// Reports SendGrid keys that stand in a file, in a comment too, without quoting them.
fn pasted_secrets(file: usize, bytes: &[u8], problems: &mut Problems) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if bytes.len() > yaml::MAX_BYTES {
        return;
    }
    for secret in redact::keys(text) {
        if redact::is_whole(&text[secret.clone()]) {
            let start = secret.start - "SG.".len();
            yaml::secret_in_manifest(yaml::site_of_range(file, text, start..secret.end), problems);
        }
    }
}

/// The files that could not be read, by their index.
fn unread(sources: &[SourceFile], trees: &[Node]) -> Vec<usize> {
    (0..sources.len()).filter(|index| !trees.iter().any(|tree| tree.site.file == *index)).collect()
}

/// The files, fit to be shown: without what looks like a secret, and without what stands where a credential would.
fn shown(sources: &[SourceFile], unread: &[usize], hidden: &[Site]) -> Sources {
    let text = |source: &SourceFile| {
        let bytes = source.bytes.get(..yaml::MAX_BYTES).unwrap_or(&source.bytes);
        redact(&String::from_utf8_lossy(bytes))
    };
    let mut texts: Vec<String> = sources.iter().map(text).collect();
    unread.iter().for_each(|index| redact::hide_unread(&mut texts[*index]));
    for site in hidden {
        hide(&mut texts[site.file], site.start..site.end);
    }
    let mut shown = Sources::default();
    for (source, text) in sources.iter().zip(texts) {
        shown.insert(&source.name, text);
    }
    shown
}
