//! `sops`, whose files sops itself reads.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use async_trait::async_trait;
use gridkey_core::sink::SopsSettings;
use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::claim::Claim;
use crate::programs::said;
use crate::server::program;
use crate::service::{Checked, Conflicts, Listed, Removal, Service, Starting, Traits, Upstream, Value, Whom};

pub const LISTED: Listed = Listed {
    kind: SinkKind::Sops,
    server: "sops 3.11.0",
    not_applicable,
    traits: Traits {
        conflicts: Conflicts::Refuses,
        is_told_by_receipt: true,
        writes_of_a_repeat: 1,
        check: Checked::Proven,
        removal: Removal::Gone,
    },
    required: "SOPS",
    start,
};

pub struct Sops {
    program: PathBuf,
    version: String,
    recipient: String,
    /// With the identity, and with a program for who has it and one for who has not.
    folder: TempDir,
}

fn not_applicable(claim: Claim) -> Option<&'static str> {
    match claim {
        Claim::Unreachable | Claim::Slow | Claim::Cut | Claim::Throttled | Claim::CredentialEnds => Some(
            "a program writes a copy of a file, and no server is asked; tests of the sink's own have it fail and hang",
        ),
        Claim::RepeatAfterLostAnswer | Claim::ConflictGrade | Claim::NoSecretInUri => {
            Some("nothing is sent; tests of the sink's own hold it for files and arguments")
        }
        Claim::OlderKept => Some("the value before is in Git, where the file is kept in Git at all"),
        Claim::StaleRead => Some("a file is read as it was written"),
        Claim::DiesByItself => Some("a file stays"),
        Claim::Empty
        | Claim::Put
        | Claim::OwnId
        | Claim::ReadBack
        | Claim::ForeignValue
        | Claim::Conflict
        | Claim::Remove
        | Claim::Unauthorised
        | Claim::Neighbours
        | Claim::NowhereIsNotEmpty
        | Claim::Tombstone
        | Claim::BadName
        | Claim::TwoSpellings
        | Claim::CheckWritesNothing
        | Claim::MetadataStays
        | Claim::TwoKeysOneContainer => None,
    }
}

fn start() -> Starting {
    Box::pin(async {
        let (program, keygen) = (program("servers/sops/sops")?, program("servers/age/age-keygen")?);
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        said(Command::new(&keygen).arg("-o").arg(&identity), "");
        let recipient = said(Command::new(&keygen).arg("-y").arg(&identity), "").trim().to_string();
        let version = said(Command::new(&program).args(["--version", "--disable-version-check"]), "");
        let sops = Sops { program, version: version.trim().to_string(), recipient, folder };
        sops.script("able", &format!("SOPS_AGE_KEY_FILE='{}'", identity.display()));
        sops.script("blind", "HOME=/nowhere");
        Ok(Box::new(sops) as Box<dyn Service>)
    })
}

impl Sops {
    /// A program that runs sops with a variable.
    fn script(&self, name: &str, variable: &str) {
        let path = self.folder.path().join(name);
        let script = format!("#!/bin/sh\n{variable} exec '{}' \"$@\"\n", self.program.display());
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs sops on the file as who can decrypt it.
    fn sops(&self, arguments: &[&str], input: &str) -> String {
        said(Command::new(self.folder.path().join("able")).args(arguments), input)
    }

    /// All that the file holds.
    fn opened(&self, at: &SinkLocation) -> Json {
        let text = self.sops(&["decrypt", "--output-type", "json", &settings(at).path], "");
        serde_json::from_str(&text).unwrap()
    }

    fn set(&self, at: &SinkLocation, index: &str, value: &Json) {
        self.sops(&["set", "--value-stdin", &settings(at).path, index], &value.to_string());
    }
}

fn settings(at: &SinkLocation) -> &SopsSettings {
    match &*at.at {
        SinkSettings::Sops(settings) => settings,
        other => panic!("{} is no sops", other.kind()),
    }
}

fn changed(at: &SinkLocation, change: impl Fn(&mut SopsSettings)) -> SinkLocation {
    let mut settings = settings(at).clone();
    change(&mut settings);
    SinkLocation::new(at.sink.clone(), SinkSettings::Sops(settings))
}

/// The place as sops is told it.
fn index(at: &SinkLocation) -> String {
    let names = settings(at).pointer.split('/').skip(1);
    names.map(|name| format!("[\"{}\"]", name.replace("~1", "/"))).collect()
}

#[async_trait]
impl Service for Sops {
    fn server(&self) -> Option<String> {
        Some(self.version.clone())
    }

