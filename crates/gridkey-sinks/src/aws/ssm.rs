//! The Parameter Store of AWS Systems Manager.
//!
//! It has no condition on updates, but it counts: the answer to a write has the number of the new version, and one that is not
//! the next after the one that was looked at tells of a write in between, which is then looked at by its number.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use gridkey_core::inventory::{SinkCaveat, SinkContent};
use gridkey_core::sink::AwsSsmSettings;
use gridkey_core::{KeyId, Known, Receipt};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Number, json};
use zeroize::Zeroizing;

use super::client::{Service, Session};
use super::document::Part;
use super::said::{Fail, looked};
use super::{Access, Aws, Tag};
use crate::adapter::{Adapter, Put};
use crate::format::{Held, may_replace};
use crate::machine::Machine;

const SECURE: &str = "SecureString";

/// The label of the version that had the key before. It is one that moves: AWS refuses every further write once the oldest of
/// a hundred versions has a label.
const PREVIOUS: &str = "gridkey-previous";

/// How long AWS may still answer what was so before.
const LAG: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);

/// How long a name rests after its parameter was deleted, as AWS asks for.
const REST: Duration = Duration::from_secs(30);

/// How long a write waits for those before it.
const QUEUE: Duration = Duration::from_secs(20);

/// How often a put begins anew where others write meanwhile.
const ATTEMPTS: usize = 4;

/// One parameter, or one member of it.
pub(crate) struct Ssm<'a> {
    machine: &'a Machine,
    aws: &'a Aws,
    settings: &'a AwsSsmSettings,
    access: Access,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    r#type: String,
    #[serde(default, deserialize_with = "super::wiped")]
    value: Option<Zeroizing<String>>,
    version: i64,
    /// When this version was made: numbers begin anew where a parameter is deleted and made again.
    #[serde(default)]
    last_modified_date: Option<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    parameters: Vec<Metadata>,
    #[serde(default)]
    next_token: Option<String>,
}

/// What is said of a parameter besides its value.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    key_id: Option<String>,
    #[serde(default)]
    tier: Option<String>,
    #[serde(default)]
    allowed_pattern: Option<String>,
    #[serde(default)]
    data_type: Option<String>,
    #[serde(default)]
    policies: Option<Vec<Policy>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    #[serde(default)]
    policy_type: Option<String>,
    #[serde(default)]
    policy_text: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(default)]
    tag_list: Vec<Tag>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Write<'a> {
    name: &'a str,
    value: &'a str,
    r#type: &'a str,
    overwrite: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_pattern: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    version: i64,
}

/// What a put found.
enum Found {
    Missing,
    There {
        parameter: Parameter,
        /// What is known of the value where it may not be read, and why it may not.
        told: Option<(KeyId, Fail)>,
    },
}

/// How a try to write ended.
enum Tried {
    Done(Option<Receipt>),
    /// It is there by now, or not any more.
    Overtaken,
}

impl<'a> Ssm<'a> {
    pub fn new(machine: &'a Machine, aws: &'a Aws, settings: &'a AwsSsmSettings) -> Self {
        let access = Access {
            region: settings.region.clone(),
            profile: settings.profile.clone(),
            assume_role: settings.assume_role.clone(),
            allowed_account_ids: settings.allowed_account_ids.clone(),
            endpoint_url: settings.endpoint_url.clone(),
            ca_bundle: settings.ca_bundle.clone(),
        };
        Self { machine, aws, settings, access }
    }

