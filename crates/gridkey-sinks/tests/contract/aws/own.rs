//! What is special about AWS, and no claim of all sinks.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use gridkey_core::inventory::{SinkCaveat, SinkContent, SinkObservation};
use gridkey_core::sink::{AwsSecretsManagerSettings, AwsSsmSettings};
use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};
use gridkey_engine::ports::{PutError, SinkFault, SinkReader, SinkWriter};
use gridkey_sinks::Sinks;
use libtest_mimic::Trial;
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use super::secrets::{LISTED as SECRETS, Secrets};
use super::{Boto, Cloud, REGION};
use crate::bench::{Bench, deliver, look, put, refused, unclear};
use crate::proxy::{On, Then};
use crate::server::{Server, program};
use crate::service::Value;

/// Tests by name; they do nothing where this machine has no moto, as the claims then say.
pub fn trials(runtime: &Arc<Runtime>) -> Vec<Trial> {
    let run = |name: &str, test: Test| {
        let runtime = runtime.clone();
        Trial::test(format!("aws::{name}"), move || {
            runtime.block_on(async {
                if let Ok(cloud) = Cloud::get().await {
                    test(cloud).await;
                }
            });
            Ok(())
        })
    };
    vec![
        run("a_version_is_made_once", |cloud| Box::pin(a_version_is_made_once(cloud))),
        run("bytes_stay_bytes", |cloud| Box::pin(bytes_stay_bytes(cloud))),
        run("what_gridkey_did_not_make_is_not_deleted", |cloud| {
            Box::pin(what_gridkey_did_not_make_is_not_deleted(cloud))
        }),
        run("a_plain_parameter_is_refused", |cloud| Box::pin(a_plain_parameter_is_refused(cloud))),
        run("a_rotated_secret_is_told", |cloud| Box::pin(a_rotated_secret_is_told(cloud))),
        run("requests_are_signed", |_| Box::pin(requests_are_signed())),
        run("a_profile_runs_no_program", |_| Box::pin(a_profile_runs_no_program())),
    ]
}

type Test = fn(Arc<Cloud>) -> std::pin::Pin<Box<dyn Future<Output = ()>>>;

async fn bench(cloud: &Arc<Cloud>, name: &str) -> Bench {
    Bench::new(Arc::new(Secrets { cloud: cloud.clone(), counts: "PutSecretValue" }), SECRETS.traits, name)
        .await
}

/// Where the answer to a new version is lost, the next put makes no second one.
async fn a_version_is_made_once(cloud: Arc<Cloud>) {
    let bench = bench(&cloud, "made once").await;
    let at = bench.at("one").await;
    let (old, new) = (bench.key(1), bench.key(2));
    let receipt = deliver(&bench.sinks(), &at, &old, None).await;
    for fault in [Then::Lose, Then::CutAnswer] {
        bench.proxy.fails(On::Write, 1, fault);
        unclear(put(&bench.sinks(), &at, &new, Some((&old, &receipt))).await);
        assert!(bench.proxy.has_failed());
        assert_eq!(
            bench.service.value(&at).await,
            Value::Text(old.text().to_string()),
            "nothing reads it yet"
        );
    }
    deliver(&bench.sinks(), &at, &new, Some((&old, &receipt))).await;
    assert_eq!(bench.service.value(&at).await, Value::Text(new.text().to_string()));
    let described = cloud.ask("secretsmanager", "describe_secret", json!({"SecretId": name(&at)})).await;
    let versions = described["VersionIdsToStages"].as_object().unwrap();
    assert_eq!(versions.len(), 2, "{versions:?}");
    assert_eq!(labels(versions, "AWSCURRENT"), labels(versions, "gridkey-written"));
    assert_eq!(labels(versions, "AWSPREVIOUS"), labels(versions, "gridkey-retiring"));
    assert!(versions.keys().all(|version| version.len() <= 64 && !version.contains("SG.")));
}

fn labels<'v>(versions: &'v serde_json::Map<String, Json>, label: &str) -> Vec<&'v String> {
    let has = |labels: &Json| labels.as_array().unwrap().contains(&json!(label));
    versions.iter().filter(|(_, labels)| has(labels)).map(|(version, _)| version).collect()
}

fn name(at: &SinkLocation) -> &str {
    match &*at.at {
        SinkSettings::AwsSecretsManager(settings) => &settings.secret,
        SinkSettings::AwsSsm(settings) => &settings.parameter,
        other => panic!("{} is not of AWS", other.kind()),
    }
}

