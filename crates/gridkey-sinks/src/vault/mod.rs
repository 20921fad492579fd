//! HashiCorp Vault and OpenBao: a field of a secret of the KV engine, version 2.

mod api;
mod login;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use gridkey_core::inventory::{SinkCaveat, SinkContent};
use gridkey_core::sink::VaultSettings;
use gridkey_core::{Known, Receipt};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault};

use crate::adapter::{Adapter, Put};
use crate::format::{Held, Standing};
use api::{Api, Lacking, Meta, Seen, Stamp, State, Wrote};
pub(crate) use login::Vaults;

use crate::machine::Machine;

/// How long standby nodes may trail the active one.
const LAG: Duration = Duration::from_secs(5);

/// The pause between two looks at a server that trails.
const PAUSE: Duration = Duration::from_millis(500);

/// How often a write is tried again because the secret got another version meanwhile, and the field in it is still what was
/// expected: its neighbours are written, too.
const ROUNDS: u32 = 8;

/// A field of a secret.
pub(crate) struct VaultAdapter<'a> {
    settings: &'a VaultSettings,
    vaults: &'a Vaults,
    machine: &'a Machine,
}

impl<'a> VaultAdapter<'a> {
    pub fn new(settings: &'a VaultSettings, vaults: &'a Vaults, machine: &'a Machine) -> Self {
        Self { settings, vaults, machine }
    }

