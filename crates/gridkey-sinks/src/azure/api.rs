//! The requests of Key Vault, and what its answers say.

use std::collections::BTreeMap;

use gridkey_core::Receipt;
use gridkey_core::sink::AzureKeyVaultSettings;
use gridkey_engine::ports::{PutError, SinkError, SinkFault};
use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::login::{Challenge, Logins};
use crate::format::Held;
use crate::http::{self, Answer, Tls, Unanswered, secret_body};
use crate::machine::Machine;

/// The version of the service's interface that every cloud has.
const API: &str = "7.4";

/// No secret has more pages of versions than this.
const MOST_PAGES: usize = 40;

/// What the access policies and the roles call each permission.
pub(super) struct Needs {
    policy: &'static str,
    action: &'static str,
}

const GET: Needs = Needs { policy: "get", action: "getSecret/action" };
const LIST: Needs = Needs { policy: "list", action: "readMetadata/action" };
const SET: Needs = Needs { policy: "set", action: "setSecret/action" };
const UPDATE: Needs = Needs { policy: "set", action: "update/action" };
const RECOVER: Needs = Needs { policy: "recover", action: "recover/action" };

/// Key Vault, about one secret.
pub(super) struct Api<'a> {
    pub machine: &'a Machine,
    pub logins: &'a Logins,
    pub settings: &'a AzureKeyVaultSettings,
}

/// A version without its value.
#[derive(Clone, Debug, Default)]
pub(super) struct Version {
    /// Thirty-two digits that no other version has.
    pub id: String,
    pub is_enabled: bool,
    /// In seconds since 1970, as is the end.
    pub created: u64,
    pub ends: Option<u64>,
    pub content_type: Option<String>,
    pub tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: String,
    #[serde(default)]
    attributes: Attributes,
    content_type: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    value: Option<String>,
}

#[derive(Default, Deserialize)]
struct Attributes {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    created: u64,
    exp: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    value: Vec<Item>,
    next_link: Option<String>,
}

/// What a new version is to be.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct New<'a> {
    pub value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<&'a str>,
    pub tags: &'a BTreeMap<String, String>,
    pub attributes: NewAttributes,
}

#[derive(Serialize)]
pub(super) struct NewAttributes {
    pub enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
}

/// An error in Key Vault's own shape.
#[derive(Deserialize)]
struct Fault {
    error: FaultBody,
}

#[derive(Default, Deserialize)]
struct FaultBody {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    innererror: Option<Box<FaultBody>>,
}

/// An answer that is no success.
pub(super) struct Refusal {
    pub error: SinkError,
    /// Key Vault's own word for it, the innermost one.
    pub code: String,
}

impl Version {
    pub fn receipt(&self) -> Receipt {
        Receipt::new(self.id.as_str())
    }
}

impl TryFrom<&Item> for Version {
    type Error = SinkError;

    fn try_from(item: &Item) -> Result<Self, SinkError> {
        let version = item.id.rsplit('/').next().unwrap_or_default();
        if !(version.len() == 32 && version.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            return Err(SinkError::failed("the service answered a version without an id"));
        }
        let Attributes { enabled, created, exp } = item.attributes;
        Ok(Self {
            id: version.to_string(),
            is_enabled: enabled,
            created,
            ends: exp,
            content_type: item.content_type.clone(),
            tags: item.tags.clone(),
        })
    }
}

