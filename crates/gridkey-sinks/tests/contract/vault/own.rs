//! What is true of `vault` alone: logins, namespaces, standbys, and tokens that may do little.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use gridkey_core::credential::Credential;
use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::sink::{
    VaultAppRoleSettings, VaultAuthSettings, VaultJwtSettings, VaultKubernetesSettings, VaultSettings,
};
use gridkey_core::{Known, Name, SinkLocation, SinkSettings};
use gridkey_engine::ports::{Readiness, SinkFault, SinkReader, SinkWriter};
use gridkey_sinks::Sinks;
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::{MOUNT, ROOT, Root, TOKEN, changed};
use crate::bench::{Bench, deliver, put, refused, unclear, unreadable};
use crate::own::{Own, own};
use crate::proxy::{On, Reply, Then};
use crate::server::{Server, free_port, program};
use crate::service::{Value, Whom};

/// Signed by the key whose public half follows, for `"aud": "vault"`, until the year 2100.
const JWT: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJwaXBlbGluZSIsInN1YiI6ImpvYiIsImF1ZCI6InZhdWx0IiwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMH0.Zers8EV5qfqIaSEgWsmj0PBvnUprNEJVATVvgqWHa8pz7RJmLkyCplrxqURC3cKbpdk_bEnfDTjBsNisgOeQrg";
const JWT_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVgXOTNczKsEbplgztOw0s6f1tFSF\n5ivuOT1sFSWJZQLlClQqmtwP8n4HiVuU5tAs85JF3CNN704+weW8O6s+LA==\n-----END PUBLIC KEY-----";

pub const OWN: &[Own] = &[
    own!(a_secret_id_that_may_be_used_once_is_enough_for_a_run),
    own!(a_login_is_renewed_when_half_of_its_time_is_over),
    own!(pods_and_pipelines_log_in),
    own!(a_login_that_is_refused_says_what_to_look_at),
    own!(a_token_that_an_agent_replaced_is_found_again),
    own!(what_the_user_logged_in_with_is_found),
    own!(without_patch_the_secret_is_written_whole_and_others_stay),
    own!(what_may_not_be_read_is_replaced_by_its_version_alone),
    own!(a_secret_that_was_made_anew_is_not_taken_for_the_one_before),
    own!(secrets_that_demand_a_version_get_one),
    own!(custom_metadata_is_merged),
    own!(a_namespace_is_a_setting_or_the_beginning_of_the_mount),
    own!(standbys_are_waited_for_and_not_followed),
    own!(a_sealed_server_is_an_error),
    own!(a_server_with_a_certificate_of_its_own),
];

/// A location that root, or whoever the variable says, writes to.
fn at(bench: &Bench, name: &str, change: impl Fn(&mut VaultSettings)) -> SinkLocation {
    let mut settings = VaultSettings {
        address: Some(bench.proxy.address().to_string()),
        mount: MOUNT.to_string(),
        path: format!("mail/{name}"),
        field: "api_key".to_string(),
        auth: Some(VaultAuthSettings::Token(Credential::Env(TOKEN.to_string()))),
        ..VaultSettings::default()
    };
    change(&mut settings);
    SinkLocation::new(Name::new("vault").unwrap(), SinkSettings::Vault(settings))
}

/// The sinks of a run whose token this is.
fn sinks_with(bench: &Bench, token: &str) -> Sinks {
    given(bench, &[(TOKEN, token)])
}

/// The sinks of a run that has these variables.
fn given(bench: &Bench, variables: &[(&str, &str)]) -> Sinks {
    let variables = variables.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string()));
    Sinks::new(bench.folder().to_path_buf(), Vec::new()).with_variables(variables.collect())
}

/// How often something was asked for.
fn asked(bench: &Bench, end: &str) -> usize {
    bench.proxy.seen().iter().filter(|request| request.uri.ends_with(end)).count()
}

fn app_role(bench: &Bench, role: &Json, secret: &Json) -> VaultAuthSettings {
    let file = |name: &str, text: &Json| {
        std::fs::write(bench.folder().join(name), format!("{}\n", text.as_str().unwrap())).unwrap();
        Credential::File(name.to_string())
    };
    VaultAuthSettings::AppRole(VaultAppRoleSettings {
        mount: Some("/approle/".to_string()),
        role_id: file("role", &role["data"]["role_id"]),
        secret_id: Some(file("secret", &secret["data"]["secret_id"])),
    })
}

