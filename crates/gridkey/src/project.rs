//! A project: its manifest, and everything the manifest names, opened for a command.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gridkey_core::inventory::{Unreadable, UnreadableReason};
use gridkey_core::manifest::{
    Account, Credential, Loaded, LoadedPolicy, LocalStoreSettings, Manifest, PolicyFile, SourceFile,
    StoreSettings, load, load_policy,
};
use gridkey_core::plan::{
    Allow, DEFAULT_READ_LAG, Due, Finding, Options, Requests, Selection, reach, reach_of_states,
};
use gridkey_core::state::AccountState;
use gridkey_core::text::diagnostic::Diagnostics;
use gridkey_core::{Address, Name, Region, SinkKind};
use gridkey_engine::ports::{AccountReader, AccountWriter, StateWriter, StoreError};
use gridkey_engine::{Cancel, Concurrency, Readers};
use gridkey_sendgrid::{BaseUrl, Behalf, Client, Limits, Operation, WaitObserver, WaitReason};
use gridkey_sinks::{Hooks, Sinks};
use gridkey_stores::LocalStore;
use secrecy::SecretString;

use crate::args::{Global, POLICY, is_set_to_nothing};
use crate::credential;
use crate::emulated::{Emulated, state_folder};
use crate::environments::{self, Chosen, Gone};
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::real_paths::{RealPathStore, RealPaths};
use crate::remote::{RemoteReader, RemoteWriter};
use crate::view::progress::Progress;
use crate::view::words::count;

/// A manifest and where it stands.
pub struct Sources {
    pub files: Vec<SourceFile>,
    /// The folder that relative paths start from.
    pub base: PathBuf,
}

/// A project that is open.
pub struct Project {
    pub loaded: Loaded,
    pub base: PathBuf,
    pub store: Arc<dyn StateWriter>,
    pub sinks: Arc<Sinks>,
    pub hooks: Arc<Hooks>,
    pub read_lag: Duration,
    pub concurrency: Concurrency,
    /// The rules of `--policy`.
    pub policy: Option<PolicyFile>,
    /// `--env`, held against what there is; `None` stands for all that do not come from a pattern.
    pub environments: Option<BTreeSet<Name>>,
    /// Says when the run is to stop, which ends waits.
    pub stop: Cancel,
    emulated: Option<Emulated>,
    sendgrid_url: Option<BaseUrl>,
}

/// The accounts of a run that changes them, or why there is no way to one.
pub struct Writers(BTreeMap<Name, Result<Arc<RemoteWriter>, Unreadable>>);

impl Writers {
    /// The reading half of each.
    pub fn readers(&self) -> Readers {
        let reader = |writer: &Arc<RemoteWriter>| Arc::clone(writer) as Arc<dyn AccountReader>;
        let all = self.0.iter();
        all.map(|(name, writer)| (name.clone(), writer.as_ref().map(reader).map_err(Clone::clone))).collect()
    }

    /// One account.
    pub fn take(&mut self, name: &Name) -> Option<Result<Arc<RemoteWriter>, Unreadable>> {
        self.0.remove(name)
    }

    /// Those that there is a way to.
    pub fn into_ports(self) -> BTreeMap<Name, Arc<dyn AccountWriter>> {
        let reached = self.0.into_iter().filter_map(|(name, writer)| Some((name, writer.ok()?)));
        reached.map(|(name, writer)| (name, writer as Arc<dyn AccountWriter>)).collect()
    }
}

/// One client for each managing key and region, so that its accounts share a pace.
type Clients = BTreeMap<String, Result<Client, Unreadable>>;

