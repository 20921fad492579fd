//! A double of GitLab's API of CI/CD variables. It takes a variable of any scope where a request does not filter and there
//! is only one, shows no hidden value, and masks what can be masked alone, as GitLab does.

#![allow(dead_code, reason = "two suites use it, and each of them a part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

/// A token of a maintainer that may write, one that may only read, one of a developer, one that does not tell its scopes.
pub const WRITES: &str = "glpat-writes";
pub const READS: &str = "glpat-reads";
pub const DEVELOPER: &str = "glpat-developer";
pub const OAUTH: &str = "oauth";

/// What an answer is: a status and a body.
pub type Canned = (u16, Value);

#[derive(Clone)]
pub struct Gitlab {
    pub address: String,
    world: Arc<Mutex<World>>,
}

pub struct World {
    /// Tokens, their scopes, and the level of access of those who own them.
    pub tokens: BTreeMap<String, (&'static str, u32)>,
    /// Variables by owner: `projects/acme/shop`, `groups/acme`, `instance`; by name and scope.
    pub owners: BTreeMap<String, BTreeMap<(String, String), Variable>>,
    /// Numbers of projects and groups.
    numbers: BTreeMap<String, String>,
    /// Without a licence variables of groups have one scope.
    pub scopes_of_groups: bool,
    /// Whether new variables can be hidden.
    pub hides: bool,
    /// Requests as they came: method, path and query, headers but that of authorisation.
    pub asked: Vec<String>,
    /// Answers that are given instead, to requests that begin like that; the request is carried out where it says so.
    pub instead: Vec<(String, Canned)>,
    /// A text that another program writes right after the next request that writes.
    pub interloper: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub value: String,
    pub masked: bool,
    pub hidden: bool,
    pub protected: bool,
    pub raw: bool,
    pub variable_type: String,
    pub description: Option<String>,
    pub writes: u32,
}

impl Gitlab {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let gitlab = Self { address, world: Arc::new(Mutex::new(World::new())) };
        let app = Router::new().fallback(answer).with_state(gitlab.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        gitlab
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

impl World {
    fn new() -> Self {
        let owners = ["projects/acme/shop", "projects/acme/mail", "groups/acme", "instance"];
        Self {
            tokens: BTreeMap::from([
                (WRITES.to_string(), ("api", 50)),
                (READS.to_string(), ("read_api", 50)),
                (DEVELOPER.to_string(), ("api", 30)),
                (OAUTH.to_string(), ("", 50)),
            ]),
            owners: owners.iter().map(|owner| ((*owner).to_string(), BTreeMap::new())).collect(),
            numbers: [("projects/7", "projects/acme/shop"), ("groups/3", "groups/acme")]
                .map(|(number, owner)| (number.to_string(), owner.to_string()))
                .into(),
            scopes_of_groups: true,
            hides: true,
            asked: Vec::new(),
            instead: Vec::new(),
            interloper: None,
        }
    }

    pub fn variable(&self, owner: &str, name: &str, scope: &str) -> Option<&Variable> {
        self.owners[owner].get(&(name.to_string(), scope.to_string()))
    }

    /// Writes as another program would.
    pub fn overwrite(&mut self, owner: &str, name: &str, scope: &str, text: &str) {
        let variables = self.owners.get_mut(owner).unwrap();
        let variable = variables.entry((name.to_string(), scope.to_string())).or_insert_with(Variable::new);
        variable.value = text.to_string();
        variable.writes += 1;
    }

    fn handle(&mut self, request: &Request<'_>) -> Response {
        if let Some(at) = self.instead.iter().position(|(start, _)| request.line.starts_with(start)) {
            let (_, (status, body)) = self.instead.remove(at);
            let body = body.as_str().map_or_else(|| body.to_string(), ToString::to_string);
            return (StatusCode::from_u16(status).unwrap(), body).into_response();
        }
        let Some((scopes, access)) = self.tokens.get(request.token).copied() else {
            return message(401, &json!("401 Unauthorized"));
        };
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        if let ["personal_access_tokens", "self"] = path[..] {
            return match scopes {
                "" => message(404, &json!("404 Not found")),
                _ => Json(json!({ "id": 1, "active": true, "revoked": false, "scopes": [scopes] }))
                    .into_response(),
            };
        }
        if scopes == "read_api" && request.method != Method::GET {
            let body = json!({
                "error": "insufficient_scope", "scope": "api",
                "error_description": "The request requires higher privileges than provided by the access token.",
            });
            return (StatusCode::FORBIDDEN, Json(body)).into_response();
        }
        match path[..] {
            [kind @ ("projects" | "groups"), owner] => self.owner(kind, owner),
            [kind @ ("projects" | "groups"), owner, "variables", ref rest @ ..] => {
                let (what, level) = if kind == "projects" { ("Project", 40) } else { ("Group", 50) };
                let Some(owner) = self.found(kind, owner) else {
                    return message(404, &json!(format!("404 {what} Not Found")));
                };
                match access < level {
                    true => message(403, &json!("403 Forbidden")),
                    false => self.variables(request, &owner, rest),
                }
            }
            ["admin", "ci", "variables", ref rest @ ..] => self.variables(request, "instance", rest),
            _ => (StatusCode::NOT_FOUND, Json(json!({ "error": "404 Not Found" }))).into_response(),
        }
    }

    /// A path ignores case; a number is another name for it.
    fn found(&self, kind: &str, owner: &str) -> Option<String> {
        let name = format!("{kind}/{}", owner.to_lowercase());
        let name = self.numbers.get(&name).cloned().unwrap_or(name);
        self.owners.contains_key(&name).then_some(name)
    }

    fn owner(&self, kind: &str, owner: &str) -> Response {
        match self.found(kind, owner) {
            Some(name) => {
                let number = self.numbers.iter().find(|(_, other)| **other == name).unwrap().0;
                let id: u64 = number.rsplit('/').next().unwrap().parse().unwrap();
                Json(json!({ "id": id, "path_with_namespace": owner })).into_response()
            }
            None => message(404, &json!("404 Not Found")),
        }
    }

    fn variables(&mut self, request: &Request<'_>, owner: &str, rest: &[&str]) -> Response {
        let kind = match owner.split('/').next() {
            Some("projects") => "Variable",
            Some("groups") => "GroupVariable",
            _ => "InstanceVariable",
        };
        let has_scopes = kind == "Variable" || kind == "GroupVariable" && self.scopes_of_groups;
        let hides = self.hides;
        let variables = self.owners.get_mut(owner).unwrap();
        let name = match (rest, request.method.as_str()) {
            ([], "GET") => {
                let all: Vec<Value> =
                    variables.iter().map(|(at, variable)| variable.shown(at, kind)).collect();
                return Json(all).into_response();
            }
            ([], "POST") => {
                let answer = make(variables, &request.fields(), kind, has_scopes, hides);
                return self.interfered(owner, answer);
            }
            ([name], _) => *name,
            _ => return message(404, &json!("404 Not Found")),
        };
        let wanted = request.filter();
        let found: Vec<(String, String)> = variables
            .keys()
            .filter(|(key, scope)| key == name && wanted.as_ref().is_none_or(|wanted| wanted == scope))
            .cloned()
            .collect();
        let at = match &found[..] {
            [] => return message(404, &json!(format!("404 {kind} Not Found"))),
            [one] => one.clone(),
            _ => {
                let text = "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'";
                return message(409, &json!(format!("409 Conflict: {text}")));
            }
        };
        match request.method.as_str() {
            "GET" => Json(variables[&at].shown(&at, kind)).into_response(),
            "PUT" => {
                let answer = change(variables, at, &request.fields(), kind);
                self.interfered(owner, answer)
            }
            "DELETE" => {
                variables.remove(&at);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => message(405, &json!("405 Method Not Allowed")),
        }
    }

    /// Another program is right behind.
    fn interfered(&mut self, owner: &str, answer: Response) -> Response {
        if answer.status().is_success()
            && let Some(text) = self.interloper.take()
        {
            for variable in self.owners.get_mut(owner).unwrap().values_mut() {
                variable.value.clone_from(&text);
                variable.writes += 1;
            }
        }
        answer
    }
}

fn make(
    variables: &mut BTreeMap<(String, String), Variable>,
    fields: &Map<String, Value>,
    kind: &str,
    has_scopes: bool,
    hides: bool,
) -> Response {
    let known: BTreeSet<&str> = BTreeSet::from([
        "key",
        "value",
        "protected",
        "masked",
        "raw",
        "variable_type",
        "environment_scope",
        "description",
        "masked_and_hidden",
    ]);
    // What it does not know it passes over.
    let fields: Map<String, Value> = fields
        .iter()
        .filter(|(name, _)| known.contains(name.as_str()))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    let (Some(key), Some(_)) = (fields.get("key").and_then(Value::as_str), fields.get("value")) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "key is missing, value is missing" })))
            .into_response();
    };
    if key.len() > 255
        || key.is_empty()
        || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return message(400, &json!({ "key": ["can contain only letters, digits and '_'."] }));
    }
    let scope = fields.get("environment_scope").and_then(Value::as_str).filter(|_| has_scopes).unwrap_or("*");
    let at = (key.to_string(), scope.to_string());
    if variables.contains_key(&at) {
        return message(400, &json!({ "key": [format!("({key}) has already been taken")] }));
    }
    let mut variable = Variable::new();
    if hides && kind != "InstanceVariable" && is_true(fields.get("masked_and_hidden")) == Some(true) {
        (variable.hidden, variable.masked) = (true, true);
    }
    if let Err(said) = variable.take(&fields) {
        return (StatusCode::BAD_REQUEST, Json(said)).into_response();
    }
    let shown = variable.shown(&at, kind);
    variables.insert(at, variable);
    (StatusCode::CREATED, Json(shown)).into_response()
}

