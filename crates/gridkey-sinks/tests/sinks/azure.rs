//! Azure Key Vault: versions that come in between and are of no more use, names that are remembered, and whom a token is given to.

#[path = "../contract/doubles/azure.rs"]
mod double;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use gridkey_core::credential::Credential;
use gridkey_core::inventory::{SinkCaveat, SinkContent, SinkObservation};
use gridkey_core::sink::AzureKeyVaultSettings;
use gridkey_core::{KeyId, Known, Receipt, SinkLocation, SinkSettings};
use gridkey_engine::ports::{PutError, SinkError, SinkFault, SinkReader, SinkWriter};
use gridkey_sinks::Sinks;
use serde_json::json;
use tempfile::TempDir;

use self::double::{Double, TENANT};
use super::{at, holds, key, secret};

/// A double, and a client of it.
struct Bench {
    double: Double,
    address: String,
    sinks: Sinks,
    folder: TempDir,
}

fn variables(who: &str) -> BTreeMap<String, String> {
    let secret = format!("secret of {who}");
    BTreeMap::from(
        [("AZURE_CLIENT_ID", who), ("AZURE_CLIENT_SECRET", &secret)]
            .map(|(name, value)| (name.to_string(), value.to_string())),
    )
}

impl Bench {
    async fn new() -> Self {
        let (double, address) = Double::start().await;
        let folder = tempfile::tempdir().unwrap();
        let sinks = Sinks::new(folder.path().to_path_buf(), Vec::new()).with_variables(variables("gridkey"));
        Self { double, address, sinks, folder }
    }

    /// Another client of the same service.
    fn sinks_with(&self, variables: BTreeMap<String, String>) -> Sinks {
        Sinks::new(self.folder.path().to_path_buf(), Vec::new()).with_variables(variables)
    }

    fn settings(&self) -> AzureKeyVaultSettings {
        AzureKeyVaultSettings {
            vault: self.address.clone(),
            secret: "mailer".to_string(),
            authority_host: Some(self.address.clone()),
            ..AzureKeyVaultSettings::default()
        }
    }

