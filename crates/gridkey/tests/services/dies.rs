//! A service that answers until a key is made, and is gone when it is to be delivered.

use std::sync::Arc;

use gridkey_core::SinkKind;

use crate::Services;
use crate::place::{MAILER, Place, name_of};
use crate::proxy::{On, Then};
use crate::service::Value;

/// What a delivery asks, and no check.
fn delivery(kind: SinkKind) -> On {
    // The check of this kind writes the value that is there: it is delivered to when the new version becomes the current one.
    if kind == SinkKind::AwsSecretsManager { On::Write } else { On::Secret }
}

/// Beside a file, from which the next run copies the secret.
pub async fn before_the_delivery(services: Arc<Services>, kind: SinkKind) {
    let Some(place) = Place::beside_a_file(&services, &name_of("dies", kind), kind).await else { return };
    let [file, target] = &place.targets[..] else { unreachable!("there are two") };
    let proxy = target.proxy().unwrap();

    // As the key is made: it waits in state, and in the file.
    proxy.fails(delivery(kind), 1, Then::Die);
    place.run(&["apply", "--yes"]).ends(4).says(target.at.sink.as_str());
    assert!(proxy.has_failed(), "it died at the delivery");
    assert_eq!((place.made().len(), place.live().len(), place.pending()), (1, 1, 1));
    assert_eq!(target.value().await, Value::Nothing);
    proxy.heals();
    place.run(&["apply", "--yes"]).ends(0);
    let first = place.held_everywhere().await;
    assert_eq!((place.made().len(), place.pending()), (1, 0), "it is completed with no further key");
    place.is_settled();

    // As it is replaced: the older one works, and is where it was.
    proxy.fails(delivery(kind), 1, Then::Die);
    place.run(&["rotate", MAILER, "--yes"]).ends(4).says(target.at.sink.as_str());
    assert!(proxy.has_failed(), "it died at the delivery");
    assert!(place.works(&first), "the older key works");
    assert_eq!(target.value().await, Value::Text(first.clone()));
    assert_eq!((place.made().len(), place.live().len(), place.pending()), (2, 2, 1));
    proxy.heals();
    place.run(&["apply", "--yes"]).ends(0);
    let second = place.held_everywhere().await;
    assert!(first != second && place.works(&first), "the older key works for the overlap");
    assert_eq!((place.made().len(), place.pending()), (2, 0), "it is completed with no further key");
    assert_eq!(place.live(), place.owned());
    place.is_settled();
    assert_eq!(file.value().await, Value::Text(second));
    place.no_secret_is_kept();
}

/// As the only sink: the secret is lost with the run, so its key is revoked, and another one made.
pub async fn with_the_only_secret(services: Arc<Services>, kind: SinkKind) {
    let place = Place::new(&services, &name_of("alone", kind), &[kind]).await;
    let [target] = &place.targets[..] else { return };
    let proxy = target.proxy().unwrap();
    proxy.fails(delivery(kind), 1, Then::Die);
    place.run(&["apply", "--yes"]).ends(4).says(target.at.sink.as_str());
    assert!(proxy.has_failed(), "it died at the delivery");
    assert_eq!((place.made().len(), place.pending()), (1, 1));
    proxy.heals();
    place.run(&["apply", "--yes"]).ends(0);
    let first = place.held_everywhere().await;
    // A program may have read what nobody can look at: the key that is lost to gridkey goes on working for the overlap.
    let live = if target.at.at.is_readable() { 1 } else { 2 };
    assert_eq!((place.made().len(), place.live().len(), place.pending()), (2, live, 0));
    assert_eq!(place.live(), place.owned());

    // A rotation goes the same way, and the older key works until there is a newer one.
    proxy.fails(delivery(kind), 1, Then::Die);
    place.run(&["rotate", MAILER, "--yes"]).ends(4);
    assert!(proxy.has_failed(), "it died at the delivery");
    assert_eq!(target.value().await, Value::Text(first.clone()));
    assert!(place.works(&first), "the older key works");
    proxy.heals();
    place.run(&["apply", "--yes"]).ends(0);
    place.held_everywhere().await;
    assert!(place.works(&first), "the older key works for the overlap, or is the one that there is");
    assert_eq!((place.live(), place.pending()), (place.owned(), 0));
    place.is_settled();
}
