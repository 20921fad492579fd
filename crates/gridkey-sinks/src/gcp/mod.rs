//! Google Cloud Secret Manager: a secret is a list of numbered versions, and the newest of them is what programs read.
//!
//! What is asked for by its number is always as it is. `latest`, lists and secrets themselves may trail for minutes, so the
//! newest version is found by asking for one number after the other, from the newest one that is told. Nothing compares
//! when a version is added: another one that came in between is noticed by its number, right after.

mod api;
mod login;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::{SinkCaveat, SinkContent};
use gridkey_core::sink::GcpSecretManagerSettings;
use gridkey_core::{KeyId, Known, Receipt};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault};
use tracing::warn;

use crate::adapter::{Adapter, Put};
use crate::format::{Held, Standing, told_standing};
use crate::machine::Machine;

use self::api::{Api, End, SecretResource, Version, number_in};
pub(crate) use self::login::Logins;

/// The annotation that says which key a version holds: `gridkey-version-7: KEYID`.
const MARK: &str = "gridkey-version-";

/// No more versions than this are made while `latest` trails.
const MOST_UNTOLD: u32 = 100;

/// A key is delivered by then; what is left to be tidied can wait for the next time.
const TIDY: Duration = Duration::from_secs(15);

/// One secret.
pub(crate) struct GcpAdapter<'a> {
    api: Api<'a>,
}

/// What a version holds, and how that is known.
enum Seen {
    Value(Held),
    /// The value may not be read, and gridkey wrote down which key it is.
    Told(SinkContent),
}

impl<'a> GcpAdapter<'a> {
    pub fn new(machine: &'a Machine, logins: &'a Logins, settings: &'a GcpSecretManagerSettings) -> Self {
        Self { api: Api { machine, logins, settings } }
    }

    /// The newest version, in whatever state; `None` where there is none.
    async fn newest(&self, known: Option<&Known>) -> Result<Option<Version>, SinkError> {
        let mut newest = self.api.version("latest").await?;
        let known = known.and_then(|known| number_in(&known.receipt));
        if let Some(known) = known.filter(|known| newest.as_ref().is_none_or(|newest| newest.number < *known))
        {
            newest = self.api.version(&known.to_string()).await?.or(newest);
        }
        for _ in 0..MOST_UNTOLD {
            let next = newest.as_ref().map_or(1, |newest| newest.number + 1);
            match self.api.version(&next.to_string()).await? {
                Some(version) => newest = Some(version),
                None => return Ok(newest),
            }
        }
        Err(SinkError::failed(format!(
            "{}: versions are added faster than they can be told",
            self.api.place()
        )))
    }

    /// What the newest version holds, where it is not the one that gridkey knows.
    async fn seen(&self, newest: Option<&Version>, known: Option<&Known>) -> Result<Seen, SinkError> {
        // The service gives the newest version or nothing, so behind one that was disabled nobody sees another.
        let Some(newest) = newest.filter(|newest| newest.is_enabled()) else {
            return Ok(Seen::Value(Held::Nothing));
        };
        let error = match self.api.access(newest.number).await {
            Ok(held) => return Ok(Seen::Value(held)),
            Err(error) if error.fault == SinkFault::Forbidden => error,
            Err(error) => return Err(error),
        };
        if let Some(known) = known.filter(|known| known.receipt == newest.receipt()) {
            return Ok(Seen::Told(SinkContent::Key(known.id.clone())));
        }
        let secret = self.api.secret().await?;
        let marks = secret.map(|secret| marks(&secret)).unwrap_or_default();
        match marks.get(&newest.number) {
            Some(id) => Ok(Seen::Told(SinkContent::Key(id.clone()))),
            None => Err(SinkError {
                message: format!(
                    "{}; gridkey does not know who wrote version {}",
                    error.message, newest.number
                ),
                ..error
            }),
        }
    }

