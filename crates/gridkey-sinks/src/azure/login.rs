//! Logins to Microsoft Entra, for Key Vault: a client's secret, a workload's federated token, a managed identity, or the Azure CLI.
//!
//! They are requests of our own, as Microsoft's client takes no variables but the process's and no authority on this machine, and so
//! could not be tested.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gridkey_core::credential::Credential;
use gridkey_core::sink::AzureKeyVaultSettings;
use gridkey_engine::ports::{SinkError, SinkFault};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use crate::http::{self, Answer, Tls, shown};
use crate::machine::Machine;

/// How long a machine's identity may let us wait before there is none. Other clouds and most networks let such a request vanish.
const PROBE: Duration = Duration::from_secs(2);

/// The same where it is asked for by name.
const ASKED: Duration = Duration::from_secs(10);

/// How long the Azure CLI may take.
const CLI: Duration = Duration::from_secs(30);

/// A token that does not say how long it is good is asked for again after this.
const SHORT: u64 = 300;

const HELP: &str = "set `client_id` and `client_secret`, run where a managed or workload identity is, or log in with `az login`";

/// What a vault demands of who comes to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Challenge {
    pub tenant: String,
    /// What a token has to be for, such as `https://vault.azure.net`.
    pub resource: String,
}

/// All that tells one login from another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Whose {
    credential: Option<String>,
    tenant: Option<String>,
    client: Option<String>,
    secret: Option<Credential>,
    authority: String,
    challenge: Challenge,
}

struct Token {
    text: Zeroizing<String>,
    /// When it is asked for anew: after half its life.
    renewed: Instant,
    ends: Instant,
}

/// Logins and challenges that are kept between calls.
#[derive(Default)]
pub(crate) struct Logins {
    challenges: Mutex<BTreeMap<String, Challenge>>,
    tokens: Mutex<BTreeMap<Whose, Token>>,
}

/// A login under way.
struct Login<'a> {
    machine: &'a Machine,
    whose: &'a Whose,
}

/// An identity provider's answer. Some of its servers give numbers as text.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    expires_on: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CliGiven {
    access_token: String,
}

/// Its error; a machine's identity has the same shape.
#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Challenge {
    /// Of the header `WWW-Authenticate`: `Bearer authorization="https://login…/TENANT", resource="https://vault.azure.net"`.
    pub fn parse(header: &str) -> Option<Self> {
        let rest = header.trim().strip_prefix("Bearer ")?;
        let mut fields = BTreeMap::new();
        for part in rest.split([',', ' ']).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            fields.insert(name, value.trim_matches('"'));
        }
        let authorization = fields.get("authorization").or_else(|| fields.get("authorization_uri"))?;
        let tenant = Url::parse(authorization).ok()?.path_segments()?.next()?.to_string();
        let resource = match fields.get("resource") {
            Some(resource) => resource.trim_end_matches('/'),
            None => fields.get("scope")?.strip_suffix("/.default")?,
        };
        (!tenant.is_empty()).then(|| Self { tenant, resource: resource.to_string() })
    }

    /// Whether the vault may ask for such a token: a vault that asks for one to another service would use it there.
    ///
    /// # Errors
    /// What it asks for instead.
    pub fn fits(&self, vault: &Url) -> Result<(), SinkError> {
        let asked = Url::parse(&self.resource).ok();
        let asked = asked.as_ref().and_then(Url::host_str).unwrap_or_default();
        let host = vault.host_str().unwrap_or_default();
        if !asked.is_empty() && (host == asked || host.ends_with(&format!(".{asked}"))) {
            return Ok(());
        }
        let message = format!(
            "the server at {host} asks for a token for `{}`, which is not its own domain; none was sent",
            shown(&self.resource)
        );
        Err(SinkError::new(SinkFault::Unauthenticated, message)
            .help("is `vault` the address of a key vault?"))
    }
}

impl Logins {
    pub(super) async fn challenge(&self, vault: &Url) -> Option<Challenge> {
        self.challenges.lock().await.get(vault.as_str()).cloned()
    }

    pub(super) async fn learn(&self, vault: &Url, challenge: Challenge) {
        self.challenges.lock().await.insert(vault.as_str().to_string(), challenge);
    }

