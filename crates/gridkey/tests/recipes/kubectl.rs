//! `kubectl`, the client itself, on a real API server.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tempfile::TempDir;

use crate::bench::Bench;
use crate::page;
use crate::server::{Server, free_port, programs};

/// How often it is asked whether it is ready; each takes a moment.
const ATTEMPTS: usize = 1_000;

struct Cluster {
    folder: TempDir,
    api: Server,
    _etcd: Server,
    kubectl: PathBuf,
}

impl Cluster {
    fn start() -> Option<Self> {
        let [kubectl, etcd, api, openssl] =
            programs("KUBERNETES", ["kubectl", "etcd", "kubernetes/kube-apiserver", "openssl"])?;
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
        for arguments in [
            ["genrsa", "-out", &path("sa.key"), "2048", ""],
            ["rsa", "-in", &path("sa.key"), "-pubout", &format!("-out={}", path("sa.pub"))],
        ] {
            let arguments = arguments.iter().filter(|argument| !argument.is_empty());
            let arguments = arguments.flat_map(|argument| argument.split('='));
            assert!(Command::new(&openssl).args(arguments).output().unwrap().status.success());
        }
        let tokens = "admin-of-the-test,admin,admin,\"system:masters\"\nwriter-of-the-test,writer,writer\n";
        std::fs::write(path("tokens.csv"), tokens).unwrap();
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
            format!("--service-account-key-file={}", path("sa.pub")),
            format!("--service-account-signing-key-file={}", path("sa.key")),
            "--service-cluster-ip-range=10.96.0.0/16".to_string(),
            "--endpoint-reconciler-type=none".to_string(),
            "--enable-priority-and-fairness=false".to_string(),
            "--profiling=false".to_string(),
        ]);
        let api = Server::start(command);
        api.says("Serving securely on");
        let authority = BASE64_STANDARD.encode(std::fs::read(path("certificates/apiserver.crt")).unwrap());
        for user in ["admin", "writer", "other"] {
            let config = format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
                 clusters: [{{name: test, cluster: {{server: \"https://127.0.0.1:{port}\", certificate-authority-data: {authority}}}}}]\n\
                 users: [{{name: test, user: {{token: {user}-of-the-test}}}}]\n\
                 contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n"
            );
            std::fs::write(path(user), config).unwrap();
        }
        let cluster = Self { folder, api, _etcd: etcd, kubectl };
        let ready = (0..ATTEMPTS).any(|_| cluster.admin(&["get", "--raw=/readyz"]).as_deref() == Some("ok"));
        assert!(ready, "the API server gets ready");
        Some(cluster)
    }

    fn login(&self, user: &str) -> String {
        self.folder.path().join(user).to_str().unwrap().to_string()
    }

    /// What the client says to the administrator; `None` where it fails.
    fn admin(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(&self.kubectl);
        command.args(arguments).env("KUBECONFIG", self.login("admin")).env("HOME", self.folder.path());
        let output = command.output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn apply(&self, folder: &Path, text: &str) {
        let path = folder.join("object.yaml");
        std::fs::write(&path, text).unwrap();
        self.admin(&["apply", "--namespace=mail-prod", "-f", path.to_str().unwrap()]).unwrap();
    }

    fn field(&self, name: &str) -> Option<String> {
        let output = format!("--output=jsonpath={{.data.{name}}}");
        let text = self.admin(&["get", "secret", "sendgrid", "--namespace=mail-prod", &output])?;
        let text = String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap();
        (!text.is_empty()).then_some(text)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_keeps_its_promises_and_other_fields_stay() {
    let Some(mut cluster) = Cluster::start() else { return };
    let mut bench = Bench::new("kubectl", ("kubectl", &cluster.kubectl)).await.with_both();
    for (user, says) in [("other", "provide credentials"), ("writer", "forbidden")] {
        bench.set("KUBECONFIG", &cluster.login(user));
        bench.is_blocked(says);
    }
    // An administrator may look into a namespace that is not there.
    bench.set("KUBECONFIG", &cluster.login("admin"));
    bench.run(&["apply", "--yes"]).ends(4).says("namespaces \"mail-prod\" not found");
    cluster.admin(&["create", "namespace", "mail-prod"]).unwrap();
    let folder = bench.path("temporary");
    cluster.apply(&folder, &page::blocks("kubectl", "yaml")[1]);
    let binding = ["create", "rolebinding", "gridkey", "--role=gridkey", "--user=writer"];
    cluster.admin(&[&binding[..], &["--namespace=mail-prod"]].concat()).unwrap();
    bench.set("KUBECONFIG", &cluster.login("writer"));
    bench.keeps_its_promises(|key| cluster.field(key));
    let patch = ["patch", "secret", "sendgrid", "--namespace=mail-prod", "--type=merge"];
    let note = format!("--patch={{\"data\":{{\"note\":\"{}\"}}}}", BASE64_STANDARD.encode("by hand"));
    cluster.admin(&[&patch[..], &[note.as_str()]].concat()).unwrap();
    bench.run(&["apply", "--yes", "--rotate", "prod/*"]).ends(0);
    assert_eq!(cluster.field("note").as_deref(), Some("by hand"));
    let annotations = ["get", "secret", "sendgrid", "--namespace=mail-prod"];
    let output = "--output=jsonpath={.metadata.annotations}";
    assert_eq!(cluster.admin(&[&annotations[..], &[output]].concat()).as_deref(), Some(""));
    for key in ["mailer", "reports"] {
        bench.works(key, |key| cluster.field(key));
    }
    cluster.api.stop();
    bench.rotation_is_blocked("refused");
}
