//! Files: whole at every moment, for their owner alone, and nothing in them changes but the secret.

use std::fs;

use gridkey_core::Receipt;
use gridkey_core::SinkKind;
use gridkey_core::inventory::{SinkCaveat, SinkContent, SinkObservation};
use gridkey_engine::ports::{PutError, SinkError, SinkFault, SinkReader, SinkWriter};
use gridkey_sinks::Sinks;
use tempfile::TempDir;

use super::{at, dotenv, holds, json, key, secret, yaml};

fn sinks(folder: &TempDir) -> Sinks {
    Sinks::new(folder.path().to_path_buf(), Vec::new())
}

fn refused(result: Result<Option<Receipt>, PutError>) -> String {
    match result {
        Err(PutError::Refused(error)) => error.message,
        other => panic!("it should be refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_secret_is_put_observed_read_and_removed_in_every_kind_of_file() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(&folder);
    for location in [dotenv("apps/a/.env", "KEY"), json("a.json", "/mail/key"), yaml("a.yaml", "/mail/key")] {
        sinks.check(&location).await.unwrap();
        assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(SinkContent::Empty));
        sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
        assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(holds('a')));
        sinks.put(&location, &secret('b'), &holds('a'), None).await.unwrap();
        assert_eq!(sinks.read(&location).await.unwrap().unwrap().expose(), key('b'));
        sinks.remove(&location).await.unwrap();
        assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(SinkContent::Empty));
        assert!(sinks.read(&location).await.unwrap().is_none());
        sinks.remove(&location).await.unwrap();
        assert!(sinks.path_of(&location).unwrap().is_file(), "the file stays");
    }
}

#[tokio::test]
async fn a_secret_in_base64_is_put_observed_read_and_removed_in_every_kind_of_file() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(&folder);
    for kind in ["dotenv", "json", "yaml"] {
        let place = if kind == "dotenv" { ("variable", "KEY") } else { ("pointer", "/data/KEY") };
        let settings = format!(
            r#"{{"{kind}": {{"path": "a.{kind}", "{}": "{}", "encoding": "base64"}}}}"#,
            place.0, place.1
        );
        let location = at(serde_json::from_str(&settings).unwrap());
        sinks.check(&location).await.unwrap();
        sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
        let text = fs::read_to_string(folder.path().join(format!("a.{kind}"))).unwrap();
        assert!(text.contains("U0cuYWFh") && !text.contains("SG."), "{text}");
        assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(holds('a')));
        sinks.put(&location, &secret('b'), &holds('a'), None).await.unwrap();
        assert_eq!(sinks.read(&location).await.unwrap().unwrap().expose(), key('b'));
        sinks.remove(&location).await.unwrap();
        assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(SinkContent::Empty));
    }
}

#[tokio::test]
async fn looking_and_checking_make_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(&folder);
    let location = dotenv("deep/er/.env", "KEY");
    sinks.observe(&location, None).await;
    sinks.check(&location).await.unwrap();
    sinks.remove(&location).await.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A lease is counted against it: no effect may be begun that could outlast the lock.
#[tokio::test]
async fn a_call_has_a_deadline_that_leaves_time_for_a_command_and_a_look_before_it() {
    let folder = tempfile::tempdir().unwrap();
    assert!(sinks(&folder).deadline(&dotenv(".env", "KEY")) >= std::time::Duration::from_secs(60));
}

#[tokio::test]
async fn a_put_refuses_what_it_did_not_expect_unless_it_is_that_key() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(&folder);
    let location = dotenv(".env", "KEY");
    let path = folder.path().join(".env");
    fs::write(&path, format!("KEY={}\n", key('a'))).unwrap();
    for expected in [SinkContent::Empty, SinkContent::Other, holds('c')] {
        let message = refused(sinks.put(&location, &secret('b'), &expected, None).await);
        assert!(message.contains(&format!("holds the key {}", "a".repeat(22))), "{message}");
        assert!(message.contains("plan again") && !message.contains(&key('a')), "{message}");
    }
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before, "the same secret changes nothing");
    sinks.put(&location, &secret('b'), &holds('a'), None).await.unwrap();

    fs::write(&path, "KEY=changeme\n").unwrap();
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(SinkContent::Other));
    refused(sinks.put(&location, &secret('b'), &SinkContent::Empty, None).await);
    sinks.put(&location, &secret('b'), &SinkContent::Other, None).await.unwrap();
}

