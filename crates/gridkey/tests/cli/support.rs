//! A folder, an emulated SendGrid, and the process that works on both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gridkey_emulator::{Fault, FaultRule, KeyView, Model, Operation, Server, ServerSettings, Settings};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

pub use crate::process::gridkey;

/// What the names of files start with that tests use as sinks.
const SINK_FILES: [&str; 3] = [".env", "backup", "config"];

/// A place to work in.
pub struct Place {
    pub folder: TempDir,
    pub server: Server,
    pub key: String,
}

/// What a process said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn all(&self) -> String {
        format!("{}{}", self.err, self.out)
    }

    #[track_caller]
    pub fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}", self.all());
        self
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.all().contains(text), "does not say {text:?}:\n{}", self.all());
        self
    }
}

impl Place {
    pub async fn new(settings: Settings) -> Self {
        Self::with_latency(settings, Duration::ZERO).await
    }

    pub async fn with_latency(settings: Settings, latency: Duration) -> Self {
        let mut model = Model::new(Settings { remember_secrets: true, ..settings }, 7);
        let key = model.parent("acme", Timestamp::now());
        let server =
            Server::start(model, ServerSettings { latency, ..ServerSettings::default() }).await.unwrap();
        Self { folder: tempfile::tempdir().unwrap(), server, key }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        // Whatever the mask of the user who runs the tests: a plan tells of modes that change.
        #[cfg(unix)]
        self.set_mode(file, 0o600);
    }

    #[cfg(unix)]
    pub fn set_mode(&self, file: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(self.path(file), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = gridkey(self.folder.path(), arguments);
        command
            .env("SENDGRID_API_KEY", &self.key)
            .env("GRIDKEY_SENDGRID_URL", self.server.url())
            .env("GRIDKEY_READ_LAG", "0s");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments))
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// No secret that the emulator ever made stands in a text.
    #[track_caller]
    pub fn no_secrets(&self, what: &str, text: &str) {
        let model = self.server.model();
        let leaked = model.issued_secrets().iter().any(|secret| text.contains(secret.as_str()));
        assert!(!leaked, "a secret is in {what}");
    }

    /// No secret stands in any file of gridkey's own.
    #[track_caller]
    pub fn no_secrets_in_state(&self) {
        self.no_secrets_below(self.path(".gridkey"));
    }

    /// No secret stands in any file but those of the sinks: plans, reports, state.
    #[track_caller]
    pub fn no_secrets_in_artefacts(&self) {
        self.no_secrets_below(self.folder.path().to_path_buf());
    }

    #[track_caller]
    fn no_secrets_below(&self, folder: PathBuf) {
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if SINK_FILES.iter().any(|sink| name.starts_with(sink)) {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else {
                    self.no_secrets(
                        &path.display().to_string(),
                        &std::fs::read_to_string(&path).unwrap_or_default(),
                    );
                }
            }
        }
    }
}

pub fn said(mut command: Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A manifest of one account with these keys, over a dotenv file.
pub fn manifest(keys: &str) -> String {
    format!(
        "version: 1\naccounts:\n  acme: {{ api_key: {{ env: SENDGRID_API_KEY }} }}\nsinks:\n  local: {{ dotenv: \
         {{ path: .env, variable: \"SENDGRID_{{KEY}}\" }} }}\ndefaults: {{ sinks: [local] }}\nkeys:\n{keys}"
    )
}

/// So many keys, named `key-1` and on.
pub fn many(count: usize) -> String {
    (1..=count).map(|number| format!("  key-{number}: {{ scopes: [mail.send] }}\n")).collect()
}

/// The secrets that a dotenv file holds.
pub fn secrets(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.split_once('=')).map(|(_, value)| value.to_string()).collect()
}

/// The scopes of a key at the emulated SendGrid; none for Full Access.
pub type ScopesHeld = Option<BTreeSet<String>>;

/// All that a run could have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// The live keys of every account of the emulated SendGrid: id, name and scopes.
    pub live: BTreeMap<String, Vec<(String, String, ScopesHeld)>>,
    /// What state says of keys and creations, by account.
    pub state: BTreeMap<String, Value>,
    /// What the files of sinks hold.
    pub sinks: BTreeMap<PathBuf, String>,
}