    /// A token that is good for a while.
    pub(super) async fn token(
        &self,
        machine: &Machine,
        settings: &AzureKeyVaultSettings,
        challenge: &Challenge,
    ) -> Result<Zeroizing<String>, SinkError> {
        let whose = whose(machine, settings, challenge);
        let mut tokens = self.tokens.lock().await;
        if let Some(token) = tokens.get(&whose).filter(|token| Instant::now() < token.renewed) {
            return Ok(token.text.clone());
        }
        let login = Login { machine, whose: &whose };
        let token = match login.log_in().await {
            Ok(token) => token,
            // What it was made from may have ended, and the token is good until its own end.
            Err(error) => {
                let older = tokens.get(&whose).filter(|token| Instant::now() < token.ends);
                return older.map(|token| token.text.clone()).ok_or(error);
            }
        };
        let text = token.text.clone();
        tokens.insert(whose, token);
        Ok(text)
    }

    /// Asks and logs in anew the next time: the vault does not take the token.
    pub(super) async fn forget(&self, machine: &Machine, settings: &AzureKeyVaultSettings, vault: &Url) {
        let challenge = self.challenges.lock().await.remove(vault.as_str());
        if let Some(challenge) = challenge {
            self.tokens.lock().await.remove(&whose(machine, settings, &challenge));
        }
    }
}

fn whose(machine: &Machine, settings: &AzureKeyVaultSettings, challenge: &Challenge) -> Whose {
    let variable = |setting: &Option<String>, name: &str| setting.clone().or_else(|| machine.variable(name));
    Whose {
        credential: settings.credential.clone(),
        tenant: variable(&settings.tenant_id, "AZURE_TENANT_ID"),
        client: variable(&settings.client_id, "AZURE_CLIENT_ID"),
        secret: settings.client_secret.clone(),
        authority: variable(&settings.authority_host, "AZURE_AUTHORITY_HOST")
            .unwrap_or_else(|| authority_of(&challenge.resource).to_string()),
        challenge: challenge.clone(),
    }
}

/// Where each cloud's vaults are logged in to. A client's secret goes nowhere that only an answer names.
fn authority_of(resource: &str) -> &'static str {
    match resource {
        "https://vault.usgovcloudapi.net" => "https://login.microsoftonline.us",
        "https://vault.azure.cn" => "https://login.chinacloudapi.cn",
        _ => "https://login.microsoftonline.com",
    }
}

