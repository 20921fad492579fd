//! Values in files that sops encrypts: written by sops on a copy, read by it, and nothing else changes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::sink::SopsSettings;
use gridkey_core::{KeyId, Known, Receipt, SinkLocation, SinkSettings};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault, SinkReader, SinkWriter};
use gridkey_sinks::Sinks;
use tempfile::TempDir;

use super::programs::{identity, program, run};
use super::{at, holds, key, secret};

/// A folder with files that sops encrypted to an identity of the folder's own, and a `./sops` that has it.
struct Encrypted {
    folder: TempDir,
    sops: PathBuf,
    recipient: String,
}

impl Encrypted {
    /// Nothing where a program is missing.
    fn new() -> Option<Self> {
        let sops = program("sops/sops", "SOPS")?;
        let keygen = program("age/age-keygen", "AGE")?;
        let folder = tempfile::tempdir().unwrap();
        let recipient = identity(&keygen, &folder.path().join("identity"));
        let encrypted = Self { folder, sops, recipient };
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> arguments\nenv > environment\nSOPS_AGE_KEY_FILE='{}' exec '{}' \"$@\"\n",
            encrypted.path("identity").display(),
            encrypted.sops.display()
        );
        encrypted.program("sops", &script);
        Some(encrypted)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        fs::write(self.path(name), script).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// A file of that text, encrypted.
    fn file(&self, name: &str, text: &str, arguments: &[&str]) {
        fs::write(self.path(name), text).unwrap();
        let mut sops = Command::new(&self.sops);
        run(sops
            .args(["encrypt", "--in-place", "--age", &self.recipient])
            .args(arguments)
            .arg(self.path(name)));
    }

    fn decrypted(&self, name: &str) -> String {
        let mut sops = Command::new(&self.sops);
        run(sops.env("SOPS_AGE_KEY_FILE", self.path("identity")).arg("decrypt").arg(self.path(name)))
    }

    fn sinks(&self) -> Sinks {
        let path = std::env::var_os("PATH").unwrap();
        Sinks::new(self.folder.path().to_path_buf(), std::env::split_paths(&path).collect())
    }
}

fn sops(path: &str, pointer: &str) -> SinkLocation {
    by("./sops", path, pointer)
}

fn by(program: &str, path: &str, pointer: &str) -> SinkLocation {
    at(SinkSettings::Sops(SopsSettings {
        path: path.to_string(),
        pointer: pointer.to_string(),
        program: Some(program.to_string()),
        ..SopsSettings::default()
    }))
}

fn known(letter: char, receipt: Option<Receipt>) -> Option<Known> {
    receipt.map(|receipt| Known { id: KeyId::new(letter.to_string().repeat(22)), receipt })
}

fn refused<T: std::fmt::Debug>(result: Result<T, PutError>) -> SinkError {
    match result {
        Err(PutError::Refused(error)) => error,
        other => panic!("it should be refused: {other:?}"),
    }
}

const YAML: &str = "# of the team\nmail:\n    # theirs\n    password: hunter2\n    keys:\n        - one\n        - two\nnothing: null\n";
const JSON: &str = "{\"mail\": {\"password\": \"hunter2\", \"keys\": [\"one\", \"two\"]}, \"count\": 3}";

#[tokio::test]
async fn a_secret_is_put_observed_read_and_removed_in_every_kind_of_file() {
    let Some(encrypted) = Encrypted::new() else { return };
    encrypted.file("a.yaml", YAML, &[]);
    encrypted.file("a.json", JSON, &[]);
    encrypted.file("a.env", "PASSWORD=hunter2\n", &[]);
    for (path, pointer) in [
        ("a.yaml", "/mail/sendgrid/api_key"),
        ("a.yaml", "/nothing"),
        ("a.json", "/sendgrid/a~1\"b"),
        ("a.env", "/API_KEY"),
    ] {
        let (sinks, location) = (encrypted.sinks(), sops(path, pointer));
        let before = encrypted.decrypted(path);
        assert_eq!(sinks.check(&location).await, Ok(Readiness::Proven), "{pointer}");
        assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(SinkContent::Empty));
        assert_eq!(encrypted.decrypted(path), before, "to look changes nothing");
        let first = sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
        let text = encrypted.read(path);
        assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(holds('a')));
        let again = sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
        assert_eq!((&again, encrypted.read(path)), (&first, text), "the same secret is not written again");
        let second = sinks.put(&location, &secret('b'), &holds('a'), None).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(sinks.read(&location).await.unwrap().unwrap().expose(), key('b'));
        let decrypted = encrypted.decrypted(path);
        assert!(decrypted.contains(&key('b')) && decrypted.contains("hunter2"), "{decrypted}");
        let foreign = refused(sinks.put(&location, &secret('c'), &holds('a'), None).await);
        assert!(
            foreign.fault == SinkFault::Conflict && foreign.message.contains("it holds the key bbbb"),
            "{foreign}"
        );
        for _ in 0..2 {
            sinks.remove(&location).await.unwrap();
            assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(SinkContent::Empty));
        }
        assert!(encrypted.decrypted(path).contains("hunter2"));
        assert!(!encrypted.read(path).contains("SG."));
    }
    let said = encrypted.read("arguments") + &encrypted.read("environment");
    assert!(!said.contains("SG.") && !said.contains("gridkey tries"), "{said}");
    assert!(
        !encrypted.read("environment").contains("CARGO_"),
        "a program gets what it needs and what `env` lists"
    );
    let mut left: Vec<_> =
        fs::read_dir(encrypted.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a.env", "a.json", "a.yaml", "arguments", "environment", "identity", "sops"]);
}