async fn bytes_stay_bytes(cloud: Arc<Cloud>) {
    let bench = bench(&cloud, "bytes").await;
    let at = bench.at("one").await;
    let (theirs, one, two) = (bench.key(1), bench.key(2), bench.key(3));
    let made = json!({"Name": name(&at), "SecretBinary": theirs.text()});
    cloud.ask("secretsmanager", "create_secret", made).await;
    assert_eq!(look(&bench, &at).await, SinkObservation::Holds(theirs.content()));
    let receipt = deliver(&bench.sinks(), &at, &one, Some((&theirs, &None))).await;
    // The second time, the value is not read before.
    deliver(&bench.sinks(), &at, &two, Some((&one, &receipt))).await;
    deliver(&bench.sinks(), &at, &two, Some((&one, &receipt))).await;
    let asked = json!({"SecretId": name(&at), "VersionStage": "AWSCURRENT"});
    let held = cloud.ask("secretsmanager", "get_secret_value", asked).await;
    assert_eq!((&held["SecretBinary"], &held["SecretString"]), (&json!(two.text()), &Json::Null));
    assert_eq!(look(&bench, &at).await, SinkObservation::Holds(two.content()));
}

async fn what_gridkey_did_not_make_is_not_deleted(cloud: Arc<Cloud>) {
    let bench = bench(&cloud, "not ours").await;
    let at = bench.at("one").await;
    let (theirs, key) = (bench.key(1), bench.key(2));
    bench.service.overwrite(&at, theirs.text()).await;
    let receipt = deliver(&bench.sinks(), &at, &key, Some((&theirs, &None))).await;
    let error = bench.sinks().remove(&at).await.expect_err("it is not gridkey's");
    assert_eq!(error.fault, SinkFault::Unsupported);
    assert!(error.help.is_some_and(|help| help.contains("delete-secret")));
    // Once its owner deleted it, gridkey neither takes it for empty nor brings it back.
    bench.service.delete(&at).await;
    let why = crate::bench::unreadable(look(&bench, &at).await, &at);
    assert!(why.contains("restore-secret") && why.contains("force-delete-without-recovery"), "{why}");
    let error = refused(put(&bench.sinks(), &at, &bench.key(3), Some((&key, &receipt))).await);
    assert_eq!(error.fault, SinkFault::Remembered);
    assert_eq!(bench.service.value(&at).await, Value::Nothing);
}

async fn a_rotated_secret_is_told(cloud: Arc<Cloud>) {
    let bench = bench(&cloud, "rotated").await;
    let at = bench.at("one").await;
    deliver(&bench.sinks(), &at, &bench.key(1), None).await;
    assert_eq!(bench.sinks().caveats(&at).await, Vec::new());
    let rotation = json!({"SecretId": name(&at), "RotationRules": {"AutomaticallyAfterDays": 30}});
    cloud.ask("secretsmanager", "rotate_secret", rotation).await;
    let caveats = bench.sinks().caveats(&at).await;
    assert!(
        matches!(&caveats[..], [SinkCaveat::NotWritable(why)] if why.contains("rotates it")),
        "{caveats:?}"
    );
}

async fn a_plain_parameter_is_refused(cloud: Arc<Cloud>) {
    let bench = bench(&cloud, "plain").await;
    let settings = AwsSsmSettings {
        region: REGION.to_string(),
        parameter: "/mail/plain".to_string(),
        endpoint_url: Some(bench.proxy.address().to_string()),
        ..AwsSsmSettings::default()
    };
    let at = SinkLocation::new(Name::new("plain").unwrap(), SinkSettings::AwsSsm(settings));
    let theirs = bench.key(1);
    let made = json!({"Name": "/mail/plain", "Value": theirs.text(), "Type": "String"});
    cloud.ask("ssm", "put_parameter", made).await;
    let error = refused(put(&bench.sinks(), &at, &bench.key(2), Some((&theirs, &None))).await);
    assert!(error.fault == SinkFault::Invalid && error.message.contains("not encrypted"), "{error:?}");
    assert_eq!(bench.sinks().check(&at).await.expect_err("it is plain").fault, SinkFault::Invalid);
    assert!(matches!(&bench.sinks().caveats(&at).await[..], [SinkCaveat::NotWritable(_)]));
    // A document that does not fit is refused by AWS, and so surely not written.
    let long = json!({"Name": "/mail/long", "Value": format!("{{\"a\": \"{}\"}}", "x".repeat(4050)), "Type": "SecureString"});
    cloud.ask("ssm", "put_parameter", long).await;
    let mut settings = AwsSsmSettings { parameter: "/mail/long".to_string(), ..AwsSsmSettings::default() };
    settings.region = REGION.to_string();
    settings.field = Some("key".to_string());
    settings.endpoint_url = Some(bench.proxy.address().to_string());
    let at = SinkLocation::new(Name::new("long").unwrap(), SinkSettings::AwsSsm(settings));
    let error = refused(put(&bench.sinks(), &at, &bench.key(2), None).await);
    assert!(error.fault == SinkFault::Invalid && error.message.contains("4096"), "{error:?}");
}

