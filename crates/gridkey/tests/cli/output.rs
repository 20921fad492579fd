//! Where what a command prints does not get to anybody.

use std::fs::OpenOptions;
use std::process::Stdio;

use gridkey_emulator::Settings;

use crate::support::{Place, manifest, said};

/// An empty comment on a pull request looks like a plan without changes.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_that_cannot_be_written_is_an_error_of_every_command() {
    let place = Place::new(Settings::default()).await;
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    place.run(&["apply", "--yes"]).ends(0);
    place.run(&["plan", "--out", "plan.json"]).ends(0);
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    // What nobody could read is not carried out.
    place.write(
        "gridkey.yaml",
        &manifest("  mailer: { scopes: [mail.send] }\n  other: { scopes: [mail.send] }\n"),
    );
    let mut unseen = place.command(&["apply", "--yes"]);
    let output = unseen.stdout(full()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("could not be shown, so nothing was changed"), "{err}");
    assert_eq!((output.status.code(), place.server.model().keys("acme").len()), (Some(1), 2), "{err}");
    place.write("gridkey.yaml", &manifest("  mailer: { scopes: [mail.send] }\n"));
    let commands = [
        "--help",
        "--version",
        "plan --help",
        "validate",
        "plan",
        "plan --detailed-exitcode",
        "plan --format markdown",
        "plan --format json",
        "plan --format html",
        "plan --format sarif",
        "show plan.json",
        "drift",
        "audit",
        "audit --format csv",
        "state list",
        "state show mailer",
        "scopes list",
        "schema manifest",
        "completions bash",
        "apply --yes",
    ];
    for command in commands {
        let mut process = place.command(&command.split(' ').collect::<Vec<_>>());
        process.stdout(full()).stderr(Stdio::piped());
        let output = process.spawn().unwrap().wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {err}");
        assert!(err.contains("standard output could not be written: No space left"), "{command}: {err}");
        // The same command, with somebody to read it.
        let heard = said(place.command(&command.split(' ').collect::<Vec<_>>()));
        assert!(!heard.out.is_empty(), "{command} prints nothing");
        assert_eq!(heard.code, 0, "{command}: {}", heard.all());
    }
}
