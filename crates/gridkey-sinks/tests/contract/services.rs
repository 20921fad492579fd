//! Every service of the suite, each started for the first test that needs it.

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::service::{Listed, Service};
use crate::{age, aws, azure, gcp, github, gitlab, kubernetes, sops, vault};

/// A kind of sink is a module and a line here.
pub const SERVICES: &[Listed] = &[
    github::LISTED,
    gitlab::LISTED,
    kubernetes::LISTED,
    vault::LISTED,
    aws::SECRETS,
    aws::PARAMETERS,
    azure::LISTED,
    gcp::LISTED,
    age::LISTED,
    sops::LISTED,
];

/// A service that is started for the first test that needs it.
pub struct Lazy {
    pub listed: Listed,
    started: OnceCell<Result<Arc<dyn Service>, String>>,
}

impl Lazy {
    /// All of them, none of which is started.
    pub fn all() -> Vec<Arc<Self>> {
        SERVICES.iter().map(|listed| Arc::new(Self { listed: *listed, started: OnceCell::new() })).collect()
    }

    /// The service, which is started where it is not; nothing where this machine cannot.
    pub async fn get(&self) -> Option<Arc<dyn Service>> {
        if !gridkey_sinks::supports(self.listed.kind) {
            println!("skipped {}: it is a feature that this build is without", self.listed.kind);
            return None;
        }
        let started = self.started.get_or_init(async || {
            let started = (self.listed.start)().await.map(Arc::from);
            if let Err(reason) = &started {
                println!("skipped {}: {reason}", self.listed.kind);
            }
            started
        });
        match started.await {
            Ok(service) => Some(service.clone()),
            Err(reason) => {
                let required = std::env::var_os(format!("GRIDKEY_REQUIRE_{}", self.listed.required));
                assert!(required.is_none(), "{reason}");
                None
            }
        }
    }
}
