//! `gcloud`, the client itself, on a stand-in of Secret Manager that takes the requests that its API describes and refuses all others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::server::programs;

const SECRETS: &str = "/v1/projects/acme-mail/secrets";

/// The versions of each secret.
type Secrets = Arc<Mutex<BTreeMap<String, Vec<Vec<u8>>>>>;

/// CRC-32C of a payload, by which client and service prove to each other that it arrived whole.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
    })
}

fn refused(code: StatusCode, status: &str, message: &str) -> Response {
    let error = json!({ "error": { "code": code.as_u16(), "status": status, "message": message } });
    (code, axum::Json(error)).into_response()
}

fn missing(secret: &str) -> Response {
    let message = format!("Secret [projects/1/secrets/{secret}] not found or has no versions.");
    refused(StatusCode::NOT_FOUND, "NOT_FOUND", &message)
}

fn given(value: Value) -> Response {
    axum::Json(value).into_response()
}

async fn answer(
    State(secrets): State<Secrets>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        Some("Bearer writer") => {}
        Some("Bearer other") => {
            let message = "Permission 'secretmanager.versions.access' denied on resource.";
            return refused(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message);
        }
        _ => {
            let message = "Request had invalid authentication credentials.";
            return refused(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message);
        }
    }
    let mut secrets = secrets.lock().unwrap();
    let query = uri.query().unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = uri.path().strip_prefix(SECRETS).unwrap_or("elsewhere");
    let (name, rest) = match path.strip_prefix('/') {
        Some(path) => path.split_at(path.find(['/', ':']).unwrap_or(path.len())),
        None => ("", path),
    };
    match (method.as_str(), rest) {
        ("POST", "") if name.is_empty() => {
            let Some(name) = query.split('&').find_map(|part| part.strip_prefix("secretId=")) else {
                return refused(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "secretId is missing");
            };
            if body["replication"] != json!({ "automatic": {} }) {
                return refused(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "replication is missing");
            }
            if secrets.contains_key(name) {
                let message = format!("Secret [projects/1/secrets/{name}] already exists.");
                return refused(StatusCode::CONFLICT, "ALREADY_EXISTS", &message);
            }
            secrets.insert(name.to_string(), Vec::new());
            given(json!({ "name": format!("projects/1/secrets/{name}"), "replication": { "automatic": {} } }))
        }
        ("POST", ":addVersion") => {
            let Some(versions) = secrets.get_mut(name) else { return missing(name) };
            let data = BASE64_STANDARD.decode(body["payload"]["data"].as_str().unwrap_or_default());
            let Ok(data) = data else {
                return refused(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "the payload is not base64");
            };
            if body["payload"]["dataCrc32c"] != json!(crc32c(&data).to_string()) {
                return refused(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "the checksum is another one");
            }
            versions.push(data);
            let name = format!("projects/1/secrets/{name}/versions/{}", versions.len());
            given(json!({ "name": name, "state": "ENABLED", "clientSpecifiedPayloadChecksum": true }))
        }
        ("GET", "/versions/latest:access") => {
            let Some((version, data)) =
                secrets.get(name).and_then(|versions| versions.last().map(|data| (versions.len(), data)))
            else {
                return missing(name);
            };
            let payload =
                json!({ "data": BASE64_STANDARD.encode(data), "dataCrc32c": crc32c(data).to_string() });
            given(
                json!({ "name": format!("projects/1/secrets/{name}/versions/{version}"), "payload": payload }),
            )
        }
        // The client tells how many versions go with a secret.
        ("GET", "/versions") if secrets.contains_key(name) => {
            given(json!({ "totalSize": secrets[name].len() }))
        }
        ("DELETE", "") => match secrets.remove(name) {
            Some(_) => given(json!({})),
            None => missing(name),
        },
        _ => refused(StatusCode::NOT_IMPLEMENTED, "UNIMPLEMENTED", &format!("{method} {uri}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gcloud_keeps_its_promises() {
    let Some([program]) = programs("GCLOUD", ["gcloud"]) else { return };
    assert_eq!(crc32c(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
    let secrets = Secrets::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(answer).with_state(secrets.clone());
    let service = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let bench = Bench::new("gcloud", ("gcloud", &program)).await;
    bench.home(".config/gcloud/active_config", "default");
    bench.home(
        ".config/gcloud/configurations/config_default",
        &format!(
            "[core]\ndisable_usage_reporting = true\nsurvey/disable_prompts = true\n[auth]\naccess_token_file = {}\n\
             [api_endpoint_overrides]\nsecretmanager = http://{address}/\n",
            bench.path("home/token").display()
        ),
    );
    for (token, says) in [("other", "denied on resource"), ("expired", "invalid authentication credentials")]
    {
        bench.home("token", token);
        bench.is_blocked(says);
    }
    bench.home("token", "writer");
    bench.keeps_its_promises(|key| {
        let secrets = secrets.lock().unwrap();
        let data = secrets.get(&format!("mail-prod-{key}"))?.last()?;
        Some(String::from_utf8(data.clone()).unwrap())
    });
    // It goes on trying for longer than a command may take, so that it may be killed before it says anything.
    service.abort();
    assert!(service.await.is_err());
    bench.run(&["plan", "--rotate", "prod/mailer"]).ends(3).says("sink_unreadable");
}