    /// Whether the secret is there, in a project that is there.
    async fn resource(&self) -> Result<Option<SecretResource>, SinkError> {
        let secret = self.api.secret().await?;
        if secret.is_none() && self.api.settings.create == Some(false) {
            let message = format!("there is no {}, and `create` is `false`", self.api.place());
            return Err(SinkError::new(SinkFault::ContainerMissing, message)
                .help("make the secret, without a version, or take `create` out"));
        }
        Ok(secret)
    }

    /// Adds a version to the secret, which is made where it is missing.
    async fn add(&self, put: Put<'_>, before: Option<&Version>) -> Result<Version, PutError> {
        if before.is_none() && self.resource().await.map_err(PutError::Refused)?.is_none() {
            self.api.create().await.map_err(PutError::Refused)?;
        }
        let added = self.api.add(put.secret).await?;
        let expected = before.map_or(1, |before| before.number + 1);
        if added.number == expected {
            return Ok(added);
        }
        // The next put finds the key, and is done; until then this one counts as unclear.
        let message = format!(
            "{}: another program added version {expected} in the same moment, before version {}, which has the key",
            self.api.place(),
            added.number
        );
        let error =
            SinkError::new(SinkFault::Conflict, message).help("see what else writes there, and run again");
        Err(PutError::Unclear(error))
    }

    /// Writes down which key the version holds, and ends those of keys that came before the one before.
    ///
    /// A key is delivered without this too.
    async fn tidy(&self, newest: u64, id: &KeyId, replaces: &SinkContent) -> Result<(), SinkError> {
        let Some(secret) = self.api.secret().await? else { return Ok(()) };
        let (marks, mut annotations) = (marks(&secret), secret.annotations.clone());
        let before = marks.range(..newest).rev().find(|(_, of)| **of != *id).map(|(_, of)| of);
        let mut ended = Ok(());
        for (number, of) in marks.range(..newest) {
            let is_used = *of == *id || Some(of) == before || SinkContent::Key(of.clone()) == *replaces;
            if is_used {
                continue;
            }
            match self.end_older(*number, of).await {
                Ok(true) => drop(annotations.remove(&mark(*number))),
                Ok(false) => {}
                // Which key the newest version holds is written down all the same.
                Err(error) => ended = Err(error),
            }
        }
        annotations.insert(mark(newest), id.to_string());
        if annotations != secret.annotations {
            self.api.annotate(&annotations, &secret.etag).await?;
        }
        ended
    }

