//! Documents: read with care, replaced under compare-and-swap.

use std::fs;
use std::path::{Path, PathBuf};

use gridkey_core::state::AccountState;
use gridkey_engine::ports::{StateReader, StateWriter, StoreError, StoreWriteError, Version};
use tempfile::TempDir;

use super::{name, state, store};

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("state/mailing/acme.json")
}

/// The message of a document that cannot be read.
async fn unreadable(folder: &Path) -> String {
    match store(folder).read(&name("acme")).await {
        Err(StoreError::Unreadable { place, message }) => {
            assert!(place.ends_with("acme.json"), "{place}");
            message
        }
        other => panic!("it should be unreadable: {other:?}"),
    }
}

#[tokio::test]
async fn what_was_written_is_read_with_the_version_that_the_write_gave() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    assert!(!store.exists().await.unwrap());
    assert_eq!(store.read(&name("acme")).await.unwrap(), None);
    let version = store.write(&name("acme"), &state(1), None).await.unwrap();
    let read = store.read(&name("acme")).await.unwrap().unwrap();
    assert_eq!((read.state, read.version), (state(1), version));
    assert!(store.exists().await.unwrap());
}

#[tokio::test]
async fn reading_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store.read(&name("acme")).await.unwrap();
    store.holder(&name("acme")).await.unwrap();
    store.lift(&name("acme")).await.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_write_that_expects_another_version_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let acme = name("acme");
    let conflict = |result: Result<Version, StoreWriteError>| {
        assert!(matches!(result, Err(StoreWriteError::Conflict)), "{result:?}");
    };
    let never = Version("lineage/9/0".to_string());
    conflict(store.write(&acme, &state(1), Some(&never)).await);
    let first = store.write(&acme, &state(1), None).await.unwrap();
    conflict(store.write(&acme, &state(2), None).await);
    let second = store.write(&acme, &state(2), Some(&first)).await.unwrap();
    conflict(store.write(&acme, &state(3), Some(&first)).await);
    assert_eq!(store.read(&acme).await.unwrap().unwrap().version, second);
}

#[tokio::test]
async fn an_edit_by_hand_that_keeps_the_serial_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let version = store.write(&name("acme"), &state(1), None).await.unwrap();
    let text = fs::read_to_string(path(&folder)).unwrap();
    fs::write(path(&folder), text.replace("\"epoch\": 0", "\"epoch\": 1")).unwrap();
    let mut next = state(2);
    next.epoch = 1;
    let result = store.write(&name("acme"), &next, Some(&version)).await;
    assert!(matches!(result, Err(StoreWriteError::Conflict)), "{result:?}");
}

#[tokio::test]
async fn a_write_with_an_older_epoch_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let mut taken_over = state(1);
    taken_over.epoch = 2;
    let version = store.write(&name("acme"), &taken_over, None).await.unwrap();
    let mut late = state(2);
    late.epoch = 1;
    let result = store.write(&name("acme"), &late, Some(&version)).await;
    assert!(matches!(result, Err(StoreWriteError::Conflict)), "{result:?}");
}

#[tokio::test]
async fn of_many_writers_of_one_version_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let first = store(folder.path()).write(&name("acme"), &state(1), None).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    let shared = store(folder.path());
    let _lock = shared.lock(&name("acme"), super::holder("a"), std::time::Duration::ZERO).await.unwrap();
    for serial in 2..10 {
        let (store, first) = (shared.clone(), first.clone());
        writers.spawn(async move {
            store.write(&name("acme"), &state(serial), Some(&first)).await.map(|_| serial)
        });
    }
    let won: Vec<u64> = writers.join_all().await.into_iter().filter_map(Result::ok).collect();
    let read = shared.read(&name("acme")).await.unwrap().unwrap();
    assert_eq!(won, [read.state.serial]);
}

#[tokio::test]
async fn a_truncated_document_is_refused_with_its_position_and_the_version_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let first = store.write(&name("acme"), &state(1), None).await.unwrap();
    store.write(&name("acme"), &state(2), Some(&first)).await.unwrap();
    let bytes = fs::read(path(&folder)).unwrap();
    fs::write(path(&folder), &bytes[..bytes.len() / 2]).unwrap();
    let message = unreadable(folder.path()).await;
    assert!(message.contains("may be truncated"), "{message}");
    assert!(message.contains("line ") && message.contains("column "), "{message}");
    assert!(message.contains("acme.json.backup`: copy it"), "{message}");
    let result = store.write(&name("acme"), &state(3), None).await;
    assert!(matches!(result, Err(StoreWriteError::Failed(_))), "{result:?}");

    fs::copy(path(&folder).with_extension("json.backup"), path(&folder)).unwrap();
    assert_eq!(store.read(&name("acme")).await.unwrap().unwrap().state, state(1));
}