/// moto itself, which knows who may do what, and takes no request whose signature is wrong.
async fn requests_are_signed() {
    // What comes before: a user, its key and its policy.
    const UNSIGNED: usize = 3;
    let (Ok(moto), Ok(python)) = (program("recipes/aws/bin/moto_server"), program("recipes/aws/bin/python"))
    else {
        return;
    };
    let mut command = Command::new(moto);
    command.args(["--host", "127.0.0.1", "--port", "0"]);
    command.env("INITIAL_NO_AUTH_ACTION_COUNT", UNSIGNED.to_string());
    let server = tokio::task::spawn_blocking(move || Server::start(command)).await.unwrap();
    let line = server.says("Running on http://127.0.0.1");
    let address = line.split_whitespace().last().unwrap();
    let mut boto = Boto::start(&python, address);
    let mut iam = |action: &str, arguments: Json| boto.says(&json!(["iam", action, arguments]).to_string());
    iam("create_user", json!({"UserName": "gridkey"}));
    let actions = json!(["secretsmanager:*", "ssm:*", "sts:GetCallerIdentity"]);
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]});
    iam(
        "put_user_policy",
        json!({"UserName": "gridkey", "PolicyName": "all", "PolicyDocument": policy.to_string()}),
    );
    let made = iam("create_access_key", json!({"UserName": "gridkey"}));
    let made = &made["answer"]["AccessKey"];
    let secret = AwsSecretsManagerSettings {
        region: REGION.to_string(),
        secret: "signed".to_string(),
        allowed_account_ids: vec![super::front::ACCOUNT.to_string()],
        endpoint_url: Some(address.to_string()),
        ..AwsSecretsManagerSettings::default()
    };
    let parameter = AwsSsmSettings {
        region: REGION.to_string(),
        parameter: "/signed".to_string(),
        endpoint_url: Some(address.to_string()),
        ..AwsSsmSettings::default()
    };
    let key = format!("SG.{}.{}", "a".repeat(22), "b".repeat(43));
    for settings in [SinkSettings::AwsSecretsManager(secret), SinkSettings::AwsSsm(parameter)] {
        let at = SinkLocation::new(Name::new("signed").unwrap(), settings);
        let sinks = |secret: &str| {
            let variables = [
                ("AWS_ACCESS_KEY_ID", made["AccessKeyId"].as_str().unwrap()),
                ("AWS_SECRET_ACCESS_KEY", secret),
                ("AWS_ENDPOINT_URL_STS", address),
            ];
            let variables = variables.map(|(name, value)| (name.to_string(), value.to_string()));
            Sinks::new(std::env::temp_dir(), Vec::new()).with_variables(variables.into())
        };
        let wrong = sinks("of another one").put(&at, &key.clone().into(), &SinkContent::Empty, None).await;
        let Err(PutError::Refused(error)) = wrong else { panic!("{wrong:?}") };
        // For parameters, moto says it in a form that is not the service's.
        let is_told = at.at.kind() == SinkKind::AwsSecretsManager;
        assert!(!is_told || error.fault == SinkFault::Unauthenticated, "{error:?}");
        let good = sinks(made["SecretAccessKey"].as_str().unwrap());
        good.put(&at, &key.clone().into(), &SinkContent::Empty, None).await.unwrap();
        let seen = good.observe(&at, None).await;
        assert!(matches!(seen, SinkObservation::Holds(SinkContent::Key(_))), "{seen:?}");
    }
}

async fn a_profile_runs_no_program() {
    let folder = tempfile::tempdir().unwrap();
    let ran = folder.path().join("ran");
    let config = folder.path().join("config");
    let text = format!("[profile vaulted]\ncredential_process = touch {}\n", ran.display());
    std::fs::write(&config, text).unwrap();
    let settings = |profile: Option<&str>| AwsSsmSettings {
        region: REGION.to_string(),
        parameter: "/mail/key".to_string(),
        profile: profile.map(str::to_string),
        endpoint_url: Some("http://127.0.0.1:9".to_string()),
        ..AwsSsmSettings::default()
    };
    for (profile, variable) in [(Some("vaulted"), ""), (None, "vaulted"), (Some("nobodys"), "")] {
        let at = SinkLocation::new(Name::new("ssm").unwrap(), SinkSettings::AwsSsm(settings(profile)));
        let mut variables = BTreeMap::from([("AWS_CONFIG_FILE".to_string(), config.display().to_string())]);
        variables.insert("AWS_PROFILE".to_string(), variable.to_string());
        let sinks = Sinks::new(folder.path().to_path_buf(), Vec::new()).with_variables(variables);
        let error = sinks.check(&at).await.expect_err("there are no credentials");
        assert_eq!(error.fault, SinkFault::Unauthenticated, "{error:?}");
        let told = if profile == Some("nobodys") { "nobodys" } else { "`credential_process`" };
        assert!(error.message.contains(told) && error.help.is_some(), "{error:?}");
        assert!(!ran.exists(), "the program was run");
    }
}
