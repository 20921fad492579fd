//! The client: carries requests to SendGrid, at the pace it allows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::answer::{self, Created, Deleted, KeyDetail, KeySummary, Reported, Subuser};
use crate::error::{Error, Kind};
use crate::pace::{Pacer, RateHeaders, WaitObserver, WaitReason};
use crate::request::{self, Behalf, KeyAccess, Method, Operation, Request, ScopeList};
use crate::time::{Clock, Heard, SystemClock};

/// Where SendGrid is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// An address that is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    #[error("`{0}` is not a URL")]
    Syntax(String),
    #[error("`{0}` is plain HTTP, which would show the key to all on the way; only loopback may be")]
    PlainHttp(String),
    #[error("`{0}` has a path that gridkey adds itself: leave `/v3` out")]
    Path(String),
}

impl BaseUrl {
    /// `https://api.sendgrid.com`, for accounts and global subusers.
    pub fn global() -> Self {
        Self(Url::parse("https://api.sendgrid.com").expect("a constant that is a URL"))
    }

    /// `https://api.eu.sendgrid.com`, for subusers of the EU region.
    pub fn eu() -> Self {
        Self(Url::parse("https://api.eu.sendgrid.com").expect("a constant that is a URL"))
    }

    /// Another address, such as an emulator's.
    ///
    /// # Errors
    /// [`BaseUrlError`] where it is no URL, or plain HTTP to anywhere but this machine.
    pub fn new(text: &str) -> Result<Self, BaseUrlError> {
        let url = Url::parse(text).map_err(|_| BaseUrlError::Syntax(text.to_string()))?;
        let loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.path().trim_end_matches('/').ends_with("/v3") {
            return Err(BaseUrlError::Path(text.to_string()));
        }
        match url.scheme() {
            "https" if url.has_host() => Ok(Self(url)),
            "http" if loopback => Ok(Self(url)),
            "http" => Err(BaseUrlError::PlainHttp(text.to_string())),
            _ => Err(BaseUrlError::Syntax(text.to_string())),
        }
    }

    fn is_loopback(&self) -> bool {
        self.0.scheme() == "http"
    }
}

/// Bounds on everything that could take for ever.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connect: Duration,
    /// One request and its whole answer.
    pub request: Duration,
    /// How often a request is sent that may be repeated.
    pub attempts: u32,
    /// How often a request is sent that is told to wait; nothing happened to it, so this is patience.
    pub rate_limit_attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            attempts: 4,
            rate_limit_attempts: 12,
        }
    }
}

/// The largest answer that is read; 100 keys with long names come to a few kilobytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// How long an answer is still waited for once the run is to stop.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// The first pause before a repeated request; each further one is twice as long, and a random part of it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A client with one managing key. Clones share its pace.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: BaseUrl,
    bearer: Arc<SecretString>,
    pacer: Arc<Pacer>,
    clock: Arc<dyn Clock>,
    heard: Arc<Heard>,
    waits: Option<Arc<dyn WaitObserver>>,
    stop: Option<watch::Receiver<bool>>,
    limits: Limits,
}

/// An answer, before it is read.
struct Raw {
    status: u16,
    body: Zeroizing<Vec<u8>>,
    at: Timestamp,
}

impl Client {
    /// # Errors
    /// [`Error`] where TLS cannot be set up.
    pub fn new(base: BaseUrl, bearer: SecretString, limits: Limits) -> Result<Self, Error> {
        let builder = reqwest::Client::builder()
            // Lower case was reported to be ignored, silently, for the parent's own account.
            .http1_only()
            .http1_title_case_headers()
            .connect_timeout(limits.connect)
            .timeout(limits.request)
            // The key must not travel to wherever an answer points.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("gridkey/", env!("CARGO_PKG_VERSION")));
        let builder = if base.is_loopback() { builder.no_proxy() } else { builder.https_only(true) };
        let http = builder.build().map_err(|error| Error {
            kind: Kind::NotSent,
            message: format!("TLS could not be set up: {error}"),
        })?;
        Ok(Self {
            http,
            base,
            bearer: Arc::new(bearer),
            pacer: Arc::default(),
            clock: Arc::new(SystemClock::default()),
            heard: Arc::default(),
            waits: None,
            stop: None,
            limits,
        })
    }

    /// Uses another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Tells an observer of every wait.
    #[must_use]
    pub fn with_waits(self, waits: Arc<dyn WaitObserver>) -> Self {
        Self { waits: Some(waits), ..self }
    }

