//! The mistakes that people make: each a clear error with a place and a way out, and nothing half done.

use std::process::Stdio;

use gridkey_emulator::{Operation, Settings};
use jiff::Timestamp;

use crate::support::{Place, gridkey, manifest, many, said};

#[test]
fn a_manifest_that_cannot_be_used_is_an_error_with_its_place() {
    let bomb = {
        let mut text = "version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_string();
        for level in 1..10 {
            let before = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", ")));
        }
        text
    };
    let secret = format!("SG.{}.{}", "a".repeat(22), "b".repeat(43));
    let pasted =
        manifest("  mailer: { scopes: [mail.send] }\n").replace("{ env: SENDGRID_API_KEY }", &secret);
    let full = "  mailer: { access: full, scopes: [mail.send] }\n";
    let mixed = "  mailer: { scopes: [mail.send, billing.read] }\n";
    let staged = manifest("  a: { scopes: [mail.send], environments: [stagin] }\n")
        .replace("keys:\n", "environments: { staging: {} }\nkeys:\n");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("malformed YAML", b"version: 1\nkeys: [\n".to_vec(), "gridkey.yaml:"),
        (
            "duplicate keys",
            manifest("  a: { scopes: [mail.send] }\n  a: { scopes: [mail.send] }\n").into(),
            "`a`",
        ),
        ("unknown fields", manifest("  a: { scopess: [mail.send] }\n").into(), "`scopes`"),
        ("an alias bomb", bomb.into(), "error"),
        ("a large file", vec![b'#'; 10 * 1024 * 1024], "1 MiB"),
        ("invalid UTF-8", b"version: 1\n\xff\xfe\n".to_vec(), "UTF-8"),
        ("a pasted secret", pasted.into(), "env"),
        ("empty scopes", manifest("  a: { scopes: [] }\n").into(), "scopes"),
        ("full with scopes", manifest(full).into(), "full"),
        ("billing mixed", manifest(mixed).into(), "billing"),
        ("an unknown account", manifest("  a: { scopes: [mail.send], account: acne }\n").into(), "`acme`"),
        ("an unknown sink", manifest("  a: { scopes: [mail.send], sinks: [locale] }\n").into(), "`local`"),
        ("an unknown environment", staged.into(), "`staging`"),
        (
            "an unknown placeholder",
            manifest("  a: { scopes: [mail.send], name: \"{kex}\" }\n").into(),
            "{kex}",
        ),
        ("a name outside the grammar", manifest("  ../prod: { scopes: [mail.send] }\n").into(), "../prod"),
        ("no sink", manifest("  a: { scopes: [mail.send], sinks: [] }\n").into(), "sink"),
        ("one location twice", manifest(&many(2)).replace("SENDGRID_{KEY}", "SENDGRID").into(), "key-1"),
    ];
    for (what, bytes, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("gridkey.yaml"), bytes).unwrap();
        for command in [vec!["validate"], vec!["plan"], vec!["--emulator", "apply", "--yes"]] {
            let said = said(gridkey(folder.path(), &command));
            assert_eq!(said.code, 1, "{what}: {}", said.all());
            assert!(said.all().contains(expected), "{what} does not say {expected:?}: {}", said.all());
            assert!(!said.all().contains(&secret), "{what}");
            assert!(!folder.path().join(".gridkey").exists(), "{what}: something was written");
        }
    }
}

#[test]
fn validate_tells_every_error_with_line_column_and_what_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let text = manifest("  mailer: { scopes: [mail.sent] }\n  reports: { scopes: [stats.raed] }\n");
    std::fs::write(folder.path().join("gridkey.yaml"), text).unwrap();
    let said = said(gridkey(folder.path(), &["validate"]));
    said.ends(1)
        .says("unknown scope `mail.sent`")
        .says("`mail.send`")
        .says("`stats.read`")
        .says("gridkey.yaml:8:");
}

