//! Claims about what lasts: older values, what people said of a secret, other keys in one document.

use std::time::Duration;

use gridkey_core::inventory::{SinkCaveat, SinkContent, SinkObservation};
use gridkey_core::{Receipt, SinkLocation};
use gridkey_engine::ports::{PutError, Readiness, SinkFault, SinkReader, SinkWriter};
use gridkey_sinks::Sinks;

use crate::bench::{Bench, assert_holds, deliver, look, put, within};
use crate::service::{Checked, Value, Whom};

pub async fn tombstone(bench: &Bench) {
    let at = bench.at("one").await;
    let key = bench.key(1);
    let receipt = deliver(&bench.sinks(), &at, &key, None).await;
    bench.service.delete(&at).await;
    let sinks = bench.sinks();
    let known = key.known(receipt);
    let seen = sinks.observe(&at, known.as_ref()).await;
    assert_ne!(seen, SinkObservation::Holds(key.content()), "a deleted value is not there");
    let next = bench.key(2);
    let time = sinks.deadline(&at);
    match within(time, sinks.put(&at, &next.secret(), &SinkContent::Empty, known.as_ref())).await {
        Ok(_) => assert_eq!(bench.service.value(&at).await, Value::Text(next.text().to_string())),
        Err(PutError::Refused(error)) => {
            assert_eq!(error.fault, SinkFault::Remembered, "{error:?}");
            assert!(error.help.is_some(), "it says what helps: {error:?}");
        }
        Err(error) => panic!("neither written nor refused: {error:?}"),
    }
}

pub async fn older_kept(bench: &Bench) {
    let at = bench.at("one").await;
    let sinks = bench.sinks();
    let receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    let receipt = deliver(&sinks, &at, &bench.key(2), Some((&bench.key(1), &receipt))).await;
    assert_eq!(bench.service.older(&at).await.first().map(String::as_str), Some(bench.key(1).text()));
    deliver(&sinks, &at, &bench.key(3), Some((&bench.key(2), &receipt))).await;
    assert_eq!(bench.service.older(&at).await.first().map(String::as_str), Some(bench.key(2).text()));
}

pub async fn check_writes_nothing(bench: &Bench) {
    let expected = |checked: Result<Readiness, _>| match (checked, bench.traits.check) {
        (Ok(Readiness::Proven), Checked::Proven) => {}
        (Ok(Readiness::Plausible(why)), Checked::Plausible) => assert!(!why.is_empty()),
        (checked, expected) => panic!("a check came out as {checked:?} and not as {expected:?}"),
    };
    let at = bench.at("one").await;
    let nothing = bench.service.history(&at).await;
    let checked = bench.sinks().check(&at).await;
    // A place that is not there yet may be less sure than one that is.
    assert!(matches!(checked, Ok(Readiness::Proven | Readiness::Plausible(_))), "{checked:?}");
    assert_eq!(bench.service.value(&at).await, Value::Nothing);
    assert_eq!(bench.service.history(&at).await, nothing, "a check of a new place left a trace");
    deliver(&bench.sinks(), &at, &bench.key(1), None).await;
    bench.service.adorn(&at).await;
    let (history, adornments) = (bench.service.history(&at).await, bench.service.adornments(&at).await);
    expected(bench.sinks().check(&at).await);
    assert_eq!(bench.service.history(&at).await, history, "a check left a trace");
    assert_eq!(bench.service.adornments(&at).await, adornments);
    for (name, whom) in [("one", Whom::MayNotWrite), ("two", Whom::MayNotWrite), ("one", Whom::Stranger)] {
        let at = bench.at_as(name, whom).await;
        match bench.sinks_as(whom).check(&at).await {
            Ok(Readiness::Proven) => panic!("proven for {whom:?}"),
            Ok(Readiness::Plausible(_)) => {}
            Err(error) => assert!(
                matches!(error.fault, SinkFault::Forbidden | SinkFault::Unauthenticated),
                "{whom:?}: {error:?}"
            ),
        }
    }
    assert_eq!(bench.service.history(&at).await, history, "a check that is not allowed left a trace");
}

