//! `github_actions`: secrets of repositories, environments and organisations, of Actions, Dependabot and Codespaces.
//!
//! GitHub never shows a secret. What it shows is when a secret was written last, which is the receipt.

mod api;
mod login;
mod organization;
mod place;
mod seal;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gridkey_core::inventory::SinkContent;
use gridkey_core::sink::{GithubActionsSettings, GithubAuthSettings};
use gridkey_core::{Known, Receipt};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault};
use gridkey_engine::secret::Secret;
use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::adapter::{Adapter, Put};
use crate::format::Held;
use crate::http::{Answer, Unanswered, secret_body};
use crate::kept::Kept;
use crate::machine::Machine;
use api::{Api, Request, is_ours};
use login::Login;
use place::{Owner, Place};
use seal::StoreKey;

/// GitHub asks for a second between two writes.
const PACE: Duration = Duration::from_secs(1);

/// How long what GitHub shows of a secret may trail a write.
const LAG: Duration = Duration::from_secs(60);

/// How often a secret is looked at for the time of a write that was just made.
const LOOKS: u32 = 3;

type LoginKey = (Option<String>, Option<GithubAuthSettings>);

/// What is kept between calls.
#[derive(Default)]
pub(crate) struct Github {
    logins: Kept<LoginKey, Login>,
    /// When the last write ended; held while one is under way.
    written: Mutex<Option<Instant>>,
}

/// One secret.
pub(crate) struct GithubAdapter<'a> {
    kept: &'a Github,
    api: Api<'a>,
    settings: &'a GithubActionsSettings,
    place: Place<'a>,
    /// GitHub keeps names in upper case.
    name: String,
}

/// What GitHub shows of a secret.
#[derive(Deserialize)]
struct Shown {
    updated_at: String,
    /// Of an organisation's.
    visibility: Option<String>,
}

/// What GitHub shows of a repository.
#[derive(Deserialize)]
struct Repository {
    #[serde(default)]
    archived: bool,
    permissions: Option<Permissions>,
}

/// What a person may do with it whose token it is.
#[derive(Deserialize)]
struct Permissions {
    #[serde(default)]
    push: bool,
}

/// What a secret is written with.
#[derive(Serialize)]
struct Sealed<'a> {
    encrypted_value: String,
    key_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    selected_repository_ids: Option<Vec<Value>>,
}

/// Which repositories see an organisation's secret; nothing for all other secrets.
#[derive(Default)]
struct Sight {
    visibility: Option<String>,
    selected_repository_ids: Option<Vec<u64>>,
}

impl Github {
    /// Waits for the writes before this one, and a moment longer. The next one waits for what is given back.
    async fn turn(&self) -> MutexGuard<'_, Option<Instant>> {
        let written = self.written.lock().await;
        if let Some(last) = *written {
            tokio::time::sleep_until(last + PACE).await;
        }
        written
    }
}

impl<'a> GithubAdapter<'a> {
    /// `None` where the settings do not say whose secret it is.
    pub fn new(kept: &'a Github, machine: &'a Machine, settings: &'a GithubActionsSettings) -> Option<Self> {
        let place = Place::of(settings)?;
        let api = Api::new(kept, machine, settings, place);
        Some(Self { kept, api, settings, place, name: settings.secret.to_ascii_uppercase() })
    }

    fn what(&self, doing: &str) -> String {
        format!("{doing} the secret `{}` of {}", self.name, self.place.owner)
    }

    /// The public key of the very store. That there is one shows that its owner is there.
    async fn store_key(&self) -> Result<StoreKey, SinkError> {
        let answer = self.api.look(&self.place.public_key()).await?;
        match answer.status {
            200 => answer.json(),
            _ => Err(self.api.error(&answer, &format!("fetching the public key of {}", self.place.owner))),
        }
    }

    /// What GitHub shows of the secret; `None` where there is none, or where its owner is not there.
    async fn shown(&self) -> Result<Option<Shown>, SinkError> {
        let answer = self.api.look(&self.place.secret(&self.name)).await?;
        match answer.status {
            200 => answer.json().map(Some),
            404 if is_ours(&answer) => Ok(None),
            _ => Err(self.api.error(&answer, &self.what("looking at"))),
        }
    }

    async fn repository(&self) -> Result<Option<Repository>, SinkError> {
        let Some(path) = self.place.repository() else { return Ok(None) };
        let answer = self.api.look(&path).await?;
        match answer.status {
            200 => answer.json().map(Some),
            _ => Err(self.api.error(&answer, &format!("looking at {}", self.place.owner))),
        }
    }

