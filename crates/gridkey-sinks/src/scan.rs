//! Scan: every SendGrid key in every text file at or below some paths.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::mention::{Mention, mentions};
use crate::walk::{Passed, Step, walk};

/// Folders of what is not a file that a person wrote: git keeps its history packed, where no text is to be found.
const PASSED_BY: [&str; 1] = [".git"];

/// A file that is larger is a dump or an image; it is named, and can be given on standard input.
const MAX_BYTES: u64 = 64 << 20;

/// What was found, and what was passed over.
#[derive(Debug, Default)]
pub struct Scan {
    pub found: Vec<(PathBuf, Mention)>,
    /// How many files were read.
    pub files: usize,
    /// How many files are not text.
    pub binary: usize,
    /// How many folders of git were passed by.
    pub folders: usize,
    pub links: usize,
    /// Pipes, sockets and devices below a folder.
    pub special: usize,
    pub too_large: Vec<PathBuf>,
    /// Without the text of any file.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl Scan {
    /// Looks through a file, or every file below a folder.
    ///
    /// # Errors
    /// The path itself cannot be read.
    pub fn look_at(&mut self, path: &Path) -> io::Result<()> {
        walk(path, &PASSED_BY, &mut |step| {
            match step {
                Step::File(file) => self.file(file),
                Step::Passed(_, Passed::Folder) => self.folders += 1,
                Step::Passed(_, Passed::Link) => self.links += 1,
                Step::Passed(_, Passed::Special) => self.special += 1,
                Step::Passed(path, Passed::Unreadable(why)) => self.unreadable.push((path, why)),
            }
            Ok(())
        })
    }

    /// Looks through a text of any length that comes from elsewhere.
    ///
    /// # Errors
    /// It cannot be read to its end.
    pub fn read(&mut self, name: &str, text: &mut dyn io::Read) -> io::Result<()> {
        let found = mentions(text)?;
        self.add(Path::new(name), found);
        Ok(())
    }

    fn file(&mut self, path: PathBuf) {
        let found = File::open(&path).and_then(|mut file| {
            let is_too_large = file.metadata()?.len() > MAX_BYTES;
            if is_too_large { Ok(None) } else { mentions(&mut file).map(Some) }
        });
        match found {
            Ok(None) => self.too_large.push(path),
            Ok(Some(found)) => self.add(&path, found),
            Err(error) => self.unreadable.push((path, error.to_string())),
        }
    }

    fn add(&mut self, path: &Path, found: Option<Vec<Mention>>) {
        match found {
            Some(found) => {
                self.files += 1;
                self.found.extend(found.into_iter().map(|mention| (path.to_path_buf(), mention)));
            }
            None => self.binary += 1,
        }
    }
}