pub async fn metadata_stays(bench: &Bench) {
    let at = bench.at("one").await;
    let sinks = bench.sinks();
    let mut receipt = deliver(&sinks, &at, &bench.key(0), None).await;
    let before = bench.service.adornments(&at).await;
    bench.service.adorn(&at).await;
    let adorned = bench.service.adornments(&at).await;
    assert_ne!(adorned, before, "there is something to lose");
    for number in 1..=10 {
        // What a person changed besides may be a version of its own.
        let held = bench.key(number - 1);
        let next = bench.key(number);
        let before = if number == 1 { None } else { receipt.clone() };
        let replaces = if at.at.is_readable() || number > 1 { held.content() } else { SinkContent::Empty };
        let known = held.known(before);
        receipt = sinks.put(&at, &next.secret(), &replaces, known.as_ref()).await.expect("a put");
        assert_eq!(bench.service.adornments(&at).await, adorned, "after {number} puts");
    }
    assert_holds(&look(bench, &at).await, &bench.key(10).content(), &at);
}

pub async fn two_keys_one_container(bench: &Bench) {
    let at = bench.at("one").await;
    let beside = bench.service.beside(&at).expect("a document has other fields, or the claim does not apply");
    assert_eq!(at.at.container(), beside.at.container());
    // Within one run, both arrive whatever happens.
    let sinks = bench.sinks();
    let mut receipts: [Option<Receipt>; 2] = [None, None];
    for round in 0..10 {
        let (one, two) = tokio::join!(
            turn(bench, &sinks, &at, round, &receipts[0]),
            turn(bench, &sinks, &beside, 100 + round, &receipts[1])
        );
        receipts = [one.expect("a put"), two.expect("a put")];
        assert_eq!(bench.service.value(&at).await, Value::Text(bench.key(round).text().to_string()));
        assert_eq!(
            bench.service.value(&beside).await,
            Value::Text(bench.key(100 + round).text().to_string())
        );
    }
    // Two runs may get in each other's way, and neither takes the other's value away.
    let runs = [bench.sinks(), bench.sinks()];
    let mut held = [9, 109];
    for round in 10..15 {
        let put_by = |run: usize, place, number| {
            let key = bench.key(held[run]);
            let next = bench.key(number);
            let runs = &runs;
            async move { runs[run].put(place, &next.secret(), &key.content(), None).await }
        };
        let (one, two) = tokio::join!(put_by(0, &at, round), put_by(1, &beside, 100 + round));
        for (run, (result, place, number)) in
            [(one, &at, round), (two, &beside, 100 + round)].into_iter().enumerate()
        {
            match result {
                Ok(_) => held[run] = number,
                Err(PutError::Refused(error)) => assert_eq!(error.fault, SinkFault::Conflict, "{error:?}"),
                Err(error) => panic!("{error:?}"),
            }
            assert_eq!(
                bench.service.value(place).await,
                Value::Text(bench.key(held[run]).text().to_string())
            );
        }
    }
}

/// The next key of a place.
async fn turn(
    bench: &Bench,
    sinks: &Sinks,
    at: &SinkLocation,
    number: u8,
    receipt: &Option<Receipt>,
) -> Result<Option<Receipt>, PutError> {
    let is_first = number.is_multiple_of(100);
    let before = (!is_first).then(|| bench.key(number - 1));
    // Its neighbour may have changed the document's version meanwhile.
    put(sinks, at, &bench.key(number), before.as_ref().map(|key| (key, receipt))).await
}

pub async fn dies_by_itself(bench: &Bench) {
    let at = bench.at("one").await;
    deliver(&bench.sinks(), &at, &bench.key(1), None).await;
    let is_told =
        |caveats: Vec<SinkCaveat>| caveats.iter().any(|caveat| matches!(caveat, SinkCaveat::Ends(_)));
    assert!(!is_told(bench.sinks().caveats(&at).await), "a value that stays");
    bench.service.expire(&at).await;
    let caveats = within(Duration::from_secs(60), bench.sinks().caveats(&at)).await;
    assert!(is_told(caveats.clone()), "{caveats:?}");
}
