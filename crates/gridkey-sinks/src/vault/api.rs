//! The requests of KV version 2, and what their answers mean.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use gridkey_core::Receipt;
use gridkey_core::sink::VaultSettings;
use gridkey_engine::ports::{PutError, SinkError, SinkFault};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::login::{Errors, Login, Server, Vaults, is_of_the_api};
use crate::format::Held;
use crate::http::{Answer, secret_body};
use crate::machine::Machine;

/// A server, and the secret in it that is spoken of.
pub(super) struct Api<'a> {
    settings: &'a VaultSettings,
    login: Login<'a>,
    mount: &'a str,
    path: &'a str,
}

/// A version of a secret. Its number begins anew where the secret was deleted whole, so that only both tell it from others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Stamp {
    /// 0 where the secret was never written.
    pub version: u64,
    #[serde(default)]
    created_time: String,
}

/// A look at a secret: its fields and its version, of one answer.
pub(super) struct Seen {
    stamp: Stamp,
    /// The whole answer, where it has fields.
    answer: Option<Answer>,
    field: String,
}

/// What is said of a secret besides its fields.
#[derive(Debug, Deserialize)]
pub(super) struct Meta {
    #[serde(rename = "current_version")]
    version: u64,
    #[serde(default)]
    versions: BTreeMap<String, VersionMeta>,
    #[serde(default)]
    custom_metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    delete_version_after: Option<String>,
    /// OpenBao alone has it.
    #[serde(default)]
    current_metadata_version: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct VersionMeta {
    #[serde(default)]
    created_time: String,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

/// What a write came to.
#[derive(Debug)]
pub(super) enum Wrote {
    Version(Stamp),
    /// Nothing was written: the secret got another version in between.
    Overtaken,
    /// Nothing was written: the secret was deleted in between.
    Gone,
}

/// What a secret's metadata say of its current version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It can be read.
    Live(u64),
    /// There is none, or it is destroyed; writes go on from this number.
    Gone(u64),
    /// It was deleted, or will be by itself: only its reader knows.
    Unknown,
}

/// What a token may do with the secret and with what is said of it.
pub(super) struct Capabilities {
    data: Vec<String>,
    metadata: Vec<String>,
}

/// What a token lacks: capabilities, and the path of a policy that they belong to.
pub(super) struct Lacking {
    pub on: &'static str,
    pub capabilities: &'static str,
}

/// An answer of the API.
#[derive(Deserialize)]
struct Enveloped<T> {
    data: T,
}

/// `data` of an answer to a look.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    data: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
    metadata: Version,
}

#[derive(Deserialize)]
struct Version {
    #[serde(flatten)]
    stamp: Stamp,
    #[serde(default)]
    deletion_time: String,
}

/// The body of a write.
#[derive(Serialize)]
struct Body<'a, T> {
    options: Cas,
    data: &'a T,
}

#[derive(Serialize)]
struct Cas {
    cas: u64,
}

impl<'a> Api<'a> {
    pub async fn new(
        settings: &'a VaultSettings,
        vaults: &'a Vaults,
        machine: &'a Machine,
    ) -> Result<Self, SinkError> {
        let server = Server::new(settings, machine)?;
        let login = Login::new(vaults, machine, server);
        let (mount, path) = (settings.mount.trim_matches('/'), settings.path.trim_matches('/'));
        Ok(Self { settings, login, mount, path })
    }

    /// The secret by its name, for messages.
    fn name(&self) -> String {
        let namespace = self.settings.namespace.as_deref().unwrap_or_default().trim_matches('/');
        let at =
            if namespace.is_empty() { String::new() } else { format!(" of the namespace `{namespace}`") };
        format!("`{}/{}`{at}", self.mount, self.path)
    }

    /// The path of an endpoint of the mount for the secret.
    fn endpoint(&self, endpoint: &str) -> String {
        format!("{}/{endpoint}/{}", self.mount, self.path)
    }

    /// The version that this run wrote last.
    pub fn written(&self) -> u64 {
        self.login.written(&self.endpoint("data"))
    }