impl Place {
    /// All that a run could change, to be compared with what it is afterwards.
    pub fn world(&self) -> World {
        let accounts = self.accounts();
        let live = |account: &String| {
            let keys = self.server.model().keys(account).into_iter();
            let live = keys.filter(|key| key.live && !is_managing(key));
            live.map(|key| (key.id, key.name, key.scopes)).collect()
        };
        let live = accounts.iter().map(|account| (account.clone(), live(account))).collect();
        let mut sinks = BTreeMap::new();
        sink_files(self.folder.path(), &mut sinks);
        World { live, state: self.states(), sinks }
    }

    /// The accounts of the emulated SendGrid.
    fn accounts(&self) -> Vec<String> {
        let snapshot: Value = serde_json::from_slice(&self.server.model().snapshot().to_bytes()).unwrap();
        snapshot["accounts"].as_object().unwrap().keys().cloned().collect()
    }

    /// `keys` and `pending` of every state document.
    fn states(&self) -> BTreeMap<String, Value> {
        let folder = std::fs::read_dir(self.path(".gridkey/state/default"));
        let paths = folder.into_iter().flatten().map(|entry| entry.unwrap().path());
        let documents = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        documents
            .map(|path| {
                let state: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
                let account = path.file_stem().unwrap().to_string_lossy().into_owned();
                (account, json!({ "keys": state["keys"], "pending": state["pending"] }))
            })
            .collect()
    }

    /// What state says of a key; null where it does not know the address.
    pub fn owned(&self, account: &str, address: &str) -> Value {
        self.states().get(account).map_or(Value::Null, |state| state["keys"][address].clone())
    }

    /// The addresses that state knows in an account, with the ids of their current keys.
    pub fn owns(&self, account: &str) -> BTreeMap<String, String> {
        let states = self.states();
        let keys = states.get(account).and_then(|state| state["keys"].as_object());
        let id = |key: &Value| key["id"].as_str().unwrap().to_string();
        keys.into_iter().flatten().map(|(address, key)| (address.clone(), id(key))).collect()
    }

    /// The live keys of an account by id, besides managing keys and readers.
    pub fn live(&self, account: &str) -> BTreeMap<String, KeyView> {
        let keys = self.server.model().keys(&at_sendgrid(account)).into_iter();
        keys.filter(|key| key.live && !is_managing(key)).map(|key| (key.id.clone(), key)).collect()
    }

    /// The id of the key at an address, which has to be live.
    #[track_caller]
    pub fn id(&self, account: &str, address: &str) -> String {
        let id = self.owns(account).get(address).cloned();
        let id = id.unwrap_or_else(|| panic!("state does not know `{address}`: {:?}", self.owns(account)));
        assert!(self.live(account).contains_key(&id), "the key of `{address}` is not live");
        id
    }

    /// Revokes the key at an address by hand.
    #[track_caller]
    pub fn revoke_by_hand(&self, account: &str, address: &str) {
        let id = self.id(account, address);
        assert!(self.server.model().revoke(&at_sendgrid(account), &id, Timestamp::now()));
    }

    /// `gridkey plan --format json`, with how it ended.
    #[track_caller]
    pub fn plan(&self, arguments: &[&str]) -> PlanSaid {
        let said = self.run(&[&["plan", "--format", "json"], arguments].concat());
        let json = serde_json::from_str(&said.out).unwrap_or(Value::Null);
        PlanSaid { said, json }
    }

    /// The live key at an address can be used by what reads its variable, and the file holds nothing else there.
    #[track_caller]
    pub fn works(&self, account: &str, address: &str, file: &str, variable: &str) {
        let id = self.id(account, address);
        let held = self.held(file, variable).unwrap_or_else(|| panic!("{file} has no {variable}"));
        assert_eq!(held.split('.').nth(1), Some(id.as_str()), "{variable} of {file} holds another key");
        assert!(self.server.model().authenticates(&held, Timestamp::now()));
    }

