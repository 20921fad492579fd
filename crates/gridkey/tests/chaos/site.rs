//! Where a schedule takes place: two projects' folders, files that they share, and an emulated SendGrid.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use gridkey_emulator::{KeyView, Model, RateLimit, Server, ServerSettings, Settings};
use jiff::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::gridkey;

/// The accounts, as manifests and as the emulated SendGrid call them.
pub const ACCOUNTS: [(&str, &str); 3] = [("acme", "acme"), ("beta", "beta"), ("shop", "acme/shop")];

/// The key in every account that is none of gridkey's business.
pub const FOREIGN: &str = "made by hand";

const PAUSE: Duration = Duration::from_millis(5);

pub struct Site {
    folder: TempDir,
    pub server: Server,
    /// The variables with the managing keys of the parents.
    managing: [(&'static str, String); 2],
    /// By how long reads trail writes.
    pub lag: Duration,
}

impl Site {
    pub async fn new(seed: u64, random: &mut StdRng) -> Self {
        let lag = if random.random_bool(0.1) { Duration::from_millis(100) } else { Duration::ZERO };
        let settings = Settings {
            bare_429: random.random_bool(0.2),
            strict_scopes: random.random_bool(0.3),
            // Windows are short, so that a refusal for the rate is waited out soon.
            rate_limit: RateLimit { requests: 200, seconds: 1 },
            read_lag: lag,
            remember_secrets: true,
            ..Settings::default()
        };
        let latency = Duration::from_millis([0, 2, 5, 15][random.random_range(0..4)]);
        let now = Timestamp::now();
        let mut model = Model::new(settings, seed);
        let managing = ["acme", "beta"].map(|account| model.parent(account, now));
        model.child("acme", "shop");
        for (_, account) in ACCOUNTS {
            model.add_key(account, FOREIGN, Some(&["mail.send"]), now);
        }
        let settings = ServerSettings { latency, ..ServerSettings::default() };
        let server = Server::start(model, settings).await.unwrap();
        let [acme, beta] = managing;
        let managing = [("SENDGRID_API_KEY", acme), ("BETA_API_KEY", beta)];
        Self { folder: tempfile::tempdir().unwrap(), server, managing, lag }
    }

    /// A file or folder by its path from the folder of both projects.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("work").join(path)
    }

    /// Where what processes say is kept: none of the folders that they work in.
    pub fn said(&self) -> PathBuf {
        self.folder.path().join("said")
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn command(&self, project: &str, arguments: &[&str]) -> Command {
        let mut command = gridkey(&self.path(project), arguments);
        // Its clock tells whole seconds, so what may lag is given one.
        let lag = if self.lag.is_zero() { "0s" } else { "1s" };
        command.env("GRIDKEY_SENDGRID_URL", self.server.url()).env("GRIDKEY_READ_LAG", lag);
        for (variable, key) in &self.managing {
            command.env(variable, key);
        }
        command
    }

    /// Every key that an account ever had, besides its managing key.
    pub fn keys(&self, account: &str) -> Vec<KeyView> {
        let (_, account) = ACCOUNTS.iter().find(|(name, _)| *name == account).unwrap();
        let keys = self.server.model().keys(account).into_iter();
        keys.filter(|key| key.name != "managing key").collect()
    }

    pub fn authenticates(&self, secret: &str) -> bool {
        self.server.model().authenticates(secret, Timestamp::now())
    }

    /// What of every secret nothing else holds: its last part. The id before it is no secret.
    pub fn secrets(&self) -> Vec<String> {
        let model = self.server.model();
        model.issued_secrets().iter().map(|key| key.rsplit('.').next().unwrap().to_string()).collect()
    }

    /// The documents of a project by account.
    pub fn states(&self, project: &str) -> Vec<(String, Value)> {
        let folder = std::fs::read_dir(self.path(&format!("{project}/.gridkey/state/{project}")));
        let paths = folder.into_iter().flatten().map(|entry| entry.unwrap().path());
        let documents = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let read = |path: PathBuf| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_string(), serde_json::from_str(&text).unwrap())
        };
        documents.map(read).collect()
    }

    /// Ends what reads trail by, and waits until everything that was on its way has come about.
    pub fn settle(&self) {
        let is_empty = || {
            let mut model = self.server.model();
            model.advance(Timestamp::now());
            let snapshot: Value = serde_json::from_slice(&model.snapshot().to_bytes()).unwrap();
            snapshot["flights"].as_array().unwrap().is_empty()
        };
        while !is_empty() {
            std::thread::sleep(PAUSE);
        }
        self.server.model().settings_mut().read_lag = Duration::ZERO;
    }
}