#[test]
fn a_missing_manifest_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["validate", "plan", "environments"] {
        let arguments = if command == "environments" { vec![command, "list"] } else { vec![command] };
        said(gridkey(folder.path(), &arguments)).ends(1).says("gridkey.yaml").says("gridkey init");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_or_newer_state_is_refused_and_left_alone() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(2)));
    place.run(&["apply", "--yes"]).ends(0);
    let file = ".gridkey/state/default/acme.json";
    let whole = place.read(file);
    for (broken, expected) in [
        (whole[..whole.len() / 2].to_string(), "truncated"),
        (whole.replacen("\"format_version\": 2", "\"format_version\": 99", 1), "99"),
        ("not JSON".to_string(), "truncated"),
    ] {
        place.write(file, &broken);
        place.server.model().clear_log();
        for command in [&["plan"][..], &["apply", "--yes"], &["state", "list"]] {
            place.run(command).ends(1).says("acme.json").says(expected);
        }
        assert_eq!(place.read(file), broken, "it is left as it was");
        assert!(place.server.model().log().is_empty(), "nothing was asked for");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_cannot_be_written_is_found_before_the_first_key() {
    let place = Place::new(Settings::default()).await;
    // A file stands where the folder should be: that binds every user, also one whom modes do not.
    place.write("blocked", "in the way");
    place.write("gridkey.yaml", &manifest(&many(2)).replace("path: .env", "path: blocked/.env"));
    place.run(&["apply", "--yes"]).says("blocked");
    let made = place.server.model().keys("acme").len();
    assert_eq!(made, 1, "only the managing key is there");
    assert_eq!(place.read("blocked"), "in the way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_is_missing_wrong_or_weak_says_so() {
    let place = Place::new(Settings::default()).await;
    let weak = place.server.model().add_key("acme", "weak", Some(&["mail.send"]), Timestamp::now());
    let wrong = format!("SG.{}.{}", "a".repeat(22), "b".repeat(43));
    place.write("gridkey.yaml", &manifest(&many(1)));
    for (key, expected) in [
        (None, "`SENDGRID_API_KEY` is not set"),
        (Some(String::new()), "holds nothing"),
        (Some("two words".to_string()), "more than one key"),
        (Some(wrong), "401"),
        (Some(weak.secret), "api_keys.read"),
    ] {
        for arguments in [&["plan"][..], &["apply", "--yes"]] {
            let mut command = place.command(arguments);
            match &key {
                Some(key) => command.env("SENDGRID_API_KEY", key),
                None => command.env_remove("SENDGRID_API_KEY"),
            };
            let said = said(command);
            said.ends(3).says("account_unreadable").says(expected);
            if let Some(key) = key.as_ref().filter(|key| key.len() > 20) {
                assert!(!said.all().contains(key.as_str()));
            }
        }
    }
    assert_eq!(place.server.model().keys("acme").len(), 2, "nothing was made");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_prints_a_credential_gets_no_managing_key_and_is_heard_where_it_fails() {
    let place = Place::new(Settings::default()).await;
    let manifest = |command: &str| {
        format!(
            "version: 1
accounts: {{ acme: {{ api_key: {{ env: SENDGRID_API_KEY }} }} }}
sinks:
  vault:
    vault:
      address: http://127.0.0.1:1
      mount: secret
      path: mail
      field: key
      auth: {{ token: {{ command: [sh, -c, '{command}'] }} }}
keys: {{ mailer: {{ scopes: [mail.send], sinks: [vault] }} }}
"
        )
    };
    let run = || {
        let mut command = place.command(&["sinks", "check"]);
        command.env("ROLE", "ci").env("BESIDE", format!("SG.{}.{}", "a".repeat(22), "b".repeat(43)));
        said(command)
    };
    place.write("gridkey.yaml", &manifest("env > seen; echo token"));
    run().ends(1);
    let seen = place.read("seen");
    assert!(seen.contains("ROLE=ci\n") && !seen.contains("SG."), "{seen}");
    place.write("gridkey.yaml", &manifest("echo not logged in >&2; exit 3"));
    run().ends(1).says("`sh`, which is to print a credential, ended with exit status: 3: not logged in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_asks_where_somebody_sits_and_needs_yes_elsewhere() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(1)));
    place.run(&["apply"]).ends(64).says("Plan: 1 to create").says("--yes");
    let mut command = place.command(&["apply"]);
    command.stdin(Stdio::piped());
    said(command).ends(64);
    let reads = |operation| matches!(operation, Operation::List | Operation::Get | Operation::Scopes);
    assert!(place.server.model().log().iter().all(|entry| reads(entry.operation)));
    // Where nothing is to be confirmed, nobody has to.
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["apply"]).ends(0).says("No changes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_on_a_machine_that_is_thrown_away_is_a_gate() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest(&many(1)));
    let on_ci = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("CI", "true");
        said(command)
    };
    on_ci(&["apply", "--yes"]).ends(3).says("ephemeral_state");
    on_ci(&["apply", "--yes", "--allow", "ephemeral_state"]).ends(0);
    on_ci(&["apply", "--yes"]).ends(0).says("No changes");
}

#[test]
fn usage_errors_have_their_own_code() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gridkey.yaml"), manifest(&many(1))).unwrap();
    for arguments in [
        &["plan", "--allow", "no_such"][..],
        &["plan", "--allow", "managing_key"],
        &["plan", "--only", "../x"],
        &["--emulator", "plan", "--only", "nobody"],
        &["plan", "--sendgrid-url", "http://api.sendgrid.com"],
        &["frobnicate"],
        &["--env", "../prod", "plan"],
        &[],
    ] {
        assert_eq!(said(gridkey(folder.path(), arguments)).code, 64, "{arguments:?}");
    }
    said(gridkey(folder.path(), &["--env", "nowhere", "plan"])).ends(64).says("nowhere");
    said(gridkey(folder.path(), &["--help"])).ends(0).says("Exit codes");
}

/// A symbolic link is another way to the same file, and not another place.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_behind_a_symbolic_link_is_one_location() {
    let place = Place::new(Settings::default()).await;
    std::fs::create_dir(place.path("data")).unwrap();
    std::os::unix::fs::symlink("data", place.path("link")).unwrap();
    let one = manifest("  mailer: { scopes: [mail.send] }\n").replace("path: .env", "path: data/.env");
    place.write("gridkey.yaml", &one);
    place.run(&["apply", "--yes"]).ends(0);
    let held = place.read("data/.env");
    place.write("gridkey.yaml", &one.replace("data/.env", "link/.env"));
    place.run(&["plan", "--detailed-exitcode"]).ends(0).says("No changes");
    place.run(&["apply", "--yes"]).ends(0);
    assert_eq!(place.read("data/.env"), held, "the file is neither cleared nor written");
    let two = one.replace(
        "defaults:",
        "  other: { dotenv: { path: link/.env, variable: SENDGRID_MAILER } }\ndefaults:",
    );
    let two = format!("{two}  reports: {{ scopes: [stats.read], sinks: [other] }}\n");
    place.write("gridkey.yaml", &two);
    place
        .run(&["plan"])
        .ends(1)
        .says("keys `mailer` and `reports` would write to one place: data/.env#SENDGRID_MAILER")
        .says("gridkey.yaml:9:3 and gridkey.yaml:10:3");
}

#[test]
fn a_key_without_its_prefix_is_not_taken_for_an_id_and_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gridkey.yaml"), manifest("  mailer: { scopes: [mail.send] }\n"))
        .unwrap();
    let secret = "b".repeat(43);
    for id in [format!("{}.{secret}", "a".repeat(22)), secret.clone()] {
        let said = said(gridkey(folder.path(), &["import", "mailer", &id]));
        said.ends(64).says("is not shown");
        assert!(!said.all().contains(&secret), "{}", said.all());
    }
}

