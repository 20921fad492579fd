//! Claims about a service, or a way to it, that goes wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridkey_core::SinkLocation;
use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault, SinkReader, SinkWriter};

use crate::bench::{Bench, Key, assert_holds, deliver, look, put, refused, unclear, unreadable, within};
use crate::proxy::{Gate, On, Reply, Then};
use crate::service::{Conflicts, Value, Whom};

/// A deadline that does not make a test wait, and in which a write gets out on a machine that does many things at once.
const SOON: Duration = Duration::from_secs(6);

pub async fn unreachable(bench: &Bench) {
    let at = bench.at("one").await;
    bench.proxy.goes_down().await;
    let sinks = bench.sinks();
    let why = unreadable(sinks.observe(&at, None).await, &at);
    assert!(!at.at.is_readable() || !why.is_empty());
    let error = refused(put(&sinks, &at, &bench.key(1), None).await);
    assert_eq!(error.fault, SinkFault::Unreachable, "{error:?}");
    for error in [sinks.check(&at).await.map(drop), sinks.remove(&at).await] {
        let error = error.expect_err("a server that does not answer");
        assert!(matches!(error.fault, SinkFault::Unreachable | SinkFault::Unsupported), "{error:?}");
    }
    assert_eq!(bench.service.value(&at).await, Value::Nothing);
}

pub async fn unauthorised(bench: &Bench) {
    let says_what_is_missing = |error: &SinkError| {
        let is_about_that = matches!(error.fault, SinkFault::Unauthenticated | SinkFault::Forbidden);
        assert!(is_about_that && error.help.is_some(), "{error:?}");
    };
    let at = bench.at_as("one", Whom::Stranger).await;
    let sinks = bench.sinks_as(Whom::Stranger);
    unreadable(sinks.observe(&at, None).await, &at);
    says_what_is_missing(&sinks.check(&at).await.expect_err("a stranger"));
    says_what_is_missing(&refused(put(&sinks, &at, &bench.key(1), None).await));
    assert_eq!(bench.service.value(&at).await, Value::Nothing);
    let at = bench.at_as("one", Whom::MayNotWrite).await;
    let sinks = bench.sinks_as(Whom::MayNotWrite);
    match sinks.check(&at).await {
        Ok(Readiness::Proven) => panic!("proven for a credential that may not write"),
        Ok(Readiness::Plausible(_)) => {}
        Err(error) => says_what_is_missing(&error),
    }
    says_what_is_missing(&refused(put(&sinks, &at, &bench.key(1), None).await));
    assert_eq!(bench.service.value(&at).await, Value::Nothing);
}

pub async fn slow(bench: &Bench) {
    let at = bench.at("one").await;
    let (old, new) = (bench.key(1), bench.key(2));
    let receipt = deliver(&bench.sinks(), &at, &old, None).await;
    let sinks = bench.sinks().with_deadline(SOON);
    assert!(sinks.deadline(&at) <= 2 * SOON);
    bench.proxy.fails(On::Write, 1, Then::Delay(4 * SOON));
    let started = Instant::now();
    unclear(put(&sinks, &at, &new, Some((&old, &receipt))).await);
    assert!(started.elapsed() < 2 * SOON, "it took {} s", started.elapsed().as_secs());
    assert!(bench.proxy.has_failed(), "the write was not even sent");
    // It did arrive, and another put says so.
    assert_eq!(bench.service.value(&at).await, Value::Text(new.text().to_string()));
    deliver(&bench.sinks(), &at, &new, Some((&old, &receipt))).await;
    // Where a look takes too long, surely nothing was written.
    bench.proxy.fails(On::Any, 1, Then::Delay(4 * SOON));
    unreadable(bench.sinks().with_deadline(SOON / 3).observe(&at, None).await, &at);
}

pub async fn cut(bench: &Bench) {
    let at = bench.at("one").await;
    let mut receipt = deliver(&bench.sinks(), &at, &bench.key(0), None).await;
    let faults = [
        ("half an answer", Then::CutAnswer, true),
        ("a page for an answer", Then::Replace(Reply::page(200)), true),
        ("a page and no write", Then::Answer(Reply::page(200)), false),
        ("a gateway's error after the write", Then::Replace(Reply::page(502)), true),
        ("a gateway's error and no write", Then::Answer(Reply::page(502)), false),
        ("a server's error and no write", Then::Answer(Reply::json(500, "{}")), false),
    ];
    for (number, (what, fault, arrives)) in (1..).zip(faults) {
        let (old, new) = (bench.key(number - 1), bench.key(number));
        bench.proxy.fails(On::Write, 1, fault);
        let error = unclear_or_cleared_up(put(&bench.sinks(), &at, &new, Some((&old, &receipt))).await, what);
        assert!(bench.proxy.has_failed(), "{what}: it did not strike");
        if error {
            let there = if arrives { &new } else { &old };
            assert_eq!(bench.service.value(&at).await, Value::Text(there.text().to_string()), "{what}");
        }
        receipt = deliver(&bench.sinks(), &at, &new, Some((&old, &receipt))).await;
        assert_eq!(bench.service.value(&at).await, Value::Text(new.text().to_string()), "{what}");
    }
    // A page is never taken for an empty place, whatever its status is.
    for status in [200, 403, 404] {
        bench.proxy.fails(On::Any, usize::MAX, Then::Answer(Reply::page(status)));
        let seen = look(bench, &at).await;
        assert!(
            matches!(seen, SinkObservation::Unreadable(_) | SinkObservation::WriteOnly),
            "{status}: {seen:?}"
        );
        let error = put(&bench.sinks(), &at, &bench.key(9), None).await.expect_err("a page");
        assert!(matches!(error, PutError::Refused(_) | PutError::Unclear(_)), "{error:?}");
        bench.sinks().check(&at).await.expect_err("a page");
        bench.proxy.heals();
    }
}

