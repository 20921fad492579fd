//! `gitlab_ci`: CI/CD variables of projects, groups and instances.
//!
//! A name may be there several times, once for each environment scope. Without a filter GitLab takes the only one that is
//! there, whatever its scope, so that each request filters, and each answer is held against the scope that was asked for.

mod api;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use gridkey_core::Receipt;
use gridkey_core::credential::Credential;
use gridkey_core::sink::GitlabCiSettings;
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault};
use gridkey_engine::secret::Secret;
use reqwest::Method;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::adapter::{Adapter, Put};
use crate::format::{Held, Standing};
use crate::http::{Answer, Unanswered, secret_body};
use crate::kept::Kept;
use crate::machine::Machine;
use api::{Api, TokenRecord, Variable, said};

/// The scope of a token that may write.
const WRITES: &str = "api";

/// The scope that a variable has where none is said.
const EVERYWHERE: &str = "*";

/// What is kept between calls.
#[derive(Default)]
pub(crate) struct Gitlab {
    tokens: Kept<Option<Credential>, Zeroizing<String>>,
}

/// One variable.
pub(crate) struct GitlabAdapter<'a> {
    api: Api<'a>,
    settings: &'a GitlabCiSettings,
    owner: Owner<'a>,
}

/// Whose variable it is.
#[derive(Clone, Copy)]
enum Owner<'a> {
    Project(&'a str),
    Group(&'a str),
    Instance,
}

/// What a new variable is made with.
#[derive(Serialize)]
struct New<'a> {
    key: &'a str,
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_scope: Option<&'a str>,
    masked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    masked_and_hidden: Option<bool>,
    protected: bool,
    /// A `$` in the value means nothing.
    raw: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

/// What a variable that is there becomes. A scope is never among it, as that would move the variable.
#[derive(Serialize)]
struct Changed<'a> {
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    masked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protected: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable_type: Option<&'a str>,
}

impl Owner<'_> {
    fn role(self) -> &'static str {
        match self {
            Self::Project(_) => "the role Maintainer in the project",
            Self::Group(_) => "the role Owner in the group",
            Self::Instance => "the rights of an administrator",
        }
    }
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(path) => write!(f, "the project `{path}`"),
            Self::Group(path) => write!(f, "the group `{path}`"),
            Self::Instance => f.write_str("the instance"),
        }
    }
}

impl Variable {
    /// GitLab shows the value of a hidden one to nobody, which is not the same as an empty one.
    fn is_hidden(&self) -> bool {
        self.value.is_none()
    }

    fn held(&self) -> Option<Held> {
        self.value.as_ref().map(|value| Held::Text(value.clone()))
    }
}

impl Changed<'_> {
    fn is_only_the_value(&self) -> bool {
        let Self { value: _, masked, protected, variable_type } = self;
        masked.is_none() && protected.is_none() && variable_type.is_none()
    }
}

impl<'a> GitlabAdapter<'a> {
    pub fn new(kept: &'a Gitlab, machine: &'a Machine, settings: &'a GitlabCiSettings) -> Self {
        let owner = match (&settings.project, &settings.group) {
            (Some(project), _) => Owner::Project(project.trim_matches('/')),
            (None, Some(group)) => Owner::Group(group.trim_matches('/')),
            (None, None) => Owner::Instance,
        };
        Self { api: Api::new(kept, machine, settings), settings, owner }
    }

