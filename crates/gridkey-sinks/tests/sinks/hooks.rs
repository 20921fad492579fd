//! Hooks: what programs and servers are told of a delivery.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use gridkey_core::Name;
use gridkey_core::credential::Credential;
use gridkey_core::hook::{Delivered, DeliveredTo, HookCommandSettings, HookSettings, WebhookSettings};
use gridkey_engine::ports::HookRunner;
use gridkey_sinks::Hooks;
use serde_json::Value;

fn delivered() -> Delivered {
    let name = |text| Name::new(text).unwrap();
    Delivered {
        format_version: Delivered::FORMAT_VERSION,
        id: "key-1.local.1790000000".to_string(),
        event: Delivered::EVENT,
        project: name("mailing"),
        account: name("acme"),
        address: "prod/mailer".parse().unwrap(),
        key: gridkey_core::KeyId::new("key-1"),
        locations: vec![DeliveredTo { sink: name("local"), kind: "dotenv", place: ".env#KEY".to_string() }],
        at: "2026-09-21T14:13:20Z".parse().unwrap(),
    }
}

fn hooks(folder: &Path) -> Hooks {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Hooks::new(folder.to_path_buf(), std::env::split_paths(&path).collect())
}

/// A request as a server saw it.
type Request = (Uri, HeaderMap, String);

/// A server that answers everything in one way, and keeps what it was asked.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    async fn that_answers(status: u16, body: &'static str) -> Self {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let answer = move |State(requests): State<Arc<Mutex<Vec<Request>>>>,
                           uri: Uri,
                           headers: HeaderMap,
                           text: String| async move {
            requests.lock().unwrap().push((uri, headers, text));
            (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")], body)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/prod?via=gridkey", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&requests));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, requests }
    }

    /// The hook that calls it, with a key in a file.
    fn webhook(&self, folder: &Path) -> HookSettings {
        std::fs::write(folder.join("key"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signing_key = Credential::File("key".to_string());
        HookSettings::Webhook(WebhookSettings { url: self.url.clone(), signing_key })
    }
}

#[tokio::test]
async fn a_server_is_told_what_was_delivered_where() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::that_answers(204, "").await;
    hooks(folder.path()).run(&server.webhook(folder.path()), &delivered()).await.unwrap();
    let requests = server.requests.lock().unwrap();
    let [(uri, headers, body)] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(uri, "/hooks/prod?via=gridkey");
    assert_eq!(headers["webhook-id"], "key-1.local.1790000000");
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers["webhook-timestamp"].to_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000);
    assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
    let told: BTreeMap<String, Value> = serde_json::from_str(body).unwrap();
    assert_eq!(told["key"], "key-1");
    assert_eq!(told["locations"][0]["place"], ".env#KEY");
    assert!(!body.contains("MfKQ9r8G"), "the key of the signature stays here");
}

#[tokio::test]
async fn a_server_that_refuses_is_asked_once_and_sent_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    for (status, word) in [(401, "signing_key"), (404, "`url`"), (302, "redirects are not followed")] {
        let secret = "said SG.aaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
        let server = Server::that_answers(status, secret).await;
        let error = hooks(folder.path()).run(&server.webhook(folder.path()), &delivered()).await.unwrap_err();
        assert!(error.message.contains(&status.to_string()), "{error}");
        assert!(!error.message.contains("bbbbbbbb"), "{error}");
        assert!(error.help.as_deref().unwrap_or_default().contains(word), "{error:?}");
        assert_eq!(server.requests.lock().unwrap().len(), 1);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_gets_the_document_on_its_input_and_says_why_it_failed() {
    let folder = tempfile::tempdir().unwrap();
    let command = |script: &str| {
        let run = ["sh", "-c", script].map(String::from).into();
        HookSettings::Command(HookCommandSettings { run, env: Vec::new() })
    };
    let hooks = hooks(folder.path());
    hooks.run(&command("cat > told.json"), &delivered()).await.unwrap();
    let told: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("told.json")).unwrap()).unwrap();
    assert_eq!(told["address"], "prod/mailer");
    // One that does not care for its input is as good.
    hooks.run(&command("true"), &delivered()).await.unwrap();
    let error = hooks.run(&command("echo no such unit >&2; exit 5"), &delivered()).await.unwrap_err();
    assert_eq!(error.message, "`sh` ended with exit code 5: no such unit");
}