#[tokio::test]
async fn neighbours_stay_as_they_are_encrypted_and_so_do_mode_and_comments() {
    let Some(encrypted) = Encrypted::new() else { return };
    encrypted.file("a.yaml", YAML, &[]);
    fs::set_permissions(encrypted.path("a.yaml"), fs::Permissions::from_mode(0o644)).unwrap();
    let lines = |text: &str| -> Vec<String> {
        let mine = |line: &&str| {
            !["lastmodified:", "mac:", "api_key:"].iter().any(|name| line.trim().starts_with(name))
        };
        text.lines().filter(mine).map(ToString::to_string).collect()
    };
    let before = lines(&encrypted.read("a.yaml"));
    let sinks = encrypted.sinks();
    let location = sops("a.yaml", "/mail/api_key");
    assert_eq!(sinks.caveats(&location).await, []);
    for letter in ['a', 'b'] {
        let expected = if letter == 'a' { SinkContent::Empty } else { holds('a') };
        sinks.put(&location, &secret(letter), &expected, None).await.unwrap();
        assert_eq!(lines(&encrypted.read("a.yaml")), before);
    }
    sinks.remove(&location).await.unwrap();
    assert_eq!(lines(&encrypted.read("a.yaml")), before);
    assert_eq!(encrypted.decrypted("a.yaml"), YAML);
    assert_eq!(fs::metadata(encrypted.path("a.yaml")).unwrap().permissions().mode() & 0o7777, 0o644);
}

#[tokio::test]
async fn an_item_of_a_list_is_emptied_so_that_the_others_keep_their_numbers() {
    let Some(encrypted) = Encrypted::new() else { return };
    encrypted.file("a.yaml", YAML, &[]);
    let (sinks, location) = (encrypted.sinks(), sops("a.yaml", "/mail/keys/0"));
    sinks.put(&location, &secret('a'), &SinkContent::Other, None).await.unwrap();
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(holds('a')));
    sinks.remove(&location).await.unwrap();
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(SinkContent::Empty));
    assert!(encrypted.decrypted("a.yaml").contains("- \"\"\n        - two\n"));
}

/// A plan needs no identity, as long as nobody else wrote.
#[tokio::test]
async fn who_cannot_decrypt_sees_what_gridkey_wrote_last_and_writes_nothing() {
    let Some(encrypted) = Encrypted::new() else { return };
    encrypted.file("a.yaml", YAML, &[]);
    encrypted
        .program("blind", &format!("#!/bin/sh\nHOME=/nowhere exec '{}' \"$@\"\n", encrypted.sops.display()));
    let (sinks, location) = (encrypted.sinks(), sops("a.yaml", "/mail/api_key"));
    let receipt = sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    let known = known('a', receipt);
    let blind = by("./blind", "a.yaml", "/mail/api_key");
    // Another value beside it is no other value of its own.
    sinks.put(&sops("a.yaml", "/mail/other"), &secret('d'), &SinkContent::Empty, None).await.unwrap();
    assert_eq!(sinks.observe(&blind, known.as_ref()).await, SinkObservation::Holds(holds('a')));
    let before = encrypted.read("a.yaml");
    let error = refused(sinks.put(&blind, &secret('b'), &holds('a'), known.as_ref()).await);
    assert!(error.fault == SinkFault::Forbidden && error.message.contains("a.yaml`: "), "{error:?}");
    assert!(error.help.as_ref().is_some_and(|help| help.contains("`SOPS_AGE_KEY_FILE`")), "{error:?}");
    assert_eq!(sinks.check(&blind).await.unwrap_err().fault, SinkFault::Forbidden);
    assert_eq!(sinks.remove(&blind).await.unwrap_err().fault, SinkFault::Forbidden);
    for (location, known) in [(&blind, None), (&by("./blind", "a.yaml", "/mail/none"), known.as_ref())] {
        let observed = sinks.observe(location, known).await;
        assert!(matches!(observed, SinkObservation::Unreadable(_)), "{observed:?}");
    }
    assert_eq!(encrypted.read("a.yaml"), before);
    // Somebody wrote another value.
    sinks.put(&location, &secret('b'), &holds('a'), None).await.unwrap();
    assert!(matches!(sinks.observe(&blind, known.as_ref()).await, SinkObservation::Unreadable(_)));
    assert_eq!(sinks.observe(&location, known.as_ref()).await, SinkObservation::Holds(holds('b')));
}