    /// Ends every wait once this says so: what waits was not sent.
    #[must_use]
    pub fn with_stop(self, stop: watch::Receiver<bool>) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// SendGrid's clock now, as the last answer told it; `None` before the first. Where it and this machine's are far
    /// apart, the later one.
    pub fn now(&self) -> Option<Timestamp> {
        let heard = self.heard.now(self.clock.elapsed())?;
        Some(if are_far_apart(heard, self.clock.now()) { heard.max(self.clock.now()) } else { heard })
    }

    /// The id of the key that this client works with: the middle of `SG.<id>.<secret>`.
    pub fn own_id(&self) -> Option<String> {
        let mut parts = self.bearer.expose_secret().split('.');
        (parts.next() == Some("SG")).then(|| parts.next().map(str::to_string)).flatten()
    }

    /// # Errors
    /// [`Error`]; a list that could not be had is never an empty one.
    pub async fn list(&self, behalf: &Behalf) -> Result<Reported<Vec<KeySummary>>, Error> {
        let raw = self.success(request::list(), behalf).await?;
        // What is due is due by both clocks: an answer from some cache has an old date, and a machine's may be wrong.
        let (at, own) = (raw.at, self.clock.now());
        let at = if are_far_apart(at, own) { at.min(own) } else { at };
        Ok(Reported { value: answer::list(&raw.body)?, at })
    }

    /// A key by itself; `None` where SendGrid knows none.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn get(&self, behalf: &Behalf, id: &str) -> Result<Option<KeyDetail>, Error> {
        let detail = match self.success(request::get(id), behalf).await {
            Ok(raw) => answer::get(id, &raw.body),
            Err(error) => Err(error),
        };
        match detail {
            Ok(detail) => Ok(Some(detail)),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The scopes of the managing key, which are those it can give.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn scopes(&self, behalf: &Behalf) -> Result<BTreeSet<String>, Error> {
        answer::scopes(&self.success(request::scopes(), behalf).await?.body)
    }

    /// A page of an account's subusers, from so many on; an empty one where there are no more.
    ///
    /// # Errors
    /// [`Error`]; the managing key needs `subusers.read`.
    pub async fn subusers(&self, behalf: &Behalf, offset: usize) -> Result<Vec<Subuser>, Error> {
        answer::subusers(&self.success(request::subusers(offset), behalf).await?.body)
    }

    /// Makes a key. It is asked for once, and again only after an answer that says that nothing happened.
    ///
    /// # Errors
    /// [`Error`]; [`Kind::is_definite`] tells whether a key may exist all the same.
    pub async fn create(
        &self,
        behalf: &Behalf,
        name: &str,
        access: &KeyAccess,
    ) -> Result<Reported<Created>, Error> {
        let mut raw = self.success(request::create(name, access), behalf).await?;
        // Whole seconds, like those of the next list: a key must not seem to be younger than that.
        let at = self.now().and_then(|now| Timestamp::from_second(now.as_second()).ok()).unwrap_or(raw.at);
        Ok(Reported { value: answer::created(&mut raw.body)?, at })
    }

    /// Gives a key another name; returns the one that the answer says it has now, where it says so.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn rename(&self, behalf: &Behalf, id: &str, name: &str) -> Result<Option<String>, Error> {
        answer::changed(id, &self.success(request::rename(id, name), behalf).await?.body)
    }

