//! Logins to Vault: made once a run, renewed, and made anew when they end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gridkey_core::credential::Credential;
use gridkey_core::sink::{VaultAuthSettings, VaultSettings};
use gridkey_engine::ports::{PutError, SinkError, SinkFault};
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex as AsyncMutex;
use url::Url;
use zeroize::Zeroizing;

use crate::http::{self, Answer, Tls, Unanswered, secret_body};
use crate::machine::Machine;

/// Where Kubernetes mounts the token of a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A standby may not know a token for a moment after the login; how often, and after which pause, its first request is tried
/// again.
const INTRODUCTIONS: u32 = 3;
const INTRODUCTION: Duration = Duration::from_millis(300);

/// How long a renewal that came to nothing is left alone.
const AGAIN: Duration = Duration::from_secs(10);

/// A standby says 412 while it has not seen yet what the request builds on.
const CATCHING_UP: u32 = 10;
const CATCH_UP: Duration = Duration::from_millis(500);

/// What is kept between calls: logins, and what was seen of their servers.
#[derive(Default)]
pub(crate) struct Vaults {
    sessions: Mutex<BTreeMap<Server, Arc<Session>>>,
}

/// A server as one credential sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Server {
    /// Ends with a slash.
    address: String,
    namespace: Option<String>,
    tls: Tls,
    auth: Option<VaultAuthSettings>,
}

#[derive(Default)]
struct Session {
    token: AsyncMutex<Option<Token>>,
    /// Why a login was refused. It would be again, and servers lock out who tries too often.
    refused: Mutex<Option<SinkError>>,
    seen: Mutex<Known>,
}

/// What a run learnt of a server.
#[derive(Default)]
struct Known {
    /// Mounts of KV version 2.
    mounts: BTreeSet<String>,
    /// The version that was written last, by path.
    written: BTreeMap<String, u64>,
    /// How far the server was when it was written to last, in its own words; standbys that are told it wait until they are
    /// as far.
    index: Option<String>,
}

/// A token, and how long it holds.
#[derive(Clone)]
struct Token {
    text: Arc<Zeroizing<String>>,
    /// Where it was found or made, in words.
    origin: String,
    /// When half of its time is over; nothing where it cannot be renewed, or does not end.
    renew_at: Option<Instant>,
    made_by_login: bool,
    /// Whether a request was ever answered that had it, and whether one was taken.
    is_introduced: bool,
    is_proven: bool,
}

/// A server with a login, made when the first request needs it.
pub(super) struct Login<'a> {
    machine: &'a Machine,
    session: Arc<Session>,
    server: Server,
}

/// `auth` of an answer to a login.
#[derive(Deserialize)]
struct Made {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(deserialize_with = "wiped")]
    client_token: Zeroizing<String>,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

/// An answer that is no success.
#[derive(Deserialize)]
pub(super) struct Errors {
    pub errors: Vec<String>,
}

impl Server {
    pub fn new(settings: &VaultSettings, machine: &Machine) -> Result<Self, SinkError> {
        let address = match &settings.address {
            Some(address) => address.clone(),
            None => machine
                .first_variable(&["VAULT_ADDR", "BAO_ADDR"])
                .map(|found| found.to_string())
                .ok_or_else(|| {
                    SinkError::new(SinkFault::Invalid, "there is no address of a Vault server")
                        .help("set `address`, or the variable `VAULT_ADDR` or `BAO_ADDR`")
                })?,
        };
        let mut url = http::url(&address)?;
        let authorities = match &settings.ca_cert {
            Some(path) => Some(machine.path(path)),
            None => machine.first_variable(&["VAULT_CACERT", "BAO_CACERT"]).map(|path| machine.path(&path)),
        };
        let identity = settings.client_cert.as_ref().zip(settings.client_key.as_ref());
        let server_name = match &settings.tls_server_name {
            Some(name) => Some(http::renamed(&mut url, name)?),
            None => None,
        };
        let namespace = settings.namespace.as_deref().map(|namespace| namespace.trim_matches('/'));
        Ok(Self {
            address: format!("{}/", url.as_str().trim_end_matches('/')),
            namespace: namespace.filter(|namespace| !namespace.is_empty()).map(ToString::to_string),
            tls: Tls {
                authorities,
                identity: identity.map(|(certificate, key)| (machine.path(certificate), machine.path(key))),
                server_name,
            },
            auth: settings.auth.clone(),
        })
    }

