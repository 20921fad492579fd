//! Logins to Google Cloud: application default credentials, found as Google's own programs find them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_auth::build_errors;
use google_cloud_auth::credentials::{
    AccessTokenCredentials, Credentials, external_account, impersonated, mds, service_account, user_account,
};
use google_cloud_auth::errors::CredentialsError;
use gridkey_core::sink::GcpSecretManagerSettings;
use gridkey_engine::ports::{SinkError, SinkFault};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::http::shown;
use crate::kept::Kept;
use crate::machine::Machine;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How long a login may take, with every try again of Google's own client.
const PATIENCE: Duration = Duration::from_secs(15);

/// The file in the folder of Google's programs that `gcloud auth application-default login` writes.
const WELL_KNOWN: &str = "application_default_credentials.json";

const HELP: &str = "log in with `gcloud auth application-default login`, let `GOOGLE_APPLICATION_CREDENTIALS` name a file of \
    credentials, or run gridkey where Google Cloud gives it a service account";

/// Logins, one for each account to act as; each renews itself before it ends.
#[derive(Default)]
pub(crate) struct Logins {
    held: Kept<Option<String>, Login>,
}

struct Login {
    credentials: AccessTokenCredentials,
    /// The project that the credentials' own file says requests are counted against.
    quota_project: Option<String>,
}

/// What a request carries.
pub(super) struct Pass {
    pub token: Zeroizing<String>,
    pub quota_project: Option<String>,
    login: Arc<Login>,
}

/// Where credentials are.
enum Source {
    File(PathBuf, Value),
    /// The server that tells a machine of Google Cloud who it is.
    Metadata(Option<String>),
}

impl Logins {
    /// A token that is good for a while.
    pub(super) async fn pass(
        &self,
        machine: &Machine,
        settings: &GcpSecretManagerSettings,
    ) -> Result<Pass, SinkError> {
        let actor = &settings.impersonate_service_account;
        let login = self.held.get(actor, async { log_in(machine, actor.as_deref()) }).await?;
        let token = tokio::time::timeout(PATIENCE, login.credentials.access_token()).await;
        let token = token
            .map_err(|_| too_late())
            .and_then(|token| token.map_err(|error| refused(&error, actor.as_deref())));
        if token.is_err() {
            // Google's client may keep a failure for as long as it would keep a token.
            self.held.forget(actor, &login).await;
        }
        let token = token?;
        let quota_project = settings.quota_project.clone();
        let quota_project = quota_project.or_else(|| machine.variable("GOOGLE_CLOUD_QUOTA_PROJECT"));
        let quota_project = quota_project.or_else(|| login.quota_project.clone());
        Ok(Pass { token: Zeroizing::new(token.token), quota_project, login })
    }

    /// Logs in anew the next time: the service knows the login no longer.
    pub(super) async fn forget(&self, settings: &GcpSecretManagerSettings, ended: &Pass) {
        self.held.forget(&settings.impersonate_service_account, &ended.login).await;
    }
}

fn log_in(machine: &Machine, actor: Option<&str>) -> Result<Login, SinkError> {
    let source = source(machine)?;
    let quota_project = match &source {
        Source::File(_, file) => file["quota_project_id"].as_str().map(ToString::to_string),
        Source::Metadata(_) => None,
    };
    let own = credentials(&source)?;
    let credentials = match actor {
        None => own,
        Some(actor) => impersonated::Builder::from_source_credentials(Credentials::from(own))
            .with_target_principal(actor)
            .with_scopes([SCOPE])
            .build_access_token_credentials()
            .map_err(|error| unusable(&source, &error))?,
    };
    Ok(Login { credentials, quota_project })
}

/// Google's programs look in the same places, in this order.
fn source(machine: &Machine) -> Result<Source, SinkError> {
    if let Some(path) = machine.variable("GOOGLE_APPLICATION_CREDENTIALS") {
        return file(machine.path(&path));
    }
    let folder = machine.variable("CLOUDSDK_CONFIG").map(PathBuf::from).or_else(|| {
        let home = machine.variable("APPDATA").map(|folder| PathBuf::from(folder).join("gcloud"));
        home.or_else(|| Some(PathBuf::from(machine.variable("HOME")?).join(".config/gcloud")))
    });
    match folder.map(|folder| folder.join(WELL_KNOWN)).filter(|path| path.exists()) {
        Some(path) => file(path),
        None => Ok(Source::Metadata(machine.variable("GCE_METADATA_HOST"))),
    }
}