    /// Tells where it was written since by another than gridkey. It is written all the same: it is gridkey's by the
    /// manifest, and GitHub does not compare.
    fn tell_of_others(&self, known: Option<&Known>, shown: Option<&Shown>) {
        let Some(known) = known else { return };
        let (secret, owner) = (&self.name, self.place.owner);
        match shown {
            None => {
                tracing::warn!(%secret, %owner, "the secret was deleted by another program since gridkey wrote it")
            }
            Some(shown) if is_later_than(&shown.updated_at, known.receipt.as_str()) => tracing::warn!(
                %secret,
                %owner,
                written = %known.receipt.as_str(),
                changed = %shown.updated_at,
                "the secret was changed by another program since gridkey wrote it; it is overwritten"
            ),
            Some(_) => {}
        }
    }

    /// Seals the secret and sends it. A public key that was replaced meanwhile is fetched again, once.
    async fn write(&self, secret: &Secret, key: StoreKey, sight: &Sight) -> Result<(), PutError> {
        let answer = self.send(secret, &key, sight).await?;
        if answer.status == 422 {
            let other = self.store_key().await.map_err(PutError::Refused)?;
            if other.key_id != key.key_id {
                return self.outcome(&self.send(secret, &other, sight).await?);
            }
        }
        self.outcome(&answer)
    }

    async fn send(&self, secret: &Secret, key: &StoreKey, sight: &Sight) -> Result<Answer, PutError> {
        let body = secret_body(&Sealed {
            encrypted_value: key.seal(secret).map_err(PutError::Refused)?,
            key_id: &key.key_id,
            visibility: sight.visibility.as_deref(),
            selected_repository_ids: sight
                .selected_repository_ids
                .as_ref()
                .map(|ids| self.place.numbers(ids)),
        });
        Ok(self.change(Method::PUT, Some(body)).await?)
    }

    /// A request that changes the secret, in its turn.
    async fn change(&self, method: Method, body: Option<Bytes>) -> Result<Answer, Unanswered> {
        let path = self.place.secret(&self.name);
        let mut written = self.kept.turn().await;
        let answer = self.api.ask(&Request { method, path: &path, query: "", body }).await;
        *written = Some(Instant::now());
        answer
    }

    fn outcome(&self, answer: &Answer) -> Result<(), PutError> {
        let is_done = match answer.status {
            201 => answer.body.is_empty() || answer.json::<serde_json::Map<String, Value>>().is_ok(),
            204 => answer.body.is_empty(),
            _ => false,
        };
        if is_done {
            return Ok(());
        }
        let error = self.api.error(answer, &self.what("writing"));
        Err(match error.fault.is_definite() {
            true => PutError::Refused(error),
            false => PutError::Unclear(error),
        })
    }

    /// When GitHub says that it was written; nothing where it still shows the time of the write before.
    async fn receipt(&self, before: Option<&Shown>) -> Option<Receipt> {
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(PACE).await;
            }
            match self.shown().await {
                Ok(Some(after)) if before.is_none_or(|before| before.updated_at != after.updated_at) => {
                    return Some(Receipt::new(after.updated_at));
                }
                Ok(_) => {}
                // It was written, and that is what counts.
                Err(error) => {
                    tracing::debug!(%error, "the time of the write could not be read");
                    return None;
                }
            }
        }
        None
    }

    /// Whether the token says of itself that it may write.
    async fn readiness(&self, scopes: Option<&str>) -> Result<Readiness, SinkError> {
        let forbidden =
            |message: String| Err(SinkError::new(SinkFault::Forbidden, message).help(self.place.need()));
        let owner = self.place.owner;
        if let Some(permissions) = &self.api.login().await?.permissions {
            let has = |name: &&&str| permissions.get(**name).is_some_and(|right| right == "write");
            let needed = self.place.permissions();
            return match needed.iter().filter(has).count() {
                count if count == needed.len() => Ok(Readiness::Proven),
                0 => forbidden(format!("the app may not write secrets of {owner}")),
                _ => Ok(Readiness::Plausible(format!(
                    "the app has one of the permissions `{}`, and GitHub does not say which of them it asks for",
                    needed.join("` and `")
                ))),
            };
        }
        let scope = self.place.classic_scope();
        match scopes {
            Some(scopes) if scopes.split(',').any(|one| one.trim() == scope) => Ok(Readiness::Proven),
            Some(_) => {
                forbidden(format!("the token lacks the scope `{scope}`, which secrets of {owner} need"))
            }
            None => Ok(Readiness::Plausible(
                "a token that is not a classic one does not tell what it may do".to_string(),
            )),
        }
    }
}

