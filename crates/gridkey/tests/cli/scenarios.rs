//! Scenarios: a folder for each claim, with manifests, what is at SendGrid, and what every command says.
//!
//! `GRIDKEY_BLESS=1 cargo test` writes what the commands say now into `expected.txt`; read the difference
//! before it is committed. `GRIDKEY_SCENARIO=TEXT` goes through those alone whose name has the text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gridkey_emulator::Settings;
use jiff::Timestamp;
use serde::Deserialize;

use crate::forms::{self, Had};
use crate::support::{Place, said};

/// `scenario.json`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// Switches of the emulated SendGrid.
    #[serde(default)]
    sendgrid: Settings,
    /// Keys made by hand, by account.
    #[serde(default)]
    foreign: Vec<Foreign>,
    #[serde(default)]
    subusers: Vec<String>,
    steps: Vec<Step>,
    /// Whether a plan at the end shows no changes, as it does unless the scenario is about something that
    /// blocks.
    #[serde(default = "yes")]
    converges: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Foreign {
    account: String,
    name: String,
    /// None stands for Full Access.
    scopes: Option<Vec<String>>,
    /// A line `VARIABLE=` in a file that holds its secret.
    #[serde(default)]
    held_by: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    /// This manifest is the one from now on.
    Manifest(String),
    /// `gridkey …`
    Run(Vec<String>),
    /// The same, without the managing key.
    WithoutKey(Vec<String>),
    /// A file of the project is replaced.
    Write { file: String, text: String },
    /// A key is revoked by hand.
    Revoke { account: String, name: String },
    /// A key is renamed or given other scopes by hand.
    Change { account: String, name: String, scopes: Vec<String> },
    /// A text in a file is replaced by another.
    Edit { file: String, from: String, to: String },
    /// A file is cut off in its middle.
    Truncate(String),
    /// Every overlap that state has begun to count has passed.
    OverlapsPass,
    /// So many days pass.
    DaysPass(i64),
    /// The managing key is another one from now on, which somebody made by hand.
    NewManagingKey,
    /// A file or a folder is gone.
    Remove(String),
    /// A key is given another name by hand.
    Rename { account: String, name: String, to: String },
    /// A file is copied.
    Copy { file: String, to: String },
    /// A line `VARIABLE=` of a file is again what it is in a copy.
    RestoreLine { file: String, variable: String, from: String },
    /// A file's text is shown, with secrets as the ids of their keys.
    Show(String),
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_goes_as_it_is_written_down() {
    let bless = std::env::var_os("GRIDKEY_BLESS").is_some();
    let mut claims: Vec<_> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    claims.sort();
    let only = std::env::var("GRIDKEY_SCENARIO").ok();
    claims.retain(|claim| only.as_ref().is_none_or(|only| claim.to_string_lossy().contains(only)));
    assert!(!claims.is_empty());
    let mut different = Vec::new();
    let mut had = Had::new();
    for claim in &claims {
        let told = tell(claim, &mut had).await;
        let path = claim.join("expected.txt");
        if bless {
            std::fs::write(&path, &told).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if told != expected {
            let name = claim.file_name().unwrap().to_string_lossy();
            let diff = similar::TextDiff::from_lines(&expected, &told);
            let diff = diff.unified_diff().header("expected", "told").to_string();
            different.push(format!("{name}:\n{diff}"));
        }
    }
    println!("{} scenarios", claims.len());
    let missing: Vec<String> = forms::all().difference(&had).cloned().collect();
    let missing = if only.is_some() { vec!["action keep".into(), "reason in_step".into()] } else { missing };
    assert_eq!(missing, ["action keep", "reason in_step"], "no scenario shows these in every form");
    assert!(different.is_empty(), "{}\nGRIDKEY_BLESS=1 writes down what is told now", different.join("\n"));
}

/// Goes through a scenario, and tells what every command says.
async fn tell(claim: &Path, had: &mut Had) -> String {
    let name = claim.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(claim.join("scenario.json")).unwrap();
    let Scenario { sendgrid, foreign, subusers, steps, converges } =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut place = Place::new(sendgrid).await;
    for subuser in subusers {
        place.server.model().child("acme", &subuser);
    }
    for Foreign { account, name, scopes, held_by } in foreign {
        let scopes: Option<Vec<&str>> =
            scopes.as_ref().map(|scopes| scopes.iter().map(String::as_str).collect());
        let made = place.server.model().add_key(&account, &name, scopes.as_deref(), Timestamp::now());
        for (file, variable) in held_by {
            let lines = place.read(&file);
            place.write(&file, &format!("{lines}{variable}={}\n", made.secret));
        }
    }
    let mut told = String::new();
    let mut names = Names::default();
    for step in steps {
        match step {
            Step::Manifest(file) => {
                let text = std::fs::read_to_string(claim.join(&file)).unwrap();
                place.write("gridkey.yaml", &with_ids(&place, &text));
                told.push_str(&format!("# {file}\n"));
            }
            Step::Run(arguments) => run(&name, &place, &arguments, true, &mut told, had),
            Step::WithoutKey(arguments) => run(&name, &place, &arguments, false, &mut told, had),
            Step::Write { file, text } => {
                place.write(&file, &text);
                told.push_str(&format!("# {file} is replaced\n"));
            }
            Step::Revoke { account, name } => {
                let id = id_of(&place, &account, &name);
                assert!(place.server.model().revoke(&account, &id, Timestamp::now()));
                told.push_str(&format!("# `{name}` is revoked by hand\n"));
            }
            Step::Change { account, name, scopes } => {
                let id = id_of(&place, &account, &name);
                place.server.model().change(&account, &id, &scopes);
                told.push_str(&format!("# `{name}` is given other scopes by hand\n"));
            }
            Step::Edit { file, from, to } => {
                let text = place.read(&file);
                assert!(text.contains(&from), "{name}: {file} has no {from}");
                place.write(&file, &text.replace(&from, &to));
                told.push_str(&format!("# in {file}, `{from}` becomes `{to}`\n"));
            }
            Step::Truncate(file) => {
                let text = place.read(&file);
                place.write(&file, text.get(..text.len() / 2).unwrap());
                told.push_str(&format!("# {file} is cut off\n"));
            }
            Step::OverlapsPass => {
                place.let_overlaps_pass();
                told.push_str("# the overlaps pass\n");
            }
            Step::DaysPass(days) => {
                place.let_days_pass(days);
                told.push_str(&format!("# {days} days pass\n"));
            }
            Step::Remove(file) => {
                let path = place.path(&file);
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) }
                    .unwrap();
                told.push_str(&format!("# {file} is gone\n"));
            }
            Step::NewManagingKey => {
                let made = place.server.model().add_key("acme", "new managing key", None, Timestamp::now());
                place.key = made.secret;
                told.push_str("# the managing key is another one\n");
            }
            Step::Rename { account, name, to } => {
                let id = id_of(&place, &account, &name);
                place.server.model().name_by_hand(&account, &id, &to);
                told.push_str(&format!("# `{name}` is named `{to}` by hand\n"));
            }
            Step::Copy { file, to } => {
                let text = place.read(&file);
                place.write(&to, &text);
            }
            Step::RestoreLine { file, variable, from } => {
                let line = |text: &str| {
                    let mut lines = text.lines();
                    lines.find(|line| line.starts_with(&format!("{variable}="))).unwrap().to_string()
                };
                let (now, before) = (place.read(&file), place.read(&from));
                place.write(&file, &now.replace(&line(&now), &line(&before)));
                told.push_str(&format!("# {variable} in {file} is what it was before\n"));
            }
            Step::Show(file) => {
                told.push_str(&format!("# {file}\n"));
                for line in place.read(&file).lines() {
                    told.push_str(&format!("| {}\n", hide_secrets(line)));
                }
            }
        }
    }
    place.no_secrets(&format!("what {name} says"), &told);
    place.no_secrets_in_artefacts();
    if converges {
        let last = place.run(&["plan", "--detailed-exitcode"]);
        assert!(
            last.code == 0 && last.all().contains("No changes"),
            "{name} does not converge:\n{told}\n{}",
            last.all()
        );
    }
    names.replace(&told, place.folder.path(), &place.server.url())
}