    fn session(&self) -> Session<'_> {
        let place = format!("the parameter `{}` in {}", self.settings.parameter, self.settings.region);
        Session::new(self.machine, self.aws, &self.access, Service::Ssm, place)
    }

    fn part(&self) -> Part<'_> {
        Part { field: self.settings.field.as_deref() }
    }

    fn error(&self, fault: SinkFault, message: &str) -> SinkError {
        self.located(SinkError::new(fault, message))
    }

    /// An error that does not say by itself what it is about.
    fn located(&self, error: SinkError) -> SinkError {
        self.session().at(error)
    }

    /// What tells this parameter from others of the process.
    fn key(&self) -> String {
        format!("{:?}/{}", self.access, self.settings.parameter)
    }

    /// The newest version, or the one of a number.
    async fn get(&self, version: Option<i64>, decrypted: bool) -> Result<Option<Parameter>, Fail> {
        let name = match version {
            Some(version) => format!("{}:{version}", self.settings.parameter),
            None => self.settings.parameter.clone(),
        };
        let body = json!({ "Name": name, "WithDecryption": decrypted });
        match self.session().call::<Answer>("GetParameter", &body).await {
            Ok(answer) => Ok(Some(answer.parameter)),
            Err(fail) if fail.has_code("ParameterNotFound") || fail.has_code("ParameterVersionNotFound") => {
                Ok(None)
            }
            Err(fail) => Err(fail),
        }
    }

    /// The value, or what the receipt tells of it where it may not be decrypted.
    async fn find(&self, known: Option<&Known>) -> Result<Found, Fail> {
        let forbidden = match self.get(None, true).await {
            Ok(None) => return Ok(Found::Missing),
            Ok(Some(parameter)) => return Ok(Found::There { parameter, told: None }),
            Err(fail) if fail.is_forbidden() => fail,
            Err(fail) => return Err(fail),
        };
        let Some(known) = known else { return Err(forbidden) };
        match self.get(None, false).await? {
            None => Ok(Found::Missing),
            Some(parameter) if parameter.receipt() == known.receipt => {
                Ok(Found::There { parameter, told: Some((known.id.clone(), forbidden)) })
            }
            Some(_) => Err(forbidden),
        }
    }

    fn held_in(&self, parameter: &Parameter) -> Result<Held, SinkError> {
        match &parameter.value {
            Some(value) => self.part().get(value.clone()).map_err(|error| self.located(error)),
            None => Ok(Held::Nothing),
        }
    }

    /// What is said of the parameter besides its value; nothing where AWS does not list it.
    async fn metadata(&self) -> Result<Option<Metadata>, Fail> {
        let filter = json!([{ "Key": "Name", "Option": "Equals", "Values": [self.settings.parameter] }]);
        let mut body = json!({ "ParameterFilters": filter });
        // A page may be empty and have others behind it.
        loop {
            let listed = self.session().call::<Listed>("DescribeParameters", &body).await?;
            match (listed.parameters.into_iter().next(), listed.next_token.filter(|token| !token.is_empty()))
            {
                (None, Some(token)) => body["NextToken"] = token.into(),
                (found, _) => return Ok(found),
            }
        }
    }

    /// The same, for a write, which would change what it leaves out.
    async fn metadata_to_keep(&self) -> Result<Metadata, SinkError> {
        let settings = self.settings;
        match self.metadata().await {
            Ok(Some(metadata)) => Ok(metadata),
            // It was read a moment ago.
            Ok(None) => Err(self.error(SinkFault::Conflict, "AWS does not list it, and so does not say its KMS key")),
            Err(fail) if fail.is_forbidden() && settings.kms_key_id.is_some() && settings.tier.is_some() => {
                Ok(Metadata::default())
            }
            Err(fail) if fail.is_forbidden() => Err(SinkError::from(fail).help(
                "allow `ssm:DescribeParameters` (on `*`), or set `kms_key_id` and `tier`: a write without the \
                 parameter's own key would encrypt it with another one",
            )),
            Err(fail) => Err(fail.into()),
        }
    }

    async fn write(&self, write: &Write<'_>) -> Result<i64, Fail> {
        let writing = self.aws.writing(&self.access);
        let _alone = tokio::time::timeout(QUEUE, writing.lock_owned()).await.map_err(|_| {
            let message = "other writes to the same account and region took too long";
            Fail::Surely(self.error(SinkFault::Throttled, message))
        })?;
        Ok(self.session().call::<Written>("PutParameter", write).await?.version)
    }

    async fn create(&self, secret: &str) -> Result<Tried, PutError> {
        if let Some(deleted) = self.aws.deleted_at(&self.key()) {
            tokio::time::sleep(REST.saturating_sub(deleted.elapsed())).await;
        }
        let settings = self.settings;
        let value = self.part().set(None, secret).map_err(|error| PutError::Refused(self.located(error)))?;
        let write = Write {
            name: &settings.parameter,
            value: &value,
            r#type: SECURE,
            overwrite: false,
            key_id: settings.kms_key_id.as_deref(),
            tier: settings.tier.as_deref(),
            description: settings.description.as_deref(),
            tags: Some(Tag::of_new(&settings.tags)),
            ..Write::default()
        };
        match self.write(&write).await {
            Ok(version) => Ok(Tried::Done(self.receipt_of(version).await)),
            Err(fail) if fail.has_code("ParameterAlreadyExists") => Ok(Tried::Overtaken),
            Err(fail) => Err(fail.into()),
        }
    }

    /// Writes over a version, with all that is said of it besides as it was.
    async fn update(&self, value: &str, metadata: &Metadata) -> Result<i64, Fail> {
        let settings = self.settings;
        let Metadata { description, key_id, tier, allowed_pattern, data_type, policies: _ } = metadata;
        // There is no way back from it.
        let tier = match tier.as_deref() {
            Some("Advanced") => Some("Advanced"),
            found => settings.tier.as_deref().or(found),
        };
        self.write(&Write {
            name: &settings.parameter,
            value,
            r#type: SECURE,
            overwrite: true,
            key_id: settings.kms_key_id.as_deref().or(key_id.as_deref()),
            tier,
            description: description.as_deref(),
            allowed_pattern: allowed_pattern.as_deref(),
            data_type: data_type.as_deref(),
            tags: None,
        })
        .await
    }

    /// The receipt of a version that was just written.
    async fn receipt_of(&self, version: i64) -> Option<Receipt> {
        let started = Instant::now();
        while started.elapsed() < LAG {
            match self.get(Some(version), false).await {
                Ok(Some(parameter)) => return Some(parameter.receipt()),
                Ok(None) => tokio::time::sleep(PAUSE).await,
                Err(_) => break,
            }
        }
        // Without its date it is the receipt of no version, and the value is read.
        Some(Receipt::new(version.to_string()))
    }

    async fn try_put(&self, put: &Put<'_>) -> Result<Tried, PutError> {
        let secret = put.secret.expose();
        let (parameter, told) = match self.find(put.known).await.map_err(looked)? {
            Found::Missing => {
                self.may_replace(&SinkContent::Empty, put)?;
                return self.create(secret).await;
            }
            Found::There { parameter, told } => (parameter, told),
        };
        self.is_secure(&parameter).map_err(PutError::Refused)?;
        let holds = match told {
            // The document that the field is in has to be read.
            Some((_, forbidden)) if self.settings.field.is_some() => return Err(looked(forbidden)),
            Some((key, _)) if KeyId::of_secret(secret).as_ref() == Some(&key) => {
                return Ok(Tried::Done(Some(parameter.receipt())));
            }
            Some((key, _)) => SinkContent::Key(key),
            None => {
                let held = self.held_in(&parameter).map_err(PutError::Refused)?;
                if matches!(&held, Held::Text(text) if **text == secret) {
                    return Ok(Tried::Done(Some(parameter.receipt())));
                }
                held.content()
            }
        };
        self.may_replace(&holds, put)?;
        let metadata = self.metadata_to_keep().await.map_err(PutError::Refused)?;
        let value = self.edited(&parameter, secret)?;
        let version = self.update(&value, &metadata).await?;
        let written = self.settle(put, &metadata, parameter.version, version).await?;
        if self.settings.field.is_none() && matches!(holds, SinkContent::Key(_)) {
            self.label_previous(written - 1).await;
        }
        Ok(Tried::Done(self.receipt_of(written).await))
    }

    fn edited(&self, parameter: &Parameter, secret: &str) -> Result<Zeroizing<String>, PutError> {
        let text = parameter.value.as_ref().map(|value| value.as_str());
        self.part().set(text, secret).map_err(|error| PutError::Refused(self.located(error)))
    }

    /// Sees to versions that came between the look and the write: what another program wrote into the same document is put
    /// back together with the secret, and a foreign value that was written over is told.
    ///
    /// Gives the version that holds the secret.
    async fn settle(
        &self,
        put: &Put<'_>,
        metadata: &Metadata,
        seen: i64,
        written: i64,
    ) -> Result<i64, PutError> {
        let (mut seen, mut written) = (seen, written);
        for _ in 0..ATTEMPTS {
            if written <= seen + 1 {
                return Ok(written);
            }
            let between = self.between(written - 1).await?;
            let holds = self.held_in(&between).map_err(PutError::Unclear)?.content();
            if holds != *put.replaces
                && Some(&holds) != KeyId::of_secret(put.secret.expose()).map(SinkContent::Key).as_ref()
            {
                return Err(PutError::Unclear(self.foreign(written - 1)));
            }
            if self.settings.field.is_none() {
                return Ok(written);
            }
            let merged = self.edited(&between, put.secret.expose()).map_err(unclear)?;
            seen = written;
            written = self.update(&merged, metadata).await.map_err(|fail| PutError::Unclear(fail.into()))?;
        }
        let message = "others wrote to it at each of several tries; what they wrote is in its history";
        Err(PutError::Unclear(self.error(SinkFault::Conflict, message)))
    }

    /// A version that came between a look and a write.
    async fn between(&self, version: i64) -> Result<Parameter, PutError> {
        let started = Instant::now();
        loop {
            match self.get(Some(version), true).await {
                Ok(Some(parameter)) => return Ok(parameter),
                Ok(None) if started.elapsed() < LAG => tokio::time::sleep(PAUSE).await,
                Ok(None) => return Err(PutError::Unclear(self.foreign(version))),
                Err(fail) => return Err(self.overwrote(version, fail)),
            }
        }
    }

    fn foreign(&self, version: i64) -> SinkError {
        let message = format!("another program wrote version {version} meanwhile, and it was written over");
        let AwsSsmSettings { parameter, region, .. } = self.settings;
        self.error(SinkFault::Conflict, &message).help(format!(
            "look at it with `aws ssm get-parameter --region {region} --with-decryption --name {parameter}:{version}`, and plan again"
        ))
    }

    fn overwrote(&self, version: i64, fail: Fail) -> PutError {
        let error = SinkError::from(fail);
        let message =
            format!("version {version} was written meanwhile, and cannot be looked at: {}", error.message);
        PutError::Unclear(SinkError { message, ..error })
    }

    fn may_replace(&self, holds: &SinkContent, put: &Put<'_>) -> Result<(), PutError> {
        may_replace(holds, put.secret.expose(), Some(put.replaces))
            .map_err(|message| PutError::Refused(self.error(SinkFault::Conflict, &message)))
    }

    /// A parameter of another type shows its value to all who may look, and AWS does not change a type.
    fn is_secure(&self, parameter: &Parameter) -> Result<(), SinkError> {
        if parameter.r#type == SECURE {
            return Ok(());
        }
        let message = format!("it is a `{}`, which is not encrypted, and not a `{SECURE}`", parameter.r#type);
        Err(self
            .error(SinkFault::Invalid, &message)
            .help("AWS changes no parameter's type: delete it, or name another one"))
    }

    /// It is no part of the delivery: the version before is in the history with its number all the same.
    async fn label_previous(&self, version: i64) {
        let body =
            json!({ "Name": self.settings.parameter, "ParameterVersion": version, "Labels": [PREVIOUS] });
        if let Err(fail) = self.session().call::<IgnoredAny>("LabelParameterVersion", &body).await {
            tracing::warn!(
                "the version before was not labelled `{PREVIOUS}`: {}",
                SinkError::from(fail).message
            );
        }
    }

    async fn is_own(&self) -> Result<bool, Fail> {
        let body = json!({ "ResourceType": "Parameter", "ResourceId": self.settings.parameter });
        let tags = self.session().call::<Tags>("ListTagsForResource", &body).await?;
        Ok(Tag::are_own(&tags.tag_list))
    }

    /// Deletes the parameter, if gridkey made it.
    async fn delete(&self) -> Result<(), SinkError> {
        if !self.is_own().await? {
            let AwsSsmSettings { parameter, region, .. } = self.settings;
            return Err(self
                .error(SinkFault::Unsupported, "gridkey did not make it, so it is not deleted, and AWS keeps no empty value")
                .help(format!(
                    "`aws ssm delete-parameter --region {region} --name {parameter}` deletes it, or give it the tag `managed-by: gridkey`"
                )));
        }
        match self
            .session()
            .call::<IgnoredAny>("DeleteParameter", &json!({ "Name": self.settings.parameter }))
            .await
        {
            Ok(_) => {
                self.aws.was_deleted(&self.key());
                Ok(())
            }
            Err(fail) if fail.has_code("ParameterNotFound") => Ok(()),
            Err(fail) => Err(fail.into()),
        }
    }

    /// Takes the field out of its document.
    async fn clear(&self, parameter: &Parameter) -> Result<(), SinkError> {
        let Some(value) = parameter.value.as_ref() else { return Ok(()) };
        if matches!(self.held_in(parameter)?, Held::Nothing) {
            return Ok(());
        }
        let left = self.part().clear(value).map_err(|error| self.located(error))?;
        let left = match left {
            Some(left) => left,
            None if self.is_own().await? => return self.delete().await,
            None => Zeroizing::new("{}".to_string()),
        };
        let metadata = self.metadata_to_keep().await?;
        let version = self.update(&left, &metadata).await?;
        match version == parameter.version + 1 {
            true => Ok(()),
            false => Err(self.foreign(version - 1)),
        }
    }

    /// A write that AWS refuses for what is there already, and for its pattern besides: it shows whether it would be refused
    /// for want of a permission.
    async fn try_nothing(&self) -> Result<(), Fail> {
        let write = Write {
            name: &self.settings.parameter,
            value: "gridkey check",
            r#type: SECURE,
            overwrite: false,
            allowed_pattern: Some("^$"),
            ..Write::default()
        };
        match self.write(&write).await {
            Ok(_) => Ok(()),
            Err(fail) if fail.has_code("ParameterAlreadyExists") => Ok(()),
            Err(fail) if fail.has_code("ParameterPatternMismatchException") => Ok(()),
            Err(fail) => Err(fail),
        }
    }
}

