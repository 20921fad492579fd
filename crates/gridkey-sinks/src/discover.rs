//! Discovery: which places of which files hold SendGrid keys, for those who begin.
//!
//! What is told of a secret is its id. A place counts only if the adapter that would write it reads it the
//! same way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::sink::{DotenvSettings, FileSettings};
use gridkey_core::{KeyId, Name, SinkLocation, SinkSettings};
use gridkey_engine::ports::SinkReader;
use zeroize::Zeroizing;

use crate::Sinks;
use crate::format::{keys_in_dotenv, keys_in_json, keys_in_yaml};

/// More files than this under one folder are not looked at.
const MAX_FILES: usize = 20_000;

/// A file that is larger holds something else.
const MAX_BYTES: u64 = 4 << 20;

/// Folders that hold many files and no secrets.
const PASSED_BY: [&str; 4] = [".git", ".gridkey", "node_modules", "target"];

/// A kind of file that can be looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Dotenv,
    Json,
    Yaml,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Where each key is, sorted by file and place.
    pub found: Vec<(SinkSettings, KeyId)>,
    /// Files that could not be looked at, and why; without their text.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Looks through a file, or every file below a folder.
///
/// `base` is the folder of the manifest that is to name the places: paths below it are relative to it.
///
/// # Errors
/// The folder or file itself cannot be read, or there are more files below it than are looked at.
pub async fn discover(kind: FileKind, prefix: &Path, base: &Path) -> Result<Discovery, std::io::Error> {
    let mut files = BTreeSet::new();
    let mut discovery = Discovery::default();
    let prefix = std::path::absolute(prefix)?;
    let base = std::path::absolute(base)?;
    if std::fs::metadata(&prefix)?.is_dir() {
        below(&prefix, &mut files, &mut discovery.skipped)?;
    } else {
        files.insert(prefix);
    }
    let sinks = Sinks::new(base.clone(), Vec::new());
    for file in files {
        match look(kind, &file, &base, &sinks).await {
            Ok(found) => discovery.found.extend(found),
            Err(why) => discovery.skipped.push((file, why)),
        }
    }
    Ok(discovery)
}

/// The files below a folder. Links are not followed, so that no loop is.
fn below(
    folder: &Path,
    files: &mut BTreeSet<PathBuf>,
    skipped: &mut Vec<(PathBuf, String)>,
) -> Result<(), std::io::Error> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let passed_by = entry.file_name().to_str().is_some_and(|name| PASSED_BY.contains(&name));
        if kind.is_dir() && !passed_by {
            if let Err(error) = below(&path, files, skipped) {
                if error.kind() == std::io::ErrorKind::QuotaExceeded {
                    return Err(error);
                }
                skipped.push((path, error.to_string()));
            }
        } else if kind.is_file() {
            files.insert(path);
            if files.len() > MAX_FILES {
                let message = format!("there are more than {MAX_FILES} files; name a folder further down");
                return Err(std::io::Error::new(std::io::ErrorKind::QuotaExceeded, message));
            }
        }
    }
    Ok(())
}

async fn look(
    kind: FileKind,
    file: &Path,
    base: &Path,
    sinks: &Sinks,
) -> Result<Vec<(SinkSettings, KeyId)>, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > MAX_BYTES {
        return Err(format!("it has {size} bytes"));
    }
    let bytes = Zeroizing::new(std::fs::read(file).map_err(|error| error.to_string())?);
    // What is no text, or does not mention a key at all, need not be understood.
    let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(Vec::new()) };
    if !text.contains("SG.") {
        return Ok(Vec::new());
    }
    let relative = file.strip_prefix(base).unwrap_or(file);
    let Some(path) = relative.to_str() else { return Err("its name is no text".to_string()) };
    let places = match kind {
        FileKind::Dotenv => keys_in_dotenv(text),
        FileKind::Json => keys_in_json(text),
        FileKind::Yaml => keys_in_yaml(text),
    };
    let mut found = Vec::new();
    for place in places.map_err(|error| error.to_string())? {
        let path = path.to_string();
        let at = match kind {
            FileKind::Dotenv => SinkSettings::Dotenv(DotenvSettings::new(path, place)),
            FileKind::Json => SinkSettings::Json(FileSettings::new(path, place)),
            FileKind::Yaml => SinkSettings::Yaml(FileSettings::new(path, place)),
        };
        let sink = Name::new(at.kind().to_string()).expect("the kinds of files are names");
        let location = SinkLocation::new(sink, at);
        if let SinkObservation::Holds(SinkContent::Key(id)) = sinks.observe(&location).await {
            found.push((location.at.to_settings(), id));
        }
    }
    Ok(found)
}
