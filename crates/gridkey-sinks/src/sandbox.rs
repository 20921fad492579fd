//! Where the emulator's stand-ins keep their values: always inside one folder, whatever a manifest says.

use std::path::{Path, PathBuf};

use gridkey_core::SinkLocation;
use sha2::{Digest, Sha256};

/// A manifest's path, inside the sandbox. Paths that would climb out have a folder of their own, with a name
/// that keeps them apart.
pub(crate) fn path(root: &Path, path: &str) -> PathBuf {
    let mut parts: Vec<&str> = Vec::new();
    let mut outside = path.starts_with('/');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => outside |= parts.pop().is_none(),
            part => parts.push(part),
        }
    }
    let inside: PathBuf = parts.iter().collect();
    let files = root.join("files");
    if outside {
        files.join(format!("outside-{}", short_hash(path))).join(inside)
    } else {
        files.join(inside)
    }
}

/// The file in which the stand-in for a sink that is no file keeps a location's value.
pub(crate) fn double(root: &Path, location: &SinkLocation) -> PathBuf {
    let id = location.id();
    let kind = location.at.kind();
    root.join(kind.as_str()).join(format!("{}-{}", location.sink, short_hash(id.as_str())))
}

fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_the_sandbox() {
        let root = Path::new("/sandbox");
        let all = [".env", "./a/.env", "../.env", "/etc/passwd", "a/../../b", "/", "..", "a/.."];
        for text in all {
            let path = path(root, text);
            assert!(path.starts_with("/sandbox/files"), "{text}: {}", path.display());
            assert!(!path.components().any(|part| part.as_os_str() == ".."), "{text}: {}", path.display());
        }
        assert_ne!(path(root, "../.env"), path(root, ".env"));
        assert_ne!(path(root, "../.env"), path(root, "../../.env"));
        assert_eq!(path(root, "./.env"), path(root, ".env"));
    }
}
