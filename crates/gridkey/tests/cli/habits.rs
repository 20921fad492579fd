//! What people expect of a command line who know others: layout, folders, completions, quiet, machines.

use std::path::Path;

use gridkey_emulator::Settings;

use crate::support::{Place, gridkey, manifest, many, said};

/// The manifests of the repository: examples, and those of the scenarios.
fn manifests(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            manifests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml")
            && !path.ends_with("scenario.yaml")
        {
            found.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn a_layout_changes_nothing_that_is_read_and_keeps_comments() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut texts = Vec::new();
    manifests(&root.join("examples"), &mut texts);
    manifests(&root.join("tests/scenarios"), &mut texts);
    // Wider, as somebody else may have written them.
    let wider = |text: &String| {
        let line = |line: &str| format!("{}{line}\n", &line[..line.len() - line.trim_start().len()]);
        text.lines().map(line).collect::<String>()
    };
    texts.extend(texts.iter().map(wider).collect::<Vec<_>>());
    let folder = tempfile::tempdir().unwrap();
    for (number, text) in texts.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number}.yaml")), text).unwrap();
    }
    said(gridkey(folder.path(), &["fmt", "."])).ends(0);
    let mut changed = 0;
    let mut comments = 0;
    for (number, old) in texts.iter().enumerate() {
        let new = std::fs::read_to_string(folder.path().join(format!("{number}.yaml"))).unwrap();
        let read = |text: &str| serde_yaml::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(old), read(&new), "{old}\n{new}");
        let said: Vec<_> =
            old.lines().filter_map(|line| line.trim().strip_prefix('#')).map(str::trim).collect();
        comments += said.len();
        for comment in said {
            assert!(new.contains(comment), "`{comment}` is lost:\n{new}");
        }
        changed += usize::from(*old != new);
    }
    assert!(texts.len() > 200 && changed > 100 && comments > 20, "{} {changed} {comments}", texts.len());
    // What is laid out stays as it is.
    let again = said(gridkey(folder.path(), &["fmt", "--check", "."]));
    assert_eq!((again.code, again.out.as_str()), (0, ""), "{}", again.err);
}

#[test]
fn a_layout_is_checked_without_being_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gridkey.yaml");
    let text = manifest(&many(1)).replace("keys:\n", "keys:    # all of them\n\n\n");
    std::fs::write(&path, &text).unwrap();
    let told = said(gridkey(folder.path(), &["fmt", "--check"]));
    assert_eq!((told.code, told.out.as_str()), (2, "gridkey.yaml\n"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    std::fs::write(folder.path().join("broken.yaml"), "keys: [\n").unwrap();
    said(gridkey(folder.path(), &["fmt", "broken.yaml"])).ends(1).says("it is not YAML");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        said(gridkey(folder.path(), &["fmt"])).ends(0);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }
    said(gridkey(folder.path(), &["fmt", "--check"])).ends(0);
}

#[test]
fn another_folder_is_worked_in() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("infra")).unwrap();
    std::fs::write(folder.path().join("infra/gridkey.yaml"), manifest(&many(1))).unwrap();
    said(gridkey(folder.path(), &["-C", "infra", "validate"])).ends(0).says("The manifest is valid");
    said(gridkey(folder.path(), &["validate", "--chdir", "infra"])).ends(0);
    said(gridkey(folder.path(), &["-C", "nowhere", "validate"])).ends(1).says("the folder nowhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_leaves_the_plan_and_what_failed() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(2)));
    let told = place.run(&["-q", "apply", "--yes"]);
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    assert!(told.out.contains("Applied: 2 created."));
    place.run(&["-q", "plan", "--only", "nobody"]).ends(64).says("the manifest has no key at `nobody`");
    assert_eq!(place.run(&["-q", "-v", "plan"]).code, 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_read_events_and_errors_as_lines_of_json() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(2)));
    let told = place.run(&["--log-format", "json", "--concurrency", "1", "apply", "--yes"]);
    let lines: Vec<serde_json::Value> =
        told.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["time"].is_string() && line["event"].is_string()), "{}", told.err);
    // Each key is told as it is done, and not all of them in the end.
    let marks = lines.iter().filter_map(|line| line["event"].as_str());
    let marks: Vec<&str> = marks.filter(|event| ["created", "done"].contains(event)).collect();
    assert_eq!(marks, ["created", "done", "created", "done"]);
    let failed = place.run(&["--log-format", "json", "plan", "--only", "nobody"]);
    let error: serde_json::Value = serde_json::from_str(failed.err.trim()).unwrap();
    assert_eq!(error["event"], "error");
    assert_eq!(error["message"], "the manifest has no key at `nobody`");
    let plan: serde_json::Value = serde_json::from_str(&place.run(&["plan", "--json"]).out).unwrap();
    assert_eq!(plan["kind"], "plan");
    let audit: serde_json::Value = serde_json::from_str(&place.run(&["audit", "--json"]).out).unwrap();
    assert_eq!(audit["keys"].as_array().unwrap().len(), 3);
}