    /// Nobody is there, as nobody is asked.
    fn upstream(&self) -> Upstream {
        Upstream { address: "http://127.0.0.1:9".to_string(), authority: None }
    }

    async fn location(&self, _: &str, folder: &Path, name: &str, as_whom: Whom) -> SinkLocation {
        let folder = folder.join("secrets");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.yaml")).to_str().unwrap().to_string();
        if !Path::new(&path).exists() {
            fs::write(&path, "# theirs\nmail:\n    password: hunter2\n").unwrap();
            self.sops(&["encrypt", "--in-place", "--age", &self.recipient, &path], "");
        }
        let program = match as_whom {
            Whom::Gridkey => "able",
            // Who cannot decrypt a file cannot write into it either.
            Whom::MayNotWrite | Whom::MayNotRead | Whom::Stranger => "blind",
        };
        let program = Some(self.folder.path().join(program).to_str().unwrap().to_string());
        let pointer = "/mail/api_key".to_string();
        let settings = SopsSettings { path, pointer, program, ..SopsSettings::default() };
        SinkLocation::new(Name::new("sops").unwrap(), SinkSettings::Sops(settings))
    }

    fn variables(&self, _: &str, _: Whom) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn beside(&self, location: &SinkLocation) -> Option<SinkLocation> {
        Some(changed(location, |settings| settings.pointer = "/mail/other~1field \"é\"".to_string()))
    }

    fn nowhere(&self, location: &SinkLocation) -> Vec<(SinkLocation, String)> {
        let nowhere =
            |path: &str| (changed(location, |settings| settings.path = path.to_string()), path.to_string());
        vec![nowhere("nowhere.yaml"), nowhere("no/such/folder/a.json"), nowhere("nowhere.env")]
            .into_iter()
            .map(|(at, word)| match word.ends_with(".env") {
                true => (changed(&at, |settings| settings.pointer = "/API_KEY".to_string()), word),
                false => (at, word),
            })
            .collect()
    }

    fn spellings(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        let spelled =
            |to: &str| changed(location, |settings| settings.path = settings.path.replace("/secrets/", to));
        vec![spelled("//secrets/./"), spelled("/secrets/../secrets/")]
    }

    async fn value(&self, location: &SinkLocation) -> Value {
        match self.opened(location).pointer(&settings(location).pointer) {
            None | Some(Json::Null) => Value::Nothing,
            Some(Json::String(text)) => Value::Text(text.clone()),
            Some(_) => Value::Other,
        }
    }

    async fn older(&self, _: &SinkLocation) -> Vec<String> {
        Vec::new()
    }

    async fn overwrite(&self, location: &SinkLocation, text: &str) {
        self.set(location, &index(location), &Json::from(text));
    }

    async fn adorn(&self, location: &SinkLocation) {
        self.set(location, "[\"note\"]", &serde_json::json!({"by": "hand", "at": [1, 2.5, null]}));
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(&settings(location).path, mode).unwrap();
    }

    /// All but the value: names in clear text, encrypted values as they are, comments, and whom the file is for.
    async fn adornments(&self, location: &SinkLocation) -> String {
        let path = &settings(location).path;
        let is_of_others = |line: &&str| {
            !["lastmodified:", "mac:", "api_key:"].iter().any(|name| line.trim_start().starts_with(name))
        };
        let text = fs::read_to_string(path).unwrap();
        let others: Vec<&str> = text.lines().filter(is_of_others).collect();
        format!("{:o}\n{}", fs::metadata(path).unwrap().permissions().mode(), others.join("\n"))
    }

    async fn history(&self, location: &SinkLocation) -> String {
        fs::read_to_string(&settings(location).path).unwrap_or_default()
    }

    async fn delete(&self, location: &SinkLocation) {
        self.sops(&["unset", &settings(location).path, &index(location)], "");
    }

    async fn expire(&self, _: &SinkLocation) {}

    async fn end_login(&self, _: &SinkLocation) {}

    fn bad_names(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        let pointer = |pointer: &str| changed(location, |settings| settings.pointer = pointer.to_string());
        vec![
            pointer("/sops/mac"),
            pointer("/keys[0]"),
            pointer("key"),
            changed(location, |settings| settings.path = "secrets.ini".to_string()),
            changed(location, |settings| settings.path = "secrets/.env".to_string()),
        ]
    }
}
