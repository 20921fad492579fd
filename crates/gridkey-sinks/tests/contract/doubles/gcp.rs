//! A double of Google Cloud Secret Manager and of what logs in to it, by Google's description of the service.
//!
//! It refuses what the service refuses: fields and parameters that it does not know, wrong checksums, stale etags, requests
//! without a permission. `google-cloud-secret-manager`, Google's own client, has judged it.

#![allow(dead_code, reason = "what one test does not use is there for others")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

/// The project that is there, and its number.
pub const PROJECT: &str = "acme-mail";
const NUMBER: &str = "projects/1075";

/// What every credential of this double may do, by its refresh token.
const ALL: [&str; 11] = [
    "secretmanager.secrets.create",
    "secretmanager.secrets.delete",
    "secretmanager.secrets.get",
    "secretmanager.secrets.list",
    "secretmanager.secrets.update",
    "secretmanager.versions.access",
    "secretmanager.versions.add",
    "secretmanager.versions.destroy",
    "secretmanager.versions.disable",
    "secretmanager.versions.enable",
    "secretmanager.versions.get",
];

#[derive(Clone, Default)]
pub struct Double {
    world: Arc<Mutex<World>>,
}

#[derive(Default)]
pub struct World {
    /// By `LOCATION/NAME`; without a location, those of all the world.
    pub secrets: BTreeMap<String, Secret>,
    /// Tokens that are good, and whose they are.
    tokens: BTreeMap<String, String>,
    /// Permissions that nobody has.
    pub withheld: BTreeSet<&'static str>,
    /// How many versions `latest` does not know of yet.
    pub trails: usize,
    /// What another program adds right before the next version.
    pub slips_in: Option<String>,
    /// What was asked: method, path and query, in order.
    pub asked: Vec<String>,
    /// The organisation lets nobody keep secrets wherever Google likes.
    pub restricts_locations: bool,
    count: u64,
}

#[derive(Default)]
pub struct Secret {
    pub created: String,
    pub replication: Value,
    pub labels: Value,
    pub annotations: Map<String, Value>,
    pub expires: Option<String>,
    pub etag: u64,
    pub versions: Vec<Version>,
}

pub struct Version {
    pub created: String,
    pub state: &'static str,
    pub data: Vec<u8>,
    etag: u64,
    checked: bool,
}

/// A request, taken apart.
struct Asked<'a> {
    /// The location, `-` for none.
    place: String,
    /// What is behind `secrets`.
    rest: Vec<String>,
    verb: Option<String>,
    query: BTreeMap<String, String>,
    body: Map<String, Value>,
    who: &'a str,
}

type Answer = Result<Value, Refusal>;

struct Refusal {
    code: StatusCode,
    status: &'static str,
    message: String,
    reason: Option<&'static str>,
}

fn refusal(code: u16, status: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { code: StatusCode::from_u16(code).unwrap(), status, message: message.into(), reason: None }
}

fn invalid(message: impl Into<String>) -> Refusal {
    refusal(400, "INVALID_ARGUMENT", message)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { code, status, message, reason } = self;
        let mut error = json!({ "code": code.as_u16(), "message": message, "status": status });
        if let Some(reason) = reason {
            error["details"] = json!([{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"
            }]);
        }
        (code, axum::Json(json!({ "error": error }))).into_response()
    }
}

/// CRC-32C, by a table as others have it.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| {
            (0..8).fold(byte, |crc, _| if crc & 1 == 1 { 0x82f6_3b78 ^ (crc >> 1) } else { crc >> 1 })
        })
        .collect();
    !bytes.iter().fold(!0_u32, |crc, byte| table[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8))
}

impl Double {
    /// Starts it on a free port; it ends with the test.
    pub async fn start() -> (Self, String) {
        let double = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
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

    /// Every token of an account ends.
    pub fn end_logins(&self, who: &str) {
        self.world().tokens.retain(|_, whose| whose != who);
    }
}

impl World {
    pub fn secret(&mut self, name: &str) -> &mut Secret {
        self.secrets.get_mut(&format!("-/{name}")).unwrap_or_else(|| panic!("no secret {name}"))
    }

    /// Adds a version as a program does that sends no checksum.
    pub fn overwrite(&mut self, name: &str, text: &str) {
        let (created, etag) = (self.time(), self.count);
        let secret = self.secrets.entry(format!("-/{name}")).or_default();
        if secret.created.is_empty() {
            secret.created.clone_from(&created);
            secret.replication = json!({ "automatic": {} });
            secret.labels = json!({});
        }
        let data = text.as_bytes().to_vec();
        secret.versions.push(Version { created, state: "ENABLED", data, etag, checked: false });
    }