    fn location(&self) -> SinkLocation {
        at(SinkSettings::AzureKeyVault(self.settings()))
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

    async fn observed(&self) -> SinkObservation {
        self.sinks.observe(&self.location(), None).await
    }

    /// Whether each version can be read, the oldest first.
    fn states(&self) -> Vec<bool> {
        self.double.world().secret("mailer").versions.iter().map(|version| version.enabled).collect()
    }

    fn asked(&self, what: &str) -> usize {
        self.double.world().asked.iter().filter(|asked| asked.contains(what)).count()
    }
}

fn known(letter: char, receipt: &Receipt) -> Known {
    Known { id: KeyId::new(letter.to_string().repeat(22)), receipt: receipt.clone() }
}

#[track_caller]
fn refused(put: Result<Option<Receipt>, PutError>) -> SinkError {
    match put {
        Err(PutError::Refused(error)) => error,
        other => panic!("it should be refused: {other:?}"),
    }
}

#[tokio::test]
async fn the_version_before_stays_and_those_before_it_are_disabled() {
    let bench = Bench::new().await;
    bench.puts("ab").await;
    assert_eq!(bench.states(), [true, true]);
    bench.put('c', &holds('b')).await.unwrap();
    assert_eq!(bench.states(), [false, true, true]);
    // The same again changes nothing, whatever a run that has lost its state expects.
    bench.put('c', &holds('b')).await.unwrap();
    bench.put('c', &holds('c')).await.unwrap();
    assert_eq!(bench.states(), [false, true, true]);
    bench.sinks.remove(&bench.location()).await.unwrap();
    assert_eq!(bench.states(), [false; 3]);
    assert_eq!(bench.observed().await, SinkObservation::Holds(SinkContent::Empty), "nobody gets anything");
    bench.sinks.remove(&bench.location()).await.unwrap();
    bench.put('d', &SinkContent::Empty).await.unwrap();
    assert_eq!(bench.observed().await, SinkObservation::Holds(holds('d')));
}

#[tokio::test]
async fn what_is_said_of_a_version_is_said_of_the_next() {
    let bench = Bench::new().await;
    bench.puts("a").await;
    {
        let mut world = bench.double.world();
        let version = world.secret("mailer").versions.last_mut().unwrap();
        version.content_type = Some("text/plain".to_string());
        version.tags.insert("owner".to_string(), json!("mail team"));
        version.ends = Some(version.created + 86_400);
    }
    bench.put('b', &holds('a')).await.unwrap();
    let location = at(SinkSettings::AzureKeyVault(AzureKeyVaultSettings {
        content_type: Some("application/x-sendgrid".to_string()),
        tags: BTreeMap::from([("team".to_string(), "mail".to_string())]),
        ..bench.settings()
    }));
    let ends = bench.sinks.caveats(&location).await;
    assert_eq!(ends, [SinkCaveat::Ends("after 24 hours, by its expiry date".to_string())]);
    bench.sinks.put(&location, &secret('c'), &holds('b'), None).await.unwrap();
    let mut world = bench.double.world();
    let [_, second, third] = world.secret("mailer").versions.as_slice() else { panic!("three versions") };
    assert_eq!(second.content_type.as_deref(), Some("text/plain"));
    let id = |letter: char| letter.to_string().repeat(22);
    assert_eq!(json!(second.tags), json!({ "owner": "mail team", "gridkey-key-id": id('b') }));
    assert_eq!(third.content_type.as_deref(), Some("application/x-sendgrid"));
    assert_eq!(json!(third.tags), json!({ "owner": "mail team", "team": "mail", "gridkey-key-id": id('c') }));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for version in [second, third] {
        let ends = version.ends.unwrap();
        assert!((now + 86_300..now + 86_500).contains(&ends), "{ends}");
    }
}

#[tokio::test]
async fn a_receipt_tells_the_key_and_nothing_is_read() {
    let bench = Bench::new().await;
    let known = known('a', &bench.puts("a").await);
    bench.double.world().asked.clear();
    let observed = bench.sinks.observe(&bench.location(), Some(&known)).await;
    assert_eq!(observed, SinkObservation::Holds(holds('a')));
    assert_eq!((bench.asked("/versions?"), bench.asked("/secrets/mailer?")), (1, 0));
    // A list has pages, in no order.
    bench.double.world().page = Some(1);
    let second = bench.put('b', &holds('a')).await.unwrap().unwrap();
    assert_eq!(
        bench.sinks.observe(&bench.location(), Some(&self::known('b', &second))).await,
        SinkObservation::Holds(holds('b'))
    );
    // One that trails is asked for again.
    bench.double.world().trails = 2;
    let put =
        bench.sinks.put(&bench.location(), &secret('c'), &holds('b'), Some(&self::known('b', &second))).await;
    put.unwrap();
}

#[tokio::test]
async fn without_a_right_to_read_receipts_and_tags_tell() {
    let bench = Bench::new().await;
    let (sinks, location) = (bench.sinks_with(variables("may-not-read")), bench.location());
    let first = sinks.put(&location, &secret('a'), &SinkContent::Empty, None).await.unwrap().unwrap();
    let first = known('a', &first);
    let second = sinks.put(&location, &secret('b'), &holds('a'), Some(&first)).await.unwrap().unwrap();
    let observed = sinks.observe(&location, Some(&known('b', &second))).await;
    assert_eq!(observed, SinkObservation::Holds(holds('b')));
    // A state that was lost knows no receipt.
    assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(holds('b')));
    let again = sinks.put(&location, &secret('b'), &holds('a'), Some(&first)).await.unwrap().unwrap();
    assert_eq!(again, second, "the tag tells that it is there");
    // Another program that sets a value may take tags over.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    {
        let mut world = bench.double.world();
        let tags = world.secret("mailer").versions[1].tags.clone();
        world.overwrite("mailer", "a value of another program");
        world.secret("mailer").versions[2].tags = tags;
    }
    let SinkObservation::Unreadable(said) = sinks.observe(&location, Some(&first)).await else {
        panic!("nobody can know what it is")
    };
    assert!(said.contains("secrets/getSecret/action") && said.contains("who wrote"), "{said}");
    let error = refused(sinks.put(&location, &secret('c'), &holds('b'), None).await);
    assert_eq!(error.fault, SinkFault::Forbidden);
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
    bench.put('b', &holds('a')).await.unwrap();
    assert_eq!(bench.states().len(), 3);
}

