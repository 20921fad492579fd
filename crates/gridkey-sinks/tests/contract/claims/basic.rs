//! Claims about a service that does what it is asked.

use gridkey_core::SinkLocation;
use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::manifest::{SourceFile, load};
use gridkey_engine::ports::{SinkFault, SinkReader, SinkWriter};
use serde_json::json;

use crate::bench::{Bench, assert_holds, assert_told, deliver, look, put, refused, unreadable};
use crate::service::{Removal, Value, Whom};

pub async fn empty(bench: &Bench) {
    let at = bench.at("one").await;
    let sinks = bench.sinks();
    assert_holds(&sinks.observe(&at, None).await, &SinkContent::Empty, &at);
    // What state knows of a value that is gone by now makes nothing of it.
    let known = bench.key(1).known(Some(gridkey_core::Receipt::new("1")));
    assert_told(&sinks.observe(&at, known.as_ref()).await, &SinkContent::Empty, &at, known.as_ref());
    match sinks.read(&at).await {
        Ok(secret) => assert!(secret.is_none() && at.at.is_readable()),
        Err(error) => assert!(error.fault == SinkFault::Unsupported && !at.at.is_readable(), "{error:?}"),
    }
    assert_eq!(bench.service.value(&at).await, Value::Nothing);
}

pub async fn put_arrives(bench: &Bench) {
    let at = bench.at("one").await;
    let (sinks, key) = (bench.sinks(), bench.key(1));
    let receipt = deliver(&sinks, &at, &key, None).await;
    assert_eq!(bench.service.value(&at).await, Value::Text(key.text().to_string()));
    let history = bench.service.history(&at).await;
    // By the same run, and by one that knows of it or does not.
    for (sinks, before) in [(&sinks, None), (&bench.sinks(), None), (&bench.sinks(), Some((&key, &receipt)))]
    {
        let again = deliver(sinks, &at, &key, before).await;
        if bench.traits.writes_of_a_repeat == 1 {
            assert_eq!(again, receipt, "another receipt for the same value");
            assert_eq!(bench.service.history(&at).await, history, "it was written again");
        }
    }
    assert_eq!(bench.service.value(&at).await, Value::Text(key.text().to_string()));
    // Another key takes its place.
    let next = bench.key(2);
    let later = deliver(&sinks, &at, &next, Some((&key, &receipt))).await;
    assert_eq!(bench.service.value(&at).await, Value::Text(next.text().to_string()));
    assert_ne!(bench.service.history(&at).await, history, "a write changes the history");
    if receipt.is_some() {
        assert_ne!(later, receipt, "another value has another receipt");
    }
}

pub async fn own_id(bench: &Bench) {
    let at = bench.at("one").await;
    let key = bench.key(1);
    let receipt = deliver(&bench.sinks(), &at, &key, None).await;
    let known = key.known(receipt);
    assert_holds(&look(bench, &at).await, &key.content(), &at);
    assert_told(&bench.sinks().observe(&at, known.as_ref()).await, &key.content(), &at, known.as_ref());
    if bench.traits.is_told_by_receipt && at.at.is_readable() {
        assert!(known.is_some(), "there is a receipt to tell it by");
        let blind = bench.sinks_as(Whom::MayNotRead);
        let at = bench.at_as("one", Whom::MayNotRead).await;
        assert_told(&blind.observe(&at, known.as_ref()).await, &key.content(), &at, known.as_ref());
        if bench.service.names_its_keys() {
            assert_holds(&blind.observe(&at, None).await, &key.content(), &at);
        } else {
            // Without one, it is not known.
            let why = unreadable(blind.observe(&at, None).await, &at);
            assert!(!why.is_empty());
        }
        // Once somebody else has written, the receipt tells nothing.
        bench.service.overwrite(&at, "changed by hand").await;
        let seen = blind.observe(&at, known.as_ref()).await;
        assert_ne!(seen, SinkObservation::Holds(key.content()), "a foreign value was taken for our own");
        assert_ne!(seen, SinkObservation::Holds(SinkContent::Empty), "a foreign value was taken for nothing");
    }
}