    /// Whether a token is made by a login, and not found.
    fn logs_in(&self) -> bool {
        match &self.auth {
            None | Some(VaultAuthSettings::Token(_)) => false,
            Some(
                VaultAuthSettings::AppRole(_) | VaultAuthSettings::Kubernetes(_) | VaultAuthSettings::Jwt(_),
            ) => true,
        }
    }

    /// The address of an endpoint. What stands in a name stays in it.
    fn url(&self, path: &str) -> Result<Url, SinkError> {
        Ok(http::below(http::url(&self.address)?, ["v1"].into_iter().chain(path.split('/'))))
    }
}

impl<'a> Login<'a> {
    pub fn new(vaults: &Vaults, machine: &'a Machine, server: Server) -> Self {
        let mut sessions = vaults.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.entry(server.clone()).or_default().clone();
        Self { machine, session, server }
    }

    fn seen<T>(&self, with: impl FnOnce(&mut Known) -> T) -> T {
        with(&mut self.session.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn knows_mount(&self, mount: &str) -> bool {
        self.seen(|known| known.mounts.contains(mount))
    }

    pub fn learns_mount(&self, mount: &str) {
        self.seen(|known| known.mounts.insert(mount.to_string()));
    }

    /// The version that this run wrote last to a path; 0 where it did not.
    pub fn written(&self, path: &str) -> u64 {
        self.seen(|known| known.written.get(path).copied().unwrap_or_default())
    }

    pub fn wrote(&self, path: &str, version: u64) {
        self.seen(|known| known.written.insert(path.to_string(), version));
    }

    /// Asks the server as whoever the settings say.
    ///
    /// A token that has ended is replaced once: what it asked for was surely not done.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Answer, Asked> {
        let token = self.token().await.map_err(Asked::NotAsked)?;
        let answer = self.ask_with(&token, &method, path, body.as_ref()).await?;
        self.met(&token, &answer).await;
        if !matches!(answer.status, 401 | 403) || !is_of_the_api(&answer) {
            return Ok(answer);
        }
        let Some(token) = self.replace(&token).await.map_err(Asked::NotAsked)? else { return Ok(answer) };
        let answer = self.ask_with(&token, &method, path, body.as_ref()).await?;
        self.met(&token, &answer).await;
        Ok(answer)
    }

    /// The same with one token, for as long as standbys do not know it, or lag behind.
    async fn ask_with(
        &self,
        token: &Token,
        method: &Method,
        path: &str,
        body: Option<&Bytes>,
    ) -> Result<Answer, Asked> {
        let is_new = token.made_by_login && !token.is_introduced;
        let mut introductions = if is_new { INTRODUCTIONS } else { 0 };
        let mut catching_up = CATCHING_UP;
        loop {
            let answer = self.send(Some(token), method, path, body).await?;
            let pause = match answer.status {
                403 if introductions > 0 && is_of_the_api(&answer) => {
                    introductions -= 1;
                    INTRODUCTION
                }
                412 if catching_up > 0 && is_of_the_api(&answer) => {
                    catching_up -= 1;
                    CATCH_UP
                }
                _ => return Ok(answer),
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn send(
        &self,
        token: Option<&Token>,
        method: &Method,
        path: &str,
        body: Option<&Bytes>,
    ) -> Result<Answer, Asked> {
        let url = self.server.url(path).map_err(Asked::NotAsked)?;
        let client = self.machine.http.client(&self.server.tls).map_err(Asked::NotAsked)?;
        let index = self.seen(|known| known.index.clone());
        let header = token.map(Token::header).transpose().map_err(Asked::NotAsked)?;
        let answer = http::send(|| {
            let mut request = client.request(method.clone(), url.clone()).header("x-vault-request", "true");
            if let Some(token) = &header {
                request = request.header("x-vault-token", token);
            }
            if let Some(namespace) = &self.server.namespace {
                request = request.header("x-vault-namespace", namespace);
            }
            if let Some(index) = &index {
                request = request.header("x-vault-index", index);
            }
            match body {
                Some(body) => {
                    let kind = if *method == Method::PATCH {
                        "application/merge-patch+json"
                    } else {
                        "application/json"
                    };
                    request.header("content-type", kind).body(body.clone())
                }
                None => request,
            }
        })
        .await?;
        if let Some(index) = answer.header("x-vault-index") {
            self.seen(|known| known.index = Some(index.to_string()));
        }
        Ok(answer)
    }

    /// The token of this run: found or made by a login, and renewed when half of its time is over.
    async fn token(&self) -> Result<Token, SinkError> {
        let mut kept = self.session.token.lock().await;
        if let Some(token) = kept.as_ref() {
            if token.renew_at.is_none_or(|time| Instant::now() < time) {
                return Ok(token.clone());
            }
            let renewed = self.renewed(token).await;
            *kept = Some(renewed.clone());
            return Ok(renewed);
        }
        let token = self.log_in_once().await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    /// A login, unless the server refused one in this run. A token that is found may be there a moment later.
    async fn log_in_once(&self) -> Result<Token, SinkError> {
        let refused = || self.session.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = refused().clone() {
            return Err(error);
        }
        let made = self.log_in().await;
        if let Err(error) = &made
            && error.fault == SinkFault::Unauthenticated
            && self.server.logs_in()
        {
            *refused() = Some(error.clone());
        }
        made
    }

    /// Notes what became of the request that had a token.
    async fn met(&self, token: &Token, answer: &Answer) {
        if token.is_proven || (token.is_introduced && !answer.is_success()) {
            return;
        }
        if let Some(kept) = self.session.token.lock().await.as_mut().filter(|kept| kept.text == token.text) {
            kept.is_introduced = true;
            kept.is_proven |= answer.is_success();
        }
    }

    /// The same token for longer. Where that fails it is used for as long as it holds, and replaced after that.
    async fn renewed(&self, token: &Token) -> Token {
        let body = Bytes::from_static(b"{}");
        let answer = self.send(Some(token), &Method::POST, "auth/token/renew-self", Some(&body)).await;
        let renew_at = match answer {
            Ok(answer) if answer.is_success() => {
                answer.json::<Made>().ok().and_then(|made| made.auth).as_ref().and_then(Auth::half)
            }
            Ok(answer) if (400..500).contains(&answer.status) => None,
            // It may go better soon.
            Ok(_) | Err(_) => Some(Instant::now() + AGAIN),
        };
        Token { renew_at, ..token.clone() }
    }

    /// Another token, where one that was refused has ended; nothing where it has not, and may not do what it was to.
    async fn replace(&self, refused: &Token) -> Result<Option<Token>, SinkError> {
        let mut kept = self.session.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.text != refused.text) {
            return Ok(Some(token.clone()));
        }
        // What the server knows may ask for itself, by the default policy.
        let asked = self.send(Some(refused), &Method::GET, "auth/token/lookup-self", None).await;
        match asked {
            Ok(answer) if answer.status == 403 && is_of_the_api(&answer) => {}
            Ok(_) | Err(_) => return Ok(None),
        }
        let unknown = || {
            SinkError::new(
                SinkFault::Unauthenticated,
                format!(
                    "the server at {} does not know the token of {}, or not any more",
                    self.server.address, refused.origin
                ),
            )
            .help("log in again, or see whether the token is for this server and namespace")
        };
        let is_proven = kept.as_ref().map_or(refused.is_proven, |token| token.is_proven);
        if refused.made_by_login && !is_proven {
            // It is as new as can be: its policies lack the default one.
            return Ok(None);
        }
        let token = self.log_in().await?;
        if token.text == refused.text {
            // What was taken before may lack the default policy, too.
            return if is_proven { Ok(None) } else { Err(unknown()) };
        }
        *kept = Some(token.clone());
        Ok(Some(token))
    }

    async fn log_in(&self) -> Result<Token, SinkError> {
        match &self.server.auth {
            None => self.found_token(),
            Some(VaultAuthSettings::Token(credential)) => {
                let text = self.machine.credential(credential).await?;
                Ok(Token::found(text, "the setting `auth`"))
            }
            Some(VaultAuthSettings::AppRole(settings)) => {
                let role = self.machine.credential(&settings.role_id).await?;
                let secret = match &settings.secret_id {
                    Some(secret) => Some(self.machine.credential(secret).await?),
                    None => None,
                };
                let body = AppRole { role_id: &role, secret_id: secret.as_deref().map(String::as_str) };
                let mount = settings.mount.as_deref().unwrap_or("approle");
                let help = "see whether role id and secret id are right; a secret id may be used as often as its role says, and \
                    expires; after some logins that failed, a server refuses the right one, too, for a while";
                self.log_in_at(mount, &body, help).await
            }
            Some(VaultAuthSettings::Kubernetes(settings)) => {
                let path = settings.token_file.as_deref().unwrap_or(SERVICE_ACCOUNT);
                let jwt = self.machine.credential(&Credential::File(self.file(path))).await?;
                let body = Jwt { role: Some(&settings.role), jwt: &jwt };
                let mount = settings.mount.as_deref().unwrap_or("kubernetes");
                let help = format!(
                    "the role `{}` has to name the service account and its namespace, and the audience of the token in {path}; a \
                     projected token has the audience that its volume says",
                    settings.role
                );
                self.log_in_at(mount, &body, &help).await
            }
            Some(VaultAuthSettings::Jwt(settings)) => {
                let jwt = self.machine.credential(&settings.jwt).await?;
                let body = Jwt { role: settings.role.as_deref(), jwt: &jwt };
                let mount = settings.mount.as_deref().unwrap_or("jwt");
                let help = "the role has to take the token's issuer, subject and audience; a pipeline's token ends soon after its \
                    job began";
                self.log_in_at(mount, &body, help).await
            }
        }
    }

    fn file(&self, path: &str) -> String {
        self.machine.path(path).to_string_lossy().into_owned()
    }

    fn found_token(&self) -> Result<Token, SinkError> {
        for variable in ["VAULT_TOKEN", "BAO_TOKEN"] {
            if let Some(token) = self.machine.variable(variable) {
                return Ok(Token::found(
                    Zeroizing::new(token.trim().to_string()),
                    format!("the variable `{variable}`"),
                ));
            }
        }
        let home = self.machine.variable("HOME");
        let path = home.map(|home| Path::new(&home).join(".vault-token"));
        let held = path.as_ref().and_then(|path| std::fs::read_to_string(path).ok()).map(Zeroizing::new);
        match (path, held) {
            (Some(path), Some(token)) if !token.trim().is_empty() => Ok(Token::found(
                Zeroizing::new(token.trim().to_string()),
                format!("the file {}", path.display()),
            )),
            _ => Err(SinkError::new(SinkFault::Unauthenticated, "there is no token for Vault").help(
                "set `auth`, set `VAULT_TOKEN` or `BAO_TOKEN`, or log in with `vault login` or `bao login`",
            )),
        }
    }

    /// Logs in by a method. A secret id or a pipeline's token may be good for one time, so that nothing but a request that
    /// was surely not heard is sent again.
    async fn log_in_at(&self, mount: &str, body: &impl Serialize, help: &str) -> Result<Token, SinkError> {
        let path = format!("auth/{}/login", mount.trim_matches('/'));
        let answer = self.send(None, &Method::POST, &path, Some(&secret_body(body))).await?;
        let namespace = self.server.namespace.as_ref();
        let of = namespace.map_or(String::new(), |namespace| format!(" of the namespace `{namespace}`"));
        let what = format!("logging in to {} by `{mount}`{of}", self.server.address);
        if !answer.is_success() {
            let Ok(Errors { errors }) = answer.json::<Errors>() else {
                let message =
                    format!("{what}: answered {} with something that is not Vault's", answer.status);
                return Err(SinkError::failed(message)
                    .help("see whether `address` is right, and whether there is a proxy in between"));
            };
            let said = errors.join("; ");
            let error = answer.error(&what, &said);
            if said.contains("no handler for route") || said.contains("namespace not found") {
                let help = "see whether there is such a namespace, and a method that is mounted there in it";
                return Err(SinkError { fault: SinkFault::ContainerMissing, ..error }.help(help));
            }
            let is_refused = matches!(answer.status, 400 | 401 | 403);
            let fault = if is_refused { SinkFault::Unauthenticated } else { error.fault };
            let help = format!("{help}; a method that is not mounted there may be answered alike");
            return Err(SinkError { fault, ..error }.help(help));
        }
        let made = answer
            .json::<Made>()?
            .auth
            .ok_or_else(|| SinkError::failed(format!("{what}: there is no token in the answer")))?;
        let renew_at = made.half();
        Ok(Token {
            text: Arc::new(made.client_token),
            origin: format!("a login by `{mount}`"),
            renew_at,
            made_by_login: true,
            is_introduced: false,
            is_proven: false,
        })
    }
}

/// A text that is wiped when it goes.
fn wiped<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

impl Auth {
    fn half(&self) -> Option<Instant> {
        (self.renewable && self.lease_duration > 0)
            .then(|| Instant::now() + Duration::from_secs(self.lease_duration) / 2)
    }
}

impl Token {
    /// For a request; logs of the client do not show it.
    fn header(&self) -> Result<HeaderValue, SinkError> {
        let mut value = HeaderValue::from_str(&self.text).map_err(|_| {
            let message = format!("what {} holds is no token: it has characters that none has", self.origin);
            SinkError::new(SinkFault::Unauthenticated, message)
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn found(text: Zeroizing<String>, origin: impl Into<String>) -> Self {
        Self {
            text: Arc::new(text),
            origin: origin.into(),
            renew_at: None,
            made_by_login: false,
            is_introduced: false,
            is_proven: false,
        }
    }
}

/// Whether an answer is the server's own, and not that of a proxy.
pub(super) fn is_of_the_api(answer: &Answer) -> bool {
    answer.json::<Errors>().is_ok()
}

/// A request without an answer that counts.
#[derive(Debug)]
pub(super) enum Asked {
    /// It was not sent.
    NotAsked(SinkError),
    /// It may have been heard.
    Lost(SinkError),
}

impl From<Unanswered> for Asked {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NotSent(error) => Self::NotAsked(error),
            Unanswered::Lost(error) => Self::Lost(error),
        }
    }
}

impl From<Asked> for SinkError {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::NotAsked(error) | Asked::Lost(error) => error,
        }
    }
}

/// Of the request that writes the secret; one that only looks never wrote anything.
impl From<Asked> for PutError {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::NotAsked(error) => Self::Refused(error),
            Asked::Lost(error) => Self::Unclear(error),
        }
    }
}

#[derive(Serialize)]
struct AppRole<'a> {
    role_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Jwt<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    jwt: &'a str,
}