fn file(path: PathBuf) -> Result<Source, SinkError> {
    let cannot = |why: String| {
        let message = format!("the credentials of Google Cloud in {} cannot be used: {why}", path.display());
        SinkError::new(SinkFault::Unauthenticated, message).help(HELP)
    };
    let is_file = std::fs::metadata(&path).map_err(|error| cannot(error.to_string()))?.is_file();
    if !is_file {
        return Err(cannot("it is not a regular file".to_string()));
    }
    let text = Zeroizing::new(std::fs::read(&path).map_err(|error| cannot(error.to_string()))?);
    // The error's own text may quote a value.
    let value = serde_json::from_slice(&text).map_err(|_| cannot("it is not JSON".to_string()))?;
    Ok(Source::File(path, value))
}

/// The credentials that a file describes, or that the metadata server gives.
fn credentials(source: &Source) -> Result<AccessTokenCredentials, SinkError> {
    let built = match source {
        Source::Metadata(host) => {
            let builder = mds::Builder::default().with_scopes([SCOPE]);
            let builder = match host {
                Some(host) => builder.with_endpoint(format!("http://{host}")),
                None => builder,
            };
            builder.build_access_token_credentials()
        }
        Source::File(path, file) => match file["type"].as_str().unwrap_or_default() {
            "authorized_user" => user_account::Builder::new(file.clone()).build_access_token_credentials(),
            "service_account" => service_account::Builder::new(file.clone())
                .with_access_specifier(service_account::AccessSpecifier::from_scopes([SCOPE]))
                .build_access_token_credentials(),
            "external_account" => external_account::Builder::new(file.clone())
                .with_scopes([SCOPE])
                .build_access_token_credentials(),
            "impersonated_service_account" => {
                impersonated::Builder::new(file.clone()).with_scopes([SCOPE]).build_access_token_credentials()
            }
            other => {
                let message =
                    format!("the credentials in {} are of the kind `{}`", path.display(), shown(other));
                return Err(SinkError::new(SinkFault::Unauthenticated, message).help(
                    "`type` is `authorized_user`, `service_account`, `external_account` or `impersonated_service_account`",
                ));
            }
        },
    };
    built.map_err(|error| unusable(source, &error))
}

fn unusable(source: &Source, error: &build_errors::Error) -> SinkError {
    // What cannot be parsed may be quoted in the error, and may be a private key.
    let why = match error.is_parsing() {
        true => "a field is missing, or is not what it should be".to_string(),
        false => shown(&error.to_string()),
    };
    let from = match source {
        Source::File(path, _) => format!("the credentials of Google Cloud in {}", path.display()),
        Source::Metadata(_) => "the metadata server's credentials".to_string(),
    };
    SinkError::new(SinkFault::Unauthenticated, format!("{from} cannot be used: {why}")).help(HELP)
}

fn too_late() -> SinkError {
    let message = format!("no login to Google Cloud within {} s", PATIENCE.as_secs());
    SinkError::new(SinkFault::Unreachable, message).help(HELP)
}

fn refused(error: &CredentialsError, actor: Option<&str>) -> SinkError {
    let mut said: &dyn std::error::Error = error;
    while let Some(cause) = said.source() {
        said = cause;
    }
    let fault = if error.is_transient() { SinkFault::Unreachable } else { SinkFault::Unauthenticated };
    let said = shown(&said.to_string());
    match actor {
        None => SinkError::new(fault, format!("the login to Google Cloud failed: {said}")).help(HELP),
        Some(actor) => {
            SinkError::new(fault, format!("the login to Google Cloud as `{actor}` failed: {said}")).help(
                format!("the own account needs the role `roles/iam.serviceAccountTokenCreator` on `{actor}`"),
            )
        }
    }
}