fn id_of(place: &Place, account: &str, name: &str) -> String {
    let keys = place.server.model().keys(account);
    let key = keys.into_iter().find(|key| key.live && key.name == name);
    key.unwrap_or_else(|| panic!("account {account} has no live key `{name}`")).id
}

/// `ID(account/name)` as the id of the live key of that name.
fn with_ids(place: &Place, text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("ID(") {
        let (key, after) = after.split_once(')').unwrap();
        let (account, name) = key.split_once('/').unwrap();
        filled.push_str(before);
        filled.push_str(&id_of(place, account, name));
        rest = after;
    }
    filled + rest
}

fn run(name: &str, place: &Place, arguments: &[String], with_key: bool, told: &mut String, had: &mut Had) {
    let arguments: Vec<String> = arguments.iter().map(|argument| with_ids(place, argument)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = place.command(&arguments);
    // One thing at a time, so that what is said has one order: that of what happened.
    command.env("GRIDKEY_CONCURRENCY", "1");
    if !with_key {
        command.env_remove("SENDGRID_API_KEY");
    }
    let said = said(command);
    place.no_secrets(&format!("what `gridkey {}` says", arguments.join(" ")), &said.all());
    told.push_str(&format!("$ gridkey {}\n", arguments.join(" ")));
    for line in said.err.lines().filter(|line| !line.trim().is_empty()) {
        told.push_str(&format!("! {line}\n"));
    }
    for line in said.out.lines() {
        told.push_str(&format!("| {line}\n"));
    }
    told.push_str(&format!("= {}\n", said.code));
    forms::remember_asked_for(&said.out, had);
    let as_text = !arguments.iter().any(|argument| matches!(*argument, "--format" | "--against" | "--out"));
    if arguments.first() == Some(&"plan") && as_text && !said.out.is_empty() {
        forms::check(name, place, &arguments, with_key, had);
    }
}

/// `SG.<id>.<secret>` as `SG.<id>.…`
fn hide_secrets(line: &str) -> String {
    match line.find("SG.") {
        Some(at) if line.len() >= at + 69 => format!("{}…{}", &line[..at + 26], &line[at + 69..]),
        _ => line.to_string(),
    }
}

/// Gives ids, markers and times names that are the same in every run.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn replace(&mut self, text: &str, folder: &Path, url: &str) -> String {
        let text = text.replace(&folder.display().to_string(), "FOLDER").replace(url, "URL");
        let mut named = String::new();
        let mut word = String::new();
        for c in text.chars().chain(['\n']) {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':') {
                word.push(c);
                continue;
            }
            named.push_str(&self.name(&word));
            word.clear();
            named.push(c);
        }
        named.truncate(named.len() - 1);
        named
    }

    fn name(&mut self, word: &str) -> String {
        let mixed = word.chars().any(char::is_uppercase) && word.chars().any(char::is_lowercase);
        let is_id = word.len() == 22 && mixed && !word.contains(':');
        let is_time = word.len() == 20 && word.starts_with("20") && word.ends_with('Z');
        let is_lineage =
            word.len() == 26 && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let is_marker = word.len() == 13
            && word.chars().any(|c| c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let kind = match (is_id, is_time, is_lineage, is_marker) {
            (true, _, _, _) => "KEY",
            (_, true, _, _) => return "TIME".to_string(),
            (_, _, true, _) => "LINEAGE",
            (_, _, _, true) => "MARKER",
            _ => return word.to_string(),
        };
        let number = self.0.len() + 1;
        self.0.entry(word.to_string()).or_insert_with(|| format!("{kind}-{number}")).clone()
    }
}