    /// That the mount is one of KV version 2; nothing where the server does not tell.
    pub async fn mount(&self) -> Result<Option<()>, SinkError> {
        #[derive(Deserialize)]
        struct Mount {
            path: String,
            #[serde(rename = "type")]
            kind: String,
            options: Option<BTreeMap<String, String>>,
        }
        if self.login.knows_mount(self.mount) {
            return Ok(Some(()));
        }
        let path = format!("sys/internal/ui/mounts/{}", self.mount);
        let answer = self.login.ask(Method::GET, &path, None).await?;
        if answer.status == 403 && is_of_the_api(&answer) {
            // So is a mount that is not there; the next request tells.
            return Ok(None);
        }
        let Enveloped { data: mount } =
            self.success::<Enveloped<Mount>>(&answer, "asking for the mount of")?;
        let version = mount.options.as_ref().and_then(|options| options.get("version"));
        if mount.path.trim_matches('/') != self.mount {
            let found = mount.path.trim_matches('/');
            let message = format!("there is no mount `{}`, but `{found}`", self.mount);
            let behind = self.mount.strip_prefix(found).map(|rest| rest.trim_matches('/'));
            let help = match behind {
                Some("data" | "metadata") => {
                    format!(
                        "set `mount: {found}`: `data/` and `metadata/` are put in front of the path by gridkey"
                    )
                }
                Some(_) | None => format!("set `mount: {found}`, and begin the path with what is behind it"),
            };
            return Err(SinkError::new(SinkFault::ContainerMissing, message).help(help));
        }
        match (mount.kind.as_str(), version.map(String::as_str)) {
            ("kv" | "generic", Some("2")) => {
                self.login.learns_mount(self.mount);
                Ok(Some(()))
            }
            ("kv" | "generic", _) => Err(SinkError::new(
                SinkFault::Unsupported,
                format!("the mount `{}` is of KV version 1, which has no versions to compare", self.mount),
            )
            .help(format!(
                "name a mount of version 2, or upgrade it: `vault kv enable-versioning {}`",
                self.mount
            ))),
            (kind, _) => Err(SinkError::new(
                SinkFault::Unsupported,
                format!("the mount `{}` is of the type `{kind}`, and not `kv`", self.mount),
            )
            .help("name a mount of KV version 2")),
        }
    }

