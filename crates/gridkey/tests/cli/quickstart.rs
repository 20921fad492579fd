//! What someone sees who has just cloned the repository.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use crate::support::{gridkey, said};

fn copy(from: &str, to: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(from);
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn the_quickstart_makes_keys_of_all_three_kinds_and_then_has_nothing_to_do() {
    let folder = tempfile::tempdir().unwrap();
    copy("quickstart", folder.path());
    let apply = || said(gridkey(folder.path(), &["--emulator", "--manifest", ".", "apply", "--yes"]));
    let first = apply();
    first.ends(0).says("restricted").says("full access").says("billing").says("prod/").says("staging/");
    let files = folder.path().join(".gridkey/emulator/sinks/files");
    for file in [".env.staging", ".env.prod"] {
        let path = files.join(file);
        first.says(&format!(".gridkey/emulator/sinks/files/{file}"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        assert!(std::fs::read_to_string(path).unwrap().contains("=SG."));
    }
    apply().ends(0).says("No changes");
    assert!(!folder.path().join(".env.prod").exists(), "nothing is written outside the emulator's folder");
}

#[test]
fn an_edited_scope_is_one_update_with_what_came_and_went() {
    let folder = tempfile::tempdir().unwrap();
    copy("quickstart", folder.path());
    said(gridkey(folder.path(), &["--emulator", "-f", ".", "apply", "--yes"])).ends(0);
    let path = folder.path().join("gridkey.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("stats.read"));
    std::fs::write(&path, text.replace("stats.read", "alerts.read")).unwrap();
    let plan = said(gridkey(folder.path(), &["--emulator", "-f", ".", "plan", "--detailed-exitcode"]));
    plan.ends(2).says("~ ").says("+ alerts.read").says("- stats.read");
    said(gridkey(folder.path(), &["--emulator", "-f", ".", "apply", "--yes"])).ends(0).says("updated");
    said(gridkey(folder.path(), &["--emulator", "-f", ".", "plan", "--detailed-exitcode"])).ends(0);
}

#[tokio::test]
async fn a_delivered_key_sends_mail_and_reaches_no_further_than_its_scopes() {
    let folder = tempfile::tempdir().unwrap();
    copy("quickstart", folder.path());
    said(gridkey(folder.path(), &["--emulator", "-f", ".", "apply", "--yes"])).ends(0);
    let secrets =
        std::fs::read_to_string(folder.path().join(".gridkey/emulator/sinks/files/.env.prod")).unwrap();
    let mailer = secrets.lines().find_map(|line| line.strip_prefix("SENDGRID_MAILER=")).unwrap();
    let data = [".gridkey/emulator/sendgrid.json"];
    let mut server = gridkey(folder.path(), &["emulator", "--data", data[0]])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.take().unwrap()), &mut line)
        .unwrap();
    let announced: serde_json::Value = serde_json::from_str(&line).unwrap();
    let url = announced["url"].as_str().unwrap().to_string();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mail = serde_json::json!({
        "personalizations": [{ "to": [{ "email": "someone@example.com" }] }],
        "from": { "email": "shop@example.com" },
        "subject": "hello",
        "content": [{ "type": "text/plain", "value": "hello" }],
        "mail_settings": { "sandbox_mode": { "enable": true } },
    });
    let sent = http.post(format!("{url}/v3/mail/send")).bearer_auth(mailer).json(&mail).send().await.unwrap();
    assert_eq!(sent.status(), 202);
    for path in ["/v3/stats", "/v3/api_keys"] {
        let refused = http.get(format!("{url}{path}")).bearer_auth(mailer).send().await.unwrap();
        assert_eq!(refused.status(), 403, "{path}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn every_example_validates_and_plans() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let folder = tempfile::tempdir().unwrap();
        copy(&name, folder.path());
        said(gridkey(folder.path(), &["-f", ".", "validate"])).ends(0);
        said(gridkey(folder.path(), &["-f", ".", "--emulator", "plan"])).ends(0).says("to create");
        count += 1;
    }
    assert!(count >= 1);
}

#[test]
fn init_writes_a_manifest_that_plans_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".gitignore"), "target").unwrap();
    said(gridkey(folder.path(), &["init"])).ends(0);
    assert_eq!(
        std::fs::read_to_string(folder.path().join(".gitignore")).unwrap(),
        "target\n.gridkey/\n.env\n.env.*\n!.env.example\n"
    );
    said(gridkey(folder.path(), &["validate"])).ends(0);
    said(gridkey(folder.path(), &["--emulator", "apply", "--yes"])).ends(0).says("2 created");
    std::fs::write(folder.path().join("gridkey.yaml"), "mine").unwrap();
    said(gridkey(folder.path(), &["init"])).ends(1).says("it is there already");
    assert_eq!(std::fs::read_to_string(folder.path().join("gridkey.yaml")).unwrap(), "mine");
}
