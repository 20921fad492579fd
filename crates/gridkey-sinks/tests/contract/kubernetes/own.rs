//! What is true of `kubernetes` alone: restarts, Secrets that are special, and TLS by what a kubeconfig says.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gridkey_core::credential::Credential;
use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::sink::KubernetesSettings;
use gridkey_core::{Name, SinkLocation, SinkSettings};
use gridkey_engine::ports::{PutError, Readiness, SinkFault, SinkReader, SinkWriter};
use gridkey_sinks::Sinks;
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::{ADMIN, Admin, FIELD, NAMESPACE, changed};
use crate::bench::{Bench, assert_holds, deliver, put, refused, within};
use crate::own::{Own, own};
use crate::service::Value;

pub const OWN: &[Own] = &[
    own!(a_kubeconfig_that_runs_a_program_is_refused),
    own!(workloads_are_restarted_once_for_each_key),
    own!(a_secret_that_cannot_be_written_or_is_kept_by_another_is_told),
    own!(what_was_made_stays_as_it_was_made),
    own!(one_of_two_that_make_it_at_once_wins),
    own!(the_role_of_the_page_is_enough),
    own!(a_plan_needs_to_look_and_nothing_else),
];

/// A location whose kubeconfig speaks TLS to the server itself, under another name than its address has, and whose user would run a
/// program; the settings have a token instead, in the document that such programs print.
fn at(bench: &Bench, secret: &str, change: impl FnOnce(&mut KubernetesSettings)) -> SinkLocation {
    let upstream = bench.service.upstream();
    let config = json!({
        "current-context": "test",
        "clusters": [{"name": "c", "cluster": {
            "server": upstream.address.replace("127.0.0.1", "localhost"),
            "certificate-authority-data": BASE64_STANDARD.encode(upstream.authority.unwrap()),
            "tls-server-name": "kubernetes.default.svc",
        }}],
        "users": [{"name": "u", "user": {"exec": {"command": "aws", "args": ["eks"]}}}],
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
    });
    std::fs::write(bench.folder().join("config"), config.to_string()).unwrap();
    let printed = json!({"kind": "ExecCredential", "status": {"token": ADMIN}});
    std::fs::write(bench.folder().join("token"), printed.to_string()).unwrap();
    let mut settings = KubernetesSettings {
        kubeconfig: Some("config".to_string()),
        token: Some(Credential::File("token".to_string())),
        namespace: NAMESPACE.to_string(),
        secret: secret.to_string(),
        field: FIELD.to_string(),
        ..KubernetesSettings::default()
    };
    change(&mut settings);
    SinkLocation::new(Name::new("cluster").unwrap(), SinkSettings::Kubernetes(settings))
}

fn admin(bench: &Bench) -> Admin {
    let upstream = bench.service.upstream();
    Admin::new(upstream.address, &upstream.authority.unwrap())
}

fn deployment(name: &str) -> Json {
    let labels = json!({"app": name});
    json!({"metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "m", "image": "m"}]}},
    }})
}

/// A new account with these rules, whose token is in a file of its name.
async fn account(bench: &Bench, name: &str, rules: &Json) -> Credential {
    let admin = admin(bench);
    let (roles, accounts) = (
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"),
        format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts"),
    );
    let about = json!({"name": name});
    admin.call(Method::POST, &accounts, json!({"metadata": about})).await;
    let role = json!({"metadata": about, "rules": rules});
    admin.call(Method::POST, &format!("{roles}/roles"), role).await;
    let binding = json!({
        "metadata": about,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
    });
    admin.call(Method::POST, &format!("{roles}/rolebindings"), binding).await;
    let token = admin.call(Method::POST, &format!("{accounts}/{name}/token"), json!({"spec": {}})).await;
    std::fs::write(bench.folder().join(name), token["status"]["token"].as_str().unwrap()).unwrap();
    Credential::File(name.to_string())
}

