//! Azure Key Vault: a secret is a list of versions, each with a random id, and the newest of them is what programs read.
//!
//! Nothing compares when a version is added: another one that came in between is noticed by the list of versions, right after.

mod api;
mod login;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gridkey_core::inventory::{SinkCaveat, SinkContent};
use gridkey_core::sink::AzureKeyVaultSettings;
use gridkey_core::{KeyId, Known, Receipt};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault};
use tracing::warn;

use crate::adapter::{Adapter, Put};
use crate::format::{Held, Standing, told_standing};
use crate::machine::Machine;

use self::api::{Api, New, NewAttributes, Version};
pub(crate) use self::login::Logins;

/// The tag that says which key a version holds.
const TAG: &str = "gridkey-key-id";

/// The service takes no more tags.
const MOST_TAGS: usize = 15;

/// How long a list of versions may trail.
const LAG: Duration = Duration::from_secs(5);

/// How long it is waited for a secret that is being brought back.
const RECOVERY: Duration = Duration::from_secs(45);

const PAUSE: Duration = Duration::from_secs(1);

/// A key is delivered by then; what is left to be tidied can wait for the next time.
const TIDY: Duration = Duration::from_secs(15);

/// One secret.
pub(crate) struct AzureAdapter<'a> {
    api: Api<'a>,
}

/// What is there: the versions, and what the newest of them holds.
struct Seen {
    versions: Vec<Version>,
    /// `None` where there is none.
    newest: Option<Version>,
    content: Content,
}

enum Content {
    Value(Held),
    /// The value may not be read, and it is known in another way which key it is.
    Told(SinkContent),
}

impl<'a> AzureAdapter<'a> {
    pub fn new(machine: &'a Machine, logins: &'a Logins, settings: &'a AzureKeyVaultSettings) -> Self {
        Self { api: Api { machine, logins, settings } }
    }