/// A role of these settings.
async fn role(bench: &Bench, name: &str, about: Json) -> VaultAuthSettings {
    let root = Root::of(&*bench.service);
    let path = format!("auth/approle/role/{name}");
    root.asks(Method::POST, &path, about).await;
    let id = root.asks(Method::GET, &format!("{path}/role-id"), Json::Null).await;
    let secret = root.asks(Method::POST, &format!("{path}/secret-id"), json!({})).await;
    app_role(bench, &id, &secret)
}

/// A token with this policy alone.
async fn token(bench: &Bench, policy: &str) -> String {
    let root = Root::of(&*bench.service);
    let name = format!("own-{}-{}", bench.name(), policy.len());
    root.asks(Method::POST, &format!("sys/policies/acl/{name}"), json!({"policy": policy})).await;
    let made = root.asks(Method::POST, "auth/token/create", json!({"policies": [name]})).await;
    made["auth"]["client_token"].as_str().unwrap().to_string()
}

async fn a_secret_id_that_may_be_used_once_is_enough_for_a_run(bench: &Bench) {
    let about = json!({"token_policies": ["gridkey"], "secret_id_num_uses": 1});
    let auth = role(bench, "once", about).await;
    let at = at(bench, "once", |settings| settings.auth = Some(auth.clone()));
    let sinks = bench.sinks();
    // All of a run's calls begin at once.
    let (checked, seen, other) =
        tokio::join!(sinks.check(&at), sinks.observe(&at, None), sinks.observe(&at, None));
    assert_eq!(checked, Ok(Readiness::Proven));
    for seen in [seen, other] {
        assert_eq!(seen, SinkObservation::Holds(SinkContent::Empty));
    }
    let receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    deliver(&sinks, &at, &bench.key(2), Some((&bench.key(1), &receipt))).await;
    assert_eq!(asked(bench, "auth/approle/login"), 1);
    let why = unreadable(bench.sinks().observe(&at, None).await, &at);
    assert!(why.contains("invalid") && why.contains("secret id"), "{why}");
}

async fn a_login_is_renewed_when_half_of_its_time_is_over(bench: &Bench) {
    let auth = role(bench, "short", json!({"token_policies": ["gridkey"], "token_ttl": "4s"})).await;
    let at = at(bench, "short", |settings| settings.auth = Some(auth.clone()));
    let sinks = bench.sinks();
    let mut before = None;
    for number in 1..=4 {
        let key = bench.key(number);
        let receipt = deliver(&sinks, &at, &key, before.as_ref().map(|(key, receipt)| (key, receipt))).await;
        before = Some((key, receipt));
        tokio::time::sleep(Duration::from_millis(2100)).await;
    }
    assert!(asked(bench, "auth/token/renew-self") >= 2);
    assert_eq!(asked(bench, "auth/approle/login"), 1);
}

async fn pods_and_pipelines_log_in(bench: &Bench) {
    let root = Root::of(&*bench.service);
    // A method that takes what a pod's login sends, mounted where a pod's is.
    for mount in ["jwt", "kubernetes"] {
        root.asks(Method::POST, &format!("sys/auth/{mount}"), json!({"type": "jwt"})).await;
        root.asks(
            Method::POST,
            &format!("auth/{mount}/config"),
            json!({"jwt_validation_pubkeys": [JWT_KEY]}),
        )
        .await;
        let role = json!({
            "role_type": "jwt", "bound_audiences": ["vault"], "user_claim": "sub", "token_policies": ["gridkey"]
        });
        root.asks(Method::POST, &format!("auth/{mount}/role/gridkey"), role).await;
    }
    std::fs::write(bench.folder().join("token"), format!("{JWT}\n")).unwrap();
    let pod = VaultKubernetesSettings {
        mount: None,
        role: "gridkey".to_string(),
        token_file: Some("token".to_string()),
    };
    let pipeline = VaultJwtSettings {
        mount: None,
        role: Some("gridkey".to_string()),
        jwt: Credential::Env("ID_TOKEN".to_string()),
    };
    for (name, auth) in
        [("pod", VaultAuthSettings::Kubernetes(pod)), ("pipeline", VaultAuthSettings::Jwt(pipeline))]
    {
        let at = at(bench, name, |settings| settings.auth = Some(auth.clone()));
        let sinks = given(bench, &[("ID_TOKEN", JWT)]);
        assert_eq!(sinks.check(&at).await, Ok(Readiness::Proven));
        deliver(&sinks, &at, &bench.key(1), None).await;
        let error = given(bench, &[("ID_TOKEN", "e30.e30.e30")]).check(&at).await;
        if name == "pipeline" {
            assert_eq!(error.unwrap_err().fault, SinkFault::Unauthenticated);
        }
    }
}