    /// A moment of its own for each thing that happens.
    fn time(&mut self) -> String {
        self.count += 1;
        format!("2026-11-29T12:00:00.{:06}Z", self.count)
    }

    fn log_in(&mut self, body: &[u8]) -> Response {
        // Google takes forms and JSON.
        let form: BTreeMap<String, String> = serde_json::from_slice(body)
            .unwrap_or_else(|_| url::form_urlencoded::parse(body).into_owned().collect());
        let refused = |error: &str, description: &str| {
            let body = json!({ "error": error, "error_description": description });
            (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
        };
        if form.get("grant_type").map(String::as_str) != Some("refresh_token")
            || !form.contains_key("client_id")
        {
            return refused("invalid_request", "grant_type and client_id are needed");
        }
        let who = form.get("refresh_token").cloned().unwrap_or_default();
        match kind_of(&who) {
            "gridkey" | "may-not-write" | "may-not-read" => axum::Json(self.token(&who)).into_response(),
            "stranger" => {
                let unknown =
                    json!({ "access_token": "unknown", "expires_in": 3599, "token_type": "Bearer" });
                axum::Json(unknown).into_response()
            }
            _ => refused("invalid_grant", "Token has been expired or revoked."),
        }
    }

    fn token(&mut self, who: &str) -> Value {
        self.count += 1;
        let token = format!("ya29.{who}.{}", self.count);
        self.tokens.insert(token.clone(), who.to_string());
        json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" })
    }
}

/// What an account may do is the first part of its name: `gridkey@1` is one of those that may do all.
fn kind_of(who: &str) -> &str {
    who.split('@').next().unwrap_or_default()
}

fn may(world: &World, who: &str, permission: &'static str) -> bool {
    let is_reading = permission == "secretmanager.versions.access";
    let is_looking = permission.ends_with(".get") || permission.ends_with(".list");
    ALL.contains(&permission)
        && !world.withheld.contains(permission)
        && match kind_of(who) {
            "gridkey" => true,
            "may-not-write" => is_looking || is_reading,
            "may-not-read" => !is_reading,
            _ => false,
        }
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
    match (method.as_str(), uri.path()) {
        ("POST", "/token") => return world.log_in(&body),
        ("GET", "/computeMetadata/v1/instance/service-accounts/default/token") => {
            return match headers.get("metadata-flavor").is_some_and(|value| value == "Google") {
                true => axum::Json(world.token("gridkey")).into_response(),
                false => StatusCode::FORBIDDEN.into_response(),
            };
        }
        _ => {}
    }
    let token =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(who) = token.and_then(|token| world.tokens.get(token).cloned()) else {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
                       authentication credential.";
        return refusal(401, "UNAUTHENTICATED", message).into_response();
    };
    match asked(&uri, &body, &who).and_then(|asked| serve(&mut world, &method, &asked)) {
        Ok(value) => axum::Json(value).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn asked<'a>(uri: &Uri, body: &[u8], who: &'a str) -> Result<Asked<'a>, Refusal> {
    let body = match body.is_empty() {
        true => Map::new(),
        false => serde_json::from_slice(body).map_err(|_| invalid("Invalid JSON payload received."))?,
    };
    let query: BTreeMap<_, _> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let mut path: Vec<String> = uri.path().split('/').skip(1).map(|part| part.replace("%3A", ":")).collect();
    let verb = path.last().and_then(|last| last.split_once(':')).map(|(_, verb)| verb.to_string());
    if let (Some(last), Some(verb)) = (path.last_mut(), &verb) {
        last.truncate(last.len() - verb.len() - 1);
    }
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let (project, place, rest) = match parts.as_slice() {
        ["v1", "projects", project, "secrets", rest @ ..] => (*project, "-", rest),
        ["v1", "projects", project, "locations", place, "secrets", rest @ ..] => (*project, *place, rest),
        _ => return Err(refusal(404, "NOT_FOUND", format!("{uri} is no method"))),
    };
    if project != PROJECT && format!("projects/{project}") != NUMBER {
        let message = format!("Permission denied on resource project {project}.");
        return Err(Refusal {
            reason: Some("CONSUMER_INVALID"),
            ..refusal(403, "PERMISSION_DENIED", message)
        });
    }
    let (place, rest) = (place.to_string(), rest.iter().map(ToString::to_string).collect());
    Ok(Asked { place, rest, verb, query, body, who })
}

impl Asked<'_> {
    fn key(&self) -> String {
        format!("{}/{}", self.place, self.rest[0])
    }

