//! `github_actions`, over a double that PyGithub has judged: secrets of an environment, written by an app.

#[path = "doubles/github.rs"]
mod double;

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use gridkey_core::credential::Credential;
use gridkey_core::sink::{GithubActionsSettings, GithubAppSettings, GithubAuthSettings};
use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};
use jiff::Timestamp;

use crate::claim::Claim;
use crate::proxy::Reply;
use crate::service::{Checked, Conflicts, Listed, Removal, Service, Traits, Upstream, Value, Whom};
use double::{CLIENT, Github, READS, WRITES};

/// Its name has everything that an address has to encode.
const ENVIRONMENT: &str = "review/eu west";
const STORE: &str = "repos/acme/shop/environments/review/eu west";

pub const LISTED: Listed = Listed {
    kind: SinkKind::GithubActions,
    server: "a double that PyGithub 2.10.0 judged",
    not_applicable,
    traits: Traits {
        conflicts: Conflicts::Detects,
        is_told_by_receipt: false,
        // GitHub shows no value that a repeated one could be held against.
        writes_of_a_repeat: 2,
        check: Checked::Proven,
        removal: Removal::Gone,
    },
    required: "GITHUB",
    start: || Box::pin(async { Ok(Box::new(GithubActions(Github::start().await)) as Box<dyn Service>) }),
};

fn not_applicable(claim: Claim) -> Option<&'static str> {
    match claim {
        Claim::Neighbours | Claim::TwoKeysOneContainer => Some("a secret is a document of its own"),
        Claim::Conflict => Some("GitHub shows no value that could be another one than expected"),
        Claim::OlderKept => Some("GitHub keeps one value"),
        Claim::MetadataStays => Some(
            "nothing can be said of a secret but of an organisation's, for which the tests of the sink have it",
        ),
        Claim::DiesByItself => Some("GitHub's secrets have no end"),
        Claim::Empty
        | Claim::Put
        | Claim::OwnId
        | Claim::ReadBack
        | Claim::ForeignValue
        | Claim::Remove
        | Claim::Unreachable
        | Claim::Unauthorised
        | Claim::Slow
        | Claim::Cut
        | Claim::NowhereIsNotEmpty
        | Claim::Tombstone
        | Claim::RepeatAfterLostAnswer
        | Claim::StaleRead
        | Claim::BadName
        | Claim::TwoSpellings
        | Claim::Throttled
        | Claim::CredentialEnds
        | Claim::CheckWritesNothing
        | Claim::ConflictGrade
        | Claim::NoSecretInUri => None,
    }
}

struct GithubActions(Github);

impl GithubActions {
    fn auth(&self, folder: &Path, name: &str, as_whom: Whom) -> Option<GithubAuthSettings> {
        // An installation of its own for each claim, as one of them ends its tokens.
        let number: usize =
            name.bytes().fold(0, |number, byte| (number * 31 + usize::from(byte)) % 1_000_003);
        let installation = match as_whom {
            Whom::Gridkey | Whom::MayNotRead => format!("{WRITES}{number}"),
            Whom::MayNotWrite => format!("{READS}{number}"),
            Whom::Stranger => return None,
        };
        let key = folder.join("app.pem");
        std::fs::write(&key, self.0.world().app_key()).unwrap();
        Some(GithubAuthSettings::App(GithubAppSettings {
            client_id: CLIENT.to_string(),
            installation_id: installation,
            private_key: Credential::File(key.display().to_string()),
        }))
    }
}

fn settings(location: &SinkLocation) -> &GithubActionsSettings {
    match &*location.at {
        SinkSettings::GithubActions(settings) => settings,
        other => panic!("{other:?} is of another kind"),
    }
}

fn name(location: &SinkLocation) -> String {
    settings(location).secret.to_uppercase()
}

