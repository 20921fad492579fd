//! What reaches the disk, in which order and for whom: what no answer shows, and a loss of power or another user would.

use std::path::Path;

use gridkey_engine::ports::StateWriter;

use super::traced::{calls_of, folder, in_place_or_for_others, is_made_durably, replaced};
use super::{name, state, store};

/// The child of the test below; of no effect where it is run as a test.
#[tokio::test]
async fn writes_twice_where_a_test_asks_it_to() {
    let Some(folder) = folder() else { return };
    let store = store(Path::new(&folder));
    let first = store.write(&name("acme"), &state(1), None).await.unwrap();
    store.write(&name("acme"), &state(2), Some(&first)).await.unwrap();
}

#[test]
fn a_document_is_made_durable_before_and_after_it_takes_the_place_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let Some(calls) = calls_of("disk::writes_twice_where_a_test_asks_it_to", &folder) else { return };
    let place = folder.join("state/mailing");
    let first = replaced(&calls, &place.join("acme.json"), ".tmp-acme.json-", 0);
    let kept = replaced(&calls, &place.join("acme.json.backup"), ".tmp-acme.json.backup-", first);
    replaced(&calls, &place.join("acme.json"), ".tmp-acme.json-", kept);
    for made in [&folder.join("state"), &place] {
        is_made_durably(&calls, made);
    }
    let wrong = in_place_or_for_others(&calls, &folder.join("state"), "acme.json");
    assert_eq!(wrong, Vec::<String>::new());
}
