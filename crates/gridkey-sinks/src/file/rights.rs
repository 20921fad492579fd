//! For whom a file is. One that is there stays for whom it was, less others: a program that reads its secret through a group
//! must find it there after an edit, too.

#[cfg(unix)]
pub(super) use unix::Rights;

#[cfg(not(unix))]
pub(super) use elsewhere::Rights;

#[cfg(unix)]
mod unix {
    use std::fs::{self, File, Metadata, Permissions};
    use std::io;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    use std::path::Path;

    use gridkey_core::sink::FileMode;

    use super::super::access_list;

    /// What a file has, and what it is to have.
    #[derive(Debug)]
    pub(in crate::file) struct Rights {
        /// `None` where there is no file yet.
        old: Option<Metadata>,
        access_list: Option<Vec<u8>>,
        /// The bits of its mode.
        mode: u32,
    }

    fn bits(metadata: &Metadata) -> u32 {
        metadata.permissions().mode() & 0o7777
    }

    impl Rights {
        /// Those of the file at `path`, and `given`, which counts where it is there.
        pub fn of(path: &Path, given: Option<FileMode>) -> io::Result<Self> {
            Self::with(path, |old| {
                let kept = old.map_or(FileMode::PRIVATE, |old| FileMode::without_others(bits(old)));
                given.unwrap_or(kept).bits()
            })
        }

        /// Those of the file at `path`, others' among them: what is encrypted may be read by all.
        pub fn as_they_are(path: &Path) -> io::Result<Self> {
            Self::with(path, |old| old.map_or(FileMode::PRIVATE.bits(), bits))
        }

        fn with(path: &Path, mode: impl FnOnce(Option<&Metadata>) -> u32) -> io::Result<Self> {
            let old = match fs::metadata(path) {
                Ok(metadata) => Some(metadata),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            let access_list = if old.is_some() { access_list::of(path)? } else { None };
            let mode = mode(old.as_ref());
            Ok(Self { old, access_list, mode })
        }

        /// The mode that the file has, and the one that it gets, where these differ.
        pub fn change(&self) -> Option<(String, FileMode)> {
            let old = bits(self.old.as_ref()?);
            // A mode that changes is one that takes rights from others.
            (old != self.mode).then(|| (format!("{old:04o}"), FileMode::without_others(self.mode)))
        }

        /// Gives them to a temporary file that is to take the place of the old one, and that only its owner can read until
        /// all of it is done.
        pub fn give(&self, new: &File) -> io::Result<()> {
            let made = new.metadata()?;
            if let Some(old) = &self.old {
                let differs = |ours: u32, theirs: u32| (ours != theirs).then_some(theirs);
                let (owner, group) = (differs(made.uid(), old.uid()), differs(made.gid(), old.gid()));
                if owner.is_some() || group.is_some() {
                    fchown(new, owner, group).map_err(|error| self.not_given(old, &error))?;
                }
                access_list::give(new, self.access_list.as_deref())?;
            }
            // A file system that does not keep the mode of a new file keeps none.
            let keeps_modes = bits(&made) == FileMode::PRIVATE.bits();
            if keeps_modes && bits(&new.metadata()?) != self.mode {
                new.set_permissions(Permissions::from_mode(self.mode))?;
            }
            Ok(())
        }

        fn not_given(&self, old: &Metadata, error: &io::Error) -> io::Error {
            let (owner, group) = (old.uid(), old.gid());
            let message = format!(
                "it belongs to user {owner} and group {group}, and a new one cannot be given to them: {error}"
            );
            io::Error::new(error.kind(), message)
        }

        /// Whether the mode of the file itself is right, or this user can make it so.
        pub fn can_be_set(&self) -> io::Result<()> {
            let (Some(old), Some((mode, _))) = (&self.old, self.change()) else { return Ok(()) };
            let user = rustix::process::geteuid().as_raw();
            if user == 0 || user == old.uid() {
                return Ok(());
            }
            let message =
                format!("it has mode {mode}, and only its owner, user {}, can change that", old.uid());
            Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
        }

        /// Takes away from the file itself what it is not to have; done before a secret is written into it.
        pub fn narrow(&self, file: &File) -> io::Result<()> {
            let now = bits(&file.metadata()?);
            let less = now & self.mode;
            if now == less { Ok(()) } else { file.set_permissions(Permissions::from_mode(less)) }
        }

        /// Gives the file itself the mode that it is to have.
        pub fn set(&self, file: &File) -> io::Result<()> {
            let now = bits(&file.metadata()?);
            if now == self.mode {
                return Ok(());
            }
            file.set_permissions(Permissions::from_mode(self.mode))
        }
    }
}

/// Elsewhere, a file is for whom its folder is for.
#[cfg(not(unix))]
mod elsewhere {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use gridkey_core::sink::FileMode;

    #[derive(Debug)]
    pub(in crate::file) struct Rights;

    impl Rights {
        pub fn of(_path: &Path, _given: Option<FileMode>) -> io::Result<Self> {
            Ok(Self)
        }

        pub fn as_they_are(_path: &Path) -> io::Result<Self> {
            Ok(Self)
        }

        pub fn change(&self) -> Option<(String, FileMode)> {
            None
        }

        pub fn give(&self, _new: &File) -> io::Result<()> {
            Ok(())
        }

        pub fn can_be_set(&self) -> io::Result<()> {
            Ok(())
        }

        pub fn narrow(&self, _file: &File) -> io::Result<()> {
            Ok(())
        }

        pub fn set(&self, _file: &File) -> io::Result<()> {
            Ok(())
        }
    }
}
