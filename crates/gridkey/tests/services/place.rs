//! A project whose key goes to several sinks, an emulated SendGrid, and the process that works on both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use gridkey_core::SinkKind;
use gridkey_emulator::{KeyView, Model, Server, ServerSettings, Settings};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use tempfile::TempDir;

use crate::Services;
use crate::process::gridkey;
use crate::service::{Service, Value, Whom};
use crate::target::Target;

/// The key of most tests.
pub const MAILER: &str = "prod/mailer";

pub struct Place {
    folder: TempDir,
    pub server: Server,
    managing: String,
    pub targets: Vec<Target>,
    variables: BTreeMap<String, String>,
}

/// What a process said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub text: String,
}

impl Said {
    #[track_caller]
    pub fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.text);
        self
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.text.contains(text), "does not say {text:?}:\n{}", self.text);
        self
    }
}

impl Services {
    /// A service of the kind; nothing where it has none, or this machine cannot run it.
    pub async fn get(&self, kind: SinkKind) -> Option<Arc<dyn Service>> {
        self.0.iter().find(|service| service.listed.kind == kind)?.get().await
    }
}

impl Place {
    /// A project of the kinds that this machine can run.
    pub async fn new(services: &Services, name: &str, kinds: &[SinkKind]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        std::fs::create_dir_all(&project).unwrap();
        let mut targets = Vec::new();
        let mut variables = BTreeMap::new();
        for kind in kinds {
            let target = match Target::file(&project, *kind) {
                Some(target) => Some(target),
                None => match services.get(*kind).await {
                    Some(service) => Some(Target::of(service, *kind, &project, name, Whom::Gridkey).await),
                    None => None,
                },
            };
            if let Some(target) = target {
                variables.extend(variables_of(&target, Whom::Gridkey));
                targets.push(target);
            }
        }
        let mut model = Model::new(Settings { remember_secrets: true, ..Settings::default() }, 7);
        let managing = model.parent("acme", Timestamp::now());
        let server = Server::start(model, ServerSettings::default()).await.unwrap();
        let place = Self { folder, server, managing, targets, variables };
        place.wants_mailer();
        place
    }

    /// Of a single service, beside a file; nothing where this machine cannot run it.
    pub async fn beside_a_file(services: &Services, name: &str, kind: SinkKind) -> Option<Self> {
        let place = Self::new(services, name, &[SinkKind::Dotenv, kind]).await;
        (place.targets.len() == 2).then_some(place)
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder().join(path)
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// A key that goes to all of them.
    pub fn wants_mailer(&self) {
        let sinks: Vec<&str> = self.targets.iter().map(|target| target.at.sink.as_str()).collect();
        self.wants(json!({"mailer": {"scopes": ["mail.send"], "sinks": sinks}}), json!([]));
    }

    /// Writes a manifest.
    pub fn wants(&self, keys: Json, moved: Json) {
        let sinks: Map<String, Json> =
            self.targets.iter().map(|target| (target.at.sink.to_string(), json!(&*target.at.at))).collect();
        let manifest = json!({
            "version": 1,
            "accounts": {"acme": {"api_key": {"env": "SENDGRID_API_KEY"}}},
            "environments": {"prod": {}},
            "sinks": sinks,
            "keys": keys,
            "moved": moved,
        });
        std::fs::write(self.path("gridkey.yaml"), manifest.to_string()).unwrap();
    }

    /// Logs in at the last service as another one from now on.
    pub async fn is(&mut self, whom: Whom) {
        let folder = self.folder();
        let target = self.targets.last_mut().unwrap();
        target.is_reached_as(&folder, whom).await;
        let variables = variables_of(target, whom);
        self.variables.extend(variables);
        self.wants_mailer();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = gridkey(&self.folder(), arguments);
        // Nothing of the logins that this machine may have.
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("NO_COLOR", "1")
            .env("SENDGRID_API_KEY", &self.managing)
            .env("GRIDKEY_SENDGRID_URL", self.server.url())
            .env("GRIDKEY_READ_LAG", "0s")
            .envs(&self.variables);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        said(&mut self.command(arguments))
    }

    /// There is nothing to do.
    #[track_caller]
    pub fn is_settled(&self) {
        self.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes");
    }

    /// Every key that was ever made, but the managing one.
    pub fn made(&self) -> Vec<KeyView> {
        let keys = self.server.model().keys("acme").into_iter();
        keys.filter(|key| key.name != "managing key").collect()
    }

    pub fn live(&self) -> BTreeSet<String> {
        self.made().into_iter().filter(|key| key.live).map(|key| key.id).collect()
    }

    pub fn works(&self, secret: &str) -> bool {
        self.server.model().authenticates(secret, Timestamp::now())
    }

    /// The one secret that all sinks hold, as their own clients read it; it works.
    pub async fn held_everywhere(&self) -> String {
        let mut held: Option<String> = None;
        for target in &self.targets {
            let Value::Text(secret) = target.value().await else {
                panic!("{} holds no text", target.kind());
            };
            assert!(self.works(&secret), "{} holds a key that SendGrid refuses", target.kind());
            if let Some(held) = &held {
                assert!(*held == secret, "{} holds another key than those before it", target.kind());
            }
            held = Some(secret);
        }
        held.expect("there are sinks")
    }

    /// Every id that state names as a key of its own, older ones that wait included.
    pub fn owned(&self) -> BTreeSet<String> {
        let state = self.state();
        let id = |key: &Json| key["id"].as_str().unwrap().to_string();
        let keys = state["keys"].as_object().unwrap().values();
        keys.flat_map(|key| {
            let older = key["retiring"].as_array().into_iter().flatten();
            std::iter::once(id(key)).chain(older.map(id)).collect::<Vec<_>>()
        })
        .collect()
    }

    /// How many creations are begun and not done.
    pub fn pending(&self) -> usize {
        self.state()["pending"].as_object().map_or(0, Map::len)
    }

    fn state(&self) -> Json {
        let text = std::fs::read_to_string(self.path(".gridkey/state/default/acme.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// No secret is in what gridkey keeps, or in a text.
    #[track_caller]
    pub fn no_secret(&self, what: &str, text: &str) {
        let leaked = self.server.model().issued_secrets().iter().any(|secret| {
            let private = secret.rsplit('.').next().unwrap();
            text.contains(private)
        });
        assert!(!leaked, "a secret is in {what}");
    }

    #[track_caller]
    pub fn no_secret_is_kept(&self) {
        let mut folders = vec![self.path(".gridkey")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                    self.no_secret(&path.display().to_string(), &text);
                }
            }
        }
    }
}

/// What a test of one kind calls its location.
pub fn name_of(test: &str, kind: SinkKind) -> String {
    format!("fields-{test}-{}", kind.as_str().replace('_', "-"))
}

fn variables_of(target: &Target, whom: Whom) -> BTreeMap<String, String> {
    match (target.service(), target.proxy()) {
        (Some(service), Some(proxy)) => service.variables(proxy.address(), whom),
        _ => BTreeMap::new(),
    }
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let [error, out] = [output.stderr, output.stdout].map(|said| String::from_utf8(said).unwrap());
    Said { code: output.status.code(), text: error + &out }
}
