//! The model behind HTTP, on this machine alone.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use jiff::Timestamp;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::http::{Reply, Request};
use crate::model::Model;
use crate::wire::{Wire, WireListener};

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct ServerSettings {
    /// 0 takes a free port.
    pub port: u16,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// Where everything that outlives the process is kept: written before each answer, with mode 0600.
    pub data: Option<PathBuf>,
}

/// A server that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("the emulator could not listen on 127.0.0.1:{port}")]
    Listen {
        port: u16,
        #[source]
        source: io::Error,
    },
    #[error("the emulator's data could not be written to {path}")]
    Data {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A running server; it ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// What a server says of itself as it starts, one line of JSON.
#[derive(Serialize)]
pub struct Announcement {
    pub url: String,
    /// The managing key of the parent account.
    pub api_key: String,
}

impl Announcement {
    /// One line of JSON.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("an announcement is two texts, which are always JSON")
    }
}

#[derive(Clone)]
struct Shared {
    model: Arc<Mutex<Model>>,
    settings: Arc<ServerSettings>,
}

impl Server {
    /// Starts to serve; the data file, if there is one, is written once before.
    ///
    /// # Errors
    /// [`ServerError`] where the port is taken or the data file cannot be written.
    pub async fn start(model: Model, settings: ServerSettings) -> Result<Self, ServerError> {
        let port = settings.port;
        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listening.map_err(|source| ServerError::Listen { port, source })?;
        let address = listener.local_addr().map_err(|source| ServerError::Listen { port, source })?;
        let shared = Shared { model: Arc::new(Mutex::new(model)), settings: Arc::new(settings) };
        shared.save(&shared.model())?;
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let service = router.into_make_service_with_connect_info::<Wire>();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let served = axum::serve(WireListener(listener), service);
            tokio::select! {
                _ = served => {}
                _ = stopped => {}
            }
        });
        Ok(Self { address, shared, stop: Some(stop), task })
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The model, to look at or to change by hand.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.shared.model()
    }

    /// Ends the server and waits until it has ended.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, model: &Model) -> Result<(), ServerError> {
        let Some(path) = &self.settings.data else { return Ok(()) };
        write(path, &model.snapshot().to_bytes())
            .map_err(|source| ServerError::Data { path: path.clone(), source })
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.persist(path)?;
    Ok(())
}

async fn answer(
    State(shared): State<Shared>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_string);
    let request = Request {
        method: method.to_string(),
        target: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        authorization: text(header::AUTHORIZATION.as_str()),
        on_behalf_of: text("on-behalf-of").map(|value| (value, wire.is_title_case())),
        body: body.to_vec(),
    };
    let (reply, saved) = {
        let mut model = shared.model();
        let before = model.snapshot().clone();
        let reply = model.handle(&request, Timestamp::now());
        let saved = if *model.snapshot() == before { Ok(()) } else { shared.save(&model) };
        (reply, saved)
    };
    let Reply { delay, answer } = reply;
    let delay = delay + shared.settings.latency;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let Some(answer) = answer.filter(|_| saved.is_ok()) else {
        wire.cut();
        return Response::new(Body::empty());
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let body = match answer.body {
        Some(body) => {
            response = response.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    response.body(body).unwrap_or_else(|_| {
        let mut broken = Response::new(Body::empty());
        *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}