#[tokio::test]
async fn two_writers_to_one_file_lose_nothing_whatever_they_call_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("apps")).unwrap();
    let sinks = std::sync::Arc::new(sinks(&folder));
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..16 {
        let sinks = sinks.clone();
        let path = ["app.env", "./app.env", "apps/../app.env"][number % 3];
        let location = dotenv(path, &format!("KEY_{number}"));
        writers.spawn(async move { sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await });
    }
    for result in writers.join_all().await {
        result.unwrap();
    }
    let text = fs::read_to_string(folder.path().join("app.env")).unwrap();
    assert_eq!(text.lines().count(), 16, "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file stays");
}

#[tokio::test]
async fn a_file_that_cannot_be_understood_is_unreadable_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(&folder);
    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::write(folder.path().join("bytes"), b"KEY=\xff\n").unwrap();
    fs::write(folder.path().join("half"), format!("{{\"key\": \"{}", key('a'))).unwrap();
    for (location, says) in [
        (dotenv("folder", "KEY"), "it is a folder"),
        (dotenv("bytes", "KEY"), "not UTF-8 text, from byte 4 on"),
        (dotenv("missing", "K-E Y"), "not the name of a variable"),
        (json("half", "/key"), "it is not JSON: EOF"),
        (yaml("half", "/key"), "it is not YAML from line 1"),
        (json("missing", "key"), "write it as a JSON Pointer"),
    ] {
        let SinkObservation::Unreadable(message) = sinks.observe(&location, None).await else {
            panic!("{location} is unreadable")
        };
        assert!(message.contains(says) && !message.contains(&key('a')), "{message}");
        assert_eq!(refused(sinks.put(&location, &secret('b'), &SinkContent::Empty, None).await), message);
        assert!(
            matches!(sinks.check(&location).await, Err(SinkError { message: again, .. }) if again == message)
        );
    }
    assert_eq!(fs::read(folder.path().join("bytes")).unwrap(), b"KEY=\xff\n");
}

#[tokio::test]
async fn what_cannot_be_edited_is_found_by_the_check_before_a_key_is_made() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), "mail: &mail {}\nother: *mail\n").unwrap();
    let (sinks, location) = (sinks(&folder), yaml("a.yaml", "/mail/key"));
    let message = sinks.check(&location).await.unwrap_err().to_string();
    assert!(message.contains("a.yaml`: `/mail` has an anchor"), "{message}");
    let observed = sinks.observe(&location, None).await;
    assert_eq!(observed, SinkObservation::Unreadable(message.clone()), "and by the plan");
    assert_eq!(sinks.caveats(&location).await, [], "which says it once");
    // What is there already needs no edit.
    fs::write(folder.path().join("a.yaml"), format!("mail: &mail {{ key: {} }}\nother: *mail\n", key('a')))
        .unwrap();
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(holds('a')));
    // A rotation would.
    assert_eq!(sinks.caveats(&location).await, [SinkCaveat::NotWritable(message)]);
}

/// Root may write into any folder, so the test makes one that cannot be: below a file.
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_with_its_path_and_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "KEY=old\n").unwrap();
    let sinks = sinks(&folder);
    let location = dotenv("file/.env", "KEY");
    let message = sinks.check(&location).await.unwrap_err().to_string();
    assert!(message.contains("file/.env`") && message.contains("name another path"), "{message}");
    refused(sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await);
    assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "KEY=old\n");
}