async fn a_login_that_is_refused_says_what_to_look_at(bench: &Bench) {
    let pod = |mount: &str, role: &str| {
        VaultAuthSettings::Kubernetes(VaultKubernetesSettings {
            mount: Some(mount.to_string()),
            role: role.to_string(),
            token_file: Some("token".to_string()),
        })
    };
    let check = async |auth: VaultAuthSettings| {
        let at = at(bench, "refused", |settings| settings.auth = Some(auth.clone()));
        bench.sinks().check(&at).await.unwrap_err()
    };
    let error = check(pod("kubernetes", "gridkey")).await;
    assert!(
        error.fault == SinkFault::Unauthenticated && error.message.contains("cannot be read"),
        "{error:?}"
    );
    std::fs::write(bench.folder().join("token"), JWT).unwrap();
    let error = check(pod("nowhere", "gridkey")).await;
    assert!(error.fault == SinkFault::Unauthenticated && error.message.contains("`nowhere`"), "{error:?}");
    assert!(error.help.unwrap().contains("not mounted"));
    let no_token = at(bench, "refused", |settings| settings.auth = None);
    let error = bench.sinks().check(&no_token).await.unwrap_err();
    assert!(error.fault == SinkFault::Unauthenticated && error.help.unwrap().contains("VAULT_TOKEN"));
    let no_address = at(bench, "refused", |settings| settings.address = None);
    let error = bench.sinks().check(&no_address).await.unwrap_err();
    assert!(error.fault == SinkFault::Invalid && error.help.unwrap().contains("VAULT_ADDR"));
    let plain =
        at(bench, "refused", |settings| settings.address = Some("http://vault.internal:8200".to_string()));
    let error = sinks_with(bench, ROOT).check(&plain).await.unwrap_err();
    assert!(error.message.contains("plain HTTP"), "{error:?}");
    let page = Then::Answer(Reply::page(200));
    bench.proxy.fails(On::Any, 1, page);
    let error = check(pod("kubernetes", "gridkey")).await;
    assert!(error.message.contains("proxy"), "{error:?}");
}

async fn a_token_that_an_agent_replaced_is_found_again(bench: &Bench) {
    let root = Root::of(&*bench.service);
    let make = async || {
        let made = root.asks(Method::POST, "auth/token/create", json!({"policies": ["gridkey"]})).await;
        let token = made["auth"]["client_token"].as_str().unwrap().to_string();
        std::fs::write(bench.folder().join("token"), &token).unwrap();
        token
    };
    let token = make().await;
    let at = at(bench, "agent", |settings| {
        settings.auth = Some(VaultAuthSettings::Token(Credential::File("token".to_string())));
    });
    let sinks = bench.sinks();
    let receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    root.asks(Method::POST, "auth/token/revoke", json!({"token": token})).await;
    let error = refused(put(&sinks, &at, &bench.key(2), Some((&bench.key(1), &receipt))).await);
    assert!(error.help.unwrap().contains("ended"));
    make().await;
    deliver(&sinks, &at, &bench.key(2), Some((&bench.key(1), &receipt))).await;
}

async fn what_the_user_logged_in_with_is_found(bench: &Bench) {
    let at = at(bench, "user", |settings| {
        settings.auth = None;
        settings.address = None;
    });
    let home = bench.folder().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join(".vault-token"), ROOT).unwrap();
    let home = home.to_str().unwrap();
    let address = bench.proxy.address();
    for variables in [
        [("VAULT_ADDR", address), ("VAULT_TOKEN", ROOT)],
        [("BAO_ADDR", address), ("BAO_TOKEN", ROOT)],
        [("VAULT_ADDR", address), ("HOME", home)],
    ] {
        assert_eq!(given(bench, &variables).check(&at).await, Ok(Readiness::Proven), "{variables:?}");
    }
    let error =
        given(bench, &[("VAULT_ADDR", address), ("VAULT_TOKEN", "s.unknown")]).check(&at).await.unwrap_err();
    assert!(
        error.fault == SinkFault::Unauthenticated && error.message.contains("`VAULT_TOKEN`"),
        "{error:?}"
    );
}

