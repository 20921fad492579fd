//! `gitlab_ci`, over a double that python-gitlab has judged: variables of a project in one scope of several.

#[path = "doubles/gitlab.rs"]
mod double;

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use gridkey_core::credential::Credential;
use gridkey_core::sink::GitlabCiSettings;
use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};

use crate::claim::Claim;
use crate::proxy::Reply;
use crate::service::{Checked, Conflicts, Listed, Removal, Service, Traits, Upstream, Value, Whom};
use double::{Gitlab, READS, Variable, WRITES};

const OWNER: &str = "projects/acme/shop";
const SCOPE: &str = "review/*";

pub const LISTED: Listed = Listed {
    kind: SinkKind::GitlabCi,
    server: "a double that python-gitlab 8.6.0 judged",
    not_applicable,
    traits: Traits {
        conflicts: Conflicts::Detects,
        is_told_by_receipt: false,
        writes_of_a_repeat: 1,
        check: Checked::Proven,
        removal: Removal::Gone,
    },
    required: "GITLAB",
    start: || Box::pin(async { Ok(Box::new(GitlabCi(Gitlab::start().await)) as Box<dyn Service>) }),
};

fn not_applicable(claim: Claim) -> Option<&'static str> {
    match claim {
        Claim::Neighbours | Claim::TwoKeysOneContainer => Some("a variable is a document of its own"),
        Claim::OlderKept => Some("GitLab keeps one value"),
        Claim::DiesByItself => Some("GitLab's variables have no end"),
        Claim::Empty
        | Claim::Put
        | Claim::OwnId
        | Claim::ReadBack
        | Claim::ForeignValue
        | Claim::Conflict
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
        | Claim::MetadataStays
        | Claim::ConflictGrade
        | Claim::NoSecretInUri => None,
    }
}

struct GitlabCi(Gitlab);

impl GitlabCi {
    fn variable(&self, location: &SinkLocation) -> Option<Variable> {
        self.0.world().variable(OWNER, &settings(location).variable, SCOPE).cloned()
    }

    fn change(&self, location: &SinkLocation, change: impl FnOnce(&mut Variable)) {
        let at = (settings(location).variable.clone(), SCOPE.to_string());
        let mut world = self.0.world();
        change(world.owners.get_mut(OWNER).unwrap().entry(at).or_insert_with(Variable::new));
    }
}

fn settings(location: &SinkLocation) -> &GitlabCiSettings {
    match &*location.at {
        SinkSettings::GitlabCi(settings) => settings,
        other => panic!("{other:?} is of another kind"),
    }
}

fn with(location: &SinkLocation, change: impl FnOnce(&mut GitlabCiSettings)) -> SinkLocation {
    let mut settings = settings(location).clone();
    change(&mut settings);
    SinkLocation::new(location.sink.clone(), SinkSettings::GitlabCi(settings))
}

#[async_trait]
impl Service for GitlabCi {
    fn upstream(&self) -> Upstream {
        Upstream { address: self.0.address.clone(), authority: None }
    }

    async fn location(&self, proxy: &str, folder: &Path, name: &str, as_whom: Whom) -> SinkLocation {
        let variable: String =
            name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        let token = match as_whom {
            // Its own for each claim, as one of them ends it.
            Whom::Gridkey | Whom::MayNotRead => {
                let mut world = self.0.world();
                let known = world.tokens[WRITES];
                world.tokens.insert(format!("{WRITES}-{name}"), known);
                format!("{WRITES}-{name}")
            }
            Whom::MayNotWrite => READS.to_string(),
            Whom::Stranger => "glpat-stranger".to_string(),
        };
        let file = folder.join(format!("gitlab-{as_whom:?}"));
        std::fs::write(&file, token).unwrap();
        let at = GitlabCiSettings {
            address: Some(proxy.to_string()),
            project: Some("acme/shop".to_string()),
            variable: format!("KEY_{variable}"),
            environment_scope: Some(SCOPE.to_string()),
            token: Some(Credential::File(file.display().to_string())),
            ..GitlabCiSettings::default()
        };
        let at = SinkLocation::new(Name::new("gitlab").unwrap(), SinkSettings::GitlabCi(at));
        // The name is there in another scope, which is nobody's business here.
        let elsewhere = (settings(&at).variable.clone(), "production".to_string());
        self.0.world().owners.get_mut(OWNER).unwrap().entry(elsewhere).or_insert_with(Variable::new);
        at
    }

