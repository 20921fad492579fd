//! AWS Secrets Manager.
//!
//! A put makes a new version beside the current one, and then moves the label `AWSCURRENT` to it from the very version that
//! was looked at: AWS refuses that where another version has the label by now. The id of a version says which key gridkey put
//! where ([`token`](super::token)), so that looking needs no right to read secrets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gridkey_core::inventory::{SinkCaveat, SinkContent};
use gridkey_core::sink::AwsSecretsManagerSettings;
use gridkey_core::{KeyId, Known, Receipt};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::client::{Service, Session};
use super::document::Part;
use super::said::{Fail, looked};
use super::{Access, Aws, Tag, token};
use crate::adapter::{Adapter, Put};
use crate::format::{Held, may_replace};
use crate::machine::Machine;

const CURRENT: &str = "AWSCURRENT";

/// The label of the version that gridkey wrote last. A version without any label may be collected at once.
const WRITTEN: &str = "gridkey-written";

/// The label of the version that had the key before, so that it stays while consumers change over: `AWSPREVIOUS` goes with the
/// next change of the secret, whoever makes it. For each field it is one label, as AWS has twenty for all versions together.
const RETIRING: &str = "gridkey-retiring";

/// How long AWS may still answer what was so before.
const LAG: Duration = Duration::from_secs(5);

/// The pause between looks, and how long a secret that was just made or restored is waited for.
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a put begins anew where others change the secret meanwhile.
const ATTEMPTS: u8 = 5;

/// One secret, or one member of it.
pub(crate) struct SecretsManager<'a> {
    machine: &'a Machine,
    aws: &'a Aws,
    settings: &'a AwsSecretsManagerSettings,
    access: Access,
}

/// What there is of a secret without its value.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    #[serde(rename = "ARN")]
    _arn: IgnoredAny,
    #[serde(default)]
    deleted_date: Option<IgnoredAny>,
    #[serde(default)]
    rotation_enabled: Option<bool>,
    #[serde(default)]
    owning_service: Option<String>,
    #[serde(default)]
    primary_region: Option<String>,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
    /// The labels of each version.
    #[serde(default)]
    version_ids_to_stages: Option<BTreeMap<String, Vec<String>>>,
}

/// A value, of the kind that it was written as.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Read {
    #[serde(default, deserialize_with = "super::wiped")]
    secret_string: Option<Zeroizing<String>>,
    #[serde(default, deserialize_with = "super::wiped")]
    secret_binary: Option<Zeroizing<String>>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Write<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<&'a str>,
    client_request_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_string: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_binary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_stages: Option<&'a [&'a str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
}

/// What every action but a read answers at least, so that nothing else is taken for its answer.
#[derive(Deserialize)]
struct Done {
    #[serde(rename = "ARN")]
    _arn: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    version_id: String,
    #[serde(default)]
    version_stages: Vec<String>,
}

/// A value that a version has or is to have.
enum Content {
    Text(Zeroizing<String>),
    /// What was written as bytes stays bytes, as consumers ask for the one or the other.
    Bytes(Zeroizing<String>),
    /// Bytes that are no text.
    Other,
}

/// What a put found, and may build upon.
struct Base<'d> {
    described: &'d Described,
    /// The version that is current, if any is.
    version: Option<&'d str>,
    /// The value, where it was read.
    content: Option<Content>,
    /// Whether the value is kept as bytes.
    is_bytes: bool,
    holds: SinkContent,
}

/// How a try to write ended.
enum Tried {
    Done(String),
    /// Something else is current by now.
    Overtaken,
}

impl<'a> SecretsManager<'a> {
    pub fn new(machine: &'a Machine, aws: &'a Aws, settings: &'a AwsSecretsManagerSettings) -> Self {
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
        let place = format!("the secret `{}` in {}", self.settings.secret, self.settings.region);
        Session::new(self.machine, self.aws, &self.access, Service::SecretsManager, place)
    }

