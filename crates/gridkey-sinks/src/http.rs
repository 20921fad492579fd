//! Requests to services: bounded, without redirects, and with answers that say whether anything can have happened.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gridkey_core::text::redact::elide;
use gridkey_engine::ports::{PutError, SinkError, SinkFault};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Identity, RequestBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use zeroize::Zeroizing;

/// How long a connection may take, and one request with its answer.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(10);

/// The longest that a service may ask to be waited for within one call.
const PATIENCE: Duration = Duration::from_secs(8);

/// How often a request is sent that is told to wait, or that surely was not heard.
const ATTEMPTS: u32 = 4;

/// The first pause where a service does not say how long to wait; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// No answer of a service about one secret is longer.
const LARGEST: usize = 4 << 20;

/// How much of what a service said goes into an error.
const MAX_QUOTED: usize = 400;

/// How a server proves who it is, and how we do.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tls {
    /// A file with certificates of authorities, besides those that the system trusts.
    pub authorities: Option<PathBuf>,
    /// The client's certificate and private key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name in the server's certificate, which stands in the address for the server's own: see [`renamed`].
    pub server_name: Option<ServerName>,
}

/// A server that is called otherwise than its certificate says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServerName {
    /// In its certificate.
    name: String,
    /// Where it is.
    host: String,
}

/// Clients, one for each way of proving who is who, so that connections are kept.
#[derive(Default)]
pub(crate) struct Http {
    clients: Mutex<BTreeMap<Tls, reqwest::Client>>,
}

/// An answer, before it is read.
pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Zeroizing<Vec<u8>>,
}

/// A request without an answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// It surely did not reach the service.
    NotSent(SinkError),
    /// It may have.
    Lost(SinkError),
}

impl Http {
    /// A client for a server.
    ///
    /// # Errors
    /// Where a file of certificates cannot be used.
    pub fn client(&self, tls: &Tls) -> Result<reqwest::Client, SinkError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(tls) {
            return Ok(client.clone());
        }
        let client = build(tls)?;
        clients.insert(tls.clone(), client.clone());
        Ok(client)
    }
}

/// An address of the manifest. A secret does not travel in clear text but on this machine itself.
pub(crate) fn url(text: &str) -> Result<Url, SinkError> {
    let invalid = |message: String| SinkError::new(SinkFault::Invalid, message);
    let url = Url::parse(text).map_err(|error| invalid(format!("`{text}` is not an address: {error}")))?;
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        "http" => {
            Err(invalid(format!("`{text}` is plain HTTP, which would show the secret to all on the way"))
                .help("use `https://`; plain HTTP is for this machine alone"))
        }
        _ => Err(invalid(format!("`{text}` is not an address that begins with `https://`"))),
    }
}

/// Puts the name of a server's certificate into its address; a client with what this gives still goes to where it is.
///
/// # Errors
/// Where it is no name of a host.
pub(crate) fn renamed(url: &mut Url, name: &str) -> Result<ServerName, SinkError> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_string();
    url.set_host(Some(name)).map_err(|error| {
        SinkError::new(SinkFault::Invalid, format!("`{name}` is not the name of a server: {error}"))
    })?;
    Ok(ServerName { name: name.to_string(), host })
}

impl reqwest::dns::Resolve for ServerName {
    /// Where the server is, whatever it is called.
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = if name.as_str() == self.name { self.host.clone() } else { name.as_str().to_string() };
        Box::pin(async move {
            let addresses: reqwest::dns::Addrs =
                Box::new(tokio::net::lookup_host((host, 0)).await?.collect::<Vec<_>>().into_iter());
            Ok(addresses)
        })
    }
}

/// What all clients have in common.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(REQUEST)
        // A secret or token must not travel to wherever an answer points.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("gridkey/", env!("CARGO_PKG_VERSION")))
}

/// The address of something below another: each segment is encoded by itself, and once.
pub(crate) fn below<T: AsRef<str>>(mut url: Url, segments: impl IntoIterator<Item = T>) -> Url {
    url.path_segments_mut().expect("an address with a host has a path").pop_if_empty().extend(segments);
    url
}

