//! `vault`, against OpenBao in its development mode.

mod own;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use async_trait::async_trait;
use gridkey_core::credential::Credential;
use gridkey_core::sink::{VaultAppRoleSettings, VaultAuthSettings, VaultSettings};
use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};
use reqwest::Method;
use serde_json::{Value as Json, json};

pub use own::OWN;

use crate::claim::Claim;
use crate::server::{Server, free_port, program};
use crate::service::{Checked, Conflicts, Listed, Removal, Service, Starting, Traits, Upstream, Value, Whom};

const ROOT: &str = "root-of-the-test";
const MOUNT: &str = "team/kv";
const OLD_MOUNT: &str = "old";
const FIELD: &str = "api_key";
const TOKEN: &str = "TOKEN_OF_THE_TEST";

/// The page with the policy to copy.
const PAGE: &str = include_str!("../../../../docs/sinks/vault.md");

const MAY_NOT_WRITE: &str = r#"
path "team/kv/data/mail/+"     { capabilities = ["read"] }
path "team/kv/metadata/mail/+" { capabilities = ["read"] }
"#;
const MAY_NOT_READ: &str = r#"
path "team/kv/data/mail/+"     { capabilities = ["create", "update", "patch"] }
path "team/kv/metadata/mail/+" { capabilities = ["read"] }
"#;

pub const LISTED: Listed = Listed {
    kind: SinkKind::Vault,
    server: "OpenBao 2.7.2",
    not_applicable,
    traits: Traits {
        conflicts: Conflicts::Refuses,
        is_told_by_receipt: true,
        writes_of_a_repeat: 1,
        check: Checked::Proven,
        removal: Removal::Gone,
    },
    required: "OPENBAO",
    start,
};

pub struct Vault {
    root: Root,
    version: String,
    /// Tokens that are not made by a login.
    tokens: Mutex<BTreeMap<&'static str, String>>,
    _server: Server,
}

/// Who may do everything, and asks the server itself.
pub struct Root {
    address: String,
    client: reqwest::Client,
}

fn not_applicable(_: Claim) -> Option<&'static str> {
    None
}

/// What the page asks for, for the mount of the test; besides, it may do all in a mount of version 1.
fn policy() -> String {
    let (_, block) = PAGE.split_once("```hcl\n").unwrap();
    let (policy, _) = block.split_once("```").unwrap();
    let old = r#"path "old/*" { capabilities = ["create", "update", "patch", "read", "delete", "list"] }"#;
    format!("{}\n{old}\n", policy.replace("\"secret/", &format!("\"{MOUNT}/")))
}

fn start() -> Starting {
    Box::pin(async {
        let program = program("recipes/openbao/bin/bao")?;
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["server", "-dev", "-dev-no-store-token", &format!("-dev-root-token-id={ROOT}")]);
        command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
        let server = Server::start(command);
        let server = tokio::task::spawn_blocking(move || {
            server.says("Development mode should NOT be used");
            server
        });
        let mut vault = Vault {
            root: Root::at(format!("http://127.0.0.1:{port}")),
            version: String::new(),
            tokens: Mutex::default(),
            _server: server.await.unwrap(),
        };
        vault.prepare().await;
        Ok(Box::new(vault) as Box<dyn Service>)
    })
}

impl Vault {
    async fn prepare(&mut self) {
        let health = self.root(Method::GET, "sys/health", Json::Null).await;
        self.version = health["version"].as_str().unwrap().to_string();
        for (mount, version) in [(MOUNT, "2"), (OLD_MOUNT, "1")] {
            self.root(
                Method::POST,
                &format!("sys/mounts/{mount}"),
                json!({"type": "kv", "options": {"version": version}}),
            )
            .await;
        }
        self.root(Method::POST, "sys/auth/approle", json!({"type": "approle"})).await;
        for (name, policy) in
            [("gridkey", policy().as_str()), ("may_not_write", MAY_NOT_WRITE), ("may_not_read", MAY_NOT_READ)]
        {
            self.root(Method::POST, &format!("sys/policies/acl/{name}"), json!({"policy": policy})).await;
            let made = self.root(Method::POST, "auth/token/create", json!({"policies": [name]})).await;
            let token = made["auth"]["client_token"].as_str().unwrap().to_string();
            self.tokens.lock().unwrap().insert(name, token);
        }
    }

    async fn root(&self, method: Method, path: &str, body: Json) -> Json {
        self.root.asks(method, path, body).await
    }

    async fn ask(&self, method: Method, path: &str, body: Json) -> Option<Json> {
        self.root.ask(method, path, body).await
    }