#[tokio::test]
async fn a_kind_that_this_build_lacks_is_refused_in_the_same_words_everywhere() {
    for kind in SinkKind::ALL {
        assert_ne!(gridkey_sinks::supports(kind), gridkey_sinks::missing_kinds().contains(&kind));
    }
    // A build with all features lacks nothing.
    if gridkey_sinks::supports(SinkKind::AwsSsm) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sinks = sinks(&folder);
    let says = "this build of gridkey has no `aws_ssm` sink";
    let ssm = r#"{"aws_ssm": {"region": "eu-west-1", "parameter": "/mail"}}"#;
    let location = at(serde_json::from_str(ssm).unwrap());
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::Unreadable(says.to_string()));
    assert_eq!(refused(sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await), says);
    for result in [
        sinks.check(&location).await.map(drop),
        sinks.remove(&location).await,
        sinks.read(&location).await.map(drop),
    ] {
        assert!(
            matches!(result, Err(SinkError { fault: SinkFault::Unsupported, message, .. }) if message == says)
        );
    }
    assert_eq!(sinks.path_of(&location), None);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::super::passes_as_nobody;
    use super::*;

    #[tokio::test]
    async fn a_read_only_file_in_a_read_only_folder_is_refused_with_nothing_written() {
        let folder = tempfile::tempdir().unwrap();
        let sinks = sinks(&folder);
        let (closed, path) = (folder.path().join("closed"), folder.path().join("closed/.env"));
        fs::create_dir(&closed).unwrap();
        fs::write(&path, "KEY=changeme\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
        let is_root = fs::write(closed.join("try"), "").is_ok();
        let location = dotenv("closed/.env", "KEY");
        let checked = sinks.check(&location).await;
        let put = sinks.put(&location, &secret('a'), &SinkContent::Other, None).await;
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
        if is_root {
            put.unwrap();
            passes_as_nobody(
                "file::unix::a_read_only_file_in_a_read_only_folder_is_refused_with_nothing_written",
            );
            return;
        }
        let message = refused(put);
        assert!(message.contains("closed/.env`") && message.contains("let this user"), "{message}");
        assert_eq!(checked.unwrap_err().to_string(), message);
        assert_eq!(fs::read_to_string(path).unwrap(), "KEY=changeme\n");
        assert_eq!(fs::read_dir(closed).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_link_is_written_through_and_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let sinks = sinks(&folder);
        fs::create_dir(folder.path().join("real")).unwrap();
        symlink("real/.env", folder.path().join(".env")).unwrap();
        sinks.put(&dotenv(".env", "KEY"), &secret('a'), &SinkContent::Empty, None).await.unwrap();
        sinks.put(&dotenv("real/.env", "OTHER"), &secret('b'), &SinkContent::Empty, None).await.unwrap();
        assert!(folder.path().join(".env").is_symlink());
        assert_eq!(sinks.observe(&dotenv(".env", "OTHER"), None).await, SinkObservation::Holds(holds('b')));
        symlink("circle", folder.path().join("circle")).unwrap();
        let message =
            refused(sinks.put(&dotenv("circle", "KEY"), &secret('a'), &SinkContent::Empty, None).await);
        assert!(message.contains("round in a circle"), "{message}");
    }

    #[tokio::test]
    async fn what_is_no_regular_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        let message = refused(
            sinks(&folder).put(&dotenv("socket", "KEY"), &secret('a'), &SinkContent::Empty, None).await,
        );
        assert!(message.contains("not a regular file"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn files_of_one_folder_are_edited_side_by_side() {
    const FILES: usize = 8;
    const ROUNDS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let sinks = std::sync::Arc::new(sinks(&folder));
    let writers = (0..FILES).map(|file| {
        let sinks = std::sync::Arc::clone(&sinks);
        tokio::spawn(async move {
            let location = dotenv(&format!("{file}.env"), "KEY");
            for _ in 0..ROUNDS {
                sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
                sinks.remove(&location).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}
