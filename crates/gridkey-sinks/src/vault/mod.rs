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
use api::{Api, Meta, Seen, Wrote};
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

    /// What is there, at a version that is not older than one that is known to be there; where it is older for longer than
    /// reads trail, it is true.
    async fn look(&self, api: &Api<'_>, at_least: u64) -> Result<Seen, SinkError> {
        let at_least = at_least.max(api.written());
        let started = Instant::now();
        loop {
            let seen = api.data().await?;
            if seen.version() >= at_least || started.elapsed() > LAG {
                return Ok(seen);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A put where the secret may be read.
    async fn put_seeing(&self, api: &Api<'_>, mut seen: Seen, put: Put<'_>) -> Result<u64, PutError> {
        for _ in 0..ROUNDS {
            match seen.held().standing(put.secret.expose(), Some(put.replaces)) {
                Ok(Standing::Same) => return Ok(seen.version()),
                Ok(Standing::Replaceable) => {}
                Err(why) => return Err(PutError::Refused(api.conflict(&why))),
            }
            match api.write(&seen, Some(put.secret.expose())).await? {
                Wrote::Version(version) => return Ok(version),
                Wrote::Overtaken => seen = self.look(api, 0).await.map_err(PutError::Refused)?,
            }
        }
        let why = format!("other fields of it were written {ROUNDS} times meanwhile; try again");
        Err(PutError::Refused(api.conflict(&why)))
    }

    /// A put where the secret may not be read: by its version, which says what it holds where gridkey wrote it.
    async fn put_blindly(&self, api: &Api<'_>, forbidden: SinkError, put: Put<'_>) -> Result<u64, PutError> {
        let meta = api.meta().await.map_err(PutError::Refused)?;
        let Some(meta) = meta.as_ref().and_then(Meta::live) else {
            // Never written, or deleted: there is nothing that could be overwritten.
            return match put.replaces {
                SinkContent::Empty => {
                    let version = meta.map_or(0, |meta| meta.version);
                    self.wrote(api, api.write(&Seen::nothing(version), Some(put.secret.expose())).await?)
                }
                SinkContent::Key(_) | SinkContent::Other => Err(PutError::Refused(
                    api.conflict("it holds nothing, and a key was expected; plan again"),
                )),
            };
        };
        let Some(known) = put.known.filter(|known| version_of(known) == Some(meta)) else {
            let message = format!("{forbidden}, and it was written since gridkey did, if ever");
            return Err(PutError::Refused(SinkError { message, ..forbidden }));
        };
        let held = SinkContent::Key(known.id.clone());
        if put.secret.key_id().as_ref() == Some(&known.id) {
            return Ok(meta);
        }
        if *put.replaces != held {
            let why = format!("it holds the key {}, and another content was expected; plan again", known.id);
            return Err(PutError::Refused(api.conflict(&why)));
        }
        self.wrote(api, api.patch(meta, Some(put.secret.expose())).await?.unwrap_or(Wrote::Overtaken))
    }

    fn wrote(&self, api: &Api<'_>, wrote: Wrote) -> Result<u64, PutError> {
        match wrote {
            Wrote::Version(version) => Ok(version),
            Wrote::Overtaken => {
                let why = "it was written by another program meanwhile; plan again";
                Err(PutError::Refused(api.conflict(why)))
            }
        }
    }
}

/// The version that a receipt stands for.
fn version_of(known: &Known) -> Option<u64> {
    known.receipt.as_str().parse().ok()
}

#[async_trait]
impl Adapter for VaultAdapter<'_> {
    /// The server says what a token may do, so that nothing has to be tried out.
    async fn check(&self) -> Result<Readiness, SinkError> {
        let api = self.api().await?;
        let mount = api.mount().await?;
        let exists = match api.data().await {
            Ok(seen) => seen.exists(),
            Err(error) if error.fault == SinkFault::Forbidden => match api.meta().await {
                Ok(meta) => meta.as_ref().and_then(Meta::live).is_some(),
                Err(_) => return Err(error),
            },
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
        Ok(self.look(&api, 0).await?.held())
    }

    async fn observe(&self, known: Option<&Known>) -> Result<SinkContent, SinkError> {
        let api = self.api().await?;
        if let Some((known, version)) = known.and_then(|known| Some((known, version_of(known)?))) {
            // A version never changes, so that nobody has to read it. Who may not see versions may read the value.
            let meta = api.meta().await;
            if let Ok(Some(meta)) = meta
                && meta.live() == Some(version)
            {
                return Ok(SinkContent::Key(known.id.clone()));
            }
        }
        let seen = self.look(&api, 0).await?;
        if !seen.exists() {
            // Something answered that there is no such secret; that it is the mount that was meant is asked besides.
            api.mount().await?;
        }
        Ok(seen.held().content())
    }

    async fn caveats(&self) -> Vec<SinkCaveat> {
        let Ok(api) = self.api().await else { return Vec::new() };
        api.end().await.map(SinkCaveat::Ends).into_iter().collect()
    }

    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError> {
        let api = self.api().await.map_err(PutError::Refused)?;
        api.mount().await.map_err(PutError::Refused)?;
        let at_least = put.known.and_then(version_of).unwrap_or_default();
        let version = match self.look(&api, at_least).await {
            Ok(seen) => self.put_seeing(&api, seen, put).await?,
            Err(error) if error.fault == SinkFault::Forbidden => self.put_blindly(&api, error, put).await?,
            Err(error) => return Err(PutError::Refused(error)),
        };
        // The value is there; what is said of it besides comes after it, and does not make the put fail.
        if let Err(error) = api.mark().await {
            tracing::warn!(%error, "the custom metadata could not be set");
        }
        Ok(Some(Receipt::new(version.to_string())))
    }

    /// The field alone goes: other fields are not ours, and neither is the secret.
    async fn remove(&self) -> Result<(), SinkError> {
        let api = self.api().await?;
        api.mount().await?;
        let mut seen = self.look(&api, 0).await?;
        for _ in 0..ROUNDS {
            if matches!(seen.held(), Held::Nothing) {
                return Ok(());
            }
            match api.write(&seen, None).await {
                Ok(Wrote::Version(version)) => return api.tidy(&seen, version).await,
                Ok(Wrote::Overtaken) => seen = self.look(&api, 0).await?,
                Err(PutError::Refused(error) | PutError::NoRoom(error) | PutError::Unclear(error)) => {
                    return Err(error);
                }
            }
        }
        Err(api.conflict("other fields of it were written all the time; try again"))
    }

    fn lag(&self) -> Duration {
        LAG
    }
}