#[tokio::test]
async fn a_document_that_is_no_state_of_this_version_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(path(&folder).parent().unwrap()).unwrap();
    for (text, says) in [
        ("", "put back a copy of it"),
        ("{}", "no `format_version`"),
        (r#"{"format_version": 1}"#, "missing field"),
        (r#"{"format_version": 99}"#, "use the gridkey that wrote it, or a newer one"),
    ] {
        fs::write(path(&folder), text).unwrap();
        let message = unreadable(folder.path()).await;
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[tokio::test]
async fn a_document_in_the_wrong_place_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store.write(&name("acme"), &state(1), None).await.unwrap();
    fs::rename(path(&folder), path(&folder).with_file_name("beta.json")).unwrap();
    let error = store.read(&name("beta")).await.unwrap_err().to_string();
    assert!(error.contains("of account `acme` of project `mailing`"), "{error}");
    let error = store.write(&name("gamma"), &state(1), None).await.unwrap_err().to_string();
    assert!(error.contains("does not belong to account `gamma`"), "{error}");
    let other = AccountState { project: name("other"), ..state(1) };
    let error = store.write(&name("acme"), &other, None).await.unwrap_err().to_string();
    assert!(error.contains("of project `other` does not belong to account `acme`"), "{error}");
    fs::write(path(&folder), other.to_bytes()).unwrap();
    let error = store.read(&name("acme")).await.unwrap_err().to_string();
    assert!(error.contains("of account `acme` of project `other`"), "{error}");
}

#[tokio::test]
async fn a_document_that_was_deleted_is_not_taken_for_one_that_never_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let first = store.write(&name("acme"), &state(1), None).await.unwrap();
    store.write(&name("acme"), &state(2), Some(&first)).await.unwrap();
    fs::remove_file(path(&folder)).unwrap();
    let message = unreadable(folder.path()).await;
    assert!(message.contains("the document is gone"), "{message}");
    assert_eq!(store.accounts().await.unwrap(), [name("acme")], "so that nobody passes over it");
    fs::remove_file(path(&folder).with_extension("json.backup")).unwrap();
    assert_eq!(store.read(&name("acme")).await.unwrap(), None);
}

/// A folder where a document should be, then a file where their folder should be: what they would hold is not known.
#[tokio::test]
async fn what_cannot_be_read_is_not_taken_for_what_never_was() {
    let folder = tempfile::tempdir().unwrap();
    let (store, acme) = (store(folder.path()), name("acme"));
    fs::create_dir_all(path(&folder)).unwrap();
    let read = store.read(&acme).await;
    assert!(matches!(read, Err(StoreError::Failed(_))), "{read:?}");
    let written = store.write(&acme, &state(1), None).await;
    assert!(matches!(written, Err(StoreWriteError::Failed(_))), "{written:?}");

    let documents = path(&folder).parent().unwrap().to_path_buf();
    fs::remove_dir_all(&documents).unwrap();
    fs::write(&documents, "").unwrap();
    let read = store.read(&acme).await;
    assert!(matches!(read, Err(StoreError::Failed(_))), "{read:?}");
    let accounts = store.accounts().await;
    assert!(matches!(accounts, Err(StoreError::Failed(_))), "{accounts:?}");
    let exists = store.exists().await;
    assert!(matches!(exists, Err(StoreError::Failed(_))), "{exists:?}");
    let held = store.holder(&acme).await;
    assert!(matches!(held, Err(StoreError::Failed(_))), "{held:?}");
    let written = store.write(&acme, &state(1), None).await;
    assert!(matches!(written, Err(StoreWriteError::Failed(_))), "{written:?}");
}

#[tokio::test]
async fn accounts_are_documents_and_nothing_else_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let first = store.write(&name("acme"), &state(1), None).await.unwrap();
    store.write(&name("acme"), &state(2), Some(&first)).await.unwrap();
    for other in [".tmp-x1.json", "beta.lock", "beta.backup", "README.md", "Beta.json"] {
        fs::write(path(&folder).with_file_name(other), "").unwrap();
    }
    assert_eq!(store.accounts().await.unwrap(), [name("acme")]);
}

#[tokio::test]
async fn what_a_killed_writer_left_is_cleared_away_and_what_is_another_accounts_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let first = store.write(&name("acme"), &state(1), None).await.unwrap();
    let beside = path(&folder).parent().unwrap().to_path_buf();
    let (left, other) = (beside.join(".tmp-acme.json-a1"), beside.join(".tmp-acme-eu.json-a1"));
    fs::write(&left, "{").unwrap();
    fs::write(&other, "{").unwrap();
    store.write(&name("acme"), &state(2), Some(&first)).await.unwrap();
    assert!(!left.exists() && other.exists());
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn files_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let first = store.write(&name("acme"), &state(1), None).await.unwrap();
        fs::set_permissions(path(&folder), fs::Permissions::from_mode(0o644)).unwrap();
        store.write(&name("acme"), &state(2), Some(&first)).await.unwrap();
        for file in fs::read_dir(path(&folder).parent().unwrap()).unwrap() {
            let file = file.unwrap().path();
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        for made in ["state", "state/mailing"] {
            assert_eq!(mode(&folder.path().join(made)), 0o700, "{made}");
        }
    }

    #[tokio::test]
    async fn a_link_to_a_document_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let first = store.write(&name("acme"), &state(1), None).await.unwrap();
        let real = folder.path().join("real.json");
        fs::rename(path(&folder), &real).unwrap();
        symlink("../../real.json", path(&folder)).unwrap();
        store.write(&name("acme"), &state(2), Some(&first)).await.unwrap();
        assert!(path(&folder).is_symlink());
        assert_eq!(store.read(&name("acme")).await.unwrap().unwrap().state, state(2));
        fs::remove_file(real).unwrap();
        let message = unreadable(folder.path()).await;
        assert!(message.contains("it is a link to"), "{message}");
    }

    /// Root may write into any folder, so the test makes one that cannot be: below a file.
    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_told_with_its_path_and_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("state"), "a file").unwrap();
        let error = store(folder.path()).write(&name("acme"), &state(1), None).await.unwrap_err();
        assert!(matches!(error, StoreWriteError::Failed(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("state/mailing` could not be made"), "{text}");
        assert!(text.contains("name another folder in `state:"), "{text}");
    }
}