    /// The versions, with the one that gridkey knows where it is still there.
    async fn versions(&self, known: Option<&Known>) -> Result<Vec<Version>, SinkError> {
        let started = Instant::now();
        loop {
            let versions = self.api.versions().await?;
            let trails =
                known.is_some_and(|known| versions.iter().all(|version| version.receipt() != known.receipt));
            if !trails || started.elapsed() > LAG {
                return Ok(versions);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn seen(&self, known: Option<&Known>) -> Result<Seen, SinkError> {
        let versions = self.versions(known).await?;
        let is_newest = |version: &&Version| version.created == versions[0].created;
        // Times are in whole seconds, so that two versions may be the newest.
        let is_told = versions.iter().filter(is_newest).count() == 1;
        if versions.is_empty() {
            return Ok(Seen { versions, newest: None, content: Content::Value(Held::Nothing) });
        }
        if !is_told {
            let (newest, held) = self.api.current().await?;
            return Ok(Seen { versions, newest, content: Content::Value(held) });
        }
        let newest = versions[0].clone();
        let content = self.content(&newest, &versions, known).await?;
        Ok(Seen { versions, newest: Some(newest), content })
    }

    /// What the newest version holds.
    async fn content(
        &self,
        newest: &Version,
        versions: &[Version],
        known: Option<&Known>,
    ) -> Result<Content, SinkError> {
        // Programs get the newest version or an error, so behind one that was disabled nobody sees another.
        if !newest.is_enabled {
            return Ok(Content::Value(Held::Nothing));
        }
        let error = match self.api.value(newest).await {
            Ok(held) => return Ok(Content::Value(held)),
            Err(error) if error.fault == SinkFault::Forbidden => error,
            Err(error) => return Err(error),
        };
        if let Some(known) = known.filter(|known| known.receipt == newest.receipt()) {
            return Ok(Content::Told(SinkContent::Key(known.id.clone())));
        }
        // Other programs that set a value may take the tags over, as this one does.
        let same_tag = |version: &&Version| version.tags.get(TAG) == newest.tags.get(TAG);
        match newest.tags.get(TAG) {
            Some(id) if versions.iter().filter(same_tag).count() == 1 => {
                Ok(Content::Told(SinkContent::Key(KeyId::new(id.as_str()))))
            }
            Some(_) | None => Err(SinkError {
                message: format!("{}; gridkey does not know who wrote the newest version", error.message),
                ..error
            }),
        }
    }

    /// Adds a version that is said of what was said of the one before.
    async fn set(&self, put: Put<'_>, seen: &Seen) -> Result<Version, PutError> {
        let newest = seen.newest.as_ref();
        let is_newest = |version: &&Version| newest.is_some_and(|newest| version.id == newest.id);
        let before = seen.versions.iter().find(is_newest).or(seen.versions.first());
        let settings = self.api.settings;
        let before_type = before.and_then(|before| before.content_type.as_deref());
        let new = New {
            value: put.secret.expose(),
            content_type: settings.content_type.as_deref().or(before_type),
            tags: &self.tags(put, before),
            attributes: NewAttributes { enabled: true, exp: before.and_then(next_end) },
        };
        // Times are in whole seconds, and of two versions of one second nobody could tell which is the newest.
        if before.is_some_and(|before| before.created >= login::now()) {
            tokio::time::sleep(PAUSE).await;
        }
        let started = Instant::now();
        let mut is_recovered = false;
        let set = loop {
            let (error, code) = match self.api.set(&new).await {
                Ok(set) => break set,
                Err(refused) => refused,
            };
            match code.as_str() {
                "ObjectIsDeletedButRecoverable" if settings.recover_soft_deleted != Some(true) => {
                    return Err(PutError::Refused(self.remembered()));
                }
                "ObjectIsDeletedButRecoverable" if !is_recovered => {
                    self.api.recover().await.map_err(PutError::Refused)?;
                    is_recovered = true;
                }
                // Each of these was refused before anything was written.
                "ObjectIsDeletedButRecoverable" | "ObjectIsBeingRecovered" | "ObjectIsBeingDeleted"
                    if started.elapsed() < RECOVERY => {}
                "ObjectIsDeletedButRecoverable" | "ObjectIsBeingRecovered" | "ObjectIsBeingDeleted" => {
                    return Err(PutError::Refused(self.still_recovering()));
                }
                _ => return Err(error),
            }
            tokio::time::sleep(PAUSE).await;
        };
        if is_recovered {
            // What came back with it was there before.
            return Ok(set);
        }
        self.nothing_came_between(&set, seen).await?;
        Ok(set)
    }

    /// The next put finds the key, and is done; until then one beside another program's counts as unclear.
    async fn nothing_came_between(&self, set: &Version, seen: &Seen) -> Result<(), PutError> {
        let Ok(after) = self.api.versions().await else { return Ok(()) };
        let is_foreign = |version: &Version| {
            version.id != set.id && seen.versions.iter().all(|before| before.id != version.id)
        };
        if !after.iter().any(is_foreign) {
            return Ok(());
        }
        let message = format!(
            "{}: another program added a version in the same moment as version {}, which has the key",
            self.api.place(),
            set.id
        );
        let error =
            SinkError::new(SinkFault::Conflict, message).help("see what else writes there, and run again");
        Err(PutError::Unclear(error))
    }

    fn tags(&self, put: Put<'_>, before: Option<&Version>) -> BTreeMap<String, String> {
        let mut tags = before.map(|before| before.tags.clone()).unwrap_or_default();
        tags.extend(self.api.settings.tags.clone());
        // It is of the version before.
        tags.remove(TAG);
        if let Some(id) = put.secret.key_id().filter(|_| tags.len() < MOST_TAGS) {
            tags.insert(TAG.to_string(), id.to_string());
        }
        tags
    }

    fn remembered(&self) -> SinkError {
        let message =
            format!("{}: it was deleted, and the vault remembers it and keeps its name", self.api.place());
        let vault = self.api.settings.vault.trim_end_matches('/');
        SinkError::new(SinkFault::Remembered, message).help(format!(
            "bring it back (`az keyvault secret recover --id {vault}/deletedsecrets/{}`), or set `recover_soft_deleted: true`",
            self.api.settings.secret
        ))
    }

    fn still_recovering(&self) -> SinkError {
        let message =
            format!("{}: it is being brought back or deleted, and that takes its time", self.api.place());
        SinkError::new(SinkFault::Remembered, message).help("run again in some minutes")
    }

    /// Disables versions of keys that came before the one before. A key is delivered without this too.
    async fn tidy(&self, versions: &[Version], id: &KeyId, replaces: &SinkContent) -> Result<(), SinkError> {
        let marked = marked(versions);
        let before = marked.iter().map(|(_, of)| of.clone()).find(|of| of != id);
        for (version, of) in marked {
            let is_used =
                of == *id || Some(&of) == before.as_ref() || SinkContent::Key(of.clone()) == *replaces;
            if !is_used {
                self.end_older(version, &of).await?;
            }
        }
        Ok(())
    }

    /// Disables an older version, if it holds that key indeed: tags can be copied.
    async fn end_older(&self, version: &Version, of: &KeyId) -> Result<(), SinkError> {
        match self.api.value(version).await {
            Ok(held) if held.content() == SinkContent::Key(of.clone()) => self.api.disable(version).await,
            Ok(_) => Ok(()),
            // What may not be looked at stays.
            Err(error) if error.fault == SinkFault::Forbidden => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// `older` are the versions that are there besides the newest.
    async fn tidy_in_time(&self, older: &[Version], put: Put<'_>) {
        let Some(id) = put.secret.key_id() else { return };
        match tokio::time::timeout(TIDY, self.tidy(older, &id, put.replaces)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("the key is delivered, and older versions were not tidied up: {error}"),
            Err(_) => warn!("the key is delivered, and tidying up older versions took too long"),
        }
    }
}

#[async_trait]
impl Adapter for AzureAdapter<'_> {
    /// Key Vault has no way to ask what one may do.
    async fn check(&self) -> Result<Readiness, SinkError> {
        let versions = self.versions(None).await?;
        if versions.is_empty()
            && self.api.is_remembered().await? == Some(true)
            && self.api.settings.recover_soft_deleted != Some(true)
        {
            return Err(self.remembered());
        }
        Ok(Readiness::Plausible(
            "versions may be listed, and Key Vault cannot be asked whether one may be set".to_string(),
        ))
    }

    /// The next version is given an end, too, where the newest one has one.
    async fn caveats(&self) -> Vec<SinkCaveat> {
        let versions = self.api.versions().await.unwrap_or_default();
        let ends = versions.first().and_then(next_end).map(ends_after);
        ends.into_iter().collect()
    }

    async fn held(&self) -> Result<Held, SinkError> {
        Ok(self.api.current().await?.1)
    }

    async fn observe(&self, known: Option<&Known>) -> Result<SinkContent, SinkError> {
        let versions = self.versions(known).await?;
        let is_alone = versions.get(1).is_none_or(|second| second.created < versions[0].created);
        if let (Some(newest), Some(known)) = (versions.first().filter(|_| is_alone), known)
            && newest.is_enabled
            && newest.receipt() == known.receipt
        {
            return Ok(SinkContent::Key(known.id.clone()));
        }
        Ok(match self.seen(None).await?.content {
            Content::Value(held) => held.content(),
            Content::Told(content) => content,
        })
    }

    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError> {
        let seen = self.seen(put.known).await.map_err(PutError::Refused)?;
        let secret = put.secret.expose();
        let standing = match &seen.content {
            Content::Value(held) => held.standing(secret, Some(put.replaces)),
            Content::Told(content) => told_standing(content, secret, put.replaces),
        };
        let standing = standing.map_err(|why| {
            let message = format!("{}: {why}", self.api.place());
            PutError::Refused(SinkError::new(SinkFault::Conflict, message))
        })?;
        let version = match (standing, &seen.newest) {
            (Standing::Same, Some(newest)) => newest.clone(),
            (Standing::Same | Standing::Replaceable, _) => self.set(put, &seen).await?,
        };
        let older: Vec<_> = seen.versions.into_iter().filter(|older| older.id != version.id).collect();
        self.tidy_in_time(&older, put).await;
        Ok(Some(version.receipt()))
    }

    /// The newest version is disabled too, so that the secret gives nothing; the secret itself stays.
    async fn remove(&self) -> Result<(), SinkError> {
        let versions = self.versions(None).await?;
        let Some(newest) = versions.first().map(|newest| newest.created) else { return Ok(()) };
        let (newest, older): (Vec<_>, Vec<_>) =
            versions.into_iter().partition(|version| version.created == newest);
        for (version, of) in marked(&older) {
            self.end_older(version, &of).await?;
        }
        for version in newest.iter().filter(|version| version.is_enabled) {
            self.api.disable(version).await?;
        }
        Ok(())
    }

    fn lag(&self) -> Duration {
        LAG
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(120)
    }
}

/// Versions that can be read, the newest first, with the key that their tags name. A tag that two of them have was copied.
fn marked(versions: &[Version]) -> Vec<(&Version, KeyId)> {
    let marked = versions.iter().filter(|version| version.is_enabled).filter_map(|version| {
        let id = version.tags.get(TAG)?;
        let is_alone = versions.iter().filter(|other| other.tags.get(TAG) == Some(id)).count() == 1;
        is_alone.then(|| (version, KeyId::new(id.as_str())))
    });
    marked.collect()
}

fn ends_after(end: u64) -> SinkCaveat {
    const DAY: u64 = 86_400;
    match end.saturating_sub(login::now()) {
        life if life < 2 * DAY => {
            SinkCaveat::Ends(format!("after {} hours, by its expiry date", life.div_ceil(3600)))
        }
        life => SinkCaveat::Ends(format!("after {} days, by its expiry date", life / DAY)),
    }
}

/// When the next version ends, where the one before has an end: as long after its making.
fn next_end(before: &Version) -> Option<u64> {
    let life = before.ends?.checked_sub(before.created).filter(|life| *life > 0)?;
    Some(login::now() + life)
}