impl Login<'_> {
    async fn log_in(&self) -> Result<Token, SinkError> {
        match self.whose.credential.as_deref() {
            Some("client_secret") => self.by_client_secret().await,
            Some("workload_identity") => self.by_workload().await,
            Some("managed_identity") => self.by_machine(ASKED).await,
            Some("cli") => self.by_cli().await,
            // Anything else was refused when the manifest was read.
            Some(_) | None => self.by_the_first().await,
        }
    }

    async fn by_the_first(&self) -> Result<Token, SinkError> {
        if self.whose.secret.is_some() || self.machine.variable("AZURE_CLIENT_SECRET").is_some() {
            return self.by_client_secret().await;
        }
        if self.machine.variable("AZURE_FEDERATED_TOKEN_FILE").is_some() {
            return self.by_workload().await;
        }
        let by_machine = match self.by_machine(PROBE).await {
            Ok(token) => return Ok(token),
            Err(error) => error,
        };
        self.by_cli().await.map_err(|error| match (error.fault, by_machine.fault) {
            (SinkFault::Unsupported, SinkFault::Unreachable) => {
                let message = "there is no login to Azure: no client's secret, no identity of the workload or the machine, and no \
                               Azure CLI";
                SinkError::new(SinkFault::Unauthenticated, message).help(HELP)
            }
            // There is a machine's identity service, and nothing else.
            (SinkFault::Unsupported, _) => by_machine,
            _ => error,
        })
    }

    fn client(&self) -> Result<&str, SinkError> {
        self.whose.client.as_deref().ok_or_else(|| {
            let message = "no client is named to log in to Azure as";
            SinkError::new(SinkFault::Unauthenticated, message).help("set `client_id`, or `AZURE_CLIENT_ID`")
        })
    }

    async fn by_client_secret(&self) -> Result<Token, SinkError> {
        let variable = Credential::Env("AZURE_CLIENT_SECRET".to_string());
        let secret = self.machine.credential(self.whose.secret.as_ref().unwrap_or(&variable)).await?;
        self.at_authority(&[("client_secret", &secret)]).await
    }

    async fn by_workload(&self) -> Result<Token, SinkError> {
        let path = self.machine.variable("AZURE_FEDERATED_TOKEN_FILE").ok_or_else(|| {
            let message = "`AZURE_FEDERATED_TOKEN_FILE` names no file with a token of this workload";
            SinkError::new(SinkFault::Unauthenticated, message).help(
                "Kubernetes sets it where the pod has the label `azure.workload.identity/use: \"true\"`; pipelines of GitHub and \
                 Azure do not: log in with `azure/login` or `AzureCLI@2` there, and say `credential: cli`",
            )
        })?;
        let token = self.machine.credential(&Credential::File(path)).await?;
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        self.at_authority(&[("client_assertion_type", kind), ("client_assertion", &token)]).await
    }

    async fn at_authority(&self, proof: &[(&str, &str)]) -> Result<Token, SinkError> {
        let Whose { tenant, authority, challenge, .. } = self.whose;
        let tenant = tenant.as_ref().unwrap_or(&challenge.tenant);
        let url = http::below(http::url(authority)?, [tenant, "oauth2", "v2.0", "token"]);
        let scope = format!("{}/.default", challenge.resource);
        let fields = [("client_id", self.client()?), ("grant_type", "client_credentials"), ("scope", &scope)];
        let body = form(fields.into_iter().chain(proof.iter().copied()));
        let client = self.machine.http.client(&Tls::default())?;
        let answer = http::send(|| {
            let request =
                client.post(url.clone()).header("content-type", "application/x-www-form-urlencoded");
            request.body(body.clone())
        });
        self.read(&answer.await?, url.host_str().unwrap_or_default())
    }

    /// The identity that Azure gives to a machine, or to an application.
    async fn by_machine(&self, patience: Duration) -> Result<Token, SinkError> {
        const MACHINE: &str = "http://169.254.169.254";
        let application =
            self.machine.variable("IDENTITY_ENDPOINT").zip(self.machine.first_variable(&["IDENTITY_HEADER"]));
        let (address, version) = match &application {
            Some((address, _)) => (address.clone(), "2019-08-01"),
            None => {
                let host = self.machine.variable("AZURE_POD_IDENTITY_AUTHORITY_HOST");
                let host = host.unwrap_or_else(|| MACHINE.to_string());
                (format!("{}/metadata/identity/oauth2/token", host.trim_end_matches('/')), "2018-02-01")
            }
        };
        // Both are addresses of the machine itself, in plain HTTP.
        let address = Url::parse(&address).map_err(|error| {
            SinkError::new(SinkFault::Invalid, format!("`{address}` is not an address: {error}"))
        })?;
        let client = self.machine.http.client(&Tls::default())?;
        let send = http::send(|| {
            let request = client
                .get(address.clone())
                .timeout(patience)
                .query(&[("api-version", version), ("resource", self.whose.challenge.resource.as_str())]);
            let request = match &self.whose.client {
                Some(id) => request.query(&[("client_id", id)]),
                None => request,
            };
            match &application {
                Some((_, header)) => request.header("X-IDENTITY-HEADER", header.as_str()),
                None => request.header("Metadata", "true"),
            }
        });
        let absent = || {
            SinkError::new(SinkFault::Unreachable, "this machine has no managed identity: it does not answer")
                .help(HELP)
        };
        let answer =
            tokio::time::timeout(patience * 2, send).await.map_err(|_| absent())?.map_err(|_| absent())?;
        self.read(&answer, address.host_str().unwrap_or_default())
    }

    async fn by_cli(&self) -> Result<Token, SinkError> {
        let mut command = tokio::process::Command::new(if cfg!(windows) { "az.cmd" } else { "az" });
        command.args(["account", "get-access-token", "--output", "json", "--resource"]);
        command.arg(&self.whose.challenge.resource);
        if let Some(tenant) = &self.whose.tenant {
            command.args(["--tenant", tenant]);
        }
        if let Some(path) = self.machine.variable("PATH") {
            command.env("PATH", path);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(CLI, command.output()).await.map_err(|_| {
            let message = format!("`az` did not end within {} s", CLI.as_secs());
            SinkError::new(SinkFault::Unauthenticated, message)
        })?;
        let output = output.map_err(|error| {
            SinkError::new(SinkFault::Unsupported, format!("`az` could not be run: {error}")).help(HELP)
        })?;
        let text = Zeroizing::new(output.stdout);
        if !output.status.success() {
            let said = shown(&String::from_utf8_lossy(&output.stderr));
            let message = format!("`az account get-access-token` ended with {}: {said}", output.status);
            return Err(SinkError::new(SinkFault::Unauthenticated, message).help("log in with `az login`"));
        }
        let given: CliGiven = serde_json::from_slice(&text).map_err(|_| {
            SinkError::new(SinkFault::Unauthenticated, "`az account get-access-token` printed no token")
        })?;
        // It renews its own tokens some minutes before they end.
        Ok(token(given.access_token, SHORT))
    }

    fn read(&self, answer: &Answer, server: &str) -> Result<Token, SinkError> {
        if answer.is_success() {
            let given: Given = answer.json()?;
            let life = number(&given.expires_in).or_else(|| number(&given.expires_on)?.checked_sub(now()));
            return Ok(token(given.access_token, life.unwrap_or(SHORT)));
        }
        let what = format!("the login to Azure at {server}");
        let Ok(Refused { error, error_description }) = answer.json::<Refused>() else {
            return Err(answer.error(&what, "").help("is that the authority of the tenant, and no proxy?"));
        };
        // What follows the first line are numbers for support.
        let why = error_description.lines().next().unwrap_or_default();
        let refused = answer.error(&what, &format!("{error}: {why}"));
        let fault = match refused.fault {
            SinkFault::Throttled | SinkFault::Unreachable => refused.fault,
            _ => SinkFault::Unauthenticated,
        };
        Err(SinkError { fault, ..refused }.help(HELP))
    }
}

