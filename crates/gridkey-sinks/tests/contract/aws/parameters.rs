//! The Parameter Store of AWS Systems Manager.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use gridkey_core::sink::AwsSsmSettings;
use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};
use serde_json::{Value as Json, json};

use super::front::ACCOUNT;
use super::{BESIDE, Cloud, FIELD, MOTO, OTHER_ACCOUNT, REGION, action, has_field, is_look, role};
use crate::claim::Claim;
use crate::proxy::{Reply, Seen};
use crate::service::{Checked, Conflicts, Listed, Removal, Service, Starting, Traits, Upstream, Value, Whom};

pub const LISTED: Listed = Listed {
    kind: SinkKind::AwsSsm,
    server: MOTO,
    not_applicable,
    traits: Traits {
        conflicts: Conflicts::Detects,
        is_told_by_receipt: true,
        writes_of_a_repeat: 1,
        check: Checked::Plausible,
        removal: Removal::Gone,
    },
    required: "AWS",
    start,
};

struct Parameters(Arc<Cloud>);

fn not_applicable(claim: Claim) -> Option<&'static str> {
    match claim {
        Claim::TwoSpellings => Some(
            "a parameter is called by its name alone: its ARN, which AWS does not take in writes, is refused",
        ),
        _ => None,
    }
}

fn start() -> Starting {
    Box::pin(async { Ok(Box::new(Parameters(Cloud::get().await?)) as Box<dyn Service>) })
}

fn settings(at: &SinkLocation) -> &AwsSsmSettings {
    match &*at.at {
        SinkSettings::AwsSsm(settings) => settings,
        other => panic!("{} is no parameter of AWS", other.kind()),
    }
}

fn changed(at: &SinkLocation, change: impl Fn(&mut AwsSsmSettings)) -> SinkLocation {
    let mut settings = settings(at).clone();
    change(&mut settings);
    SinkLocation::new(at.sink.clone(), SinkSettings::AwsSsm(settings))
}

impl Parameters {
    async fn try_ask(&self, action: &str, arguments: Json) -> Result<Json, String> {
        self.0.try_ask("ssm", action, arguments).await
    }

    async fn ask(&self, action: &str, arguments: Json) -> Json {
        self.0.ask("ssm", action, arguments).await
    }

    async fn text(&self, at: &SinkLocation) -> Option<String> {
        let asked = json!({"Name": settings(at).parameter, "WithDecryption": true});
        let answer = self.try_ask("get_parameter", asked).await.ok()?;
        Some(answer["Parameter"]["Value"].as_str().unwrap().to_string())
    }

    async fn versions(&self, at: &SinkLocation) -> Vec<Json> {
        let asked = json!({"Name": settings(at).parameter, "WithDecryption": true});
        let answer = self.try_ask("get_parameter_history", asked).await.unwrap_or_default();
        answer["Parameters"].as_array().cloned().unwrap_or_default()
    }

    async fn metadata(&self, at: &SinkLocation) -> Json {
        let filter = json!([{"Key": "Name", "Option": "Equals", "Values": [settings(at).parameter]}]);
        let listed = self.ask("describe_parameters", json!({"ParameterFilters": filter})).await;
        listed["Parameters"].get(0).cloned().unwrap_or_default()
    }

