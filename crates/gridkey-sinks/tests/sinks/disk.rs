//! What reaches the disk, in which order and for whom: what no answer shows, and a loss of power or another user would.

use gridkey_core::inventory::SinkContent;
use gridkey_engine::ports::SinkWriter;
use gridkey_sinks::Sinks;

use super::traced::{calls_of, folder, in_place_or_for_others, is_made_durably, replaced};
use super::{dotenv, holds, secret};

/// The child of the test below; of no effect where it is run as a test.
#[tokio::test]
async fn edits_where_a_test_asks_it_to() {
    let Some(folder) = folder() else { return };
    let sinks = Sinks::new(folder.into(), Vec::new());
    let location = dotenv("a/b/.env", "KEY");
    sinks.check(&location).await.unwrap();
    sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    let other = dotenv("a/b/.env", "OTHER");
    sinks.put(&other, &secret('b'), &SinkContent::Empty, None).await.unwrap();
    sinks.put(&other, &secret('b'), &holds('b'), None).await.unwrap();
    // The other variable stays, as a file that becomes empty is not written.
    sinks.remove(&location).await.unwrap();
}

#[test]
fn a_file_is_made_durable_before_and_after_it_takes_the_place_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let Some(calls) = calls_of("disk::edits_where_a_test_asks_it_to", &folder) else { return };
    let path = folder.join("a/b/.env");
    let new = replaced(&calls, &path, ".gridkey-", 0);
    let other = replaced(&calls, &path, ".gridkey-", new);
    // What is there already may have been written by a run that was killed before it was durable.
    let is_synced = |of: String| {
        let found = calls[other..].iter().position(|call| call.contains("sync(") && call.contains(&of));
        found.unwrap_or_else(|| panic!("{of} was not made durable:\n{}", calls.join("\n")))
    };
    let file = is_synced(format!("<{}>", path.display()));
    let cleared = replaced(&calls, &path, ".gridkey-", other);
    assert!(other + file < cleared, "before the file is cleared");
    for made in ["a", "a/b"] {
        is_made_durably(&calls, &folder.join(made));
    }
    let wrong = in_place_or_for_others(&calls, &folder.join("a"), "/.env");
    assert_eq!(wrong, Vec::<String>::new());
}