#[tokio::test]
async fn a_version_that_does_not_hold_what_its_tag_says_is_left_alone() {
    let bench = Bench::new().await;
    bench.double.world().overwrite("mailer", "a value of another program");
    bench.double.world().overwrite("mailer", &key('b'));
    bench.double.world().secret("mailer").versions[0]
        .tags
        .insert("gridkey-key-id".to_string(), json!("a".repeat(22)));
    bench.put('c', &holds('b')).await.unwrap();
    bench.put('d', &holds('c')).await.unwrap();
    assert_eq!(bench.states(), [true; 4]);
}

#[tokio::test]
async fn a_deleted_secret_is_brought_back_where_the_manifest_says_so() {
    let bench = Bench::new().await;
    bench.puts("a").await;
    bench.double.world().secret("mailer").is_deleted = true;
    assert_eq!(bench.observed().await, SinkObservation::Holds(SinkContent::Empty));
    let errors = [
        bench.sinks.check(&bench.location()).await.unwrap_err(),
        refused(bench.put('b', &SinkContent::Empty).await),
    ];
    for error in errors {
        assert_eq!(error.fault, SinkFault::Remembered);
        let help = error.help.unwrap();
        assert!(
            help.contains("az keyvault secret recover") && help.contains("`recover_soft_deleted: true`"),
            "{help}"
        );
    }
    bench.double.world().recovery = 2;
    let settings = AzureKeyVaultSettings { recover_soft_deleted: Some(true), ..bench.settings() };
    let location = at(SinkSettings::AzureKeyVault(settings));
    bench.sinks.check(&location).await.unwrap();
    bench.sinks.put(&location, &secret('b'), &SinkContent::Empty, None).await.unwrap();
    assert_eq!(bench.observed().await, SinkObservation::Holds(holds('b')));
    assert_eq!(bench.asked("/recover?"), 1);
}

#[tokio::test]
async fn a_credential_that_may_not_write_is_told_which_permission_it_lacks() {
    let bench = Bench::new().await;
    bench.puts("a").await;
    let error = refused(
        bench
            .sinks_with(variables("may-not-write"))
            .put(&bench.location(), &secret('b'), &holds('a'), None)
            .await,
    );
    assert_eq!(error.fault, SinkFault::Forbidden);
    assert!(error.message.contains("ForbiddenByRbac"), "{error}");
    let help = error.help.unwrap();
    assert!(
        help.contains("permission `set`")
            && help.contains("`Microsoft.KeyVault/vaults/secrets/setSecret/action`"),
        "{help}"
    );
}

#[tokio::test]
async fn a_token_goes_to_no_vault_that_asks_for_another_services() {
    let bench = Bench::new().await;
    bench.double.world().resource = Some("https://management.azure.com".to_string());
    let error = bench.sinks.check(&bench.location()).await.unwrap_err();
    assert_eq!(error.fault, SinkFault::Unauthenticated);
    assert!(error.message.contains("`https://management.azure.com`, which is not its own domain"), "{error}");
    assert_eq!(bench.asked("/token"), 0);
}

