//! Google Cloud Secret Manager: versions that trail, come in between, and are of no more use.

#[path = "../contract/doubles/gcp.rs"]
mod double;

use std::collections::BTreeMap;
use std::path::Path;

use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::sink::GcpSecretManagerSettings;
use gridkey_core::{KeyId, Known, Receipt, SinkLocation, SinkSettings};
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault, SinkReader, SinkWriter};
use gridkey_sinks::Sinks;
use serde_json::json;
use tempfile::TempDir;

use self::double::{Double, PROJECT};
use super::{at, holds, key, secret};

/// A double, and a client of it.
struct Bench {
    double: Double,
    address: String,
    sinks: Sinks,
    folder: TempDir,
}

/// The file that `gcloud auth application-default login` writes.
fn credentials(folder: &Path, address: &str, who: &str) -> BTreeMap<String, String> {
    let path = folder.join(format!("{who}.json"));
    let file = json!({
        "type": "authorized_user", "client_id": "client", "client_secret": "of the client", "refresh_token": who,
        "token_uri": format!("{address}/token"),
    });
    std::fs::write(&path, file.to_string()).unwrap();
    let path = path.display().to_string();
    BTreeMap::from([("GOOGLE_APPLICATION_CREDENTIALS".to_string(), path)])
}

impl Bench {
    async fn new() -> Self {
        let (double, address) = Double::start().await;
        let folder = tempfile::tempdir().unwrap();
        let variables = credentials(folder.path(), &address, "gridkey");
        let sinks = Sinks::new(folder.path().to_path_buf(), Vec::new()).with_variables(variables);
        Self { double, address, sinks, folder }
    }

    /// Another client of the same service.
    fn sinks_of(&self, who: &str) -> Sinks {
        let variables = credentials(self.folder.path(), &self.address, who);
        Sinks::new(self.folder.path().to_path_buf(), Vec::new()).with_variables(variables)
    }

    fn settings(&self) -> GcpSecretManagerSettings {
        GcpSecretManagerSettings {
            project: PROJECT.to_string(),
            secret: "mailer".to_string(),
            endpoint: Some(self.address.clone()),
            ..GcpSecretManagerSettings::default()
        }
    }

    fn location(&self) -> SinkLocation {
        at(SinkSettings::GcpSecretManager(self.settings()))
    }

    async fn put(&self, letter: char, replaces: &SinkContent) -> Result<Option<Receipt>, PutError> {
        self.sinks.put(&self.location(), &secret(letter), replaces, None).await
    }

    /// One key after the other.
    async fn puts(&self, letters: &str) -> Receipt {
        let mut before = SinkContent::Empty;
        let mut receipt = None;
        for letter in letters.chars() {
            receipt = self.put(letter, &before).await.unwrap();
            before = holds(letter);
        }
        receipt.unwrap()
    }

    fn states(&self) -> Vec<&'static str> {
        self.double.world().secret("mailer").versions.iter().map(|version| version.state).collect()
    }

    fn annotations(&self) -> Vec<String> {
        let mut world = self.double.world();
        let annotations = &world.secret("mailer").annotations;
        annotations.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect()
    }
}

fn known(letter: char, receipt: &Receipt) -> Known {
    Known { id: KeyId::new(letter.to_string().repeat(22)), receipt: receipt.clone() }
}

fn annotation(number: u32, letter: char) -> String {
    format!("gridkey-version-{number}={}", letter.to_string().repeat(22))
}

#[track_caller]
fn refused(put: Result<Option<Receipt>, PutError>) -> SinkError {
    match put {
        Err(PutError::Refused(error)) => error,
        other => panic!("it should be refused: {other:?}"),
    }
}

