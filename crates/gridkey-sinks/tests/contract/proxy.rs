//! A proxy in front of a service: it writes down what is asked, and goes wrong where it is told to.

#![allow(dead_code, reason = "two suites use it, and each of them a part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::service::Service;
use crate::wire::{Wire, Wires};

/// No request or answer about one secret is longer.
const LARGEST: usize = 16 << 20;

/// Headers that are about one connection.
const OF_A_CONNECTION: [&str; 5] =
    ["connection", "keep-alive", "transfer-encoding", "content-length", "upgrade"];

/// A proxy for one claim, stopped when it goes out of sight.
pub struct Proxy {
    address: String,
    front: Arc<Front>,
    serving: JoinHandle<()>,
}

struct Front {
    service: Arc<dyn Service>,
    upstream: String,
    client: reqwest::Client,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<Vec<Fault>>,
    /// The last answer to each look, as long as they are kept.
    kept: Mutex<BTreeMap<Vec<u8>, Reply>>,
    keeps: AtomicBool,
    stale_until: Mutex<Option<Instant>>,
    is_down: Arc<AtomicBool>,
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub uri: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Something that goes wrong, a number of times.
pub struct Fault {
    pub on: On,
    pub times: usize,
    pub then: Then,
}

/// Which requests a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Any,
    /// Those that write, as the service has them.
    Write,
    /// Those that carry a secret.
    Secret,
    /// Those whose path has this in it.
    Path(&'static str),
}

/// What goes wrong. What comes after the service's work strikes where it did that work.
#[derive(Clone)]
pub enum Then {
    /// The service is not asked at all.
    Answer(Reply),
    /// The request waits on its way to the service.
    Hold(Arc<Gate>),
    /// The service is not asked, and from then on every connection breaks, until the proxy heals.
    Die,
    /// The service works, and something else is answered.
    Replace(Reply),
    /// The service works, and its answer is lost.
    Lose,
    /// The service works, and half of its answer arrives.
    CutAnswer,
    /// The service works, and its answer comes late.
    Delay(Duration),
}

/// Holds a request until it is opened.
#[derive(Default)]
pub struct Gate {
    pub reached: Notify,
    pub open: Notify,
}

impl Proxy {
    /// A proxy on a free port, in front of a service.
    pub async fn start(service: Arc<dyn Service>) -> Self {
        let upstream = service.upstream();
        let mut client =
            reqwest::Client::builder().http1_only().no_proxy().redirect(reqwest::redirect::Policy::none());
        if let Some(authority) = &upstream.authority {
            let authority = reqwest::Certificate::from_pem_bundle(authority).unwrap();
            client = client.tls_certs_only(authority);
        }
        let is_down = Arc::new(AtomicBool::new(false));
        let front = Arc::new(Front {
            service,
            upstream: upstream.address.trim_end_matches('/').to_string(),
            client: client.build().unwrap(),
            seen: Mutex::default(),
            faults: Mutex::default(),
            kept: Mutex::default(),
            keeps: AtomicBool::new(true),
            stale_until: Mutex::default(),
            is_down: is_down.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new()
            .fallback(pass)
            .with_state(front.clone())
            .into_make_service_with_connect_info::<Wire>();
        let serving = tokio::spawn(async move {
            axum::serve(Wires { listener, is_down }, app).await.unwrap();
        });
        Self { address, front, serving }
    }

    /// `http://127.0.0.1:PORT`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Goes wrong from now on.
    pub fn fails(&self, on: On, times: usize, then: Then) {
        self.front.faults.lock().unwrap().push(Fault { on, times, then });
    }

    /// Whether every fault that was ordered has struck.
    pub fn has_failed(&self) -> bool {
        self.front.faults.lock().unwrap().iter().all(|fault| fault.times == 0)
    }

    /// Everything goes right again.
    pub fn heals(&self) {
        self.front.is_down.store(false, Ordering::SeqCst);
        self.front.faults.lock().unwrap().clear();
    }

    /// From now on nothing listens any more.
    pub async fn goes_down(&self) {
        self.front.is_down.store(true, Ordering::SeqCst);
        self.serving.abort();
        while !self.serving.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    /// What looks are answered with until now is what [`Self::is_stale_for`] answers later.
    pub fn remembers(&self) {
        self.front.keeps.store(false, Ordering::SeqCst);
    }

    /// Looks that were remembered are answered as they were then, for a while.
    pub fn is_stale_for(&self, time: Duration) {
        *self.front.stale_until.lock().unwrap() = Some(Instant::now() + time);
    }

    /// How much was asked.
    pub fn count(&self) -> usize {
        self.front.seen.lock().unwrap().len()
    }

    /// What was asked.
    pub fn seen(&self) -> Vec<Seen> {
        self.front.seen.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(
    State(front): State<Arc<Front>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let seen = Seen::of(request).await;
    front.seen.lock().unwrap().push(seen.clone());
    match front.strikes(&seen, Then::is_before) {
        Some(Then::Answer(reply)) => return reply.into_response(),
        Some(Then::Hold(gate)) => {
            gate.reached.notify_one();
            gate.open.notified().await;
        }
        Some(Then::Die) => {
            front.is_down.store(true, Ordering::SeqCst);
            wire.cut();
            return Response::default();
        }
        Some(Then::Replace(_) | Then::Lose | Then::CutAnswer | Then::Delay(_)) | None => {}
    }
    if let Some(reply) = front.stale(&seen) {
        return reply.into_response();
    }
    let Some(reply) = front.ask(&seen).await else {
        wire.cut();
        return Response::default();
    };
    front.keep(&seen, &reply);
    let strikes = (200..300).contains(&reply.status);
    match strikes.then(|| front.strikes(&seen, |then| !then.is_before())).flatten() {
        Some(Then::Replace(other)) => return other.into_response(),
        Some(Then::Lose) => wire.cut(),
        Some(Then::CutAnswer) => wire.cut_in_the_middle(),
        Some(Then::Delay(time)) => tokio::time::sleep(time).await,
        Some(Then::Answer(_) | Then::Hold(_) | Then::Die) | None => {}
    }
    reply.into_response()
}

impl Front {
    /// The fault that a request meets, which has one time less to strike then.
    fn strikes(&self, seen: &Seen, at_that_point: impl Fn(&Then) -> bool) -> Option<Then> {
        let is_for = |on: On| match on {
            On::Any => true,
            On::Write => self.service.is_write(seen),
            On::Secret => seen.carries_secret(),
            On::Path(part) => seen.uri.contains(part),
        };
        let mut faults = self.faults.lock().unwrap();
        let fault = faults
            .iter_mut()
            .find(|fault| fault.times > 0 && at_that_point(&fault.then) && is_for(fault.on))?;
        fault.times -= 1;
        Some(fault.then.clone())
    }

    /// What a look was answered before, while reads trail.
    fn stale(&self, seen: &Seen) -> Option<Reply> {
        let until = (*self.stale_until.lock().unwrap())?;
        if Instant::now() > until || !self.service.is_read(seen) {
            return None;
        }
        self.kept.lock().unwrap().get(&seen.question()).cloned()
    }

    fn keep(&self, seen: &Seen, reply: &Reply) {
        if self.keeps.load(Ordering::SeqCst) && self.service.is_read(seen) {
            self.kept.lock().unwrap().insert(seen.question(), reply.clone());
        }
    }

    /// What the service answers; nothing where it does not.
    async fn ask(&self, seen: &Seen) -> Option<Reply> {
        let method = reqwest::Method::from_bytes(seen.method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{}", self.upstream, seen.uri));
        for (name, value) in &seen.headers {
            if !OF_A_CONNECTION.contains(&name.as_str()) {
                request = request.header(name, value);
            }
        }
        let answer = request.body(seen.body.clone()).send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), listed(answer.headers()));
        Some(Reply { status, headers, body: answer.bytes().await.ok()?.to_vec() })
    }
}

impl Then {
    fn is_before(&self) -> bool {
        match self {
            Self::Answer(_) | Self::Hold(_) | Self::Die => true,
            Self::Replace(_) | Self::Lose | Self::CutAnswer | Self::Delay(_) => false,
        }
    }
}

impl Seen {
    async fn of(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        let uri = parts.uri.path_and_query().map_or("/", |uri| uri.as_str()).to_string();
        Self {
            method: parts.method.to_string(),
            uri,
            headers: listed(&parts.headers),
            body: to_bytes(body, LARGEST).await.unwrap_or_default().to_vec(),
        }
    }

    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the body has a text in it.
    pub fn carries(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// Whether it carries a secret: plainly, in base64, or sealed as GitHub's.
    pub fn carries_secret(&self) -> bool {
        ["SG.", "U0cu", "encrypted_value"].iter().any(|text| self.carries(text))
    }

    /// What tells one look from another.
    fn question(&self) -> Vec<u8> {
        let target = self.header("x-amz-target").unwrap_or_default();
        let mut question = format!("{} {} {target}\n", self.method, self.uri).into_bytes();
        question.extend_from_slice(&self.body);
        question
    }
}

impl Reply {
    pub fn json(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_string(), "application/json".to_string())];
        Self { status, headers, body: body.as_bytes().to_vec() }
    }

    /// What a proxy in between says for itself.
    pub fn page(status: u16) -> Self {
        let headers = vec![("content-type".to_string(), "text/html".to_string())];
        let body = b"<html><body><h1>Please sign in to the network</h1></body></html>".to_vec();
        Self { status, headers, body }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }

    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in &self.headers {
            if OF_A_CONNECTION.contains(&name.as_str()) {
                continue;
            }
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            response.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        response
    }
}

fn listed(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
