//! `gitlab_ci`, over a double of its API that python-gitlab has judged.

#[path = "../contract/doubles/gitlab.rs"]
mod double;

use std::collections::BTreeMap;

use gridkey_core::credential::Credential;
use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::sink::GitlabCiSettings;
use gridkey_core::{SinkLocation, SinkSettings};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault, SinkReader as _, SinkWriter as _};
use gridkey_sinks::Sinks;
use serde_json::{Value, json};

use crate::judge::judges;
use crate::{at, holds, key, secret};
use double::{DEVELOPER, Gitlab, OAUTH, READS, WRITES};

const SHOP: &str = "projects/acme/shop";
const EMPTY: SinkContent = SinkContent::Empty;

fn sinks(token: &str) -> Sinks {
    let variables = BTreeMap::from([("GITLAB_TOKEN".to_string(), token.to_string())]);
    Sinks::new(".".into(), Vec::new()).with_variables(variables)
}

fn settings(gitlab: &Gitlab) -> GitlabCiSettings {
    GitlabCiSettings {
        address: Some(format!("{}/", gitlab.address)),
        project: Some("Acme/shop".to_string()),
        variable: "SENDGRID_KEY".to_string(),
        ..GitlabCiSettings::default()
    }
}

fn location(settings: GitlabCiSettings) -> SinkLocation {
    at(SinkSettings::GitlabCi(settings))
}

fn in_scope(gitlab: &Gitlab, scope: &str) -> SinkLocation {
    location(GitlabCiSettings { environment_scope: Some(scope.to_string()), ..settings(gitlab) })
}

fn variable(gitlab: &Gitlab, owner: &str, scope: &str) -> Option<double::Variable> {
    gitlab.world().variable(owner, "SENDGRID_KEY", scope).cloned()
}

fn value(gitlab: &Gitlab, owner: &str, scope: &str) -> Option<String> {
    variable(gitlab, owner, scope).map(|variable| variable.value)
}