fn change(
    variables: &mut BTreeMap<(String, String), Variable>,
    at: (String, String),
    fields: &Map<String, Value>,
    kind: &str,
) -> Response {
    let mut variable = variables[&at].clone();
    if variable.hidden && is_true(fields.get("masked")) == Some(false) {
        let text = "The visibility setting cannot be changed for masked and hidden variables.";
        return message(400, &json!({ "base": [text] }));
    }
    if let Err(said) = variable.take(fields) {
        return (StatusCode::BAD_REQUEST, Json(said)).into_response();
    }
    // It moves.
    let scope = fields.get("environment_scope").and_then(Value::as_str).unwrap_or(&at.1).to_string();
    variables.remove(&at);
    let at = (at.0, scope);
    let shown = variable.shown(&at, kind);
    variables.insert(at, variable);
    Json(shown).into_response()
}

impl Variable {
    pub fn new() -> Self {
        Self {
            value: String::new(),
            masked: false,
            hidden: false,
            protected: false,
            raw: false,
            variable_type: "env_var".to_string(),
            description: None,
            writes: 0,
        }
    }

    /// What GitLab says of fields that it does not take.
    fn take(&mut self, fields: &Map<String, Value>) -> Result<(), Value> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(ToString::to_string);
        self.value = text("value").unwrap_or_else(|| self.value.clone());
        self.masked = is_true(fields.get("masked")).unwrap_or(self.masked);
        self.protected = is_true(fields.get("protected")).unwrap_or(self.protected);
        self.raw = is_true(fields.get("raw")).unwrap_or(self.raw);
        self.description = text("description").or_else(|| self.description.clone());
        if let Some(kind) = text("variable_type") {
            if !["env_var", "file"].contains(&kind.as_str()) {
                return Err(json!({ "error": "variable_type does not have a valid value" }));
            }
            self.variable_type = kind;
        }
        let is_maskable = self.value.len() >= 8
            && self.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=/@:.~-".contains(&byte));
        if self.masked && !is_maskable {
            return Err(json!({ "message": { "value": ["is invalid"] } }));
        }
        self.writes += 1;
        Ok(())
    }

    fn shown(&self, (key, scope): &(String, String), kind: &str) -> Value {
        let value = if self.hidden { Value::Null } else { json!(self.value) };
        let mut shown = json!({
            "variable_type": self.variable_type, "key": key, "value": value, "protected": self.protected,
            "masked": self.masked, "raw": self.raw, "description": self.description,
        });
        if kind != "InstanceVariable" {
            shown["hidden"] = json!(self.hidden);
            shown["environment_scope"] = json!(scope);
        }
        shown
    }
}