    /// The secret, as it is.
    pub async fn data(&self) -> Result<Seen, SinkError> {
        let answer = self.login.ask(Method::GET, &self.endpoint("data"), None).await?;
        let field = self.settings.field.clone();
        match answer.status {
            200 => {
                let (stamp, has_fields) = {
                    let Enveloped { data } = self.success::<Enveloped<Fields<'_>>>(&answer, "reading")?;
                    (data.metadata.stamp, data.data.is_some())
                };
                Ok(Seen { stamp, answer: has_fields.then_some(answer), field })
            }
            404 => {
                // A version that was deleted or destroyed comes with its number.
                if let Ok(Enveloped { data }) = answer.json_borrowed::<Enveloped<Fields<'_>>>() {
                    return Ok(Seen { stamp: data.metadata.stamp, answer: None, field });
                }
                match is_nothing(&answer) {
                    true => Ok(Seen { stamp: Stamp::default(), answer: None, field }),
                    false => Err(self.refusal(&answer, "reading")),
                }
            }
            _ => Err(self.refusal(&answer, "reading")),
        }
    }

    /// What is said of the secret; nothing where it was never written.
    pub async fn meta(&self) -> Result<Option<Meta>, SinkError> {
        let answer = self.login.ask(Method::GET, &self.endpoint("metadata"), None).await?;
        if answer.status == 404 && is_nothing(&answer) {
            return Ok(None);
        }
        Ok(Some(self.success::<Enveloped<Meta>>(&answer, "reading the metadata of")?.data))
    }

    /// Why and when the server ends versions of the secret by itself; nothing where it does not, or does not tell.
    pub async fn end(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Config {
            #[serde(default)]
            delete_version_after: Option<String>,
        }
        // `0s` is how it is written where it is not set.
        let is_set = |time: &Option<String>| {
            time.as_deref().is_some_and(|time| time.contains(|c| matches!(c, '1'..='9')))
        };
        let meta = self.meta().await.ok().flatten();
        if let Some(Meta { delete_version_after: time, .. }) = &meta
            && is_set(time)
        {
            let time = time.as_deref().unwrap_or_default();
            return Some(format!("`delete_version_after` of {} is {time}", self.name()));
        }
        let answer = self.login.ask(Method::GET, &format!("{}/config", self.mount), None).await;
        if let Ok(answer) = answer
            && let Ok(Enveloped { data: Config { delete_version_after: time } }) = answer.json()
            && is_set(&time)
        {
            let time = time.unwrap_or_default();
            return Some(format!("`delete_version_after` of the mount `{}` is {time}", self.mount));
        }
        // What a live version shows is known to all that may read it.
        let seen = self.data().await.ok()?;
        let Enveloped { data } = seen.answer.as_ref()?.json_borrowed::<Enveloped<Fields<'_>>>().ok()?;
        let end = data.metadata.deletion_time;
        (!end.is_empty()).then(|| format!("version {} of {} ends at {end}", seen.version(), self.name()))
    }

    /// What the token may do; nothing where it may not ask.
    pub async fn capabilities(&self) -> Result<Option<Capabilities>, SinkError> {
        let (data, metadata) = (self.endpoint("data"), self.endpoint("metadata"));
        let body = json!({"paths": [data, metadata]});
        let body = Bytes::from(body.to_string());
        let answer = self.login.ask(Method::POST, "sys/capabilities-self", Some(body)).await?;
        if answer.status == 403 && is_of_the_api(&answer) {
            return Ok(None);
        }
        let what = "asking for the capabilities on";
        let Enveloped { data: mut may } =
            self.success::<Enveloped<BTreeMap<String, serde_json::Value>>>(&answer, what)?;
        let mut list = |path: &str| {
            may.remove(path).and_then(|list| serde_json::from_value(list).ok()).unwrap_or_default()
        };
        Ok(Some(Capabilities { data: list(&data), metadata: list(&metadata) }))
    }

    /// Writes the field, or takes it away, where the secret is still as it was seen.
    pub async fn write(&self, seen: &Seen, value: Option<&str>) -> Result<Wrote, PutError> {
        if seen.exists()
            && let Some(wrote) = self.patch(seen.version(), value).await?
        {
            return Ok(wrote);
        }
        let body = seen.with(value);
        let answer = self.login.ask(Method::POST, &self.endpoint("data"), Some(body)).await?;
        self.written_version(&answer, "writing")
    }

    /// The field alone, where the server and the token can do that.
    pub async fn patch(&self, version: u64, value: Option<&str>) -> Result<Option<Wrote>, PutError> {
        let data = BTreeMap::from([(self.settings.field.as_str(), value)]);
        let body = secret_body(&Body { options: Cas { cas: version }, data: &data });
        let answer = self.login.ask(Method::PATCH, &self.endpoint("data"), Some(body)).await?;
        match answer.status {
            // The token may not, or the server is of a time before; a page of a proxy says neither.
            403 | 405 if is_of_the_api(&answer) => Ok(None),
            // It has just been deleted.
            404 if answer.body.is_empty() || is_nothing(&answer) => Ok(Some(Wrote::Gone)),
            _ => self.written_version(&answer, "patching").map(Some),
        }
    }

    /// The version that a write made.
    fn written_version(&self, answer: &Answer, what: &str) -> Result<Wrote, PutError> {
        if answer.is_success() {
            // Version 1 of KV answers 204 to the same request, and stores something else.
            let written = answer.json::<Enveloped<Version>>().map_err(|error| {
                PutError::Unclear(SinkError { message: format!("{what} {}: {error}", self.name()), ..error })
            })?;
            let stamp = written.data.stamp;
            self.login.wrote(&self.endpoint("data"), stamp.version);
            return Ok(Wrote::Version(stamp));
        }
        let error = self.refusal(answer, what);
        if error.fault == SinkFault::Conflict {
            return Ok(Wrote::Overtaken);
        }
        Err(if error.fault.is_definite() { PutError::Refused(error) } else { PutError::Unclear(error) })
    }

    /// Deletes a version that has no field left, where the token may: exactly that one, and it can be had back. An empty
    /// secret is as good where it may not.
    pub async fn tidy(&self, before: &Seen, version: u64) {
        if before.fields() == 1 {
            let body = Bytes::from(json!({"versions": [version]}).to_string());
            let _ = self.login.ask(Method::POST, &self.endpoint("delete"), Some(body)).await;
        }
    }

    /// Sets the fields of the custom metadata that the settings name; others stay.
    pub async fn mark(&self) -> Result<(), SinkError> {
        let wanted = &self.settings.custom_metadata;
        if wanted.is_empty() {
            return Ok(());
        }
        let meta = self.meta().await?;
        let held = meta.as_ref().and_then(|meta| meta.custom_metadata.clone()).unwrap_or_default();
        if wanted.iter().all(|(name, value)| held.get(name) == Some(value)) {
            return Ok(());
        }
        let mut body = json!({"custom_metadata": wanted});
        if let Some(version) = meta.and_then(|meta| meta.current_metadata_version) {
            body["metadata_cas"] = json!(version);
        }
        let answer = self
            .login
            .ask(Method::PATCH, &self.endpoint("metadata"), Some(Bytes::from(body.to_string())))
            .await?;
        if answer.is_success() {
            return Ok(());
        }
        if !matches!(answer.status, 403 | 405) || !is_of_the_api(&answer) {
            return Err(self.refusal(&answer, "patching the metadata of"));
        }
        let mut whole = held;
        whole.extend(wanted.clone());
        body["custom_metadata"] = json!(whole);
        let answer = self
            .login
            .ask(Method::POST, &self.endpoint("metadata"), Some(Bytes::from(body.to_string())))
            .await?;
        if answer.is_success() { Ok(()) } else { Err(self.refusal(&answer, "writing the metadata of")) }
    }

    pub fn conflict(&self, why: &str) -> SinkError {
        SinkError::new(
            SinkFault::Conflict,
            format!("the field `{}` of {}: {why}", self.settings.field, self.name()),
        )
    }

    /// The error for a token that may not do what a put needs.
    pub fn lacks(&self, lacking: &Lacking) -> SinkError {
        let message = format!("the token may not write {}", self.name());
        SinkError::new(SinkFault::Forbidden, message).help(self.policy(lacking))
    }

    fn policy(&self, lacking: &Lacking) -> String {
        let path = self.endpoint(lacking.on);
        format!("its policy needs `path \"{path}\" {{ capabilities = [{}] }}`", lacking.capabilities)
    }

    fn success<'b, T: Deserialize<'b>>(&self, answer: &'b Answer, what: &str) -> Result<T, SinkError> {
        if answer.is_success() { answer.json_borrowed() } else { Err(self.refusal(answer, what)) }
    }

    /// What an answer that is no success means.
    fn refusal(&self, answer: &Answer, what: &str) -> SinkError {
        let is_of_metadata = what.contains("metadata");
        let what = format!("{what} {}", self.name());
        let Ok(Errors { errors }) = answer.json::<Errors>() else {
            return not_the_api(answer, &what);
        };
        let said = errors.join("; ");
        let error = answer.error(&what, &said);
        let missing =
            |help: String| SinkError { fault: SinkFault::ContainerMissing, ..error.clone() }.help(help);
        if said.contains("namespace not found") {
            let namespace = self.settings.namespace.as_deref().unwrap_or_default();
            return missing(format!("there is no namespace `{namespace}`, or this server has none"));
        }
        if answer.status == 404 && said.contains("no handler for route") {
            return missing(format!("there is no mount `{}`", self.mount));
        }
        if said.contains("check-and-set parameter did not match") {
            return SinkError { fault: SinkFault::Conflict, ..error };
        }
        match error.fault {
            SinkFault::Forbidden => {
                let lacking = match is_of_metadata {
                    true => Lacking { on: "metadata", capabilities: "\"read\", \"patch\"" },
                    false => {
                        Lacking { on: "data", capabilities: "\"create\", \"update\", \"patch\", \"read\"" }
                    }
                };
                error.help(format!(
                    "{}; a mount that is not there and a token that has ended are answered alike",
                    self.policy(&lacking)
                ))
            }
            SinkFault::Unauthenticated
            | SinkFault::Unreachable
            | SinkFault::ContainerMissing
            | SinkFault::Remembered
            | SinkFault::Conflict
            | SinkFault::Invalid
            | SinkFault::Throttled
            | SinkFault::Unsupported
            | SinkFault::Failed => error,
        }
    }
}