fn instead(gitlab: &Gitlab, start: &str, status: u16, body: Value) {
    gitlab.world().instead.push((start.to_string(), (status, body)));
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, PutError>) -> SinkError {
    match result {
        Err(PutError::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_double_is_as_gitlab_is() {
    let gitlab = Gitlab::start().await;
    judges("gitlab", "gitlab_judge", &[&gitlab.address, WRITES, READS]).await;
}

#[tokio::test]
async fn variables_of_projects_groups_and_the_instance_are_made_and_written_and_removed() {
    let gitlab = Gitlab::start().await;
    let sinks = sinks(WRITES);
    let base = || GitlabCiSettings { project: None, ..settings(&gitlab) };
    for (settings, owner) in [
        (settings(&gitlab), SHOP),
        (GitlabCiSettings { project: Some("7".to_string()), ..base() }, SHOP),
        (GitlabCiSettings { group: Some("acme".to_string()), ..base() }, "groups/acme"),
        (GitlabCiSettings { instance: Some(true), ..base() }, "instance"),
    ] {
        let at = location(settings);
        assert_eq!(sinks.check(&at).await, Ok(Readiness::Proven), "{owner}");
        assert_eq!(sinks.observe(&at, None).await, SinkObservation::Holds(EMPTY), "{owner}");
        assert_eq!(sinks.put(&at, &secret('a'), &EMPTY, None).await, Ok(None), "{owner}");
        let made = variable(&gitlab, owner, "*").unwrap();
        assert_eq!((made.value, made.masked, made.protected, made.raw), (key('a'), true, false, true));
        assert_eq!(sinks.observe(&at, None).await, SinkObservation::Holds(holds('a')));
        // Again changes nothing.
        sinks.put(&at, &secret('a'), &EMPTY, None).await.unwrap();
        assert_eq!(variable(&gitlab, owner, "*").unwrap().writes, 1);
        sinks.put(&at, &secret('b'), &holds('a'), None).await.unwrap();
        assert_eq!(sinks.read(&at).await.unwrap().unwrap().expose(), key('b'));
        let error = refused(sinks.put(&at, &secret('c'), &holds('a'), None).await);
        assert_eq!((error.fault, value(&gitlab, owner, "*")), (SinkFault::Conflict, Some(key('b'))));
        sinks.remove(&at).await.unwrap();
        sinks.remove(&at).await.unwrap();
        assert_eq!(variable(&gitlab, owner, "*"), None);
    }
    for asked in &gitlab.world().asked {
        assert!(!asked.contains("SG."), "{asked}");
    }
}

#[tokio::test]
async fn a_variable_of_another_scope_is_never_touched() {
    let gitlab = Gitlab::start().await;
    let sinks = sinks(WRITES);
    gitlab.world().overwrite(SHOP, "SENDGRID_KEY", "production", &key('p'));
    let everywhere = location(settings(&gitlab));
    assert_eq!(sinks.observe(&everywhere, None).await, SinkObservation::Holds(EMPTY));
    sinks.remove(&everywhere).await.unwrap();
    sinks.put(&everywhere, &secret('a'), &EMPTY, None).await.unwrap();
    let review = in_scope(&gitlab, "review/*");
    sinks.put(&review, &secret('r'), &EMPTY, None).await.unwrap();
    sinks.put(&review, &secret('s'), &holds('r'), None).await.unwrap();
    let values = ["production", "*", "review/*"].map(|scope| value(&gitlab, SHOP, scope));
    assert_eq!(values, [Some(key('p')), Some(key('a')), Some(key('s'))]);
    sinks.remove(&review).await.unwrap();
    assert_eq!(value(&gitlab, SHOP, "production"), Some(key('p')));

    // A server that does not filter.
    let body = json!({ "key": "SENDGRID_KEY", "value": key('p'), "environment_scope": "production" });
    instead(&gitlab, "GET /projects", 200, body);
    let error = sinks.remove(&everywhere).await.unwrap_err();
    assert!(error.message.contains("`production`"), "{error}");
    assert_eq!(value(&gitlab, SHOP, "*"), Some(key('a')));
}

#[tokio::test]
async fn what_came_out_in_a_wider_scope_is_taken_back() {
    let gitlab = Gitlab::start().await;
    gitlab.world().scopes_of_groups = false;
    let at = location(GitlabCiSettings {
        project: None,
        group: Some("acme".to_string()),
        environment_scope: Some("production".to_string()),
        ..settings(&gitlab)
    });
    let error = refused(sinks(WRITES).put(&at, &secret('a'), &EMPTY, None).await);
    assert!(error.clone().with_help().contains("Premium"), "{error:?}");
    assert_eq!(value(&gitlab, "groups/acme", "*"), None);
    // One that was there stays.
    gitlab.world().overwrite("groups/acme", "SENDGRID_KEY", "*", "theirs");
    let error = refused(sinks(WRITES).put(&at, &secret('a'), &EMPTY, None).await);
    assert_eq!(error.fault, SinkFault::Conflict, "{error:?}");
    assert_eq!(value(&gitlab, "groups/acme", "*").as_deref(), Some("theirs"));
}

#[tokio::test]
async fn a_hidden_variable_is_written_and_never_taken_for_an_empty_one() {
    let gitlab = Gitlab::start().await;
    let sinks = sinks(WRITES);
    let hidden = location(GitlabCiSettings { hidden: Some(true), ..settings(&gitlab) });
    assert_eq!(sinks.observe(&hidden, None).await, SinkObservation::WriteOnly);
    sinks.put(&hidden, &secret('a'), &EMPTY, None).await.unwrap();
    let made = variable(&gitlab, SHOP, "*").unwrap();
    assert_eq!((made.value, made.hidden, made.masked), (key('a'), true, true));
    sinks.put(&hidden, &secret('b'), &EMPTY, None).await.unwrap();
    assert_eq!(value(&gitlab, SHOP, "*"), Some(key('b')));
    assert_eq!(sinks.check(&hidden).await, Ok(Readiness::Proven));

    let shown = location(settings(&gitlab));
    let SinkObservation::Unreadable(why) = sinks.observe(&shown, None).await else { panic!("it is hidden") };
    assert!(why.contains("`hidden: true`"), "{why}");
    let error = refused(sinks.put(&shown, &secret('c'), &EMPTY, None).await);
    assert_eq!((error.fault, value(&gitlab, SHOP, "*")), (SinkFault::Invalid, Some(key('b'))));

    // It cannot be hidden afterwards.
    sinks.remove(&hidden).await.unwrap();
    gitlab.world().overwrite(SHOP, "SENDGRID_KEY", "*", "theirs");
    assert_eq!(sinks.check(&hidden).await.unwrap_err().fault, SinkFault::Invalid);
    refused(sinks.put(&hidden, &secret('c'), &EMPTY, None).await);
    assert_eq!(value(&gitlab, SHOP, "*").as_deref(), Some("theirs"));

    // An old server passes over what it does not know.
    gitlab.world().hides = false;
    sinks.remove(&shown).await.unwrap();
    let error = refused(sinks.put(&hidden, &secret('c'), &EMPTY, None).await);
    assert!(error.clone().with_help().contains("17.4"), "{error:?}");
    assert_eq!(value(&gitlab, SHOP, "*"), None);
}

#[tokio::test]
async fn what_people_said_of_a_variable_stays_unless_the_manifest_says_otherwise() {
    let gitlab = Gitlab::start().await;
    let sinks = sinks(WRITES);
    gitlab.world().overwrite(SHOP, "SENDGRID_KEY", "*", &key('a'));
    {
        let mut world = gitlab.world();
        let theirs = world.owners.get_mut(SHOP).unwrap();
        let theirs = theirs.get_mut(&("SENDGRID_KEY".to_string(), "*".to_string())).unwrap();
        theirs.protected = true;
        theirs.variable_type = "file".to_string();
        theirs.description = Some("ask the mail team".to_string());
    }
    let before = variable(&gitlab, SHOP, "*").unwrap();
    sinks.put(&location(settings(&gitlab)), &secret('b'), &holds('a'), None).await.unwrap();
    let after = variable(&gitlab, SHOP, "*").unwrap();
    assert_eq!(after, double::Variable { value: key('b'), writes: 2, ..before.clone() });
    let said = location(GitlabCiSettings { masked: Some(true), ..settings(&gitlab) });
    sinks.put(&said, &secret('b'), &holds('b'), None).await.unwrap();
    let after = variable(&gitlab, SHOP, "*").unwrap();
    assert_eq!(after, double::Variable { value: key('b'), masked: true, writes: 3, ..before });
}

#[tokio::test]
async fn nothing_is_written_unmasked_because_it_could_not_be_masked() {
    let gitlab = Gitlab::start().await;
    let at = location(settings(&gitlab));
    instead(&gitlab, "POST /projects", 400, json!({ "message": { "value": ["is invalid"] } }));
    let error = refused(sinks(WRITES).put(&at, &secret('a'), &EMPTY, None).await);
    assert!(error.clone().with_help().contains("`masked: false`"), "{error:?}");
    assert_eq!(variable(&gitlab, SHOP, "*"), None);
}

#[tokio::test]
async fn a_check_says_what_is_missing_and_never_guesses() {
    let gitlab = Gitlab::start().await;
    let at = location(settings(&gitlab));
    let error = sinks(READS).check(&at).await.unwrap_err();
    assert_eq!(error.fault, SinkFault::Forbidden);
    assert!(error.clone().with_help().contains("`api`"), "{error:?}");
    let error = refused(sinks(READS).put(&at, &secret('a'), &EMPTY, None).await);
    assert!(error.clone().with_help().contains("insufficient_scope"), "{error:?}");
    let error = sinks(DEVELOPER).check(&at).await.unwrap_err();
    assert_eq!(error.fault, SinkFault::Forbidden);
    assert!(error.clone().with_help().contains("Maintainer"), "{error:?}");
    assert!(matches!(sinks(OAUTH).check(&at).await, Ok(Readiness::Plausible(_))));
    assert_eq!(sinks("unknown").check(&at).await.unwrap_err().fault, SinkFault::Unauthenticated);
    let nowhere =
        location(GitlabCiSettings { project: Some("acme/nowhere".to_string()), ..settings(&gitlab) });
    for error in [
        sinks(WRITES).check(&nowhere).await.unwrap_err(),
        sinks(WRITES).remove(&nowhere).await.unwrap_err(),
        refused(sinks(WRITES).put(&nowhere, &secret('a'), &EMPTY, None).await),
    ] {
        assert_eq!(error.fault, SinkFault::ContainerMissing);
        assert!(error.clone().with_help().contains("acme/nowhere"), "{error:?}");
    }
    instead(&gitlab, "GET /projects", 404, json!("<html>nothing here</html>"));
    assert!(matches!(sinks(WRITES).observe(&at, None).await, SinkObservation::Unreadable(_)));
}

#[tokio::test]
async fn another_program_at_the_same_moment_is_told() {
    let gitlab = Gitlab::start().await;
    let sinks = sinks(WRITES);
    let at = location(settings(&gitlab));
    gitlab.world().interloper = Some("theirs".to_string());
    let put = sinks.put(&at, &secret('a'), &EMPTY, None).await;
    assert!(matches!(&put, Err(PutError::Unclear(error)) if error.fault == SinkFault::Conflict), "{put:?}");
    // Made between the look and the write.
    gitlab.world().overwrite(SHOP, "SENDGRID_KEY", "*", "theirs");
    instead(&gitlab, "GET /projects", 404, json!({ "message": "404 Variable Not Found" }));
    let error = refused(sinks.put(&at, &secret('a'), &EMPTY, None).await);
    assert_eq!((error.fault, value(&gitlab, SHOP, "*").as_deref()), (SinkFault::Conflict, Some("theirs")));
}

#[tokio::test]
async fn an_answer_that_is_not_gitlabs_leaves_the_outcome_unclear() {
    let gitlab = Gitlab::start().await;
    let sinks = sinks(WRITES);
    let at = location(settings(&gitlab));
    for (status, body) in [
        (200, json!("<html>who are you?</html>")),
        (201, json!("<html>who are you?</html>")),
        (403, json!("<html>who are you?</html>")),
        (500, json!({ "message": "500 Internal Server Error" })),
    ] {
        instead(&gitlab, "POST /projects", status, body);
        let put = sinks.put(&at, &secret('a'), &EMPTY, None).await;
        assert!(matches!(put, Err(PutError::Unclear(_))), "{status}: {put:?}");
    }
    instead(&gitlab, "POST /projects", 429, json!("Retry later\n"));
    sinks.put(&at, &secret('a'), &EMPTY, None).await.unwrap();
}

#[tokio::test]
async fn a_token_that_was_replaced_is_read_again() {
    let gitlab = Gitlab::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, WRITES).unwrap();
    let token = Some(Credential::File(file.display().to_string()));
    let at = location(GitlabCiSettings { token, ..settings(&gitlab) });
    let sinks = sinks("unused");
    assert_eq!(sinks.check(&at).await, Ok(Readiness::Proven));
    {
        let mut world = gitlab.world();
        let known = world.tokens.remove(WRITES).unwrap();
        world.tokens.insert("glpat-new".to_string(), known);
    }
    std::fs::write(&file, "glpat-new\n").unwrap();
    sinks.put(&at, &secret('a'), &EMPTY, None).await.unwrap();
    assert_eq!(value(&gitlab, SHOP, "*"), Some(key('a')));
}
