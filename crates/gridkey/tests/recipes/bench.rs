//! A project that delivers by a recipe, and what is asked of every recipe.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gridkey_emulator::{KeyView, Model, Server, ServerSettings, Settings};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::page;
use crate::process::gridkey;

const BOTH: [&str; 2] = ["mailer", "reports"];

/// A folder, an emulated SendGrid, and a recipe with its program.
pub struct Bench {
    folder: TempDir,
    server: Server,
    managing: String,
    recipe: String,
    sink: String,
    /// Where the second key goes.
    second: String,
    variables: Vec<(String, String)>,
}

/// What a process said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub text: String,
}

impl Said {
    #[track_caller]
    pub fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.text.contains(text), "does not say {text:?}:\n{}", self.text);
        self
    }
}

impl Bench {
    /// A program takes the name that the recipe calls it by. Its arguments are written down on the way.
    pub async fn new(section: &str, program: (&str, &Path)) -> Self {
        let mut model = Model::new(Settings { remember_secrets: true, ..Settings::default() }, 7);
        let managing = model.parent("acme", Timestamp::now());
        let server = Server::start(model, ServerSettings::default()).await.unwrap();
        let (recipe, sink) = page::sink(section);
        let second = "local".to_string();
        let folder = tempfile::tempdir().unwrap();
        let bench = Self { folder, server, managing, recipe, sink, second, variables: Vec::new() };
        for folder in ["bin", "home", "temporary", "project"] {
            std::fs::create_dir(bench.path(folder)).unwrap();
        }
        let (name, program) = program;
        let (log, program) = (bench.path("arguments"), program.display());
        let script = format!(
            "#!/bin/sh\nfor word in \"$@\"; do printf '%s\\n' \"$word\" >>'{}'; done\nexec '{program}' \"$@\"\n",
            log.display()
        );
        executable(&bench.path(&format!("bin/{name}")), &script);
        let (script, name) = page::script(section);
        executable(&bench.path(&format!("project/{name}")), &script);
        bench.wants(&BOTH);
        bench
    }

    /// The second key goes by the recipe, too, into another field of the same secret.
    pub fn with_both(mut self) -> Self {
        self.second.clone_from(&self.sink);
        self.wants(&BOTH);
        self
    }

    /// With a variable from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_string(), value.to_string()));
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file of the home folder.
    pub fn home(&self, path: &str, text: &str) {
        let path = self.path("home").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Writes a manifest that wants these keys.
    pub fn wants(&self, keys: &[&str]) {
        let sink = |key: &str| if key == BOTH[0] { &self.sink } else { &self.second };
        let keys: String = keys
            .iter()
            .map(|key| format!("  {key}: {{ scopes: [mail.send], sinks: [{}] }}\n", sink(key)))
            .collect();
        let text = format!(
            "version: 1\naccounts:\n  acme: {{ api_key: {{ env: SENDGRID_API_KEY }} }}\nenvironments:\n  prod: {{}}\n\
             {}  local: {{ dotenv: {{ path: .env, variable: \"{{KEY}}\" }} }}\nkeys:\n{keys}",
            self.recipe
        );
        std::fs::write(self.path("project/gridkey.yaml"), text).unwrap();
    }

    /// A process in the surroundings of the project.
    pub fn around(&self, mut command: Command) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.path("bin")).chain(std::env::split_paths(&path));
        command
            .env("PATH", std::env::join_paths(folders).unwrap())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("temporary"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        let mut command = self.around(gridkey(&self.path("project"), arguments));
        command
            .env("SENDGRID_API_KEY", &self.managing)
            .env("GRIDKEY_SENDGRID_URL", self.server.url())
            .env("GRIDKEY_READ_LAG", "0s");
        let output = command.output().unwrap();
        let [error, out] = [output.stderr, output.stdout].map(|said| String::from_utf8(said).unwrap());
        Said { code: output.status.code().unwrap_or(-1), text: error + &out }
    }

    /// The live keys but the managing one.
    pub fn live(&self) -> Vec<KeyView> {
        let keys = self.server.model().keys("acme").into_iter();
        keys.filter(|key| key.live && key.name != "managing key").collect()
    }

    /// The recipe does all that the page promises. `held` is what the store has for a key, asked without the recipe.
    pub fn keeps_its_promises(&self, held: impl Fn(&str) -> Option<String>) {
        let shared = self.second == self.sink;
        self.run(&["apply", "--yes"]).ends(0);
        let first = self.works("mailer", &held);
        let other = shared.then(|| self.works("reports", &held));
        self.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes");
        self.run(&["apply", "--yes", "--rotate", "prod/mailer"]).ends(0);
        assert_ne!(self.works("mailer", &held), first, "the rotation is in the store");
        self.run(&["plan", "--detailed-exitcode"]).ends(0);
        self.wants(&BOTH[1..]);
        self.run(&["apply", "--yes"]).ends(0);
        assert_eq!(held("mailer"), None, "what is removed is gone from the store");
        if shared {
            assert_eq!(held("reports"), other, "the other field is as it was");
        }
        self.run(&["plan", "--detailed-exitcode"]).ends(0);
        // What was there once can be filled again.
        self.wants(&BOTH);
        self.run(&["apply", "--yes"]).ends(0);
        self.works("mailer", &held);
        self.no_secret_is_left();
    }

    /// The store cannot be asked: nothing is made. `says` is a part of the program's own words.
    #[track_caller]
    pub fn is_blocked(&self, says: &str) {
        self.blocks(&[], says);
    }

    /// The same for a key that is there already.
    #[track_caller]
    pub fn rotation_is_blocked(&self, says: &str) {
        self.blocks(&["--rotate", "prod/mailer"], says);
    }

    #[track_caller]
    fn blocks(&self, more: &[&str], says: &str) {
        let before = self.live().len();
        self.run(&[&["plan"], more].concat()).ends(3).says("sink_unreadable").says(says);
        self.run(&[&["apply", "--yes"], more].concat()).ends(3).says("sink_unreadable");
        assert_eq!(self.live().len(), before, "no key is made for a store that cannot be asked");
    }

    /// The store holds the secret of the live key, exactly.
    #[track_caller]
    pub fn works(&self, key: &str, held: impl Fn(&str) -> Option<String>) -> String {
        let secret = held(key).unwrap_or_else(|| panic!("nothing is stored for {key}"));
        assert!(
            self.server.model().authenticates(&secret, Timestamp::now()),
            "{key}: {secret:?} is no live key"
        );
        secret
    }

    /// No secret was an argument of a program, or is in a file of its own.
    #[track_caller]
    pub fn no_secret_is_left(&self) {
        let model = self.server.model();
        let secrets = model.issued_secrets();
        assert!(!secrets.is_empty());
        let mut folders = vec![self.folder.path().to_path_buf()];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() && !path.ends_with("project/.env") && !path.ends_with("store") {
                    let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                    let leaked = secrets.iter().any(|secret| text.contains(secret.as_str()));
                    assert!(!leaked, "a secret is in {}", path.display());
                    files += 1;
                }
            }
        }
        assert!(self.path("arguments").exists() && files > 1, "the program was run");
    }
}

/// Another process writes it: one that is started while this one has it open for writing would keep it from being run.
fn executable(path: &Path, text: &str) {
    let mut writer = Command::new("sh");
    writer.args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
}