    /// Writes a value as a person does, with the key and the tier that it has.
    async fn put(&self, at: &SinkLocation, text: &str, more: Json) {
        let mut asked =
            json!({"Name": settings(at).parameter, "Value": text, "Type": "SecureString", "Overwrite": true});
        let metadata = self.metadata(at).await;
        for name in ["KeyId", "Tier", "Description"] {
            if !metadata[name].is_null() {
                asked[name] = metadata[name].clone();
            }
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            asked[name] = value.clone();
        }
        self.ask("put_parameter", asked).await;
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
impl Service for Parameters {
    fn upstream(&self) -> Upstream {
        Upstream { address: self.0.front.address.clone(), authority: None }
    }

    async fn location(&self, proxy: &str, _: &Path, name: &str, as_whom: Whom) -> SinkLocation {
        let settings = AwsSsmSettings {
            region: REGION.to_string(),
            parameter: format!("/mail/{name}"),
            field: has_field(name).then(|| FIELD.to_string()),
            assume_role: role(name, as_whom),
            allowed_account_ids: vec![ACCOUNT.to_string()],
            endpoint_url: Some(proxy.to_string()),
            ..AwsSsmSettings::default()
        };
        SinkLocation::new(Name::new("parameters").unwrap(), SinkSettings::AwsSsm(settings))
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
        let role = changed(location, |settings| {
            settings.assume_role.as_mut().unwrap().role_arn = format!("arn:aws:iam::{ACCOUNT}:role/nobodys");
        });
        vec![(account, OTHER_ACCOUNT.to_string()), (role, "role/nobodys".to_string())]
    }

    fn spellings(&self, _: &SinkLocation) -> Vec<SinkLocation> {
        Vec::new()
    }

    async fn value(&self, location: &SinkLocation) -> Value {
        match self.text(location).await {
            Some(text) => part(location, &text),
            None => Value::Nothing,
        }
    }

    async fn older(&self, location: &SinkLocation) -> Vec<String> {
        let mut versions = self.versions(location).await;
        versions.pop();
        let texts = versions.iter().rev().filter_map(|version| version["Value"].as_str());
        let held = texts.filter_map(|text| match part(location, text) {
            Value::Text(text) => Some(text),
            Value::Nothing | Value::Other => None,
        });
        held.collect()
    }

    async fn overwrite(&self, location: &SinkLocation, text: &str) {
        let now = self.text(location).await;
        self.put(location, &with_part(location, now, &json!(text)), json!({})).await;
    }

    async fn adorn(&self, location: &SinkLocation) {
        let now = self.text(location).await;
        let about = json!({
            "Description": "by hand", "KeyId": "alias/mail", "Tier": "Advanced", "AllowedPattern": "^[ -~]*$",
        });
        let text = match &settings(location).field {
            Some(_) => {
                let note = changed(location, |settings| settings.field = Some("note".to_string()));
                with_part(&note, now, &json!({"by": "hand", "at": [1, 2.5, null]}))
            }
            None => now.unwrap(),
        };
        self.put(location, &text, about).await;
        let tags = json!([{"Key": "owner", "Value": "mail"}]);
        let parameter = &settings(location).parameter;
        self.ask(
            "add_tags_to_resource",
            json!({"ResourceType": "Parameter", "ResourceId": parameter, "Tags": tags}),
        )
        .await;
    }

    async fn adornments(&self, location: &SinkLocation) -> String {
        let metadata = self.metadata(location).await;
        let asked = json!({"ResourceType": "Parameter", "ResourceId": settings(location).parameter});
        let tags = self.ask("list_tags_for_resource", asked).await;
        let others: Json = serde_json::from_str(&self.text(location).await.unwrap()).unwrap_or_default();
        let mut all = format!("{} {}", tags["TagList"], others["note"]);
        for name in ["Type", "KeyId", "Tier", "Description", "AllowedPattern", "DataType"] {
            all += &format!(" {name}: {}", metadata[name]);
        }
        all
    }

    async fn history(&self, location: &SinkLocation) -> String {
        let versions = self.versions(location).await;
        let told = versions.iter().map(|version| {
            format!("{} {} {}\n", version["Version"], version["LastModifiedDate"], version["Labels"])
        });
        told.collect()
    }

    async fn delete(&self, location: &SinkLocation) {
        self.ask("delete_parameter", json!({"Name": settings(location).parameter})).await;
    }

    async fn expire(&self, location: &SinkLocation) {
        let policy = json!([{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2031-12-02T21:34:33.000Z"}}]);
        let now = self.text(location).await.unwrap();
        self.put(location, &now, json!({"Tier": "Advanced", "Policies": policy.to_string()})).await;
    }

    async fn end_login(&self, location: &SinkLocation) {
        self.0.front.ends(&settings(location).assume_role.as_ref().unwrap().role_arn);
    }

    fn is_read(&self, request: &Seen) -> bool {
        is_look(request)
    }

    fn is_write(&self, request: &Seen) -> bool {
        action(request) == "PutParameter"
    }

    fn throttles(&self) -> Vec<Reply> {
        super::throttles()
    }

    fn throttles_for_long(&self) -> Reply {
        super::throttles_for_long()
    }

    fn bad_names(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        let named = |name: &str| changed(location, |settings| settings.parameter = name.to_string());
        vec![
            named(""),
            named("/with spaces"),
            named("/aws/key"),
            named("SSMkey"),
            named("two/levels"),
            named(&"/x".repeat(16)),
            named(&format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/mail")),
            changed(location, |settings| settings.tier = Some("Large".to_string())),
            changed(location, |settings| settings.region = "Ireland".to_string()),
            changed(location, |settings| {
                settings.tags = [("managed-by".to_string(), "me".to_string())].into()
            }),
        ]
    }
}