#[test]
fn a_shell_completes_the_names_of_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        manifest("  mailer: { scopes: [mail.send], owner: growth }\n  stats: { scopes: [stats.read] }\n")
            .replace("keys:\n", "environments: { prod: {}, staging: {} }\nkeys:\n")
            .replace("{KEY}", "{ENVIRONMENT}_{KEY}");
    std::fs::write(folder.path().join("gridkey.yaml"), text).unwrap();
    let completed = |words: &[&str]| {
        let mut command = gridkey(folder.path(), &[]);
        command.env("GRIDKEY_COMPLETE", "bash").env("_CLAP_IFS", "\n");
        command.env("_CLAP_COMPLETE_INDEX", words.len().to_string()).args(["--", "gridkey"]).args(words);
        said(command).out.lines().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(completed(&["rotate", "prod/"]), ["prod/mailer", "prod/stats"]);
    assert_eq!(completed(&["plan", "--only", "staging/m"]), ["staging/mailer"]);
    assert_eq!(completed(&["plan", "--env", ""]), ["prod", "staging"]);
    assert_eq!(completed(&["audit", "--account", ""]), ["acme"]);
    assert_eq!(completed(&["apply", "--owner", ""]), ["growth"]);
    assert!(completed(&["rot"]).contains(&"rotate".to_string()));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        said(gridkey(folder.path(), &["completions", shell])).ends(0).says("GRIDKEY_COMPLETE");
    }
    // Where there is no manifest, a shell hears nothing of it.
    std::fs::remove_file(folder.path().join("gridkey.yaml")).unwrap();
    assert_eq!(completed(&["rotate", "prod/"]), Vec::<String>::new());
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    said(gridkey(folder.path(), &["man"])).ends(0).says(".TH gridkey 1");
    said(gridkey(folder.path(), &["man", "--out", "man1"])).ends(0);
    for page in ["gridkey.1", "gridkey-plan.1", "gridkey-state-show.1"] {
        let text = std::fs::read_to_string(folder.path().join("man1").join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
    said(gridkey(folder.path(), &["version"])).ends(0).says("sinks: dotenv, json, yaml, ");
}

#[test]
fn what_this_build_cannot_deliver_to_is_told_before_a_plan() {
    if gridkey_sinks::supports(gridkey_core::SinkKind::AwsSsm) {
        return println!("skipped: this build can deliver to everything");
    }
    let folder = tempfile::tempdir().unwrap();
    let store = "  store: { aws_ssm: { region: eu-west-1, parameter: \"/mail/{key}\" } }\n";
    let text = manifest(&many(2)).replace("sinks:\n", &format!("sinks:\n{store}"));
    std::fs::write(
        folder.path().join("gridkey.yaml"),
        text.replace("sinks: [local]", "sinks: [local, store]"),
    )
    .unwrap();
    let told = "this build cannot deliver to `store` (aws_ssm), a sink of 2 keys: it is without the feature `aws` (a command sink can: see `aws ssm` in docs/recipes.md)";
    said(gridkey(folder.path(), &["validate"])).ends(0).says(&format!("{told}: plans of them are blocked"));
    said(gridkey(folder.path(), &["--emulator", "plan"])).ends(0).says(told);
}

/// What is told of a kind of sink leads to a section of the page.
#[test]
fn every_recipe_that_is_named_is_on_the_page() {
    if gridkey_sinks::supports(gridkey_core::SinkKind::AwsSsm) {
        return println!("skipped: this build can deliver to everything");
    }
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipes.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut named = 0;
    for sink in [
        "aws_secrets_manager: { region: eu-west-1, secret: mail }",
        "aws_ssm: { region: eu-west-1, parameter: /mail }",
        "gcp_secret_manager: { project: acme, secret: mail }",
    ] {
        let text = manifest(&many(1)).replace("sinks:\n", &format!("sinks:\n  store: {{ {sink} }}\n"));
        let text = text.replace("sinks: [local]", "sinks: [local, store]");
        std::fs::write(folder.path().join("gridkey.yaml"), text).unwrap();
        let said = said(gridkey(folder.path(), &["validate"]));
        said.ends(0).says("this build cannot deliver to `store`");
        if let Some((_, rest)) = said.all().split_once("a command sink can: see `") {
            let (section, _) = rest.split_once("` in docs/recipes.md").unwrap();
            assert!(page.contains(&format!("\n## {section}\n")), "{section}");
            named += 1;
        }
    }
    assert_eq!(named, 3);
}

/// A link may lead to a file of somebody else, and a device is none.
#[cfg(unix)]
#[test]
fn only_a_manifest_itself_is_laid_out() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, "version:   1\n").unwrap();
    std::os::unix::fs::symlink(&other, folder.path().join("gridkey.yaml")).unwrap();
    said(gridkey(folder.path(), &["fmt"])).ends(1).says("gridkey.yaml is a link");
    said(gridkey(folder.path(), &["fmt", "/dev/stdin"])).ends(1);
    said(gridkey(folder.path(), &["fmt", "/dev/null"])).ends(1).says("not a regular file");
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "version:   1\n");
    std::fs::write(folder.path().join("empty.yaml"), "").unwrap();
    said(gridkey(folder.path(), &["fmt", "--check", "empty.yaml"])).ends(0);
}