/// The API's words for a secret that was never written; a mount or a namespace that is not there has others.
fn is_nothing(answer: &Answer) -> bool {
    matches!(answer.json::<Errors>(), Ok(Errors { errors }) if errors.is_empty())
}

/// An answer in another shape than the API's: of a proxy, say. It tells nothing of what happened.
fn not_the_api(answer: &Answer, what: &str) -> SinkError {
    match answer.status {
        // A standby that does not pass requests on; nothing was done.
        307 | 308 => {
            let to = answer.header("location").unwrap_or("another server");
            SinkError::new(SinkFault::Invalid, format!("{what}: the server is a standby, and points to {to}"))
                .help("set `address` to the active server, or let standbys pass requests on")
        }
        429 => answer.error(what, ""),
        _ => {
            let message = format!("{what}: answered {} with something that is not Vault's", answer.status);
            SinkError::failed(message)
                .help("see whether `address` is right, and whether there is a proxy in between")
        }
    }
}

impl Stamp {
    /// `NUMBER@TIME`, as the server says the time.
    pub fn receipt(&self) -> Receipt {
        Receipt::new(format!("{}@{}", self.version, self.created_time))
    }

    /// The number in a receipt.
    pub fn number(receipt: &Receipt) -> Option<u64> {
        receipt.as_str().split_once('@')?.0.parse().ok()
    }
}