#[tokio::test]
async fn each_way_to_log_in() {
    let bench = Bench::new().await;
    bench.puts("a").await;
    std::fs::write(bench.folder.path().join("federated"), "federated").unwrap();
    std::fs::write(bench.folder.path().join("secret"), "secret of gridkey\n").unwrap();
    let plain = bench.settings();
    let text = |text: &str| Some(text.to_string());
    let by = |settings: AzureKeyVaultSettings, variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        (at(SinkSettings::AzureKeyVault(settings)), bench.sinks_with(variables.collect()))
    };
    let machine = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", bench.address.as_str());
    let workload = [("AZURE_FEDERATED_TOKEN_FILE", "federated"), ("AZURE_CLIENT_ID", "gridkey")];
    let named = |kind: &str| AzureKeyVaultSettings { credential: text(kind), ..plain.clone() };
    let file = AzureKeyVaultSettings {
        tenant_id: text(TENANT),
        client_id: text("gridkey"),
        client_secret: Some(Credential::File("secret".to_string())),
        ..plain.clone()
    };
    for (way, (location, sinks)) in [
        ("a secret in a file", by(file, &[])),
        ("a workload", by(plain.clone(), &workload)),
        ("a workload by name", by(named("workload_identity"), &workload)),
        ("a machine", by(plain.clone(), &[machine])),
        ("a machine by name", by(named("managed_identity"), &[machine])),
    ] {
        assert_eq!(sinks.observe(&location, None).await, SinkObservation::Holds(holds('a')), "{way}");
    }
    let nothing = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
    for (says, (location, sinks)) in [
        ("no client is named", by(plain.clone(), &[("AZURE_CLIENT_SECRET", "x")])),
        (
            "AADSTS7000215: Invalid client secret",
            by(plain.clone(), &[("AZURE_CLIENT_SECRET", "x"), ("AZURE_CLIENT_ID", "y")]),
        ),
        (
            "AADSTS90002",
            by(
                AzureKeyVaultSettings { tenant_id: text("other"), ..plain.clone() },
                &[("AZURE_CLIENT_SECRET", "x"), ("AZURE_CLIENT_ID", "y")],
            ),
        ),
        ("`AZURE_FEDERATED_TOKEN_FILE` names no file", by(named("workload_identity"), &[])),
        ("no managed identity", by(named("managed_identity"), &[nothing])),
        ("`az` could not be run", by(named("cli"), &[("PATH", "/nowhere")])),
        ("there is no login to Azure", by(plain.clone(), &[nothing, ("PATH", "/nowhere")])),
    ] {
        let error = sinks.check(&location).await.unwrap_err();
        assert!(error.message.contains(says) && !error.message.contains("Trace ID"), "{says}: {error}");
        assert!(
            error.help.is_some() && error.fault.is_definite() || error.fault == SinkFault::Unreachable,
            "{error:?}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_azure_cli_gives_a_login() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new().await;
    bench.puts("a").await;
    let (folder, token) = (bench.folder.path(), bench.double.token("gridkey"));
    let script = format!(
        "#!/bin/sh\necho \"$@\" > '{}'\necho '{{\"accessToken\": \"{token}\"}}'\n",
        folder.join("arguments").display()
    );
    std::fs::write(folder.join("az"), script).unwrap();
    std::fs::set_permissions(folder.join("az"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let sinks =
        bench.sinks_with(BTreeMap::from([("PATH".to_string(), format!("{}:/bin", folder.display()))]));
    let settings = AzureKeyVaultSettings { credential: Some("cli".to_string()), ..bench.settings() };
    let observed = sinks.observe(&at(SinkSettings::AzureKeyVault(settings)), None).await;
    assert_eq!(observed, SinkObservation::Holds(holds('a')));
    let arguments = std::fs::read_to_string(folder.join("arguments")).unwrap();
    assert_eq!(arguments, "account get-access-token --output json --resource http://127.0.0.1\n");
}

#[tokio::test]
async fn a_login_that_ends_is_made_anew() {
    let bench = Bench::new().await;
    bench.puts("a").await;
    bench.double.end_logins("gridkey");
    bench.put('b', &holds('a')).await.unwrap();
}

#[tokio::test]
async fn names_ignore_case_and_what_is_no_vault_is_told() {
    let bench = Bench::new().await;
    bench.puts("a").await;
    let other = at(SinkSettings::AzureKeyVault(AzureKeyVaultSettings {
        secret: "MAILER".to_string(),
        ..bench.settings()
    }));
    assert_eq!(other.id(), bench.location().id());
    assert_eq!(bench.sinks.observe(&other, None).await, SinkObservation::Holds(holds('a')));
    let nowhere = at(SinkSettings::AzureKeyVault(AzureKeyVaultSettings {
        vault: "http://127.0.0.1:1".to_string(),
        ..bench.settings()
    }));
    let SinkObservation::Unreadable(said) = bench.sinks.observe(&nowhere, None).await else {
        panic!("not empty")
    };
    assert!(said.contains("http://127.0.0.1:1"), "{said}");
}

/// Microsoft's own client uses the double as it would the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn microsofts_client_has_judged_the_double() {
    let (double, address) = Double::start().await;
    super::judge::judges("azure", "key_vault", &[&address, TENANT]).await;
    let world = double.world();
    assert!(world.asked.len() > 10 || world.asked.is_empty(), "{:?}", world.asked);
}