    /// Ends an older version that was marked, if it holds that key indeed: annotations can be copied. Whether its mark is
    /// of no more use.
    async fn end_older(&self, number: u64, of: &KeyId) -> Result<bool, SinkError> {
        let Some(end) = self.end_of_older() else { return Ok(true) };
        let Some(version) = self.api.version(&number.to_string()).await? else { return Ok(true) };
        if !version.is_enabled() {
            return Ok(true);
        }
        match self.api.access(number).await {
            Ok(held) if held.content() == SinkContent::Key(of.clone()) => {
                self.api.end(&version, end).await?;
                Ok(true)
            }
            Ok(_) => Ok(true),
            // What may not be looked at stays.
            Err(error) if error.fault == SinkFault::Forbidden => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn end_of_older(&self) -> Option<End> {
        match self.api.settings.after_overlap.as_deref() {
            Some("keep") => None,
            Some("destroy") => Some(End::Destroy),
            // Anything else was refused when the manifest was read.
            Some(_) | None => Some(End::Disable),
        }
    }

    async fn tidy_in_time(&self, newest: u64, put: Put<'_>) {
        let Some(id) = put.secret.key_id() else { return };
        let tidied = tokio::time::timeout(TIDY, self.tidy(newest, &id, put.replaces)).await;
        match tidied {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("the key is delivered, and older versions were not tidied up: {error}"),
            Err(_) => warn!("the key is delivered, and tidying up older versions took too long"),
        }
    }
}

#[async_trait]
impl Adapter for GcpAdapter<'_> {
    /// Secret Manager can be asked for permissions, and says that its answer may be wrong.
    async fn check(&self) -> Result<Readiness, SinkError> {
        if self.resource().await?.is_none() {
            return Ok(Readiness::Plausible(
                "the secret is made with its first key, and Google cannot be asked beforehand whether \
                 `secretmanager.secrets.create` is granted"
                    .to_string(),
            ));
        }
        const NEEDED: [&str; 2] = ["secretmanager.versions.add", "secretmanager.versions.get"];
        let permitted = self.api.permitted(&NEEDED).await?;
        if let Some(missing) = NEEDED.iter().find(|needed| !permitted.iter().any(|has| has == *needed)) {
            let message = format!("{}: the credential lacks the permission `{missing}`", self.api.place());
            return Err(SinkError::new(SinkFault::Forbidden, message)
                .help(format!("grant `{missing}` on the secret or its project")));
        }
        Ok(Readiness::Plausible(
            "Google says that a version may be added, and that this answer can be wrong".to_string(),
        ))
    }

    async fn caveats(&self) -> Vec<SinkCaveat> {
        let Ok(Some(secret)) = self.api.secret().await else { return Vec::new() };
        let ends = secret.expire_time.map(|at| SinkCaveat::Ends(format!("at {at}, with the secret itself")));
        ends.into_iter().collect()
    }

    async fn held(&self) -> Result<Held, SinkError> {
        match self.newest(None).await? {
            Some(newest) if newest.is_enabled() => self.api.access(newest.number).await,
            Some(_) => Ok(Held::Nothing),
            None => {
                self.api.secret().await?;
                Ok(Held::Nothing)
            }
        }
    }

    async fn observe(&self, known: Option<&Known>) -> Result<SinkContent, SinkError> {
        let newest = self.newest(known).await?;
        let Some(newest) = newest else {
            self.api.secret().await?;
            return Ok(SinkContent::Empty);
        };
        if let Some(known) = known.filter(|known| newest.is_enabled() && known.receipt == newest.receipt()) {
            return Ok(SinkContent::Key(known.id.clone()));
        }
        Ok(match self.seen(Some(&newest), known).await? {
            Seen::Value(held) => held.content(),
            Seen::Told(content) => content,
        })
    }

    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError> {
        let newest = self.newest(put.known).await.map_err(PutError::Refused)?;
        let seen = self.seen(newest.as_ref(), put.known).await.map_err(PutError::Refused)?;
        let standing = match seen {
            Seen::Value(held) => held.standing(put.secret.expose(), Some(put.replaces)),
            Seen::Told(content) => told_standing(&content, put.secret.expose(), put.replaces),
        };
        let standing = standing.map_err(|why| {
            let message = format!("{}: {why}", self.api.place());
            PutError::Refused(SinkError::new(SinkFault::Conflict, message))
        })?;
        let version = match (standing, newest) {
            (Standing::Same, Some(newest)) => newest,
            (Standing::Same | Standing::Replaceable, newest) => self.add(put, newest.as_ref()).await?,
        };
        self.tidy_in_time(version.number, put).await;
        Ok(Some(version.receipt()))
    }

    /// The newest version is ended too, so that the secret gives nothing; the secret itself stays.
    async fn remove(&self) -> Result<(), SinkError> {
        let newest = self.newest(None).await?;
        let Some(secret) = self.api.secret().await? else { return Ok(()) };
        let Some(newest) = newest else { return Ok(()) };
        let end = self.end_of_older().unwrap_or(End::Disable);
        for (number, of) in marks(&secret) {
            if number < newest.number {
                self.end_older(number, &of).await?;
            }
        }
        if newest.is_enabled() {
            self.api.end(&newest, end).await?;
        }
        Ok(())
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }
}

fn mark(number: u64) -> String {
    format!("{MARK}{number}")
}

/// The keys of versions, as far as gridkey wrote them down.
fn marks(secret: &SecretResource) -> BTreeMap<u64, KeyId> {
    let marks = secret.annotations.iter().filter_map(|(name, id)| {
        let number = name.strip_prefix(MARK)?.parse().ok()?;
        Some((number, KeyId::new(id.as_str())))
    });
    marks.collect()
}