#[tokio::test]
async fn a_secret_is_never_written_where_sops_would_leave_it_plain() {
    let Some(encrypted) = Encrypted::new() else { return };
    encrypted.file("suffix.yaml", "mail_unencrypted:\n    key: x\n    number: 3\n", &[]);
    encrypted.file("regex.yaml", "data:\n    key: x\nother: y\n", &["--encrypted-regex", "^data$"]);
    for (path, pointer, says) in [
        ("suffix.yaml", "/mail_unencrypted/key", "in plain text"),
        ("suffix.yaml", "/mail_unencrypted/new", "in plain text"),
        ("suffix.yaml", "/mail_unencrypted/number", "in plain text"),
        ("suffix.yaml", "/new_unencrypted", "in plain text"),
        ("regex.yaml", "/other", "in plain text"),
        ("regex.yaml", "/new/key", "in plain text"),
    ] {
        let (sinks, location, before) = (encrypted.sinks(), sops(path, pointer), encrypted.read(path));
        let expected = SinkContent::Empty;
        let error = refused(sinks.put(&location, &secret('a'), &expected, None).await);
        assert!(error.message.contains(says), "{pointer}: {error:?}");
        assert_eq!(sinks.check(&location).await.unwrap_err(), error);
        let SinkObservation::Unreadable(why) = sinks.observe(&location, None).await else {
            panic!("{pointer}")
        };
        assert!(why.contains(says), "a plan says so: {why}");
        assert_eq!(encrypted.read(path), before);
    }
    encrypted
        .sinks()
        .put(&sops("regex.yaml", "/data/new"), &secret('a'), &SinkContent::Empty, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_file_that_is_not_there_or_is_not_encrypted_is_never_empty() {
    let Some(encrypted) = Encrypted::new() else { return };
    fs::write(encrypted.path("plain.yaml"), YAML).unwrap();
    fs::write(encrypted.path("plain.env"), "A=1\n").unwrap();
    encrypted.file("two.yaml", "a: 1\n---\nb: 2\n", &[]);
    for (path, pointer, says) in [
        ("missing.yaml", "/key", "there is no such file; make it first"),
        ("plain.yaml", "/key", "sops did not encrypt it"),
        ("plain.env", "/KEY", "sops did not encrypt it"),
        ("two.yaml", "/key", "several YAML documents"),
        ("identity", "/key", "`.yaml`, `.yml`, `.json` and `.env`"),
    ] {
        let (sinks, location) = (encrypted.sinks(), sops(path, pointer));
        let SinkObservation::Unreadable(why) = sinks.observe(&location, None).await else { panic!("{path}") };
        assert!(why.contains(says) && why.contains(path), "{why}");
        let error = refused(sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await);
        assert_eq!(error.with_help(), why);
        sinks.check(&location).await.unwrap_err();
    }
    encrypted.sinks().remove(&sops("missing.yaml", "/key")).await.unwrap();
    assert!(!encrypted.path("missing.yaml").exists());
    encrypted.sinks().remove(&sops("plain.yaml", "/mail/password")).await.unwrap_err();
    assert_eq!(encrypted.read("plain.yaml"), YAML);
}

#[tokio::test]
async fn a_sops_that_cannot_take_a_secret_on_its_input_is_not_given_one() {
    let Some(encrypted) = Encrypted::new() else { return };
    encrypted.file("a.yaml", YAML, &[]);
    encrypted.program(
        "old",
        "#!/bin/sh\ncase $1 in --version) echo 'sops 3.10.2 (latest)' ;; *) echo >> ran ;; esac\n",
    );
    encrypted.program("other", "#!/bin/sh\necho hello\n");
    for (program, says) in [
        ("./old", "`./old` is version 3.10.2"),
        ("./other", "does not tell a version"),
        ("./none", "could not be started"),
        ("no-such-sops", "could not be started"),
    ] {
        let (sinks, location) = (encrypted.sinks(), by(program, "a.yaml", "/mail/api_key"));
        let error = refused(sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await);
        assert!(error.message.contains(says), "{error:?}");
        assert!(error.help.as_ref().is_some_and(|help| help.contains("https://getsops.io")), "{error:?}");
        assert_eq!(sinks.check(&location).await.unwrap_err(), error);
    }
    assert!(!encrypted.path("ran").exists());
}

/// What sops does not do well is done to a copy.
#[tokio::test]
async fn a_sops_that_fails_in_any_way_leaves_the_file_as_it_was() {
    let Some(encrypted) = Encrypted::new() else { return };
    encrypted.file("a.yaml", YAML, &[]);
    let before = encrypted.read("a.yaml");
    let real = format!(
        "SOPS_AGE_KEY_FILE='{}' '{}' \"$@\"",
        encrypted.path("identity").display(),
        encrypted.sops.display()
    );
    // The probe goes well, and what comes after it is told apart by its input.
    let set = |then: &str| {
        format!(
            "#!/bin/sh\nif [ \"$1\" = set ]; then input=$(cat); case $input in *SG.*) {then} ;; esac; \
             printf %s \"$input\" | {real}; else {real}; fi\n"
        )
    };
    for (then, says) in [
        ("echo \"no access for $input\" >&2; exit 1", "exit code 1: no access for"),
        ("kill -9 $$", "signal"),
        ("exit 0", "in plain text"),
        (": > \"$3\"; exit 0", "sops did not encrypt it"),
        ("head -c 300 \"$3\" > \"$3.x\"; mv \"$3.x\" \"$3\"; exit 0", "sops did not encrypt it"),
        ("input='\"SG.other\"'", "does not give the secret back"),
    ] {
        encrypted.program("broken", &set(then));
        let (sinks, location) = (encrypted.sinks(), by("./broken", "a.yaml", "/mail/api_key"));
        let error = refused(sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await);
        assert!(error.message.contains(says), "{then}: {error:?}");
        assert!(!format!("{error:?}").contains("aaaa"), "{error:?}");
        assert_eq!(encrypted.read("a.yaml"), before, "{then}");
    }
    assert!(!encrypted.decrypted("a.yaml").contains("SG."));
}

/// Somebody edits the file while sops works on its copy.
#[tokio::test]
async fn a_change_by_another_program_meanwhile_is_kept() {
    let Some(encrypted) = Encrypted::new() else { return };
    encrypted.file("a.yaml", YAML, &[]);
    let (identity, sops_itself) = (encrypted.path("identity"), encrypted.sops.display().to_string());
    let real = format!("SOPS_AGE_KEY_FILE='{}' '{sops_itself}'", identity.display());
    let always = |condition: &str| {
        format!(
            "#!/bin/sh\nif [ \"$1\" = set ] && {condition}; then echo >> edits; \
             echo \"\\\"$(wc -l < edits)\\\"\" | {real} set --value-stdin a.yaml '[\"theirs\"]'; fi\n{real} \"$@\"\n"
        )
    };
    encrypted.program("once", &always("[ ! -e edits ]"));
    let (sinks, location) = (encrypted.sinks(), by("./once", "a.yaml", "/mail/api_key"));
    sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    let decrypted = encrypted.decrypted("a.yaml");
    assert!(decrypted.contains("theirs: \"1\"") && decrypted.contains(&key('a')), "{decrypted}");
    encrypted.program("always", &always("true"));
    let error =
        refused(sinks.put(&by("./always", "a.yaml", "/mail/api_key"), &secret('b'), &holds('a'), None).await);
    assert!(error.fault == SinkFault::Conflict && error.message.contains("keeps changing it"), "{error:?}");
    assert!(encrypted.decrypted("a.yaml").contains(&key('a')));
}

#[tokio::test]
async fn a_sops_that_waits_for_ever_is_killed_when_its_caller_goes_away() {
    let Some(encrypted) = Encrypted::new() else { return };
    encrypted.file("a.yaml", YAML, &[]);
    let before = encrypted.read("a.yaml");
    encrypted.program(
        "hangs",
        "#!/bin/sh\ncase $1 in --version) echo sops 3.11.0 ;; *) echo $$ > started; sleep 1000 ;; esac\n",
    );
    let (sinks, location) = (encrypted.sinks(), by("./hangs", "a.yaml", "/mail/api_key"));
    let hangs = async {
        while !encrypted.path("started").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (expected, secret) = (SinkContent::Empty, secret('a'));
    tokio::select! {
        put = sinks.put(&location, &secret, &expected, None) => panic!("{put:?}"),
        () = hangs => {}
    }
    // A shell that ends gives its number back in a moment.
    let id = encrypted.read("started").trim().to_string();
    let is_there = || std::path::Path::new("/proc").join(&id).join("exe").exists();
    let ended = async {
        while is_there() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it ends");
    assert_eq!(encrypted.read("a.yaml"), before);
}
