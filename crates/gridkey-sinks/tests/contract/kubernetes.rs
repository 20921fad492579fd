//! `kubernetes`, against an API server with etcd behind it.

mod own;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gridkey_core::sink::KubernetesSettings;
use gridkey_core::{Name, SinkKind, SinkLocation, SinkSettings};
pub use own::OWN;
use reqwest::Method;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::claim::Claim;
use crate::server::{Server, free_port, program};
use crate::service::{Checked, Conflicts, Listed, Removal, Service, Starting, Traits, Upstream, Value, Whom};

const ADMIN: &str = "admin-of-the-test";
const NAMESPACE: &str = "mail";
const FIELD: &str = "api-key";

/// What tests of the whole program call their locations.
const OF_THE_WHOLE_PROGRAM: [&str; 7] = [
    "fields-everywhere",
    "fields-killed",
    "fields-read",
    "fields-blocked-kubernetes",
    "fields-refused-kubernetes",
    "fields-dies-kubernetes",
    "fields-alone-kubernetes",
];

pub const LISTED: Listed = Listed {
    kind: SinkKind::Kubernetes,
    server: "kube-apiserver 1.37.2",
    not_applicable,
    traits: Traits {
        conflicts: Conflicts::Refuses,
        // The right to see a version is the right to see the value.
        is_told_by_receipt: false,
        writes_of_a_repeat: 1,
        check: Checked::Proven,
        removal: Removal::Gone,
    },
    required: "KUBE_APISERVER",
    start,
};

pub struct Kubernetes {
    admin: Admin,
    authority: Vec<u8>,
    version: String,
    /// Where the token of a location is, to be replaced by another.
    tokens: Mutex<BTreeMap<String, PathBuf>>,
    _servers: Servers,
}

/// Asks the server itself.
struct Admin {
    address: String,
    client: reqwest::Client,
}

/// The first is stopped first.
struct Servers {
    _api: Server,
    _etcd: Server,
    folder: TempDir,
}

fn not_applicable(claim: Claim) -> Option<&'static str> {
    match claim {
        Claim::OlderKept => Some("a field of a Secret has one value, and Kubernetes keeps no other"),
        Claim::DiesByItself => Some("a Secret has no end of its own"),
        Claim::Empty
        | Claim::Put
        | Claim::OwnId
        | Claim::ReadBack
        | Claim::ForeignValue
        | Claim::Conflict
        | Claim::Remove
        | Claim::Unreachable
        | Claim::Unauthorised
        | Claim::Slow
        | Claim::Cut
        | Claim::Neighbours
        | Claim::NowhereIsNotEmpty
        | Claim::Tombstone
        | Claim::RepeatAfterLostAnswer
        | Claim::StaleRead
        | Claim::BadName
        | Claim::TwoSpellings
        | Claim::Throttled
        | Claim::CredentialEnds
        | Claim::CheckWritesNothing
        | Claim::MetadataStays
        | Claim::ConflictGrade
        | Claim::NoSecretInUri
        | Claim::TwoKeysOneContainer => None,
    }
}

fn start() -> Starting {
    Box::pin(async { Ok(Box::new(Kubernetes::start().await?) as Box<dyn Service>) })
}

fn servers([api, etcd, openssl]: &[PathBuf; 3]) -> (Servers, u16) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let port = free_port();
    let (clients, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", port + 1));
    let mut command = Command::new(etcd);
    command.args(["--data-dir", &path("etcd"), "--unsafe-no-fsync"]);
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("default={peers}")]);
    let etcd = Server::start(command);
    etcd.says("ready to serve client requests");
    let (private, public) = (path("sa.key"), path("sa.pub"));
    for arguments in
        [vec!["genrsa", "-out", &private, "2048"], vec!["rsa", "-in", &private, "-pubout", "-out", &public]]
    {
        assert!(Command::new(openssl).args(arguments).output().unwrap().status.success());
    }
    std::fs::write(path("tokens.csv"), format!("{ADMIN},admin,admin,\"system:masters\"\n")).unwrap();
    let port = free_port();
    let mut command = Command::new(api);
    command.args([
        format!("--etcd-servers={clients}"),
        "--bind-address=127.0.0.1".to_string(),
        "--advertise-address=127.0.0.1".to_string(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", path("certificates")),
        format!("--token-auth-file={}", path("tokens.csv")),
        "--authorization-mode=RBAC".to_string(),
        "--service-account-issuer=https://kubernetes.default.svc".to_string(),
        format!("--service-account-key-file={public}"),
        format!("--service-account-signing-key-file={private}"),
        "--service-cluster-ip-range=10.96.0.0/16".to_string(),
        "--endpoint-reconciler-type=none".to_string(),
        "--enable-priority-and-fairness=false".to_string(),
        "--profiling=false".to_string(),
    ]);
    let api = Server::start(command);
    api.says("Serving securely on");
    (Servers { _api: api, _etcd: etcd, folder }, port)
}