    /// The value of a variable of a dotenv file.
    pub fn held(&self, file: &str, variable: &str) -> Option<String> {
        let text = self.read(file);
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| *name == variable).map(|(_, value)| value.to_string())
    }

    /// A plan of everything has nothing to do.
    #[track_caller]
    pub fn converged(&self) {
        self.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes");
    }

    /// How often the emulated SendGrid was asked for something.
    pub fn asked(&self, operation: Operation) -> usize {
        self.server.model().log().iter().filter(|entry| entry.operation == operation).count()
    }
}

/// A plan as a document, and how the run that made it ended.
#[derive(Debug)]
pub struct PlanSaid {
    pub said: Said,
    pub json: Value,
}

impl PlanSaid {
    #[track_caller]
    pub fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.said.code, code, "{}", self.brief());
        self
    }

    /// What is done and found, in a few lines.
    pub fn brief(&self) -> String {
        let list = |name: &str| self.json[name].as_array().cloned().unwrap_or_default();
        let changes = list("changes")
            .into_iter()
            .map(|change| format!("{} {} {}\n", change["address"], change["action"], change["reasons"]));
        let findings = list("findings")
            .into_iter()
            .map(|finding| format!("{} {} {}\n", finding["severity"], finding["code"], finding["message"]));
        format!("{}{}", self.said.err, changes.chain(findings).collect::<String>())
    }

    /// The change at an address.
    #[track_caller]
    pub fn change(&self, address: &str) -> &Value {
        let changes = self.json["changes"].as_array().unwrap_or_else(|| panic!("{}", self.said.all()));
        let change = changes.iter().find(|change| change["address"] == address);
        change.unwrap_or_else(|| panic!("the plan has no change at `{address}`: {:#}", self.json["changes"]))
    }

    /// What is done at an address; none where it is kept or not there.
    pub fn action(&self, address: &str) -> Option<&str> {
        let mut changes = self.json["changes"].as_array().into_iter().flatten();
        let change = changes.find(|change| change["address"] == address && change["action"] != "keep")?;
        change["action"].as_str()
    }

    /// Findings with a code.
    pub fn findings(&self, code: &str) -> Vec<&Value> {
        let findings = self.json["findings"].as_array().into_iter().flatten();
        findings.filter(|finding| finding["code"] == code).collect()
    }

    /// A finding of this code stands against the plan.
    #[track_caller]
    pub fn blocks(&self, code: &str) -> &Self {
        self.ends(3);
        let severities: Vec<_> = self.findings(code).iter().map(|finding| &finding["severity"]).collect();
        let blocks = severities.iter().any(|severity| severity.as_str().unwrap().starts_with("blocks"));
        assert!(blocks, "`{code}` does not block: {}", self.brief());
        self
    }

    /// Some finding has all these texts in its message and help.
    #[track_caller]
    pub fn finds(&self, texts: &[&str]) -> &Self {
        let found = self.json["findings"].as_array().into_iter().flatten().any(|finding| {
            let said = format!("{} {}", finding["message"], finding["help"]);
            texts.iter().all(|text| said.contains(text))
        });
        assert!(found, "no finding says {texts:?}: {}", self.brief());
        self
    }
}

/// Whether a key is one that gridkey authenticates with in tests.
fn is_managing(key: &KeyView) -> bool {
    key.name == "managing key" || key.name.starts_with("Reader")
}

/// What the emulated SendGrid calls an account of a test's manifest: all but `acme` are its subusers.
pub fn at_sendgrid(account: &str) -> String {
    if account == "acme" { account.to_string() } else { format!("acme/{account}") }
}

/// The files below a folder that tests use as sinks.
fn sink_files(folder: &Path, files: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != ".gridkey" {
            sink_files(&path, files);
        } else if path.is_file() && SINK_FILES.iter().any(|sink| name.starts_with(sink)) {
            let text = std::fs::read_to_string(&path).unwrap();
            files.insert(path, text);
        }
    }
}

/// A creation that is refused, so often, after so many that went well.
pub fn refused_creations(after: u32, count: Option<u32>) -> Vec<FaultRule> {
    let fault = Fault::Status { status: 400, message: Some("no keys today".to_string()), done: false };
    vec![FaultRule { operation: Operation::Create, after, count, fault }]
}
