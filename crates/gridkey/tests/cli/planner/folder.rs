//! A manifest of several files: every file counts that is one, and no other does.

use std::process::Command;

use gridkey_emulator::Settings;

use crate::support::{Place, gridkey, manifest, said};

/// `gridkey -f manifest …`, on a folder that holds these files.
fn over(files: &[(&str, &[u8])], arguments: &[&str]) -> (tempfile::TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("manifest")).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join("manifest").join(name), bytes).unwrap();
    }
    let command = gridkey(folder.path(), &[&["-f", "manifest"], arguments].concat());
    (folder, command)
}

#[test]
fn a_second_file_whose_blocks_have_another_shape_is_an_error() {
    // Every block stands in the first file too, so the second one is merged into it.
    let first = manifest("  mailer: { scopes: [mail.send] }\n");
    let first = first.replacen(
        "keys:",
        "environments: { prod: {} }\nscope_sets: { sender: [mail.send] }\npolicy: { require_owner: false }\nkeys:",
        1,
    ) + "moved: [{ from: a, to: b }]\nremoved: [{ from: c, revoke: false }]\n";
    let mut wrong = Vec::new();
    for second in [
        "keys:\n  - reports: { scopes: [stats.read] }\n",
        "keys: reports\n",
        "keys: 7\n",
        "policy:\n  - full_access: { default: deny }\n",
        "policy: deny\n",
        "accounts: beta\n",
        "accounts: [beta]\n",
        "sinks: [other]\n",
        "environments: [prod]\n",
        "scope_sets: [sender]\n",
        "moved: { from: a, to: b }\n",
        "removed: mailer\n",
    ] {
        let text = format!("version: 1\n{second}");
        let files = [("a.yaml", first.as_bytes()), ("b.yaml", text.as_bytes())];
        let (_folder, command) = over(&files, &["validate"]);
        let said = said(command);
        if said.code != 1 || !said.all().contains("b.yaml:2:") {
            wrong.push(format!("{second}{}: {}", said.code, said.all()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_of_another_shape_in_a_second_file_lets_nothing_pass() {
    let place = Place::new(Settings::default()).await;
    let first = manifest("  admin: { access: full }\n").replacen(
        "keys:",
        "policy: { require_owner: false }\nkeys:",
        1,
    );
    place.write("manifest/a.yaml", &first);
    place.write("manifest/b.yaml", "version: 1\npolicy:\n  - full_access: { default: deny }\n");
    place.run(&["-f", "manifest", "apply", "--yes"]).ends(1).says("b.yaml");
    assert!(place.live("acme").is_empty(), "nothing is made");
}

#[test]
fn hidden_files_and_leftovers_are_no_part_of_a_manifest() {
    let first = manifest("  mailer: { scopes: [mail.send] }\n");
    let other = "version: 1\nkeys:\n  intruder: { scopes: [mail.send] }\n";
    for name in ["._b.yaml", ".c.yml", ".d.yaml", "._a.yaml"] {
        // What another system leaves beside a file, and a file of an editor.
        for bytes in [&b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X"[..], other.as_bytes()] {
            let (_folder, command) = over(&[("a.yaml", first.as_bytes()), (name, bytes)], &["validate"]);
            let said = said(command);
            said.ends(0).says("1 key");
        }
    }
}
