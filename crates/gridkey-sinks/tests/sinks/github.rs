//! `github_actions`, over a double of its API that PyGithub has judged.

#[path = "../contract/doubles/github.rs"]
mod double;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gridkey_core::credential::Credential;
use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::sink::{GithubActionsSettings, GithubAppSettings, GithubAuthSettings};
use gridkey_core::{KeyId, Known, Receipt, SinkLocation, SinkSettings};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault, SinkReader as _, SinkWriter as _};
use gridkey_sinks::Sinks;
use serde_json::{Value, json};

use crate::judge::judges;
use crate::{at, key, secret};
use double::{CLASSIC, CLIENT, FINE_GRAINED, Github, READS, SCOPELESS, WRITES};

const EMPTY: SinkContent = SinkContent::Empty;

fn sinks(token: &str) -> Sinks {
    let variables = BTreeMap::from([("GH_TOKEN".to_string(), token.to_string())]);
    Sinks::new(".".into(), Vec::new()).with_variables(variables)
}

fn settings(github: &Github) -> GithubActionsSettings {
    GithubActionsSettings {
        repository: Some("Acme/shop".to_string()),
        secret: "sendgrid_key".to_string(),
        api_url: Some(format!("{}/api/v3/", github.address)),
        ..GithubActionsSettings::default()
    }
}

fn location(settings: GithubActionsSettings) -> SinkLocation {
    at(SinkSettings::GithubActions(settings))
}

fn in_organization(github: &Github) -> GithubActionsSettings {
    GithubActionsSettings { repository: None, organization: Some("acme".to_string()), ..settings(github) }
}

fn app(github: &Github, folder: &Path, installation: &str) -> GithubActionsSettings {
    std::fs::write(folder.join("app.pem"), github.world().app_key()).unwrap();
    let app = GithubAppSettings {
        client_id: CLIENT.to_string(),
        installation_id: installation.to_string(),
        private_key: Credential::File(folder.join("app.pem").display().to_string()),
    };
    GithubActionsSettings { auth: Some(GithubAuthSettings::App(app)), ..settings(github) }
}

fn value(github: &Github, store: &str) -> Option<String> {
    github.world().secret(store, "SENDGRID_KEY").and_then(|stored| stored.value.clone())
}