fn with(location: &SinkLocation, change: impl FnOnce(&mut GithubActionsSettings)) -> SinkLocation {
    let mut settings = settings(location).clone();
    change(&mut settings);
    SinkLocation::new(location.sink.clone(), SinkSettings::GithubActions(settings))
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[async_trait]
impl Service for GithubActions {
    fn upstream(&self) -> Upstream {
        Upstream { address: self.0.address.clone(), authority: None }
    }

    async fn location(&self, proxy: &str, folder: &Path, name: &str, as_whom: Whom) -> SinkLocation {
        let secret: String =
            name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        let at = GithubActionsSettings {
            repository: Some("acme/shop".to_string()),
            environment: Some(ENVIRONMENT.to_string()),
            secret: format!("KEY_{secret}"),
            auth: self.auth(folder, name, as_whom),
            api_url: Some(proxy.to_string()),
            ..GithubActionsSettings::default()
        };
        SinkLocation::new(Name::new("github").unwrap(), SinkSettings::GithubActions(at))
    }

    fn variables(&self, _: &str, _: Whom) -> BTreeMap<String, String> {
        // Of those who are no app.
        BTreeMap::from([("GH_TOKEN".to_string(), "ghp_stranger".to_string())])
    }

    fn beside(&self, _: &SinkLocation) -> Option<SinkLocation> {
        None
    }

    fn nowhere(&self, location: &SinkLocation) -> Vec<(SinkLocation, String)> {
        let repository = with(location, |at| at.repository = Some("acme/nowhere".to_string()));
        let environment = with(location, |at| at.environment = Some("nowhere".to_string()));
        [repository, environment].map(|at| (at, "nowhere".to_string())).into()
    }

    fn spellings(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        vec![
            with(location, |at| at.secret = at.secret.to_lowercase()),
            with(location, |at| at.repository = Some("Acme/Shop".to_string())),
            with(location, |at| at.store = Some("actions".to_string())),
            with(location, |at| at.api_url = at.api_url.as_ref().map(|url| format!("{url}/"))),
        ]
    }

    async fn value(&self, location: &SinkLocation) -> Value {
        match self.0.world().secret(STORE, &name(location)) {
            None => Value::Nothing,
            Some(stored) => stored.value.clone().map_or(Value::Other, Value::Text),
        }
    }

    async fn older(&self, _: &SinkLocation) -> Vec<String> {
        Vec::new()
    }

    async fn overwrite(&self, location: &SinkLocation, text: &str) {
        self.0.world().overwrite(STORE, &name(location), text, &now());
    }

    async fn adorn(&self, _: &SinkLocation) {}

    async fn adornments(&self, _: &SinkLocation) -> String {
        String::new()
    }

    async fn history(&self, location: &SinkLocation) -> String {
        let world = self.0.world();
        let stored = world.secret(STORE, &name(location));
        stored.map_or(String::new(), |stored| format!("{} {}", stored.writes, stored.updated))
    }

    async fn delete(&self, location: &SinkLocation) {
        self.0.world().stores.get_mut(STORE).unwrap().secrets.remove(&name(location));
    }

    async fn expire(&self, _: &SinkLocation) {}

    async fn end_login(&self, location: &SinkLocation) {
        let Some(GithubAuthSettings::App(app)) = &settings(location).auth else { panic!("it is an app") };
        self.0.world().end(&app.installation_id);
    }

    /// GitHub says it with 403, too.
    fn throttles(&self) -> Vec<Reply> {
        let text = r#"{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}"#;
        vec![
            Reply::json(429, text).with("retry-after", "1"),
            Reply::json(403, text),
            Reply::json(403, r#"{"message": "Forbidden"}"#).with("retry-after", "1"),
        ]
    }

    fn throttles_for_long(&self) -> Reply {
        let text = r#"{"message": "API rate limit exceeded for installation ID 11."}"#;
        Reply::json(403, text).with("x-ratelimit-remaining", "0").with("retry-after", "3600")
    }

    fn bad_names(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        vec![
            with(location, |at| at.secret = "GITHUB_KEY".to_string()),
            with(location, |at| at.secret = "MAIL-KEY".to_string()),
            with(location, |at| at.secret = "1KEY".to_string()),
            with(location, |at| at.repository = Some("acme/..".to_string())),
            with(location, |at| at.environment = Some("..".to_string())),
            with(location, |at| at.store = Some("dependabot".to_string())),
            with(location, |at| at.visibility = Some("all".to_string())),
        ]
    }
}