#[tokio::test]
async fn the_version_before_stays_and_those_before_it_are_ended() {
    let bench = Bench::new().await;
    bench.puts("a").await;
    bench.double.world().secret("mailer").annotations.insert("owner".to_string(), json!("mail team"));
    bench.put('b', &holds('a')).await.unwrap();
    assert_eq!(bench.states(), ["ENABLED", "ENABLED"]);
    bench.put('c', &holds('b')).await.unwrap();
    assert_eq!(bench.states(), ["DISABLED", "ENABLED", "ENABLED"]);
    assert_eq!(bench.annotations(), [annotation(2, 'b'), annotation(3, 'c'), "owner=mail team".to_string()]);
    // The same again changes nothing, whatever a run that has lost its state expects.
    bench.put('c', &holds('b')).await.unwrap();
    bench.put('c', &holds('c')).await.unwrap();
    assert_eq!(bench.states(), ["DISABLED", "ENABLED", "ENABLED"]);
    bench.sinks.remove(&bench.location()).await.unwrap();
    assert_eq!(bench.states(), ["DISABLED"; 3]);
    let observed = bench.sinks.observe(&bench.location(), None).await;
    assert_eq!(observed, SinkObservation::Holds(SinkContent::Empty), "nobody gets anything");
    bench.sinks.remove(&bench.location()).await.unwrap();
    bench.put('d', &SinkContent::Empty).await.unwrap();
    assert_eq!(bench.sinks.observe(&bench.location(), None).await, SinkObservation::Holds(holds('d')));
}

#[tokio::test]
async fn what_becomes_of_older_versions_is_said_in_the_manifest() {
    for (after, state) in [("destroy", "DESTROYED"), ("keep", "ENABLED"), ("disable", "DISABLED")] {
        let bench = Bench::new().await;
        let settings =
            GcpSecretManagerSettings { after_overlap: Some(after.to_string()), ..bench.settings() };
        let location = at(SinkSettings::GcpSecretManager(settings));
        let mut before = SinkContent::Empty;
        for letter in ['a', 'b', 'c'] {
            bench.sinks.put(&location, &secret(letter), &before, None).await.unwrap();
            before = holds(letter);
        }
        assert_eq!(bench.states(), [state, "ENABLED", "ENABLED"], "{after}");
    }
}

/// Annotations are copied by programs that make a secret as another one is.
#[tokio::test]
async fn a_version_that_does_not_hold_what_is_written_down_is_left_alone() {
    let bench = Bench::new().await;
    bench.double.world().overwrite("mailer", "a value of another program");
    bench.double.world().overwrite("mailer", &key('b'));
    let id = "a".repeat(22);
    bench.double.world().secret("mailer").annotations.insert("gridkey-version-1".to_string(), json!(id));
    bench.put('c', &holds('b')).await.unwrap();
    bench.put('d', &holds('c')).await.unwrap();
    assert_eq!(bench.states(), ["ENABLED"; 4]);
    assert_eq!(bench.annotations(), [annotation(3, 'c'), annotation(4, 'd')]);
}

#[tokio::test]
async fn the_newest_version_is_found_while_latest_trails() {
    let bench = Bench::new().await;
    let receipt = bench.puts("ab").await;
    for (trails, known) in [(1, None), (2, None), (2, Some(known('b', &receipt)))] {
        bench.double.world().trails = trails;
        let observed = bench.sinks.observe(&bench.location(), known.as_ref()).await;
        assert_eq!(observed, SinkObservation::Holds(holds('b')), "{trails}");
    }
    bench.put('c', &holds('b')).await.unwrap();
    assert_eq!(bench.states().len(), 3);
}

#[tokio::test]
async fn a_version_that_came_in_between_is_told_and_the_next_put_is_content() {
    let bench = Bench::new().await;
    bench.puts("a").await;
    bench.double.world().slips_in = Some("a value of another program".to_string());
    let Err(PutError::Unclear(error)) = bench.put('b', &holds('a')).await else {
        panic!("it should be told")
    };
    assert_eq!(error.fault, SinkFault::Conflict);
    assert!(error.message.contains("another program added version 2"), "{error}");
    let receipt = bench.put('b', &holds('a')).await.unwrap().unwrap();
    assert!(receipt.as_str().starts_with("3@"), "{receipt:?}");
    assert_eq!(bench.states(), ["ENABLED"; 3]);
}

#[tokio::test]
async fn the_receipt_of_a_secret_that_was_made_anew_is_not_believed() {
    let bench = Bench::new().await;
    let known = known('a', &bench.puts("a").await);
    bench.double.world().secrets.clear();
    let observed = bench.sinks.observe(&bench.location(), Some(&known)).await;
    assert_eq!(observed, SinkObservation::Holds(SinkContent::Empty));
    bench.double.world().overwrite("mailer", "a value of another program");
    let observed = bench.sinks.observe(&bench.location(), Some(&known)).await;
    assert_eq!(observed, SinkObservation::Holds(SinkContent::Other));
    let error = refused(bench.put('b', &holds('a')).await);
    assert_eq!(error.fault, SinkFault::Conflict);
}

