//! One key in one manifest that goes to every kind of sink.

use std::collections::BTreeMap;
use std::sync::Arc;

use gridkey_core::SinkKind;
use serde_json::Value as Json;

use crate::Services;
use crate::place::{MAILER, Place};

pub async fn holds(services: Arc<Services>) {
    let place = Place::new(&services, "fields-everywhere", &SinkKind::ALL).await;
    println!("{} of {} kinds", place.targets.len(), SinkKind::ALL.len());
    let said = place.run(&["apply", "--yes"]);
    place.no_secret("what apply says", &said.ends(0).text);
    let first = place.held_everywhere().await;
    place.is_settled();

    // What others write beside the key is no change, and stays.
    for target in &place.targets {
        target.adorn().await;
    }
    place.is_settled();
    let theirs = theirs(&place).await;

    let said = place.run(&["rotate", MAILER, "--revoke-old", "now", "--yes"]);
    place.no_secret("what rotate says", &said.ends(0).text);
    let second = place.held_everywhere().await;
    assert_ne!(first, second);
    assert!(!place.works(&first), "the older key is revoked");
    assert_eq!(self::theirs(&place).await, theirs);
    assert_eq!((place.live().len(), place.made().len()), (1, 2));
    assert_eq!(place.live(), place.owned());
    place.is_settled();
    is_audited(&place);
    place.no_secret_is_kept();
}

/// What other programs wrote beside the key, by kind.
async fn theirs(place: &Place) -> BTreeMap<SinkKind, String> {
    let mut theirs = BTreeMap::new();
    for target in &place.targets {
        theirs.insert(target.kind(), target.adornments().await);
    }
    theirs
}

/// An audit finds the key where it belongs, in every kind that lets itself be looked into.
fn is_audited(place: &Place) {
    let output = place.command(&["audit", "--format", "json"]).output().unwrap();
    assert!(output.status.success());
    let audit: Json = serde_json::from_slice(&output.stdout).unwrap();
    let keys = audit["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["address"] == MAILER).unwrap();
    let standings: BTreeMap<String, &str> = key["sinks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sink| {
            (sink["location"]["sink"].as_str().unwrap().to_string(), sink["standing"].as_str().unwrap())
        })
        .collect();
    let expected: BTreeMap<String, &str> = place
        .targets
        .iter()
        .map(|target| {
            let standing = if target.at.at.is_readable() { "in_step" } else { "write_only" };
            (target.at.sink.to_string(), standing)
        })
        .collect();
    assert_eq!(standings, expected);
}
