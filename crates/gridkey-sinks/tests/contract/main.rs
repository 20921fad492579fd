//! One contract, held by every sink, against a real server of its kind or a double that the vendor's own client has judged.
//!
//! Each claim about each service is a test by name: `cargo test -p gridkey-sinks --test contract -- vault::put`. Where a
//! program that a service needs is missing, its tests say so and do nothing; `GRIDKEY_REQUIRE_…` lets them fail instead.
//! `GRIDKEY_BLESS=1 cargo test -p gridkey-sinks --test contract -- table` writes the table of `docs/reference/sinks.md`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it skips"
)]

mod age;
mod aws;
mod azure;
mod bench;
mod claim;
mod claims;
mod gcp;
mod github;
mod gitlab;
mod kubernetes;
mod own;
mod programs;
mod proxy;
mod server;
mod service;
mod services;
mod sops;
mod table;
mod vault;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;

use gridkey_core::SinkKind;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use crate::bench::Bench;
use crate::claim::Claim;
use crate::own::Own;
use crate::services::{Lazy, SERVICES};

/// What is true of one kind alone, by kind.
const OWN: &[(SinkKind, &[Own])] = &[(SinkKind::Kubernetes, kubernetes::OWN), (SinkKind::Vault, vault::OWN)];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime =
        Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    let services = Lazy::all();
    let mut trials = vec![Trial::test("table", || table::check(SERVICES).map_err(Failed::from))];
    for service in &services {
        trials.extend(trials_of(service, &runtime));
    }
    trials.extend(aws::trials(&runtime));
    let conclusion = libtest_mimic::run(&arguments, trials);
    // What was started is stopped when the last that holds it goes.
    drop(services);
    conclusion.exit_code()
}

fn trials_of(service: &Arc<Lazy>, runtime: &Arc<Runtime>) -> Vec<Trial> {
    let listed = service.listed;
    let claims = Claim::ALL.into_iter().filter(move |(claim, ..)| (listed.not_applicable)(*claim).is_none());
    let of_claim = |(claim, name, _): (Claim, &'static str, &'static str)| {
        let (service, runtime) = (service.clone(), runtime.clone());
        let title = format!("{}::{}", listed.kind, name.replace(' ', "_").replace(',', ""));
        Trial::test(title, move || {
            runtime.block_on(async {
                let Some(service) = service.get().await else { return };
                claims::holds(claim, &Bench::new(service, listed.traits, name).await).await;
            });
            Ok(())
        })
    };
    let is_as_listed = {
        let (service, runtime) = (service.clone(), runtime.clone());
        Trial::test(format!("{}::is_as_listed", listed.kind), move || {
            runtime.block_on(async {
                let Some(running) = service.get().await else { return };
                if let Some(server) = running.server() {
                    assert_eq!(server, listed.server);
                }
            });
            Ok(())
        })
    };
    let own = OWN.iter().filter(move |(kind, _)| *kind == listed.kind).flat_map(|(_, own)| own.iter());
    let of_own = |own: &Own| {
        let (service, runtime, Own { name, holds }) = (service.clone(), runtime.clone(), *own);
        Trial::test(format!("{}::{name}", listed.kind), move || {
            runtime.block_on(async {
                let Some(service) = service.get().await else { return };
                holds(&Bench::new(service, listed.traits, name).await).await;
            });
            Ok(())
        })
    };
    claims.map(of_claim).chain([is_as_listed]).chain(own.map(of_own)).collect()
}
