//! `op` and `gh`, each by a stand-in that takes what the program's reference documents and the recipe uses, and refuses everything else.

use std::path::PathBuf;

use serde_json::Value;

use crate::bench::Bench;
use crate::page::root;
use crate::server::programs;

/// The stand-in of a program, where there is something to run it.
fn stand_in(name: &str) -> Option<PathBuf> {
    programs("STAND_INS", ["python3"])?;
    Some(root().canonicalize().unwrap().join("crates/gridkey/tests/recipes/stand_ins").join(name))
}

/// What the stand-in holds.
fn held(bench: &Bench, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(bench.path("home/store")).ok()?;
    let items: Value = serde_json::from_str(&text).unwrap();
    items[name].as_str().map(ToString::to_string)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_keeps_its_promises() {
    let Some(program) = stand_in("op") else { return };
    let mut bench = Bench::new("op", ("op", &program)).await;
    bench.is_blocked("No accounts configured");
    for (token, says) in [("ops_other", "Unauthorized"), ("ops_offline", "no such host")] {
        bench.set("OP_SERVICE_ACCOUNT_TOKEN", token);
        bench.is_blocked(says);
    }
    bench.set("OP_SERVICE_ACCOUNT_TOKEN", "ops_writer");
    bench.keeps_its_promises(|key| held(&bench, &format!("sendgrid-prod-{key}")));
}

/// It cannot be read, so what is wrong with it shows when a key is delivered; the next run takes that key back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gh_is_written_to_and_cleared() {
    let Some(program) = stand_in("gh") else { return };
    let mut bench = Bench::new("gh", ("gh", &program)).await.with_both();
    for (token, says) in [("", "exit code 4"), ("github_pat_reader", "HTTP 401")] {
        bench.set("GH_TOKEN", token);
        bench.run(&["apply", "--yes"]).ends(4).says(says);
    }
    bench.set("GH_TOKEN", "github_pat_writer");
    let name = |key: &str| format!("SENDGRID_{}", key.to_uppercase());
    bench.keeps_its_promises(|key| held(&bench, &name(key)));
    assert_eq!(bench.live().iter().filter(|key| key.name == "prod-reports").count(), 1);
    // What is gone from the repository already does not stand in the way.
    std::fs::write(bench.path("home/store"), "{}").unwrap();
    bench.wants(&["reports"]);
    bench.run(&["apply", "--yes"]).ends(0);
}
