//! AWS Secrets Manager.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use gridkey_core::sink::AwsSecretsManagerSettings;
use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};
use serde_json::{Value as Json, json};

use super::front::ACCOUNT;
use super::{BESIDE, Cloud, FIELD, MOTO, OTHER_ACCOUNT, REGION, action, has_field, is_look, role};
use crate::claim::Claim;
use crate::proxy::{Reply, Seen};
use crate::service::{Checked, Conflicts, Listed, Removal, Service, Starting, Traits, Upstream, Value, Whom};

pub const LISTED: Listed = Listed {
    kind: SinkKind::AwsSecretsManager,
    server: MOTO,
    not_applicable,
    traits: Traits {
        conflicts: Conflicts::Refuses,
        is_told_by_receipt: true,
        writes_of_a_repeat: 1,
        check: Checked::Proven,
        removal: Removal::Gone,
    },
    required: "AWS",
    start,
};

pub struct Secrets {
    pub cloud: Arc<Cloud>,
    /// The request that is a write, besides the making of a secret.
    pub counts: &'static str,
}

fn not_applicable(claim: Claim) -> Option<&'static str> {
    match claim {
        Claim::DiesByItself => Some("a secret has no end of its own; a person schedules its deletion"),
        _ => None,
    }
}

fn start() -> Starting {
    Box::pin(async {
        let secrets = Secrets { cloud: Cloud::get().await?, counts: "UpdateSecretVersionStage" };
        Ok(Box::new(secrets) as Box<dyn Service>)
    })
}

fn settings(at: &SinkLocation) -> &AwsSecretsManagerSettings {
    match &*at.at {
        SinkSettings::AwsSecretsManager(settings) => settings,
        other => panic!("{} is no secret of AWS", other.kind()),
    }
}

fn changed(at: &SinkLocation, change: impl Fn(&mut AwsSecretsManagerSettings)) -> SinkLocation {
    let mut settings = settings(at).clone();
    change(&mut settings);
    SinkLocation::new(at.sink.clone(), SinkSettings::AwsSecretsManager(settings))
}

/// Its name, without what comes before it in an ARN.
fn id(at: &SinkLocation) -> &str {
    let secret = &settings(at).secret;
    secret.split_once(":secret:").map_or(secret, |(_, name)| name)
}

impl Secrets {
    async fn try_ask(&self, action: &str, arguments: Json) -> Result<Json, String> {
        self.cloud.try_ask("secretsmanager", action, arguments).await
    }

    async fn ask(&self, action: &str, arguments: Json) -> Json {
        self.cloud.ask("secretsmanager", action, arguments).await
    }

    /// The text of the version that has a label.
    async fn text(&self, at: &SinkLocation, label: &str) -> Option<String> {
        let asked = json!({"SecretId": id(at), "VersionStage": label});
        let answer = self.try_ask("get_secret_value", asked).await.ok()?;
        Some(answer["SecretString"].as_str().unwrap().to_string())
    }

    async fn describe(&self, at: &SinkLocation) -> Json {
        self.try_ask("describe_secret", json!({"SecretId": id(at)})).await.unwrap_or_default()
    }

    /// Puts a value as a person does, and makes the secret where it is missing.
    async fn put(&self, at: &SinkLocation, text: &str) {
        if self.try_ask("put_secret_value", json!({"SecretId": id(at), "SecretString": text})).await.is_err()
        {
            self.ask("create_secret", json!({"Name": id(at), "SecretString": text})).await;
        }
    }
}

/// What a location holds in a text.
fn part(at: &SinkLocation, text: &str) -> Value {
    let Some(field) = &settings(at).field else { return Value::Text(text.to_string()) };
    match serde_json::from_str::<Json>(text).unwrap().get(field) {
        None | Some(Json::Null) => Value::Nothing,
        Some(Json::String(text)) => Value::Text(text.clone()),
        Some(_) => Value::Other,
    }
}

/// A text with what a location holds replaced.
fn with_part(at: &SinkLocation, text: Option<String>, value: &Json) -> String {
    let Some(field) = &settings(at).field else { return value.as_str().unwrap().to_string() };
    let mut document: Json = text.map_or(json!({}), |text| serde_json::from_str(&text).unwrap());
    document[field] = value.clone();
    document.to_string()
}

#[async_trait]
impl Service for Secrets {
    fn upstream(&self) -> Upstream {
        Upstream { address: self.cloud.front.address.clone(), authority: None }
    }

    async fn location(&self, proxy: &str, _: &Path, name: &str, as_whom: Whom) -> SinkLocation {
        let settings = AwsSecretsManagerSettings {
            region: REGION.to_string(),
            secret: format!("mail/{name}.key"),
            field: has_field(name).then(|| FIELD.to_string()),
            assume_role: role(name, as_whom),
            allowed_account_ids: vec![ACCOUNT.to_string()],
            endpoint_url: Some(proxy.to_string()),
            ..AwsSecretsManagerSettings::default()
        };
        SinkLocation::new(Name::new("secrets").unwrap(), SinkSettings::AwsSecretsManager(settings))
    }

    fn variables(&self, proxy: &str, as_whom: Whom) -> BTreeMap<String, String> {
        super::variables(proxy, as_whom)
    }

