//! `gcp_secret_manager`, against a double that Google's own client has judged.

#[path = "doubles/gcp.rs"]
mod double;

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use gridkey_core::sink::GcpSecretManagerSettings;
use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};
use serde_json::json;
use tempfile::TempDir;

use self::double::{Double, PROJECT, Version};
use crate::claim::Claim;
use crate::proxy::Reply;
use crate::service::{Checked, Conflicts, Listed, Removal, Service, Starting, Traits, Upstream, Value, Whom};

pub const LISTED: Listed = Listed {
    kind: SinkKind::GcpSecretManager,
    server: "a double, judged by google-cloud-secret-manager 2.32.0",
    not_applicable,
    traits: Traits {
        conflicts: Conflicts::Detects,
        is_told_by_receipt: true,
        writes_of_a_repeat: 1,
        check: Checked::Plausible,
        removal: Removal::Gone,
    },
    required: "GCP",
    start,
};

struct SecretManager {
    double: Double,
    address: String,
    /// Files of credentials, one for each account.
    folder: TempDir,
}

fn not_applicable(claim: Claim) -> Option<&'static str> {
    let is_about_fields = matches!(claim, Claim::Neighbours | Claim::TwoKeysOneContainer);
    is_about_fields.then_some("a secret holds one value and no fields")
}

fn start() -> Starting {
    Box::pin(async {
        if !cfg!(feature = "gcp") {
            return Err("this build of gridkey has no `gcp_secret_manager` sink".to_string());
        }
        let (double, address) = Double::start().await;
        let folder = tempfile::tempdir().unwrap();
        Ok(Box::new(SecretManager { double, address, folder }) as Box<dyn Service>)
    })
}

fn settings(at: &SinkLocation) -> &GcpSecretManagerSettings {
    match &*at.at {
        SinkSettings::GcpSecretManager(settings) => settings,
        other => panic!("{} is no secret of Google Cloud", other.kind()),
    }
}

fn changed(at: &SinkLocation, change: impl Fn(&mut GcpSecretManagerSettings)) -> SinkLocation {
    let mut settings = settings(at).clone();
    change(&mut settings);
    SinkLocation::new(at.sink.clone(), SinkSettings::GcpSecretManager(settings))
}

fn name(at: &SinkLocation) -> &str {
    &settings(at).secret
}

/// Each proxy is the way of an account of its own, so that its logins can be ended alone.
fn account(proxy: &str, as_whom: Whom) -> String {
    let kind = match as_whom {
        Whom::Gridkey => "gridkey",
        Whom::MayNotWrite => "may-not-write",
        Whom::MayNotRead => "may-not-read",
        Whom::Stranger => "stranger",
    };
    format!("{kind}@{}", proxy.rsplit(':').next().unwrap_or_default().trim_end_matches('/'))
}

impl SecretManager {
    /// What it does with the versions of a secret; nothing where there is none.
    fn versions<T>(&self, at: &SinkLocation, what: impl Fn(&Version) -> T) -> Vec<T> {
        let world = self.double.world();
        let secret = world.secrets.get(&format!("-/{}", name(at)));
        secret.map(|secret| secret.versions.iter().map(what).collect()).unwrap_or_default()
    }
}

fn text(version: &Version) -> Value {
    match std::str::from_utf8(&version.data) {
        _ if version.state != "ENABLED" => Value::Nothing,
        Ok(text) => Value::Text(text.to_string()),
        Err(_) => Value::Other,
    }
}

#[async_trait]
impl Service for SecretManager {
    fn upstream(&self) -> Upstream {
        Upstream { address: self.address.clone(), authority: None }
    }

    async fn location(&self, proxy: &str, _: &Path, name: &str, _: Whom) -> SinkLocation {
        let settings = GcpSecretManagerSettings {
            project: PROJECT.to_string(),
            secret: name.to_string(),
            endpoint: Some(proxy.to_string()),
            ..GcpSecretManagerSettings::default()
        };
        SinkLocation::new(Name::new("google").unwrap(), SinkSettings::GcpSecretManager(settings))
    }

