//! The sandbox: every kind works, nothing leaves its folder, and no command is run.

use std::fs;

use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::{Known, SinkKind, SinkLocation, SinkSettings};
use gridkey_engine::ports::{PutError, SinkError, SinkFault, SinkReader, SinkWriter};
use gridkey_sinks::Sinks;

use super::{at, dotenv, holds, json, key, secret, vault, yaml};

/// A location of every kind, two for those that differ by their settings.
fn every_kind() -> Vec<SinkLocation> {
    let settings = |text: &str| -> SinkLocation { at(serde_json::from_str::<SinkSettings>(text).unwrap()) };
    let all = vec![
        dotenv("a/.env", "KEY"),
        dotenv("../../outside.env", "KEY"),
        json("/etc/gridkey.json", "/key"),
        yaml("a.yaml", "/key"),
        settings(r#"{"age": {"path": "a.age", "recipients": []}}"#),
        settings(r#"{"sops": {"path": "secrets.yaml", "pointer": "/key"}}"#),
        settings(r#"{"command": {"put": ["touch", "ran"], "read": ["touch", "ran"]}}"#),
        settings(r#"{"command": {"put": ["/bin/false"], "remove": ["/bin/false"]}}"#),
        vault("key"),
        settings(r#"{"aws_secrets_manager": {"region": "eu-west-1", "secret": "a"}}"#),
        settings(r#"{"aws_ssm": {"region": "eu-west-1", "parameter": "/a/b"}}"#),
        settings(r#"{"gcp_secret_manager": {"project": "p", "secret": "s"}}"#),
        settings(r#"{"azure_key_vault": {"vault": "https://a.vault.azure.net", "secret": "s"}}"#),
        settings(r#"{"kubernetes": {"namespace": "n", "secret": "s", "field": "f"}}"#),
        settings(r#"{"github_actions": {"repository": "a/b", "secret": "S"}}"#),
        settings(r#"{"gitlab_ci": {"project": "a/b", "variable": "S"}}"#),
    ];
    for kind in SinkKind::ALL {
        assert!(all.iter().any(|location| location.at.kind() == kind), "{kind} is missing");
    }
    all
}

#[tokio::test]
async fn every_kind_keeps_its_value_inside_and_is_as_readable_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("sinks");
    let sinks = Sinks::sandboxed(root.clone());
    let locations = every_kind();
    for location in &locations {
        sinks.check(location).await.unwrap();
        sinks.put(location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
    }
    for location in &locations {
        let path = sinks.path_of(location).unwrap();
        assert!(path.starts_with(&root), "{location}");
        assert!(fs::read_to_string(&path).unwrap().contains(&key('a')), "{location}");
        if !location.at.is_readable() {
            assert_eq!(sinks.observe(location, None).await, SinkObservation::WriteOnly, "{location}");
            let receipt = sinks.put(location, &secret('a'), &SinkContent::Empty, None).await.unwrap();
            // As age files and GitHub do: that it was written since; which key is there age files say alone.
            if let Some(receipt) = receipt {
                let known = Known { id: secret('a').key_id().unwrap(), receipt };
                let seen = sinks.observe(location, Some(&known)).await;
                assert_eq!(seen, SinkObservation::Holds(holds('a')), "{location}");
                sinks.put(location, &secret('c'), &SinkContent::Empty, None).await.unwrap();
                let seen = sinks.observe(location, Some(&known)).await;
                let other = if location.at.tells_key() { holds('c') } else { SinkContent::Other };
                assert_eq!(seen, SinkObservation::Holds(other), "{location}");
                fs::remove_file(&path).unwrap();
                let seen = sinks.observe(location, Some(&known)).await;
                assert_eq!(seen, SinkObservation::Holds(SinkContent::Empty), "{location}");
            }
            assert!(
                matches!(sinks.read(location).await, Err(SinkError { fault: SinkFault::Unsupported, .. })),
                "{location}"
            );
            sinks.put(location, &secret('b'), &SinkContent::Empty, None).await.unwrap();
            continue;
        }
        assert_eq!(sinks.observe(location, None).await, SinkObservation::Holds(holds('a')), "{location}");
        assert_eq!(sinks.read(location).await.unwrap().unwrap().expose(), key('a'));
        let other = sinks.put(location, &secret('b'), &SinkContent::Empty, None).await;
        assert!(matches!(other, Err(PutError::Refused(_))), "{location}");
    }
    for location in &locations {
        let removed = sinks.remove(location).await;
        match &*location.at {
            SinkSettings::Command(settings) if settings.remove.is_none() => {
                assert!(
                    matches!(removed, Err(SinkError { fault: SinkFault::Unsupported, .. })),
                    "{location}"
                );
            }
            _ => removed.unwrap(),
        }
    }
    let outside: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(outside, [root], "nothing else was made, and no command was run");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_does_not_lead_out_of_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("sinks");
    fs::create_dir_all(root.join("files")).unwrap();
    fs::write(folder.path().join("real.env"), "KEY=mine\n").unwrap();
    std::os::unix::fs::symlink("../../real.env", root.join("files/.env")).unwrap();
    std::os::unix::fs::symlink("../..", root.join("files/up")).unwrap();
    let sinks = Sinks::sandboxed(root);
    for location in [dotenv(".env", "KEY"), dotenv("up/new.env", "KEY")] {
        let message =
            sinks.put(&location, &secret('a'), &SinkContent::Other, None).await.unwrap_err().to_string();
        assert!(message.contains("a link leads out of"), "{message}");
    }
    assert_eq!(fs::read_to_string(folder.path().join("real.env")).unwrap(), "KEY=mine\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
