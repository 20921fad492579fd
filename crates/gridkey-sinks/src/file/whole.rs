//! Files whose content is made elsewhere, encrypted: read, replaced as long as they are what they were, and deleted.

use std::io;
use std::path::PathBuf;

use gridkey_core::inventory::SinkCaveat;
use gridkey_core::sink::Encoding;
use gridkey_files::behind_links;
use zeroize::Zeroizing;

use super::replace::{Effect, Failure};
use super::{FileError, FilePlace, Files, blocking};
use crate::format::Entry;

/// What a file held when it was read; `None` where there was none.
pub(crate) type Content = Option<Zeroizing<Vec<u8>>>;

/// How an exchange came out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    Done,
    /// The file is not what it was when it was read; nothing was done.
    Changed,
}

/// A file that is encrypted, whole or in part.
#[derive(Clone, Debug)]
pub(crate) struct WholeFile(pub(super) FilePlace);

impl WholeFile {
    pub fn new(path: PathBuf) -> Self {
        Self(FilePlace {
            path,
            entry: Entry::Whole,
            mode: None,
            encoding: Encoding::Plain,
            bounds: None,
            is_encrypted: true,
        })
    }

    pub fn path(&self) -> std::path::Display<'_> {
        self.0.path.display()
    }

    /// A message that names the file.
    pub fn says(&self, message: impl std::fmt::Display) -> String {
        format!("`{}`: {message}", self.path())
    }
}

impl Files {
    /// What the file holds.
    pub async fn content(&self, WholeFile(place): WholeFile) -> Result<Content, FileError> {
        blocking(move || place.bytes(&place.behind_links()?)).await
    }

    /// Whether the file can take so many bytes; nothing of it is touched.
    pub async fn can_take(&self, WholeFile(place): WholeFile, bytes: usize) -> Result<(), FileError> {
        let stop = self.stop.clone();
        blocking(move || place.can_be_written(&place.behind_links()?, bytes, &mut || stop.may_wait())).await
    }

    /// What a write would bring with it.
    pub async fn caveats_of_whole(&self, WholeFile(place): WholeFile) -> Vec<SinkCaveat> {
        let found = move || place.behind_links().map(|path| place.caveats_of_a_write(&path));
        blocking(found).await.unwrap_or_else(|error| vec![SinkCaveat::NotWritable(error.to_string())])
    }

    /// Puts `new` in the place of what the file held when it was read.
    pub async fn swap(
        &self,
        WholeFile(place): WholeFile,
        old: Content,
        new: Zeroizing<Vec<u8>>,
    ) -> Result<Swap, FileError> {
        let stop = self.stop.clone();
        self.edit(place, move |place| place.swap(old.as_deref(), &new, &mut |effect| stop.before(effect)))
            .await
    }
}

impl FilePlace {
    pub(super) fn behind_links(&self) -> Result<PathBuf, FileError> {
        behind_links(&self.path).map_err(|error| self.cannot("be read", &error))
    }

    fn swap(
        &self,
        old: Option<&Vec<u8>>,
        new: &[u8],
        before: &mut dyn FnMut(Effect) -> io::Result<()>,
    ) -> Result<Swap, FileError> {
        let path = self.behind_links()?;
        let mut editing = self.lock(&path, before)?;
        match self.write_bytes(&path, old.map(Vec::as_slice), new, &mut editing, before) {
            Ok(()) => Ok(Swap::Done),
            Err(Failure { at: Effect::Compare, error: _ }) => Ok(Swap::Changed),
            Err(failure) => Err(self.failed(&failure)),
        }
    }
}