    async fn metadata(&self, at: &SinkLocation) -> Json {
        let path = format!("{MOUNT}/metadata/{}", settings(at).path.trim_matches('/'));
        self.ask(Method::GET, &path, Json::Null).await.map_or(Json::Null, |mut answer| answer["data"].take())
    }

    /// A version of the secret: its fields.
    async fn fields(&self, at: &SinkLocation, version: u64) -> Json {
        let path = format!("{}?version={version}", data(at));
        self.ask(Method::GET, &path, Json::Null)
            .await
            .map_or(Json::Null, |mut answer| answer["data"]["data"].take())
    }

    /// A role of its own for a location, in files of the manifest's folder, so that its logins can be ended alone.
    async fn role(&self, folder: &Path, name: &str) {
        let role = format!("auth/approle/role/{name}");
        self.root(Method::POST, &role, json!({"token_policies": ["gridkey"], "token_ttl": "1h"})).await;
        let id = self.root(Method::GET, &format!("{role}/role-id"), Json::Null).await;
        let secret = self.root(Method::POST, &format!("{role}/secret-id"), json!({})).await;
        let write = |what: &str, text: &Json| {
            std::fs::write(folder.join(format!("{name}.{what}")), text.as_str().unwrap()).unwrap();
        };
        write("role", &id["data"]["role_id"]);
        write("secret", &secret["data"]["secret_id"]);
    }
}

impl Root {
    fn at(address: String) -> Self {
        Self { address, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// Of a server that runs.
    pub fn of(service: &dyn Service) -> Self {
        Self::at(service.upstream().address)
    }

    /// The answer; nothing where it is an error.
    async fn ask(&self, method: Method, path: &str, body: Json) -> Option<Json> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}/v1/{path}", self.address))
            .header("X-Vault-Token", ROOT);
        if !body.is_null() {
            let kind =
                if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
            request = request.header("content-type", kind).body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let good = answer.status().is_success();
        let body = answer.bytes().await.unwrap();
        let json = serde_json::from_slice(&body).unwrap_or(Json::Null);
        good.then_some(json)
    }

    /// The same, where it has to go well.
    pub async fn asks(&self, method: Method, path: &str, body: Json) -> Json {
        self.ask(method.clone(), path, body).await.unwrap_or_else(|| panic!("{method} {path} failed"))
    }
}

fn settings(at: &SinkLocation) -> &VaultSettings {
    match &*at.at {
        SinkSettings::Vault(settings) => settings,
        other => panic!("{} is no vault", other.kind()),
    }
}

fn data(at: &SinkLocation) -> String {
    format!("{MOUNT}/data/{}", settings(at).path.trim_matches('/'))
}

fn changed(at: &SinkLocation, change: impl Fn(&mut VaultSettings)) -> SinkLocation {
    let mut settings = settings(at).clone();
    change(&mut settings);
    SinkLocation::new(at.sink.clone(), SinkSettings::Vault(settings))
}

fn name(at: &SinkLocation) -> &str {
    settings(at).path.trim_matches('/').rsplit('/').next().unwrap()
}

#[async_trait]
impl Service for Vault {
    fn server(&self) -> Option<String> {
        Some(format!("OpenBao {}", self.version))
    }

    fn upstream(&self) -> Upstream {
        Upstream { address: self.root.address.clone(), authority: None }
    }

    async fn location(&self, proxy: &str, folder: &Path, name: &str, as_whom: Whom) -> SinkLocation {
        let auth = match as_whom {
            Whom::Gridkey => {
                self.role(folder, name).await;
                VaultAuthSettings::AppRole(VaultAppRoleSettings {
                    mount: None,
                    role_id: Credential::File(format!("{name}.role")),
                    secret_id: Some(Credential::File(format!("{name}.secret"))),
                })
            }
            Whom::MayNotWrite | Whom::MayNotRead | Whom::Stranger => {
                VaultAuthSettings::Token(Credential::Env(TOKEN.to_string()))
            }
        };
        let settings = VaultSettings {
            address: Some(proxy.to_string()),
            mount: MOUNT.to_string(),
            path: format!("mail/{name}"),
            field: FIELD.to_string(),
            auth: Some(auth),
            ..VaultSettings::default()
        };
        SinkLocation::new(Name::new("vault").unwrap(), SinkSettings::Vault(settings))
    }

    fn variables(&self, _: &str, as_whom: Whom) -> BTreeMap<String, String> {
        let tokens = self.tokens.lock().unwrap();
        let token = match as_whom {
            Whom::Gridkey => return BTreeMap::new(),
            Whom::MayNotWrite => tokens["may_not_write"].clone(),
            Whom::MayNotRead => tokens["may_not_read"].clone(),
            Whom::Stranger => "s.nobodyKnowsThisOne".to_string(),
        };
        BTreeMap::from([(TOKEN.to_string(), token)])
    }

