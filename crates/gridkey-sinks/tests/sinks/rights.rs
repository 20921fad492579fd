//! For whom files are, and files that cannot be replaced.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use gridkey_core::inventory::{SinkCaveat, SinkContent, SinkObservation};
use gridkey_core::sink::DotenvSettings;
use gridkey_core::{SinkLocation, SinkSettings};
use gridkey_engine::ports::{PutError, SinkReader, SinkWriter};
use gridkey_sinks::Sinks;
use tempfile::TempDir;

use super::{at, dotenv, holds, key, passes_as_nobody, secret};

fn sinks(folder: &TempDir) -> Sinks {
    Sinks::new(folder.path().to_path_buf(), Vec::new())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// `KEY` in `.env`, with a mode.
fn with_mode(mode: &str) -> SinkLocation {
    let settings = DotenvSettings { mode: Some(mode.parse().unwrap()), ..DotenvSettings::new(".env", "KEY") };
    at(SinkSettings::Dotenv(settings))
}

fn mode_changes(from: &str, to: &str) -> Vec<SinkCaveat> {
    vec![SinkCaveat::Mode { from: from.to_string(), to: to.parse().unwrap() }]
}

#[tokio::test]
async fn a_new_file_is_for_its_owner_alone_and_so_are_folders_unless_a_mode_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(&folder);
    sinks.put(&dotenv("x/y/.env", "KEY"), &secret('a'), &SinkContent::Empty, None).await.unwrap();
    let made = ["x/y/.env", "x", "x/y"].map(|path| mode(&folder.path().join(path)));
    assert_eq!(made, [0o600, 0o700, 0o700]);
    let location = with_mode("0640");
    assert_eq!(sinks.caveats(&location).await, [], "a file that is not there has no mode to change");
    sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    assert_eq!(mode(&folder.path().join(".env")), 0o640);
}

