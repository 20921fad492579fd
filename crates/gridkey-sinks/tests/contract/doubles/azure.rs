//! A double of Azure Key Vault's secrets and of the login to it, by Microsoft's description of the service.
//!
//! It refuses what the service refuses: fields and parameters that it does not know, a missing or unknown `api-version`, bad names,
//! requests without a permission, and writes to a name that a deleted secret keeps. `azure-keyvault-secrets`, Microsoft's own
//! client, has judged it.

#![allow(dead_code, reason = "what one test does not use is there for others")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

pub const TENANT: &str = "9f8d7c6b-0000-4000-8000-000000000001";
const VERSIONS: [&str; 5] = ["7.4", "7.5", "7.6", "2025-07-01", "2026-04-01"];
const TAGS: usize = 15;

#[derive(Clone, Default)]
pub struct Double {
    world: Arc<Mutex<World>>,
}

#[derive(Default)]
pub struct World {
    address: String,
    /// By name in lower case.
    pub secrets: BTreeMap<String, Secret>,
    /// Tokens that are good, and whose they are.
    tokens: BTreeMap<String, String>,
    /// What a token has to be for, in place of the vault's own domain.
    pub resource: Option<String>,
    /// How many lists do not show the newest version yet.
    pub trails: usize,
    /// How many requests find a secret that is being brought back.
    pub recovery: usize,
    /// How many items a page of a list has.
    pub page: Option<usize>,
    /// What another program sets right before the next version.
    pub slips_in: Option<String>,
    /// What was asked: method, path and query, in order.
    pub asked: Vec<String>,
    count: u64,
}

#[derive(Default)]
pub struct Secret {
    pub name: String,
    pub versions: Vec<Version>,
    pub is_deleted: bool,
    recovering: usize,
}

#[derive(Clone)]
pub struct Version {
    pub id: String,
    pub value: String,
    pub content_type: Option<String>,
    pub tags: Map<String, Value>,
    pub enabled: bool,
    pub created: u64,
    pub updated: u64,
    pub ends: Option<u64>,
    begins: Option<u64>,
}

type Answer = Result<Value, Refusal>;

struct Refusal {
    code: StatusCode,
    error: Value,
}

fn refusal(code: u16, name: &str, message: impl Into<String>, inner: Option<&str>) -> Refusal {
    let mut error = json!({ "code": name, "message": message.into() });
    if let Some(inner) = inner {
        error["innererror"] = json!({ "code": inner });
    }
    Refusal { code: StatusCode::from_u16(code).unwrap(), error }
}

fn bad(message: impl Into<String>) -> Refusal {
    refusal(400, "BadParameter", message, None)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.code, axum::Json(json!({ "error": self.error }))).into_response()
    }
}