    fn beside(&self, location: &SinkLocation) -> Option<SinkLocation> {
        Some(changed(location, |settings| settings.field = "other/field \"é\"".to_string()))
    }

    fn nowhere(&self, location: &SinkLocation) -> Vec<(SinkLocation, String)> {
        let mount = |mount: &str| {
            (changed(location, |settings| settings.mount = mount.to_string()), mount.to_string())
        };
        let namespace = changed(location, |settings| settings.namespace = Some("nobodys".to_string()));
        vec![mount("nowhere"), mount(OLD_MOUNT), mount("team"), (namespace, "nobodys".to_string())]
    }

    fn spellings(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        vec![
            changed(location, |settings| settings.mount = format!("/{MOUNT}/")),
            changed(location, |settings| settings.path = format!("/{}/", settings.path)),
            changed(location, |settings| settings.namespace = Some("/".to_string())),
            changed(location, |settings| {
                settings.address =
                    settings.address.take().map(|address| address.replace("http://", "HTTP://") + "/")
            }),
        ]
    }

    fn bad_names(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        let path = |path: &str| changed(location, |settings| settings.path = path.to_string());
        vec![
            path("data/mail"),
            path("metadata/mail"),
            path("mail/../other"),
            path("mail//other"),
            changed(location, |settings| settings.mount = "/".to_string()),
            changed(location, |settings| settings.field = String::new()),
            changed(location, |settings| {
                settings.custom_metadata = BTreeMap::from([("owner".to_string(), "m".repeat(513))]);
            }),
        ]
    }

    async fn value(&self, location: &SinkLocation) -> Value {
        match self.fields(location, 0).await.get(&settings(location).field) {
            None | Some(Json::Null) => Value::Nothing,
            Some(Json::String(text)) => Value::Text(text.clone()),
            Some(_) => Value::Other,
        }
    }

    async fn older(&self, location: &SinkLocation) -> Vec<String> {
        let current = self.metadata(location).await["current_version"].as_u64().unwrap_or_default();
        let mut older = Vec::new();
        for version in (1..current).rev() {
            let fields = self.fields(location, version).await;
            older.extend(fields[&settings(location).field].as_str().map(ToString::to_string));
        }
        older
    }

    async fn overwrite(&self, location: &SinkLocation, text: &str) {
        let mut fields = self.fields(location, 0).await;
        fields[&settings(location).field] = json!(text);
        self.root(Method::POST, &data(location), json!({"data": fields})).await;
    }

    async fn adorn(&self, location: &SinkLocation) {
        let mut fields = self.fields(location, 0).await;
        fields["note"] = json!({"by": "hand", "at": [1, 2.5, null], "big": 12_345_678_901_234_567_890_u64});
        self.root(Method::POST, &data(location), json!({"data": fields})).await;
        let about = json!({"max_versions": 25, "custom_metadata": {"owner": "mail", "ticket": "M-1"}});
        self.root(Method::POST, &data(location).replace("/data/", "/metadata/"), about).await;
    }

    async fn adornments(&self, location: &SinkLocation) -> String {
        let metadata = self.metadata(location).await;
        let note = &self.fields(location, 0).await["note"];
        let mut all = String::new();
        for name in ["max_versions", "custom_metadata", "cas_required", "delete_version_after"] {
            writeln!(all, "{name}: {}", metadata[name]).unwrap();
        }
        all + &note.to_string()
    }

    async fn history(&self, location: &SinkLocation) -> String {
        self.metadata(location).await["versions"].to_string()
    }

    async fn delete(&self, location: &SinkLocation) {
        self.root(Method::DELETE, &data(location), Json::Null).await;
    }

    async fn expire(&self, location: &SinkLocation) {
        let about = json!({"delete_version_after": "720h"});
        self.root(Method::POST, &data(location).replace("/data/", "/metadata/"), about).await;
    }

    /// Revokes all tokens of the location's own role.
    async fn end_login(&self, location: &SinkLocation) {
        let list = Method::from_bytes(b"LIST").unwrap();
        let tokens = self.root(list, "auth/token/accessors", Json::Null).await;
        let mut ended = 0;
        for accessor in tokens["data"]["keys"].as_array().unwrap() {
            let accessor = json!({"accessor": accessor});
            // Another test may have ended it meanwhile.
            let token = self.ask(Method::POST, "auth/token/lookup-accessor", accessor.clone()).await;
            if token.is_some_and(|token| token["data"]["meta"]["role_name"] == name(location)) {
                self.root(Method::POST, "auth/token/revoke-accessor", accessor).await;
                ended += 1;
            }
        }
        assert!(ended > 0, "there was no login to end");
    }
}