fn instead(github: &Github, start: &str, status: u16, headers: &[(&'static str, &str)], body: Value) {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_string())).collect();
    github.world().instead.push((start.to_string(), (status, headers, body)));
}

async fn put(sinks: &Sinks, at: &SinkLocation, letter: char) -> Result<Option<Receipt>, PutError> {
    sinks.put(at, &secret(letter), &EMPTY, None).await
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, PutError>) -> SinkError {
    match result {
        Err(PutError::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_double_is_as_github_is() {
    let github = Github::start().await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("app.pem");
    std::fs::write(&key, github.world().app_key()).unwrap();
    judges("github", "github_judge", &[&github.address, CLASSIC, &key.display().to_string(), CLIENT, WRITES])
        .await;
    let world = github.world();
    // What the client sealed is opened, by the key of the very store.
    let value = |store: &str, name: &str| world.secret(store, name).and_then(|stored| stored.value.clone());
    if world.asked.is_empty() {
        return;
    }
    assert_eq!(value("repos/acme/mail/actions", "JUDGE").as_deref(), Some("stays"));
    assert_eq!(value("repos/acme/mail/actions", "BY_APP").as_deref(), Some("three"));
    let environment = "repos/acme/shop/environments/review/eu west";
    assert_eq!(value(environment, "JUDGE").as_deref(), Some("of review/eu west"));
    assert_eq!(value("orgs/acme/actions", "JUDGE").as_deref(), Some("for one"));
}

#[tokio::test]
async fn each_store_gets_what_it_can_open_and_a_receipt_comes_back() {
    let github = Github::start().await;
    let sinks = sinks(CLASSIC);
    let of = |environment: Option<&str>, store: Option<&str>| {
        location(GithubActionsSettings {
            environment: environment.map(ToString::to_string),
            store: store.map(ToString::to_string),
            ..settings(&github)
        })
    };
    for (at, store) in [
        (of(None, None), "repos/acme/shop/actions"),
        (of(Some("production"), None), "repos/acme/shop/environments/production"),
        (of(Some("review/eu west"), None), "repos/acme/shop/environments/review/eu west"),
        (of(None, Some("dependabot")), "repos/acme/shop/dependabot"),
        (of(None, Some("codespaces")), "repos/acme/shop/codespaces"),
    ] {
        assert_eq!(sinks.check(&at).await, Ok(Readiness::Proven), "{store}");
        assert_eq!(github.world().secret(store, "SENDGRID_KEY"), None, "a check writes nothing");
        let receipt = put(&sinks, &at, 'a').await.unwrap().unwrap();
        let stored = github.world().secret(store, "SENDGRID_KEY").unwrap().clone();
        assert_eq!((stored.value, receipt.as_str()), (Some(key('a')), stored.updated.as_str()), "{store}");
        assert_eq!(sinks.observe(&at, None).await, SinkObservation::WriteOnly);
        assert_eq!(sinks.read(&at).await.unwrap_err().fault, SinkFault::Unsupported);
        sinks.remove(&at).await.unwrap();
        sinks.remove(&at).await.unwrap();
        assert_eq!(value(&github, store), None);
    }
    let world = github.world();
    for asked in &world.asked {
        assert!(!asked.contains("SG."), "{asked}");
        assert!(asked.contains("x-github-api-version: 2022-11-28"), "{asked}");
    }
}

#[tokio::test]
async fn an_app_logs_in_again_when_its_token_ends() {
    let github = Github::start().await;
    let folder = tempfile::tempdir().unwrap();
    let at = location(app(&github, folder.path(), WRITES));
    let sinks = sinks("unused");
    assert_eq!(sinks.check(&at).await, Ok(Readiness::Proven));
    github.world().end(WRITES);
    put(&sinks, &at, 'a').await.unwrap();
    assert_eq!(value(&github, "repos/acme/shop/actions"), Some(key('a')));
    let logins = github.world().asked.iter().filter(|asked| asked.contains("access_tokens")).count();
    assert_eq!(logins, 2);
}

#[tokio::test]
async fn a_check_says_what_is_missing_and_never_guesses() {
    let github = Github::start().await;
    let folder = tempfile::tempdir().unwrap();
    let at = location(settings(&github));

    let only_reads = location(app(&github, folder.path(), READS));
    let error = sinks("unused").check(&only_reads).await.unwrap_err();
    assert_eq!(error.fault, SinkFault::Forbidden);
    assert!(error.clone().with_help().contains("`secrets: write`"));
    let error = refused(put(&sinks("unused"), &only_reads, 'a').await);
    assert_eq!(error.fault, SinkFault::Forbidden);
    assert!(error.clone().with_help().contains("`secrets=write`"));

    let error = sinks(SCOPELESS).check(&at).await.unwrap_err();
    assert_eq!(error.fault, SinkFault::Forbidden);
    let fine_grained = sinks(FINE_GRAINED).check(&at).await.unwrap();
    assert!(matches!(fine_grained, Readiness::Plausible(_)), "{fine_grained:?}");
    let error = sinks("unknown").check(&at).await.unwrap_err();
    assert_eq!(error.fault, SinkFault::Unauthenticated, "{error:?}");
    let none = Sinks::new(".".into(), Vec::new()).with_variables(BTreeMap::new());
    let error = none.check(&at).await.unwrap_err();
    assert_eq!(error.fault, SinkFault::Unauthenticated, "{error:?}");

    let old =
        location(GithubActionsSettings { repository: Some("acme/old".to_string()), ..settings(&github) });
    let error = sinks(CLASSIC).check(&old).await.unwrap_err();
    assert!(error.message.contains("archived"), "{error}");
    github.world().repositories.get_mut("acme/shop").unwrap().2 = false;
    let error = sinks(CLASSIC).check(&at).await.unwrap_err();
    assert!(error.message.contains("may only read"), "{error}");
}

#[tokio::test]
async fn nothing_is_made_that_is_not_there() {
    let github = Github::start().await;
    let sinks = sinks(CLASSIC);
    let missing = [
        (
            GithubActionsSettings { repository: Some("acme/nowhere".to_string()), ..settings(&github) },
            "acme/nowhere",
        ),
        (GithubActionsSettings { environment: Some("staging".to_string()), ..settings(&github) }, "staging"),
        (
            GithubActionsSettings {
                organization: Some("nowhere".to_string()),
                visibility: Some("all".to_string()),
                ..in_organization(&github)
            },
            "nowhere",
        ),
    ];
    for (settings, name) in missing {
        let at = location(settings);
        let removed = sinks.remove(&at).await.unwrap_err();
        let checked = sinks.check(&at).await.unwrap_err();
        for error in [removed, checked, refused(put(&sinks, &at, 'a').await)] {
            assert_eq!(error.fault, SinkFault::ContainerMissing, "{error:?}");
            assert!(error.message.contains(name), "{error:?}");
        }
    }
}

#[tokio::test]
async fn an_organisation_secret_stays_in_sight_of_the_same_repositories() {
    let github = Github::start().await;
    let sinks = sinks(CLASSIC);
    let store = "orgs/acme/actions";
    let at = location(in_organization(&github));
    let error = refused(put(&sinks, &at, 'a').await);
    assert!(error.clone().with_help().contains("`visibility`"), "{error:?}");
    assert_eq!(sinks.check(&at).await.unwrap_err().fault, SinkFault::Invalid);

    github.world().overwrite(store, "SENDGRID_KEY", "other", "2026-01-01T00:00:00Z");
    for number in 100..320 {
        github.world().repositories.insert(format!("acme/many-{number}"), (number, false, true));
    }
    {
        let mut world = github.world();
        let stored = world.stores.get_mut(store).unwrap().secrets.get_mut("SENDGRID_KEY").unwrap();
        stored.visibility = Some("selected".to_string());
        stored.selected = (100..320).collect();
    }
    let before = github.world().secret(store, "SENDGRID_KEY").unwrap().clone();
    put(&sinks, &at, 'a').await.unwrap();
    let after = github.world().secret(store, "SENDGRID_KEY").unwrap().clone();
    assert_eq!(after.value, Some(key('a')));
    assert_eq!((after.visibility, after.selected), (before.visibility, before.selected));

    let named = location(GithubActionsSettings {
        visibility: Some("selected".to_string()),
        selected_repositories: vec!["shop".to_string(), "site".to_string()],
        ..in_organization(&github)
    });
    put(&sinks, &named, 'b').await.unwrap();
    let numbers = ["acme/shop", "acme/site"].map(|name| github.world().repositories[name].0);
    assert_eq!(github.world().secret(store, "SENDGRID_KEY").unwrap().selected, numbers.into());
}

#[tokio::test]
async fn a_public_key_that_was_replaced_is_fetched_again_once() {
    let github = Github::start().await;
    let sinks = sinks(CLASSIC);
    let at = location(settings(&github));
    github.world().replaces_keys = true;
    put(&sinks, &at, 'a').await.unwrap();
    assert_eq!(value(&github, "repos/acme/shop/actions"), Some(key('a')));
    let keys = github.world().asked.iter().filter(|asked| asked.contains("public-key")).count();
    assert_eq!(keys, 2);
    // A 422 for another reason is not tried again.
    instead(&github, "PUT /repos", 422, &[], json!({ "message": "Secret limit reached" }));
    let error = refused(put(&sinks, &at, 'b').await);
    assert_eq!((error.fault, error.message.contains("Secret limit reached")), (SinkFault::Invalid, true));
}

#[tokio::test]
async fn what_means_later_is_waited_for() {
    let github = Github::start().await;
    let sinks = sinks(CLASSIC);
    let at = location(settings(&github));
    let text = json!({ "message": "You have exceeded a secondary rate limit. Please wait a few minutes" });
    instead(&github, "PUT /repos", 403, &[], text.clone());
    instead(&github, "PUT /repos", 429, &[("retry-after", "1")], text.clone());
    put(&sinks, &at, 'a').await.unwrap();
    assert_eq!(value(&github, "repos/acme/shop/actions"), Some(key('a')));
    instead(&github, "PUT /repos", 403, &[("retry-after", "3600")], text);
    let error = refused(put(&sinks, &at, 'b').await);
    assert_eq!(error.fault, SinkFault::Throttled, "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_not_githubs_leaves_the_outcome_unclear() {
    let github = Github::start().await;
    let sinks = sinks(CLASSIC);
    let at = location(settings(&github));
    let page = json!("<html>who are you?</html>");
    for (status, body) in [
        (200, page.clone()),
        (201, page.clone()),
        (403, page.clone()),
        (404, page),
        (502, json!({ "message": "Server Error" })),
    ] {
        instead(&github, "PUT /repos", status, &[], body);
        let put = put(&sinks, &at, 'a').await;
        assert!(matches!(put, Err(PutError::Unclear(_))), "{status}: {put:?}");
    }
    let moved = json!({ "message": "Moved Permanently", "url": "https://api.github.com/repositories/1" });
    instead(&github, "PUT /repos", 307, &[], moved);
    let error = refused(put(&sinks, &at, 'a').await);
    assert!(error.clone().with_help().contains("another name"), "{error:?}");
    instead(
        &github,
        "PUT /repos",
        403,
        &[("x-github-sso", "required; url=https://github.com/orgs/acme/sso")],
        json!({ "message": "Resource protected by organization SAML enforcement" }),
    );
    let error = refused(put(&sinks, &at, 'a').await);
    assert!(error.clone().with_help().contains("https://github.com/orgs/acme/sso"), "{error:?}");
}

#[tokio::test]
async fn the_time_of_the_last_write_tells_whether_another_program_was_there() {
    let github = Github::start().await;
    let sinks = sinks(CLASSIC);
    let at = location(settings(&github));
    let store = "repos/acme/shop/actions";
    let receipt = put(&sinks, &at, 'a').await.unwrap().unwrap();
    let ours: jiff::Timestamp = receipt.as_str().parse().unwrap();
    let known = Known { id: KeyId::new("a".repeat(22)), receipt };
    let is_ours = SinkObservation::Holds(SinkContent::Key(known.id.clone()));
    assert_eq!(sinks.observe(&at, Some(&known)).await, is_ours);
    let second = jiff::SignedDuration::from_secs(1);
    for (later, seen) in [
        // What GitHub shows may trail, and be ahead of what it showed before.
        (-3600, SinkObservation::WriteOnly),
        (-1, SinkObservation::WriteOnly),
        (60, SinkObservation::WriteOnly),
        (61, SinkObservation::Holds(SinkContent::Other)),
    ] {
        let time = (ours + second * later).to_string();
        github.world().overwrite(store, "SENDGRID_KEY", "other", &time);
        assert_eq!(sinks.observe(&at, Some(&known)).await, seen, "{later} s later");
    }
    // An outage says nothing.
    github.world().stores.get_mut(store).unwrap().secrets.clear();
    instead(&github, "GET /repos", 500, &[], json!({ "message": "Server Error" }));
    assert_eq!(sinks.observe(&at, Some(&known)).await, SinkObservation::WriteOnly);
    assert_eq!(sinks.observe(&at, Some(&known)).await, SinkObservation::Holds(SinkContent::Empty));
    // A repository that is not there, or not to be seen, says nothing of its secrets.
    let nowhere = GithubActionsSettings { repository: Some("acme/nowhere".to_string()), ..settings(&github) };
    assert_eq!(sinks.observe(&location(nowhere), Some(&known)).await, SinkObservation::WriteOnly);
}

#[tokio::test]
async fn a_write_of_another_program_never_stands_in_the_way_and_a_time_that_trails_is_no_receipt() {
    let github = Github::start().await;
    let sinks = sinks(CLASSIC);
    let at = location(settings(&github));
    let store = "repos/acme/shop/actions";
    let receipt = put(&sinks, &at, 'a').await.unwrap().unwrap();
    github.world().overwrite(store, "SENDGRID_KEY", "other", "2099-01-01T00:00:00Z");
    let known = Known { id: KeyId::new("a".repeat(22)), receipt };
    let holds = SinkContent::Key(known.id.clone());
    let receipt = sinks.put(&at, &secret('b'), &holds, Some(&known)).await.unwrap();
    assert_eq!(value(&github, store), Some(key('b')));
    let updated = github.world().secret(store, "SENDGRID_KEY").unwrap().updated.clone();
    assert_eq!(receipt, Some(Receipt::new(updated)));

    // All looks after the write.
    github.world().trails = 10;
    let receipt = sinks.put(&at, &secret('c'), &holds, None).await.unwrap();
    assert_eq!((receipt, value(&github, store)), (None, Some(key('c'))));
    assert_eq!(sinks.lag(&at), Duration::from_secs(60));
}

#[tokio::test]
async fn writes_are_a_second_apart() {
    let github = Github::start().await;
    let sinks = sinks(CLASSIC);
    let at = location(settings(&github));
    let other = location(GithubActionsSettings { secret: "OTHER".to_string(), ..settings(&github) });
    let started = std::time::Instant::now();
    let (one, two) = tokio::join!(put(&sinks, &at, 'a'), put(&sinks, &other, 'b'));
    assert!(one.is_ok() && two.is_ok());
    assert!(started.elapsed() >= Duration::from_secs(1));
}