    fn part(&self) -> Part<'_> {
        Part { field: self.settings.field.as_deref() }
    }

    fn field(&self) -> Option<&str> {
        self.settings.field.as_deref()
    }

    fn part_of(&self, content: &Content) -> token::Of<'_> {
        match (self.field(), content) {
            (Some(field), _) => token::Of::Field(field),
            (None, Content::Text(_)) => token::Of::Text,
            (None, Content::Bytes(_) | Content::Other) => token::Of::Bytes,
        }
    }

    fn error(&self, fault: SinkFault, message: &str) -> SinkError {
        self.located(SinkError::new(fault, message))
    }

    /// An error that does not say by itself what it is about.
    fn located(&self, error: SinkError) -> SinkError {
        self.session().at(error)
    }

    async fn describe(&self) -> Result<Option<Described>, Fail> {
        let body = json!({ "SecretId": self.settings.secret });
        match self.session().call("DescribeSecret", &body).await {
            Ok(described) => Ok(Some(described)),
            Err(fail) if fail.has_code("ResourceNotFoundException") => Ok(None),
            Err(fail) => Err(fail),
        }
    }

    async fn read(&self, version: &str) -> Result<Content, Fail> {
        let body = json!({ "SecretId": self.settings.secret, "VersionId": version });
        let Read { secret_string, secret_binary } = self.session().call("GetSecretValue", &body).await?;
        let bytes = |text: Zeroizing<String>| {
            let bytes = Zeroizing::new(BASE64.decode(text.as_bytes()).ok()?);
            let text = std::str::from_utf8(&bytes).ok()?;
            Some(Zeroizing::new(text.to_string()))
        };
        Ok(match (secret_string, secret_binary) {
            (Some(text), _) => Content::Text(text),
            (None, Some(binary)) => bytes(binary).map_or(Content::Other, Content::Bytes),
            (None, None) => Content::Other,
        })
    }

    fn held_in(&self, content: &Content) -> Result<Held, SinkError> {
        match content {
            Content::Text(text) | Content::Bytes(text) => {
                self.part().get(text.clone()).map_err(|error| self.located(error))
            }
            Content::Other => Ok(Held::Other),
        }
    }

    /// A secret that is not there, where gridkey is not to make it, is no empty place.
    fn missing(&self) -> Result<(), SinkError> {
        if self.settings.secret.starts_with("arn:") {
            return Err(self
                .error(SinkFault::ContainerMissing, "it is not there, and cannot be made by its ARN")
                .help("give its name as `secret` in place of the ARN"));
        }
        match self.settings.create.unwrap_or(true) {
            true => Ok(()),
            false => Err(self
                .error(SinkFault::ContainerMissing, "it is not there, and `create` is `false`")
                .help("make it first, or take `create: false` out")),
        }
    }

    fn remembered(&self) -> SinkError {
        let AwsSecretsManagerSettings { region, secret, .. } = self.settings;
        self.error(SinkFault::Remembered, "it is scheduled for deletion, and gridkey did not make it").help(format!(
            "`aws secretsmanager restore-secret --region {region} --secret-id {secret}` brings it back; \
             `aws secretsmanager delete-secret --region {region} --secret-id {secret} --force-delete-without-recovery` ends it"
        ))
    }

    /// Why a put would be in vain, or do harm.
    fn obstacle(&self, described: &Described) -> Option<SinkError> {
        if let Some(primary) =
            described.primary_region.as_ref().filter(|primary| **primary != self.settings.region)
        {
            let error = self.error(SinkFault::Invalid, &format!("it is a replica of the one in {primary}"));
            return Some(
                error.help(format!("deliver to it with `region: {primary}`; AWS copies it from there")),
            );
        }
        if let Some(owner) = described.owning_service.as_ref().filter(|owner| !owner.is_empty()) {
            let error = self.error(SinkFault::Invalid, &format!("it belongs to the AWS service `{owner}`"));
            return Some(error.help("name another secret"));
        }
        let is_deleted = described.deleted_date.is_some() && !described.is_own();
        is_deleted.then(|| self.remembered())
    }

    /// The key that a version says it holds here, and whether it is kept as bytes.
    fn told_by(&self, version: &str) -> Option<(KeyId, bool)> {
        let parts: &[token::Of<'_>] = match self.field() {
            Some(field) => &[token::Of::Field(field)],
            None => &[token::Of::Text, token::Of::Bytes],
        };
        parts.iter().find_map(|part| Some((token::key_of(version, *part)?, *part == token::Of::Bytes)))
    }

    /// What the location holds, by the least that tells it.
    async fn base<'d>(&self, described: &'d Described) -> Result<Base<'d>, Fail> {
        let version = described.current();
        let Some(current) = version else {
            return Ok(Base {
                described,
                version,
                content: None,
                is_bytes: false,
                holds: SinkContent::Empty,
            });
        };
        // A field's document is needed all the same.
        if let (Some((key, is_bytes)), None) = (self.told_by(current), self.field()) {
            return Ok(Base { described, version, content: None, is_bytes, holds: SinkContent::Key(key) });
        }
        let content = self.read(current).await?;
        let holds = self.held_in(&content).map_err(Fail::Surely)?.content();
        let is_bytes = matches!(content, Content::Bytes(_) | Content::Other);
        Ok(Base { described, version, content: Some(content), is_bytes, holds })
    }

    /// Whether the location has that very secret already.
    async fn is_same(&self, base: &Base<'_>, secret: &str) -> Result<bool, PutError> {
        if let Some(content) = &base.content {
            let held = self.held_in(content).map_err(PutError::Refused)?;
            return Ok(matches!(held, Held::Text(text) if *text == secret));
        }
        let key = KeyId::of_secret(secret).map(SinkContent::Key);
        let (Some(version), true) = (base.version, key.as_ref() == Some(&base.holds)) else {
            return Ok(false);
        };
        // AWS tells whether it is: the same value under the same id changes nothing, and another one is refused.
        let content = self.edited(base, secret).map_err(PutError::Refused)?;
        match self.write(version, &content, None).await {
            Ok(_) => Ok(true),
            Err(fail) if fail.has_code("ResourceExistsException") => Ok(false),
            // It may have it, and by a put before this one.
            Err(fail) => Err(PutError::Unclear(fail.into())),
        }
    }

    async fn write(
        &self,
        version: &str,
        content: &Content,
        stages: Option<&[&str]>,
    ) -> Result<Written, Fail> {
        let write =
            Write { secret_id: Some(&self.settings.secret), version_stages: stages, ..Write::default() };
        let encoded;
        let write = match content {
            Content::Text(text) => Write { secret_string: Some(text), ..write },
            Content::Bytes(text) => {
                encoded = Zeroizing::new(BASE64.encode(text.as_bytes()));
                Write { secret_binary: Some(&encoded), ..write }
            }
            Content::Other => unreachable!("what is no text is not written"),
        };
        self.session().call("PutSecretValue", &Write { client_request_token: version, ..write }).await
    }

    /// Moves a label to a version from the one that has it.
    async fn label(&self, label: &str, to: Option<&str>, from: Option<&str>) -> Result<(), Fail> {
        let mut body = json!({ "SecretId": self.settings.secret, "VersionStage": label });
        for (name, version) in [("MoveToVersionId", to), ("RemoveFromVersionId", from)] {
            if let Some(version) = version {
                body[name] = Value::from(version);
            }
        }
        let _: Done = self.session().call("UpdateSecretVersionStage", &body).await?;
        Ok(())
    }

    /// Makes a version and makes it the current one.
    async fn replace(
        &self,
        base: &Base<'_>,
        key: Option<&KeyId>,
        content: &Content,
    ) -> Result<Tried, PutError> {
        for attempt in 0..ATTEMPTS {
            let version = token::of(key, self.part_of(content), base.version, attempt);
            let written = match self.write(&version, content, Some(&[WRITTEN])).await {
                Err(fail) if fail.has_code("ResourceExistsException") => continue,
                written => written?,
            };
            if written.version_stages.iter().any(|stage| stage == CURRENT) {
                return Ok(Tried::Done(written.version_id));
            }
            return match self.label(CURRENT, Some(&written.version_id), base.version).await {
                Ok(()) => Ok(Tried::Done(written.version_id)),
                Err(fail) if fail.has_code("InvalidParameterException") => Ok(Tried::Overtaken),
                Err(fail) => Err(fail.into()),
            };
        }
        let message = "AWS keeps other values under the ids that this key's version would have";
        Err(PutError::Refused(self.error(SinkFault::Conflict, message)))
    }

    async fn create(&self, key: Option<&KeyId>, secret: &str) -> Result<Tried, PutError> {
        let settings = self.settings;
        let part = self.field().map_or(token::Of::Text, token::Of::Field);
        let version = token::of(key, part, None, 0);
        let value = self.part().set(None, secret).map_err(|error| PutError::Refused(self.located(error)))?;
        let body = Write {
            name: Some(&settings.secret),
            client_request_token: &version,
            secret_string: Some(&value),
            kms_key_id: settings.kms_key_id.as_deref(),
            description: settings.description.as_deref(),
            tags: Some(Tag::of_new(&settings.tags)),
            ..Write::default()
        };
        match self.session().call::<Done>("CreateSecret", &body).await {
            Ok(_) => {
                self.wait_until(|described| described.current() == Some(&version)).await;
                Ok(Tried::Done(version))
            }
            Err(fail) if fail.has_code("ResourceExistsException") => Ok(Tried::Overtaken),
            Err(fail) => Err(fail.into()),
        }
    }

    /// Waits until AWS shows what it said it did, as long as is usual.
    async fn wait_until(&self, is_shown: impl Fn(&Described) -> bool) {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            match self.describe().await {
                Ok(Some(described)) if is_shown(&described) => return,
                Ok(_) => tokio::time::sleep(PAUSE).await,
                Err(_) => return,
            }
        }
    }

    async fn restore(&self) -> Result<(), PutError> {
        let body = json!({ "SecretId": self.settings.secret });
        self.session().call::<Done>("RestoreSecret", &body).await.map_err(looked)?;
        self.wait_until(|described| described.deleted_date.is_none()).await;
        Ok(())
    }

    async fn try_put(&self, put: &Put<'_>) -> Result<Tried, PutError> {
        let secret = put.secret.expose();
        let key = KeyId::of_secret(secret);
        let Some(described) = self.describe().await.map_err(looked)? else {
            self.missing().map_err(PutError::Refused)?;
            self.may_replace(&SinkContent::Empty, put)?;
            return self.create(key.as_ref(), secret).await;
        };
        if let Some(obstacle) = self.obstacle(&described) {
            return Err(PutError::Refused(obstacle));
        }
        if described.deleted_date.is_some() {
            self.may_replace(&SinkContent::Empty, put)?;
            self.restore().await?;
        }
        let base = self.base(&described).await.map_err(looked)?;
        if self.is_same(&base, secret).await? {
            return Ok(Tried::Done(base.version.unwrap_or_default().to_string()));
        }
        // What was deleted counts for nothing.
        if described.deleted_date.is_none() {
            self.may_replace(&base.holds, put)?;
        }
        let content = self.edited(&base, secret).map_err(PutError::Refused)?;
        let tried = self.replace(&base, key.as_ref(), &content).await?;
        if let Tried::Done(_) = tried {
            self.keep_retiring(&base).await;
        }
        Ok(tried)
    }

    fn may_replace(&self, holds: &SinkContent, put: &Put<'_>) -> Result<(), PutError> {
        may_replace(holds, put.secret.expose(), Some(put.replaces))
            .map_err(|message| PutError::Refused(self.error(SinkFault::Conflict, &message)))
    }

    /// The value with the secret in it, of the kind that it was.
    fn edited(&self, base: &Base<'_>, secret: &str) -> Result<Content, SinkError> {
        let text = match &base.content {
            None => None,
            Some(Content::Text(text) | Content::Bytes(text)) => Some(text.as_str()),
            Some(Content::Other) if self.field().is_some() => {
                return Err(self.error(SinkFault::Invalid, "its value is bytes, and no JSON object"));
            }
            Some(Content::Other) => None,
        };
        let set = self.part().set(text, secret).map_err(|error| self.located(error))?;
        Ok(if base.is_bytes { Content::Bytes(set) } else { Content::Text(set) })
    }

    /// Labels the version that had the key until now. It is no part of the delivery: without the label AWS keeps that version
    /// until the next change all the same.
    async fn keep_retiring(&self, base: &Base<'_>) {
        let (Some(version), SinkContent::Key(_)) = (base.version, &base.holds) else { return };
        let label = self.retiring();
        let holder = base.described.holder_of(&label);
        if holder == Some(version) {
            return;
        }
        if let Err(fail) = self.label(&label, Some(version), holder).await {
            tracing::warn!(
                "the version before was not labelled `{label}`: {}",
                SinkError::from(fail).message
            );
        }
    }

    fn retiring(&self) -> String {
        match self.field() {
            None => RETIRING.to_string(),
            Some(field)
                if field.len() <= 100
                    && field.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c)) =>
            {
                format!("{RETIRING}-{field}")
            }
            Some(field) => format!("{RETIRING}-{}", token::word(token::Of::Field(field))),
        }
    }

    async fn delete(&self) -> Result<(), SinkError> {
        // For as long as AWS lets it be restored.
        let body = json!({ "SecretId": self.settings.secret, "RecoveryWindowInDays": 30 });
        match self.session().call::<Done>("DeleteSecret", &body).await {
            Ok(_) => Ok(()),
            Err(fail) if fail.has_code("ResourceNotFoundException") => Ok(()),
            Err(fail) => Err(fail.into()),
        }
    }

    /// Takes the field out of its document; `false` where something else is current by now.
    async fn try_clear(&self, described: &Described) -> Result<bool, SinkError> {
        let Some(version) = described.current() else { return Ok(true) };
        let content = self.read(version).await?;
        if matches!(self.held_in(&content)?, Held::Nothing) {
            return Ok(true);
        }
        let clear = |text: &Zeroizing<String>| self.part().clear(text).map_err(|error| self.located(error));
        let left = match &content {
            Content::Text(text) => clear(text)?.map(Content::Text),
            Content::Bytes(text) => clear(text)?.map(Content::Bytes),
            Content::Other => {
                return Err(self.error(SinkFault::Invalid, "its value is bytes, and no JSON object"));
            }
        };
        let left = match left {
            Some(left) => left,
            None if described.is_own() => return self.delete().await.map(|()| true),
            None => match content {
                Content::Bytes(_) => Content::Bytes(Zeroizing::new("{}".to_string())),
                Content::Text(_) | Content::Other => Content::Text(Zeroizing::new("{}".to_string())),
            },
        };
        let is_bytes = matches!(left, Content::Bytes(_));
        let base =
            Base { described, version: Some(version), content: None, is_bytes, holds: SinkContent::Other };
        match self.replace(&base, None, &left).await {
            Ok(Tried::Done(_)) => {}
            Ok(Tried::Overtaken) => return Ok(false),
            Err(PutError::Refused(error) | PutError::NoRoom(error) | PutError::Unclear(error)) => {
                return Err(error);
            }
        }
        let label = self.retiring();
        if let Some(holder) = described.holder_of(&label)
            && let Err(fail) = self.label(&label, None, Some(holder)).await
        {
            tracing::warn!("the label `{label}` was not taken off: {}", SinkError::from(fail).message);
        }
        Ok(true)
    }

    /// Asks for a write that changes nothing: the current value under its own id, and a label taken off that is not on.
    async fn try_nothing(&self, version: &str) -> Result<Option<&'static str>, Fail> {
        let content = match self.read(version).await {
            Ok(content) => content,
            Err(fail) if fail.is_forbidden() => {
                return Ok(Some(
                    "its value may not be read, and only a write with it shows that it may be written",
                ));
            }
            Err(fail) => return Err(fail),
        };
        if matches!(content, Content::Other) {
            return Ok(Some("its value is bytes that are no text, which are not written to try it out"));
        }
        self.write(version, &content, None).await?;
        match self.label("gridkey-check", None, Some(version)).await {
            Ok(()) => Ok(None),
            Err(fail) if fail.has_code("InvalidParameterException") => Ok(None),
            Err(fail) => Err(fail),
        }
    }
}

