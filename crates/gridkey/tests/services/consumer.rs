//! A program that reads its key where it was delivered, whenever it needs it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gridkey_core::SinkKind;
use gridkey_emulator::RateLimit;
use reqwest::StatusCode;
use serde_json::json;
use tokio::sync::watch;

use crate::Services;
use crate::place::{MAILER, Place};
use crate::service::Value;

const ROTATIONS: usize = 20;

/// Rotations whose older keys are released once the program has read the newer one: no request is refused.
pub async fn holds(services: Arc<Services>) {
    let place = Place::new(&services, "fields-read", &[SinkKind::Kubernetes, SinkKind::Vault]).await;
    if place.targets.is_empty() {
        return;
    }
    // It sends more than SendGrid takes of one account.
    place.server.model().settings_mut().rate_limit = RateLimit { requests: u32::MAX, seconds: 60 };
    place.run(&["apply", "--yes"]).ends(0);
    place.held_everywhere().await;
    let url = format!("{}/v3/mail/send", place.server.url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let is_over = AtomicBool::new(false);
    let (rounds, mut of_the_program) = watch::channel(0_usize);
    let program = async {
        let (mut refused, mut keys) = (Vec::new(), BTreeSet::new());
        while !is_over.load(Ordering::SeqCst) {
            for target in &place.targets {
                let Value::Text(key) = target.value().await else {
                    refused.push(format!("{} holds no key", target.kind()));
                    continue;
                };
                let status = send(&client, &url, &key).await;
                if !status.is_success() {
                    refused.push(format!("{status} with the key of {}", target.kind()));
                }
                keys.insert(key);
            }
            rounds.send_modify(|rounds| *rounds += 1);
        }
        (refused, keys.len(), *rounds.borrow())
    };
    let rotations = async {
        for _ in 0..ROTATIONS {
            run(&place, &["rotate", MAILER, "--revoke-old", "hold", "--yes"]).await;
            // Whatever it had read before is sent by the end of the round after the one that it is in.
            let after = *of_the_program.borrow_and_update() + 2;
            of_the_program.wait_for(|rounds| *rounds >= after).await.unwrap();
            run(&place, &["retire", MAILER, "--now", "--yes"]).await;
        }
        is_over.store(true, Ordering::SeqCst);
    };
    let ((refused, keys, rounds), ()) = tokio::join!(program, rotations);
    println!(
        "{rounds} rounds of {} requests over {keys} keys, {} refused",
        place.targets.len(),
        refused.len()
    );
    assert_eq!(refused, Vec::<String>::new());
    assert_eq!(keys, ROTATIONS + 1, "it has used every key");
    assert_eq!((place.live().len(), place.made().len()), (1, ROTATIONS + 1));
    place.is_settled();
}

/// Sends a mail that SendGrid only checks.
async fn send(client: &reqwest::Client, url: &str, key: &str) -> StatusCode {
    let mail = json!({
        "personalizations": [{"to": [{"email": "to@example.com"}]}],
        "from": {"email": "from@example.com"},
        "subject": "a test",
        "content": [{"type": "text/plain", "value": "of the test"}],
        "mail_settings": {"sandbox_mode": {"enable": true}},
    });
    let asked =
        client.post(url).bearer_auth(key).header("content-type", "application/json").body(mail.to_string());
    asked.send().await.unwrap().status()
}

/// Runs gridkey while the program goes on.
async fn run(place: &Place, arguments: &[&str]) {
    let mut command = tokio::process::Command::from(place.command(arguments));
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
