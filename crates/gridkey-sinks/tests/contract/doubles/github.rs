//! A double of GitHub's API of secrets, as strict as GitHub: it opens each box with the key of the very store.

#![allow(dead_code, reason = "two suites use it, and each of them a part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use crypto_box::SecretKey;
use crypto_box::aead::OsRng;
use jiff::Timestamp;
use serde_json::{Value, json};

/// What an answer is: a status, headers, a body.
pub type Canned = (u16, Vec<(&'static str, String)>, Value);

/// How an app proves itself.
pub const CLIENT: &str = "Iv23double";
/// What the numbers of installations begin with that may write secrets, and of those that may only read them.
pub const WRITES: &str = "11";
pub const READS: &str = "22";
/// A classic token, one without scopes, and a fine-grained one.
pub const CLASSIC: &str = "ghp_classic";
pub const SCOPELESS: &str = "ghp_scopeless";
pub const FINE_GRAINED: &str = "github_pat_fine";

#[derive(Clone)]
pub struct Github {
    pub address: String,
    world: Arc<Mutex<World>>,
}

pub struct World {
    app: RsaKeyPair,
    pub tokens: BTreeMap<String, Token>,
    /// By full name: number, archived, whether the token's owner may push.
    pub repositories: BTreeMap<String, (u64, bool, bool)>,
    pub environments: BTreeSet<(String, String)>,
    pub stores: BTreeMap<String, Store>,
    /// Requests as they came: method, path and query, headers but that of authorisation.
    pub asked: Vec<String>,
    /// Answers that are given instead, to requests whose method and path begin like that.
    pub instead: Vec<(String, Canned)>,
    /// Replaces the key of a store after the next time that it was given.
    pub replaces_keys: bool,
    /// How often the time of the write before is shown after a write, and how often it is just now.
    pub trails: usize,
    trails_yet: usize,
    issued: u32,
}

#[derive(Clone)]
pub enum Token {
    Classic(&'static str),
    FineGrained,
    /// By its number, and what it may do.
    Installation(String, BTreeMap<&'static str, &'static str>),
}

pub struct Store {
    key: SecretKey,
    key_id: u64,
    pub secrets: BTreeMap<String, Stored>,
    /// Of an organisation's.
    has_visibility: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What the box held; nothing where it could not be opened, which GitHub takes all the same.
    pub value: Option<String>,
    pub created: String,
    pub updated: String,
    before: String,
    pub visibility: Option<String>,
    pub selected: BTreeSet<u64>,
    pub writes: u32,
}

impl Github {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let github = Self { address, world: Arc::new(Mutex::new(World::new())) };
        let app = Router::new().fallback(answer).with_state(github.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        github
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            app: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            tokens: BTreeMap::from([
                (CLASSIC.to_string(), Token::Classic("gist, repo, admin:org")),
                (SCOPELESS.to_string(), Token::Classic("gist")),
                (FINE_GRAINED.to_string(), Token::FineGrained),
            ]),
            repositories: BTreeMap::new(),
            environments: BTreeSet::new(),
            stores: BTreeMap::new(),
            asked: Vec::new(),
            instead: Vec::new(),
            replaces_keys: false,
            trails: 0,
            trails_yet: 0,
            issued: 0,
        };
        for (number, name) in ["acme/shop", "acme/mail", "acme/site", "acme/old"].into_iter().enumerate() {
            world.repositories.insert(name.to_string(), (number as u64 + 1, name == "acme/old", true));
            for store in ["actions", "dependabot", "codespaces"] {
                world.add(format!("repos/{name}/{store}"), false);
            }
        }
        for environment in ["production", "review/eu west"] {
            world.environments.insert(("acme/shop".to_string(), environment.to_string()));
            world.add(format!("repos/acme/shop/environments/{environment}"), false);
        }
        for store in ["actions", "dependabot", "codespaces"] {
            world.add(format!("orgs/acme/{store}"), true);
        }
        world
    }

    fn add(&mut self, name: String, has_visibility: bool) {
        let key_id = 568_250_167_242_549_743 + self.stores.len() as u64 * 1000;
        let store =
            Store { key: SecretKey::generate(&mut OsRng), key_id, secrets: BTreeMap::new(), has_visibility };
        self.stores.insert(name, store);
    }

    /// The app's private key, as its page gives it.
    pub fn app_key(&self) -> String {
        let der: Pkcs8V1Der<'_> = self.app.as_der().unwrap();
        let lines: Vec<String> = BASE64_STANDARD
            .encode(der.as_ref())
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    }

    pub fn secret(&self, store: &str, name: &str) -> Option<&Stored> {
        self.stores[store].secrets.get(name)
    }

    /// Writes as another program would, at a time.
    pub fn overwrite(&mut self, store: &str, name: &str, text: &str, at: &str) {
        let store = self.stores.get_mut(store).unwrap();
        let stored = store.secrets.entry(name.to_string()).or_insert_with(|| Stored::new(at));
        stored.write(Some(text.to_string()), at);
    }

    /// Ends the tokens that were given for an installation.
    pub fn end(&mut self, installation: &str) {
        self.tokens.retain(|_, token| !matches!(token, Token::Installation(id, _) if id == installation));
    }

    fn installation(&mut self, proof: &str, id: &str) -> Response {
        let Some(client) = self.proven(proof) else {
            return error(StatusCode::UNAUTHORIZED, "A JSON web token could not be decoded");
        };
        let permissions = match (client == CLIENT, id) {
            (true, id) if id.starts_with(WRITES) => BTreeMap::from([
                ("metadata", "read"),
                ("secrets", "write"),
                ("environments", "write"),
                ("organization_secrets", "write"),
                ("dependabot_secrets", "write"),
            ]),
            (true, id) if id.starts_with(READS) => {
                BTreeMap::from([("metadata", "read"), ("secrets", "read")])
            }
            _ => return error(StatusCode::NOT_FOUND, "Not Found"),
        };
        self.issued += 1;
        // They have no length that one could rely on.
        let token = format!("ghs_{}_{}", self.issued, "x".repeat(200));
        self.tokens.insert(token.clone(), Token::Installation(id.to_string(), permissions.clone()));
        let body = json!({
            "token": token, "expires_at": "2099-01-01T00:00:00Z", "permissions": permissions, "repository_selection": "all",
        });
        (StatusCode::CREATED, Json(body)).into_response()
    }

    /// Who a JSON Web Token is of, where it is signed and within its time.
    fn proven(&self, token: &str) -> Option<String> {
        let (text, signature) = token.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.app.public_key().as_ref())
            .verify(text.as_bytes(), &signature)
            .ok()?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(text.split_once('.')?.1).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let (now, from, until) =
            (Timestamp::now().as_second(), claims["iat"].as_i64()?, claims["exp"].as_i64()?);
        (from <= now && now < until && until <= now + 600)
            .then(|| claims["iss"].as_str().map(ToString::to_string))?
    }

    fn handle(&mut self, request: &Request<'_>) -> Response {
        let canned = self.instead.iter().position(|(start, _)| request.line.starts_with(start));
        if let Some(at) = canned {
            let (_, (status, headers, body)) = self.instead.remove(at);
            let body = if body.is_null() {
                String::new()
            } else {
                body.as_str().map_or(body.to_string(), ToString::to_string)
            };
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            return response;
        }
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        if let ["app", "installations", id, "access_tokens"] = path[..] {
            return self.installation(request.token, id);
        }
        let Some(token) = self.tokens.get(request.token).cloned() else {
            return error(StatusCode::UNAUTHORIZED, "Bad credentials");
        };
        let mut response = self.route(request, &path, &token);
        if let Token::Classic(scopes) = token {
            response.headers_mut().insert("x-oauth-scopes", scopes.parse().unwrap());
        }
        response
    }

    fn route(&mut self, request: &Request<'_>, path: &[&str], token: &Token) -> Response {
        match *path {
            ["repos", owner, name] => self.repository(request, owner, name),
            ["orgs", "acme"] => {
                Json(json!({ "login": "acme", "url": request.url("/orgs/acme") })).into_response()
            }
            ["repos", owner, name, "environments", environment] => {
                let repository = format!("{owner}/{name}").to_lowercase();
                match self.environments.contains(&(repository, environment.to_string())) {
                    true => Json(json!({
                        "id": 1, "name": environment,
                        "url": request.url(&format!("/repos/{owner}/{name}/environments/{}", encoded(environment))),
                    }))
                    .into_response(),
                    false => error(StatusCode::NOT_FOUND, "Not Found"),
                }
            }
            ["repos", owner, name, store, "secrets", ref rest @ ..] => {
                let key = format!("repos/{owner}/{name}/{store}").to_lowercase();
                let permission = if store == "dependabot" { "dependabot_secrets" } else { "secrets" };
                self.secrets(request, &key, rest, (token, permission, "repo"))
            }
            ["repos", owner, name, "environments", environment, "secrets", ref rest @ ..] => {
                let key =
                    format!("repos/{}/environments/{environment}", format!("{owner}/{name}").to_lowercase());
                self.secrets(request, &key, rest, (token, "environments", "repo"))
            }
            ["orgs", organization, store, "secrets", ref rest @ ..] => {
                let key = format!("orgs/{organization}/{store}").to_lowercase();
                self.secrets(request, &key, rest, (token, "organization_secrets", "admin:org"))
            }
            _ => error(StatusCode::NOT_FOUND, "Not Found"),
        }
    }

    fn repository(&self, request: &Request<'_>, owner: &str, name: &str) -> Response {
        let full = format!("{owner}/{name}");
        let Some((number, archived, push)) = self.repositories.get(&full.to_lowercase()) else {
            return error(StatusCode::NOT_FOUND, "Not Found");
        };
        Json(json!({
            "id": number, "name": name, "full_name": full, "archived": archived, "url": request.url(&format!("/repos/{full}")),
            "permissions": { "admin": false, "push": push, "pull": true },
        }))
        .into_response()
    }

    fn secrets(
        &mut self,
        request: &Request<'_>,
        key: &str,
        rest: &[&str],
        (token, permission, scope): (&Token, &str, &str),
    ) -> Response {
        let needed = if request.method == Method::GET { "read" } else { "write" };
        let may = match token {
            Token::Classic(scopes) => scopes.split(", ").any(|one| one == scope),
            Token::FineGrained => true,
            Token::Installation(_, given) => {
                given.get(permission).is_some_and(|right| *right == needed || *right == "write")
            }
        };
        if !may {
            let mut response = error(StatusCode::FORBIDDEN, "Resource not accessible by integration");
            let asked = format!("{permission}={needed}").parse().unwrap();
            response.headers_mut().insert("x-accepted-github-permissions", asked);
            return response;
        }
        let is_trailing = self.trails_yet > 0;
        let numbers: BTreeSet<u64> = self.repositories.values().map(|(number, ..)| *number).collect();
        let Some(store) = self.stores.get_mut(key) else { return error(StatusCode::NOT_FOUND, "Not Found") };
        match (request.method.as_str(), rest) {
            ("GET", []) => {
                let secrets: Vec<Value> =
                    store.secrets.iter().map(|(name, stored)| stored.shown(name, false)).collect();
                Json(json!({ "total_count": secrets.len(), "secrets": secrets })).into_response()
            }
            ("GET", ["public-key"]) => {
                let key = BASE64_STANDARD.encode(store.key.public_key().as_bytes());
                let shown = json!({ "key_id": store.key_id.to_string(), "key": key });
                if std::mem::take(&mut self.replaces_keys) {
                    store.key = SecretKey::generate(&mut OsRng);
                    store.key_id += 1;
                }
                Json(shown).into_response()
            }
            ("GET", [name]) => match store.secrets.get(&name.to_uppercase()) {
                Some(stored) => {
                    self.trails_yet = self.trails_yet.saturating_sub(1);
                    Json(stored.shown(&name.to_uppercase(), is_trailing)).into_response()
                }
                None => error(StatusCode::NOT_FOUND, "Not Found"),
            },
            ("GET", [name, "repositories"]) => match store.secrets.get(&name.to_uppercase()) {
                Some(stored) => stored.repositories(request.query),
                None => error(StatusCode::NOT_FOUND, "Not Found"),
            },
            ("PUT", [name]) => {
                self.trails_yet = self.trails;
                store.put(&name.to_uppercase(), request.body, &numbers)
            }
            ("DELETE", [name]) => match store.secrets.remove(&name.to_uppercase()) {
                Some(_) => StatusCode::NO_CONTENT.into_response(),
                None => error(StatusCode::NOT_FOUND, "Not Found"),
            },
            _ => error(StatusCode::NOT_FOUND, "Not Found"),
        }
    }
}

impl Store {
    fn put(&mut self, name: &str, body: &[u8], numbers: &BTreeSet<u64>) -> Response {
        let unprocessable = |message: &str| error(StatusCode::UNPROCESSABLE_ENTITY, message);
        let is_name = |name: &str| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && !name.starts_with("GITHUB_")
                && !name.starts_with(|first: char| first.is_ascii_digit())
        };
        if !is_name(name) {
            return unprocessable("Secret names can only contain alphanumeric characters");
        }
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return error(StatusCode::BAD_REQUEST, "Problems parsing JSON");
        };
        let (Some(sealed), Some(key_id)) = (body["encrypted_value"].as_str(), body["key_id"].as_str()) else {
            return unprocessable("Invalid request: encrypted_value and key_id are needed");
        };
        let Ok(sealed) = BASE64_STANDARD.decode(sealed) else {
            return unprocessable("The value is not base64");
        };
        if key_id != self.key_id.to_string() {
            return unprocessable("Improperly encrypted secret");
        }
        let visibility = body["visibility"].as_str().map(ToString::to_string);
        let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let selected = body["selected_repository_ids"]
            .as_array()
            .map(|numbers| numbers.iter().filter_map(number).collect::<BTreeSet<u64>>());
        let is_known = |visibility: &str| ["all", "private", "selected"].contains(&visibility);
        if self.has_visibility && !visibility.as_deref().is_some_and(is_known) {
            return unprocessable("visibility is needed, and is all, private or selected");
        }
        if selected.is_some() && visibility.as_deref() != Some("selected") {
            return unprocessable("Repositories are selected only with visibility selected");
        }
        if selected.iter().flatten().any(|number| !numbers.contains(number)) {
            return unprocessable("No such repository");
        }
        let value = self.key.unseal(&sealed).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let is_new = !self.secrets.contains_key(name);
        let stored = self.secrets.entry(name.to_string()).or_insert_with(|| Stored::new(&now));
        stored.write(value, &now);
        stored.visibility = visibility;
        stored.selected = selected.unwrap_or_default();
        match is_new {
            true => (StatusCode::CREATED, Json(json!({}))).into_response(),
            false => StatusCode::NO_CONTENT.into_response(),
        }
    }
}

