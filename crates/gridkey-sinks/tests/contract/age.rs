//! `age`, whose files age itself opens.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use async_trait::async_trait;
use gridkey_core::sink::AgeSettings;
use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};
use tempfile::TempDir;

use crate::claim::Claim;
use crate::programs::said;
use crate::server::program;
use crate::service::{Checked, Conflicts, Listed, Removal, Service, Starting, Traits, Upstream, Value, Whom};

const SERVER: &str = "age v1.3.2";

pub const LISTED: Listed = Listed {
    kind: SinkKind::Age,
    server: SERVER,
    not_applicable,
    traits: Traits {
        conflicts: Conflicts::Refuses,
        is_told_by_receipt: true,
        // Nobody can see that it holds the secret already; who has the receipt writes once.
        writes_of_a_repeat: 2,
        check: Checked::Proven,
        removal: Removal::Gone,
    },
    required: "AGE",
    start,
};

pub struct Age {
    program: PathBuf,
    version: String,
    recipient: String,
    /// With the identity.
    folder: TempDir,
}

fn not_applicable(claim: Claim) -> Option<&'static str> {
    match claim {
        Claim::Unreachable | Claim::Slow | Claim::Cut | Claim::Throttled | Claim::CredentialEnds => {
            Some("a file is written, and no server is asked")
        }
        Claim::RepeatAfterLostAnswer | Claim::ConflictGrade | Claim::NoSecretInUri => {
            Some("nothing is sent; tests of the sink's own hold it for files")
        }
        Claim::Conflict => Some("a file tells nobody which key it holds, so a plan expects nothing of it"),
        Claim::Unauthorised | Claim::CheckWritesNothing => {
            Some("there is no credential; the tests of files hold it for rights")
        }
        Claim::Neighbours | Claim::TwoKeysOneContainer => Some("a file holds one secret and nothing else"),
        Claim::NowhereIsNotEmpty => Some("a folder that is not there is made"),
        Claim::OlderKept => Some("the file before is in Git, where it is kept in Git at all"),
        Claim::StaleRead => Some("a file is read as it was written"),
        Claim::DiesByItself => Some("a file stays"),
        Claim::Empty
        | Claim::Put
        | Claim::OwnId
        | Claim::ReadBack
        | Claim::ForeignValue
        | Claim::Remove
        | Claim::Tombstone
        | Claim::BadName
        | Claim::TwoSpellings
        | Claim::MetadataStays => None,
    }
}

fn start() -> Starting {
    Box::pin(async {
        if !gridkey_sinks::supports(SinkKind::Age) {
            return Err("gridkey was built without the feature `age`".to_string());
        }
        let (program, keygen) = (program("servers/age/age")?, program("servers/age/age-keygen")?);
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        said(Command::new(&keygen).arg("-o").arg(&identity), "");
        let recipient = said(Command::new(&keygen).arg("-y").arg(&identity), "").trim().to_string();
        let version = said(Command::new(&program).arg("--version"), "").trim().to_string();
        Ok(Box::new(Age { program, version, recipient, folder }) as Box<dyn Service>)
    })
}

fn settings(at: &SinkLocation) -> &AgeSettings {
    match &*at.at {
        SinkSettings::Age(settings) => settings,
        other => panic!("{} is no age", other.kind()),
    }
}

fn changed(at: &SinkLocation, change: impl Fn(&mut AgeSettings)) -> SinkLocation {
    let mut settings = settings(at).clone();
    change(&mut settings);
    SinkLocation::new(at.sink.clone(), SinkSettings::Age(settings))
}

#[async_trait]
impl Service for Age {
    fn server(&self) -> Option<String> {
        Some(format!("age {}", self.version))
    }

    /// Nobody is there, as nobody is asked.
    fn upstream(&self) -> Upstream {
        Upstream { address: "http://127.0.0.1:9".to_string(), authority: None }
    }

    async fn location(&self, _: &str, folder: &Path, name: &str, _: Whom) -> SinkLocation {
        let path = folder.join("secrets").join(format!("{name}.age"));
        let path = path.to_str().unwrap().to_string();
        let settings =
            AgeSettings { path, recipients: vec![self.recipient.clone()], ..AgeSettings::default() };
        SinkLocation::new(Name::new("age").unwrap(), SinkSettings::Age(settings))
    }

    fn variables(&self, _: &str, _: Whom) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn beside(&self, _: &SinkLocation) -> Option<SinkLocation> {
        None
    }

    fn nowhere(&self, _: &SinkLocation) -> Vec<(SinkLocation, String)> {
        Vec::new()
    }

    fn spellings(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        let spelled = |from: &str, to: &str| {
            changed(location, |settings| settings.path = settings.path.replace(from, to))
        };
        vec![spelled("/secrets/", "//secrets/./"), spelled("/secrets/", "/secrets/../secrets/")]
    }

    async fn value(&self, location: &SinkLocation) -> Value {
        let path = Path::new(&settings(location).path);
        if !path.exists() {
            return Value::Nothing;
        }
        let mut age = Command::new(&self.program);
        Value::Text(said(age.arg("-d").arg("-i").arg(self.folder.path().join("identity")).arg(path), ""))
    }

    async fn older(&self, _: &SinkLocation) -> Vec<String> {
        Vec::new()
    }

    async fn overwrite(&self, location: &SinkLocation, text: &str) {
        let mut age = Command::new(&self.program);
        said(age.args(["-a", "-r", &self.recipient, "-o", &settings(location).path]), text);
    }

    /// Whom a file is for is all that can be said of it.
    async fn adorn(&self, location: &SinkLocation) {
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&settings(location).path, mode).unwrap();
    }

    async fn adornments(&self, location: &SinkLocation) -> String {
        let metadata = std::fs::metadata(&settings(location).path).unwrap();
        format!("{:o}", metadata.permissions().mode())
    }

    async fn history(&self, location: &SinkLocation) -> String {
        std::fs::read_to_string(&settings(location).path).unwrap_or_default()
    }

    async fn delete(&self, location: &SinkLocation) {
        std::fs::remove_file(&settings(location).path).unwrap();
    }

    async fn expire(&self, _: &SinkLocation) {}

    async fn end_login(&self, _: &SinkLocation) {}

    fn bad_names(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        vec![
            changed(location, |settings| settings.recipients = vec!["AGE-SECRET-KEY-1".to_string()]),
            changed(location, |settings| settings.recipients.clear()),
            changed(location, |settings| settings.path.push('/')),
            changed(location, |settings| settings.path = "$HOME/key.age".to_string()),
        ]
    }
}
