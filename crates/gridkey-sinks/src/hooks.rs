//! Hooks: programs and servers that are told of deliveries.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridkey_core::credential::Credential;
use gridkey_core::hook::{Delivered, HookCommandSettings, HookSettings, WebhookSettings};
use gridkey_engine::Cancel;
use gridkey_engine::ports::{HookError, HookRunner};
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use crate::command::{Commands, Ended, Task, Unended, failure};
use crate::http::{self, Answer, Tls, Unanswered, shown};
use crate::machine::Machine;
use crate::stop::Stop;

/// The longest that a hook may take. A restart is asked for within it, and seldom over.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The same, and a little.
const DEADLINE: Duration = Duration::from_secs(TIME_LIMIT.as_secs() + 5);

/// How often a server is told that gave no answer, or had a fault of its own; it can tell a repetition by the id.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// What stands before the key of a webhook, where it is written as the Standard Webhooks have it.
const KEY_PREFIX: &str = "whsec_";

/// How long a key of a webhook is, in bytes.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// Runs the hooks of one manifest.
///
/// *Guarantees*: no shell, no redirect, nothing secret in what is told; a hook ends within its deadline, and a program ends with
/// the run that started it.
/// *Caveats*: of a hook that did not end well, nobody knows what it brought about.
pub struct Hooks {
    commands: Commands,
    machine: Machine,
    is_sandboxed: bool,
}

impl Hooks {
    /// Hooks as the manifest means them; the arguments are those of [`Sinks::new`](crate::Sinks::new).
    pub fn new(base: PathBuf, search_path: Vec<PathBuf>) -> Self {
        Self {
            commands: Commands::new(&base, search_path).with_limit(TIME_LIMIT),
            machine: Machine::new(base),
            is_sandboxed: false,
        }
    }

    /// Hooks for trying things out: no program is run, and no server is asked.
    pub fn sandboxed(base: PathBuf) -> Self {
        Self { is_sandboxed: true, ..Self::new(base, Vec::new()) }
    }

    /// Ends hooks a moment after the run is told to stop.
    #[must_use]
    pub fn with_stop(mut self, stop: Cancel) -> Self {
        self.commands.stop = Stop::new(stop);
        self
    }

    async fn command(&self, settings: &HookCommandSettings, told: &[u8]) -> Result<(), HookError> {
        let HookCommandSettings { run, env } = settings;
        match self.commands.run(run, env, Task::Tell(told)).await {
            Ok(Ended { status, .. }) if status.success() => Ok(()),
            Ok(Ended { status, errors, .. }) => Err(HookError::new(failure(run, env, status, &errors, None))),
            Err(Unended::NotStarted(message) | Unended::Lost(message)) => Err(HookError::new(message)),
        }
    }

    async fn signing_key(&self, credential: &Credential) -> Result<hmac::Key, HookError> {
        let key = self.machine.credential(credential).await?;
        signing(key.trim())
    }

    async fn webhook(&self, settings: &WebhookSettings, id: &str, told: Vec<u8>) -> Result<(), HookError> {
        let WebhookSettings { url, signing_key } = settings;
        let url = http::url(url)?;
        let key = self.signing_key(signing_key).await?;
        let client = self.machine.http.client(&Tls::default())?;
        let mut last = HookError::new("it was not called");
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE * attempt).await;
            }
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let signature = signature(&key, id, at, &told);
            let request = || {
                client
                    .post(url.clone())
                    .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                    .header("webhook-id", id)
                    .header("webhook-timestamp", at)
                    .header("webhook-signature", &signature)
                    .body(told.clone())
            };
            match http::send(request).await {
                Ok(answer) if answer.is_success() => return Ok(()),
                Ok(answer) => {
                    last = refused(&answer);
                    if answer.status < 500 {
                        break;
                    }
                }
                Err(Unanswered::NotSent(error) | Unanswered::Lost(error)) => last = error.into(),
            }
        }
        Err(last)
    }
}

#[async_trait]
impl HookRunner for Hooks {
    async fn run(&self, does: &HookSettings, delivered: &Delivered) -> Result<(), HookError> {
        let told = serde_json::to_vec(delivered).expect("what a hook is told is plain data");
        let run = async {
            match does {
                HookSettings::Command(settings) => self.command(settings, &told).await,
                HookSettings::Webhook(settings) => self.webhook(settings, &delivered.id, told.clone()).await,
            }
        };
        tokio::time::timeout(DEADLINE, run).await.unwrap_or_else(|_| {
            Err(HookError::new(format!("it did not end within {} seconds", DEADLINE.as_secs())))
        })
    }

    async fn check(&self, does: &HookSettings) -> Result<(), HookError> {
        match does {
            HookSettings::Command(HookCommandSettings { run, env: _ }) => {
                let missing = self.commands.missing(run).map_err(HookError::new)?;
                missing.map_or(Ok(()), |missing| Err(HookError::new(missing)))
            }
            HookSettings::Webhook(WebhookSettings { url: _, signing_key }) => {
                self.signing_key(signing_key).await.map(drop)
            }
        }
    }

    fn is_sandboxed(&self) -> bool {
        self.is_sandboxed
    }

    fn deadline(&self, _does: &HookSettings) -> Duration {
        DEADLINE
    }
}

/// The key of a webhook, from its text.
fn signing(text: &str) -> Result<hmac::Key, HookError> {
    let encoded = text.strip_prefix(KEY_PREFIX).unwrap_or(text);
    let bytes = STANDARD.decode(encoded).map(zeroize::Zeroizing::new).ok();
    let bytes = bytes.filter(|bytes| KEY_LENGTH.contains(&bytes.len())).ok_or_else(|| HookError {
        message: "the `signing_key` is not 24 to 64 bytes in base64".to_string(),
        help: Some("make one with `openssl rand -base64 32`, and give it to the receiver too".to_string()),
    })?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// What the Standard Webhooks call the signature, version 1.
fn signature(key: &hmac::Key, id: &str, at: u64, told: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{id}.{at}.").as_bytes());
    context.update(told);
    format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
}

fn refused(answer: &Answer) -> HookError {
    let said = shown(&String::from_utf8_lossy(&answer.body));
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let help = match answer.status {
        401 | 403 => Some("see whether the receiver has the same `signing_key`, and its clock the same time"),
        404 | 405 => Some("see whether `url` is the receiver's address"),
        300..=399 => Some("redirects are not followed: give `url` the address that it leads to"),
        _ => None,
    };
    let message = format!("it answered with status {}{said}", answer.status);
    HookError { message, help: help.map(String::from) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks' own reference libraries.
    #[test]
    fn a_request_is_signed_as_the_standard_says() {
        let key = signing("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let told = br#"{"test": 2432232314}"#;
        assert_eq!(
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, told),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_key_that_is_none_is_not_quoted() {
        for text in ["", "short", "whsec_", "aGVsbG8=", "not base64 at all, but long enough to be a key"] {
            let error = signing(text).expect_err("no key");
            assert!(text.is_empty() || !error.message.contains(text), "{error}");
            assert!(error.help.is_some());
        }
    }
}