    fn resource(&self) -> String {
        match self.place.as_str() {
            "-" => format!("{NUMBER}/secrets/{}", self.rest[0]),
            place => format!("{NUMBER}/locations/{place}/secrets/{}", self.rest[0]),
        }
    }

    fn only(&self, query: &[&str], fields: &[&str]) -> Result<(), Refusal> {
        let unknown = self.query.keys().find(|name| !query.contains(&name.as_str()) && *name != "$alt");
        if let Some(name) = unknown {
            let message = "Cannot bind query parameter.";
            return Err(invalid(format!(
                "Invalid JSON payload received. Unknown name \"{name}\": {message}"
            )));
        }
        if let Some(name) = self.body.keys().find(|name| !fields.contains(&name.as_str())) {
            return Err(invalid(format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
            )));
        }
        Ok(())
    }

    fn needs(&self, world: &World, permission: &'static str) -> Result<(), Refusal> {
        if may(world, self.who, permission) {
            return Ok(());
        }
        let resource = self
            .rest
            .first()
            .map_or(format!("projects/{PROJECT}"), |name| format!("projects/{PROJECT}/secrets/{name}"));
        let message =
            format!("Permission '{permission}' denied for resource '{resource}' (or it may not exist).");
        Err(refusal(403, "PERMISSION_DENIED", message))
    }
}

fn serve(world: &mut World, method: &Method, asked: &Asked) -> Answer {
    let rest: Vec<&str> = asked.rest.iter().map(String::as_str).collect();
    match (method.as_str(), rest.as_slice(), asked.verb.as_deref()) {
        ("POST", [], None) => create(world, asked),
        ("GET", [_], None) => {
            asked.only(&[], &[])?;
            asked.needs(world, "secretmanager.secrets.get")?;
            find(world, asked).map(|secret| described(asked, secret))
        }
        ("PATCH", [_], None) => patch(world, asked),
        ("DELETE", [_], None) => {
            asked.only(&["etag"], &[])?;
            asked.needs(world, "secretmanager.secrets.delete")?;
            find(world, asked)?;
            world.secrets.remove(&asked.key());
            Ok(json!({}))
        }
        ("POST", [_], Some("addVersion")) => add(world, asked),
        ("POST", [_], Some("testIamPermissions")) => test(world, asked),
        ("GET", [_, "versions"], None) => list(world, asked),
        ("GET", [_, "versions", version], None) => {
            asked.only(&[], &[])?;
            asked.needs(world, "secretmanager.versions.get")?;
            let number = number(world, asked, version)?;
            Ok(described_version(asked, number, &find(world, asked)?.versions[number - 1]))
        }
        ("GET", [_, "versions", version], Some("access")) => access(world, asked, version),
        ("POST", [_, "versions", version], Some(verb @ ("enable" | "disable" | "destroy"))) => {
            turn(world, asked, version, verb)
        }
        _ => Err(refusal(404, "NOT_FOUND", format!("{method} {:?} is no method", asked.rest))),
    }
}

fn find<'a>(world: &'a mut World, asked: &Asked) -> Result<&'a mut Secret, Refusal> {
    let message = format!("Secret [{}] not found.", asked.resource());
    world.secrets.get_mut(&asked.key()).ok_or_else(|| refusal(404, "NOT_FOUND", message))
}

fn create(world: &mut World, asked: &Asked) -> Answer {
    let known = [
        "name",
        "replication",
        "labels",
        "annotations",
        "topics",
        "expireTime",
        "ttl",
        "rotation",
        "customerManagedEncryption",
        "versionAliases",
        "versionDestroyTtl",
    ];
    asked.only(&["secretId"], &known)?;
    asked.needs(world, "secretmanager.secrets.create")?;
    let name = asked.query.get("secretId").ok_or_else(|| invalid("secret_id is required"))?;
    let is_name = (1..=255).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if !is_name {
        return Err(invalid(format!(
            "The provided Secret ID [{name}] does not match the expected format [[a-zA-Z_0-9]+]"
        )));
    }
    let replication = asked.body.get("replication").cloned().unwrap_or_default();
    match asked.place.as_str() {
        "-" if replication.get("automatic").is_some() == replication.get("userManaged").is_some() => {
            return Err(invalid("Secret.replication must be provided."));
        }
        "-" if replication.get("automatic").is_some() && world.restricts_locations => {
            let message = "Constraint constraints/gcp.resourceLocations violated for [projects/1075] attempting to create a secret in \
                           [global]. For more information, see https://cloud.google.com/resource-manager/docs/organization-policy/defining-locations.";
            return Err(refusal(400, "FAILED_PRECONDITION", message));
        }
        place if place != "-" && !replication.is_null() => {
            return Err(invalid("Replication must not be set for regional secrets."));
        }
        _ => {}
    }
    let labels = asked.body.get("labels").cloned().unwrap_or(json!({}));
    labels_fit(&labels)?;
    let key = format!("{}/{name}", asked.place);
    if world.secrets.contains_key(&key) {
        return Err(refusal(
            409,
            "ALREADY_EXISTS",
            format!("Secret [{NUMBER}/secrets/{name}] already exists."),
        ));
    }
    let annotations = asked.body.get("annotations").and_then(Value::as_object).cloned().unwrap_or_default();
    let (created, etag) = (world.time(), world.count);
    let expires = asked.body.get("expireTime").and_then(Value::as_str).map(ToString::to_string);
    let secret = Secret { created, replication, labels, annotations, expires, etag, versions: Vec::new() };
    world.secrets.insert(key, secret);
    let asked = Asked {
        rest: vec![name.clone()],
        query: BTreeMap::new(),
        body: Map::new(),
        place: asked.place.clone(),
        verb: None,
        who: asked.who,
    };
    find(world, &asked).map(|secret| described(&asked, secret))
}