#[tokio::test]
async fn a_file_keeps_its_mode_less_what_others_may_do_in_every_kind_of_edit() {
    let folder = tempfile::tempdir().unwrap();
    let (sinks, path) = (sinks(&folder), folder.path().join(".env"));
    let location = dotenv(".env", "KEY");
    for (before, after) in [(0o644, 0o640), (0o640, 0o640), (0o666, 0o660), (0o600, 0o600), (0o400, 0o400)] {
        let reset = || {
            fs::write(&path, format!("A=1\nKEY={}\n", key('a'))).unwrap();
            set_mode(&path, before);
        };
        reset();
        let caveats = match before == after {
            true => Vec::new(),
            false => mode_changes(&format!("0{before:o}"), &format!("0{after:o}")),
        };
        assert_eq!(sinks.caveats(&location).await, caveats);
        assert_eq!(mode(&path), before, "to look changes nothing");
        // The same secret, another one, and none.
        sinks.put(&location, &secret('a'), &holds('a'), None).await.unwrap();
        assert_eq!(mode(&path), after);
        let _ = fs::remove_file(&path);
        reset();
        sinks.put(&location, &secret('b'), &holds('a'), None).await.unwrap();
        assert_eq!(mode(&path), after);
        let _ = fs::remove_file(&path);
        reset();
        sinks.remove(&location).await.unwrap();
        assert_eq!(mode(&path), after);
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn a_mode_that_is_given_counts_for_a_file_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (sinks, path) = (sinks(&folder), folder.path().join(".env"));
    for (before, given, bits) in [(0o644, "0600", 0o600), (0o600, "0660", 0o660), (0o640, "0440", 0o440)] {
        fs::write(&path, "KEY=changeme\n").unwrap();
        set_mode(&path, before);
        let location = with_mode(given);
        assert_eq!(sinks.caveats(&location).await, mode_changes(&format!("0{before:o}"), given));
        sinks.put(&location, &secret('a'), &SinkContent::Other, None).await.unwrap();
        assert_eq!(mode(&path), bits);
        assert_eq!(sinks.caveats(&location).await, []);
        fs::remove_file(&path).unwrap();
    }
}

/// Only root can give a file away, so for others there is nothing to see here.
#[tokio::test]
async fn a_file_stays_with_its_owner_and_its_group() {
    for (owner, group) in [(12_345, 12_346), (0, 12_346)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, "").unwrap();
        if chown(&path, Some(owner), Some(group)).is_err() {
            println!("skipped: only root can give a file away");
            return;
        }
        set_mode(&path, 0o640);
        let (sinks, location) = (sinks(&folder), dotenv(".env", "KEY"));
        assert_eq!(sinks.caveats(&location).await, []);
        sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
        let now = fs::metadata(&path).unwrap();
        assert_eq!((now.uid(), now.gid(), mode(&path)), (owner, group, 0o640));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_access_list_is_kept_and_none_comes_from_the_folder() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    /// Version, and entries: owner, user 12345, group, mask, others.
    fn list(user: u8, others: u8) -> Vec<u8> {
        let none = [0xff; 4];
        let mut list = vec![2, 0, 0, 0];
        for (kind, may, whom) in [
            (1, 6, none),
            (2, user, 12_345_u32.to_le_bytes()),
            (4, 0, none),
            (16, 4, none),
            (32, others, none),
        ] {
            list.extend([kind, 0, may, 0]);
            list.extend(whom);
        }
        list
    }
    const ACCESS: &str = "system.posix_acl_access";
    let read = |path: &Path| {
        let mut list = [0; 256];
        getxattr(path, ACCESS, &mut list[..]).ok().map(|size| list[..size].to_vec())
    };
    let folder = tempfile::tempdir().unwrap();
    let (sinks, path, location) = (sinks(&folder), folder.path().join(".env"), dotenv(".env", "KEY"));
    fs::write(&path, "KEY=\n").unwrap();
    if setxattr(&path, ACCESS, &list(4, 4), XattrFlags::empty()).is_err() {
        println!("skipped: no access lists on this file system");
        return;
    }
    assert_eq!(mode(&path), 0o644);
    sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    assert_eq!((read(&path), mode(&path)), (Some(list(4, 0)), 0o640));
    // Of the folder's own list, a file that is there before gets nothing.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "KEY=\n").unwrap();
    set_mode(&path, 0o640);
    setxattr(folder.path(), "system.posix_acl_default", &list(4, 0), XattrFlags::empty()).unwrap();
    sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    assert_eq!((read(&path), mode(&path)), (None, 0o640));
}

/// As `nobody`, where this user may write everywhere.
async fn unless_root(test: &str, folder: &TempDir) -> bool {
    let closed = folder.path().join("try");
    fs::create_dir(&closed).unwrap();
    set_mode(&closed, 0o555);
    let is_root = fs::write(closed.join("file"), "").is_ok();
    if is_root {
        passes_as_nobody(test);
    }
    !is_root
}

#[tokio::test]
async fn a_file_whose_folder_cannot_be_written_is_written_in_place_and_the_plan_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let test = "rights::a_file_whose_folder_cannot_be_written_is_written_in_place_and_the_plan_says_so";
    if !unless_root(test, &folder).await {
        return;
    }
    let (closed, path) = (folder.path().join("closed"), folder.path().join("closed/.env"));
    fs::create_dir(&closed).unwrap();
    fs::write(&path, "A=1\nKEY=a-long-value-that-is-replaced-by-one-that-is-longer\nB=2\n").unwrap();
    set_mode(&path, 0o644);
    set_mode(&closed, 0o555);
    let (sinks, location) = (sinks(&folder), dotenv("closed/.env", "KEY"));
    let inode = fs::metadata(&path).unwrap().ino();
    let caveats = sinks.caveats(&location).await;
    let [SinkCaveat::Mode { from: _, to: _ }, SinkCaveat::InPlace(why)] = &caveats[..] else {
        panic!("{caveats:?}")
    };
    assert_eq!(why, "permission denied");
    sinks.check(&location).await.unwrap();
    sinks.put(&location, &secret('a'), &SinkContent::Other, None).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("A=1\nKEY={}\nB=2\n", key('a')));
    assert_eq!((fs::metadata(&path).unwrap().ino(), mode(&path)), (inode, 0o640));
    sinks.remove(&location).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "A=1\nB=2\n", "what is shorter has no rest behind it");
    // What is new cannot be made there.
    let missing = dotenv("closed/new.env", "KEY");
    let error = sinks.check(&missing).await.unwrap_err().to_string();
    assert!(error.contains("closed/new.env` cannot be written: permission denied"), "{error}");
    assert_eq!(sinks.caveats(&missing).await, [SinkCaveat::NotWritable(error)]);
    set_mode(&closed, 0o755);
}

/// A file over another, or a file system of memory; nothing where this user cannot mount.
#[cfg(target_os = "linux")]
struct Mount<'a>(&'a Path);