impl Stored {
    fn new(at: &str) -> Self {
        Self {
            value: None,
            created: at.to_string(),
            updated: at.to_string(),
            before: at.to_string(),
            visibility: None,
            selected: BTreeSet::new(),
            writes: 0,
        }
    }

    fn write(&mut self, value: Option<String>, at: &str) {
        self.before = std::mem::replace(&mut self.updated, at.to_string());
        self.value = value;
        self.writes += 1;
    }

    fn shown(&self, name: &str, is_trailing: bool) -> Value {
        let updated = if is_trailing { &self.before } else { &self.updated };
        let mut shown = json!({ "name": name, "created_at": self.created, "updated_at": updated });
        if let Some(visibility) = &self.visibility {
            shown["visibility"] = json!(visibility);
        }
        shown
    }

    /// In pages.
    fn repositories(&self, query: &str) -> Response {
        if self.visibility.as_deref() != Some("selected") {
            return error(StatusCode::CONFLICT, "Visibility type must be selected");
        }
        let value = |name: &str, other: usize| {
            let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.map_or(other, |text| text.parse().unwrap())
        };
        let (size, page) = (value("per_page", 30).min(100), value("page", 1));
        let shown: Vec<Value> =
            self.selected.iter().skip(size * (page - 1)).take(size).map(|id| json!({ "id": id })).collect();
        Json(json!({ "total_count": self.selected.len(), "repositories": shown })).into_response()
    }
}