#[async_trait]
impl Adapter for GithubAdapter<'_> {
    /// An app and a classic token say themselves what they may do; other tokens do not.
    async fn check(&self) -> Result<Readiness, SinkError> {
        if let Some(repository) = self.repository().await? {
            let owner = self.place.owner;
            if repository.archived {
                let message = format!("{owner} is archived, and can only be read");
                return Err(SinkError::new(SinkFault::Forbidden, message)
                    .help("unarchive the repository, or take the sink from the key"));
            }
            let is_app = self.api.login().await?.permissions.is_some();
            if !is_app && repository.permissions.is_some_and(|permissions| !permissions.push) {
                let message = format!("the owner of the token may only read {owner}");
                return Err(SinkError::new(SinkFault::Forbidden, message)
                    .help("secrets are written by those who may write to the repository"));
            }
        }
        let path = self.place.public_key();
        let answer = self.api.look(&path).await?;
        if answer.status != 200 {
            return Err(self.api.error(&answer, &format!("fetching the public key of {}", self.place.owner)));
        }
        answer.json::<StoreKey>()?;
        let shown = self.shown().await?;
        self.sight(shown.as_ref()).await?;
        self.readiness(answer.header("x-oauth-scopes")).await
    }

    async fn held(&self) -> Result<Held, SinkError> {
        Err(SinkError::unsupported("GitHub never shows a secret"))
    }

    /// By the time of the last write, which is all that GitHub shows.
    async fn observe(&self, known: Option<&Known>) -> Result<SinkContent, SinkError> {
        let Some(known) = known else { return self.held().await.map(|held| held.content()) };
        match self.shown().await? {
            // There is none, if its owner is there.
            None => self.store_key().await.map(|_| SinkContent::Empty),
            Some(shown) if shown.updated_at == known.receipt.as_str() => {
                Ok(SinkContent::Key(known.id.clone()))
            }
            Some(shown) if is_later_than(&shown.updated_at, known.receipt.as_str()) => Ok(SinkContent::Other),
            Some(shown) => Err(SinkError::failed(format!(
                "GitHub shows the time {} for the write of {}, which may trail",
                shown.updated_at,
                known.receipt.as_str()
            ))),
        }
    }

    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError> {
        // First, as it shows that the owner of the secret is there.
        let key = self.store_key().await.map_err(PutError::Refused)?;
        let before = self.shown().await.map_err(PutError::Refused)?;
        self.tell_of_others(put.known, before.as_ref());
        let sight = self.sight(before.as_ref()).await.map_err(PutError::Refused)?;
        self.write(put.secret, key, &sight).await?;
        Ok(self.receipt(before.as_ref()).await)
    }

    async fn remove(&self) -> Result<(), SinkError> {
        let answer = self.change(Method::DELETE, None).await?;
        match answer.status {
            204 => Ok(()),
            // There is none, if its owner is there.
            404 if is_ours(&answer) => self.store_key().await.map(drop),
            _ => Err(self.api.error(&answer, &self.what("removing"))),
        }
    }

    fn lag(&self) -> Duration {
        LAG
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(45)
    }
}

/// Whether a time is later than another by more than what GitHub shows may trail.
fn is_later_than(time: &str, other: &str) -> bool {
    match (time.parse::<Timestamp>(), other.parse::<Timestamp>()) {
        (Ok(time), Ok(other)) => time.duration_since(other).unsigned_abs() > LAG && time > other,
        // What cannot be compared is told where it is another.
        _ => time != other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_later_when_it_cannot_be_the_lag() {
        let ours = "2026-11-29T12:00:00Z";
        for (time, is_later) in [
            (ours, false),
            ("2026-11-29T12:01:00Z", false),
            ("2026-11-29T12:01:01Z", true),
            ("2026-11-29T13:01:01+01:00", true),
            ("2026-11-29T11:00:00Z", false),
            ("2027-01-01T00:00:00.5Z", true),
            ("yesterday", true),
        ] {
            assert_eq!(is_later_than(time, ours), is_later, "{time}");
        }
    }
}