pub async fn read_back(bench: &Bench) {
    let at = bench.at("one").await;
    let (sinks, key) = (bench.sinks(), bench.key(1));
    deliver(&sinks, &at, &key, None).await;
    match sinks.read(&at).await {
        Ok(secret) => assert_eq!(secret.expect("a key").expose(), key.text()),
        Err(error) => assert!(error.fault == SinkFault::Unsupported && !at.at.is_readable(), "{error:?}"),
    }
    if at.at.is_readable() {
        // What is no key is not handed out as one.
        bench.service.overwrite(&at, "changed by hand").await;
        assert!(bench.sinks().read(&at).await.unwrap().is_none());
    }
}

pub async fn foreign_value(bench: &Bench) {
    let at = bench.at("one").await;
    let key = bench.key(1);
    let receipt = deliver(&bench.sinks(), &at, &key, None).await;
    let known = key.known(receipt.clone());
    let sees = at.at.is_readable() || bench.traits.is_told_by_receipt;
    let foreign = bench.key(2);
    for (text, content) in [("changed by hand", SinkContent::Other), (foreign.text(), foreign.content())] {
        bench.service.overwrite(&at, text).await;
        assert_holds(&look(bench, &at).await, &content, &at);
        // GitHub's times have seconds, and two writes of one second have the same.
        if sees {
            let seen = bench.sinks().observe(&at, known.as_ref()).await;
            assert_told(&seen, &content, &at, known.as_ref());
        }
        if sees {
            let next = put(&bench.sinks(), &at, &bench.key(3), Some((&key, &receipt))).await;
            assert_eq!(refused(next).fault, SinkFault::Conflict);
            assert_eq!(bench.service.value(&at).await, Value::Text(text.to_string()));
        }
    }
    if at.at.is_readable() {
        // A person who allowed it expects what is there.
        let sinks = bench.sinks();
        sinks.put(&at, &bench.key(3).secret(), &foreign.content(), known.as_ref()).await.unwrap();
        assert_eq!(bench.service.value(&at).await, Value::Text(bench.key(3).text().to_string()));
    }
}

pub async fn conflict(bench: &Bench) {
    let at = bench.at("one").await;
    let (held, expected, next) = (bench.key(1), bench.key(2), bench.key(3));
    deliver(&bench.sinks(), &at, &held, None).await;
    let history = bench.service.history(&at).await;
    for expected in [expected.content(), SinkContent::Empty, SinkContent::Other] {
        let error = refused(bench.sinks().put(&at, &next.secret(), &expected, None).await);
        assert_eq!(error.fault, SinkFault::Conflict, "{error:?}");
        assert!(error.message.contains(held.id().as_str()), "it says what is there: {error}");
    }
    assert_eq!(bench.service.value(&at).await, Value::Text(held.text().to_string()));
    assert_eq!(bench.service.history(&at).await, history);
    // Where a key is expected and nothing is there.
    let at = bench.at("two").await;
    let error = refused(bench.sinks().put(&at, &next.secret(), &expected.content(), None).await);
    assert_eq!(error.fault, SinkFault::Conflict, "{error:?}");
    assert_eq!(bench.service.value(&at).await, Value::Nothing);
}

pub async fn remove(bench: &Bench) {
    let at = bench.at("one").await;
    let (sinks, key) = (bench.sinks(), bench.key(1));
    match bench.traits.removal {
        Removal::Unsupported => {
            deliver(&sinks, &at, &key, None).await;
            let error = sinks.remove(&at).await.expect_err("it cannot be taken away");
            assert_eq!(error.fault, SinkFault::Unsupported, "{error:?}");
            assert_eq!(bench.service.value(&at).await, Value::Text(key.text().to_string()));
        }
        Removal::Gone => {
            sinks.remove(&at).await.expect("what was never there is gone");
            deliver(&sinks, &at, &key, None).await;
            sinks.remove(&at).await.expect("it is taken away");
            assert_eq!(bench.service.value(&at).await, Value::Nothing);
            assert_holds(&look(bench, &at).await, &SinkContent::Empty, &at);
            let history = bench.service.history(&at).await;
            bench.sinks().remove(&at).await.expect("what is gone is gone");
            assert_eq!(bench.service.history(&at).await, history);
            deliver(&bench.sinks(), &at, &bench.key(2), None).await;
            assert_eq!(bench.service.value(&at).await, Value::Text(bench.key(2).text().to_string()));
        }
    }
}