    fn variables(&self, proxy: &str, as_whom: Whom) -> BTreeMap<String, String> {
        let account = account(proxy, as_whom);
        let path = self.folder.path().join(&account);
        let file = json!({
            "type": "authorized_user", "client_id": "client", "client_secret": "of the client", "refresh_token": account,
            "token_uri": format!("{}/token", self.address),
        });
        std::fs::write(&path, file.to_string()).unwrap();
        BTreeMap::from([("GOOGLE_APPLICATION_CREDENTIALS".to_string(), path.display().to_string())])
    }

    fn beside(&self, _: &SinkLocation) -> Option<SinkLocation> {
        None
    }

    fn nowhere(&self, location: &SinkLocation) -> Vec<(SinkLocation, String)> {
        let project = changed(location, |settings| settings.project = "nowhere".to_string());
        vec![(project, "nowhere".to_string())]
    }

    fn spellings(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        vec![
            changed(location, |settings| settings.endpoint = settings.endpoint.take().map(|at| at + "/")),
            changed(location, |settings| settings.create = Some(true)),
        ]
    }

    fn bad_names(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        let project = |project: &str| changed(location, |settings| settings.project = project.to_string());
        let secret = |secret: &str| changed(location, |settings| settings.secret = secret.to_string());
        vec![
            project(""),
            project("acme mail"),
            // The number of a project is another spelling, which would be another place.
            project("1075"),
            secret("mail.key"),
            secret("mail/key"),
            secret(&"x".repeat(256)),
            changed(location, |settings| {
                settings.labels = BTreeMap::from([("Team".to_string(), String::new())]);
            }),
        ]
    }

    /// By the version's annotation.
    fn names_its_keys(&self) -> bool {
        true
    }

    async fn value(&self, location: &SinkLocation) -> Value {
        self.versions(location, text).pop().unwrap_or(Value::Nothing)
    }

    async fn older(&self, location: &SinkLocation) -> Vec<String> {
        let mut values = self.versions(location, text);
        values.pop();
        let texts = values.into_iter().rev().filter_map(|value| match value {
            Value::Text(text) => Some(text),
            Value::Nothing | Value::Other => None,
        });
        texts.collect()
    }

    async fn overwrite(&self, location: &SinkLocation, text: &str) {
        self.double.world().overwrite(name(location), text);
    }

    async fn adorn(&self, location: &SinkLocation) {
        let mut world = self.double.world();
        let secret = world.secret(name(location));
        secret.labels = json!({ "team": "mail" });
        secret.annotations.insert("owner".to_string(), json!("The Mail Team"));
    }

    async fn adornments(&self, location: &SinkLocation) -> String {
        let mut world = self.double.world();
        let secret = world.secret(name(location));
        let mut annotations = secret.annotations.clone();
        annotations.retain(|name, _| !name.starts_with("gridkey-"));
        format!("{} {} {:?}", secret.labels, secret.replication, annotations)
    }

    async fn history(&self, location: &SinkLocation) -> String {
        format!("{:?}", self.versions(location, |version| version.created.clone()))
    }

    async fn delete(&self, location: &SinkLocation) {
        self.double.world().secrets.remove(&format!("-/{}", name(location)));
    }

    async fn expire(&self, location: &SinkLocation) {
        let ends = Some("2027-01-01T00:00:00Z".to_string());
        self.double.world().secret(name(location)).expires = ends;
    }

    async fn end_login(&self, location: &SinkLocation) {
        let endpoint = settings(location).endpoint.as_deref().unwrap();
        self.double.end_logins(&account(endpoint, Whom::Gridkey));
    }

    fn throttles(&self) -> Vec<Reply> {
        vec![throttle(), throttle().with("retry-after", "1")]
    }

    fn throttles_for_long(&self) -> Reply {
        throttle().with("retry-after", "3600")
    }
}

fn throttle() -> Reply {
    let error = json!({ "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded for quota metric 'Write requests'." });
    Reply::json(429, &json!({ "error": error }).to_string())
}