impl Api<'_> {
    /// The place in words, for messages.
    pub fn place(&self) -> String {
        format!("secret `{}` of {}", self.settings.secret, self.settings.vault)
    }

    /// All versions, the newest first; none where there is no such secret.
    pub async fn versions(&self) -> Result<Vec<Version>, SinkError> {
        let mut versions = Vec::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let answer = match &next {
                None => {
                    self.send(|client, url| client.get(url), &["secrets", &self.settings.secret, "versions"])
                        .await?
                }
                Some(next) => self.send_to(|client| client.get(Url::clone(next))).await?,
            };
            if !answer.is_success() {
                let refusal = self.refusal(&answer, &LIST);
                return if refusal.code == "SecretNotFound" { Ok(Vec::new()) } else { Err(refusal.error) };
            }
            let page: Page = self.read(&answer)?;
            for item in &page.value {
                versions.push(Version::try_from(item).map_err(|error| self.told(&error))?);
            }
            match page.next_link.filter(|link| !link.is_empty()) {
                Some(link) => next = Some(self.further(&link)?),
                None => {
                    versions.sort_by_key(|version| std::cmp::Reverse(version.created));
                    return Ok(versions);
                }
            }
        }
        Err(SinkError::failed(format!("{}: it has too many versions to list", self.place())))
    }

    /// The next page of a list, which is on the same server: a token goes nowhere else.
    fn further(&self, link: &str) -> Result<Url, SinkError> {
        let vault = self.vault()?;
        let path = Url::parse(link).ok().filter(|url| url.path().starts_with("/secrets/"));
        let mut url = path.ok_or_else(|| {
            self.told(&SinkError::failed("the service answered a list without a next page"))
        })?;
        // A proxy in between has an address of its own.
        let _ = url.set_scheme(vault.scheme());
        let set = url.set_host(vault.host_str()).is_ok() && url.set_port(vault.port()).is_ok();
        assert!(set, "an address that was parsed can be that of another one");
        Ok(url)
    }

    /// The version that programs get, and what it holds; nothing where there is none, or it was disabled.
    pub async fn current(&self) -> Result<(Option<Version>, Held), SinkError> {
        self.get(&["secrets", &self.settings.secret]).await
    }

    /// What one version holds; nothing where it was disabled.
    pub async fn value(&self, version: &Version) -> Result<Held, SinkError> {
        Ok(self.get(&["secrets", &self.settings.secret, &version.id]).await?.1)
    }

    async fn get(&self, path: &[&str]) -> Result<(Option<Version>, Held), SinkError> {
        let answer = self.send(|client, url| client.get(url), path).await?;
        if !answer.is_success() {
            let refusal = self.refusal(&answer, &GET);
            return match refusal.code.as_str() {
                "SecretNotFound" | "SecretDisabled" => Ok((None, Held::Nothing)),
                _ => Err(refusal.error),
            };
        }
        let mut item: Item = self.read(&answer)?;
        let version = Version::try_from(&item).map_err(|error| self.told(&error))?;
        let value = Zeroizing::new(item.value.take().unwrap_or_default());
        Ok((Some(version), Held::Text(value)))
    }

    /// Adds a version; what this says is final only where the service says so in its own words.
    pub async fn set(&self, new: &New<'_>) -> Result<Version, (PutError, String)> {
        let build = |client: &reqwest::Client, url: Url| {
            client.put(url).header("content-type", "application/json").body(secret_body(new))
        };
        let none = String::new;
        let answer = self.send(build, &["secrets", &self.settings.secret]).await;
        let answer = answer.map_err(|unanswered| (unanswered.into(), none()))?;
        if !answer.is_success() {
            let Refusal { error, code } = self.refusal(&answer, &SET);
            return Err(match error.fault.is_definite() {
                true => (PutError::Refused(error), code),
                false => (PutError::Unclear(error), code),
            });
        }
        let read = self.read::<Item>(&answer).map(|mut item| {
            drop(item.value.take().map(Zeroizing::new));
            Version::try_from(&item).map_err(|error| self.told(&error))
        });
        read.flatten().map_err(|error| (PutError::Unclear(error), none()))
    }

    /// Nobody can read the version from now on.
    pub async fn disable(&self, version: &Version) -> Result<(), SinkError> {
        let body = json!({ "attributes": { "enabled": false } });
        let path = ["secrets", &self.settings.secret, &version.id];
        let answer = self.send(|client, url| client.patch(url).json(&body), &path).await?;
        if answer.is_success() { Ok(()) } else { Err(self.refusal(&answer, &UPDATE).error) }
    }

    /// Whether the secret was deleted, and is remembered; `None` where that may not be asked.
    pub async fn is_remembered(&self) -> Result<Option<bool>, SinkError> {
        let path = ["deletedsecrets", self.settings.secret.as_str()];
        let answer = self.send(|client, url| client.get(url), &path).await?;
        if answer.is_success() {
            // It is described as a secret is, without its value.
            return self.read::<Value>(&answer).map(|_| Some(true));
        }
        let refusal = self.refusal(&answer, &GET);
        match (refusal.code.as_str(), refusal.error.fault) {
            ("SecretNotFound", _) => Ok(Some(false)),
            (_, SinkFault::Forbidden) => Ok(None),
            _ => Err(refusal.error),
        }
    }

    /// Brings a secret back that was deleted; it is there some time later.
    pub async fn recover(&self) -> Result<(), SinkError> {
        let path = ["deletedsecrets", self.settings.secret.as_str(), "recover"];
        let answer = self.send(|client, url| client.post(url), &path).await?;
        if answer.is_success() { Ok(()) } else { Err(self.refusal(&answer, &RECOVER).error) }
    }

    async fn send(
        &self,
        build: impl Fn(&reqwest::Client, Url) -> RequestBuilder,
        path: &[&str],
    ) -> Result<Answer, Unanswered> {
        let mut url = http::below(self.vault().map_err(Unanswered::NotSent)?, path);
        url.query_pairs_mut().append_pair("api-version", API);
        self.send_to(|client| build(client, url.clone())).await
    }

    /// Sends a request, and logs in once more where the login has ended.
    async fn send_to(
        &self,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Answer, Unanswered> {
        let client = self.machine.http.client(&Tls::default()).map_err(Unanswered::NotSent)?;
        let vault = self.vault().map_err(Unanswered::NotSent)?;
        let mut is_first = true;
        loop {
            let challenge = self.challenge(&client, &vault).await.map_err(Unanswered::NotSent)?;
            let token = self.logins.token(self.machine, self.settings, &challenge).await;
            let token = token.map_err(Unanswered::NotSent)?;
            let answer = http::send(|| build(&client).bearer_auth(&*token)).await;
            let answer = answer.map_err(|unanswered| match unanswered {
                Unanswered::NotSent(error) => Unanswered::NotSent(self.told(&error)),
                Unanswered::Lost(error) => Unanswered::Lost(self.told(&error)),
            })?;
            if answer.status != 401 || !is_first {
                return Ok(answer);
            }
            self.logins.forget(self.machine, self.settings, &vault).await;
            is_first = false;
        }
    }

    /// What the vault demands: it says so to who comes without a token.
    async fn challenge(&self, client: &reqwest::Client, vault: &Url) -> Result<Challenge, SinkError> {
        if let Some(challenge) = self.logins.challenge(vault).await {
            return Ok(challenge);
        }
        let url = http::below(vault.clone(), ["secrets", &self.settings.secret]);
        let send = http::send(|| client.get(url.clone()).query(&[("api-version", API)]));
        let answer = send.await.map_err(|unanswered| self.told(&SinkError::from(unanswered)))?;
        let challenge = answer.header("www-authenticate").and_then(Challenge::parse);
        let Some(challenge) = challenge.filter(|_| answer.status == 401) else {
            let message =
                format!("{}: answered {} and did not say how to log in", self.settings.vault, answer.status);
            // A gateway that is busy or broken says nothing of what is behind it.
            let fault = if answer.status >= 500 { SinkFault::Unreachable } else { answer.fault() };
            return Err(SinkError::new(fault, message).help("is `vault` the address of a key vault?"));
        };
        challenge.fits(vault)?;
        self.logins.learn(vault, challenge.clone()).await;
        Ok(challenge)
    }

    fn vault(&self) -> Result<Url, SinkError> {
        http::url(&self.settings.vault)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, answer: &Answer) -> Result<T, SinkError> {
        answer.json().map_err(|error| self.told(&error))
    }

    /// What an answer that is no success says.
    fn refusal(&self, answer: &Answer, needs: &Needs) -> Refusal {
        let Ok(Fault { error: said }) = answer.json::<Fault>() else {
            let error = answer.foreign(&self.place(), "not in Key Vault's own words");
            return Refusal { error, code: String::new() };
        };
        let inner =
            said.innererror.as_deref().map(|inner| inner.code.clone()).filter(|code| !code.is_empty());
        let words = match &inner {
            Some(inner) => format!("{inner}: {}", said.message),
            None => said.message.clone(),
        };
        let error = answer.error(&self.place(), &words);
        let Needs { policy, action } = needs;
        let error = match (answer.status, inner.as_deref()) {
            (403, Some("ForbiddenByFirewall" | "ForbiddenByConnection")) => {
                error.help("the vault's firewall does not let this machine in")
            }
            (403, _) => error.help(format!(
                "the credential needs the secret permission `{policy}` in the vault's access policy or, where the vault goes by roles, the data action \
                 `Microsoft.KeyVault/vaults/secrets/{action}`; a new assignment takes some minutes"
            )),
            (401, _) => error.help("the login is refused, although it is new"),
            _ => error,
        };
        Refusal { error, code: inner.unwrap_or(said.code) }
    }

    fn told(&self, error: &SinkError) -> SinkError {
        SinkError { message: format!("{}: {}", self.place(), error.message), ..error.clone() }
    }
}