    fn variables(&self, _: &str, _: Whom) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn beside(&self, _: &SinkLocation) -> Option<SinkLocation> {
        None
    }

    fn nowhere(&self, location: &SinkLocation) -> Vec<(SinkLocation, String)> {
        let project = with(location, |at| at.project = Some("acme/nowhere".to_string()));
        let group = with(location, |at| (at.project, at.group) = (None, Some("nowhere".to_string())));
        [project, group].map(|at| (at, "nowhere".to_string())).into()
    }

    fn spellings(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        vec![
            with(location, |at| at.project = Some("Acme/Shop".to_string())),
            with(location, |at| at.address = at.address.as_ref().map(|address| format!("{address}/"))),
        ]
    }

    async fn value(&self, location: &SinkLocation) -> Value {
        self.variable(location).map_or(Value::Nothing, |variable| Value::Text(variable.value))
    }

    async fn older(&self, _: &SinkLocation) -> Vec<String> {
        Vec::new()
    }

    async fn overwrite(&self, location: &SinkLocation, text: &str) {
        self.0.world().overwrite(OWNER, &settings(location).variable, SCOPE, text);
    }

    async fn adorn(&self, location: &SinkLocation) {
        self.change(location, |variable| {
            variable.protected = true;
            variable.variable_type = "file".to_string();
            variable.description = Some("ask before you change it".to_string());
        });
    }

    async fn adornments(&self, location: &SinkLocation) -> String {
        let variable = self.variable(location);
        let said = variable.map(
            |Variable { value: _, writes: _, masked, hidden, protected, raw, variable_type, description }| {
                (masked, hidden, protected, raw, variable_type, description)
            },
        );
        format!(
            "{said:?}, and in another scope {:?}",
            self.0.world().variable(OWNER, &settings(location).variable, "production")
        )
    }

    async fn history(&self, location: &SinkLocation) -> String {
        self.variable(location).map_or(String::new(), |variable| variable.writes.to_string())
    }

    async fn delete(&self, location: &SinkLocation) {
        let at = (settings(location).variable.clone(), SCOPE.to_string());
        self.0.world().owners.get_mut(OWNER).unwrap().remove(&at);
    }

    async fn expire(&self, _: &SinkLocation) {}

    fn bad_names(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        vec![
            with(location, |at| at.variable = "MAIL-KEY".to_string()),
            with(location, |at| at.variable = "K".repeat(256)),
            with(location, |at| at.project = Some("acme%2Fshop".to_string())),
            with(location, |at| at.environment_scope = Some("a,b".to_string())),
            with(location, |at| at.group = Some("acme".to_string())),
            with(location, |at| (at.hidden, at.masked) = (Some(true), Some(false))),
        ]
    }

    /// GitLab says it in plain words.
    fn throttles(&self) -> Vec<Reply> {
        let mut plain = Reply::page(429);
        plain.body = b"Retry later\n".to_vec();
        vec![plain.clone(), plain.with("retry-after", "1")]
    }

    /// The token is replaced, as a program would that renews it.
    async fn end_login(&self, location: &SinkLocation) {
        let Some(Credential::File(file)) = &settings(location).token else {
            panic!("the token is in a file")
        };
        let old = std::fs::read_to_string(file).unwrap();
        let new = format!("{old}x");
        let mut world = self.0.world();
        let known = world.tokens.remove(&old).unwrap();
        world.tokens.insert(new.clone(), known);
        std::fs::write(file, new).unwrap();
    }
}