    /// The path of the variables, and of ours among them.
    fn path(&self) -> Vec<&'a str> {
        match self.owner {
            Owner::Project(path) => vec!["projects", path, "variables"],
            Owner::Group(path) => vec!["groups", path, "variables"],
            Owner::Instance => vec!["admin", "ci", "variables"],
        }
    }

    /// The scope that is filtered by; variables of the instance have none.
    fn scope(&self) -> Option<&'a str> {
        match self.owner {
            Owner::Project(_) | Owner::Group(_) => {
                Some(self.settings.environment_scope.as_deref().unwrap_or(EVERYWHERE))
            }
            Owner::Instance => None,
        }
    }

    fn what(&self, doing: &str) -> String {
        let variable = &self.settings.variable;
        match self.scope() {
            Some(scope) if scope != EVERYWHERE => {
                format!("{doing} the variable `{variable}` of {} in the scope `{scope}`", self.owner)
            }
            Some(_) | None => format!("{doing} the variable `{variable}` of {}", self.owner),
        }
    }

    /// A request about the variable in the scope.
    async fn ask_of_it(&self, method: &Method, body: Option<&Bytes>) -> Result<Answer, Unanswered> {
        let path = [self.path(), vec![&self.settings.variable]].concat();
        self.api.ask(method, (&path, self.scope()), body).await
    }

    /// The variable; `None` where the project, group or instance has none of that name in that scope.
    async fn look(&self) -> Result<Option<Variable>, SinkError> {
        let answer = self.ask_of_it(&Method::GET, None).await?;
        match answer.status {
            200 => self.variable(&answer).map(Some),
            404 if is_about_a_variable(&answer) => Ok(None),
            _ => Err(self.error(&answer, &self.what("looking at"))),
        }
    }

    /// The variable in an answer, which has to be the one that was asked for.
    fn variable(&self, answer: &Answer) -> Result<Variable, SinkError> {
        let variable: Variable = answer.json()?;
        let scope = variable.environment_scope.as_deref();
        if variable.key == self.settings.variable && (self.scope().is_none() || self.scope() == scope) {
            return Ok(variable);
        }
        let (key, scope) = (&variable.key, scope.unwrap_or("no scope at all"));
        let message = format!("{}: GitLab answered with `{key}` in `{scope}`", self.what("looking at"));
        Err(SinkError::failed(message)
            .help("this server does not filter by scope; scopes of groups need GitLab Premium"))
    }

    /// What an answer means that is not what was asked for.
    fn error(&self, answer: &Answer, what: &str) -> SinkError {
        let Some(said) = said(answer) else {
            let error = answer.error(what, "");
            return SinkError { fault: SinkFault::Failed, ..error }.help(
                "the answer is not GitLab's: is there a proxy in between, or is `address` another server's?",
            );
        };
        let error = answer.error(what, &said);
        let needs = format!("the token needs the scope `{WRITES}` and {}", self.owner.role());
        match answer.status {
            401 => error.help("the token is unknown to GitLab, or it has ended: make another one"),
            403 => error.help(needs),
            404 if is_about_a_variable(answer) => SinkError { fault: SinkFault::Conflict, ..error }
                .help("another program deleted it just now; plan again"),
            404 => error.help(format!("{} does not exist, or the token may not see it; {needs}", self.owner)),
            // Nothing is written unmasked because it could not be written masked.
            400 if said.contains("value") => {
                error.help("GitLab masks no such value; for one that need not be masked, set `masked: false`")
            }
            301 | 302 | 307 | 308 => SinkError { fault: SinkFault::ContainerMissing, ..error }
                .help(format!("{} has another path now: write that one", self.owner)),
            _ => error,
        }
    }

    /// Whether what is there can take what the settings ask for.
    fn fits(&self, variable: &Variable) -> Result<(), SinkError> {
        let name = &self.settings.variable;
        match (self.settings.hidden, variable.is_hidden()) {
            (Some(true), true) | (Some(false) | None, false) => Ok(()),
            (Some(true), false) => {
                let message = format!("the variable `{name}` of {} is not hidden", self.owner);
                Err(SinkError::new(SinkFault::Invalid, message).help(
                    "GitLab hides a variable only when it is made: delete it, so that gridkey makes it anew, or leave `hidden` out",
                ))
            }
            (Some(false) | None, true) => Err(self.is_hidden()),
        }
    }

    fn is_hidden(&self) -> SinkError {
        let name = &self.settings.variable;
        let message =
            format!("the variable `{name}` of {} is hidden: GitLab shows its value to nobody", self.owner);
        SinkError::new(SinkFault::Invalid, message)
            .help("set `hidden: true`, and gridkey does not look at it")
    }

    /// Whether the secret may take the place of what is there; of a hidden variable nobody can tell.
    fn stands(&self, held: &Held, put: &Put<'_>) -> Result<Standing, PutError> {
        if self.settings.hidden == Some(true) {
            return Ok(Standing::Replaceable);
        }
        held.standing(put.secret.expose(), Some(put.replaces)).map_err(|why| {
            let message = format!("{}: {why}", self.what("writing"));
            PutError::Refused(SinkError::new(SinkFault::Conflict, message))
        })
    }

    fn taken(&self) -> SinkError {
        let message = format!("{}: GitLab says that there is one, and shows none", self.what("making"));
        SinkError::new(SinkFault::Conflict, message)
            .help("scopes of groups need GitLab Premium: without it a group has one variable of a name")
    }

    /// What the settings say of a variable that is there; nothing of what it has already.
    fn changed<'s>(&'s self, variable: &Variable, secret: &'s Secret) -> Changed<'s> {
        let GitlabCiSettings { masked, protected, variable_type, .. } = self.settings;
        Changed {
            value: secret.expose(),
            masked: masked.filter(|masked| *masked != variable.masked),
            protected: protected.filter(|protected| *protected != variable.protected),
            variable_type: variable_type
                .as_deref()
                .filter(|wanted| Some(*wanted) != variable.variable_type.as_deref()),
        }
    }

    /// Makes the variable.
    ///
    /// # Errors
    /// [`NotMade::Taken`] where it was made by another program since it was looked for.
    async fn create(&self, secret: &Secret) -> Result<(), NotMade> {
        let settings = self.settings;
        let is_hidden = settings.hidden == Some(true);
        let body = secret_body(&New {
            key: &settings.variable,
            value: secret.expose(),
            environment_scope: self.scope(),
            masked: settings.masked.unwrap_or(true),
            masked_and_hidden: is_hidden.then_some(true),
            protected: settings.protected.unwrap_or(false),
            raw: true,
            variable_type: settings.variable_type.as_deref(),
            description: settings.description.as_deref(),
        });
        let answer = self.api.ask(&Method::POST, (&self.path(), None), Some(&body)).await;
        let answer = answer.map_err(PutError::from)?;
        if answer.status == 400 && said(&answer).is_some_and(|said| said.contains("already been taken")) {
            return Err(NotMade::Taken);
        }
        if answer.status != 201 {
            return Err(self.put_error(&answer).into());
        }
        let made: Variable = answer.json().map_err(PutError::Unclear)?;
        let scope = made.environment_scope.as_deref();
        if self.scope().is_some() && scope != self.scope() {
            let why = format!("GitLab made it in the scope `{}`", scope.unwrap_or_default());
            let help = "scopes of groups need GitLab Premium";
            return Err(self.take_back(scope, &why, help).await.into());
        }
        if is_hidden && !made.is_hidden() {
            let (why, help) = ("GitLab did not hide it", "hidden variables need GitLab 17.4");
            return Err(self.take_back(scope, why, help).await.into());
        }
        self.confirm(&made, secret)?;
        Ok(())
    }

    /// Deletes the variable that was made just now, as it is not as it was asked for: it would be seen where it must not be.
    async fn take_back(&self, scope: Option<&str>, why: &str, help: &str) -> PutError {
        let path = [self.path(), vec![&self.settings.variable]].concat();
        let deleted = self.api.ask(&Method::DELETE, (&path, scope), None).await;
        let (making, error) = (self.what("making"), |message| SinkError::new(SinkFault::Invalid, message));
        match deleted {
            Ok(answer) if answer.status == 204 => {
                PutError::Refused(error(format!("{making}: {why}, and gridkey deleted it again")).help(help))
            }
            Ok(_) | Err(_) => {
                let error = error(format!("{making}: {why}, and it could not be deleted again"));
                PutError::Unclear(error.help(format!("delete it by hand; {help}")))
            }
        }
    }

    /// Writes over a variable that is there.
    async fn update(&self, changed: &Changed<'_>, secret: &Secret) -> Result<(), PutError> {
        let body = secret_body(changed);
        let answer = self.ask_of_it(&Method::PUT, Some(&body)).await?;
        if answer.status != 200 {
            return Err(self.put_error(&answer));
        }
        let written = self.variable(&answer).map_err(PutError::Unclear)?;
        self.confirm(&written, secret)
    }

    /// GitLab answers with what it wrote.
    fn confirm(&self, written: &Variable, secret: &Secret) -> Result<(), PutError> {
        match &written.value {
            Some(value) if value.as_str() != secret.expose() => Err(self.other_writer()),
            Some(_) | None => Ok(()),
        }
    }

    fn other_writer(&self) -> PutError {
        let message = format!("{}: another program wrote at the same moment", self.what("writing"));
        PutError::Unclear(SinkError::new(SinkFault::Conflict, message).help("plan again"))
    }

    fn put_error(&self, answer: &Answer) -> PutError {
        let error = self.error(answer, &self.what("writing"));
        match error.fault.is_definite() {
            true => PutError::Refused(error),
            false => PutError::Unclear(error),
        }
    }

    /// GitLab takes no condition, so that another program may have written since the look before; a look right after tells.
    async fn read_back(&self, secret: &Secret) -> Result<(), PutError> {
        match self.look().await {
            Ok(Some(variable)) => self.confirm(&variable, secret),
            Ok(None) => Err(self.other_writer()),
            // It was written, and GitLab said so.
            Err(error) => {
                tracing::debug!(%error, "the variable could not be read back");
                Ok(())
            }
        }
    }

    /// Whether the token says of itself that it may write.
    async fn readiness(&self) -> Result<Readiness, SinkError> {
        let answer = self.api.ask(&Method::GET, (&["personal_access_tokens", "self"], None), None).await?;
        let plausible = |why: &str| Ok(Readiness::Plausible(why.to_string()));
        let record: TokenRecord = match answer.status {
            200 => answer.json()?,
            401 | 403 | 404 => return plausible("a token of this kind does not tell what it may do"),
            _ => return Err(self.error(&answer, "looking at the token")),
        };
        if record.scopes.iter().any(|scope| scope == WRITES) {
            return Ok(Readiness::Proven);
        }
        if record.scopes.iter().any(|scope| scope == "granular") {
            return plausible("a fine-grained token does not tell which variables it may write");
        }
        let message = format!("the token has the scopes `{}` and may not write", record.scopes.join("`, `"));
        Err(SinkError::new(SinkFault::Forbidden, message)
            .help(format!("make a token with the scope `{WRITES}` and {}", self.owner.role())))
    }
}