struct Request<'r> {
    method: Method,
    /// Method and path, for those who look for one.
    line: String,
    path: Vec<String>,
    query: &'r str,
    token: &'r str,
    host: &'r str,
    body: &'r [u8],
}

impl Request<'_> {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }
}

async fn answer(
    State(github): State<Github>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authorization = header("authorization");
    let token = authorization.strip_prefix("Bearer ").or_else(|| authorization.strip_prefix("token "));
    // A server of an enterprise has its API below a path.
    let path = uri.path().strip_prefix("/api/v3").unwrap_or(uri.path());
    let request = Request {
        line: format!("{method} {path}"),
        method,
        path: path.split('/').skip(1).map(decoded).collect(),
        query: uri.query().unwrap_or_default(),
        token: token.unwrap_or_default(),
        host: header("host"),
        body: &body,
    };
    let mut world = github.world();
    let others: Vec<String> = headers
        .iter()
        .filter(|(name, _)| *name != "authorization")
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    world.asked.push(format!("{} {uri}\n{}", request.method, others.join("\n")));
    if header("user-agent").is_empty() {
        return error(StatusCode::FORBIDDEN, "Request forbidden by administrative rules");
    }
    let version = header("x-github-api-version");
    if !version.is_empty() && version != "2022-11-28" {
        return error(StatusCode::BAD_REQUEST, "Version is not supported");
    }
    world.handle(&request)
}

fn error(status: StatusCode, message: &str) -> Response {
    let body = json!({ "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.as_str() });
    (status, Json(body)).into_response()
}

/// Once, and no more.
fn decoded(segment: &str) -> String {
    let pair = format!("x={}", segment.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes()).next().unwrap().1.into_owned()
}

fn encoded(segment: &str) -> String {
    segment.replace('/', "%2F").replace(' ', "%20")
}