    /// Replaces name and scopes. The answer does not show the scopes: read them back.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn update(
        &self,
        behalf: &Behalf,
        id: &str,
        name: &str,
        scopes: &ScopeList,
    ) -> Result<(), Error> {
        answer::changed(id, &self.success(request::update(id, name, scopes), behalf).await?.body).map(drop)
    }

    /// # Errors
    /// [`Error`]
    pub async fn delete(&self, behalf: &Behalf, id: &str) -> Result<Deleted, Error> {
        match self.success(request::delete(id), behalf).await {
            Ok(_) => Ok(Deleted::Revoked),
            Err(error) if error.kind == Kind::NotFound => Ok(Deleted::NotFound),
            Err(error) => Err(error),
        }
    }

    /// Sends a request until it succeeds, is refused, or must not be repeated.
    async fn success(&self, request: Request, behalf: &Behalf) -> Result<Raw, Error> {
        let operation = request.operation;
        let (mut failures, mut limited) = (0, 0);
        loop {
            let wait = self.pacer.wait(operation, behalf, self.clock.elapsed());
            if !self.wait(WaitReason::RateLimit, operation, behalf, wait).await {
                return Err(interrupted());
            }
            let (error, pause) = match self.answered(&request, behalf).await {
                Ok((raw, _)) if answer::is_done(operation, raw.status) => return Ok(raw),
                // One that is not SendGrid's does not say that a write was not passed on.
                Ok((raw, rate))
                    if raw.status == 429 && (operation.is_read() || answer::is_sendgrids(&raw.body)) =>
                {
                    limited += 1;
                    let error = answer::refusal(operation, raw.status, &raw.body);
                    if limited >= self.limits.rate_limit_attempts {
                        return Err(error);
                    }
                    let pause = rate.after_429(raw.at.as_second());
                    if !self.wait(WaitReason::RateLimit, operation, behalf, pause).await {
                        return Err(error);
                    }
                    continue;
                }
                Ok((raw, _)) => (answer::refusal(operation, raw.status, &raw.body), self.pause(failures)),
                Err(error) => (error, self.pause(failures)),
            };
            failures += 1;
            // A refusal stays one. Of the others, only reads are sure to do no harm twice, and what never
            // left this machine.
            let harmless = match error.kind {
                Kind::NotSent => true,
                Kind::ServerError | Kind::Unintelligible | Kind::NoAnswer => operation.is_read(),
                Kind::BadRequest
                | Kind::Unauthorized
                | Kind::Forbidden
                | Kind::CapReached
                | Kind::NotFound
                | Kind::RateLimited
                | Kind::DataResidency => false,
            };
            let may_repeat = harmless && failures < self.limits.attempts;
            if !may_repeat || !self.wait(WaitReason::Retry, operation, behalf, pause).await {
                return Err(error);
            }
        }
    }

    /// `false` where the wait was ended before its time, as the run is to stop.
    async fn wait(
        &self,
        reason: WaitReason,
        operation: Operation,
        behalf: &Behalf,
        duration: Duration,
    ) -> bool {
        if duration.is_zero() {
            return true;
        }
        if let Some(waits) = &self.waits {
            waits.waiting(reason, operation, behalf, duration);
        }
        tokio::select! {
            biased;
            () = self.stopped() => false,
            () = self.clock.sleep(duration) => true,
        }
    }

    /// Sends a request, and hears the answer out. Once the run is to stop, for a moment alone: CI systems kill what is still
    /// there after ten seconds, and a request without an answer is put right by the next run.
    async fn answered(&self, request: &Request, behalf: &Behalf) -> Result<(Raw, RateHeaders), Error> {
        let given_up = async {
            self.stopped().await;
            self.clock.sleep(LAST_MOMENT).await;
        };
        tokio::select! {
            answer = self.send(request, behalf) => answer,
            () = given_up => Err(Error {
                kind: Kind::NoAnswer,
                message: "interrupted, and no answer came in time".to_string(),
            }),
        }
    }

    /// Comes back once the run is to stop.
    async fn stopped(&self) {
        if let Some(stop) = &self.stop
            && stop.clone().wait_for(|stop| *stop).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// A random part of a pause that doubles, so that runs that failed together do not come back together.
    fn pause(&self, failures: u32) -> Duration {
        let longest = FIRST_PAUSE * 2_u32.saturating_pow(failures.min(6));
        longest.mul_f64(rand::rng().random_range(0.3..1.0))
    }

    /// Takes the time from an answer, and says so where it is far from this machine's.
    fn hear(&self, date: Timestamp) {
        let is_first = self.heard.hear(date, self.clock.elapsed());
        let own = self.clock.now();
        if is_first && are_far_apart(date, own) {
            tracing::warn!(
                sendgrid = %date,
                here = %own,
                "SendGrid's clock and this machine's are far apart: nothing is taken for due before both say so"
            );
        }
    }

    async fn send(&self, request: &Request, behalf: &Behalf) -> Result<(Raw, RateHeaders), Error> {
        let bad = |message: String| Error { kind: Kind::BadRequest, message };
        let address = format!("{}{}", self.base.0.as_str().trim_end_matches('/'), request.path);
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let bearer = Zeroizing::new(format!("Bearer {}", self.bearer.expose_secret()));
        let mut bearer = HeaderValue::from_str(&bearer)
            .map_err(|_| bad("the managing key holds characters that no key has".to_string()))?;
        bearer.set_sensitive(true);
        let mut sending = self.http.request(method, &address).header(AUTHORIZATION, bearer);
        sending = sending.header("Accept", "application/json");
        if let Some(value) = behalf.header().map_err(|error| bad(error.to_string()))? {
            sending = sending.header("On-Behalf-Of", value);
        }
        if let Some(body) = &request.body {
            sending = sending.json(body);
        }
        let started = self.clock.elapsed();
        let result = sending.send().await;
        let mut response = result.map_err(|error| transport(&error))?;
        let status = response.status().as_u16();
        let header =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_string);
        let rate = RateHeaders::read(header);
        let date = header("Date").and_then(|date| http_date(&date));
        if let Some(date) = date {
            self.hear(date);
        }
        let at = date.unwrap_or_else(|| self.clock.now());
        self.pacer.heard(request.operation, behalf, rate, at.as_second(), self.clock.elapsed());
        let expected = response.content_length().and_then(|length| usize::try_from(length).ok());
        let mut body = Zeroizing::new(Vec::with_capacity(expected.unwrap_or_default().min(LARGEST)));
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST => append(&mut body, &chunk),
                Ok(Some(_)) => {
                    return Err(Error {
                        kind: Kind::Unintelligible,
                        message: "the answer is too large".to_string(),
                    });
                }
                Ok(None) => break,
                Err(error) => return Err(transport(&error)),
            }
        }
        let milliseconds = (self.clock.elapsed() - started).as_millis();
        tracing::debug!(operation = request.operation.as_str(), %behalf, status, milliseconds, "answered");
        Ok((Raw { status, body, at }, rate))
    }
}

