//! The form of scripts, of the action, and of the files to copy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};

use crate::support::{has, root};

const WORKFLOW: &str = "pipelines/github/gridkey.yml";
const GITLAB: &str = "pipelines/gitlab/gridkey.gitlab-ci.yml";

fn yaml(file: &str) -> Value {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn map(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("not a mapping: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

/// The steps of the action, and of the jobs of the workflow.
fn steps() -> Vec<(String, Value)> {
    let mut steps = Vec::new();
    for step in list(&yaml("action.yml")["runs"]["steps"]) {
        steps.push(("action.yml".to_string(), step.clone()));
    }
    for (job, content) in map(&yaml(WORKFLOW)["jobs"]) {
        for step in list(&content["steps"]) {
            steps.push((format!("{WORKFLOW}, {job}"), step.clone()));
        }
    }
    steps
}

/// The shell in YAML files, by where it stands.
fn shell_in_yaml() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (number, (place, step)) in steps().into_iter().enumerate() {
        if let Some(text) = step["run"].as_str() {
            found.insert(format!("{place}, step {number}"), text.to_string());
        }
    }
    let template = yaml(GITLAB);
    let variables: Vec<String> =
        map(&template["variables"]).iter().map(|(name, value)| format!("export {name}={value}")).collect();
    for (job, content) in map(&template) {
        let lines = |name: &str| -> Vec<String> {
            let lines = content.get(name).and_then(Value::as_array).into_iter().flatten();
            lines.map(|line| line.as_str().unwrap().to_string()).collect()
        };
        let script = lines("script");
        if !script.is_empty() {
            // GitLab runs both in one shell.
            let before = list(&template[".gridkey"]["before_script"]).iter();
            let before = before.map(|line| line.as_str().unwrap().to_string());
            let all: Vec<String> = variables.iter().cloned().chain(before).chain(script).collect();
            found.insert(format!("{GITLAB}, {job}"), all.join("\n"));
        }
        let after = lines("after_script");
        if !after.is_empty() {
            found.insert(format!("{GITLAB}, {job}, after"), after.join("\n"));
        }
    }
    found
}

fn scripts() -> Vec<PathBuf> {
    let mut folders = vec![root().join("scripts")];
    let mut files = vec![root().join(".ci/run")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.retain(|path| std::fs::read_to_string(path).unwrap().starts_with("#!/usr/bin/env bash\n"));
    files.sort();
    files
}

#[test]
fn shellcheck_finds_nothing() {
    if !has("shellcheck") {
        let reason = "no shellcheck on this machine";
        assert!(std::env::var_os("GRIDKEY_REQUIRE_SHELLCHECK").is_none(), "{reason}");
        println!("skipped: {reason}");
        return;
    }
    let scripts = scripts();
    assert!(scripts.len() > 8, "{scripts:?}");
    let mut wrong = check(&root(), &scripts);
    let folder = tempfile::tempdir().unwrap();
    let shell = shell_in_yaml();
    assert!(shell.len() > 10, "{:?}", shell.keys());
    for (number, (place, text)) in shell.iter().enumerate() {
        let file = folder.path().join(format!("{number}.sh"));
        std::fs::write(&file, format!("#!/usr/bin/env bash\n# {place}\nset -eo pipefail\n{text}\n")).unwrap();
        let said = check(folder.path(), &[file]);
        if !said.is_empty() {
            wrong.push_str(&format!("{place}:\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn check(folder: &Path, files: &[PathBuf]) -> String {
    let output = Command::new("shellcheck")
        .current_dir(folder)
        .arg("--external-sources")
        .args(files)
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[test]
fn every_script_says_what_belongs_in_it_and_stops_at_the_first_error() {
    use std::os::unix::fs::PermissionsExt;
    let folder = root().join("scripts/pipelines");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let shown = path.display();
        assert!(text.starts_with("#!/usr/bin/env bash\n# "), "{shown}: a shebang, then a comment");
        assert!(text.contains("\nset -euo pipefail\n") || text.contains("\n. \"$(dirname "), "{shown}");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        let sourced = path.extension().is_some();
        assert_eq!(mode & 0o111 == 0, sourced, "{shown}: executable, unless it is sourced");
    }
}

/// A branch can be called `$(…)`, so what a runner knows goes through variables, never into the text of a script.
#[test]
fn no_shell_has_an_expression_in_it() {
    for (place, text) in shell_in_yaml() {
        assert!(!text.contains("${{") && !text.contains("$[["), "{place}: {text}");
    }
}

#[test]
fn only_github_s_own_actions_are_used_by_major_version() {
    for (place, step) in steps() {
        let Some(uses) = step["uses"].as_str() else { continue };
        if uses == "YOUR-ORGANISATION/gridkey@main" {
            assert!(place.starts_with(WORKFLOW));
            continue;
        }
        let (name, version) = uses.split_once('@').unwrap();
        assert!(["actions/cache", "actions/checkout", "actions/upload-artifact"].contains(&name), "{uses}");
        assert!(version.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok()), "{uses}");
        if name == "actions/checkout" {
            assert_eq!(step["with"]["persist-credentials"], Value::Bool(false), "{place}");
        }
    }
}

#[test]
fn the_action_names_no_input_step_output_or_script_that_is_not_there() {
    let text = std::fs::read_to_string(root().join("action.yml")).unwrap();
    let action = yaml("action.yml");
    let words_after = |mark: &str| -> BTreeSet<String> {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        text.split(mark).skip(1).map(|rest| rest.chars().take_while(|c| good(*c)).collect()).collect()
    };
    let declared: BTreeSet<String> = map(&action["inputs"]).keys().cloned().collect();
    assert_eq!(words_after("inputs."), declared, "each input is used, and none that is not declared");
    let ids: BTreeSet<String> = list(&action["runs"]["steps"])
        .iter()
        .filter_map(|step| step["id"].as_str().map(str::to_string))
        .collect();
    assert_eq!(words_after("steps."), ids.clone());
    let written: String = scripts().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for output in words_after(".outputs.") {
        assert!(written.contains(&format!("output {output} ")), "no script writes `{output}`");
    }
    for script in words_after("$SCRIPTS/") {
        assert!(root().join("scripts/pipelines").join(&script).is_file(), "{script}");
    }
    for (place, step) in steps() {
        if step["uses"] == "YOUR-ORGANISATION/gridkey@main" {
            for input in map(&step["with"]).keys() {
                assert!(declared.contains(input), "{place}: `{input}`");
            }
        }
        // A step with shell says which, as an action has to.
        assert!(step["run"].is_null() || step["shell"] == "bash", "{place}: {step}");
    }
}

#[test]
fn the_workflow_gives_each_job_no_more_than_it_needs() {
    let workflow = yaml(WORKFLOW);
    let triggers: Vec<&String> = map(&workflow["on"]).keys().collect();
    assert_eq!(triggers, ["pull_request", "push", "schedule"]);
    assert_eq!(workflow["permissions"], serde_json::json!({}));
    let expected = serde_json::json!({
        "plan": { "contents": "read", "pull-requests": "write" },
        "compare": { "contents": "read" },
        "apply": { "contents": "read", "pull-requests": "read", "actions": "read" },
        "nightly": { "contents": "read" },
    });
    let jobs = map(&workflow["jobs"]);
    assert_eq!(jobs.keys().collect::<Vec<_>>(), map(&expected).keys().collect::<Vec<_>>());
    for (name, job) in jobs {
        assert_eq!(job["permissions"], expected[name], "{name}");
        let cancels = job["concurrency"]["cancel-in-progress"].as_bool().unwrap();
        let changes = ["apply", "nightly"].contains(&name.as_str());
        assert_eq!(cancels, !changes, "{name}");
        assert_eq!(job["environment"].is_string(), changes, "{name}");
        let text = job.to_string();
        assert_eq!(text.contains("secrets.SENDGRID_API_KEY"), changes, "{name}: who holds the managing key");
        assert_eq!(text.contains("secrets."), name != "compare", "{name}: a fork sees no secret");
    }
}

#[test]
fn the_gitlab_template_gives_the_managing_key_to_two_jobs() {
    let template = yaml(GITLAB);
    for (name, job) in map(&template).iter().filter(|(name, _)| name.starts_with("gridkey:")) {
        let changes = ["gridkey:apply", "gridkey:nightly"].contains(&name.as_str());
        assert_eq!(job["interruptible"], Value::Bool(!changes), "{name}");
        assert_eq!(job["resource_group"].is_string(), changes, "{name}");
        assert_eq!(job["environment"].is_object(), changes, "{name}: a protected variable is scoped to it");
        assert_eq!(list(&job["rules"]).len(), 1, "{name}");
    }
    let (apply, nightly) = (&template["gridkey:apply"], &template["gridkey:nightly"]);
    assert_ne!(apply["environment"], nightly["environment"], "find-plan asks what was last deployed to it");
    let shell = shell_in_yaml();
    for script in shell.values().flat_map(|text| text.split("\"$scripts/").skip(1)) {
        let script = script.split('"').next().unwrap();
        assert!(root().join("scripts/pipelines").join(script).is_file(), "{script}");
    }
}
