//! The client against an emulated SendGrid over HTTP, and against servers that answer badly.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it ran"
)]

mod answers;
mod judge;
mod wire;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gridkey_emulator::{
    Fault, FaultRule, Model, Operation as Emulated, RateLimit, Server, ServerSettings, Settings,
};
use gridkey_sendgrid::{
    BaseUrl, Behalf, Client, Clock, Deleted, KeyAccess, Kind, Limits, Operation, ScopeList, WaitObserver,
    WaitReason,
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

/// Time that passes at once.
#[derive(Default)]
struct Impatient(Mutex<Duration>);

#[async_trait]
impl Clock for Impatient {
    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    async fn sleep(&self, duration: Duration) {
        *self.0.lock().unwrap() += duration;
    }
}

#[derive(Default)]
struct Waits(Mutex<Vec<(WaitReason, Operation, Duration)>>);

impl WaitObserver for Waits {
    fn waiting(&self, reason: WaitReason, operation: Operation, _behalf: &Behalf, duration: Duration) {
        self.0.lock().unwrap().push((reason, operation, duration));
    }
}

async fn emulated(settings: Settings) -> (Server, Client) {
    let mut model = Model::new(settings, 1);
    let key = model.parent("acme", Timestamp::now());
    model.child("acme", "shop");
    model.child("acme", "blog");
    let server = Server::start(model, ServerSettings::default()).await.unwrap();
    let client = client(&server.url(), &key);
    (server, client)
}

fn client(url: &str, key: &str) -> Client {
    let base = BaseUrl::new(url).unwrap();
    let client = Client::new(base, SecretString::from(key.to_string()), Limits::default()).unwrap();
    client.with_clock(Arc::new(Impatient::default()))
}

fn scopes(list: &[&str]) -> ScopeList {
    ScopeList::new(list.iter().map(ToString::to_string)).unwrap()
}

fn fault(operation: Emulated, count: u32, fault: Fault) -> Settings {
    let rule = FaultRule { operation, after: 0, count: Some(count), fault };
    Settings { faults: vec![rule], ..Settings::default() }
}

#[tokio::test]
async fn a_key_goes_through_its_whole_life() {
    let (server, client) = emulated(Settings::default()).await;
    let own = Behalf::Own;
    let access = KeyAccess::Scopes(scopes(&["mail.send"]));
    let created = client.create(&own, "mailer", &access).await.unwrap();
    let id = created.value.id.clone();
    assert!(server.model().authenticates(created.value.secret.expose_secret(), Timestamp::now()));
    assert!((created.at.as_second() - Timestamp::now().as_second()).abs() < 5, "SendGrid's clock is heard");
    client.rename(&own, &id, "mailer 2").await.unwrap();
    client.update(&own, &id, "mailer 3", &scopes(&["mail.send", "stats.read"])).await.unwrap();
    let detail = client.get(&own, &id).await.unwrap().unwrap();
    assert_eq!(detail.name, "mailer 3");
    assert!(detail.scopes.contains("stats.read") && detail.scopes.contains("2fa_required"));
    let names: Vec<_> = client.list(&own).await.unwrap().value.into_iter().map(|key| key.name).collect();
    assert!(names.contains(&"mailer 3".to_string()), "{names:?}");
    assert!(client.scopes(&own).await.unwrap().contains("api_keys.create"));
    assert_eq!(client.delete(&own, &id).await.unwrap(), Deleted::Revoked);
    assert_eq!(client.delete(&own, &id).await.unwrap(), Deleted::NotFound, "404 on delete is no error");
    assert!(client.get(&own, &id).await.unwrap().is_none());
}

#[tokio::test]
async fn full_access_leaves_scopes_out() {
    let (server, client) = emulated(Settings::default()).await;
    let created = client.create(&Behalf::Own, "all", &KeyAccess::Full).await.unwrap();
    let keys = server.model().keys("acme");
    let key = keys.into_iter().find(|key| key.id == created.value.id).unwrap();
    assert_eq!(key.scopes, None);
}

#[tokio::test]
async fn parallel_calls_for_different_subusers_never_mix() {
    let (server, client) = emulated(Settings::default()).await;
    let calls = (0..20).map(|number| {
        let client = client.clone();
        let (subuser, other) = if number % 2 == 0 { ("shop", "blog") } else { ("blog", "shop") };
        let _ = other;
        tokio::spawn(async move {
            let behalf = Behalf::Subuser(subuser.to_string());
            client.create(&behalf, &format!("{subuser}-{number}"), &KeyAccess::Full).await.unwrap();
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    for subuser in ["shop", "blog"] {
        let keys = server.model().keys(&format!("acme/{subuser}"));
        assert_eq!(keys.len(), 10);
        assert!(keys.iter().all(|key| key.name.starts_with(subuser)), "{keys:?}");
    }
    assert_eq!(server.model().keys("acme").len(), 1, "nothing landed in the parent");
}

#[tokio::test]
async fn a_creation_without_an_answer_is_not_repeated() {
    for done in [false, true] {
        let (server, client) = emulated(fault(Emulated::Create, 9, Fault::Drop { done })).await;
        let error = client.create(&Behalf::Own, "once", &KeyAccess::Full).await.unwrap_err();
        assert!(!error.kind.is_definite(), "{error:?}");
        let sent = server.model().log().iter().filter(|entry| entry.operation == Emulated::Create).count();
        assert_eq!(sent, 1);
    }
}

#[tokio::test]
async fn a_creation_with_a_server_error_is_not_repeated() {
    let status = Fault::Status { status: 500, message: None, done: false };
    let (server, client) = emulated(fault(Emulated::Create, 9, status)).await;
    let error = client.create(&Behalf::Own, "once", &KeyAccess::Full).await.unwrap_err();
    assert_eq!(error.kind, Kind::ServerError);
    assert_eq!(server.model().log().len(), 1);
}

#[tokio::test]
async fn a_429_is_waited_for_and_sent_again_also_for_a_creation() {
    let limited =
        Settings { write_rate_limit: Some(RateLimit { requests: 3, seconds: 3 }), ..Settings::default() };
    for bare_429 in [false, true] {
        let (server, client) = emulated(Settings { bare_429, ..limited.clone() }).await;
        let waits = Arc::new(Waits::default());
        let client = client.with_waits(Arc::clone(&waits) as _);
        let status = Fault::Status { status: 429, message: None, done: false };
        server.model().set_faults(vec![FaultRule {
            operation: Emulated::Create,
            after: 0,
            count: Some(2),
            fault: status,
        }]);
        client.create(&Behalf::Own, "patient", &KeyAccess::Full).await.unwrap();
        let waited = waits.0.lock().unwrap().clone();
        assert!(waited.len() >= 2, "{waited:?}");
        assert!(waited.iter().all(|(reason, operation, wait)| {
            *reason == WaitReason::RateLimit
                && *operation == Operation::Create
                && *wait <= Duration::from_secs(60)
        }));
    }
}

#[tokio::test]
async fn reads_are_repeated_and_give_up() {
    let drop = Fault::Drop { done: false };
    let (_server, client) = emulated(fault(Emulated::List, 3, drop.clone())).await;
    assert!(client.list(&Behalf::Own).await.is_ok());
    let (server, client) = emulated(fault(Emulated::List, 99, drop)).await;
    assert_eq!(client.list(&Behalf::Own).await.unwrap_err().kind, Kind::NoAnswer);
    assert_eq!(server.model().log().len(), 4);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let (server, client) = emulated(Settings { key_limit: 1, ..Settings::default() }).await;
    let full = client.create(&Behalf::Own, "one too many", &KeyAccess::Full).await.unwrap_err();
    assert_eq!(
        (full.kind, full.message.as_str()),
        (Kind::CapReached, "403 Cannot create more than 1 API Keys")
    );
    let stranger = Behalf::Subuser("nobody".to_string());
    assert_eq!(client.list(&stranger).await.unwrap_err().kind, Kind::Forbidden);
    let wrong = format!("SG.{}.{}", "a".repeat(22), "b".repeat(43));
    assert_eq!(
        self::client(&server.url(), &wrong).list(&Behalf::Own).await.unwrap_err().kind,
        Kind::Unauthorized
    );
}

#[tokio::test]
async fn a_200_that_says_not_found_is_not_a_key() {
    let (_server, client) = emulated(Settings { not_found_is_200: true, ..Settings::default() }).await;
    assert!(client.get(&Behalf::Own, "nothing").await.unwrap().is_none());
    // Only reads were reported to be answered so: to a revocation it proves nothing.
    assert_eq!(client.delete(&Behalf::Own, "nothing").await.unwrap_err().kind, Kind::Unintelligible);
    assert!(
        client.rename(&Behalf::Own, "nothing", "x").await.is_err(),
        "a failed write is not taken for success"
    );
}

#[tokio::test]
async fn scopes_that_cannot_be_granted_come_back_as_a_server_error() {
    let (_server, client) = emulated(Settings::default()).await;
    for asked in [&["suppressions.read"][..], &["2fa_required"], &["mail.send", "billing.read"]] {
        let access = KeyAccess::Scopes(scopes(asked));
        let error = client.create(&Behalf::Own, "wrong", &access).await.unwrap_err();
        assert_eq!(error.kind, Kind::ServerError, "{asked:?}");
    }
}