/// Whether two clocks do not tell the same time.
fn are_far_apart(one: Timestamp, other: Timestamp) -> bool {
    const FAR: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
    one.duration_since(other).abs() > FAR
}

/// A request that was still waiting for its turn.
fn interrupted() -> Error {
    Error { kind: Kind::NotSent, message: "interrupted while waiting for SendGrid's rate limit".to_string() }
}

/// Adds to an answer, which may hold a secret: a buffer that grows leaves what it held where it was, so it is copied by hand
/// and wiped.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = body.len() + chunk.len();
    if needed > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * body.capacity())));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

/// A transport's failure, in words that name neither the address nor anything sent.
fn transport(error: &reqwest::Error) -> Error {
    // A connection that was never made carried nothing.
    let kind = if error.is_connect() || error.is_builder() { Kind::NotSent } else { Kind::NoAnswer };
    let message = if error.is_timeout() {
        "no answer in time".to_string()
    } else {
        let mut deepest: &dyn std::error::Error = error;
        while let Some(source) = deepest.source() {
            deepest = source;
        }
        match kind {
            Kind::NotSent => format!("SendGrid could not be reached: {deepest}"),
            _ => format!("the connection broke: {deepest}"),
        }
    };
    tracing::debug!(?kind, "no answer");
    Error { kind, message: crate::error::redact(&message) }
}

/// The `Date` header: `Mon, 23 Nov 2026 08:00:00 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let civil = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text).ok()?;
    jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_refused_except_to_this_machine() {
        for good in
            ["https://api.sendgrid.com", "http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:1"]
        {
            assert!(BaseUrl::new(good).is_ok(), "{good}");
        }
        for bad in ["http://api.sendgrid.com", "http://10.0.0.1", "http://localhost.example.com"] {
            assert_eq!(BaseUrl::new(bad), Err(BaseUrlError::PlainHttp(bad.to_string())), "{bad}");
        }
        for bad in ["ftp://127.0.0.1", "api.sendgrid.com", ""] {
            assert_eq!(BaseUrl::new(bad), Err(BaseUrlError::Syntax(bad.to_string())), "{bad}");
        }
        for bad in ["https://api.sendgrid.com/v3", "http://127.0.0.1:8080/v3/"] {
            assert_eq!(BaseUrl::new(bad), Err(BaseUrlError::Path(bad.to_string())), "{bad}");
        }
    }

    #[test]
    fn dates_are_read_as_http_writes_them() {
        let at = http_date("Mon, 23 Nov 2026 08:00:00 GMT").expect("a date");
        assert_eq!(at.to_string(), "2026-11-23T08:00:00Z");
        assert_eq!(http_date("tomorrow"), None);
    }
}