/// Clients send booleans as such or as words.
fn is_true(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Bool(is_true) => Some(*is_true),
        Value::String(text) => Some(text == "true" || text == "True"),
        _ => None,
    }
}

struct Request<'r> {
    method: Method,
    /// Method and path, for those who look for one.
    line: String,
    path: Vec<String>,
    query: String,
    token: &'r str,
    body: &'r [u8],
}

impl Request<'_> {
    /// The body alone: what stands in the address would be in everybody's logs.
    fn fields(&self) -> Map<String, Value> {
        serde_json::from_slice(self.body).unwrap_or_default()
    }

    fn filter(&self) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.query.as_bytes());
        let mut in_query = pairs.filter(|(name, _)| name == "filter[environment_scope]");
        let in_body =
            || self.fields().get("filter")?.get("environment_scope")?.as_str().map(ToString::to_string);
        in_query.next().map(|(_, scope)| scope.into_owned()).or_else(in_body)
    }
}

async fn answer(
    State(gitlab): State<Gitlab>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = header("authorization").strip_prefix("Bearer ").unwrap_or(header("private-token"));
    let Some(path) = uri.path().strip_prefix("/api/v4") else {
        return (StatusCode::NOT_FOUND, "<html>404</html>").into_response();
    };
    let request = Request {
        line: format!("{method} {path}"),
        method,
        path: path.split('/').skip(1).map(decoded).collect(),
        query: uri.query().unwrap_or_default().to_string(),
        token,
        body: &body,
    };
    let others: Vec<String> = headers
        .iter()
        .filter(|(name, _)| *name != "authorization" && *name != "private-token")
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let mut world = gitlab.world();
    world.asked.push(format!("{} {uri}\n{}", request.method, others.join("\n")));
    world.handle(&request)
}

fn message(status: u16, message: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({ "message": message }))).into_response()
}

/// Once, and no more.
fn decoded(segment: &str) -> String {
    let pair = format!("x={}", segment.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes()).next().unwrap().1.into_owned()
}