/// Whether the outcome is unclear; a sink may look again itself, and find that it arrived, or write again what surely did not.
#[track_caller]
fn unclear_or_cleared_up(put: Result<Option<gridkey_core::Receipt>, PutError>, what: &str) -> bool {
    match put {
        Ok(_) => false,
        Err(PutError::Unclear(_)) => true,
        Err(PutError::Refused(_) | PutError::NoRoom(_)) => panic!("{what}: {put:?}"),
    }
}

pub async fn repeat_after_lost_answer(bench: &Bench) {
    let at = bench.at("one").await;
    let repeats = bench.traits.writes_of_a_repeat;
    // Of a place that is new, and of one that holds a key.
    let mut before: Option<(Key, Option<gridkey_core::Receipt>)> = None;
    for number in 1..=2 {
        let key = bench.key(number);
        let known = before.as_ref().map(|(key, receipt)| (key, receipt));
        bench.proxy.fails(On::Write, 1, Then::Lose);
        let first = put(&bench.sinks(), &at, &key, known).await;
        unclear_or_cleared_up(first, "a lost answer");
        assert!(bench.proxy.has_failed(), "no answer was lost");
        assert_eq!(bench.service.value(&at).await, Value::Text(key.text().to_string()));
        let history = bench.service.history(&at).await;
        let receipt = deliver(&bench.sinks(), &at, &key, known).await;
        assert_eq!(bench.service.value(&at).await, Value::Text(key.text().to_string()));
        if repeats == 1 {
            assert_eq!(bench.service.history(&at).await, history, "it was written again");
        }
        let older = bench.service.older(&at).await;
        assert!(older.iter().filter(|text| *text == key.text()).count() < repeats.max(1), "{older:?}");
        if bench.traits.is_told_by_receipt {
            let seen = bench.sinks().observe(&at, key.known(receipt.clone()).as_ref()).await;
            assert_holds(&seen, &key.content(), &at);
        }
        before = Some((key, receipt));
    }
}

pub async fn stale_read(bench: &Bench) {
    let at = bench.at("one").await;
    let sinks = bench.sinks();
    let lag = sinks.lag(&at).min(Duration::from_secs(3));
    let first = deliver(&sinks, &at, &bench.key(1), None).await;
    look(bench, &at).await;
    sinks.observe(&at, None).await;
    bench.proxy.remembers();
    let second = deliver(&sinks, &at, &bench.key(2), Some((&bench.key(1), &first))).await;
    // By the run that wrote it, and by one that knows of it from state.
    bench.proxy.is_stale_for(lag);
    let third = deliver(&sinks, &at, &bench.key(3), Some((&bench.key(2), &second))).await;
    assert_eq!(bench.service.value(&at).await, Value::Text(bench.key(3).text().to_string()));
    bench.proxy.is_stale_for(lag);
    deliver(&bench.sinks(), &at, &bench.key(4), Some((&bench.key(3), &third))).await;
    assert_eq!(bench.service.value(&at).await, Value::Text(bench.key(4).text().to_string()));
}

