//! What a claim is tried out with: a proxy, a folder, keys, and gridkey's sinks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::{KeyId, Known, Receipt, SinkLocation};
use gridkey_engine::ports::{PutError, SinkError, SinkReader, SinkWriter};
use gridkey_engine::secret::Secret;
use gridkey_sinks::Sinks;
use tempfile::TempDir;

use crate::proxy::Proxy;
use crate::service::{Service, Traits, Whom};

/// Everything that one claim about one service has to itself.
pub struct Bench {
    pub proxy: Proxy,
    pub service: Arc<dyn Service>,
    /// What is special about the kind, as data.
    pub traits: Traits,
    folder: TempDir,
    /// Names of locations begin with it.
    name: String,
}

/// A key that SendGrid could have made.
pub struct Key {
    text: String,
}

impl Bench {
    pub async fn new(service: Arc<dyn Service>, traits: Traits, name: &str) -> Self {
        let proxy = Proxy::start(service.clone()).await;
        Self {
            proxy,
            service,
            traits,
            folder: tempfile::tempdir().unwrap(),
            name: name.replace([' ', '_'], "-").replace(',', ""),
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The claim, as names of things at the service begin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A location of this claim that nobody has used.
    pub async fn at(&self, name: &str) -> SinkLocation {
        self.at_as(name, Whom::Gridkey).await
    }

    /// The same, with another credential, where the settings name it.
    pub async fn at_as(&self, name: &str, whom: Whom) -> SinkLocation {
        let name = format!("{}-{name}", self.name);
        self.service.location(self.proxy.address(), self.folder(), &name, whom).await
    }

    /// The sinks of one run of gridkey.
    pub fn sinks(&self) -> Sinks {
        self.sinks_as(Whom::Gridkey)
    }

    pub fn sinks_as(&self, whom: Whom) -> Sinks {
        let variables: BTreeMap<String, String> = self.service.variables(self.proxy.address(), whom);
        let search_path: Vec<PathBuf> =
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
        Sinks::new(self.folder().to_path_buf(), search_path).with_variables(variables)
    }

    /// One of the keys of this claim: the same number is the same key.
    pub fn key(&self, number: u8) -> Key {
        let id: String = self.name.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
        let id = format!("{number:03}{id:x<19}");
        Key { text: format!("SG.{id}.{number:03}{}", "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8_-0cFiLoRuXbe") }
    }
}

impl Key {
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn secret(&self) -> Secret {
        Secret::from(self.text.clone())
    }

    pub fn id(&self) -> KeyId {
        KeyId::of_secret(&self.text).expect("it is a key")
    }

    /// What a location that holds it is expected to hold.
    pub fn content(&self) -> SinkContent {
        SinkContent::Key(self.id())
    }

    /// What state knows once it was delivered.
    pub fn known(&self, receipt: Option<Receipt>) -> Option<Known> {
        receipt.map(|receipt| Known { id: self.id(), receipt })
    }

    /// The part that only its holders know.
    pub fn private(&self) -> &str {
        self.text.rsplit('.').next().unwrap_or_default()
    }
}

/// Puts a key where nothing, or another key, is expected; the receipt.
pub async fn deliver(
    sinks: &Sinks,
    at: &SinkLocation,
    key: &Key,
    before: Option<(&Key, &Option<Receipt>)>,
) -> Option<Receipt> {
    put(sinks, at, key, before).await.unwrap_or_else(|error| panic!("the put to {at} failed: {error:?}"))
}

/// The same, where it may fail.
pub async fn put(
    sinks: &Sinks,
    at: &SinkLocation,
    key: &Key,
    before: Option<(&Key, &Option<Receipt>)>,
) -> Result<Option<Receipt>, PutError> {
    let replaces = before.map_or(SinkContent::Empty, |(key, _)| key.content());
    let known = before.and_then(|(key, receipt)| key.known(receipt.clone()));
    sinks.put(at, &key.secret(), &replaces, known.as_ref()).await
}

/// That a location is seen to hold this, or is of a kind that nobody can look into.
#[track_caller]
pub fn assert_holds(seen: &SinkObservation, content: &SinkContent, at: &SinkLocation) {
    if at.at.is_readable() {
        assert_eq!(*seen, SinkObservation::Holds(content.clone()), "{at}");
    } else {
        assert_eq!(*seen, SinkObservation::WriteOnly, "{at}");
    }
}

/// The same of a look with what state knows. A sink that nobody can look into says whether that is still there, and no more.
#[track_caller]
pub fn assert_told(seen: &SinkObservation, content: &SinkContent, at: &SinkLocation, known: Option<&Known>) {
    let Some(known) = known.filter(|_| !at.at.is_readable()) else {
        return assert_holds(seen, content, at);
    };
    let ours = SinkContent::Key(known.id.clone());
    if *content == SinkContent::Empty || *content == ours {
        return assert_eq!(*seen, SinkObservation::Holds(content.clone()), "{at}");
    }
    for wrong in [SinkContent::Empty, ours] {
        assert_ne!(*seen, SinkObservation::Holds(wrong), "{at}: another program was there");
    }
}

/// That a location cannot be looked into, and why; nothing where it never can.
#[track_caller]
pub fn unreadable(seen: SinkObservation, at: &SinkLocation) -> String {
    match seen {
        SinkObservation::Unreadable(why) => why,
        SinkObservation::WriteOnly if !at.at.is_readable() => String::new(),
        SinkObservation::Holds(_) | SinkObservation::WriteOnly => panic!("{at} was seen as {seen:?}"),
    }
}

/// That surely nothing was written, and why.
#[track_caller]
pub fn refused(put: Result<Option<Receipt>, PutError>) -> SinkError {
    match put {
        Err(PutError::Refused(error)) => error,
        Ok(_) | Err(PutError::NoRoom(_) | PutError::Unclear(_)) => panic!("it was not refused: {put:?}"),
    }
}

/// That it may have been written, and why that is not known.
#[track_caller]
pub fn unclear(put: Result<Option<Receipt>, PutError>) -> SinkError {
    match put {
        Err(PutError::Unclear(error)) => error,
        Ok(_) | Err(PutError::NoRoom(_) | PutError::Refused(_)) => panic!("it was not unclear: {put:?}"),
    }
}

/// What is seen by a run that knows nothing from before.
pub async fn look(bench: &Bench, at: &SinkLocation) -> SinkObservation {
    bench.sinks().observe(at, None).await
}

/// That something ends in time, with what is left for a machine that does many things at once.
pub async fn within<T>(time: Duration, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(time, what)
        .await
        .unwrap_or_else(|_| panic!("it took longer than {} s", time.as_secs()))
}
