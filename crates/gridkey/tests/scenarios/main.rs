//! Scenarios: a folder for each claim, with manifests, what is at SendGrid, and what every command says.
//!
//! Each is a test by name, `topic::claim`, over `tests/scenarios/<topic>/<claim>/`. `cargo test -p gridkey
//! --test scenarios TEXT` runs those whose name has the text. `GRIDKEY_BLESS=1 cargo test -p gridkey --test
//! scenarios` writes what the commands say now into `expected.txt`; read the difference before it is
//! committed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod clock;
mod coverage;
mod forms;
mod names;
#[path = "../support/process.rs"]
mod process;
mod script;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod support;
mod tell;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let claims = claims();
    assert!(!claims.is_empty(), "{} has no scenario", folder().display());
    let mut trials: Vec<Trial> = claims
        .iter()
        .cloned()
        .map(|claim| Trial::test(name(&claim), move || goes_as_it_is_written_down(&claim)))
        .collect();
    trials.push(Trial::test("every_action_and_reason_stands_in_some_scenario", move || {
        coverage::check(&claims);
        Ok(())
    }));
    trials.push(Trial::test("dates_of_one_run_have_one_order", || {
        names::dates_of_one_run_have_one_order();
        Ok(())
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios")
}

/// The folders of all scenarios, by topic and claim.
fn claims() -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut claims: Vec<_> = entries(&folder()).iter().flat_map(|topic| entries(topic)).collect();
    claims.sort();
    claims
}

/// `topic::claim`
fn name(claim: &Path) -> String {
    let part = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    format!("{}::{}", part(claim.parent().unwrap()), part(claim))
}

fn goes_as_it_is_written_down(claim: &Path) -> Result<(), Failed> {
    // The process is waited for here, and SendGrid answers from the other thread.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let told = runtime.block_on(tell::tell(claim));
    let path = claim.join("expected.txt");
    if std::env::var_os("GRIDKEY_BLESS").is_some() {
        std::fs::write(&path, &told).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if told == expected {
        return Ok(());
    }
    let diff = similar::TextDiff::from_lines(&expected, &told);
    let diff = diff.unified_diff().header("expected", "told").to_string();
    Err(format!("{diff}\nGRIDKEY_BLESS=1 writes down what is told now").into())
}