impl Described {
    fn is_own(&self) -> bool {
        self.tags.as_deref().is_some_and(Tag::are_own)
    }

    fn current(&self) -> Option<&str> {
        self.holder_of(CURRENT)
    }

    /// The version that has a label.
    fn holder_of(&self, label: &str) -> Option<&str> {
        let versions = self.version_ids_to_stages.as_ref()?;
        let holder = versions.iter().find(|(_, labels)| labels.iter().any(|one| one == label));
        holder.map(|(version, _)| version.as_str())
    }
}

#[async_trait]
impl Adapter for SecretsManager<'_> {
    async fn check(&self) -> Result<Readiness, SinkError> {
        let Some(described) = self.describe().await? else {
            self.missing()?;
            let reason = "the secret is not there yet, and only making it shows that it may be made";
            return Ok(Readiness::Plausible(reason.to_string()));
        };
        if let Some(obstacle) = self.obstacle(&described) {
            return Err(obstacle);
        }
        if described.deleted_date.is_some() {
            let reason =
                "the secret is scheduled for deletion, and only restoring it shows that it may be restored";
            return Ok(Readiness::Plausible(reason.to_string()));
        }
        let Some(version) = described.current() else {
            let reason = "the secret has no value yet, and only a write shows that it may be written";
            return Ok(Readiness::Plausible(reason.to_string()));
        };
        Ok(match self.try_nothing(version).await? {
            None => Readiness::Proven,
            Some(reason) => Readiness::Plausible(reason.to_string()),
        })
    }

    async fn held(&self) -> Result<Held, SinkError> {
        let Some(described) = self.describe().await? else {
            self.missing()?;
            return Ok(Held::Nothing);
        };
        if described.deleted_date.is_some() {
            return if described.is_own() { Ok(Held::Nothing) } else { Err(self.remembered()) };
        }
        match described.current() {
            None => Ok(Held::Nothing),
            Some(version) => self.held_in(&self.read(version).await?),
        }
    }

    async fn observe(&self, known: Option<&Known>) -> Result<SinkContent, SinkError> {
        let Some(described) = self.describe().await? else {
            self.missing()?;
            return Ok(SinkContent::Empty);
        };
        if described.deleted_date.is_some() {
            return if described.is_own() { Ok(SinkContent::Empty) } else { Err(self.remembered()) };
        }
        let Some(version) = described.current() else { return Ok(SinkContent::Empty) };
        // A version's value never changes.
        if let Some(known) = known.filter(|known| known.receipt.as_str() == version) {
            return Ok(SinkContent::Key(known.id.clone()));
        }
        if let Some((key, _)) = self.told_by(version) {
            return Ok(SinkContent::Key(key));
        }
        Ok(self.held_in(&self.read(version).await?)?.content())
    }

    async fn caveats(&self) -> Vec<SinkCaveat> {
        let Ok(Some(described)) = self.describe().await else { return Vec::new() };
        if let Some(obstacle) = self.obstacle(&described) {
            return vec![SinkCaveat::NotWritable(obstacle.with_help())];
        }
        match described.rotation_enabled {
            Some(true) => {
                let reason = self
                    .error(SinkFault::Invalid, "AWS rotates it, and would write over the key")
                    .help("switch its rotation off, or name another secret");
                vec![SinkCaveat::NotWritable(reason.with_help())]
            }
            Some(false) | None => Vec::new(),
        }
    }

    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError> {
        let started = Instant::now();
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_put(&put).await {
                Ok(Tried::Done(version)) => return Ok(Some(Receipt::new(version))),
                Ok(Tried::Overtaken) if tries < ATTEMPTS => tokio::time::sleep(PAUSE).await,
                Ok(Tried::Overtaken) => {
                    let message = "others changed it at each of several tries";
                    return Err(PutError::Refused(self.error(SinkFault::Conflict, message)));
                }
                // It may be what was there a moment ago.
                Err(PutError::Refused(error))
                    if error.fault == SinkFault::Conflict && started.elapsed() < LAG =>
                {
                    tokio::time::sleep(PAUSE).await;
                    tries = 0;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn remove(&self) -> Result<(), SinkError> {
        for _ in 0..ATTEMPTS {
            let Some(described) = self.describe().await? else { return Ok(()) };
            if described.deleted_date.is_some() {
                return Ok(());
            }
            if self.field().is_some() {
                match self.try_clear(&described).await? {
                    true => return Ok(()),
                    false => continue,
                }
            }
            return match described.is_own() {
                true => self.delete().await,
                false if described.current().is_none() => Ok(()),
                false => Err(self
                    .error(SinkFault::Unsupported, "gridkey did not make it, so it is not deleted, and AWS keeps no empty value")
                    .help(format!(
                        "`aws secretsmanager delete-secret --region {} --secret-id {}` deletes it, or give it the tag `managed-by: gridkey`",
                        self.settings.region, self.settings.secret
                    ))),
            };
        }
        Err(self.error(SinkFault::Conflict, "others changed it at each of several tries"))
    }

    fn lag(&self) -> Duration {
        LAG
    }

    /// Six requests, some of which may have to wait.
    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }
}