fn build(tls: &Tls) -> Result<reqwest::Client, SinkError> {
    let mut builder = builder();
    let read = |path: &PathBuf, what: &str| {
        std::fs::read(path).map_err(|error| {
            SinkError::new(SinkFault::Invalid, format!("{what}, {}, cannot be read: {error}", path.display()))
        })
    };
    let bad = |path: &PathBuf, what: &str, error: &reqwest::Error| {
        SinkError::new(
            SinkFault::Invalid,
            format!("{what}, {}, cannot be used: {}", path.display(), cause(error)),
        )
    };
    if let Some(path) = &tls.authorities {
        let what = "the file with trusted authorities";
        let certificates =
            Certificate::from_pem_bundle(&read(path, what)?).map_err(|error| bad(path, what, &error))?;
        if certificates.is_empty() {
            let message = format!("{what}, {}, holds no certificate", path.display());
            return Err(SinkError::new(SinkFault::Invalid, message)
                .help("it is text that begins with `-----BEGIN CERTIFICATE-----`"));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some((certificate, key)) = &tls.identity {
        let what = "the client's certificate";
        let mut pem = Zeroizing::new(read(certificate, what)?);
        pem.push(b'\n');
        pem.extend_from_slice(&Zeroizing::new(read(key, "the key of the client's certificate")?));
        builder = builder.identity(Identity::from_pem(&pem).map_err(|error| bad(certificate, what, &error))?);
    }
    if let Some(server_name) = &tls.server_name {
        builder = builder.dns_resolver(std::sync::Arc::new(server_name.clone()));
    }
    builder.build().map_err(|error| SinkError::failed(format!("TLS could not be set up: {}", cause(&error))))
}

/// Sends a request until it is answered with something else than "later".
///
/// `build` makes it anew for each try, as a body can be sent once.
pub(crate) async fn send(build: impl Fn() -> RequestBuilder) -> Result<Answer, Unanswered> {
    send_unless(build, |_| false).await
}

/// The same for a service that has further answers that mean "later", and that it did nothing.
pub(crate) async fn send_unless(
    build: impl Fn() -> RequestBuilder,
    is_later: impl Fn(&Answer) -> bool,
) -> Result<Answer, Unanswered> {
    let mut pause = FIRST_PAUSE;
    let mut attempt = 1;
    loop {
        match send_once(build()).await {
            Ok(answer) if (answer.is_throttled() || is_later(&answer)) && attempt < ATTEMPTS => {
                let wait = answer.retry_after().unwrap_or(pause);
                if wait > PATIENCE {
                    return Ok(answer);
                }
                tokio::time::sleep(wait).await;
            }
            Ok(answer) => return Ok(answer),
            Err(Unanswered::NotSent(_)) if attempt < ATTEMPTS => tokio::time::sleep(pause).await,
            Err(error) => return Err(error),
        }
        pause *= 2;
        attempt += 1;
    }
}

async fn send_once(request: RequestBuilder) -> Result<Answer, Unanswered> {
    let mut response = request.send().await.map_err(|error| {
        let unreachable = unreachable(&error);
        // What failed before there was a connection was not sent.
        match error.is_connect() || error.is_builder() {
            true => Unanswered::NotSent(unreachable),
            false => Unanswered::Lost(unreachable),
        }
    })?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Zeroizing::new(Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST => {
                return Err(Unanswered::Lost(SinkError::failed(format!(
                    "the answer has more than {LARGEST} bytes"
                ))));
            }
            // Reserved by the whole, so that no copy of what came first is left behind.
            Ok(Some(chunk)) => {
                let mut grown = Zeroizing::new(Vec::with_capacity(body.len() + chunk.len()));
                grown.extend_from_slice(&body);
                grown.extend_from_slice(&chunk);
                body = grown;
            }
            Ok(None) => return Ok(Answer { status, headers, body }),
            Err(error) => {
                let message = format!("the answer broke off: {}", cause(&error));
                return Err(Unanswered::Lost(SinkError::new(SinkFault::Unreachable, message)));
            }
        }
    }
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Told to come later: nothing was done.
    fn is_throttled(&self) -> bool {
        self.status == 429 || (self.status == 503 && self.headers.contains_key(RETRY_AFTER))
    }

    /// In seconds, or until a date, which is not worth to be told apart from the pauses of our own.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// Where it is something else: a page of a proxy, say.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, SinkError> {
        self.json_borrowed()
    }

    /// The same, with texts and parts that stay in the body, so that they are wiped with it.
    pub fn json_borrowed<'a, T: Deserialize<'a>>(&'a self) -> Result<T, SinkError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // The error's own text may quote a value.
            let at = format!("line {}, column {}", error.line(), error.column());
            SinkError::failed(format!(
                "answered {} with something that is not what it should be ({at}): is there a proxy in between?",
                self.status
            ))
        })
    }

    /// A header, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The kind of fault that a status usually means.
    pub fn fault(&self) -> SinkFault {
        match self.status {
            401 => SinkFault::Unauthenticated,
            403 => SinkFault::Forbidden,
            404 => SinkFault::ContainerMissing,
            409 | 412 => SinkFault::Conflict,
            400 | 413 | 422 => SinkFault::Invalid,
            429 => SinkFault::Throttled,
            502..=504 => SinkFault::Unreachable,
            _ => SinkFault::Failed,
        }
    }

    /// An error about an answer that is in nobody's words who would know what was done.
    pub fn foreign(&self, what: &str, said: &str) -> SinkError {
        // Who is asked to wait was not heard by anything behind it.
        let fault = if self.status == 429 { SinkFault::Throttled } else { SinkFault::Failed };
        SinkError { fault, ..self.error(what, said) }.help("is there a proxy in between?")
    }

    /// An error that says what the service said, without anything like a key.
    pub fn error(&self, what: &str, said: &str) -> SinkError {
        let said = shown(said);
        let message = match said.is_empty() {
            true => format!("{what}: answered {}", self.status),
            false => format!("{what}: answered {}: {said}", self.status),
        };
        SinkError::new(self.fault(), message)
    }
}

