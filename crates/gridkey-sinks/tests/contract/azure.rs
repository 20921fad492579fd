//! `azure_key_vault`, against a double that Microsoft's own client has judged.

#[path = "doubles/azure.rs"]
mod double;

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use gridkey_core::credential::Credential;
use gridkey_core::sink::AzureKeyVaultSettings;
use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};
use serde_json::json;

use self::double::{Double, Version};
use crate::claim::Claim;
use crate::proxy::Reply;
use crate::service::{Checked, Conflicts, Listed, Removal, Service, Starting, Traits, Upstream, Value, Whom};

pub const LISTED: Listed = Listed {
    kind: SinkKind::AzureKeyVault,
    server: "a double, judged by azure-keyvault-secrets 4.12.0",
    not_applicable,
    traits: Traits {
        conflicts: Conflicts::Detects,
        is_told_by_receipt: true,
        writes_of_a_repeat: 1,
        check: Checked::Plausible,
        removal: Removal::Gone,
    },
    required: "AZURE",
    start,
};

struct KeyVault {
    double: Double,
    address: String,
}

fn not_applicable(claim: Claim) -> Option<&'static str> {
    if claim == Claim::NowhereIsNotEmpty {
        return Some("a vault is a server of its own, so that one that is not there cannot be reached");
    }
    let is_about_fields = matches!(claim, Claim::Neighbours | Claim::TwoKeysOneContainer);
    is_about_fields.then_some("a secret holds one value and no fields")
}

fn start() -> Starting {
    Box::pin(async {
        let (double, address) = Double::start().await;
        Ok(Box::new(KeyVault { double, address }) as Box<dyn Service>)
    })
}

fn settings(at: &SinkLocation) -> &AzureKeyVaultSettings {
    match &*at.at {
        SinkSettings::AzureKeyVault(settings) => settings,
        other => panic!("{} is no secret of Azure", other.kind()),
    }
}

fn changed(at: &SinkLocation, change: impl Fn(&mut AzureKeyVaultSettings)) -> SinkLocation {
    let mut settings = settings(at).clone();
    change(&mut settings);
    SinkLocation::new(at.sink.clone(), SinkSettings::AzureKeyVault(settings))
}

fn name(at: &SinkLocation) -> &str {
    &settings(at).secret
}

impl KeyVault {
    /// What it does with the versions of a secret, the newest last; nothing where there is none.
    fn versions<T>(&self, at: &SinkLocation, what: impl Fn(&Version) -> T) -> Vec<T> {
        let world = self.double.world();
        let secret = world.secrets.get(&name(at).to_lowercase()).filter(|secret| !secret.is_deleted);
        secret.map(|secret| secret.versions.iter().map(what).collect()).unwrap_or_default()
    }
}

fn text(version: &Version) -> Value {
    match version.enabled {
        true => Value::Text(version.value.clone()),
        false => Value::Nothing,
    }
}

#[async_trait]
impl Service for KeyVault {
    fn upstream(&self) -> Upstream {
        Upstream { address: self.address.clone(), authority: None }
    }

    /// Each location has a client of its own, so that its logins can be ended alone.
    async fn location(&self, proxy: &str, folder: &Path, name: &str, as_whom: Whom) -> SinkLocation {
        let kind = match as_whom {
            Whom::Gridkey => "gridkey",
            Whom::MayNotWrite => "may-not-write",
            Whom::MayNotRead => "may-not-read",
            Whom::Stranger => "stranger",
        };
        let client = format!("{kind}@{name}");
        let secret = match as_whom {
            Whom::Stranger => "of another one".to_string(),
            Whom::Gridkey | Whom::MayNotWrite | Whom::MayNotRead => format!("secret of {client}"),
        };
        std::fs::write(folder.join(&client), secret).unwrap();
        let settings = AzureKeyVaultSettings {
            vault: proxy.to_string(),
            secret: name.to_string(),
            client_id: Some(client.clone()),
            client_secret: Some(Credential::File(client)),
            authority_host: Some(self.address.clone()),
            ..AzureKeyVaultSettings::default()
        };
        SinkLocation::new(Name::new("azure").unwrap(), SinkSettings::AzureKeyVault(settings))
    }

    fn variables(&self, _: &str, _: Whom) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn beside(&self, _: &SinkLocation) -> Option<SinkLocation> {
        None
    }

    fn nowhere(&self, _: &SinkLocation) -> Vec<(SinkLocation, String)> {
        Vec::new()
    }

    fn spellings(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        vec![
            changed(location, |settings| settings.secret = settings.secret.to_uppercase()),
            changed(location, |settings| settings.vault.push('/')),
            changed(location, |settings| settings.vault = settings.vault.replace("http://", "HTTP://")),
        ]
    }

    fn bad_names(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        let secret = |secret: &str| changed(location, |settings| settings.secret = secret.to_string());
        vec![
            secret("mail_key"),
            secret("mail.key"),
            secret("mail/key"),
            secret(""),
            secret(&"x".repeat(128)),
            changed(location, |settings| settings.vault = "acme.vault.azure.net".to_string()),
            changed(location, |settings| {
                settings.tags = (0..15).map(|tag| (tag.to_string(), String::new())).collect();
            }),
        ]
    }

    /// By the version's tag.
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
        let version = world.secret(name(location)).versions.last_mut().unwrap();
        version.content_type = Some("text/plain".to_string());
        version.tags.insert("owner".to_string(), json!("The Mail Team"));
        version.ends = Some(version.created + 864_000);
    }

    async fn adornments(&self, location: &SinkLocation) -> String {
        let said = self.versions(location, |version| {
            let mut tags = version.tags.clone();
            tags.remove("gridkey-key-id");
            // It is reckoned by another clock than that of the service.
            let days = version.ends.map(|ends| (ends - version.created + 43_200) / 86_400);
            format!("{tags:?} {:?} {days:?}", version.content_type)
        });
        said.last().cloned().unwrap_or_default()
    }

    async fn history(&self, location: &SinkLocation) -> String {
        format!("{:?}", self.versions(location, |version| version.id.clone()))
    }

    async fn delete(&self, location: &SinkLocation) {
        self.double.world().secret(name(location)).is_deleted = true;
    }

    async fn expire(&self, location: &SinkLocation) {
        let mut world = self.double.world();
        let version = world.secret(name(location)).versions.last_mut().unwrap();
        version.ends = Some(version.created + 86_400);
    }

    async fn end_login(&self, location: &SinkLocation) {
        self.double.end_logins(settings(location).client_id.as_deref().unwrap());
    }

    fn throttles(&self) -> Vec<Reply> {
        vec![throttle(), throttle().with("retry-after", "1")]
    }

    fn throttles_for_long(&self) -> Reply {
        throttle().with("retry-after", "3600")
    }
}

fn throttle() -> Reply {
    let message = "Request was not processed because too many requests were received.";
    Reply::json(429, &json!({ "error": { "code": "Throttled", "message": message } }).to_string())
}