pub async fn throttled(bench: &Bench) {
    let at = bench.at("one").await;
    let mut held = (bench.key(0), deliver(&bench.sinks(), &at, &bench.key(0), None).await);
    let mut number = 0;
    for reply in bench.service.throttles() {
        for on in [On::Any, On::Write] {
            number += 1;
            bench.proxy.fails(on, 1, Then::Answer(reply.clone()));
            let next = bench.key(number);
            let receipt = deliver(&bench.sinks(), &at, &next, Some((&held.0, &held.1))).await;
            assert!(bench.proxy.has_failed());
            held = (next, receipt);
        }
    }
    assert_eq!(bench.service.value(&at).await, Value::Text(held.0.text().to_string()));
    // For longer than there is time: not written, not forbidden, and no wait.
    bench.proxy.fails(On::Write, usize::MAX, Then::Answer(bench.service.throttles_for_long()));
    let started = Instant::now();
    let error = refused(put(&bench.sinks(), &at, &bench.key(99), Some((&held.0, &held.1))).await);
    assert_eq!(error.fault, SinkFault::Throttled, "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(bench.service.value(&at).await, Value::Text(held.0.text().to_string()));
}

pub async fn credential_ends(bench: &Bench) {
    let at = bench.at("one").await;
    let sinks = bench.sinks();
    sinks.check(&at).await.expect("it may be written");
    bench.service.end_login(&at).await;
    let receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    bench.service.end_login(&at).await;
    assert_holds(&sinks.observe(&at, None).await, &bench.key(1).content(), &at);
    bench.service.end_login(&at).await;
    deliver(&sinks, &at, &bench.key(2), Some((&bench.key(1), &receipt))).await;
    assert_eq!(bench.service.value(&at).await, Value::Text(bench.key(2).text().to_string()));
}

pub async fn no_secret_in_uri(bench: &Bench) {
    let at = bench.at("one").await;
    let keys = [bench.key(1), bench.key(2), bench.key(3)];
    let mut said = Vec::new();
    let sinks = bench.sinks();
    let receipt = deliver(&sinks, &at, &keys[0], None).await;
    said.push(format!("{:?}", sinks.observe(&at, None).await));
    said.push(format!("{:?}", sinks.read(&at).await));
    said.push(format!("{:?}", sinks.check(&at).await));
    for fault in [Then::Lose, Then::CutAnswer, Then::Answer(echo(&keys[1])), Then::Answer(Reply::page(200))] {
        bench.proxy.fails(On::Write, 1, fault);
        said.push(format!("{:?}", put(&sinks, &at, &keys[1], Some((&keys[0], &receipt))).await));
        bench.proxy.heals();
        said.push(format!("{:?}", put(&sinks, &at, &keys[2], Some((&bench.key(7), &receipt))).await));
    }
    bench.proxy.fails(On::Any, 2, Then::Answer(echo(&keys[1])));
    said.push(format!("{:?}", sinks.observe(&at, None).await));
    bench.proxy.heals();
    said.push(format!("{:?}", sinks.remove(&at).await));
    said.push(format!("{at:?} {at}"));
    let seen = bench.proxy.seen();
    assert!(seen.iter().any(|request| bench.service.is_write(request)), "nothing was written at all");
    for request in &seen {
        said.push(request.uri.clone());
        said.extend(request.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    }
    for key in &keys {
        for form in [key.private().to_string(), STANDARD.encode(key.text()), STANDARD.encode(key.private())] {
            let shown = said.iter().find(|text| text.contains(&form));
            assert!(shown.is_none(), "a secret is shown: {shown:?}");
        }
    }
}

/// A service that says in its error what it was given.
fn echo(key: &Key) -> Reply {
    let said = format!("cannot store {}", key.text());
    let body = serde_json::json!({"message": said, "errors": [said], "error": {"message": said}});
    Reply::json(400, &body.to_string())
}

pub async fn conflict_grade(bench: &Bench) {
    let at = bench.at("one").await;
    let (old, new) = (bench.key(1), bench.key(2));
    let receipt = deliver(&bench.sinks(), &at, &old, None).await;
    let gate = Arc::new(Gate::default());
    bench.proxy.fails(On::Write, 1, Then::Hold(gate.clone()));
    let sinks = bench.sinks();
    let known = Some((&old, &receipt));
    let foreign = async {
        within(Duration::from_secs(60), gate.reached.notified()).await;
        bench.service.overwrite(&at, "changed by hand").await;
        gate.open.notify_one();
    };
    let (outcome, ()) = tokio::join!(put(&sinks, &at, &new, known), foreign);
    match bench.traits.conflicts {
        Conflicts::Refuses => {
            assert_eq!(refused(outcome).fault, SinkFault::Conflict);
            assert_eq!(bench.service.value(&at).await, Value::Text("changed by hand".to_string()));
            assert_holds(&look(bench, &at).await, &SinkContent::Other, &at);
        }
        Conflicts::Detects => told_afterwards(bench, &at, &new, outcome).await,
    }
}

/// What was lost is told, or what is there is what was said to be there.
async fn told_afterwards(
    bench: &Bench,
    at: &SinkLocation,
    new: &Key,
    outcome: Result<Option<gridkey_core::Receipt>, PutError>,
) {
    match outcome {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(receipt) => {
            let holds_ours = bench.service.value(at).await == Value::Text(new.text().to_string());
            let seen = bench.sinks().observe(at, new.known(receipt).as_ref()).await;
            let is_told = seen != SinkObservation::Holds(new.content());
            assert!(holds_ours || is_told, "{seen:?}");
        }
    }
}