    fn beside(&self, location: &SinkLocation) -> Option<SinkLocation> {
        let has_field = settings(location).field.is_some();
        has_field.then(|| changed(location, |settings| settings.field = Some(BESIDE.to_string())))
    }

    fn nowhere(&self, location: &SinkLocation) -> Vec<(SinkLocation, String)> {
        let account =
            changed(location, |settings| settings.allowed_account_ids = vec![OTHER_ACCOUNT.to_string()]);
        let not_made = changed(location, |settings| settings.create = Some(false));
        let arn = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:nobodys");
        let by_arn = changed(location, |settings| settings.secret = arn.clone());
        let role = changed(location, |settings| {
            settings.assume_role.as_mut().unwrap().role_arn = format!("arn:aws:iam::{ACCOUNT}:role/nobodys");
        });
        vec![
            (account, OTHER_ACCOUNT.to_string()),
            (not_made, id(location).to_string()),
            (by_arn, "nobodys".to_string()),
            (role, "role/nobodys".to_string()),
        ]
    }

    fn spellings(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        let arn = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{}", id(location));
        vec![changed(location, |settings| settings.secret = arn.clone())]
    }

    async fn value(&self, location: &SinkLocation) -> Value {
        match self.text(location, "AWSCURRENT").await {
            Some(text) => part(location, &text),
            None => Value::Nothing,
        }
    }

    async fn older(&self, location: &SinkLocation) -> Vec<String> {
        let retiring = match &settings(location).field {
            Some(field) => format!("gridkey-retiring-{field}"),
            None => "gridkey-retiring".to_string(),
        };
        let mut older: Vec<String> = Vec::new();
        for label in ["AWSPREVIOUS", &retiring] {
            let text = self.text(location, label).await.map(|text| part(location, &text));
            if let Some(Value::Text(text)) = text
                && !older.contains(&text)
            {
                older.push(text);
            }
        }
        older
    }

    async fn overwrite(&self, location: &SinkLocation, text: &str) {
        let now = self.text(location, "AWSCURRENT").await;
        self.put(location, &with_part(location, now, &json!(text))).await;
    }

    async fn adorn(&self, location: &SinkLocation) {
        if settings(location).field.is_some() {
            let note = changed(location, |settings| settings.field = Some("note".to_string()));
            let now = self.text(location, "AWSCURRENT").await;
            let note = with_part(
                &note,
                now,
                &json!({"by": "hand", "at": [1, 2.5, null], "big": 12_345_678_901_234_567_890_u64}),
            );
            self.put(location, &note).await;
        }
        let id = id(location);
        let tags = json!([{"Key": "owner", "Value": "mail"}, {"Key": "ticket", "Value": "M-1"}]);
        self.ask("tag_resource", json!({"SecretId": id, "Tags": tags})).await;
        self.ask(
            "update_secret",
            json!({"SecretId": id, "Description": "by hand", "KmsKeyId": "alias/mail"}),
        )
        .await;
    }

    async fn adornments(&self, location: &SinkLocation) -> String {
        let secret = self.describe(location).await;
        let text = self.text(location, "AWSCURRENT").await.unwrap_or_default();
        let others: Json = serde_json::from_str(&text).unwrap_or_default();
        format!("{} {} {} {}", secret["Tags"], secret["Description"], secret["KmsKeyId"], others["note"])
    }

    async fn history(&self, location: &SinkLocation) -> String {
        let secret = self.describe(location).await;
        format!("{} {}", secret["VersionIdsToStages"], secret["DeletedDate"])
    }

    async fn delete(&self, location: &SinkLocation) {
        self.ask("delete_secret", json!({"SecretId": id(location), "RecoveryWindowInDays": 7})).await;
    }

    async fn expire(&self, _: &SinkLocation) {
        unreachable!("it does not apply")
    }

    async fn end_login(&self, location: &SinkLocation) {
        self.cloud.front.ends(&settings(location).assume_role.as_ref().unwrap().role_arn);
    }

    fn is_read(&self, request: &Seen) -> bool {
        is_look(request)
    }

    /// A value counts from the moment that its version is the current one: that is what goes wrong here. What comes of a version
    /// that was made and not told is a test of its own.
    fn is_write(&self, request: &Seen) -> bool {
        match action(request) {
            "CreateSecret" => true,
            "UpdateSecretVersionStage" if !request.carries("\"AWSCURRENT\"") => false,
            action => action == self.counts,
        }
    }

    fn throttles(&self) -> Vec<Reply> {
        super::throttles()
    }

    fn throttles_for_long(&self) -> Reply {
        super::throttles_for_long()
    }

    fn names_its_keys(&self) -> bool {
        true
    }

    fn bad_names(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        let named = |name: &str| changed(location, |settings| settings.secret = name.to_string());
        vec![
            named(""),
            named("a name with spaces"),
            named("mail/key-abc123"),
            named(&"x".repeat(513)),
            changed(location, |settings| settings.region = "Ireland".to_string()),
            changed(location, |settings| settings.allowed_account_ids = vec!["12".to_string()]),
            changed(location, |settings| {
                settings.tags = [("managed-by".to_string(), "me".to_string())].into()
            }),
        ]
    }
}