    async fn api(&self) -> Result<Api<'a>, SinkError> {
        Api::new(self.settings, self.vaults, self.machine).await
    }

    /// What is there, at a version that is not older than one that is known to be there. Where it still is when reads do not
    /// trail any more, it is true: versions of a secret that was deleted whole begin anew.
    async fn look(&self, api: &Api<'_>, at_least: u64, trails_until: Instant) -> Result<Seen, SinkError> {
        let at_least = at_least.max(api.written());
        loop {
            let seen = api.data().await?;
            if seen.version() >= at_least || Instant::now() > trails_until {
                return Ok(seen);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A put where the secret may be read.
    async fn put_seeing(
        &self,
        api: &Api<'_>,
        mut seen: Seen,
        trails_until: Instant,
        put: Put<'_>,
    ) -> Result<Stamp, PutError> {
        for _ in 0..ROUNDS {
            match seen.held().standing(put.secret.expose(), Some(put.replaces)) {
                Ok(Standing::Same) => return Ok(seen.stamp().clone()),
                Ok(Standing::Replaceable) => {}
                Err(why) => return Err(PutError::Refused(api.conflict(&why))),
            }
            let at_least = match api.write(&seen, Some(put.secret.expose())).await? {
                Wrote::Version(stamp) => return Ok(stamp),
                Wrote::Overtaken => seen.version() + 1,
                Wrote::Gone => 0,
            };
            seen = self.look(api, at_least, trails_until).await.map_err(PutError::Refused)?;
        }
        Err(PutError::Refused(api.conflict(&busy())))
    }

    /// A put where the secret may not be read: its version says what it holds where gridkey wrote it, and nothing else does.
    async fn put_blindly(
        &self,
        api: &Api<'_>,
        forbidden: SinkError,
        put: Put<'_>,
    ) -> Result<Stamp, PutError> {
        let meta = api.meta().await.map_err(PutError::Refused)?;
        match meta.as_ref().map_or(State::Gone(0), Meta::state) {
            State::Gone(version) => self.create_blindly(api, version, put).await,
            State::Live(_) => match &meta {
                Some(meta) => self.replace_blindly(api, meta, forbidden, put).await,
                None => Err(PutError::Refused(forbidden)),
            },
            State::Unknown => Err(PutError::Refused(forbidden)),
        }
    }

    /// Where there is nothing that could be overwritten.
    async fn create_blindly(&self, api: &Api<'_>, version: u64, put: Put<'_>) -> Result<Stamp, PutError> {
        match put.replaces {
            SinkContent::Empty => {
                let nothing = Seen::nothing(version, &self.settings.field);
                written(api, api.write(&nothing, Some(put.secret.expose())).await?)
            }
            SinkContent::Key(_) | SinkContent::Other => Err(PutError::Refused(
                api.conflict("it holds nothing, and something was expected; plan again"),
            )),
        }
    }

    /// Where the version is the one that gridkey wrote.
    async fn replace_blindly(
        &self,
        api: &Api<'_>,
        meta: &Meta,
        forbidden: SinkError,
        put: Put<'_>,
    ) -> Result<Stamp, PutError> {
        let Some(known) = put.known.filter(|known| meta.is(&known.receipt)) else {
            let version = meta.version();
            let message = format!("{forbidden}; and version {version} is not one that gridkey wrote");
            return Err(PutError::Refused(SinkError { message, ..forbidden }));
        };
        if put.secret.key_id().as_ref() == Some(&known.id) {
            return Ok(meta.stamp());
        }
        if *put.replaces != SinkContent::Key(known.id.clone()) {
            let why = format!("it holds the key {}, and something else was expected; plan again", known.id);
            return Err(PutError::Refused(api.conflict(&why)));
        }
        match api.patch(meta.version(), Some(put.secret.expose())).await? {
            Some(wrote) => written(api, wrote),
            None => Err(PutError::Refused(api.lacks(&Lacking { on: "data", capabilities: "\"patch\"" }))),
        }
    }
}

/// The version of a write that nothing is looked at again for.
fn written(api: &Api<'_>, wrote: Wrote) -> Result<Stamp, PutError> {
    match wrote {
        Wrote::Version(stamp) => Ok(stamp),
        Wrote::Overtaken | Wrote::Gone => {
            Err(PutError::Refused(api.conflict("another program wrote to the secret meanwhile; plan again")))
        }
    }
}

fn busy() -> String {
    format!("other fields of the secret were written {ROUNDS} times meanwhile; try again")
}

/// When reads do not trail any more what was written until now.
fn soon() -> Instant {
    Instant::now() + LAG
}

#[async_trait]
impl Adapter for VaultAdapter<'_> {
    /// The server says what a token may do, so that nothing has to be tried out.
    async fn check(&self) -> Result<Readiness, SinkError> {
        let api = self.api().await?;
        let mount = api.mount().await?;
        let exists = match api.data().await {
            Ok(seen) => seen.exists(),
            Err(error) if error.fault == SinkFault::Forbidden => {
                let meta = api.meta().await.map_err(|_| error)?;
                !matches!(meta.as_ref().map_or(State::Gone(0), Meta::state), State::Gone(_))
            }
            Err(error) => return Err(error),
        };
        let Some(may) = api.capabilities().await? else {
            let why = "the token may not ask what it may do (`sys/capabilities-self`)";
            return Ok(Readiness::Plausible(why.to_string()));
        };
        may.suffice(exists, !self.settings.custom_metadata.is_empty())
            .map_err(|missing| api.lacks(&missing))?;
        Ok(match mount {
            Some(()) => Readiness::Proven,
            None => Readiness::Plausible("the token may not ask which version the mount has".to_string()),
        })
    }

    async fn held(&self) -> Result<Held, SinkError> {
        let api = self.api().await?;
        Ok(self.look(&api, 0, soon()).await?.held())
    }

    async fn observe(&self, known: Option<&Known>) -> Result<SinkContent, SinkError> {
        let api = self.api().await?;
        if let Some(known) = known {
            // A version never changes, so that nobody has to read it. Who may not see versions may read the value.
            match api.meta().await {
                Ok(Some(meta)) if meta.is(&known.receipt) && matches!(meta.state(), State::Live(_)) => {
                    return Ok(SinkContent::Key(known.id.clone()));
                }
                Ok(_) => {}
                Err(error) if error.fault == SinkFault::Forbidden => {}
                Err(error) => return Err(error),
            }
        }
        let content = match self.look(&api, 0, soon()).await {
            Ok(seen) if seen.exists() => return Ok(seen.held().content()),
            Ok(_) => SinkContent::Empty,
            Err(error) if error.fault == SinkFault::Forbidden => match api.meta().await {
                Ok(meta) if matches!(meta.as_ref().map_or(State::Gone(0), Meta::state), State::Gone(_)) => {
                    SinkContent::Empty
                }
                Ok(_) | Err(_) => return Err(error),
            },
            Err(error) => return Err(error),
        };
        // Something answered that there is no such secret; that it is the mount that was meant is asked besides.
        api.mount().await?;
        Ok(content)
    }

    async fn caveats(&self) -> Vec<SinkCaveat> {
        let Ok(api) = self.api().await else { return Vec::new() };
        api.end().await.map(SinkCaveat::Ends).into_iter().collect()
    }

    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError> {
        let api = self.api().await.map_err(PutError::Refused)?;
        api.mount().await.map_err(PutError::Refused)?;
        let at_least = put.known.and_then(|known| Stamp::number(&known.receipt)).unwrap_or_default();
        let trails_until = soon();
        let stamp = match self.look(&api, at_least, trails_until).await {
            Ok(seen) => self.put_seeing(&api, seen, trails_until, put).await?,
            Err(error) if error.fault == SinkFault::Forbidden => self.put_blindly(&api, error, put).await?,
            Err(error) => return Err(PutError::Refused(error)),
        };
        // The value is there; what is said of it besides comes after it, and does not make the put fail.
        if let Err(error) = api.mark().await {
            tracing::warn!(%error, "the custom metadata could not be set");
        }
        Ok(Some(stamp.receipt()))
    }

    /// The field alone goes: other fields are not ours, and neither is the secret.
    async fn remove(&self) -> Result<(), SinkError> {
        let api = self.api().await?;
        api.mount().await?;
        let trails_until = soon();
        let mut seen = self.look(&api, 0, trails_until).await?;
        for _ in 0..ROUNDS {
            if matches!(seen.held(), Held::Nothing) {
                return Ok(());
            }
            let at_least = match api.write(&seen, None).await {
                Ok(Wrote::Version(stamp)) => {
                    api.tidy(&seen, stamp.version).await;
                    return Ok(());
                }
                Ok(Wrote::Overtaken) => seen.version() + 1,
                Ok(Wrote::Gone) => return Ok(()),
                Err(PutError::Refused(error) | PutError::NoRoom(error) | PutError::Unclear(error)) => {
                    return Err(error);
                }
            };
            seen = self.look(&api, at_least, trails_until).await?;
        }
        Err(api.conflict(&busy()))
    }

    fn lag(&self) -> Duration {
        LAG
    }
}
