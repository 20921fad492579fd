//! Goes through a scenario, and tells what every command says, in the order in which it was said.

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::path::Path;

use jiff::Timestamp;

use crate::clock;
use crate::forms;
use crate::names::Names;
use crate::script::{Foreign, Scenario, Step};
use crate::support::{Place, Said, said};

/// What a scenario's commands say, one after another.
pub async fn tell(claim: &Path) -> String {
    let name = claim.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(claim.join("scenario.yaml")).unwrap_or_else(|error| {
        panic!("{name} is not a scenario: it is read from <topic>/<claim>/scenario.yaml: {error}")
    });
    let Scenario { sendgrid, foreign, subusers, steps, converges } =
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let place = Place::new(sendgrid).await;
    for subuser in subusers {
        place.server.model().child("acme", &subuser);
    }
    for foreign in foreign {
        make_by_hand(&place, foreign);
    }
    let mut telling = Telling { claim, name, place, told: String::new() };
    for step in steps {
        telling.step(step);
    }
    let Telling { name, place, told, .. } = telling;
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
    Names::default().replace(&told, place.folder.path(), &place.server.url())
}

fn make_by_hand(place: &Place, foreign: Foreign) {
    let Foreign { account, name, scopes, held_by } = foreign;
    let scopes: Option<Vec<&str>> = scopes.as_ref().map(|scopes| scopes.iter().map(String::as_str).collect());
    let made = place.server.model().add_key(&account, &name, scopes.as_deref(), Timestamp::now());
    for (file, variable) in held_by {
        let lines = place.read(&file);
        place.write(&file, &format!("{lines}{variable}={}\n", made.secret));
    }
}

/// A scenario that is under way.
struct Telling<'a> {
    claim: &'a Path,
    name: String,
    place: Place,
    told: String,
}

