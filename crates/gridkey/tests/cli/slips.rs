//! What fingers and names come to that nobody thought of: options of other tools, pipes, links, invisible letters.

use gridkey_emulator::Settings;
use jiff::Timestamp;

use crate::support::{Place, gridkey, manifest, many, said};

#[test]
fn an_option_of_another_tool_gets_the_one_there_is_here() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| said(gridkey(folder.path(), arguments));
    run(&["plan", "-o", "json"]).ends(64).says("`--format json`");
    let dry = run(&["apply", "--dry-run"]);
    dry.ends(64).says("`gridkey plan` shows what would be done");
    assert!(!dry.err.contains("-- --dry-run"), "{}", dry.err);
    run(&["environments"]).ends(64).says("List them");
}

/// Opening one waits until something writes to it.
#[cfg(unix)]
#[test]
fn a_manifest_that_is_no_file_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("gridkey.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for arguments in [
        &["validate"][..],
        &["plan"],
        &["validate", "--policy", "gridkey.yaml", "-f", "x.yaml"],
        &["show", "gridkey.yaml"],
    ] {
        said(gridkey(folder.path(), arguments)).ends(1).says("it is not a regular file");
    }
}

#[cfg(unix)]
#[test]
fn a_manual_page_is_not_written_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine");
    std::fs::write(&mine, "mine").unwrap();
    std::fs::create_dir(folder.path().join("man")).unwrap();
    std::os::unix::fs::symlink(&mine, folder.path().join("man/gridkey-plan.1")).unwrap();
    said(gridkey(folder.path(), &["man", "--out", "man"])).ends(0);
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "mine");
    let page = folder.path().join("man/gridkey-plan.1");
    assert!(page.symlink_metadata().unwrap().is_file());
    assert!(std::fs::read_to_string(page).unwrap().contains("gridkey\\-plan"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_seen_of_a_name_is_shown_as_an_escape() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(1)));
    let now = Timestamp::now();
    for name in ["Report\u{200b}ing", "\u{202e}gnitropeR", "\u{1b}[2JReporting"] {
        place.server.model().add_key("acme", name, Some(&["stats.read"]), now);
    }
    for format in ["text", "csv"] {
        let audit = place.run(&["audit", "--format", format]);
        audit.ends(0).says("Report\\u{200b}ing").says("\\u{202e}gnitropeR").says("\\u{1b}[2JReporting");
        assert!(!audit.out.contains(['\u{200b}', '\u{202e}', '\u{1b}', '\u{fffd}']), "{}", audit.out);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_plan_is_told_with_the_command_that_goes_on() {
    let place = Place::new(Settings::default()).await;
    let environments = "environments:\n  prod: { account: acme }\nkeys:\n";
    place.write("my keys.yaml", &manifest(&many(1)).replace("keys:\n", environments));
    let common = ["-f", "my keys.yaml", "--env", "prod"];
    let plan =
        |arguments: &[&str]| place.run(&[&["plan", "--out", "p.json"], &common[..], arguments].concat());
    let command = "gridkey apply -f 'my keys.yaml' --env prod p.json";
    let saved = plan(&[]);
    saved.ends(0);
    assert_eq!(saved.err.lines().last(), Some(&*format!("saved to p.json; `{command}` carries it out")));
    assert!(!saved.out.contains("saved"));
    assert_eq!(plan(&["-q"]).err, "");
    place.run(&["apply", "-f", "my keys.yaml", "--env", "prod", "p.json", "--yes"]).ends(0).says("1 created");
    plan(&["--rotate", "prod/*"]).ends(0).says("--env prod --rotate 'prod/*' p.json");
    plan(&["--against", "my keys.yaml"]).ends(0).says("`gridkey show p.json` shows it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_taken_for_a_key_is_named() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(1)));
    place.run(&["apply", "--only", "acme", "--yes"]).ends(64).says("it is an account: `--account acme`");
    place.run(&["apply", "--account", "acme", "--yes"]).ends(0).says("1 created");
}

#[test]
fn a_new_repository_ignores_secrets_and_keeps_the_example_of_them() {
    let folder = tempfile::tempdir().unwrap();
    said(gridkey(folder.path(), &["init"])).ends(0);
    let ignored = std::fs::read_to_string(folder.path().join(".gitignore")).unwrap();
    assert_eq!(ignored.lines().collect::<Vec<_>>(), [".gridkey/", ".env", ".env.*", "!.env.example"]);
}