#[cfg(target_os = "linux")]
impl<'a> Mount<'a> {
    fn bind(from: &Path, to: &'a Path, read_only: bool) -> Option<Self> {
        let mut command = std::process::Command::new("mount");
        command.args(["--bind"]).args([from, to]);
        let mounted = command.output().is_ok_and(|output| output.status.success());
        let mount = mounted.then_some(Self(to))?;
        let mut again = std::process::Command::new("mount");
        again.args(["-o", "remount,bind,ro"]).arg(to);
        let done = !read_only || again.output().is_ok_and(|output| output.status.success());
        done.then_some(mount)
    }

    fn memory(size: &str, to: &'a Path) -> Option<Self> {
        let mut command = std::process::Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0755"), "gridkey-test"]).arg(to);
        command.output().is_ok_and(|output| output.status.success()).then_some(Self(to))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let ended = std::process::Command::new("umount").arg(self.0).status();
        assert!(ended.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_is_a_mount_point_is_written_in_place_and_refused_where_it_is_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let [host, path] = ["host.env", ".env"].map(|name| folder.path().join(name));
    fs::write(&host, "KEY=\nA=1\n").unwrap();
    fs::write(&path, "").unwrap();
    set_mode(&host, 0o640);
    let (sinks, location) = (sinks(&folder), dotenv(".env", "KEY"));
    {
        let Some(_mount) = Mount::bind(&host, &path, false) else {
            println!("skipped: this user cannot mount");
            return;
        };
        assert_eq!(sinks.caveats(&location).await, [SinkCaveat::InPlace("it is a mount point".to_string())]);
        sinks.check(&location).await.unwrap();
        sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
        assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(holds('a')));
        sinks.put(&location, &secret('b'), &holds('a'), None).await.unwrap();
    }
    assert_eq!(fs::read_to_string(&host).unwrap(), format!("KEY={}\nA=1\n", key('b')));
    assert_eq!((mode(&host), fs::read_dir(folder.path()).unwrap().count()), (0o640, 2));
    let Some(_mount) = Mount::bind(&host, &path, true) else { panic!("it could be mounted before") };
    let error = sinks.check(&location).await.unwrap_err().to_string();
    assert!(error.contains("read-only") && error.contains("it is a mount point"), "{error}");
    assert_eq!(sinks.caveats(&location).await, [SinkCaveat::NotWritable(error.clone())]);
    let refused = sinks.put(&location, &secret('a'), &holds('b'), None).await.unwrap_err();
    assert_eq!(refused.to_string(), error);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_told_before_a_key_is_made_and_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let Some(_mount) = Mount::memory("64k", &disk) else {
        println!("skipped: this user cannot mount");
        return;
    };
    let (sinks, location) = (sinks(&folder), dotenv("disk/.env", "KEY"));
    let before = format!("A={}\n", "a".repeat(5_000));
    fs::write(disk.join(".env"), &before).unwrap();
    sinks.check(&location).await.unwrap();
    // Room for an empty file, and for none that holds what this one does.
    let filled = fs::write(disk.join("filler"), vec![1; 64 << 10]);
    assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let error = sinks.check(&location).await.unwrap_err().to_string();
    assert!(error.contains("disk/.env` cannot be written: ") && error.contains("free some space"), "{error}");
    let refused = sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap_err();
    assert!(matches!(refused, PutError::NoRoom(_)), "{refused:?}");
    assert_eq!(refused.to_string(), error);
    assert_eq!(fs::read_to_string(disk.join(".env")).unwrap(), before);
    let files = fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(files.filter(|name| name.to_string_lossy().ends_with(".tmp")).count(), 0);
    fs::remove_file(disk.join("filler")).unwrap();
    sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    sinks.check(&location).await.unwrap();
}

#[tokio::test]
async fn a_place_where_no_file_can_be_made_is_told_before_a_key_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let sinks = sinks(&folder);
    for path in ["file/x/.env", "/proc/gridkey.env", "/proc/no/such/folder/.env"] {
        if path.starts_with("/proc") && !Path::new("/proc/self").exists() {
            continue;
        }
        let location = dotenv(path, "KEY");
        let error = sinks.check(&location).await.unwrap_err().to_string();
        let told = match sinks.observe(&location, None).await {
            SinkObservation::Unreadable(message) => vec![SinkCaveat::NotWritable(message)],
            SinkObservation::Holds(_) | SinkObservation::WriteOnly => sinks.caveats(&location).await,
        };
        assert_eq!(told, [SinkCaveat::NotWritable(error)], "{path}");
    }
}