pub async fn neighbours(bench: &Bench) {
    let at = bench.at("one").await;
    let beside = bench.service.beside(&at).expect("a document has other fields, or the claim does not apply");
    assert_ne!(beside.id(), at.id());
    let theirs = "theirs: \u{e9} \u{1f511} \"quoted\" \\ \n and another line ";
    let is_there = Value::Text(theirs.to_string());
    // The document is there before, and the field is not.
    bench.service.overwrite(&beside, theirs).await;
    assert_holds(&look(bench, &at).await, &SinkContent::Empty, &at);
    let sinks = bench.sinks();
    let receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    assert_eq!(bench.service.value(&beside).await, is_there);
    deliver(&sinks, &at, &bench.key(2), Some((&bench.key(1), &receipt))).await;
    assert_eq!(bench.service.value(&beside).await, is_there);
    if bench.traits.removal == Removal::Gone {
        sinks.remove(&at).await.unwrap();
        assert_eq!(bench.service.value(&at).await, Value::Nothing);
        assert_eq!(bench.service.value(&beside).await, is_there);
        assert_holds(&look(bench, &at).await, &SinkContent::Empty, &at);
        // The document stays for others when nothing of ours is left in it.
        deliver(&sinks, &at, &bench.key(3), None).await;
        assert_eq!(bench.service.value(&beside).await, is_there);
    }
}

pub async fn nowhere_is_not_empty(bench: &Bench) {
    let at = bench.at("one").await;
    let nowhere = bench.service.nowhere(&at);
    assert!(!nowhere.is_empty(), "every service has a container that is not there");
    for (at, word) in nowhere {
        let sinks = bench.sinks();
        let why = unreadable(sinks.observe(&at, None).await, &at);
        assert!(!at.at.is_readable() || why.contains(&word), "`{why}` does not name `{word}`");
        let error = refused(put(&sinks, &at, &bench.key(1), None).await);
        assert!(error.to_string().contains(&word), "`{error}` does not name `{word}`");
        assert!(
            matches!(
                error.fault,
                SinkFault::ContainerMissing | SinkFault::Forbidden | SinkFault::Unsupported
            ),
            "{error:?}"
        );
        let checked = sinks.check(&at).await.expect_err("a container that is not there");
        assert!(checked.to_string().contains(&word), "`{checked}` does not name `{word}`");
    }
}

pub async fn bad_name(bench: &Bench) {
    let at = bench.at("one").await;
    assert!(!has_fault(&at), "a good location is refused");
    let bad = bench.service.bad_names(&at);
    assert!(!bad.is_empty(), "every service has names that it does not take, or the claim does not apply");
    for at in bad {
        assert!(has_fault(&at), "{at} is not refused");
    }
    assert_eq!(bench.proxy.seen().len(), 0);
}

/// Whether a manifest with the location's settings is refused; nothing else in it is.
fn has_fault(at: &SinkLocation) -> bool {
    let manifest = json!({
        "version": 1,
        "project": "contract",
        "accounts": {"acme": {"api_key": {"env": "SENDGRID_API_KEY"}}},
        "environments": {"prod": {"account": "acme"}},
        "sinks": {"there": &*at.at},
        "keys": {"mailer": {"scopes": ["mail.send"], "sinks": ["there"]}},
    });
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let source = SourceFile { name: "gridkey.yaml".to_string(), bytes };
    load(&[source], &[]).is_err()
}

pub async fn two_spellings(bench: &Bench) {
    let at = bench.at("one").await;
    let spellings = bench.service.spellings(&at);
    assert!(!spellings.is_empty(), "every place has another spelling, or the claim does not apply");
    let key = bench.key(1);
    deliver(&bench.sinks(), &at, &key, None).await;
    for other in spellings {
        assert_eq!(other.id(), at.id(), "{other} and {at}");
        assert_eq!(other.at.container(), at.at.container(), "{other} and {at}");
        assert_holds(&look(bench, &other).await, &key.content(), &other);
    }
}