#[tokio::test]
async fn without_a_right_to_read_receipts_and_marks_tell() {
    let bench = Bench::new().await;
    let (sinks, location) = (bench.sinks_of("may-not-read"), bench.location());
    let first = sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap().unwrap();
    let first = known('a', &first);
    let second = sinks.put(&location, &secret('b'), &holds('a'), Some(&first)).await.unwrap().unwrap();
    let observed = sinks.observe(&location, Some(&known('b', &second))).await;
    assert_eq!(observed, SinkObservation::Holds(holds('b')));
    // A state that was lost knows no receipt.
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(holds('b')));
    let again = sinks.put(&location, &secret('b'), &holds('a'), Some(&first)).await.unwrap().unwrap();
    assert_eq!(again, second, "the mark tells that it is there");
    assert_eq!(bench.states(), ["ENABLED"; 2], "what may not be looked at is not ended either");
    bench.double.world().overwrite("mailer", "a value of another program");
    let SinkObservation::Unreadable(said) = sinks.observe(&location, Some(&first)).await else {
        panic!("nobody can know what it is")
    };
    assert!(said.contains("`secretmanager.versions.access`") && said.contains("version 3"), "{said}");
    let error = refused(sinks.put(&location, &secret('c'), &holds('b'), Some(&first)).await);
    assert_eq!(error.fault, SinkFault::Forbidden);
}

#[tokio::test]
async fn a_version_that_may_not_be_ended_does_not_keep_the_next_from_being_written_down() {
    let bench = Bench::new().await;
    bench.double.world().withheld.insert("secretmanager.versions.disable");
    bench.puts("abc").await;
    assert_eq!(bench.states(), ["ENABLED"; 3]);
    assert_eq!(bench.annotations(), [annotation(1, 'a'), annotation(2, 'b'), annotation(3, 'c')]);
}

#[tokio::test]
async fn a_key_is_delivered_where_annotations_may_not_be_written() {
    let bench = Bench::new().await;
    bench.double.world().withheld.insert("secretmanager.secrets.update");
    let known = known('a', &bench.puts("a").await);
    assert_eq!(bench.annotations(), [""; 0]);
    assert_eq!(
        bench.sinks.observe(&bench.location(), Some(&known)).await,
        SinkObservation::Holds(holds('a'))
    );
}

#[tokio::test]
async fn a_secret_is_made_as_the_manifest_says() {
    let bench = Bench::new().await;
    let plain = bench.settings();
    let text = |text: &str| Some(text.to_string());
    for (settings, place, replication) in [
        (plain.clone(), "-", json!({ "automatic": {} })),
        (
            GcpSecretManagerSettings {
                replication_locations: vec!["europe-west3".to_string()],
                kms_key_name: text("projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k"),
                ..plain.clone()
            },
            "-",
            json!({ "userManaged": { "replicas": [{
                "location": "europe-west3",
                "customerManagedEncryption": { "kmsKeyName": "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k" },
            }] } }),
        ),
        (
            GcpSecretManagerSettings { location: text("europe-west3"), ..plain.clone() },
            "europe-west3",
            json!(null),
        ),
    ] {
        bench.double.world().secrets.clear();
        let labels = BTreeMap::from([("team".to_string(), "mail".to_string())]);
        let location = at(SinkSettings::GcpSecretManager(GcpSecretManagerSettings { labels, ..settings }));
        assert_eq!(bench.sinks.observe(&location, None).await, SinkObservation::Holds(SinkContent::Empty));
        let check = bench.sinks.check(&location).await.unwrap();
        assert!(matches!(check, Readiness::Plausible(why) if why.contains("`secretmanager.secrets.create`")));
        bench.sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
        let world = bench.double.world();
        let made = &world.secrets[&format!("{place}/mailer")];
        assert_eq!((&made.replication, &made.labels), (&replication, &json!({ "team": "mail" })));
    }
    bench.double.world().secrets.clear();
    bench.double.world().restricts_locations = true;
    let error = refused(bench.put('a', &SinkContent::Empty).await);
    assert!(error.help.unwrap().contains("`replication_locations`"));
    let location =
        at(SinkSettings::GcpSecretManager(GcpSecretManagerSettings { create: Some(false), ..plain }));
    let error = bench.sinks.check(&location).await.unwrap_err();
    assert_eq!(error.fault, SinkFault::ContainerMissing);
    assert!(
        refused(bench.sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await)
            .message
            .contains("`create`")
    );
}