impl Kubernetes {
    async fn start() -> Result<Self, String> {
        let programs = [program("recipes/kubernetes/kube-apiserver")?, program("etcd")?, program("openssl")?];
        let started = tokio::task::spawn_blocking(move || servers(&programs));
        let (servers, port) = started.await.unwrap();
        let authority = std::fs::read(servers.folder.path().join("certificates/apiserver.crt")).unwrap();
        let mut kubernetes = Self {
            admin: Admin::new(format!("https://127.0.0.1:{port}"), &authority),
            authority,
            version: String::new(),
            tokens: Mutex::default(),
            _servers: servers,
        };
        kubernetes.prepare().await;
        Ok(kubernetes)
    }

    async fn prepare(&mut self) {
        while self.admin.ask(Method::GET, "/readyz", Json::Null).await.is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let version = self.admin.call(Method::GET, "/version", Json::Null).await;
        self.version = version["gitVersion"].as_str().unwrap().trim_start_matches('v').to_string();
        self.admin.call(Method::POST, "/api/v1/namespaces", json!({"metadata": {"name": NAMESPACE}})).await;
        let names: Vec<String> = Claim::ALL
            .iter()
            .flat_map(|(_, name, _)| ["one", "two"].map(|end| format!("{name} {end}")))
            .chain(OF_THE_WHOLE_PROGRAM.map(ToString::to_string))
            .map(|name| name.replace(' ', "-").replace(',', "").to_lowercase())
            .collect();
        // As the page has it, for the names of all tests.
        for (account, verbs) in [
            ("gridkey", &["get", "patch", "create"][..]),
            ("may-not-write", &["get"]),
            ("may-not-read", &["patch", "create"]),
        ] {
            let rule =
                json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": names, "verbs": verbs});
            self.account(account, "Role", &format!("namespaces/{NAMESPACE}/roles"), rule).await;
        }
        let rule = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "patch", "create"]});
        self.account("wide", "ClusterRole", "clusterroles", rule).await;
    }

    /// An account with one rule.
    async fn account(&self, name: &str, role: &str, path: &str, rule: Json) {
        let api = "/apis/rbac.authorization.k8s.io/v1";
        let about = json!({"name": name});
        let accounts = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts");
        self.admin.call(Method::POST, &accounts, json!({"metadata": about})).await;
        self.admin
            .call(Method::POST, &format!("{api}/{path}"), json!({"metadata": about, "rules": [rule]}))
            .await;
        let binding = json!({
            "metadata": about,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
        });
        let path = path.replace("roles", "rolebindings");
        self.admin.call(Method::POST, &format!("{api}/{path}"), binding).await;
    }

    /// A token of an account. It ends with the Secret that it is bound to.
    async fn token(&self, account: &str, bound_to: &str) -> String {
        let secrets = format!("/api/v1/namespaces/{NAMESPACE}/secrets");
        self.admin.ask(Method::POST, &secrets, json!({"metadata": {"name": bound_to}})).await;
        let bound = self.admin.call(Method::GET, &format!("{secrets}/{bound_to}"), Json::Null).await;
        let asked = json!({"spec": {"expirationSeconds": 3600, "boundObjectRef": {
            "kind": "Secret", "apiVersion": "v1", "name": bound_to, "uid": bound["metadata"]["uid"],
        }}});
        let path = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token");
        let token = self.admin.call(Method::POST, &path, asked).await;
        token["status"]["token"].as_str().unwrap().to_string()
    }

    /// Whether the server still knows a token.
    async fn knows(&self, token: &str) -> bool {
        let asked = self.admin.client.get(format!("{}/version", self.admin.address)).bearer_auth(token);
        asked.send().await.unwrap().status() != 401
    }
}

impl Admin {
    fn new(address: String, authority: &[u8]) -> Self {
        let certificates = reqwest::Certificate::from_pem_bundle(authority).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only(certificates).build().unwrap();
        Self { address, client }
    }

