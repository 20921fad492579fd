//! `vault`, on OpenBao: the server in its development mode, and the client under the name of Vault's.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::Bench;
use crate::page;
use crate::server::{Server, free_port, programs};

const ROOT: &str = "root-of-the-test";

struct Vault {
    server: Server,
    address: String,
    program: PathBuf,
}

impl Vault {
    fn start() -> Option<Self> {
        let [program] = programs("OPENBAO", ["openbao/bin/bao"])?;
        let port = free_port();
        let mut command = Command::new(&program);
        command.args(["server", "-dev", "-dev-no-store-token", &format!("-dev-root-token-id={ROOT}")]);
        command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
        let server = Server::start(command);
        server.says("Development mode should NOT be used");
        Some(Self { server, address: format!("http://127.0.0.1:{port}"), program })
    }

    /// What the client says as root; `None` where it fails.
    fn root(&self, arguments: &[&str], home: &Path) -> Option<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("HOME", home);
        command.env("VAULT_ADDR", &self.address).env("VAULT_TOKEN", ROOT);
        let output = command.output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// A project whose token has the policy of the page, and no more.
    async fn bench(&self) -> Bench {
        let mut bench = Bench::new("vault", ("vault", &self.program)).await.with_both();
        let home = bench.path("home");
        let policy = bench.path("policy");
        std::fs::write(&policy, page::block("vault", "hcl")).unwrap();
        self.root(&["policy", "write", "gridkey", policy.to_str().unwrap()], &home).unwrap();
        let token = self.root(&["token", "create", "-policy=gridkey", "-field=token"], &home).unwrap();
        bench.set("VAULT_ADDR", &self.address);
        bench.set("VAULT_TOKEN", &token);
        bench
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vault_keeps_its_promises_and_other_fields_stay() {
    let Some(vault) = Vault::start() else { return };
    let bench = vault.bench().await;
    let home = bench.path("home");
    let field = |name: &str| {
        let field = format!("-field={name}");
        vault.root(&["kv", "get", "-mount=secret", &field, "mail/prod"], &home)
    };
    bench.keeps_its_promises(field);
    vault.root(&["kv", "patch", "-mount=secret", "mail/prod", "note=by hand"], &home).unwrap();
    bench.run(&["apply", "--yes", "--rotate", "prod/*"]).ends(0);
    assert_eq!(field("note").as_deref(), Some("by hand"));
    // A deleted version can be had back, so it is not an empty place.
    vault.root(&["kv", "delete", "-mount=secret", "mail/prod"], &home).unwrap();
    bench.rotation_is_blocked("No data found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_made_for_a_vault_that_cannot_be_asked() {
    let Some(mut vault) = Vault::start() else { return };
    let mut bench = vault.bench().await;
    for token in ["", "wrong"] {
        bench.set("VAULT_TOKEN", token);
        bench.is_blocked("Code: 403");
    }
    let home = bench.path("home");
    let token = vault.root(&["token", "create", "-policy=default", "-field=token"], &home).unwrap();
    bench.set("VAULT_TOKEN", &token);
    bench.is_blocked("Code: 403");
    vault.server.stop();
    bench.is_blocked("connection refused");
}

/// It writes secrets as a whole, which would take other fields away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_a_kv_mount_of_version_1_stays() {
    let Some(vault) = Vault::start() else { return };
    let mut bench = vault.bench().await;
    let home = bench.path("home");
    bench.set("VAULT_TOKEN", ROOT);
    for arguments in [
        &["secrets", "disable", "secret"][..],
        &["secrets", "enable", "-path=secret", "-version=1", "kv"],
        &["kv", "put", "-mount=secret", "mail/prod", "note=by hand"],
    ] {
        vault.root(arguments, &home).unwrap();
    }
    bench.run(&["apply", "--yes"]).ends(4).says("must be version 2");
    let note = vault.root(&["kv", "get", "-mount=secret", "-field=note", "mail/prod"], &home);
    assert_eq!(note.as_deref(), Some("by hand"));
}