async fn the_role_of_the_page_is_enough(bench: &Bench) {
    let page = include_str!("../../../../../docs/sinks/kubernetes.md");
    let page = page.split("```yaml\n").find(|block| block.contains("kind: Role\n")).unwrap();
    let mut documents = page.split("```").next().unwrap().split("---\n");
    let role = documents.find(|document| document.contains("kind: Role\n")).unwrap();
    let role: Json = serde_yaml::from_str(role).unwrap();
    assert_eq!(role["metadata"]["namespace"], NAMESPACE);
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments");
    admin(bench).call(Method::POST, &path, deployment("mailer")).await;
    let token = account(bench, "of-the-page", &role["rules"]).await;
    let at = at(bench, "sendgrid", |settings| {
        settings.token = Some(token);
        settings.restart = vec!["deployment/mailer".to_string()];
    });
    // The server may learn a moment later of a role.
    let sinks = bench.sinks();
    within(Duration::from_secs(60), async {
        while sinks.check(&at).await != Ok(Readiness::Proven) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_holds(&sinks.observe(&at, None).await, &SinkContent::Empty, &at);
    let receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    deliver(&sinks, &at, &bench.key(2), Some((&bench.key(1), &receipt))).await;
    let deployment = admin(bench).call(Method::GET, &format!("{path}/mailer"), Json::Null).await;
    let notes = &deployment["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(notes["gridkey.dev/sendgrid-api-key"], bench.key(2).id().as_str());
    sinks.remove(&at).await.expect("it is taken away");
    assert_holds(&sinks.observe(&at, None).await, &SinkContent::Empty, &at);
}

async fn a_plan_needs_to_look_and_nothing_else(bench: &Bench) {
    let rules = json!([
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["planned"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [NAMESPACE], "verbs": ["get"]},
    ]);
    let token = account(bench, "planner", &rules).await;
    let writer = at(bench, "planned", |_| ());
    let at = changed(&writer, |settings| settings.token = Some(token));
    let sinks = bench.sinks();
    within(Duration::from_secs(60), async {
        while matches!(sinks.observe(&at, None).await, SinkObservation::Unreadable(_)) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_holds(&sinks.observe(&at, None).await, &SinkContent::Empty, &at);
    deliver(&sinks, &writer, &bench.key(1), None).await;
    assert_holds(&sinks.observe(&at, None).await, &bench.key(1).content(), &at);
    let error = sinks.check(&at).await.expect_err("it may not write");
    assert!(error.help.is_some_and(|help| help.contains("the verb `patch` on `secrets`")));
}

async fn a_kubeconfig_that_runs_a_program_is_refused(bench: &Bench) {
    let exec = at(bench, "any", |settings| settings.token = None);
    let error = bench.sinks().check(&exec).await.expect_err("a kubeconfig that runs a program");
    assert!(error.message.contains("runs the program `aws`"), "{error}");
    assert!(error.help.is_some_and(|help| help.contains("token: { command: [aws, …] }")));
}

async fn workloads_are_restarted_once_for_each_key(bench: &Bench) {
    let (sinks, admin) = (bench.sinks(), admin(bench));
    let at = at(bench, "restarted", |settings| settings.restart = vec!["deployment/worker".to_string()]);
    let error = sinks.check(&at).await.expect_err("no such workload");
    assert!(error.message.contains("deployment/worker cannot be restarted"), "{error}");
    // A restart that fails is no failed delivery.
    let mut receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments");
    admin.call(Method::POST, &path, deployment("worker")).await;
    assert_eq!(sinks.check(&at).await, Ok(Readiness::Proven));
    let state = async || {
        let deployment = admin.call(Method::GET, &format!("{path}/worker"), Json::Null).await;
        let notes = &deployment["spec"]["template"]["metadata"]["annotations"];
        (deployment["metadata"]["generation"].clone(), notes["gridkey.dev/restarted-api-key"].clone())
    };
    assert_eq!(state().await, (json!(1), Json::Null), "a check restarts nothing");
    // The put before may have been cut off before its restart.
    for (number, generation) in [(1, 2), (1, 2), (2, 3), (2, 3)] {
        receipt = deliver(&sinks, &at, &bench.key(number), Some((&bench.key(1), &receipt))).await;
        assert_eq!(state().await, (json!(generation), json!(bench.key(number).id().as_str())));
    }
}

async fn a_secret_that_cannot_be_written_or_is_kept_by_another_is_told(bench: &Bench) {
    let (sinks, admin) = (bench.sinks(), admin(bench));
    let secrets = format!("/api/v1/namespaces/{NAMESPACE}/secrets");
    admin.call(Method::POST, &secrets, json!({"metadata": {"name": "fixed"}, "immutable": true})).await;
    let fixed = at(bench, "fixed", |_| ());
    let checked = sinks.check(&fixed).await.expect_err("it is immutable");
    assert!(checked.message.ends_with("is immutable") && checked.help.is_some(), "{checked:?}");
    assert_eq!(refused(put(&sinks, &fixed, &bench.key(1), None).await), checked);
    let owner = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "mail",
        "uid": "8c5f2f2e-6a3b-4b0e-9d43-1f8f3f0d9a11", "controller": true});
    let kept = json!({"metadata": {"name": "kept", "ownerReferences": [owner]}});
    admin.call(Method::POST, &secrets, kept).await;
    let Ok(Readiness::Plausible(why)) = sinks.check(&at(bench, "kept", |_| ())).await else {
        panic!("a controller may write its own value back")
    };
    assert!(why.contains("ExternalSecret `mail`"), "{why}");
}

async fn what_was_made_stays_as_it_was_made(bench: &Bench) {
    let (sinks, admin) = (bench.sinks(), admin(bench));
    let note = BTreeMap::from([("acme.example/note".to_string(), "made for mail".to_string())]);
    let at = at(bench, "typed", |settings| {
        settings.field = "password".to_string();
        settings.secret_type = Some("kubernetes.io/basic-auth".to_string());
        settings.annotations = note.clone();
    });
    let beside = changed(&at, |settings| settings.field = "other".to_string());
    assert_eq!(sinks.check(&at).await, Ok(Readiness::Proven));
    let receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    deliver(&sinks, &beside, &bench.key(2), None).await;
    deliver(&sinks, &at, &bench.key(3), Some((&bench.key(1), &receipt))).await;
    sinks.remove(&beside).await.expect("it is taken away");
    let secret = admin.secret(&at).await.unwrap();
    assert_eq!(secret["type"], "kubernetes.io/basic-auth");
    assert_eq!(secret["metadata"]["annotations"], json!(note));
    assert_eq!(secret["data"], json!({"password": BASE64_STANDARD.encode(bench.key(3).text())}));
    // Its last field is one that its type demands.
    let error = sinks.remove(&at).await.expect_err("Kubernetes keeps it");
    assert_eq!(error.fault, SinkFault::Invalid, "{error:?}");
}

async fn one_of_two_that_make_it_at_once_wins(bench: &Bench) {
    let runs: [Sinks; 2] = [bench.sinks(), bench.sinks()];
    let keys = [bench.key(1), bench.key(2)];
    for round in 0..5 {
        let at = at(bench, &format!("race-{round}"), |_| ());
        let (one, two) = tokio::join!(put(&runs[0], &at, &keys[0], None), put(&runs[1], &at, &keys[1], None));
        let (winner, loser) = match (one, two) {
            (Ok(_), Err(PutError::Refused(error))) => (0, error),
            (Err(PutError::Refused(error)), Ok(_)) => (1, error),
            both => panic!("{both:?}"),
        };
        assert_eq!(loser.fault, SinkFault::Conflict, "{loser:?}");
        assert_eq!(bench.service.value(&at).await, Value::Text(keys[winner].text().to_string()));
        // What is expected by then, may be replaced.
        let expected: SinkContent = keys[winner].content();
        runs[1 - winner].put(&at, &keys[1 - winner].secret(), &expected, None).await.expect("a put");
    }
}
