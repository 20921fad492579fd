//! The requests of Secret Manager, and what its answers say.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gridkey_core::Receipt;
use gridkey_core::sink::GcpSecretManagerSettings;
use gridkey_engine::ports::{PutError, SinkError, SinkFault};
use gridkey_engine::secret::Secret;
use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::login::{Logins, Pass};
use crate::format::Held;
use crate::http::{self, Answer, Tls, Unanswered, secret_body};
use crate::machine::Machine;

/// Secret Manager, about one secret.
pub(super) struct Api<'a> {
    pub machine: &'a Machine,
    pub logins: &'a Logins,
    pub settings: &'a GcpSecretManagerSettings,
}

/// What Secret Manager says of a secret, without its versions.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretResource {
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub etag: String,
    /// When it is deleted with all its versions.
    pub expire_time: Option<String>,
}

/// A version without its value.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub number: u64,
    created: String,
    state: String,
    etag: String,
    checked: bool,
}

/// What becomes of a version that is no longer used.
#[derive(Clone, Copy)]
pub(super) enum End {
    Disable,
    Destroy,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionAnswer {
    name: String,
    #[serde(default)]
    create_time: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    etag: String,
    #[serde(default)]
    client_specified_payload_checksum: bool,
}

#[derive(Deserialize)]
struct Accessed {
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(default)]
    data: String,
    data_crc32c: Option<String>,
}

#[derive(Serialize)]
struct Added<'a> {
    payload: AddedPayload<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AddedPayload<'a> {
    data: &'a str,
    data_crc32c: String,
}

#[derive(Deserialize)]
struct Permissions {
    #[serde(default)]
    permissions: Vec<String>,
}

/// An error in Google's own shape.
#[derive(Deserialize)]
struct Fault {
    error: FaultBody,
}

#[derive(Deserialize)]
struct FaultBody {
    #[serde(default)]
    message: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    details: Vec<Value>,
}

impl Version {
    /// The number alone would also be that of a secret that was deleted and made anew.
    pub fn receipt(&self) -> Receipt {
        Receipt::new(format!("{}@{}", self.number, self.created))
    }

    pub fn is_enabled(&self) -> bool {
        self.state == "ENABLED"
    }
}

/// The version's number in a receipt.
pub(super) fn number_in(receipt: &Receipt) -> Option<u64> {
    receipt.as_str().split('@').next()?.parse().ok()
}