#[tokio::test]
async fn a_check_is_plausible_or_names_the_permission() {
    let bench = Bench::new().await;
    bench.puts("a").await;
    let check = bench.sinks.check(&bench.location()).await.unwrap();
    assert!(matches!(check, Readiness::Plausible(why) if why.contains("can be wrong")));
    let error = bench.sinks_of("may-not-write").check(&bench.location()).await.unwrap_err();
    assert_eq!(error.fault, SinkFault::Forbidden);
    assert!(error.message.contains("`secretmanager.versions.add`"), "{error}");
    let error = refused(
        bench.sinks_of("may-not-write").put(&bench.location(), &secret('b'), &holds('a'), None).await,
    );
    assert!(error.message.contains("secretmanager.versions.add"), "{error}");
}

#[tokio::test]
async fn a_project_that_is_not_there_is_named() {
    let bench = Bench::new().await;
    let settings = GcpSecretManagerSettings { project: "nowhere".to_string(), ..bench.settings() };
    let location = at(SinkSettings::GcpSecretManager(settings));
    let SinkObservation::Unreadable(said) = bench.sinks.observe(&location, None).await else {
        panic!("not empty")
    };
    assert!(said.contains("is there a project `nowhere`?"), "{said}");
    let error = refused(bench.sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await);
    assert_eq!(error.fault, SinkFault::ContainerMissing);
}

#[tokio::test]
async fn a_login_that_ends_is_made_anew_and_one_that_is_refused_is_told() {
    let bench = Bench::new().await;
    bench.puts("a").await;
    bench.double.end_logins("gridkey");
    bench.put('b', &holds('a')).await.unwrap();
    for who in ["stranger", "revoked"] {
        let error = bench.sinks_of(who).check(&bench.location()).await.unwrap_err();
        assert_eq!(error.fault, SinkFault::Unauthenticated, "{error}");
    }
    let refusals =
        [("gone", None), ("empty", Some("")), ("other", Some("{\"type\": \"gdch_service_account\"}"))];
    for (name, text) in refusals.into_iter().chain([("parts", Some("{\"type\": \"service_account\"}"))]) {
        let path = bench.folder.path().join(name);
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let variable = ("GOOGLE_APPLICATION_CREDENTIALS".to_string(), path.display().to_string());
        let sinks = Sinks::new(bench.folder.path().to_path_buf(), Vec::new());
        let error =
            sinks.with_variables(BTreeMap::from([variable])).check(&bench.location()).await.unwrap_err();
        assert_eq!(error.fault, SinkFault::Unauthenticated, "{error}");
        assert!(error.message.contains(name) && error.help.is_some(), "{error}");
    }
}

#[tokio::test]
async fn the_metadata_server_gives_a_login() {
    let bench = Bench::new().await;
    let host = bench.address.trim_start_matches("http://").to_string();
    let variables = BTreeMap::from([("GCE_METADATA_HOST".to_string(), host)]);
    let sinks = Sinks::new(bench.folder.path().to_path_buf(), Vec::new()).with_variables(variables);
    sinks.put(&bench.location(), &secret('a'), &SinkContent::Empty, None).await.unwrap();
    assert!(bench.double.world().asked.iter().any(|asked| asked.contains("/computeMetadata/")));
}

/// Google's own client uses the double as it would the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn googles_client_has_judged_the_double() {
    let (double, address) = Double::start().await;
    let token = double.token("gridkey");
    super::judge::judges("gcp", "secret_manager", &[&address, &token]).await;
    let world = double.world();
    assert!(world.asked.len() > 10 || world.asked.is_empty(), "{:?}", world.asked);
}
