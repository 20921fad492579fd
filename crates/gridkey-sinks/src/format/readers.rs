//! Edits against readers that share no code with them: what a shell, Python and JavaScript see in a file before and after.
//!
//! `.ci/run` installs the readers into `target/readers`. Each reads all files in one process.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::Entry;

const FILES: usize = 1_500;
/// Of these, how many at least a reader has to have seen before and after.
const COMPARED: usize = 1_000;
const NEW: &str = "SG.new_value-1.x";

/// A file, and the place that is edited.
#[derive(Clone, Debug)]
struct Case {
    text: String,
    entry: Entry,
}

/// What a reader sees of a text; `None` where it refuses it.
type Seen = Option<Value>;

fn readers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/readers")
}

/// Runs a reader over texts; `None` where it is not there.
fn seen_by(program: &str, script: &str, texts: &[&str]) -> Option<Vec<Seen>> {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, text) in texts.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number:05}")), text).expect("a file");
    }
    let mut command = Command::new(program);
    command.arg(if program == "python3" { "-c" } else { "-e" }).arg(script).arg(folder.path());
    if program == "bash" {
        command = Command::new(program);
        command.args(["-c", script, "bash"]).arg(folder.path());
    }
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("NODE_PATH", readers().join("node_modules")).env("PYTHONPATH", readers().join("python"));
    let output = command.stdin(Stdio::null()).output();
    let reason = match output {
        Ok(output) if output.status.success() => {
            let lines = String::from_utf8(output.stdout).expect("a reader answers in UTF-8");
            let seen: Vec<Seen> =
                lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
            assert_eq!(seen.len(), texts.len(), "{program} answers once for each file");
            return Some(seen);
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    assert!(std::env::var_os("GRIDKEY_REQUIRE_READERS").is_none(), "{program}: {reason}");
    let mut told = std::io::stderr().lock();
    let _ = writeln!(
        told,
        "skipped: {program} cannot read with these modules: {}",
        reason.lines().last().unwrap_or_default()
    );
    None
}

/// The same files in every run.
fn cases(strategy: impl Strategy<Value = Case>) -> Vec<Case> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..FILES).map(|_| strategy.new_tree(&mut runner).expect("a case").current()).collect()
}

