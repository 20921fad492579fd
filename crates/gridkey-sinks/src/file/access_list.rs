//! POSIX access lists of files, on Linux: users and groups that may read a file besides those that its mode speaks of.
//!
//! They are copied as the kernel shows them. One that a new file got from its folder is taken away where the old file had none.

#[cfg(target_os = "linux")]
pub(super) use linux::{give, of};

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{give, of};

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use rustix::fs::{XattrFlags, fremovexattr, fsetxattr, getxattr};
    use rustix::io::Errno;

    const NAME: &str = "system.posix_acl_access";

    /// A list is 4 bytes, and 8 for each entry: its kind, what it may do, and for whom.
    const ENTRY: usize = 8;
    const HEADER: usize = 4;
    const OTHERS: u16 = 0x20;

    /// The list of the file; `None` where its mode says all there is.
    pub(in crate::file) fn of(path: &Path) -> io::Result<Option<Vec<u8>>> {
        // As large as an attribute can be.
        let mut list = vec![0; 65_536];
        match getxattr(path, NAME, &mut list[..]) {
            Ok(size) => {
                list.truncate(size);
                Ok(Some(without_others(list)))
            }
            Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a new file the list, or none. What others may do is never in it; the mode that comes after says what the
    /// rest of it counts for.
    pub(in crate::file) fn give(new: &File, list: Option<&[u8]>) -> io::Result<()> {
        let given = match list {
            Some(list) => fsetxattr(new, NAME, list, XattrFlags::empty()),
            None => fremovexattr(new, NAME),
        };
        match given {
            Ok(()) | Err(Errno::NODATA) => Ok(()),
            Err(Errno::NOTSUP | Errno::NOSYS) if list.is_none() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn without_others(mut list: Vec<u8>) -> Vec<u8> {
        for entry in list.get_mut(HEADER..).unwrap_or_default().chunks_exact_mut(ENTRY) {
            if u16::from_le_bytes([entry[0], entry[1]]) == OTHERS {
                entry[2..4].fill(0);
            }
        }
        list
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(in crate::file) fn of(_path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    pub(in crate::file) fn give(_new: &File, _list: Option<&[u8]>) -> io::Result<()> {
        Ok(())
    }
}
