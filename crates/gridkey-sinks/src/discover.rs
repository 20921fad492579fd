//! Discovery: which places of which files hold SendGrid keys, for those who begin.
//!
//! What is told of a secret is its id. A place counts only if the adapter that would write it reads it the
//! same way; a key that stands anywhere else is told by its line.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::sink::{DotenvSettings, FileSettings};
use gridkey_core::{KeyId, Name, SinkLocation, SinkSettings};
use gridkey_engine::ports::SinkReader;
use zeroize::Zeroizing;

use crate::Sinks;
use crate::format::{FormatError, keys_in_dotenv, keys_in_json, keys_in_yaml, open_quote_in_dotenv};
use crate::mention::{Mention, mentions};
use crate::walk::{Passed, Step, walk};

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
    /// Keys that stand elsewhere in a file.
    pub elsewhere: Vec<Elsewhere>,
    /// Files and folders that could not be looked at, and why; without their text.
    pub skipped: Vec<(PathBuf, String)>,
    /// Folders that hold no secrets of a person, and links.
    pub passed_by: Vec<PathBuf>,
    /// How many files are not text.
    pub binary: usize,
}

/// A key that stands in a file where no manifest can name its place: in a list, a comment, a part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    pub path: PathBuf,
    pub id: KeyId,
    /// Every line that has it, also those of places that were found.
    pub lines: BTreeSet<u64>,
    /// How many of them are places that were found.
    pub named: usize,
    /// What stands in the way of reading the file as what it is, without its text.
    pub why: Option<String>,
}

/// Looks through a file, or every file below a folder: as files of a kind, or each as what its name says it is.
///
/// `base` is the folder of the manifest that is to name the places: paths below it are relative to it.
///
/// # Errors
/// The folder or file itself cannot be read, or there are more files below it than are looked at.
pub async fn discover(kind: Option<FileKind>, prefix: &Path, base: &Path) -> Result<Discovery, io::Error> {
    let mut discovery = Discovery::default();
    let prefix = std::path::absolute(prefix)?;
    let base = std::path::absolute(base)?;
    let files = discovery.files(&prefix)?;
    let sinks = Sinks::new(base.clone(), Vec::new());
    for file in files {
        discovery.look(kind.or_else(|| FileKind::of(&file)), &file, &base, &sinks).await;
    }
    Ok(discovery)
}

impl FileKind {
    /// What a file is by its name.
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Some(Self::Json),
            Some("yaml" | "yml") => Some(Self::Yaml),
            Some("env") => Some(Self::Dotenv),
            _ if name == ".env" || name.starts_with(".env.") => Some(Self::Dotenv),
            Some(_) | None => None,
        }
    }

    /// The places of a text that hold keys.
    fn places(self, text: &str) -> Result<Vec<String>, FormatError> {
        match self {
            Self::Dotenv => keys_in_dotenv(text),
            Self::Json => keys_in_json(text),
            Self::Yaml => keys_in_yaml(text),
        }
    }

    /// A quote that is not closed, after which keys cannot be told from parts of a value.
    fn open_quote(self, text: &str) -> Option<String> {
        match self {
            Self::Dotenv => open_quote_in_dotenv(text),
            // These are not read at all then.
            Self::Json | Self::Yaml => None,
        }
    }

    fn settings(self, path: String, place: String) -> SinkSettings {
        match self {
            Self::Dotenv => SinkSettings::Dotenv(DotenvSettings::new(path, place)),
            Self::Json => SinkSettings::Json(FileSettings::new(path, place)),
            Self::Yaml => SinkSettings::Yaml(FileSettings::new(path, place)),
        }
    }
}

