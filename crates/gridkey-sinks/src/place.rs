//! Where files lie: beside the manifest, or all of them inside a sandbox.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use gridkey_core::{LocationId, SinkKind, SinkLocation};
use sha2::{Digest, Sha256};

/// What locations are relative to.
#[derive(Clone, Debug)]
pub(crate) enum Places {
    /// Paths are relative to this folder, and may lead anywhere.
    Base(PathBuf),
    /// Whatever a path says, it leads into this folder.
    Sandbox(PathBuf),
}

impl Places {
    /// Where the file of a file sink lies.
    ///
    /// In a sandbox, `files/` holds the paths that stay below the manifest's folder, as they are, and
    /// `outside/` the others, under a name made of a hash, so that two paths never meet.
    pub fn file(&self, path: &str) -> PathBuf {
        match self {
            Self::Base(base) => base.join(path),
            Self::Sandbox(root) => match inside(path) {
                Some(inside) => root.join("files").join(inside),
                None => root.join("outside").join(hashed(&normal(path))),
            },
        }
    }

    /// Where a sandbox keeps the value of a location that is no file.
    pub fn double(root: &Path, location: &SinkLocation) -> PathBuf {
        let id: LocationId = location.id();
        root.join("values").join(hashed(id.as_str()))
    }

    /// The folder that nothing may leave.
    pub fn bounds(&self) -> Option<&Path> {
        match self {
            Self::Base(_) => None,
            Self::Sandbox(root) => Some(root),
        }
    }
}

/// Whether the place of a kind is a file whose path the manifest gives.
pub(crate) fn is_file(kind: SinkKind) -> bool {
    match kind {
        SinkKind::Dotenv | SinkKind::Json | SinkKind::Yaml | SinkKind::Age => true,
        SinkKind::Sops
        | SinkKind::Command
        | SinkKind::Vault
        | SinkKind::AwsSecretsManager
        | SinkKind::AwsSsm
        | SinkKind::GcpSecretManager
        | SinkKind::AzureKeyVault
        | SinkKind::Kubernetes
        | SinkKind::GithubActions
        | SinkKind::GitlabCi => false,
    }
}

/// Whether a kind that may never tell its value tells whether that was written since.
pub(crate) fn has_versions(kind: SinkKind) -> bool {
    match kind {
        SinkKind::Age | SinkKind::GithubActions => true,
        SinkKind::Dotenv
        | SinkKind::Json
        | SinkKind::Yaml
        | SinkKind::Sops
        | SinkKind::Command
        | SinkKind::Vault
        | SinkKind::AwsSecretsManager
        | SinkKind::AwsSsm
        | SinkKind::GcpSecretManager
        | SinkKind::AzureKeyVault
        | SinkKind::Kubernetes
        | SinkKind::GitlabCi => false,
    }
}

/// The path without `.` and `..`; `None` where it is absolute, climbs out, or names nothing.
fn inside(path: &str) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => inside.push(name),
            // `pop` is false where nothing is left to climb out of.
            Component::ParentDir => inside.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!inside.as_os_str().is_empty()).then_some(inside)
}

/// One spelling of each path outside: `..` folded as far as the text alone tells.
fn normal(path: &str) -> String {
    let mut normal = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            // There is nothing above the root.
            Component::ParentDir if normal.has_root() => {}
            Component::ParentDir | Component::Normal(_) | Component::RootDir | Component::Prefix(_) => {
                normal.push(component);
            }
        }
    }
    normal.to_string_lossy().into_owned()
}

/// A file name that tells a text from every other, and begins as the text does, for people.
fn hashed(text: &str) -> String {
    /// A file name may have 255 bytes; people read less.
    const READABLE: usize = 48;
    let mut name = String::new();
    for c in text.chars() {
        let readable = c.is_ascii_alphanumeric() || c == '_' || c == '.';
        match (readable, name.ends_with('-')) {
            (true, _) => name.push(c),
            (false, false) if !name.is_empty() => name.push('-'),
            (false, _) => {}
        }
        if name.len() == READABLE {
            break;
        }
    }
    // No name of a hidden file, and none that climbs.
    let name = name.trim_matches(['-', '.']);
    let mut hashed = if name.is_empty() { String::new() } else { format!("{name}-") };
    for byte in &Sha256::digest(text.as_bytes())[..8] {
        write!(hashed, "{byte:02x}").expect("text takes every write");
    }
    hashed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_of_a_sandbox_are_told_apart_and_spellings_of_one_are_not() {
        let sandbox = Places::Sandbox(PathBuf::from("root"));
        let file = |path: &str| sandbox.file(path);
        assert_eq!(file("./apps/../.env"), Path::new("root/files/.env"));
        assert_eq!(file("/etc/a"), file("/../etc/./x/../a"));
        assert_eq!(file("../a"), file("x/../../a"));
        let all = ["a", "/a", "../a", "../../a", "outside/a", "files/a", "/", "..", ".", "", "../.."];
        let places: BTreeMap<_, _> = all.iter().map(|path| (file(path), path)).collect();
        assert!(places.len() >= all.len() - 1, "{places:?}");
    }

    proptest! {
        #[test]
        fn a_sandbox_is_never_left(path in "(/|\\.\\./|\\./|[a-z.]{1,3}/|[ -~]{0,4}){0,8}") {
            let sandbox = Places::Sandbox(PathBuf::from("root"));
            let file = sandbox.file(&path);
            let mut components = file.components();
            prop_assert_eq!(components.next(), Some(Component::Normal("root".as_ref())));
            prop_assert!(components.all(|part| matches!(part, Component::Normal(_))), "{:?}", file);
        }
    }
}