/// Why a variable was not made.
enum NotMade {
    /// There is one of that name in that scope.
    Taken,
    Failed(PutError),
}

impl From<PutError> for NotMade {
    fn from(error: PutError) -> Self {
        Self::Failed(error)
    }
}

/// GitLab says which thing it does not find: `404 Variable Not Found` is said of a project that is there.
fn is_about_a_variable(answer: &Answer) -> bool {
    said(answer).is_some_and(|said| said.contains("Variable Not Found"))
}

#[async_trait]
impl Adapter for GitlabAdapter<'_> {
    /// Those who may read a variable may write it, if their token may write at all.
    async fn check(&self) -> Result<Readiness, SinkError> {
        if let Some(variable) = self.look().await? {
            self.fits(&variable)?;
        }
        self.readiness().await
    }

    async fn held(&self) -> Result<Held, SinkError> {
        match self.look().await? {
            None => Ok(Held::Nothing),
            Some(variable) => variable.held().ok_or_else(|| self.is_hidden()),
        }
    }

    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError> {
        let mut is_first = true;
        loop {
            let Some(variable) = self.look().await.map_err(PutError::Refused)? else {
                self.stands(&Held::Nothing, &put)?;
                match self.create(put.secret).await {
                    Ok(()) => break,
                    Err(NotMade::Failed(error)) => return Err(error),
                    Err(NotMade::Taken) if is_first => is_first = false,
                    Err(NotMade::Taken) => return Err(PutError::Refused(self.taken())),
                }
                continue;
            };
            self.fits(&variable).map_err(PutError::Refused)?;
            let changed = self.changed(&variable, put.secret);
            if let Some(held) = variable.held() {
                match self.stands(&held, &put)? {
                    Standing::Same if changed.is_only_the_value() => return Ok(None),
                    Standing::Same | Standing::Replaceable => {}
                }
            }
            if !changed.masked.unwrap_or(variable.masked) {
                let (name, owner) = (&self.settings.variable, self.owner);
                tracing::warn!(variable = %name, %owner, "the variable is not masked, so that job logs may show the key");
            }
            self.update(&changed, put.secret).await?;
            break;
        }
        self.read_back(put.secret).await?;
        Ok(None)
    }

    async fn remove(&self) -> Result<(), SinkError> {
        // A server that does not filter would delete another scope's variable.
        if self.look().await?.is_none() {
            return Ok(());
        }
        let answer = self.ask_of_it(&Method::DELETE, None).await?;
        match answer.status {
            204 => Ok(()),
            404 if is_about_a_variable(&answer) => Ok(()),
            _ => Err(self.error(&answer, &self.what("removing"))),
        }
    }
}
