//! The whole program over every kind of sink: the real process, an emulated SendGrid, and the servers, doubles and programs that the
//! contract suite of `gridkey-sinks` has.
//!
//! Where a program that a service needs is missing, what needs it says so and does nothing; `GRIDKEY_REQUIRE_…` lets it fail
//! instead. `GRIDKEY_KILLS=100` kills so many runs rather than 12, and `GRIDKEY_KILLS_SEED=n` kills them as another time.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it ran and skipped"
)]

mod blocked;
mod consumer;
#[path = "../../../gridkey-sinks/tests/contract"]
#[allow(dead_code, unused_imports, reason = "the contract suite's own, of which this one uses a part")]
mod contract {
    pub mod age;
    pub mod aws;
    pub mod azure;
    pub mod bench;
    pub mod claim;
    pub mod gcp;
    pub mod github;
    pub mod gitlab;
    pub mod kubernetes;
    pub mod own;
    pub mod programs;
    pub mod proxy;
    pub mod server;
    pub mod service;
    pub mod services;
    pub mod sops;
    pub mod vault;
    pub mod wire;
}
mod dies;
mod everywhere;
mod killed;
mod place;
#[path = "../support/process.rs"]
mod process;
mod target;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

// The modules of the contract suite name each other so.
use contract::{
    age, aws, azure, bench, claim, gcp, github, gitlab, kubernetes, own, programs, proxy, server, service,
    services, sops, vault, wire,
};
use gridkey_core::SinkKind;
use libtest_mimic::{Arguments, Trial};

use crate::claim::Claim;
use crate::services::Lazy;

/// The services of all tests, each started for the first that needs it.
pub struct Services(Vec<Arc<Lazy>>);

type Running = Pin<Box<dyn Future<Output = ()>>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime =
        Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    let services = Arc::new(Services(Lazy::all()));
    let test = |name: &str, test: fn(Arc<Services>) -> Running| {
        let (services, runtime) = (services.clone(), runtime.clone());
        Trial::test(name, move || {
            runtime.block_on(test(services));
            Ok(())
        })
    };
    let of_kind = |name: &str, kind: SinkKind, test: fn(Arc<Services>, SinkKind) -> Running| {
        let (services, runtime) = (services.clone(), runtime.clone());
        Trial::test(format!("{name}::{kind}"), move || {
            runtime.block_on(test(services, kind));
            Ok(())
        })
    };
    let mut trials = vec![
        test("every_kind_has_the_key_and_then_the_next", |services| Box::pin(everywhere::holds(services))),
        test("a_run_that_is_killed_leaves_no_orphan_and_loses_no_key", |services| {
            Box::pin(killed::holds(services))
        }),
        test("a_program_that_reads_its_key_is_never_refused", |services| Box::pin(consumer::holds(services))),
    ];
    for listed in services.0.iter().map(|service| service.listed) {
        let (kind, applies) = (listed.kind, |claim| (listed.not_applicable)(claim).is_none());
        if applies(Claim::NowhereIsNotEmpty) {
            trials.push(of_kind("a_container_that_is_not_there_changes_nothing", kind, |services, kind| {
                Box::pin(blocked::by_a_container(services, kind))
            }));
        }
        if applies(Claim::Unauthorised) {
            trials.push(of_kind("a_credential_that_may_not_write", kind, |services, kind| {
                Box::pin(blocked::by_a_credential(services, kind))
            }));
        }
        if applies(Claim::Unreachable) {
            trials.push(of_kind("a_service_that_dies_before_the_delivery", kind, |services, kind| {
                Box::pin(dies::before_the_delivery(services, kind))
            }));
            trials.push(of_kind("a_service_that_dies_with_the_only_secret", kind, |services, kind| {
                Box::pin(dies::with_the_only_secret(services, kind))
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // What was started is stopped when the last that holds it goes.
    drop(services);
    conclusion.exit_code()
}
