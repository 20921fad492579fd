//! One sink of several is not ready, and a run finds that out before it makes a key.

use std::sync::Arc;

use gridkey_core::SinkKind;

use crate::Services;
use crate::place::{Place, name_of};
use crate::service::{Value, Whom};

/// What another kind than the one that is not ready is: any of them must be left alone.
fn kinds(kind: SinkKind) -> Vec<SinkKind> {
    let mut kinds = vec![SinkKind::Dotenv, SinkKind::Vault, SinkKind::GitlabCi];
    kinds.retain(|other| *other != kind);
    kinds.push(kind);
    kinds
}

/// A namespace, a mount, a project or an account that is not there.
pub async fn by_a_container(services: Arc<Services>, kind: SinkKind) {
    let mut place = Place::new(&services, &name_of("blocked", kind), &kinds(kind)).await;
    let last = place.targets.last().unwrap();
    if last.kind() != kind {
        return;
    }
    let (service, good) = (last.service().unwrap().clone(), last.at.clone());
    let nowhere_is_seen = good.at.is_readable();
    for (nowhere, word) in service.nowhere(&good) {
        place.targets.last_mut().unwrap().at = nowhere;
        place.wants_mailer();
        // What cannot be looked into is told by the plan, and what can only be written is asked before the key is made.
        let code = if nowhere_is_seen { 3 } else { 1 };
        place.run(&["apply", "--yes"]).ends(code).says(&word).says(good.sink.as_str());
        nothing_happened(&place).await;
    }
    // It was no other fault that kept the key from being made.
    place.targets.last_mut().unwrap().at = good;
    place.wants_mailer();
    place.run(&["apply", "--yes"]).ends(0);
    place.held_everywhere().await;
}

/// A credential that may look and not write. Where nothing tells that beforehand, the key waits for one that may.
pub async fn by_a_credential(services: Arc<Services>, kind: SinkKind) {
    let mut place = Place::new(&services, &name_of("refused", kind), &kinds(kind)).await;
    if place.targets.last().unwrap().kind() != kind {
        return;
    }
    place.is(Whom::MayNotWrite).await;
    let said = place.run(&["apply", "--yes"]);
    said.says(missing(kind));
    match told_by(kind) {
        ToldBy::Plan => said.ends(3),
        ToldBy::Check => said.ends(1).says("no key was made"),
        ToldBy::Write => said.ends(4).says("seems ready, which the first write will prove"),
    };
    match told_by(kind) {
        ToldBy::Plan | ToldBy::Check => nothing_happened(&place).await,
        ToldBy::Write => assert_eq!((place.made().len(), place.pending()), (1, 1)),
    }
    place.is(Whom::Gridkey).await;
    place.run(&["apply", "--yes"]).ends(0);
    place.held_everywhere().await;
    assert_eq!(place.made().len(), 1, "the key that waited is the one that was delivered");
    place.is_settled();
}

/// What tells that a permission is missing which only a write needs.
enum ToldBy {
    Plan,
    Check,
    /// Nothing but the write itself, as where a secret has to be made.
    Write,
}

fn told_by(kind: SinkKind) -> ToldBy {
    match kind {
        // They are asked for a dry run, and cannot be read without the right to write.
        SinkKind::Kubernetes | SinkKind::Sops => ToldBy::Plan,
        SinkKind::AwsSecretsManager
        | SinkKind::AwsSsm
        | SinkKind::AzureKeyVault
        | SinkKind::GcpSecretManager => ToldBy::Write,
        SinkKind::Vault
        | SinkKind::GithubActions
        | SinkKind::GitlabCi
        | SinkKind::Dotenv
        | SinkKind::Json
        | SinkKind::Yaml
        | SinkKind::Age
        | SinkKind::Command => ToldBy::Check,
    }
}

/// A word of the permission that is missing, as the service calls it.
fn missing(kind: SinkKind) -> &'static str {
    match kind {
        SinkKind::Vault => "update",
        SinkKind::Kubernetes => "patch",
        SinkKind::AwsSecretsManager => "secretsmanager:",
        SinkKind::AwsSsm => "ssm:PutParameter",
        SinkKind::GcpSecretManager => "secretmanager.",
        SinkKind::AzureKeyVault => "secrets/set",
        SinkKind::GithubActions => "secrets",
        SinkKind::GitlabCi => "api",
        SinkKind::Sops => "decrypt",
        SinkKind::Dotenv | SinkKind::Json | SinkKind::Yaml | SinkKind::Age | SinkKind::Command => {
            unreachable!("{kind} asks for no permission")
        }
    }
}

/// No key was made, and no sink holds one.
async fn nothing_happened(place: &Place) {
    assert_eq!(place.made(), [], "no key is made");
    for target in &place.targets {
        // A location in a container that is not there is nothing to look at.
        if target.kind() != place.targets.last().unwrap().kind() {
            assert_eq!(target.value().await, Value::Nothing, "{}", target.kind());
        }
    }
}