/// A form that is wiped once it was sent.
fn form<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Bytes {
    // Longer than all of it, so that it does not grow and leave copies behind.
    let mut form = Serializer::new(String::with_capacity(16 << 10));
    form.extend_pairs(fields);
    Bytes::from_owner(Zeroizing::new(form.finish().into_bytes()))
}

fn token(text: String, life: u64) -> Token {
    let now = Instant::now();
    let after = |seconds| now + Duration::from_secs(seconds);
    Token { text: Zeroizing::new(text), renewed: after(life / 2), ends: after(life) }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(address: &str) -> Url {
        Url::parse(address).expect("an address")
    }

    #[test]
    fn a_challenge_names_tenant_and_resource_in_both_spellings() {
        let expected =
            Challenge { tenant: "t-1".to_string(), resource: "https://vault.azure.net".to_string() };
        for header in [
            r#"Bearer authorization="https://login.windows.net/t-1", resource="https://vault.azure.net""#,
            r#"Bearer authorization="https://login.microsoftonline.com/t-1",scope="https://vault.azure.net/.default""#,
            r#"Bearer authorization_uri="https://login.windows.net/t-1/" resource="https://vault.azure.net/""#,
        ] {
            assert_eq!(Challenge::parse(header).as_ref(), Some(&expected), "{header}");
        }
        for header in ["", "Bearer", "Basic realm=\"x\"", r#"Bearer resource="https://vault.azure.net""#] {
            assert_eq!(Challenge::parse(header), None, "{header}");
        }
    }

    #[test]
    fn a_token_is_for_the_vaults_own_domain_alone() {
        let asks = |resource: &str| Challenge { tenant: "t".to_string(), resource: resource.to_string() };
        for (resource, address) in [
            ("https://vault.azure.net", "https://acme.vault.azure.net"),
            ("https://vault.usgovcloudapi.net", "https://acme.vault.usgovcloudapi.net/"),
            ("http://127.0.0.1", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(asks(resource).fits(&vault(address)), Ok(()), "{resource}");
        }
        for (resource, address) in [
            ("https://vault.azure.net", "https://acme.vault.azure.net.evil.example"),
            ("https://vault.azure.net", "https://evilvault.azure.net"),
            ("https://management.azure.com", "https://acme.vault.azure.net"),
            ("https://graph.microsoft.com", "https://vault.example"),
            ("", "https://acme.vault.azure.net"),
        ] {
            let error = asks(resource).fits(&vault(address)).expect_err(resource);
            assert!(error.message.contains("none was sent"), "{error}");
        }
    }
}