/// What the reader has to see afterwards: the new value at the place, and everything else as before. `None` where the place
/// cannot be made in what it saw.
fn wanted(before: &Value, entry: &Entry) -> Option<Value> {
    let mut wanted = if before.is_null() { json!({}) } else { before.clone() };
    let (Entry::Variable(pointer) | Entry::Json(pointer) | Entry::Yaml(pointer)) = entry else { return None };
    let mut at = &mut wanted;
    for name in pointer.split('/').filter(|name| !name.is_empty()) {
        if at.is_null() {
            *at = json!({});
        }
        at = match at {
            Value::Object(members) => members.entry(name).or_insert(Value::Null),
            Value::Array(items) => items.get_mut(name.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    *at = json!(NEW);
    Some(wanted)
}

/// Every edit that is not refused is what the reader sees, and refusals are a minority.
fn check(name: &str, program: &str, script: &str, cases: &[Case]) {
    let edits: Vec<(&Case, String)> = cases
        .iter()
        .filter_map(|case| Some((case, case.entry.set(&case.text, NEW).ok()?.to_string())))
        .collect();
    let texts: Vec<&str> =
        edits.iter().flat_map(|(case, after)| [case.text.as_str(), after.as_str()]).collect();
    let Some(seen) = seen_by(program, script, &texts) else { return };
    let mut understood = 0;
    for ((case, after), seen) in edits.iter().zip(seen.chunks_exact(2)) {
        // What the reader does not take before has no meaning that could stay.
        let Some(before) = &seen[0] else { continue };
        understood += 1;
        let wanted = wanted(before, &case.entry);
        assert_eq!(seen[1], wanted, "{name}, {}:\n{}\n--- after:\n{after}", case.entry, case.text);
    }
    let refused = cases.len() - edits.len();
    println!("{name}: {} files, {refused} refused, {understood} compared", cases.len());
    assert!(
        refused * 2 < cases.len() && understood >= COMPARED,
        "{name}: {refused} refused, {understood} compared"
    );
}

/// A dotenv file of lines such as people write. A shell runs what it reads, so nothing here is a command.
fn dotenv(carriage: bool) -> impl Strategy<Value = Case> {
    let value = prop_oneof![
        4 => "[a-zA-Z0-9_./:@%+-]{0,12}",
        2 => "'[a-zA-Z0-9 _./:#=;-]{0,12}'",
        2 => "\"[a-zA-Z0-9 _./:#=;-]{0,12}\"",
        1 => "'[a-z ]{0,4}\n[A-Z]=[a-z]{0,3}\n'",
        1 => "[a-z0-9]{1,4}#[a-z]{0,4}",
    ];
    let name = prop_oneof![3 => Just("KEY".to_string()), 5 => "[A-Z][A-Z0-9_]{0,5}"];
    let comment = prop_oneof![5 => Just(""), 1 => Just("  # note"), 1 => Just(" # it's 'one'")];
    let line = prop_oneof![
        8 => ("(export )?", name, value, comment).prop_map(|(export, name, value, comment)| format!("{export}{name}={value}{comment}")),
        1 => Just(String::new()),
        1 => "# [a-zA-Z '=\"]{0,16}",
    ];
    let end = if carriage { prop_oneof![Just("\n"), Just("\r\n")].boxed() } else { Just("\n").boxed() };
    (proptest::collection::vec(line, 0..8), end, any::<bool>()).prop_map(|(lines, end, whole)| {
        let mut text = lines.join(end);
        if whole && !text.is_empty() {
            text.push_str(end);
        }
        Case { text, entry: Entry::Variable("KEY".to_string()) }
    })
}

const BASH: &str = r#"
escape() { local text=$1; text=${text//\\/\\\\}; text=${text//\"/\\\"}; text=${text//$'\n'/\\n}; text=${text//$'\r'/\\r}; printf '"%s"' "$text"; }
for file in "$1"/*; do (
    unset PWD OLDPWD SHLVL _ PATH
    set -a
    . "$file" 2>/dev/null >&2 || { echo null; exit 0; }
    set +a
    separator='{'
    for name in $(compgen -A export); do
        [ "$name" = _ ] && continue
        printf '%s"%s":' "$separator" "$name"; escape "${!name}"; separator=,
    done
    [ "$separator" = , ] && echo '}' || echo '{}'
) </dev/null; done
"#;

const PYTHON: &str = "
import json, os, sys
def texts():
    for name in sorted(os.listdir(sys.argv[1])):
        with open(os.path.join(sys.argv[1], name), encoding='utf-8', newline='') as file: yield file.read()
def each(read):
    for text in texts():
        try: seen = read(text)
        except Exception: print('null'); continue
        print(json.dumps({'seen': seen}, default=str)[9:-1])
";

const NODE: &str = "
const fs = require('fs'), path = require('path');
const each = read => { for (const name of fs.readdirSync(process.argv[1]).sort()) {
    let seen; try { seen = read(fs.readFileSync(path.join(process.argv[1], name), 'utf8')); } catch { seen = null; }
    console.log(JSON.stringify(seen ?? null));
} };
";

/// All files as those of services of one project. One that is refused is left out, and all are read again.
const COMPOSE: &str = "
import json, os, re, subprocess, sys, tempfile
folder, program = sys.argv[1], os.path.join(os.environ['PYTHONPATH'], 'compose', 'docker-compose')
names = sorted(os.listdir(folder))
refused = set()
with tempfile.TemporaryDirectory() as place:
    project = os.path.join(place, 'compose.yaml')
    while True:
        services = {'s' + name: {'image': 'x', 'env_file': [os.path.join(folder, name)]} for name in names if name not in refused}
        with open(project, 'w') as file: json.dump({'name': 'x', 'services': services}, file)
        result = subprocess.run([program, '-f', project, 'config', '--format', 'json'], capture_output=True, text=True)
        if result.returncode == 0: break
        bad = set(re.findall(re.escape(folder) + '/([0-9]+)', result.stderr)) - refused
        if not bad or len(refused) > 100: sys.exit(result.stderr)
        refused |= bad
services = json.loads(result.stdout)['services']
for name in names: print(json.dumps(None if name in refused else services['s' + name].get('environment') or {}))
";

#[test]
fn dotenv_files_are_for_other_readers_what_they_were_but_for_the_value() {
    let plain = cases(dotenv(false));
    check("bash", "bash", BASH, &plain);
    let any = cases(dotenv(true));
    let python = format!(
        "{PYTHON}\nimport io, dotenv\neach(lambda text: dotenv.dotenv_values(stream=io.StringIO(text, newline=''), interpolate=False))"
    );
    check("python-dotenv", "python3", &python, &any);
    check("Docker Compose", "python3", COMPOSE, &any);
    check(
        "dotenv of JavaScript",
        "node",
        &format!("{NODE} const dotenv = require('dotenv'); each(text => dotenv.parse(text));"),
        &any,
    );
}

/// A tree of values, as JSON.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-999_i32..999).prop_map(Value::from),
        "[a-zA-Z0-9 _./:#-]{0,10}".prop_map(Value::from),
        "[ -~äß]{0,8}".prop_map(Value::from),
    ];
    let name = prop_oneof![Just("a".to_string()), Just("b".to_string()), "[a-z]{1,3}"];
    let inner = leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            3 => proptest::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map(prop_oneof![Just("a".to_string()), "[a-z]{1,3}"], inner, 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn pointer() -> impl Strategy<Value = String> {
    prop_oneof![Just("/a"), Just("/a/b"), Just("/new"), Just("/a/0"), Just("/a/b/c"), Just("/b/a")]
        .prop_map(str::to_string)
}

/// How a tree is laid out.
#[derive(Clone, Debug)]
struct Layout {
    /// Taken one by one, around again.
    choices: Vec<u8>,
    at: usize,
    comments: bool,
}

impl Layout {
    fn one_of(&mut self, count: u8) -> u8 {
        self.at += 1;
        self.choices[self.at % self.choices.len()] % count
    }

    /// Blanks, perhaps with a comment.
    fn gap(&mut self, indent: usize, many: bool) -> String {
        let line = format!("\n{}", "  ".repeat(indent));
        let blanks = if many { line } else { " ".to_string() };
        match self.one_of(9) {
            0 if self.comments => {
                format!(" // one, {{ \"a\": 1 }}{}", if many { blanks } else { "\n".to_string() })
            }
            1 if self.comments => format!("{blanks}/* it's\n two, ] */{blanks}"),
            _ => blanks,
        }
    }

    fn json(&mut self, value: &Value, indent: usize) -> String {
        let (open, close, parts): (_, _, Vec<String>) = match value {
            Value::Object(members) => {
                let part = |(name, value): (&String, &Value)| {
                    format!(
                        "{}:{}{}",
                        json!(name),
                        if self.one_of(4) == 0 { "" } else { " " },
                        self.json(value, indent + 1)
                    )
                };
                ('{', '}', members.iter().map(part).collect())
            }
            Value::Array(items) => ('[', ']', items.iter().map(|item| self.json(item, indent + 1)).collect()),
            other => return other.to_string(),
        };
        let many = self.one_of(3) > 0;
        let mut text = open.to_string();
        for (number, part) in parts.iter().enumerate() {
            text.push_str(&self.gap(indent + 1, many));
            text.push_str(part);
            if number + 1 < parts.len() || (self.comments && self.one_of(4) == 0) {
                text.push(',');
            }
        }
        text.push_str(&self.gap(indent, many));
        text.push(close);
        text
    }

    /// In block style, with some of it in braces.
    fn yaml(&mut self, value: &Value, indent: usize) -> String {
        let blanks = " ".repeat(indent);
        match value {
            Value::Object(members) if !members.is_empty() && self.one_of(6) > 0 => {
                let mut text = String::new();
                for (name, value) in members {
                    if self.one_of(8) == 0 {
                        text.push_str(&format!("{blanks}# of {name}: 'x\n"));
                    }
                    text.push_str(&format!("{blanks}{}:{}", json!(name), self.yaml_value(value, indent)));
                }
                text
            }
            Value::Array(items) if !items.is_empty() && self.one_of(6) > 0 => {
                items.iter().map(|item| format!("{blanks}-{}", self.yaml_value(item, indent))).collect()
            }
            other => format!("{blanks}{other}\n"),
        }
    }

    fn yaml_value(&mut self, value: &Value, indent: usize) -> String {
        let note = if self.one_of(6) == 0 { "  # note" } else { "" };
        match value {
            Value::Object(_) | Value::Array(_) => {
                let inner = self.yaml(value, indent + 2);
                format!("{note}\n{inner}")
            }
            Value::Null if self.one_of(2) == 0 => format!("{note}\n"),
            Value::String(text) if self.one_of(3) == 0 && !text.contains('\'') => {
                format!(" '{text}'{note}\n")
            }
            Value::String(text)
                if text.starts_with(|c: char| c.is_ascii_lowercase()) && self.one_of(4) == 0 =>
            {
                format!(" |\n{}{text}\n", " ".repeat(indent + 2))
            }
            other => format!(" {other}{note}\n"),
        }
    }
}

fn layout(comments: bool) -> impl Strategy<Value = Layout> {
    proptest::collection::vec(any::<u8>(), 31).prop_map(move |choices| Layout { choices, at: 0, comments })
}

fn json_cases(comments: bool) -> Vec<Case> {
    let case =
        (tree(), layout(comments), pointer(), any::<bool>()).prop_map(|(tree, mut layout, pointer, end)| {
            let text = format!("{}{}", layout.json(&tree, 0), if end { "\n" } else { "" });
            Case { text, entry: Entry::Json(pointer) }
        });
    cases(case)
}

#[test]
fn json_files_are_for_other_readers_what_they_were_but_for_the_value() {
    check("json of Python", "python3", &format!("{PYTHON}\neach(json.loads)"), &json_cases(false));
    let commented = json_cases(true);
    let parser = "const parser = require('jsonc-parser'); each(text => { const errors = []; \
                  const seen = parser.parse(text, errors, { allowTrailingComma: true }); if (errors.length) throw errors; return seen; });";
    check("jsonc-parser", "node", &format!("{NODE}{parser}"), &commented);
    check(
        "json5",
        "node",
        &format!("{NODE} const json5 = require('json5'); each(text => json5.parse(text));"),
        &commented,
    );
}

#[test]
fn yaml_files_are_for_other_readers_what_they_were_but_for_the_value() {
    let case =
        (tree(), layout(false), pointer(), any::<bool>()).prop_map(|(tree, mut layout, pointer, end)| {
            let text = layout.yaml(&tree, 0);
            let text = if end { text } else { text.trim_end_matches('\n').to_string() };
            Case { text, entry: Entry::Yaml(pointer) }
        });
    let cases = cases(case);
    check("PyYAML", "python3", &format!("{PYTHON}\nimport yaml\neach(yaml.safe_load)"), &cases);
    check(
        "js-yaml",
        "node",
        &format!("{NODE} const yaml = require('js-yaml'); each(text => yaml.load(text));"),
        &cases,
    );
}

/// The oracle itself.
#[test]
fn what_is_wanted_is_the_value_and_the_rest() {
    let entry = |pointer: &str| Entry::Json(pointer.to_string());
    let before = json!({ "a": [1, { "b": 2 }], "c": null });
    assert_eq!(wanted(&before, &entry("/a/1/b")), Some(json!({ "a": [1, { "b": NEW }], "c": null })));
    assert_eq!(wanted(&before, &entry("/c/d")), Some(json!({ "a": [1, { "b": 2 }], "c": { "d": NEW } })));
    assert_eq!(wanted(&before, &entry("/a/2")), None);
}