fn labels_fit(labels: &Value) -> Result<(), Refusal> {
    let fits = |text: &str| {
        text.len() <= 63
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
    };
    let labels = labels.as_object().ok_or_else(|| invalid("labels is an object"))?;
    match labels.iter().all(|(name, value)| fits(name) && value.as_str().is_some_and(fits)) {
        true => Ok(()),
        false => Err(invalid("Label keys and values must be of at most 63 lower-case characters.")),
    }
}

fn etag(etag: u64) -> String {
    format!("\"{etag:x}\"")
}

fn fresh(asked: &Asked, current: u64) -> Result<(), Refusal> {
    let given = asked.body.get("etag").and_then(Value::as_str).unwrap_or_default();
    match given.is_empty() || given == etag(current) {
        true => Ok(()),
        false => Err(refusal(400, "FAILED_PRECONDITION", "The etag does not match the one of the resource.")),
    }
}

fn patch(world: &mut World, asked: &Asked) -> Answer {
    asked.only(&["updateMask"], &["name", "etag", "labels", "annotations", "replication"])?;
    asked.needs(world, "secretmanager.secrets.update")?;
    let (_, new) = (world.time(), world.count);
    let mask = asked.query.get("updateMask").cloned().unwrap_or_default();
    let secret = find(world, asked)?;
    fresh(asked, secret.etag)?;
    for field in mask.split(',') {
        let value = asked.body.get(field).cloned().unwrap_or(json!({}));
        match field {
            "annotations" => {
                let annotations =
                    value.as_object().cloned().ok_or_else(|| invalid("annotations is an object"))?;
                let size: usize =
                    annotations.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
                if size > 16 << 10 || annotations.values().any(|value| !value.is_string()) {
                    return Err(invalid("annotations must be text of at most 16 KiB"));
                }
                secret.annotations = annotations;
            }
            "labels" => {
                labels_fit(&value)?;
                secret.labels = value;
            }
            other => return Err(invalid(format!("update_mask: {other} cannot be updated"))),
        }
    }
    secret.etag = new;
    Ok(described(asked, secret))
}

fn add(world: &mut World, asked: &Asked) -> Answer {
    asked.only(&[], &["parent", "payload"])?;
    asked.needs(world, "secretmanager.versions.add")?;
    let payload = asked
        .body
        .get("payload")
        .and_then(Value::as_object)
        .ok_or_else(|| invalid("Payload is required."))?;
    if payload.keys().any(|name| !["data", "dataCrc32c"].contains(&name.as_str())) {
        return Err(invalid("Invalid JSON payload received. Unknown name at 'payload'."));
    }
    let data = payload.get("data").and_then(Value::as_str).unwrap_or_default();
    let data =
        BASE64_STANDARD.decode(data).map_err(|_| invalid("Invalid value at 'payload.data' (TYPE_BYTES)"))?;
    if data.is_empty() || data.len() > 64 << 10 {
        return Err(invalid("The secret payload must be between 1 and 65536 bytes."));
    }
    let sum = payload.get("dataCrc32c").map(|sum| sum.as_str().map_or(sum.to_string(), ToString::to_string));
    if sum.as_ref().is_some_and(|sum| *sum != crc32c(&data).to_string()) {
        return Err(invalid(
            "The checksum specified in SecretPayload.data_crc32c doesn't match the one computed.",
        ));
    }
    if let Some(text) = world.slips_in.take() {
        world.overwrite(&asked.rest[0], &text);
    }
    let (created, new) = (world.time(), world.count);
    let secret = find(world, asked)?;
    secret.versions.push(Version { created, state: "ENABLED", data, etag: new, checked: sum.is_some() });
    let number = secret.versions.len();
    Ok(described_version(asked, number, &secret.versions[number - 1]))
}

