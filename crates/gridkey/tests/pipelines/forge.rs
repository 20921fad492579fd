//! A stand-in of the APIs of GitHub and GitLab on loopback: comments that are kept, and answers that a test lays down.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::support::TOKEN;

/// Who comments, as the stand-ins tell it.
pub const SELF: &str = "github-actions[bot]";

pub struct Forge {
    pub url: String,
    kept: Arc<Mutex<Kept>>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    comments: Vec<Comment>,
    faults: Vec<Fault>,
    answers: Vec<Answer>,
    requests: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Comment {
    pub id: usize,
    pub author: String,
    pub body: String,
}

/// The next request of this method fails; `late` means that it takes effect all the same.
pub struct Fault {
    pub method: &'static str,
    pub status: u16,
    pub late: bool,
}

struct Answer {
    path: String,
    status: u16,
    location: Option<String>,
    body: Vec<u8>,
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Forge {
    pub async fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(kept.clone());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, kept, server }
    }

    pub fn comment(&self, author: &str, body: &str) {
        self.kept.lock().unwrap().add(author, body.to_string());
    }

    pub fn comments(&self) -> Vec<Comment> {
        self.kept.lock().unwrap().comments.clone()
    }

    /// The comments that gridkey wrote.
    pub fn own(&self) -> Vec<String> {
        self.comments().into_iter().filter(|one| one.author == SELF).map(|one| one.body).collect()
    }

    pub fn fail(&self, method: &'static str, status: u16) {
        self.kept.lock().unwrap().faults.push(Fault { method, status, late: false });
    }

    pub fn fail_late(&self, method: &'static str, status: u16) {
        self.kept.lock().unwrap().faults.push(Fault { method, status, late: true });
    }

    /// GET of a path gives this; its query is left aside, and pages after the first are empty.
    pub fn gives(&self, path: &str, body: &Value) {
        self.gives_bytes(path, body.to_string().into_bytes());
    }

    pub fn gives_bytes(&self, path: &str, body: Vec<u8>) {
        self.lay(Answer { path: path.to_string(), status: 200, location: None, body });
    }

    pub fn redirects(&self, path: &str, location: &str) {
        let location = Some(location.to_string());
        self.lay(Answer { path: path.to_string(), status: 302, location, body: Vec::new() });
    }

    /// The latest answer for a path counts.
    fn lay(&self, answer: Answer) {
        self.kept.lock().unwrap().answers.insert(0, answer);
    }

    /// Method, path, and whether a token came along, of each request.
    pub fn requests(&self) -> Vec<String> {
        self.kept.lock().unwrap().requests.clone()
    }
}

impl Kept {
    fn add(&mut self, author: &str, body: String) -> usize {
        let id = 1000 + self.comments.len();
        self.comments.push(Comment { id, author: author.to_string(), body });
        id
    }

    /// A failure that was asked for; `Some(true)` where the request is carried out first.
    fn fault(&mut self, method: &Method) -> Option<Fault> {
        let at = self.faults.iter().position(|fault| fault.method == method.as_str())?;
        Some(self.faults.remove(at))
    }

    fn carry_out(&mut self, method: &Method, uri: &Uri, body: &[u8]) -> Response {
        let path = uri.path();
        let gitlab = path.starts_with("/projects/");
        let words: Vec<&str> = path.trim_matches('/').split('/').collect();
        let text = || serde_json::from_slice::<Value>(body).unwrap()["body"].as_str().unwrap().to_string();
        match (method.as_str(), words.as_slice()) {
            ("GET", ["user"]) => json_answer(200, &json!({ "id": 42, "username": "gridkey" })),
            ("GET", ["repos", "acme", "mail", "issues", "7", "comments"])
            | ("GET", ["projects", "5", "merge_requests", "7", "notes"]) => {
                let (page, size) = (number(uri, "page", 1), number(uri, "per_page", 20));
                let all: Vec<Value> = self.comments.iter().map(|one| one.shown(gitlab)).collect();
                let page: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
                json_answer(200, &json!(page))
            }
            ("POST", ["repos", "acme", "mail", "issues", "7", "comments"])
            | ("POST", ["projects", "5", "merge_requests", "7", "notes"]) => {
                let id = self.add(SELF, text());
                json_answer(201, &json!({ "id": id }))
            }
            ("PATCH", ["repos", "acme", "mail", "issues", "comments", id])
            | ("PUT", ["projects", "5", "merge_requests", "7", "notes", id]) => {
                let id: usize = id.parse().unwrap();
                let found = self.comments.iter_mut().find(|one| one.id == id);
                found.unwrap().body = text();
                json_answer(200, &json!({ "id": id }))
            }
            ("GET", _) => {
                let found = self.answers.iter().find(|answer| answer.path == path);
                let Some(found) = found else { return json_answer(404, &json!({ "message": "Not Found" })) };
                if number(uri, "page", 1) > 1 {
                    return json_answer(200, &json!([]));
                }
                let status = StatusCode::from_u16(found.status).unwrap();
                match &found.location {
                    Some(location) => (status, [(header::LOCATION, location.clone())]).into_response(),
                    None => (status, found.body.clone()).into_response(),
                }
            }
            _ => json_answer(404, &json!({ "message": "Not Found" })),
        }
    }
}

impl Comment {
    fn shown(&self, gitlab: bool) -> Value {
        let id = if self.author == SELF { 42 } else { 7 };
        if gitlab {
            json!({ "id": self.id, "author": { "id": id, "username": self.author }, "body": self.body })
        } else {
            json!({ "id": self.id, "user": { "id": id, "login": self.author }, "body": self.body })
        }
    }
}

async fn answer(
    State(kept): State<Arc<Mutex<Kept>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut kept = kept.lock().unwrap();
    let token = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap().trim_start_matches("Bearer ").to_string())
        .or_else(|| headers.get("private-token").map(|value| value.to_str().unwrap().to_string()));
    let with = if token.is_some() { "with" } else { "without" };
    kept.requests.push(format!("{method} {uri} {with} token"));
    // What is stored elsewhere is fetched by a signed address, and a token has no business there.
    let stored = uri.path().starts_with("/stored/");
    match token {
        Some(token) if token != TOKEN || stored => {
            return json_answer(401, &json!({ "message": "Bad credentials" }));
        }
        None if !stored => return json_answer(401, &json!({ "message": "Requires authentication" })),
        _ => {}
    }
    match kept.fault(&method) {
        Some(fault) => {
            if fault.late {
                kept.carry_out(&method, &uri, &body);
            }
            json_answer(fault.status, &json!({ "message": "Resource not accessible by integration" }))
        }
        None => kept.carry_out(&method, &uri, &body),
    }
}

fn json_answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn number(uri: &Uri, name: &str, otherwise: usize) -> usize {
    let query = uri.query().unwrap_or_default();
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_string));
    pair.map_or(otherwise, |value| value.parse().unwrap())
}