fn unclear(error: PutError) -> PutError {
    match error {
        PutError::Refused(error) | PutError::NoRoom(error) | PutError::Unclear(error) => {
            PutError::Unclear(error)
        }
    }
}

impl Parameter {
    fn receipt(&self) -> Receipt {
        match &self.last_modified_date {
            Some(date) => Receipt::new(format!("{}@{date}", self.version)),
            None => Receipt::new(self.version.to_string()),
        }
    }
}

#[async_trait]
impl Adapter for Ssm<'_> {
    async fn check(&self) -> Result<Readiness, SinkError> {
        let parameter = match self.get(None, true).await {
            Err(fail) if fail.is_forbidden() => self.get(None, false).await?,
            found => found?,
        };
        let Some(parameter) = parameter else {
            let reason = "the parameter is not there yet, and only making it shows that it may be made";
            return Ok(Readiness::Plausible(reason.to_string()));
        };
        self.is_secure(&parameter)?;
        self.try_nothing().await?;
        let reason = "AWS would take a write, but only one shows that its KMS key may be used for it";
        Ok(Readiness::Plausible(reason.to_string()))
    }

    async fn held(&self) -> Result<Held, SinkError> {
        match self.get(None, true).await? {
            None => Ok(Held::Nothing),
            Some(parameter) => self.held_in(&parameter),
        }
    }

    async fn observe(&self, known: Option<&Known>) -> Result<SinkContent, SinkError> {
        match self.find(known).await? {
            Found::Missing => Ok(SinkContent::Empty),
            Found::There { told: Some((key, _)), .. } => Ok(SinkContent::Key(key)),
            Found::There { parameter, told: None } => Ok(self.held_in(&parameter)?.content()),
        }
    }

    async fn caveats(&self) -> Vec<SinkCaveat> {
        let Ok(Some(parameter)) = self.get(None, false).await else { return Vec::new() };
        if let Err(error) = self.is_secure(&parameter) {
            return vec![SinkCaveat::NotWritable(error.with_help())];
        }
        let Ok(Some(metadata)) = self.metadata().await else { return Vec::new() };
        let ends = metadata.policies.unwrap_or_default().into_iter().find(|policy| policy.is_expiration());
        ends.map(|policy| SinkCaveat::Ends(policy.told())).into_iter().collect()
    }

    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError> {
        let started = Instant::now();
        let mut overtaken = 0;
        loop {
            match self.try_put(&put).await {
                Ok(Tried::Done(receipt)) => return Ok(receipt),
                Ok(Tried::Overtaken) if overtaken < ATTEMPTS => {
                    overtaken += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(Tried::Overtaken) => {
                    let message = "AWS says that it is there and that it is not, at each of several tries";
                    return Err(PutError::Refused(self.error(SinkFault::Conflict, message)));
                }
                // It may be what was there a moment ago.
                Err(PutError::Refused(error))
                    if error.fault == SinkFault::Conflict && started.elapsed() < LAG =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn remove(&self) -> Result<(), SinkError> {
        let decrypted = self.settings.field.is_some();
        let Some(parameter) = self.get(None, decrypted).await? else { return Ok(()) };
        match decrypted {
            true => self.clear(&parameter).await,
            false => self.delete().await,
        }
    }

    fn lag(&self) -> Duration {
        LAG
    }

    /// A name may have to rest first.
    fn deadline(&self) -> Duration {
        Duration::from_secs(90)
    }
}

impl Policy {
    fn is_expiration(&self) -> bool {
        self.policy_type.as_deref() == Some("Expiration")
            || self.policy_text.as_deref().is_some_and(|text| text.contains("\"Expiration\""))
    }

    /// When it strikes: `{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2018-12-02T21:34:33.000Z"}}`.
    fn told(&self) -> String {
        let text = self.policy_text.as_deref().unwrap_or_default();
        let policy: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        match policy["Attributes"]["Timestamp"].as_str() {
            Some(when) => format!(
                "its expiration policy deletes the parameter at {when}, and a write does not move that"
            ),
            None => "it has an expiration policy, and a write does not move its date".to_string(),
        }
    }
}