#[test]
fn a_value_of_the_wrong_shape_is_shown_as_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let keys = "  mailer: { scopes: [mail.send] }\n";
    for (text, help) in [
        ("moved: { from: a, to: mailer }\n", "`moved: [{ … }]`"),
        ("removed: [old]\n", "`{ from: …"),
        ("removed: [{ from: old, revoke: flase }]\n", "write `false`, without quotes"),
        ("policy: { require_owner: yes }\n", "write `true`, without quotes"),
        ("policy: { full_access: deny }\n", "`full_access: { default: deny }`"),
        ("import:\n", "give it an item, or leave the field out"),
        ("environments: { staging: }\n", "write `{}`"),
    ] {
        std::fs::write(folder.path().join("gridkey.yaml"), format!("{}{text}", manifest(keys))).unwrap();
        let said = said(gridkey(folder.path(), &["validate"]));
        assert_eq!(said.code, 1, "{text}: {}", said.all());
        assert!(said.all().contains(help), "{text}: {}", said.all());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sink_writes_a_secret_into_what_gridkey_reads() {
    let place = Place::new(Settings::default()).await;
    place.write("policy.yaml", "name_pattern: \"*\"\n");
    place.write("gridkey.yaml", &manifest("  other: { scopes: [stats.read] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    std::os::unix::fs::symlink(".gridkey", place.path("link")).unwrap();
    let before = place.world();
    for sink in [
        "json: { path: .gridkey/state/default/acme.json, pointer: /keys/z/owner }",
        "json: { path: link/state/default/new.json, pointer: /x }",
        "json: { path: ./.gridkey/state, pointer: /x }",
        "yaml: { path: policy.yaml, pointer: /name_pattern }",
        "yaml: { path: ./gridkey.yaml, pointer: /x }",
    ] {
        let text =
            manifest("  other: { scopes: [stats.read] }\n  mailer: { scopes: [mail.send], sinks: [own] }\n");
        place.write("gridkey.yaml", &text.replacen("sinks:\n", &format!("sinks:\n  own: {{ {sink} }}\n"), 1));
        let said = place.run(&["apply", "--policy", "policy.yaml", "--yes"]);
        assert_eq!(place.world(), before, "{sink}: {}", said.all());
        said.ends(1).says("would write a secret into");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_pasted_as_an_argument_is_not_repeated() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    let key = format!("SG.{}.{}", "ngeVfQFYQlKU0ufo8x5d1A", "TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr");
    for command in [
        &["rotate", &key, "--yes"][..],
        &["retire", &key, "--now"],
        &["import", &key, &key],
        &["plan", "--only", &key],
        &["plan", "--env", &key],
        &["plan", "--allow", &key],
        &["state", "show", &key],
        &["plan", &key],
    ] {
        let said = place.run(command);
        said.ends(64);
        assert!(!said.all().contains(&key[26..]), "{}", said.all());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_is_about_has_to_be_there() {
    let place = Place::new(Settings::default()).await;
    let keys = "  mailer: { scopes: [mail.send] }\n  reports: { scopes: [stats.read] }\n";
    let environments = "environments: { staging: {}, prod: {} }\nkeys:\n";
    let text =
        manifest(keys).replace("keys:\n", environments).replace("path: .env", "path: \".env.{environment}\"");
    place.write("gridkey.yaml", &text);
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["plan", "--env", "prod", "--out", "plan.json"]).ends(0);
    let before = place.world();
    for (command, says) in [
        (&["plan", "--env", "stagin"][..], "did you mean `staging`?"),
        (&["destroy", "--env", "stagin", "--yes"], "did you mean `staging`?"),
        (&["destroy", "--only", "prod/mialer", "--yes"], "did you mean `prod/mailer`?"),
        (&["destroy", "--only", "staging/mailer", "--env", "prod", "--yes"], "`--env staging`"),
        (
            &["apply", "--only", "prod/mailer", "--rotate", "prod/reports", "--yes"],
            "add `--only prod/reports`",
        ),
        (&["plan", "--only", "prod/mailer", "--rotate", "prod/reports"], "add `--only prod/reports`"),
        (&["apply", "plan.json", "--env", "staging", "--yes"], "the plan file is about `prod`"),
        (&["rotate", "prd/*", "--yes"], "did you mean `prod`?"),
        (&["import", "prod/*", "Abcdefghijklmnopqrstuv"], "patterns are not taken here"),
    ] {
        place.run(command).ends(64).says(says);
        assert_eq!(place.world(), before, "{command:?}");
    }
    std::fs::create_dir(place.path("empty")).unwrap();
    place.run(&["plan", "-f", "empty"]).ends(1).says("the folder empty has no manifest");
}

#[test]
fn input_that_never_ends_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let keys = manifest("  mailer: { scopes: [mail.send] }\n");
    std::fs::write(folder.path().join("gridkey.yaml"), keys).unwrap();
    for command in [&["validate", "-f", "/dev/stdin"][..], &["validate", "--policy", "/dev/stdin"]] {
        let mut process = gridkey(folder.path(), command);
        process.stdin(std::fs::File::open("/dev/zero").unwrap());
        let said = said(process);
        assert_eq!(said.code, 1, "{command:?}: {}", said.all());
        assert!(said.all().contains("1 MiB"), "{command:?}: {}", said.all());
    }
    said(gridkey(folder.path(), &["validate", "-f", "/dev/zero"])).ends(1).says("it is not a regular file");
}
