//! A folder, an emulated SendGrid, and the process that works on both.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gridkey_emulator::{Model, Server, ServerSettings, Settings};
use jiff::Timestamp;
use tempfile::TempDir;

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
        std::fs::write(path, text).unwrap();
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

/// The process, with nothing of the surroundings that it would listen to.
pub fn gridkey(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridkey"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for name in [
        "CI",
        "GRIDKEY_CONCURRENCY",
        "GRIDKEY_ENV",
        "GRIDKEY_MANIFEST",
        "SENDGRID_API_KEY",
        "GITHUB_RUN_ID",
        "CI_PIPELINE_ID",
    ] {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1");
    command
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