impl Meta {
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The current version.
    pub fn stamp(&self) -> Stamp {
        let current = self.versions.get(&self.version.to_string());
        let created_time = current.map(|current| current.created_time.clone()).unwrap_or_default();
        Stamp { version: self.version, created_time }
    }

    /// Whether the current version is the one that a receipt was given for.
    pub fn is(&self, receipt: &Receipt) -> bool {
        self.stamp().receipt() == *receipt
    }

    pub fn state(&self) -> State {
        match self.versions.get(&self.version.to_string()) {
            None if self.version == 0 => State::Gone(0),
            Some(version) if version.destroyed => State::Gone(self.version),
            Some(version) if version.deletion_time.is_empty() => State::Live(self.version),
            Some(_) | None => State::Unknown,
        }
    }
}

impl Seen {
    /// A secret that has no fields, at a version.
    pub fn nothing(version: u64, field: &str) -> Self {
        let stamp = Stamp { version, ..Stamp::default() };
        Self { stamp, answer: None, field: field.to_string() }
    }

    pub fn version(&self) -> u64 {
        self.stamp.version
    }

    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Whether there is a secret that is not deleted.
    pub fn exists(&self) -> bool {
        self.answer.is_some()
    }

    fn map(&self) -> Option<BTreeMap<Cow<'_, str>, &RawValue>> {
        let read = self.answer.as_ref()?.json_borrowed::<Enveloped<Fields<'_>>>();
        read.expect("an answer that is kept was read before").data.data
    }

    fn fields(&self) -> usize {
        self.map().map_or(0, |fields| fields.len())
    }

    /// What the field holds.
    pub fn held(&self) -> Held {
        let Some(fields) = self.map() else { return Held::Nothing };
        let Some(value) = fields.get(self.field.as_str()) else { return Held::Nothing };
        match serde_json::from_str::<Option<String>>(value.get()) {
            Ok(Some(text)) => Held::Text(Zeroizing::new(text)),
            Ok(None) => Held::Nothing,
            Err(_) => Held::Other,
        }
    }

    /// The body of a write of the whole secret: every other field byte for byte as it was.
    fn with(&self, value: Option<&str>) -> Bytes {
        let value = value.map(|value| Zeroizing::new(serde_json::to_string(value).expect("text is JSON")));
        let ours: Option<&RawValue> =
            value.as_ref().map(|value| serde_json::from_str(value).expect("it was JSON just now"));
        let mut fields = self.map().unwrap_or_default();
        match ours {
            Some(ours) => fields.insert(Cow::Borrowed(self.field.as_str()), ours),
            None => fields.remove(self.field.as_str()),
        };
        secret_body(&Body { options: Cas { cas: self.version() }, data: &fields })
    }
}

impl Capabilities {
    /// Whether they are enough for a put.
    pub fn suffice(&self, exists: bool, marks: bool) -> Result<(), Lacking> {
        let may = |list: &[String], name: &str| list.iter().any(|one| one == name || one == "root");
        let data = |name: &str| may(&self.data, name);
        let can_write = match exists {
            true => data("patch") || (data("update") && data("read")),
            // A path that was never written is created; one that was deleted is updated.
            false => data("create") && data("update"),
        };
        if !can_write {
            return Err(Lacking { on: "data", capabilities: "\"create\", \"update\", \"patch\", \"read\"" });
        }
        let can_mark =
            may(&self.metadata, "read") && (may(&self.metadata, "patch") || may(&self.metadata, "update"));
        if marks && !can_mark {
            return Err(Lacking { on: "metadata", capabilities: "\"read\", \"patch\"" });
        }
        Ok(())
    }
}
