//! Hooks: what is done once a delivery is recorded, so that programs that read a key when they start get to know of it.
//!
//! A hook is never given a secret: it is told which key was delivered where.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::credential::Credential;
use crate::key::KeyId;
use crate::name::Name;
use crate::sink::{LocationId, Reached, is_plain_elsewhere, quoted, unless};

/// What is done once a delivery is recorded: at least once for each, and never twice at the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookSettings {
    /// A program on the machine that gridkey runs on.
    Command(HookCommandSettings),
    /// A request to a server, signed as the Standard Webhooks say.
    Webhook(WebhookSettings),
}

/// A program that is run. It is not run through a shell; what was delivered is told on its standard input, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookCommandSettings {
    /// Program and arguments. It must be safe to run again.
    pub run: Vec<String>,
    /// Variables of gridkey's environment that it gets besides `PATH`, `HOME`, the user's name, the locale, the time zone
    /// and the folder for temporary files. Never one that holds a managing key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}

/// A server that is told, by a POST of JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// The address that takes the request. Redirects are not followed.
    pub url: String,
    /// The key that requests are signed with, in base64, with `whsec_` in front or not: 24 to 64 bytes.
    pub signing_key: Credential,
}

/// A hook, and whose deliveries it follows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The sink whose deliveries it follows; without one, all of the key's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<Name>,
    pub does: HookSettings,
}

/// A hook that has not been seen to end well since these locations were given a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DueHook {
    pub hook: Hook,
    pub locations: BTreeSet<LocationId>,
}

/// What a hook is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivered {
    pub format_version: u32,
    /// The same for each try about one delivery, so that a receiver can tell a repetition.
    pub id: String,
    pub event: &'static str,
    pub project: Name,
    pub account: Name,
    pub address: Address,
    /// The id of the key that was delivered, which is no secret.
    pub key: KeyId,
    /// Where it was delivered.
    pub locations: Vec<DeliveredTo>,
    /// When the delivery was recorded, by SendGrid's clock.
    pub at: Timestamp,
}

/// A location that was given a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveredTo {
    pub sink: Name,
    pub kind: &'static str,
    pub place: String,
}

impl Delivered {
    /// The version of the document; a field that is added does not raise it.
    pub const FORMAT_VERSION: u32 = 1;

    /// What happened.
    pub const EVENT: &'static str = "key.delivered";
}

impl Hook {
    /// Whether it follows a delivery to a sink.
    pub fn follows(&self, sink: &Name) -> bool {
        self.sink.as_ref().is_none_or(|own| own == sink)
    }

    /// Where it is said, in the words of messages.
    pub fn whose(&self) -> String {
        match &self.sink {
            Some(sink) => format!("`after_delivery` of sink `{sink}`"),
            None => "`after_delivery`".to_string(),
        }
    }
}

impl fmt::Display for HookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(HookCommandSettings { run, env: _ }) => {
                let words: Vec<Cow<'_, str>> = run.iter().map(|word| quoted(word)).collect();
                write!(f, "runs {}", words.join(" "))
            }
            Self::Webhook(WebhookSettings { url, signing_key: _ }) => write!(f, "calls {url}"),
        }
    }
}

impl HookSettings {
    /// What can be told to be wrong before it is used: fields, and what they can be.
    pub(crate) fn faults(&self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Command(HookCommandSettings { run, env: _ }) => {
                let has_program = run.first().is_some_and(|word| !word.trim().is_empty());
                vec![("run", unless(has_program, "it starts with a program"))]
            }
            Self::Webhook(WebhookSettings { url, signing_key: _ }) => vec![("url", fault_of_url(url))],
        }
    }

    /// What it runs or talks to.
    pub(crate) fn reaches(&self) -> Vec<Reached<'_>> {
        match self {
            Self::Command(HookCommandSettings { run, env: _ }) => vec![Reached::Command(run)],
            Self::Webhook(WebhookSettings { url, signing_key }) => {
                let program = match signing_key {
                    Credential::Command(command) => Some(Reached::Command(command)),
                    Credential::Env(_) | Credential::File(_) => None,
                };
                std::iter::once(Reached::Endpoint(url)).chain(program).collect()
            }
        }
    }

    /// Variables of gridkey's environment that its program gets.
    pub(crate) fn environment(&self) -> &[String] {
        match self {
            Self::Command(HookCommandSettings { run: _, env }) => env,
            Self::Webhook(_) => &[],
        }
    }
}

fn fault_of_url(url: &str) -> &'static str {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    if authority.is_some_and(|authority| authority.contains('@')) || url.contains('#') {
        return "an address has a host, a path and perhaps a query; no user or password stands in it";
    }
    if is_plain_elsewhere(url) {
        return "plain HTTP can be changed on the way: use `https://`; `http://` is for this machine alone";
    }
    let is_whole = authority.is_some_and(|authority| !authority.is_empty());
    unless(is_whole && !url.contains(char::is_whitespace), "an address starts with `https://`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(url: &str) -> HookSettings {
        let signing_key = Credential::Env("SIGNING_KEY".to_string());
        HookSettings::Webhook(WebhookSettings { url: url.to_string(), signing_key })
    }

    #[test]
    fn a_webhook_has_an_address_that_nobody_can_change_on_the_way() {
        let fault = |url| webhook(url).faults()[0].1;
        for good in [
            "https://deploy.example.com/hooks/keys?service=web",
            "http://127.0.0.1:8080/hook",
            "https://deploy.example.com:8443",
        ] {
            assert_eq!(fault(good), "", "{good}");
        }
        for (bad, word) in [
            ("deploy.example.com/hook", "starts with"),
            ("https://", "starts with"),
            ("https://deploy.example.com/a b", "starts with"),
            ("https://me:secret@deploy.example.com", "no user"),
            ("https://deploy.example.com/#part", "no user"),
            ("http://deploy.example.com", "plain HTTP"),
        ] {
            assert!(fault(bad).contains(word), "{bad}: {}", fault(bad));
        }
    }

    #[test]
    fn hooks_are_told_as_a_person_would() {
        let command = HookCommandSettings {
            run: ["kubectl", "rollout", "restart", "deploy/the mailer"].map(String::from).into(),
            env: Vec::new(),
        };
        assert_eq!(
            HookSettings::Command(command).to_string(),
            "runs kubectl rollout restart 'deploy/the mailer'"
        );
        assert_eq!(webhook("https://example.com/hook").to_string(), "calls https://example.com/hook");
    }
}