/// Reads the files of a manifest: one, or every `*.yaml` of a folder that is not hidden.
pub fn read_sources(path: &Path) -> Result<Sources, CommandError> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        let failed =
            CommandError::new(format!("the manifest {} cannot be read", path.display())).because(error);
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                failed.help("name it with `--manifest PATH`, or write one to start from with `gridkey init`")
            }
            _ => failed,
        }
    };
    let mut paths = Vec::new();
    let is_folder = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.is_dir();
    if is_folder {
        for entry in std::fs::read_dir(path).map_err(|error| unreadable(path, &error))? {
            let entry = entry.map_err(|error| unreadable(path, &error))?.path();
            let is_yaml =
                entry.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
            // `.gridkey.yaml.swp`, `._gridkey.yaml`: what editors and file systems leave, and nobody meant.
            let is_hidden = entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if is_yaml && !is_hidden && entry.is_file() {
                paths.push(entry);
            }
        }
        paths.sort();
        if paths.is_empty() {
            let message =
                format!("the folder {} has no manifest: no `*.yaml` or `*.yml` file", path.display());
            return Err(CommandError::new(message).help(
                "folders below are not looked into; name one with `--manifest PATH`, or write one with `gridkey init`",
            ));
        }
    } else {
        paths.push(path.to_path_buf());
    }
    let mut files = Vec::new();
    for path in paths {
        let bytes = read_bounded(&path, MOST_OF_A_FILE).map_err(|error| unreadable(&path, &error))?;
        files.push(SourceFile { name: path.display().to_string(), bytes });
    }
    let folder = if is_folder { Some(path) } else { path.parent() };
    let base = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(Sources { files, base: base.to_path_buf() })
}

/// More than a manifest's file or a policy may have, so that one that has is told what it may have.
pub const MOST_OF_A_FILE: u64 = 2 << 20;

