//! Credentials of AWS: found as its own programs find them, of the account that is meant, and made anew before they end.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::region::Region;
use gridkey_core::sink::AwsAssumeRoleSettings;
use gridkey_engine::ports::{SinkError, SinkFault};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::Access;
use super::client::{Client, Service};
use super::connector::http_client;
use super::said::{Fail, element};
use crate::http::shown;
use crate::machine::Machine;

/// A role is taken on for an hour, and anew at half of it.
const SESSION: Duration = Duration::from_secs(3600);

/// Credentials that end this soon are not used for another call.
const MARGIN: Duration = Duration::from_secs(300);

/// The credentials of one kind of access, while they last.
#[derive(Default)]
pub(super) struct Login {
    held: Mutex<Option<Session>>,
}

#[derive(Clone)]
struct Session {
    credentials: Credentials,
    until: Option<SystemTime>,
}

impl Session {
    fn lasts(&self) -> bool {
        self.until.is_none_or(|until| SystemTime::now() < until)
    }
}

impl Login {
    /// Credentials that are good now.
    pub async fn credentials(&self, machine: &Machine, access: &Access) -> Result<Credentials, SinkError> {
        let mut held = self.held.lock().await;
        if let Some(session) = held.as_ref().filter(|session| session.lasts()) {
            return Ok(session.credentials.clone());
        }
        let session = log_in(machine, access).await?;
        *held = Some(session.clone());
        Ok(session.credentials)
    }

    /// These were refused; others are found for the next call.
    pub async fn forget(&self, refused: &Credentials) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|session| session.credentials.access_key_id() == refused.access_key_id())
        {
            *held = None;
        }
    }
}

async fn log_in(machine: &Machine, access: &Access) -> Result<Session, SinkError> {
    let base = base_credentials(machine, access).await?;
    let until = base.expiry().map(|end| end - MARGIN);
    let session = match &access.assume_role {
        None => Session { credentials: base, until },
        Some(role) => take_on(machine, access, role, base).await?,
    };
    if !access.allowed_account_ids.is_empty() {
        let account = account(machine, access, &session.credentials).await?;
        if !access.allowed_account_ids.contains(&account) {
            let message = format!(
                "the AWS credentials are of account {account}, and `allowed_account_ids` has {}",
                access.allowed_account_ids.join(", ")
            );
            return Err(SinkError::new(SinkFault::ContainerMissing, message)
                .help("use credentials of that account: a `profile`, or an `assume_role`"));
        }
    }
    Ok(session)
}

/// A profile that the manifest names, or else what AWS's own programs would use.
async fn base_credentials(machine: &Machine, access: &Access) -> Result<Credentials, SinkError> {
    if access.profile.is_none()
        && let Some(credentials) = of_variables(machine)
    {
        return Ok(credentials);
    }
    let region = Some(Region::new(access.region.clone()));
    let config = ProviderConfig::without_region()
        .with_behavior_version(Some(BehaviorVersion::latest()))
        .with_region(region.clone())
        .with_http_client(http_client(super::client::http(machine, access)?));
    let profile = access.profile.clone().or_else(|| machine.variable("AWS_PROFILE"));
    let found = match profile.clone() {
        Some(profile) if !has_files(machine) => {
            let message = format!("there is no AWS configuration that the profile `{profile}` could be in");
            return Err(SinkError::new(SinkFault::Unauthenticated, message).help(
                "write `~/.aws/config`, let `AWS_CONFIG_FILE` name a file that is there, or log in without a profile",
            ));
        }
        Some(profile) => {
            let provider = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(profile);
            provider.profile_files(files(machine)).build().provide_credentials().await
        }
        None => {
            let mut chain = DefaultCredentialsChain::builder().configure(config);
            chain.set_region(region);
            chain.build().await.provide_credentials().await
        }
    };
    found.map_err(|error| not_found(&error, profile.as_deref()))
}

