//! Files that hold one secret and nothing else, which go with it.

use std::fs;
use std::io;

use gridkey_files::{folder_of, sync_folder};
use zeroize::Zeroizing;

use super::replace::Effect;
use super::way::Way;
use super::whole::{Swap, WholeFile};
use super::{FileError, FilePlace, Files};

impl Files {
    /// Deletes the file, as long as it holds what it held when it was read.
    pub async fn delete(
        &self,
        WholeFile(place): WholeFile,
        old: Zeroizing<Vec<u8>>,
    ) -> Result<Swap, FileError> {
        let stop = self.stop.clone();
        self.edit(place, move |place| place.delete(&old, &mut |effect| stop.before(effect))).await
    }
}

impl FilePlace {
    fn delete(
        &self,
        old: &[u8],
        before: &mut dyn FnMut(Effect) -> io::Result<()>,
    ) -> Result<Swap, FileError> {
        let path = self.behind_links()?;
        let (_, way) = self.way(&path)?;
        if let Way::InPlace(why) = way {
            return Err(self.refused(format!("it cannot be deleted: {why}; delete it by hand")));
        }
        let _editing = self.lock(&path, before)?;
        if self.bytes(&path)?.is_none_or(|now| now.as_slice() != old) {
            return Ok(Swap::Changed);
        }
        let deleted = before(Effect::Rename).and_then(|()| fs::remove_file(&path));
        deleted.map_err(|error| self.cannot("be deleted", &error))?;
        // Who reads it after a crash finds a key that is revoked.
        let _ = sync_folder(folder_of(&path));
        Ok(Swap::Done)
    }
}
