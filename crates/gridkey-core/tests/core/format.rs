//! Documents of every format that a gridkey has written, and what becomes of them.

use std::path::Path;

use gridkey_core::sink::Receipt;
use gridkey_core::state::transition::Receipts;
use gridkey_core::state::{AccountState, FORMAT_VERSION, Settings};
use gridkey_core::{Address, Known};
use jiff::Timestamp;

/// A document as it was written: by the gridkey of its format, but for the creation and the markers, which an interrupted run
/// leaves.
fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/states").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn written(state: &AccountState) -> String {
    String::from_utf8(state.to_bytes()).unwrap()
}

fn mailer() -> Address {
    "prod/mailer".parse().unwrap()
}

#[test]
fn a_document_of_format_1_is_read_whole_and_written_back_as_format_2() {
    let first = document("format-1.json");
    let state = AccountState::parse(first.as_bytes()).unwrap();
    assert_eq!(state.known().count(), 0, "nothing is known that nobody wrote down");
    assert_eq!(
        (state.keys.len(), state.pending.len(), state.abandoned.len(), state.leaving.len()),
        (2, 1, 1, 1)
    );
    let upgraded = written(&state);
    assert_eq!(
        upgraded,
        first.replacen("\"format_version\": 1", &format!("\"format_version\": {FORMAT_VERSION}"), 1)
    );
    assert_eq!(AccountState::parse(upgraded.as_bytes()).unwrap(), state);
}

/// What the next run makes of the older document: receipts of what it delivered, and of what is left of that.
#[test]
fn receipts_stay_with_a_location_as_long_as_it_may_hold_the_key() {
    let mut state = AccountState::parse(document("format-1.json").as_bytes()).unwrap();
    let key = &state.keys[&mailer()];
    let (id, locations) =
        (key.id.clone(), key.sinks.iter().map(|sink| sink.location.clone()).collect::<Vec<_>>());
    let settings = |locations: &[gridkey_core::SinkLocation]| Settings {
        owner: Some("mail".to_string()),
        protect: true,
        locations: locations.to_vec(),
        overlap: std::time::Duration::from_secs(60),
        ..Settings::default()
    };
    let receipt = |text: &str, id| Known { id, receipt: Receipt::new(text) };
    let at: Timestamp = "2026-11-29T17:00:00Z".parse().unwrap();
    let vault = locations[0].id();
    let mine: Receipts = [(vault.clone(), receipt("7", id.clone()))].into();
    state.settle(&mailer(), settings(&locations), &mine, at);
    assert_eq!(state.known().collect::<Vec<_>>(), [(vault.clone(), receipt("7", id.clone()))]);
    // Nothing was written this time, so what is known of it goes on.
    state.settle(&mailer(), settings(&locations), &Receipts::new(), at);
    assert_eq!(state.known().collect::<Vec<_>>(), [(vault.clone(), receipt("7", id.clone()))]);
    // A receipt for another key says nothing of this one.
    let other: Receipts = [(vault.clone(), receipt("8", gridkey_core::KeyId::new("another")))].into();
    state.settle(&mailer(), settings(&locations), &other, at);
    assert_eq!(state.known().collect::<Vec<_>>(), [(vault.clone(), receipt("7", id.clone()))]);
    // A location that is left still holds what was written there.
    state.settle(&mailer(), settings(&locations[1..]), &Receipts::new(), at);
    assert_eq!(state.known().collect::<Vec<_>>(), [(vault, receipt("7", id))]);
    let second = document("format-2.json");
    assert_eq!(written(&state), second, "tests/states/format-2.json");
    assert_eq!(AccountState::parse(second.as_bytes()).unwrap(), state);
}