impl Api<'_> {
    /// The place in words, for messages.
    pub fn place(&self) -> String {
        let GcpSecretManagerSettings { project, secret, location, .. } = self.settings;
        match location {
            None => format!("secret `{secret}` of project `{project}`"),
            Some(location) => format!("secret `{secret}` of project `{project}` in `{location}`"),
        }
    }

    /// The secret itself; `None` where the project has none of that name.
    pub async fn secret(&self) -> Result<Option<SecretResource>, SinkError> {
        let answer = self.send(|client, url| client.get(url), "").await?;
        if answer.is_success() {
            return answer.json().map(Some).map_err(|error| self.told(&error));
        }
        let (refusal, status, said) = self.refusal(&answer, "secretmanager.secrets.get");
        // It names the secret only where it knows the project.
        match status.as_str() == "NOT_FOUND" && said.starts_with("Secret [") {
            true => Ok(None),
            false => Err(refusal),
        }
    }

    /// A version by its number, or `latest`; `None` where there is none.
    pub async fn version(&self, version: &str) -> Result<Option<Version>, SinkError> {
        let tail = format!("/versions/{version}");
        let answer = self.send(|client, url| client.get(url), &tail).await?;
        if answer.is_success() {
            return self.read_version(&answer).map(Some);
        }
        let (refusal, status, _) = self.refusal(&answer, "secretmanager.versions.get");
        if status == "NOT_FOUND" { Ok(None) } else { Err(refusal) }
    }

    /// What a version holds; nothing where nobody can read it.
    pub async fn access(&self, number: u64) -> Result<Held, SinkError> {
        let tail = format!("/versions/{number}:access");
        let answer = self.send(|client, url| client.get(url), &tail).await?;
        if !answer.is_success() {
            let (refusal, status, _) = self.refusal(&answer, "secretmanager.versions.access");
            // It was disabled or destroyed since it was looked at.
            return if status == "FAILED_PRECONDITION" { Ok(Held::Nothing) } else { Err(refusal) };
        }
        let accessed: Accessed = answer.json().map_err(|error| self.told(&error))?;
        let data = Zeroizing::new(accessed.payload.data);
        let bytes = BASE64_STANDARD.decode(data.as_bytes()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| self.broken("a value that is not base64"))?;
        let sum = accessed.payload.data_crc32c;
        if sum.is_some_and(|sum| sum != crc32c(&bytes).to_string()) {
            return Err(self.broken("a value that does not fit its checksum"));
        }
        Ok(match std::str::from_utf8(&bytes) {
            Ok(text) => Held::Text(Zeroizing::new(text.to_string())),
            Err(_) => Held::Other,
        })
    }

    /// Makes the secret, without a version. One that has been made meanwhile is as good.
    pub async fn create(&self) -> Result<(), SinkError> {
        let body = self.new_secret();
        let url = self.secrets()?;
        let secret = &self.settings.secret;
        let build =
            |client: &reqwest::Client| client.post(url.clone()).query(&[("secretId", secret)]).json(&body);
        let answer = self.send_to(build).await?;
        if answer.is_success() {
            return Ok(());
        }
        let (refusal, status, said) = self.refusal(&answer, "secretmanager.secrets.create");
        match status.as_str() {
            "ALREADY_EXISTS" => Ok(()),
            _ if said.contains("gcp.resourceLocations") => Err(refusal.help(
                "the organisation's policy `gcp.resourceLocations` restricts where data is kept: set `replication_locations`, or \
                 `location` for a regional secret",
            )),
            _ => Err(refusal),
        }
    }

    fn new_secret(&self) -> Value {
        let GcpSecretManagerSettings {
            location,
            replication_locations,
            kms_key_name,
            labels,
            annotations,
            ..
        } = self.settings;
        let mut body = json!({ "labels": labels, "annotations": annotations });
        let encryption = kms_key_name.as_ref().map(|key| json!({ "kmsKeyName": key }));
        let encrypted = |mut part: Value| {
            if let Some(encryption) = &encryption {
                part["customerManagedEncryption"] = encryption.clone();
            }
            part
        };
        if location.is_some() {
            return encrypted(body);
        }
        body["replication"] = match replication_locations.is_empty() {
            true => json!({ "automatic": encrypted(json!({})) }),
            false => {
                let replicas = replication_locations.iter().map(|at| encrypted(json!({ "location": at })));
                json!({ "userManaged": { "replicas": replicas.collect::<Vec<_>>() } })
            }
        };
        body
    }

    /// Adds a version; what this says is final only where the service says so in its own words.
    pub async fn add(&self, secret: &Secret) -> Result<Version, PutError> {
        let text = secret.expose();
        let data = Zeroizing::new(BASE64_STANDARD.encode(text));
        let sum = crc32c(text.as_bytes()).to_string();
        let body = Added { payload: AddedPayload { data: &data, data_crc32c: sum } };
        let build = |client: &reqwest::Client, url: Url| {
            client.post(url).header("content-type", "application/json").body(secret_body(&body))
        };
        let answer = self.send(build, ":addVersion").await?;
        if !answer.is_success() {
            let (refusal, _, _) = self.refusal(&answer, "secretmanager.versions.add");
            return Err(match refusal.fault.is_definite() {
                true => PutError::Refused(refusal),
                false => PutError::Unclear(refusal),
            });
        }
        let version = self.read_version(&answer).map_err(PutError::Unclear)?;
        match version.checked {
            true => Ok(version),
            false => Err(PutError::Unclear(self.broken("that it did not compare the value's checksum"))),
        }
    }

    /// Nobody can read the version from now on.
    pub async fn end(&self, version: &Version, end: End) -> Result<(), SinkError> {
        let (verb, needs) = match end {
            End::Disable => ("disable", "secretmanager.versions.disable"),
            End::Destroy => ("destroy", "secretmanager.versions.destroy"),
        };
        let tail = format!("/versions/{}:{verb}", version.number);
        let body = json!({ "etag": version.etag });
        let answer = self.send(|client, url| client.post(url).json(&body), &tail).await?;
        if answer.is_success() { Ok(()) } else { Err(self.refusal(&answer, needs).0) }
    }

    /// Writes annotations, if nothing has changed since they were read.
    pub async fn annotate(
        &self,
        annotations: &BTreeMap<String, String>,
        etag: &str,
    ) -> Result<(), SinkError> {
        let body = json!({ "annotations": annotations, "etag": etag });
        let build = |client: &reqwest::Client, url: Url| {
            client.patch(url).query(&[("updateMask", "annotations")]).json(&body)
        };
        let answer = self.send(build, "").await?;
        match answer.is_success() {
            true => Ok(()),
            false => Err(self.refusal(&answer, "secretmanager.secrets.update").0),
        }
    }

    /// Which of these permissions the credential has on the secret. Google says that it may be wrong.
    pub async fn permitted(&self, permissions: &[&str]) -> Result<Vec<String>, SinkError> {
        let body = json!({ "permissions": permissions });
        let answer = self.send(|client, url| client.post(url).json(&body), ":testIamPermissions").await?;
        if !answer.is_success() {
            return Err(self.refusal(&answer, "secretmanager.secrets.get").0);
        }
        let permitted: Permissions = answer.json().map_err(|error| self.told(&error))?;
        Ok(permitted.permissions)
    }

    fn read_version(&self, answer: &Answer) -> Result<Version, SinkError> {
        let read: VersionAnswer = answer.json().map_err(|error| self.told(&error))?;
        let number = read.name.rsplit_once("/versions/").and_then(|(_, number)| number.parse().ok());
        let number = number.ok_or_else(|| self.broken("a version without a number"))?;
        let VersionAnswer { name: _, create_time, state, etag, client_specified_payload_checksum } = read;
        Ok(Version { number, created: create_time, state, etag, checked: client_specified_payload_checksum })
    }

    async fn send(
        &self,
        build: impl Fn(&reqwest::Client, Url) -> RequestBuilder,
        tail: &str,
    ) -> Result<Answer, Unanswered> {
        let last = format!("{}{tail}", self.settings.secret);
        let url = http::below(self.secrets().map_err(Unanswered::NotSent)?, last.split('/'));
        self.send_to(|client| build(client, url.clone())).await
    }

    /// Sends a request, and logs in once more where the login has ended.
    async fn send_to(
        &self,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Answer, Unanswered> {
        let client = self.machine.http.client(&Tls::default()).map_err(Unanswered::NotSent)?;
        let mut is_first = true;
        loop {
            let pass = self.logins.pass(self.machine, self.settings).await.map_err(Unanswered::NotSent)?;
            let answer = http::send(|| authorised(build(&client), &pass)).await.map_err(|unanswered| {
                let at = |error: SinkError| SinkError {
                    message: format!("{}: {}", self.place(), error.message),
                    ..error
                };
                match unanswered {
                    Unanswered::NotSent(error) => Unanswered::NotSent(at(error)),
                    Unanswered::Lost(error) => Unanswered::Lost(at(error)),
                }
            })?;
            if answer.status != 401 || !is_first {
                return Ok(answer);
            }
            self.logins.forget(self.settings, &pass).await;
            is_first = false;
        }
    }

    /// The address of the project's secrets.
    fn secrets(&self) -> Result<Url, SinkError> {
        let GcpSecretManagerSettings { project, location, endpoint, .. } = self.settings;
        let host = match (endpoint, location) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, None) => "https://secretmanager.googleapis.com".to_string(),
            (None, Some(location)) => format!("https://secretmanager.{location}.rep.googleapis.com"),
        };
        let mut path = vec!["v1", "projects", project];
        if let Some(location) = location {
            path.extend(["locations", location]);
        }
        path.push("secrets");
        Ok(http::below(http::url(&host)?, path))
    }

    /// What an answer that is no success says: the error, and Google's own status and words.
    fn refusal(&self, answer: &Answer, needs: &str) -> (SinkError, String, String) {
        let Ok(Fault { error: FaultBody { message, status, details } }) = answer.json::<Fault>() else {
            let refusal = answer.foreign(&self.place(), "not in Google's own words");
            return (refusal, String::new(), String::new());
        };
        let mut refusal = answer.error(&self.place(), &message);
        let reason = details.iter().find_map(|detail| detail["reason"].as_str()).unwrap_or_default();
        let project = &self.settings.project;
        refusal = match (answer.status, reason) {
            (403, "SERVICE_DISABLED") => refusal
                .help(format!("turn the service on: `gcloud services enable secretmanager.googleapis.com --project {project}`")),
            (403, "CONSUMER_INVALID") => SinkError { fault: SinkFault::ContainerMissing, ..refusal }
                .help(format!("is there a project `{project}`?")),
            (403, _) => refusal.help(format!("the credential needs the permission `{needs}` on the secret or its project")),
            (401, _) => refusal.help("the login is refused, although it is new"),
            _ => refusal,
        };
        (refusal, status, message)
    }

    fn told(&self, error: &SinkError) -> SinkError {
        SinkError { message: format!("{}: {}", self.place(), error.message), ..error.clone() }
    }

    fn broken(&self, what: &str) -> SinkError {
        SinkError::failed(format!("{}: the service answered {what}", self.place()))
    }
}

fn authorised(request: RequestBuilder, pass: &Pass) -> RequestBuilder {
    let request = request.bearer_auth(&*pass.token);
    match &pass.quota_project {
        Some(project) => request.header("x-goog-user-project", project),
        None => request,
    }
}

/// CRC-32C, by which the service and its clients prove to each other that a value arrived whole.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