impl Telling<'_> {
    fn step(&mut self, step: Step) {
        match step {
            Step::Run(arguments) => self.run(&arguments, true),
            Step::WithoutKey(arguments) => self.run(&arguments, false),
            Step::RunWith { run, input, variables } => self.run_with(&run, input.as_deref(), &variables),
            Step::Faults(rules) => {
                self.note(if rules.is_empty() { "SendGrid is well again" } else { "SendGrid fails" });
                self.place.server.model().set_faults(rules);
            }
            Step::Link { file, to } => self.link(&file, &to),
            Step::Manifest(file) => {
                let text = std::fs::read_to_string(self.claim.join(&file)).unwrap();
                self.place.write("gridkey.yaml", &with_ids(&self.place, &text));
                self.note(&file);
            }
            Step::Write { file, text } => {
                self.place.write(&file, &text);
                self.note(&format!("{file} is replaced"));
            }
            Step::Edit { file, from, to } => self.edit(&file, &from, &to),
            Step::Truncate(file) => {
                let text = self.place.read(&file);
                // By lines: how many bytes there are depends on the clock.
                let half = text.lines().count() / 2;
                let kept: String = text.split_inclusive('\n').take(half).collect();
                self.place.write(&file, &kept);
                self.note(&format!("{file} is cut off"));
            }
            Step::Remove(file) => self.remove(&file),
            Step::Copy { file, to } => self.place.write(&to, &self.place.read(&file)),
            Step::RestoreLine { file, variable, from } => self.restore_line(&file, &variable, &from),
            Step::Show(file) => self.show(&file),
            Step::OverlapsPass => {
                clock::overlaps_pass(&self.place);
                self.note("the overlaps pass");
            }
            Step::DaysPass(days) => {
                clock::days_pass(&self.place, days);
                self.note(&format!("{days} days pass"));
            }
            Step::Revoke { account, name } => {
                let id = id_of(&self.place, &account, &name);
                assert!(self.place.server.model().revoke(&account, &id, Timestamp::now()));
                self.note(&format!("`{name}` is revoked by hand"));
            }
            Step::Change { account, name, scopes } => {
                let id = id_of(&self.place, &account, &name);
                self.place.server.model().change(&account, &id, &scopes);
                self.note(&format!("`{name}` is given other scopes by hand"));
            }
            Step::Rename { account, name, to } => {
                let id = id_of(&self.place, &account, &name);
                self.place.server.model().name_by_hand(&account, &id, &to);
                self.note(&format!("`{name}` is named `{to}` by hand"));
            }
            Step::NewManagingKey => {
                let now = Timestamp::now();
                let made = self.place.server.model().add_key("acme", "new managing key", None, now);
                self.place.key = made.secret;
                self.note("the managing key is another one");
            }
        }
    }

    fn note(&mut self, text: &str) {
        self.told.push_str(&format!("# {text}\n"));
    }

    fn link(&mut self, file: &str, to: &str) {
        #[cfg(unix)]
        std::os::unix::fs::symlink(to, self.place.path(file)).unwrap();
        self.note(&format!("{file} is a link to {to}"));
    }

    fn edit(&mut self, file: &str, from: &str, to: &str) {
        let text = self.place.read(file);
        assert!(text.contains(from), "{}: {file} has no {from}", self.name);
        self.place.write(file, &text.replace(from, to));
        self.note(&format!("in {file}, `{from}` becomes `{to}`"));
    }

    fn remove(&mut self, file: &str) {
        let path = self.place.path(file);
        if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) }.unwrap();
        self.note(&format!("{file} is gone"));
    }

    fn restore_line(&mut self, file: &str, variable: &str, from: &str) {
        let line = |text: &str| {
            let mut lines = text.lines();
            lines.find(|line| line.starts_with(&format!("{variable}="))).unwrap().to_string()
        };
        let (now, before) = (self.place.read(file), self.place.read(from));
        self.place.write(file, &now.replace(&line(&now), &line(&before)));
        self.note(&format!("{variable} in {file} is what it was before"));
    }

    fn show(&mut self, file: &str) {
        self.note(file);
        for line in self.place.read(file).lines() {
            self.told.push_str(&format!("| {}\n", hide_secrets(line)));
        }
    }

    fn run(&mut self, arguments: &[String], with_key: bool) {
        let place = &self.place;
        let arguments: Vec<String> = arguments.iter().map(|argument| with_ids(place, argument)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = place.command(&arguments);
        // One thing at a time, so that what is said has one order: that of what happened.
        command.env("GRIDKEY_CONCURRENCY", "1");
        if !with_key {
            command.env_remove("SENDGRID_API_KEY");
        }
        let said = said(command);
        self.tell(&arguments, &said);
        if forms::is_plan_in_text(&arguments) && !said.out.is_empty() {
            forms::check(&self.name, &self.place, &arguments, with_key);
        }
    }

    fn run_with(&mut self, arguments: &[String], input: Option<&str>, variables: &BTreeMap<String, String>) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.place.command(&arguments);
        command.env("GRIDKEY_CONCURRENCY", "1").envs(variables);
        if let Some(input) = input {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(input.as_bytes()).unwrap();
            file.rewind().unwrap();
            command.stdin(file);
        }
        let input = input.map(|_| "a text on standard input".to_string());
        let set = variables.keys().map(|name| format!("`{name}` set"));
        self.note(&format!("with {}", input.into_iter().chain(set).collect::<Vec<_>>().join(" and ")));
        let said = said(command);
        self.tell(&arguments, &said);
    }

    fn tell(&mut self, arguments: &[&str], said: &Said) {
        let place = &self.place;
        let line = format!("gridkey {}", arguments.join(" "));
        place.no_secrets(&format!("what `{line}` says"), &said.all());
        self.told.push_str(&format!("$ {line}\n"));
        for line in said.err.lines().filter(|line| is_told(line)) {
            self.told.push_str(&format!("! {}\n", without_time(line)));
        }
        for line in said.out.lines() {
            self.told.push_str(&format!("| {line}\n"));
        }
        self.told.push_str(&format!("= {}\n", said.code));
    }
}

/// How often a short wait is told depends on the machine.
fn is_told(line: &str) -> bool {
    !line.trim().is_empty() && !line.contains(" until SendGrid shows what an earlier run did")
}

/// A line of JSON without the time in front.
fn without_time(line: &str) -> String {
    match line.strip_prefix("{\"time\":\"").and_then(|rest| rest.split_once("\",")) {
        Some((_, rest)) => format!("{{{rest}"),
        None => line.to_string(),
    }
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

/// `SG.<id>.<secret>` as `SG.<id>.…`
fn hide_secrets(line: &str) -> String {
    match line.find("SG.") {
        Some(at) if line.len() >= at + 69 => format!("{}…{}", &line[..at + 26], &line[at + 69..]),
        _ => line.to_string(),
    }
}