async fn without_patch_the_secret_is_written_whole_and_others_stay(bench: &Bench) {
    let token =
        token(bench, r#"path "team/kv/data/mail/+" { capabilities = ["create", "update", "read"] }"#).await;
    let at = at(bench, "whole", |_| ());
    let sinks = sinks_with(bench, &token);
    bench.service.adorn(&at).await;
    let adorned = bench.service.adornments(&at).await;
    assert_eq!(sinks.check(&at).await, Ok(Readiness::Proven));
    let receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    deliver(&sinks, &at, &bench.key(2), Some((&bench.key(1), &receipt))).await;
    assert_eq!(bench.service.adornments(&at).await, adorned);
    sinks.remove(&at).await.unwrap();
    assert_eq!(bench.service.value(&at).await, Value::Nothing);
    assert_eq!(bench.service.adornments(&at).await, adorned);
}

async fn what_may_not_be_read_is_replaced_by_its_version_alone(bench: &Bench) {
    let at = at(bench, "blind", |_| ());
    let sinks = || {
        let variables = bench.service.variables(bench.proxy.address(), Whom::MayNotRead);
        Sinks::new(bench.folder().to_path_buf(), Vec::new()).with_variables(variables)
    };
    let text = |number: u8| Value::Text(bench.key(number).text().to_string());
    assert_eq!(sinks().check(&at).await, Ok(Readiness::Proven));
    assert_eq!(sinks().observe(&at, None).await, SinkObservation::Holds(SinkContent::Empty));
    let receipt = deliver(&sinks(), &at, &bench.key(1), None).await;
    assert_eq!(bench.service.value(&at).await, text(1));
    let again = deliver(&sinks(), &at, &bench.key(1), Some((&bench.key(1), &receipt))).await;
    assert_eq!(again, receipt);
    let receipt = deliver(&sinks(), &at, &bench.key(2), Some((&bench.key(1), &receipt))).await;
    assert_eq!(bench.service.value(&at).await, text(2));
    // A key that is not the one that was expected, by what state knows.
    let known = bench.key(2).known(receipt.clone());
    let expected = bench.key(7).content();
    let error = refused(sinks().put(&at, &bench.key(3).secret(), &expected, known.as_ref()).await);
    assert_eq!(error.fault, SinkFault::Conflict);
    // Without what state knows, and once another program has written, nothing can be told.
    let error = refused(put(&sinks(), &at, &bench.key(3), None).await);
    assert!(error.fault == SinkFault::Forbidden && error.help.unwrap().contains("\"read\""));
    let beside = bench.service.beside(&at).unwrap();
    bench.service.overwrite(&beside, "theirs").await;
    for before in [None, Some((&bench.key(2), &receipt))] {
        assert_eq!(refused(put(&sinks(), &at, &bench.key(3), before).await).fault, SinkFault::Forbidden);
    }
    // What was deleted may be had back.
    bench.service.delete(&at).await;
    assert_eq!(refused(put(&sinks(), &at, &bench.key(3), None).await).fault, SinkFault::Forbidden);
    unreadable(sinks().observe(&at, None).await, &at);
}

/// Its versions count from 1 again.
async fn a_secret_that_was_made_anew_is_not_taken_for_the_one_before(bench: &Bench) {
    let root = Root::of(&*bench.service);
    let at = at(bench, "anew", |_| ());
    let sinks = sinks_with(bench, ROOT);
    let receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    let known = Known { id: bench.key(1).secret().key_id().unwrap(), receipt: receipt.unwrap() };
    let holds = |number| SinkObservation::Holds(bench.key(number).content());
    assert_eq!(sinks.observe(&at, Some(&known)).await, holds(1));
    root.asks(Method::DELETE, &format!("{MOUNT}/metadata/mail/anew"), Json::Null).await;
    bench.service.overwrite(&at, bench.key(2).text()).await;
    assert_eq!(sinks.observe(&at, Some(&known)).await, holds(2));
}

async fn secrets_that_demand_a_version_get_one(bench: &Bench) {
    let root = Root::of(&*bench.service);
    let at = at(bench, "demanding", |_| ());
    root.asks(Method::POST, &format!("{MOUNT}/metadata/mail/demanding"), json!({"cas_required": true})).await;
    let sinks = sinks_with(bench, ROOT);
    let receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    deliver(&sinks, &at, &bench.key(2), Some((&bench.key(1), &receipt))).await;
    sinks.remove(&at).await.unwrap();
    // Root may delete the version that has no field left, and nothing but that one.
    let held = root.asks(Method::GET, &format!("{MOUNT}/metadata/mail/demanding"), Json::Null).await;
    let deleted = |version: &str| held["data"]["versions"][version]["deletion_time"] != "";
    assert_eq!(["1", "2", "3"].map(deleted), [false, false, true]);
    deliver(&sinks, &at, &bench.key(3), None).await;
    assert_eq!(bench.service.value(&at).await, Value::Text(bench.key(3).text().to_string()));
}

async fn custom_metadata_is_merged(bench: &Bench) {
    let root = Root::of(&*bench.service);
    for (name, policy) in [
        ("patches", r#"path "team/kv/metadata/mail/+" { capabilities = ["read", "patch"] }"#),
        ("updates", r#"path "team/kv/metadata/mail/+" { capabilities = ["read", "update"] }"#),
    ] {
        let data = r#"path "team/kv/data/mail/+" { capabilities = ["create", "update", "patch", "read"] }"#;
        let token = token(bench, &format!("{data}\n{policy}")).await;
        let at = at(bench, name, |settings| {
            settings.custom_metadata = BTreeMap::from([("owner".to_string(), "gridkey".to_string())]);
        });
        let path = format!("{MOUNT}/metadata/mail/{name}");
        let about = json!({"max_versions": 7, "custom_metadata": {"owner": "nobody", "ticket": "M-1"}});
        root.asks(Method::POST, &path, about).await;
        let sinks = sinks_with(bench, &token);
        assert_eq!(sinks.check(&at).await, Ok(Readiness::Proven), "{name}");
        deliver(&sinks, &at, &bench.key(1), None).await;
        let held = root.asks(Method::GET, &path, Json::Null).await;
        assert_eq!(held["data"]["custom_metadata"], json!({"owner": "gridkey", "ticket": "M-1"}), "{name}");
        assert_eq!(held["data"]["max_versions"], 7);
        // A token that may not say it is told by the check; the value arrives all the same.
        let blunt = token_without_marks(bench).await;
        let error = sinks_with(bench, &blunt).check(&at).await.unwrap_err();
        assert!(error.help.unwrap().contains("metadata"));
    }
}

async fn token_without_marks(bench: &Bench) -> String {
    token(bench, r#"path "team/kv/data/mail/+" { capabilities = ["create", "update", "patch", "read"] } "#)
        .await
}

async fn a_namespace_is_a_setting_or_the_beginning_of_the_mount(bench: &Bench) {
    let root = Root::of(&*bench.service);
    root.asks(Method::POST, "sys/namespaces/platform", json!({})).await;
    root.asks(Method::POST, "platform/sys/mounts/kv", json!({"type": "kv", "options": {"version": "2"}}))
        .await;
    let set = at(bench, "there", |settings| {
        settings.namespace = Some("/platform/".to_string());
        settings.mount = "kv".to_string();
    });
    let in_front = changed(&set, |settings| {
        settings.namespace = None;
        settings.mount = "platform/kv".to_string();
    });
    assert_eq!(set.id(), in_front.id());
    let sinks = sinks_with(bench, ROOT);
    let receipt = deliver(&sinks, &set, &bench.key(1), None).await;
    let known = bench.key(1).known(receipt.clone());
    for place in [&set, &in_front] {
        for known in [None, known.as_ref()] {
            let seen = sinks_with(bench, ROOT).observe(place, known).await;
            assert_eq!(seen, SinkObservation::Holds(bench.key(1).content()), "{place}");
        }
    }
    deliver(&sinks, &in_front, &bench.key(2), Some((&bench.key(1), &receipt))).await;
}

async fn standbys_are_waited_for_and_not_followed(bench: &Bench) {
    let sinks = sinks_with(bench, ROOT);
    let at = at(bench, "standby", |_| ());
    let receipt = deliver(&sinks, &at, &bench.key(1), None).await;
    // It has not seen yet what the request builds on.
    let behind = Reply::json(412, r#"{"errors": ["required index state not present"]}"#);
    bench.proxy.fails(On::Any, 1, Then::Answer(behind.clone()));
    bench.proxy.fails(On::Write, 1, Then::Answer(behind));
    let receipt = deliver(&sinks, &at, &bench.key(2), Some((&bench.key(1), &receipt))).await;
    assert!(bench.proxy.has_failed());
    // It points elsewhere, and a token does not go there.
    let elsewhere = Reply::json(307, "").with("location", "https://active.internal:8200/v1/x");
    bench.proxy.fails(On::Write, 1, Then::Answer(elsewhere));
    let error = refused(put(&sinks, &at, &bench.key(3), Some((&bench.key(2), &receipt))).await);
    assert!(error.message.contains("active.internal"), "{error:?}");
    // It does not know a login of a moment ago.
    let auth = role(bench, "standby", json!({"token_policies": ["gridkey"], "secret_id_num_uses": 1})).await;
    let at = changed(&at, |settings| settings.auth = Some(auth.clone()));
    let sinks = bench.sinks();
    let unknown = Reply::json(403, r#"{"errors": ["cannot write to readonly storage"]}"#);
    bench.proxy.fails(On::Path("/ui/mounts/"), 2, Then::Answer(unknown));
    assert_eq!(sinks.check(&at).await, Ok(Readiness::Proven));
    assert!(bench.proxy.has_failed());
}

async fn a_sealed_server_is_an_error(bench: &Bench) {
    let at = at(bench, "sealed", |_| ());
    let sinks = sinks_with(bench, ROOT);
    deliver(&sinks, &at, &bench.key(1), None).await;
    let sealed = Reply::json(503, r#"{"errors": ["Vault is sealed"]}"#);
    bench.proxy.fails(On::Any, 1, Then::Answer(sealed.clone()));
    let why = unreadable(sinks.observe(&at, None).await, &at);
    assert!(why.contains("sealed"), "{why}");
    bench.proxy.fails(On::Write, 1, Then::Answer(sealed));
    let before = bench.key(1);
    let error = unclear(put(&sinks, &at, &bench.key(2), Some((&before, &None))).await);
    assert_eq!(error.fault, SinkFault::Unreachable);
}

/// A server of its own, as TLS is nothing that the proxy speaks.
async fn a_server_with_a_certificate_of_its_own(bench: &Bench) {
    let (folder, port) = (bench.folder().to_path_buf(), free_port());
    let program = program("recipes/openbao/bin/bao").unwrap();
    let server = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(program);
        command.args(["server", "-dev", "-dev-tls", "-dev-no-store-token"]);
        command.arg(format!("-dev-root-token-id={ROOT}"));
        command.arg(format!("-dev-tls-cert-dir={}", folder.display()));
        command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
        let server = Server::start(command);
        server.says("Development");
        server
    });
    let _server = server.await.unwrap();
    let authority = std::fs::read_dir(bench.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.ends_with("-ca.pem"))
        .unwrap();
    let at = at(bench, "tls", |settings| {
        settings.address = Some(format!("https://127.0.0.1:{port}"));
        settings.mount = "secret".to_string();
        settings.ca_cert = Some(authority.clone());
    });
    let sinks = sinks_with(bench, ROOT);
    assert_eq!(sinks.check(&at).await, Ok(Readiness::Proven));
    deliver(&sinks, &at, &bench.key(1), None).await;
    let named = |name: &str| changed(&at, |settings| settings.tls_server_name = Some(name.to_string()));
    assert_eq!(sinks.check(&named("localhost")).await, Ok(Readiness::Proven));
    let error = sinks.check(&named("other.internal")).await.unwrap_err();
    assert!(error.fault == SinkFault::Unreachable && error.message.contains("certificate"), "{error:?}");
    let unknown = changed(&at, |settings| settings.ca_cert = None);
    let error = refused(put(&sinks, &unknown, &bench.key(2), None).await);
    assert!(error.fault == SinkFault::Unreachable && error.message.contains("certificate"), "{error:?}");
    let by_variable = given(bench, &[(TOKEN, ROOT), ("VAULT_CACERT", &authority)]);
    assert_eq!(by_variable.check(&unknown).await, Ok(Readiness::Proven));
    let missing = changed(&at, |settings| settings.ca_cert = Some("missing.pem".to_string()));
    let error = sinks.check(&missing).await.unwrap_err();
    assert!(error.fault == SinkFault::Invalid && error.message.contains("missing.pem"), "{error:?}");
}