/// Where profiles are. A file that is named has to be there, and AWS asks for none.
fn existing(machine: &Machine) -> impl Iterator<Item = (EnvConfigFileKind, PathBuf)> {
    let places = [
        (EnvConfigFileKind::Config, "AWS_CONFIG_FILE", "~/.aws/config"),
        (EnvConfigFileKind::Credentials, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
    ];
    let paths = places.map(|(kind, variable, usual)| {
        (kind, machine.path(machine.variable(variable).as_deref().unwrap_or(usual)))
    });
    paths.into_iter().filter(|(_, path)| path.is_file())
}

/// AWS's own client wants one at least.
fn has_files(machine: &Machine) -> bool {
    existing(machine).next().is_some()
}

fn files(machine: &Machine) -> EnvConfigFiles {
    let files = existing(machine);
    files.fold(EnvConfigFiles::builder(), |files, (kind, path)| files.with_file(kind, path)).build()
}

/// What a shell or a pipeline sets.
fn of_variables(machine: &Machine) -> Option<Credentials> {
    let id = machine.variable("AWS_ACCESS_KEY_ID")?;
    let key = machine.variable("AWS_SECRET_ACCESS_KEY")?;
    Some(Credentials::new(id, key, machine.variable("AWS_SESSION_TOKEN"), None, "variables"))
}

fn not_found(error: &CredentialsError, profile: Option<&str>) -> SinkError {
    let mut causes = vec![error.to_string()];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    let of = profile.map_or(String::new(), |profile| format!(" in the profile `{profile}`"));
    if causes.iter().any(|cause| cause.contains("credentials-process")) {
        let message = format!(
            "the AWS credentials{of} come from a program (`credential_process`), which gridkey does not run"
        );
        return SinkError::new(SinkFault::Unauthenticated, message).help(
            "run that program yourself, and hand over what it gives in `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and \
             `AWS_SESSION_TOKEN`, as `aws configure export-credentials --format env` prints them",
        );
    }
    // Where nothing was found anywhere, AWS's client lists all that it asked, which helps nobody.
    let said = match (error, profile) {
        (CredentialsError::CredentialsNotLoaded(_), None) => {
            ", in variables, files or a role of this machine".to_string()
        }
        _ => causes.last().map_or(String::new(), |cause| format!(": {}", shown(cause))),
    };
    SinkError::new(SinkFault::Unauthenticated, format!("no AWS credentials were found{of}{said}")).help(
        "log in with `aws sso login`, set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or name a `profile`",
    )
}

/// A session of a role.
async fn take_on(
    machine: &Machine,
    access: &Access,
    role: &AwsAssumeRoleSettings,
    base: Credentials,
) -> Result<Session, SinkError> {
    let AwsAssumeRoleSettings { role_arn, session_name, external_id } = role;
    let seconds = SESSION.as_secs().to_string();
    let mut form = vec![
        ("RoleArn", role_arn.as_str()),
        ("RoleSessionName", session_name.as_deref().unwrap_or("gridkey")),
        ("DurationSeconds", &seconds),
    ];
    form.extend(external_id.as_deref().map(|id| ("ExternalId", id)));
    let client = Client::new(machine, access, Service::Sts, format!("the role `{role_arn}`"));
    let answer = client.query("AssumeRole", &form, &base).await.map_err(|fail| role_refused(fail, access))?;
    let text = std::str::from_utf8(&answer.body).unwrap_or_default();
    let part = |name| element(text, name).map(|part| Zeroizing::new(part.to_string()));
    let (Some(id), Some(key), Some(token)) =
        (part("AccessKeyId"), part("SecretAccessKey"), part("SessionToken"))
    else {
        return Err(SinkError::failed(format!("the role `{role_arn}`: the answer has no credentials in it")));
    };
    let credentials = Credentials::new(&**id, &**key, Some(token.to_string()), None, "role");
    Ok(Session { credentials, until: Some(SystemTime::now() + SESSION / 2) })
}

fn role_refused(fail: Fail, access: &Access) -> SinkError {
    let is_forbidden = fail.is_forbidden();
    let error = SinkError::from(fail);
    match is_forbidden {
        true => error.help(format!(
            "allow `sts:AssumeRole` on it to {}, and name them in the role's trust policy",
            access.profile.as_ref().map_or("these credentials".to_string(), |profile| format!("`{profile}`"))
        )),
        false => error,
    }
}

/// The account that credentials are of.
async fn account(machine: &Machine, access: &Access, credentials: &Credentials) -> Result<String, SinkError> {
    let client = Client::new(machine, access, Service::Sts, "the account of the AWS credentials".to_string());
    let answer = client.query("GetCallerIdentity", &[], credentials).await?;
    let text = std::str::from_utf8(&answer.body).unwrap_or_default();
    let account = element(text, "Account").map(str::to_string);
    account.ok_or_else(|| SinkError::failed("AWS does not say which account the credentials are of"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_profile_without_any_file_it_could_be_in_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let machine = Machine::new(folder.path().to_path_buf())
            .with_variables([("HOME".to_string(), folder.path().display().to_string())].into());
        let access = Access {
            region: "eu-central-1".to_string(),
            profile: Some("mailing".to_string()),
            assume_role: None,
            allowed_account_ids: Vec::new(),
            endpoint_url: None,
            ca_bundle: None,
        };
        let error = base_credentials(&machine, &access).await.expect_err("there is none");
        assert_eq!(error.fault, SinkFault::Unauthenticated);
        assert!(error.message.contains("`mailing`"), "{error}");
    }
}