/// Whether a path is something that this process was given open, such as its standard input: opening it waits for nothing.
fn is_own_input(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

/// The beginning of a file. What is no file, a pipe by name or a device, may wait for ever, or never end.
pub fn read_bounded(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let found = std::fs::metadata(path)?;
    if !found.is_file() && !is_own_input(path) {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    std::fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the manifest at a path.
pub fn read_manifest(path: &Path, requested: &[Name]) -> Result<(Loaded, PathBuf), CommandError> {
    let Sources { files, base } = read_sources(path)?;
    let loaded = load(&files, requested).map_err(|diagnostics| {
        print::diagnostics(&diagnostics);
        CommandError::new("the manifest cannot be used")
    })?;
    Ok((loaded, base))
}

/// Reads the file of `--policy`.
pub fn read_policy(path: &Path) -> Result<PolicyFile, CommandError> {
    let bytes = read_bounded(path, MOST_OF_A_FILE).map_err(|error| {
        CommandError::new(format!("the policy file {} cannot be read", path.display()))
            .because(&error)
            .help("without its rules nothing is planned; name the right file with `--policy`")
    })?;
    let source = SourceFile { name: path.display().to_string(), bytes };
    let loaded = load_policy(&source).map_err(|diagnostics| {
        print::diagnostics(&diagnostics);
        CommandError::new("the policy file cannot be used")
    })?;
    let LoadedPolicy { policy, warnings, sources } = loaded;
    if !warnings.is_empty() {
        let found = Diagnostics { errors: Vec::new(), warnings, sources };
        print::diagnostics(&found);
    }
    Ok(policy)
}

/// Stops before a command is run or a server is talked to that a policy does not allow.
fn check_external_targets(findings: &[Finding]) -> Result<(), CommandError> {
    if findings.is_empty() {
        return Ok(());
    }
    for finding in findings {
        print::say(crate::view::finding::text(finding, print::error_style()).trim_end());
    }
    Err(CommandError {
        exit: Exit::Blocked,
        ..CommandError::new("a policy does not allow what this reaches for; nothing was run or called")
    })
}

/// Stops where two keys would write to one file by different paths: that can be told once links are followed, and not
/// by the manifest alone.
fn check_shared_locations(manifest: &Manifest) -> Result<(), CommandError> {
    let mut users = BTreeMap::new();
    for key in manifest.keys.values() {
        for location in &key.sinks {
            let Some(first) = users.insert(location.id(), key) else { continue };
            let place = location.at.place();
            let message = match first.address == key.address {
                true => format!("two sinks of key `{}` would write to one place: {place}", key.address),
                false => {
                    format!(
                        "keys `{}` and `{}` would write to one place: {place}",
                        first.address, key.address
                    )
                }
            };
            let places = match first.position == key.position {
                true => key.position.to_string(),
                false => format!("{} and {}", first.position, key.position),
            };
            return Err(CommandError::new(format!("{message} (at {places})"))
                .help("their paths lead to the same file, by a symbolic link: name files that are apart"));
        }
    }
    Ok(())
}

/// Refuses sinks that would write a secret into what gridkey reads: the state, the manifest, the policy.
fn check_own_files(manifest: &Manifest, paths: &RealPaths, global: &Global) -> Result<(), CommandError> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let of = |path: &Path| paths.of(&absolute(path).to_string_lossy());
    let files = manifest.sources.iter().map(|source| of(Path::new(&source.file)));
    let mut own: Vec<(String, &str)> = files.map(|file| (file, "the manifest")).collect();
    own.extend(global.policy.as_deref().map(|policy| (of(policy), "the policy file")));
    if let StoreSettings::Local(LocalStoreSettings { path }) = &manifest.state {
        own.push((paths.of(path), "the state"));
    }
    for key in manifest.keys.values() {
        for location in &key.sinks {
            let mut at = location.at.to_settings();
            let Some(path) = at.path_mut() else { continue };
            let path = Path::new(&*path);
            let Some((_, what)) = own.iter().find(|(own, _)| path.starts_with(own)) else { continue };
            let message = format!(
                "the sink `{}` of key `{}` would write a secret into {what}",
                location.sink, key.address
            );
            let place = location.at.place();
            return Err(CommandError::new(format!("{message}: {place} (at {})", key.position))
                .help("name a file of its own for secrets"));
        }
    }
    Ok(())
}

impl Project {
    /// Reads the manifest and opens its store and sinks; nothing is looked for at SendGrid yet.
    pub async fn open(global: &Global) -> Result<Self, CommandError> {
        Self::open_with(global, Gone::Refused, Cancel::never()).await
    }

    /// The same, for a command that may be about environments whose block is gone, and that ends its waits once `stop` says
    /// so.
    pub async fn open_with(global: &Global, gone: Gone, stop: Cancel) -> Result<Self, CommandError> {
        let chosen = chosen(global, gone).await?;
        let (mut loaded, base) = read_manifest(&global.manifest, &chosen.requested)?;
        let paths = RealPaths::new(&base);
        if !global.emulator {
            paths.in_manifest(&mut loaded.manifest);
            check_shared_locations(&loaded.manifest)?;
            check_own_files(&loaded.manifest, &paths, global)?;
        }
        let manifest = &loaded.manifest;
        let policy = global.policy.as_deref().map(read_policy).transpose()?;
        if policy.is_none() && is_set_to_nothing(POLICY.as_ref()) {
            print::note(&format!("{POLICY} is set to nothing, so no policy file holds"));
        }
        check_external_targets(&reach(manifest, policy.as_ref()))?;
        let (emulated, store, sinks, hooks): (_, Arc<dyn StateWriter>, _, _) = if global.emulator {
            let emulated = Emulated::start(manifest, &base).await?;
            print::note(&format!(
                "working on an emulated SendGrid; everything is kept in {}",
                emulated.folder().display()
            ));
            for line in undeliverable(manifest) {
                print::note(&format!("{line}; here it is a file like the others"));
            }
            let store = LocalStore::new(emulated.state(), manifest.project.clone());
            let sinks = Sinks::sandboxed(emulated.sinks());
            let hooks = Hooks::sandboxed(base.clone());
            (Some(emulated), Arc::new(store), sinks, hooks)
        } else {
            let store = open_store(manifest, &base)?;
            let search = std::env::var_os("PATH").unwrap_or_default();
            let search: Vec<PathBuf> = std::env::split_paths(&search).collect();
            let sinks = Sinks::new(base.clone(), search.clone());
            let hooks = Hooks::new(base.clone(), search);
            (None, Arc::new(RealPathStore { store: Arc::from(store), paths }), sinks, hooks)
        };
        let default_lag = if emulated.is_some() { Duration::ZERO } else { DEFAULT_READ_LAG };
        let read_lag = global.read_lag.unwrap_or(default_lag);
        let sendgrid_url = global.sendgrid_url.clone();
        let sinks = Arc::new(sinks.with_stop(stop.clone()));
        let hooks = Arc::new(hooks.with_stop(stop.clone()));
        let (environments, concurrency) = (chosen.names, global.concurrency());
        Ok(Self {
            loaded,
            base,
            store,
            sinks,
            hooks,
            read_lag,
            concurrency,
            policy,
            environments,
            stop,
            emulated,
            sendgrid_url,
        })
    }

    pub fn manifest(&self) -> &Manifest {
        &self.loaded.manifest
    }

    /// Stops before a sink is looked at that only state remembers, and that a policy does not allow.
    pub fn check_external_targets(&self, states: &BTreeMap<Name, AccountState>) -> Result<(), CommandError> {
        check_external_targets(&reach_of_states(states, self.manifest(), self.policy.as_ref()))
    }

    /// The documents of every account that has one.
    pub async fn states(&self) -> Result<BTreeMap<Name, AccountState>, CommandError> {
        states(self.store.as_ref()).await
    }

    /// Which keys a command is about.
    pub fn selection(&self, only: Option<&[Address]>, destroy: bool) -> Selection {
        let only = only.map(|only| only.iter().cloned().collect());
        let mut selection = Selection::new(self.environments.clone(), only);
        selection.destroy = destroy;
        selection
    }

    /// How to plan.
    pub async fn options(&self, allow: &[Allow]) -> Result<Options, CommandError> {
        let on_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        let local = matches!(self.manifest().state, StoreSettings::Local(_)) && self.emulated.is_none();
        let exists = self.store.exists().await;
        let exists = exists.map_err(|error| CommandError::new("the state cannot be read").because(&error))?;
        let missing_sinks =
            if self.emulated.is_some() { BTreeSet::new() } else { gridkey_sinks::missing_kinds() };
        Ok(Options {
            allow: allow.to_vec(),
            approved_allow: Vec::new(),
            read_lag: self.read_lag,
            ephemeral_state: on_ci && local && !exists,
            missing_sinks,
            due: Due::Include,
            sinks: true,
            requests: Requests::default(),
        })
    }

    /// Opens accounts to look at them, with the keys that may only read where there are such.
    pub async fn readers(&self, names: &BTreeSet<Name>, progress: &Arc<Progress>) -> Readers {
        let mut clients = Clients::new();
        let mut readers = Readers::new();
        for (name, account) in self.accounts(names) {
            let credential = account.plan_api_key.as_ref().unwrap_or(&account.api_key);
            let client = self.shared_client(&mut clients, account, credential, progress).await;
            let only_plans = account.plan_api_key.is_some() && self.emulated.is_none();
            let reader = client.map(|client| {
                let reader = RemoteReader::new(client, account.on_behalf_of.as_ref());
                let reader = if only_plans { reader.only_plans() } else { reader };
                Arc::new(reader) as Arc<dyn AccountReader>
            });
            let reader = reader.map_err(|unreadable| Unreadable { only_plans, ..unreadable });
            readers.insert(name.clone(), reader);
        }
        readers
    }

    /// Opens accounts to change them, with their managing keys.
    pub async fn writers(&self, names: &BTreeSet<Name>, progress: &Arc<Progress>) -> Writers {
        let mut clients = Clients::new();
        let mut writers = BTreeMap::new();
        for (name, account) in self.accounts(names) {
            let client = self.shared_client(&mut clients, account, &account.api_key, progress).await;
            let writer = client.map(|client| {
                let reader = RemoteReader::new(client, account.on_behalf_of.as_ref());
                Arc::new(RemoteWriter::new(reader, Limits::default().request))
            });
            writers.insert(name.clone(), writer);
        }
        Writers(writers)
    }

    /// The accounts of these names that the manifest has.
    fn accounts<'a>(&'a self, names: &'a BTreeSet<Name>) -> impl Iterator<Item = (&'a Name, &'a Account)> {
        let all = &self.manifest().accounts;
        names.iter().filter_map(move |name| Some((name, all.get(name)?)))
    }

    async fn shared_client(
        &self,
        clients: &mut Clients,
        account: &Account,
        credential: &Credential,
        progress: &Arc<Progress>,
    ) -> Result<Client, Unreadable> {
        let parent = account.parent.as_ref().unwrap_or(&account.name);
        let key = format!("{parent} {:?} {credential:?}", account.region);
        if let Some(client) = clients.get(&key) {
            return client.clone();
        }
        let client = self.client(parent, account, credential, progress).await;
        clients.insert(key, client.clone());
        client
    }

    async fn client(
        &self,
        parent: &Name,
        account: &Account,
        credential: &Credential,
        progress: &Arc<Progress>,
    ) -> Result<Client, Unreadable> {
        let unreadable =
            |message: String| Unreadable { reason: UnreadableReason::Credential, message, only_plans: false };
        let (base, key): (BaseUrl, SecretString) = match &self.emulated {
            Some(emulated) => {
                let base = BaseUrl::new(&emulated.url()).map_err(|error| unreadable(error.to_string()))?;
                let key = emulated.managing_key(parent);
                (base, key.ok_or_else(|| unreadable(format!("the emulator has no account `{parent}`")))?)
            }
            None => {
                let base = self.sendgrid_url.clone().unwrap_or_else(|| match account.region {
                    Region::Global => BaseUrl::global(),
                    Region::Eu => BaseUrl::eu(),
                });
                (base, credential::find(credential, &self.base).await?)
            }
        };
        let client =
            Client::new(base, key, Limits::default()).map_err(|error| unreadable(error.to_string()))?;
        Ok(client.with_waits(Arc::new(Waits(Arc::clone(progress)))).with_stop(self.stop.receiver()))
    }

    /// Where the secrets of a selection stand, for kinds that are files here.
    pub fn secret_paths(&self, selection: &Selection) -> BTreeSet<PathBuf> {
        let keys = self.manifest().keys.values().filter(|key| selection.has(self.manifest(), &key.address));
        keys.flat_map(|key| &key.sinks).filter_map(|location| self.sinks.path_of(location)).collect()
    }

    pub fn is_emulated(&self) -> bool {
        self.emulated.is_some()
    }
}

/// The sinks of a manifest that this build cannot deliver to, each in one sentence without its end.
pub fn undeliverable(manifest: &Manifest) -> Vec<String> {
    let missing = gridkey_sinks::missing_kinds();
    let mut keys: BTreeMap<(&Name, SinkKind), BTreeSet<&Address>> = BTreeMap::new();
    for (address, key) in &manifest.keys {
        for location in key.sinks.iter().filter(|location| missing.contains(&location.at.kind())) {
            keys.entry((&location.sink, location.at.kind())).or_default().insert(address);
        }
    }
    let told = keys.into_iter().map(|((sink, kind), addresses)| {
        let of = count(addresses.len(), "key");
        let without =
            gridkey_sinks::feature(kind).map(|name| format!(": it is without the feature `{name}`"));
        let instead =
            recipe(kind).map(|recipe| format!(" (a command sink can: see `{recipe}` in docs/recipes.md)"));
        let more = [without, instead].into_iter().flatten().collect::<String>();
        format!("this build cannot deliver to `{sink}` ({}), a sink of {of}{more}", kind.as_str())
    });
    told.collect()
}

/// The section of `docs/recipes.md` that delivers to the same store by a command, of kinds that a build may lack.
fn recipe(kind: SinkKind) -> Option<&'static str> {
    match kind {
        SinkKind::AwsSecretsManager => Some("aws secretsmanager"),
        SinkKind::AwsSsm => Some("aws ssm"),
        SinkKind::GcpSecretManager => Some("gcloud"),
        SinkKind::Dotenv
        | SinkKind::Json
        | SinkKind::Yaml
        | SinkKind::Age
        | SinkKind::Sops
        | SinkKind::Command
        | SinkKind::Vault
        | SinkKind::AzureKeyVault
        | SinkKind::Kubernetes
        | SinkKind::GithubActions
        | SinkKind::GitlabCi => None,
    }
}