    /// Asks the server itself as its administrator; nothing where it answers with an error.
    async fn ask(&self, method: Method, path: &str, body: Json) -> Option<Json> {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let mut request = self.client.request(method, format!("{}{path}", self.address)).bearer_auth(ADMIN);
        if !body.is_null() {
            request = request.header("content-type", kind).body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let good = answer.status().is_success();
        let body = answer.bytes().await.unwrap();
        good.then(|| serde_json::from_slice(&body).unwrap_or(Json::Null))
    }

    /// The same, where it has to go well.
    async fn call(&self, method: Method, path: &str, body: Json) -> Json {
        self.ask(method.clone(), path, body).await.unwrap_or_else(|| panic!("{method} {path} failed"))
    }

    async fn secret(&self, at: &SinkLocation) -> Option<Json> {
        self.ask(Method::GET, &path(at), Json::Null).await
    }

    /// Changes a Secret as another program does, or makes it so.
    async fn change(&self, at: &SinkLocation, mut change: Json) {
        if self.secret(at).await.is_some() {
            self.call(Method::PATCH, &format!("{}?fieldManager=kubectl-edit", path(at)), change).await;
        } else {
            change["metadata"] = json!({"name": settings(at).secret});
            self.call(Method::POST, &format!("/api/v1/namespaces/{NAMESPACE}/secrets"), change).await;
        }
    }
}

/// A kubeconfig beside the file of its token.
fn kubeconfig(folder: &Path, name: &str, server: &str, token: &str) -> PathBuf {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test", "preferences": {},
        "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        "users": [{"name": "account", "user": {"tokenFile": format!("{name}.token")}}],
        "contexts": [{"name": "test", "context": {"cluster": "proxy", "user": "account"}}],
    });
    let file = folder.join(format!("{name}.token"));
    std::fs::write(&file, token).unwrap();
    std::fs::write(folder.join(format!("{name}.kubeconfig")), config.to_string()).unwrap();
    file
}

fn settings(at: &SinkLocation) -> &KubernetesSettings {
    match &*at.at {
        SinkSettings::Kubernetes(settings) => settings,
        other => panic!("{} is no Kubernetes", other.kind()),
    }
}

fn path(at: &SinkLocation) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/secrets/{}", settings(at).secret)
}

fn changed(at: &SinkLocation, change: impl FnOnce(&mut KubernetesSettings)) -> SinkLocation {
    let mut settings = settings(at).clone();
    change(&mut settings);
    SinkLocation::new(at.sink.clone(), SinkSettings::Kubernetes(settings))
}

#[async_trait]
impl Service for Kubernetes {
    fn server(&self) -> Option<String> {
        Some(format!("kube-apiserver {}", self.version))
    }

    fn upstream(&self) -> Upstream {
        Upstream { address: self.admin.address.clone(), authority: Some(self.authority.clone()) }
    }

    async fn location(&self, proxy: &str, folder: &Path, name: &str, as_whom: Whom) -> SinkLocation {
        let name = name.to_lowercase();
        let account = match as_whom {
            Whom::Gridkey => "gridkey",
            Whom::MayNotWrite => "may-not-write",
            Whom::MayNotRead => "may-not-read",
            Whom::Stranger => "stranger",
        };
        let login = format!("login-{name}-{account}");
        let token = match as_whom {
            Whom::Gridkey | Whom::MayNotWrite | Whom::MayNotRead => self.token(account, &login).await,
            Whom::Stranger => "nobody-knows-this-one".to_string(),
        };
        let file = kubeconfig(folder, &login, proxy, &token);
        self.tokens.lock().unwrap().insert(name.clone(), file);
        kubeconfig(folder, "wide", proxy, &self.token("wide", "login-wide").await);
        let settings = KubernetesSettings {
            address: Some(proxy.to_string()),
            kubeconfig: Some(format!("{login}.kubeconfig")),
            namespace: NAMESPACE.to_string(),
            secret: name,
            field: FIELD.to_string(),
            labels: BTreeMap::from([("acme.example/made-for".to_string(), "mail".to_string())]),
            ..KubernetesSettings::default()
        };
        SinkLocation::new(Name::new("cluster").unwrap(), SinkSettings::Kubernetes(settings))
    }

    fn variables(&self, _: &str, _: Whom) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn beside(&self, location: &SinkLocation) -> Option<SinkLocation> {
        Some(changed(location, |settings| settings.field = ".other_FIELD".to_string()))
    }