impl From<Unanswered> for SinkError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NotSent(error) | Unanswered::Lost(error) => error,
        }
    }
}

/// Of the request that writes the secret; one that only looks never wrote anything.
impl From<Unanswered> for PutError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NotSent(error) => Self::Refused(error),
            Unanswered::Lost(error) => Self::Unclear(error),
        }
    }
}

/// A body whose bytes are wiped once it was sent. What TLS and the kernel copy of it is theirs.
pub(crate) fn secret_body(value: &impl Serialize) -> Bytes {
    let bytes = serde_json::to_vec(value).expect("what is sent is plain data with text keys");
    Bytes::from_owner(Zeroizing::new(bytes))
}

/// What a service said, short and without secrets.
pub(crate) fn shown(said: &str) -> String {
    let said = elide(said.trim(), None);
    match said.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said,
    }
}

/// That nobody answered, and where: the address without what is asked for.
fn unreachable(error: &reqwest::Error) -> SinkError {
    let cause = cause(error);
    let server = error.url().map(|url| url.origin().ascii_serialization());
    let from = server.map_or(String::new(), |server| format!(" from {server}"));
    let unreachable = SinkError::new(SinkFault::Unreachable, format!("no answer{from}: {cause}"));
    match cause.as_str() {
        _ if cause.contains("InvalidContentType") => {
            unreachable.help("what answers there does not speak TLS: see whether the port is the right one")
        }
        _ if cause.contains("UnknownIssuer") => unreachable.help(
            "the authority that signed the server's certificate is not trusted here: name a file with it in the sink's settings",
        ),
        _ => unreachable,
    }
}

/// The innermost cause, which says what happened; the outer ones repeat the address.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match error.is_timeout() {
        true => format!("it took longer than {} s", REQUEST.as_secs()),
        false => shown(&cause.to_string()),
    }
}