/// The environments that `--env` chooses, of those that manifest and state have.
async fn chosen(global: &Global, gone: Gone) -> Result<Chosen, CommandError> {
    if global.environments.is_empty() {
        return Ok(Chosen::default());
    }
    let (loaded, base) = read_manifest(&global.manifest, &[])?;
    let manifest = &loaded.manifest;
    let store = match global.emulator {
        true => Box::new(LocalStore::new(state_folder(&base), manifest.project.clone())),
        false => open_store(manifest, &base)?,
    };
    let states = states(store.as_ref()).await?;
    environments::choose(&global.environments, manifest, &environments_of(&states), gone)
}

/// The environments that state has keys in, or has begun some in.
pub fn environments_of(states: &BTreeMap<Name, AccountState>) -> BTreeSet<Name> {
    let addresses = states
        .values()
        .flat_map(|state| state.keys.keys().chain(state.pending.values().map(|pending| &pending.address)));
    addresses.filter_map(|address| address.environment.clone()).collect()
}

pub fn open_store(manifest: &Manifest, base: &Path) -> Result<Box<dyn StateWriter>, CommandError> {
    gridkey_stores::open(&manifest.state, base, &manifest.project)
        .map_err(|error| CommandError::new("the state cannot be opened").because(&error))
}

/// The documents of every account that has one.
pub async fn states(store: &dyn StateWriter) -> Result<BTreeMap<Name, AccountState>, CommandError> {
    let failed = |error: StoreError| CommandError::new("the state cannot be read").because(&error);
    let mut states = BTreeMap::new();
    for account in store.accounts().await.map_err(failed)? {
        if let Some(stored) = store.read(&account).await.map_err(failed)? {
            states.insert(account, stored.state);
        }
    }
    Ok(states)
}

/// Tells the progress of waits.
pub struct Waits(pub Arc<Progress>);

impl WaitObserver for Waits {
    fn waiting(&self, reason: WaitReason, operation: Operation, behalf: &Behalf, duration: Duration) {
        let what = match reason {
            WaitReason::RateLimit => format!("SendGrid's rate limit ({}, {behalf})", operation.as_str()),
            WaitReason::Retry => format!("another try to {} ({behalf})", operation.as_str()),
        };
        self.0.rate_limited(&what, duration);
    }
}

#[cfg(test)]
mod tests {
    use super::read_sources;

    #[test]
    fn hidden_files_of_a_folder_are_no_part_of_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.yml", "._b.yaml", ".c.yml", ".yaml", "d.txt"] {
            std::fs::write(folder.path().join(name), "version: 1\n").unwrap();
        }
        let sources = read_sources(folder.path()).unwrap_or_else(|_| panic!("it can be read"));
        let names: Vec<_> = sources.files.iter().map(|file| file.name.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["a.yaml", "b.yml"]);
    }
}