    /// For an account of one namespace, which may not know of others, and for one of the whole cluster.
    fn nowhere(&self, location: &SinkLocation) -> Vec<(SinkLocation, String)> {
        let narrow = changed(location, |settings| settings.namespace = "nowhere".to_string());
        let wide = changed(&narrow, |settings| settings.kubeconfig = Some("wide.kubeconfig".to_string()));
        let never_made = changed(location, |settings| {
            settings.create = Some(false);
            // Those are for Secrets that gridkey makes.
            settings.labels.clear();
        });
        vec![
            (narrow, "nowhere".to_string()),
            (wide, "nowhere".to_string()),
            (never_made, settings(location).secret.clone()),
        ]
    }

    fn spellings(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        let spelt = |spell: &dyn Fn(String) -> String| {
            changed(location, |settings| settings.kubeconfig = settings.kubeconfig.take().map(spell))
        };
        vec![
            spelt(&|path| format!("./{path}")),
            spelt(&|path| format!(".//./{path}")),
            spelt(&|_| "wide.kubeconfig".to_string()),
            changed(location, |settings| {
                settings.address = settings.address.take().map(|address| address + "/")
            }),
            changed(location, |settings| settings.create = Some(true)),
        ]
    }

    fn bad_names(&self, location: &SinkLocation) -> Vec<SinkLocation> {
        vec![
            changed(location, |settings| settings.namespace = "Mail".to_string()),
            changed(location, |settings| settings.secret = "send_grid".to_string()),
            changed(location, |settings| settings.field = "api key".to_string()),
            changed(location, |settings| settings.field = "..".to_string()),
            changed(location, |settings| settings.restart = vec!["mailer".to_string()]),
            changed(location, |settings| settings.address = Some("shop.example".to_string())),
            changed(location, |settings| settings.labels.extend([("a b".to_string(), String::new())])),
        ]
    }

    async fn value(&self, location: &SinkLocation) -> Value {
        let Some(secret) = self.admin.secret(location).await else { return Value::Nothing };
        match secret["data"].get(&settings(location).field) {
            None => Value::Nothing,
            Some(value) => {
                match String::from_utf8(BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()) {
                    Ok(text) => Value::Text(text),
                    Err(_) => Value::Other,
                }
            }
        }
    }

    async fn older(&self, _: &SinkLocation) -> Vec<String> {
        Vec::new()
    }

    async fn overwrite(&self, location: &SinkLocation, text: &str) {
        let field = &settings(location).field;
        self.admin.change(location, json!({"data": {field: BASE64_STANDARD.encode(text)}})).await;
    }

    async fn adorn(&self, location: &SinkLocation) {
        let about = json!({
            "labels": {"team": "mail", "app.kubernetes.io/part-of": "shop"},
            "annotations": {"acme.example/note": "by hand: \u{e9} \"quoted\""},
            "finalizers": ["acme.example/kept"],
        });
        self.admin
            .change(
                location,
                json!({"metadata": about, "data": {"note": BASE64_STANDARD.encode([0, 255, 10])}}),
            )
            .await;
    }

    async fn adornments(&self, location: &SinkLocation) -> String {
        let secret = self.admin.secret(location).await.unwrap_or(Json::Null);
        let about = &secret["metadata"];
        let parts = [
            &about["labels"],
            &about["annotations"],
            &about["finalizers"],
            &secret["type"],
            &secret["data"]["note"],
        ];
        json!(parts).to_string()
    }

    async fn history(&self, location: &SinkLocation) -> String {
        let secret = self.admin.secret(location).await.unwrap_or(Json::Null);
        let about = &secret["metadata"];
        json!([about["uid"], about["resourceVersion"], about["managedFields"]]).to_string()
    }

    async fn delete(&self, location: &SinkLocation) {
        self.admin.call(Method::DELETE, &path(location), Json::Null).await;
    }

    async fn expire(&self, _: &SinkLocation) {}

    /// The token's own Secret goes, and another token takes its place, as kubelets do it with those of pods.
    async fn end_login(&self, location: &SinkLocation) {
        let file = self.tokens.lock().unwrap()[&settings(location).secret].clone();
        let login = file.file_stem().unwrap().to_str().unwrap().to_string();
        let ended = std::fs::read_to_string(&file).unwrap();
        let secret = format!("/api/v1/namespaces/{NAMESPACE}/secrets/{login}");
        self.admin.call(Method::DELETE, &secret, Json::Null).await;
        // The server remembers for some seconds that a token was good.
        while self.knows(&ended).await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        std::fs::write(&file, self.token("gridkey", &login).await).unwrap();
    }
}