/// Permissions that are there; none of a secret that is not.
fn test(world: &mut World, asked: &Asked) -> Answer {
    asked.only(&[], &["resource", "permissions"])?;
    if find(world, asked).is_err() {
        return Ok(json!({}));
    }
    let permissions = asked.body.get("permissions").and_then(Value::as_array).cloned().unwrap_or_default();
    let has =
        |name: &&Value| ALL.iter().any(|known| Some(*known) == name.as_str() && may(world, asked.who, known));
    Ok(json!({ "permissions": permissions.iter().filter(has).collect::<Vec<_>>() }))
}

fn list(world: &mut World, asked: &Asked) -> Answer {
    asked.only(&["pageSize", "pageToken", "filter"], &[])?;
    asked.needs(world, "secretmanager.secrets.get")?;
    let secret = find(world, asked)?;
    let all = secret.versions.iter().enumerate().rev();
    let versions: Vec<_> = all.map(|(at, version)| described_version(asked, at + 1, version)).collect();
    Ok(json!({ "versions": versions, "totalSize": secret.versions.len() }))
}

fn number(world: &mut World, asked: &Asked, version: &str) -> Result<usize, Refusal> {
    let trails = world.trails;
    let there = find(world, asked).map_or(0, |secret| secret.versions.len());
    let number = match version {
        "latest" => there.saturating_sub(trails),
        number => number.parse().map_err(|_| invalid(format!("{number} is no version")))?,
    };
    let message = format!("Secret Version [{}/versions/{version}] not found.", asked.resource());
    if (1..=there).contains(&number) { Ok(number) } else { Err(refusal(404, "NOT_FOUND", message)) }
}

fn access(world: &mut World, asked: &Asked, version: &str) -> Answer {
    asked.only(&[], &[])?;
    asked.needs(world, "secretmanager.versions.access")?;
    let number = number(world, asked, version)?;
    let name = format!("{}/versions/{number}", asked.resource());
    let version = &find(world, asked)?.versions[number - 1];
    if version.state != "ENABLED" {
        let message = format!("Secret Version [{name}] is in {} state.", version.state);
        return Err(refusal(400, "FAILED_PRECONDITION", message));
    }
    let sum = crc32c(&version.data).to_string();
    Ok(
        json!({ "name": name, "payload": { "data": BASE64_STANDARD.encode(&version.data), "dataCrc32c": sum } }),
    )
}

fn turn(world: &mut World, asked: &Asked, version: &str, verb: &str) -> Answer {
    asked.only(&[], &["name", "etag"])?;
    let (permission, state) = match verb {
        "enable" => ("secretmanager.versions.enable", "ENABLED"),
        "disable" => ("secretmanager.versions.disable", "DISABLED"),
        _ => ("secretmanager.versions.destroy", "DESTROYED"),
    };
    asked.needs(world, permission)?;
    let number = number(world, asked, version)?;
    let (_, new) = (world.time(), world.count);
    let version = &mut find(world, asked)?.versions[number - 1];
    fresh(asked, version.etag)?;
    if version.state == "DESTROYED" {
        return Err(refusal(400, "FAILED_PRECONDITION", "Secret Version is in DESTROYED state."));
    }
    (version.state, version.etag) = (state, new);
    if state == "DESTROYED" {
        version.data.clear();
    }
    Ok(described_version(asked, number, version))
}

fn described(asked: &Asked, secret: &Secret) -> Value {
    let mut described =
        json!({ "name": asked.resource(), "createTime": secret.created, "etag": etag(secret.etag) });
    for (field, value) in [("replication", &secret.replication), ("labels", &secret.labels)] {
        if !value.is_null() && *value != json!({}) {
            described[field] = value.clone();
        }
    }
    if !secret.annotations.is_empty() {
        described["annotations"] = Value::Object(secret.annotations.clone());
    }
    if let Some(expires) = &secret.expires {
        described["expireTime"] = json!(expires);
    }
    described
}

fn described_version(asked: &Asked, number: usize, version: &Version) -> Value {
    let mut described = json!({
        "name": format!("{}/versions/{number}", asked.resource()), "createTime": version.created, "state": version.state,
        "etag": etag(version.etag), "replicationStatus": { "automatic": {} },
    });
    if version.checked {
        described["clientSpecifiedPayloadChecksum"] = json!(true);
    }
    described
}