impl Double {
    /// Starts it on a free port; it ends with the test.
    pub async fn start() -> (Self, String) {
        let double = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        // It says so of itself, as the service has nothing else.
        double.world().address = address.replace("http://", "https://");
        let app = Router::new().fallback(answer).with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (double, address)
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// A token, as another login of that name gets it.
    pub fn token(&self, who: &str) -> String {
        self.world().token(who)["access_token"].as_str().unwrap().to_string()
    }

    /// Every token of a client ends.
    pub fn end_logins(&self, who: &str) {
        self.world().tokens.retain(|_, whose| whose != who);
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl World {
    pub fn secret(&mut self, name: &str) -> &mut Secret {
        self.secrets.get_mut(&name.to_lowercase()).unwrap_or_else(|| panic!("no secret {name}"))
    }

    /// Sets a value as a program does that says nothing else of it.
    pub fn overwrite(&mut self, name: &str, text: &str) {
        let id = self.id();
        let secret = self.secrets.entry(name.to_lowercase()).or_default();
        secret.name = name.to_string();
        secret.versions.push(Version {
            id,
            value: text.to_string(),
            content_type: None,
            tags: Map::new(),
            enabled: true,
            created: now(),
            updated: now(),
            ends: None,
            begins: None,
        });
    }

    /// In no order.
    fn id(&mut self) -> String {
        self.count += 1;
        format!("{:032x}", u128::from(self.count).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    fn resource(&self) -> String {
        // The domain that the vault's own name is in; here it is an address.
        self.resource.clone().unwrap_or_else(|| "http://127.0.0.1".to_string())
    }

    fn challenge(&self) -> Response {
        let header =
            format!("Bearer authorization=\"{}/{TENANT}\", resource=\"{}\"", self.address, self.resource());
        let body = refusal(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.", None);
        let mut response = body.into_response();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header.parse().unwrap());
        response
    }

    fn log_in(&mut self, body: &[u8]) -> Response {
        let form: BTreeMap<_, _> = url::form_urlencoded::parse(body).into_owned().collect();
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let refused = |error: &str, description: &str| {
            let body = json!({ "error": error, "error_description": description, "error_codes": [1] });
            (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response()
        };
        if field("grant_type") != "client_credentials"
            || field("scope") != format!("{}/.default", self.resource())
        {
            return refused(
                "invalid_scope",
                "AADSTS70011: The provided value for the input parameter 'scope' is not valid.",
            );
        }
        let assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let is_known = match form.contains_key("client_secret") {
            true => field("client_secret") == format!("secret of {}", field("client_id")),
            false => field("client_assertion_type") == assertion && field("client_assertion") == "federated",
        };
        if !is_known {
            return refused(
                "invalid_client",
                "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1\r\nCorrelation ID: 2",
            );
        }
        axum::Json(self.token(field("client_id"))).into_response()
    }

    fn token(&mut self, who: &str) -> Value {
        self.count += 1;
        let token = format!("eyJ.{who}.{}", self.count);
        self.tokens.insert(token.clone(), who.to_string());
        json!({ "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token })
    }

    fn described(&self, secret: &Secret, version: &Version) -> Value {
        let mut attributes = json!({
            "enabled": version.enabled, "created": version.created, "updated": version.updated,
            "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90,
        });
        if let Some(ends) = version.ends {
            attributes["exp"] = json!(ends);
        }
        if let Some(begins) = version.begins {
            attributes["nbf"] = json!(begins);
        }
        let mut described = json!({
            "id": format!("{}/secrets/{}/{}", self.address, secret.name, version.id), "attributes": attributes,
        });
        if let Some(content_type) = &version.content_type {
            described["contentType"] = json!(content_type);
        }
        if !version.tags.is_empty() {
            described["tags"] = Value::Object(version.tags.clone());
        }
        described
    }
}

/// What a client may do is the first part of its name: `gridkey@1` is one of those that may do all.
fn kind_of(who: &str) -> &str {
    who.split('@').next().unwrap_or_default()
}

/// What a request needs, by the names of the roles' data actions.
fn needs(who: &str, action: &str) -> Result<(), Refusal> {
    let may = match kind_of(who) {
        "gridkey" => action != "purge/action",
        "may-not-write" => ["getSecret/action", "readMetadata/action"].contains(&action),
        "may-not-read" => !["getSecret/action", "purge/action"].contains(&action),
        _ => false,
    };
    let message = format!(
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed \
         recently, please observe propagation time.\r\nCaller: appid={who}\r\nAction: 'Microsoft.KeyVault/vaults/secrets/{action}'\r\n\
         Assignment: (not found)"
    );
    if may { Ok(()) } else { Err(refusal(403, "Forbidden", message, Some("ForbiddenByRbac"))) }
}

fn missing(name: &str) -> Refusal {
    let message = format!(
        "A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may be able to recover \
         it using the correct recovery command."
    );
    refusal(404, "SecretNotFound", message, None)
}

async fn answer(
    State(double): State<Double>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut world = double.world();
    world.asked.push(format!("{method} {uri}"));
    let parts: Vec<&str> = uri.path().split('/').skip(1).collect();
    match (method.as_str(), parts.as_slice()) {
        ("POST", [TENANT, "oauth2", "v2.0", "token"]) => return world.log_in(&body),
        ("POST", [_, "oauth2", "v2.0", "token"]) => {
            let body =
                json!({ "error": "invalid_request", "error_description": "AADSTS90002: Tenant not found." });
            return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
        }
        ("GET", ["metadata", "identity", "oauth2", "token"]) => {
            let asked = query(&uri);
            let is_right = headers.get("metadata").is_some_and(|value| value == "true")
                && asked.get("api-version").is_some_and(|version| version == "2018-02-01")
                && asked.get("resource") == Some(&world.resource());
            let given = world.token("gridkey");
            return match is_right {
                // Its numbers are text.
                true => axum::Json(json!({ "access_token": given["access_token"], "expires_in": "86399", "token_type": "Bearer" })).into_response(),
                false => StatusCode::BAD_REQUEST.into_response(),
            };
        }
        _ => {}
    }
    let token =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(who) = token.and_then(|token| world.tokens.get(token).cloned()) else {
        return world.challenge();
    };
    match serve(&mut world, &method, &uri, &body, &who) {
        Ok(value) => axum::Json(value).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

fn serve(world: &mut World, method: &Method, uri: &Uri, body: &[u8], who: &str) -> Answer {
    let mut asked = query(uri);
    match asked.remove("api-version") {
        Some(version) if VERSIONS.contains(&version.as_str()) => {}
        _ => {
            return Err(bad(
                "The specified version is not recognized. Consider using the latest supported version 2025-07-01.",
            ));
        }
    }
    if let Some(name) = asked.keys().find(|name| !["maxresults", "$skiptoken"].contains(&name.as_str())) {
        return Err(bad(format!("The parameter {name} is not known.")));
    }
    let body: Map<String, Value> = match body.is_empty() {
        true => Map::new(),
        false => serde_json::from_slice(body).map_err(|_| bad("The request body is not JSON."))?,
    };
    let path = uri.path().trim_end_matches('/').to_string();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    if let Some(name) = parts.get(1).filter(|name| !is_name(name)) {
        return Err(bad(format!("The request URI contains an invalid name: {name}")));
    }
    match (method.as_str(), parts.as_slice()) {
        ("PUT", ["secrets", name]) => set(world, who, name, &body),
        ("GET", ["secrets", name]) => get(world, who, name, None),
        ("GET", ["secrets", name, "versions"]) => list(world, who, name, &asked),
        ("GET", ["secrets", name, version]) => get(world, who, name, Some(version)),
        ("PATCH", ["secrets", name, version]) => update(world, who, name, version, &body),
        ("DELETE", ["secrets", name]) => delete(world, who, name),
        ("GET", ["deletedsecrets", name]) => {
            needs(who, "readMetadata/action")?;
            deleted(world, name)
        }
        ("POST", ["deletedsecrets", name, "recover"]) => recover(world, who, name),
        ("DELETE", ["deletedsecrets", name]) => {
            needs(who, "purge/action")?;
            deleted(world, name)
        }
        _ => Err(refusal(405, "MethodNotAllowed", format!("{method} {path} is no method"), None)),
    }
}

fn is_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// The secret, where it is neither deleted nor on its way back.
fn find<'a>(world: &'a World, name: &str) -> Result<&'a Secret, Refusal> {
    let secret = world.secrets.get(&name.to_lowercase());
    secret.filter(|secret| !secret.is_deleted && secret.recovering == 0).ok_or_else(|| missing(name))
}

/// One step of a recovery, which the vault goes on with by itself.
fn step(world: &mut World, name: &str) {
    if let Some(secret) = world.secrets.get_mut(&name.to_lowercase()) {
        secret.recovering = secret.recovering.saturating_sub(1);
    }
}

fn only(object: &Map<String, Value>, fields: &[&str]) -> Result<(), Refusal> {
    match object.keys().find(|name| !fields.contains(&name.as_str())) {
        Some(name) => Err(bad(format!("Property {name} is not known."))),
        None => Ok(()),
    }
}

/// What the body says of a version, over what was said of it before.
fn said(version: &mut Version, body: &Map<String, Value>) -> Result<(), Refusal> {
    if let Some(attributes) = body.get("attributes").and_then(Value::as_object) {
        only(attributes, &["enabled", "exp", "nbf"])?;
        if let Some(enabled) = attributes.get("enabled") {
            version.enabled = enabled.as_bool().ok_or_else(|| bad("enabled is a boolean"))?;
        }
        for (field, place) in [("exp", &mut version.ends), ("nbf", &mut version.begins)] {
            if let Some(time) = attributes.get(field).filter(|time| !time.is_null()) {
                *place = Some(time.as_u64().ok_or_else(|| bad("a time is a number of seconds"))?);
            }
        }
    }
    if let Some(content_type) = body.get("contentType").filter(|content_type| !content_type.is_null()) {
        version.content_type =
            Some(content_type.as_str().ok_or_else(|| bad("contentType is text"))?.to_string());
    }
    if let Some(tags) = body.get("tags").filter(|tags| !tags.is_null()) {
        let tags = tags.as_object().ok_or_else(|| bad("tags are an object"))?;
        if tags.len() > TAGS || tags.values().any(|tag| tag.as_str().is_none_or(|tag| tag.len() > 256)) {
            return Err(bad("There can be up to 15 tags, each with up to 256 characters."));
        }
        version.tags = tags.clone();
    }
    Ok(())
}

fn set(world: &mut World, who: &str, name: &str, body: &Map<String, Value>) -> Answer {
    needs(who, "setSecret/action")?;
    only(body, &["value", "tags", "contentType", "attributes"])?;
    let value =
        body.get("value").and_then(Value::as_str).ok_or_else(|| bad("Property value is required."))?;
    if value.len() > 25 << 10 {
        return Err(bad("The value is longer than 25 KB."));
    }
    let conflict = |message: &str, inner: &str| Err(refusal(409, "Conflict", message, Some(inner)));
    match world.secrets.get(&name.to_lowercase()) {
        Some(secret) if secret.is_deleted => {
            let message = format!(
                "Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the \
                 secret can only be recovered or purged."
            );
            return conflict(&message, "ObjectIsDeletedButRecoverable");
        }
        Some(secret) if secret.recovering > 0 => {
            step(world, name);
            return conflict(
                &format!("Secret {name} is currently being recovered."),
                "ObjectIsBeingRecovered",
            );
        }
        _ => {}
    }
    if let Some(text) = world.slips_in.take() {
        world.overwrite(name, &text);
    }
    let id = world.id();
    let mut version = Version {
        id,
        value: value.to_string(),
        content_type: None,
        tags: Map::new(),
        enabled: true,
        created: now(),
        updated: now(),
        ends: None,
        begins: None,
    };
    said(&mut version, body)?;
    let secret = world.secrets.entry(name.to_lowercase()).or_default();
    if secret.name.is_empty() {
        secret.name = name.to_string();
    }
    secret.versions.push(version.clone());
    let mut described = world.described(find(world, name)?, &version);
    described["value"] = json!(value);
    Ok(described)
}

fn get(world: &World, who: &str, name: &str, version: Option<&str>) -> Answer {
    needs(who, "getSecret/action")?;
    let secret = find(world, name)?;
    let found = match version.filter(|version| !version.is_empty()) {
        None => secret.versions.last(),
        Some(id) => secret.versions.iter().find(|version| version.id == id),
    };
    let found = found.ok_or_else(|| missing(&format!("{name}/{}", version.unwrap_or_default())))?;
    if !found.enabled {
        let message = "Operation get is not allowed on a disabled secret.";
        return Err(refusal(403, "Forbidden", message, Some("SecretDisabled")));
    }
    let mut described = world.described(secret, found);
    described["value"] = json!(found.value);
    Ok(described)
}

fn list(world: &mut World, who: &str, name: &str, asked: &BTreeMap<String, String>) -> Answer {
    needs(who, "readMetadata/action")?;
    step(world, name);
    let trailing = world.trails > 0;
    world.trails = world.trails.saturating_sub(1);
    let Ok(secret) = find(world, name) else { return Ok(json!({ "value": [], "nextLink": null })) };
    let mut versions: Vec<_> = secret.versions.iter().collect();
    if trailing {
        versions.pop();
    }
    versions.sort_by_key(|version| &version.id);
    let size = asked.get("maxresults").and_then(|size| size.parse().ok()).or(world.page).unwrap_or(25);
    if !(1..=25).contains(&size) {
        return Err(bad("maxresults is from 1 to 25"));
    }
    let from: usize =
        asked.get("$skiptoken").map_or(Ok(0), |token| token.parse()).map_err(|_| bad("$skiptoken"))?;
    let page: Vec<_> =
        versions.iter().skip(from).take(size).map(|version| world.described(secret, version)).collect();
    let next = (from + size < versions.len()).then(|| {
        format!(
            "{}/secrets/{name}/versions?api-version=7.4&$skiptoken={}&maxresults={size}",
            world.address,
            from + size
        )
    });
    Ok(json!({ "value": page, "nextLink": next }))
}

fn update(world: &mut World, who: &str, name: &str, version: &str, body: &Map<String, Value>) -> Answer {
    needs(who, "update/action")?;
    only(body, &["tags", "contentType", "attributes"])?;
    find(world, name)?;
    let versions = &mut world.secret(name).versions;
    let found = versions.iter_mut().find(|found| found.id == version).ok_or_else(|| missing(name))?;
    said(found, body)?;
    found.updated = now();
    let found = found.clone();
    Ok(world.described(find(world, name)?, &found))
}

fn delete(world: &mut World, who: &str, name: &str) -> Answer {
    needs(who, "delete")?;
    find(world, name)?;
    world.secret(name).is_deleted = true;
    deleted(world, name)
}

fn deleted(world: &World, name: &str) -> Answer {
    let secret = world.secrets.get(&name.to_lowercase()).filter(|secret| secret.is_deleted);
    let secret = secret.ok_or_else(|| missing(name))?;
    let mut described = world.described(secret, secret.versions.last().unwrap());
    described["recoveryId"] = json!(format!("{}/deletedsecrets/{name}", world.address));
    described["deletedDate"] = json!(now());
    described["scheduledPurgeDate"] = json!(now() + 90 * 86_400);
    Ok(described)
}

fn recover(world: &mut World, who: &str, name: &str) -> Answer {
    needs(who, "recover/action")?;
    deleted(world, name)?;
    let steps = world.recovery;
    let secret = world.secret(name);
    (secret.is_deleted, secret.recovering) = (false, steps);
    let newest = secret.versions.last().unwrap().clone();
    Ok(world.described(&world.secrets[&name.to_lowercase()], &newest))
}