impl Discovery {
    fn files(&mut self, prefix: &Path) -> Result<BTreeSet<PathBuf>, io::Error> {
        let mut files = BTreeSet::new();
        walk(prefix, &PASSED_BY, &mut |step| {
            match step {
                Step::File(path) => {
                    files.insert(path);
                }
                Step::Passed(path, Passed::Folder | Passed::Link) => self.passed_by.push(path),
                Step::Passed(path, Passed::Special) => {
                    self.skipped.push((path, "it is not a regular file".to_string()));
                }
                Step::Passed(path, Passed::Unreadable(why)) => self.skipped.push((path, why)),
            }
            if files.len() > MAX_FILES {
                let message = format!("there are more than {MAX_FILES} files; name a folder further down");
                return Err(io::Error::new(io::ErrorKind::QuotaExceeded, message));
            }
            Ok(())
        })?;
        Ok(files)
    }

    async fn look(&mut self, kind: Option<FileKind>, file: &Path, base: &Path, sinks: &Sinks) {
        let (bytes, mentioned) = match read(file).and_then(|bytes| Ok((mentioned(&bytes)?, bytes))) {
            Ok((Some(mentioned), bytes)) => (bytes, mentioned),
            Ok((None, _)) => {
                self.binary += 1;
                return;
            }
            Err(why) => {
                self.skipped.push((file.to_path_buf(), why));
                return;
            }
        };
        // What mentions no key need not be understood.
        if mentioned.is_empty() {
            return;
        }
        let (found, why) = match (kind, std::str::from_utf8(&bytes)) {
            (Some(kind), Ok(text)) => match places(kind, text, file, base, sinks).await {
                Ok(found) => (found, kind.open_quote(text)),
                Err(why) => (Vec::new(), Some(why)),
            },
            // What is in no format that a sink writes can only be told.
            (None, _) | (_, Err(_)) => (Vec::new(), None),
        };
        self.elsewhere.extend(elsewhere(file, mentioned, &found, why.as_ref()));
        self.found.extend(found);
    }
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > MAX_BYTES {
        return Err(format!("it has {size} bytes, and files of more than {MAX_BYTES} are not looked at"));
    }
    std::fs::read(file).map(Zeroizing::new).map_err(|error| error.to_string())
}

/// Where a text mentions keys; `None` where it is not one.
fn mentioned(text: &[u8]) -> Result<Option<Vec<Mention>>, String> {
    mentions(&mut &*text).map_err(|error| error.to_string())
}

async fn places(
    kind: FileKind,
    text: &str,
    file: &Path,
    base: &Path,
    sinks: &Sinks,
) -> Result<Vec<(SinkSettings, KeyId)>, String> {
    let relative = file.strip_prefix(base).unwrap_or(file);
    let path = relative.to_str().ok_or("its name is not text")?;
    let mut found = Vec::new();
    for place in kind.places(text).map_err(|error| error.to_string())? {
        let at = kind.settings(path.to_string(), place);
        let sink = Name::new(at.kind().to_string()).expect("the kinds of files are names");
        let location = SinkLocation::new(sink, at);
        match sinks.observe(&location, None).await {
            SinkObservation::Holds(SinkContent::Key(id)) => found.push((location.at.to_settings(), id)),
            SinkObservation::Unreadable(why) => return Err(why),
            SinkObservation::Holds(SinkContent::Empty | SinkContent::Other) | SinkObservation::WriteOnly => {}
        }
    }
    Ok(found)
}

/// The keys that a file mentions more often than there are places of it.
fn elsewhere(
    file: &Path,
    mentioned: Vec<Mention>,
    found: &[(SinkSettings, KeyId)],
    why: Option<&String>,
) -> Vec<Elsewhere> {
    let mut lines: BTreeMap<KeyId, Vec<u64>> = BTreeMap::new();
    for Mention { line, id } in mentioned {
        lines.entry(id).or_default().push(line);
    }
    let each = lines.into_iter().map(|(id, lines)| {
        let named = found.iter().filter(|(_, held)| *held == id).count();
        (lines.len() > named).then(|| Elsewhere {
            path: file.to_path_buf(),
            id,
            lines: lines.into_iter().collect(),
            named,
            why: why.cloned(),
        })
    });
    each.flatten().collect()
}
