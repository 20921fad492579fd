//! What a manifest would run or talk to, and whether a policy lets it.
//!
//! This is judged before anything is run or called: a manifest from an untrusted branch could otherwise name
//! a program, or a server that a secret is sent to.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::credential::Credential;
use crate::finding::{Code, Finding, Severity};
use crate::manifest::{Manifest, Policy, PolicyFile, StoreSettings};
use crate::name::Name;
use crate::plan::reached::give_wanted_settings;
use crate::sink::Reached;
use crate::state::AccountState;
use crate::text::pattern::matches_pattern;
use crate::text::source::Position;

/// The commands and servers of a manifest that a policy does not allow.
pub fn reach(manifest: &Manifest, file: Option<&PolicyFile>) -> Vec<Finding> {
    judge_all(all(manifest), manifest, file)
}

/// The same of sinks that state remembers, which a run looks at and clears though the manifest may no longer have
/// them.
pub fn reach_of_states(
    states: &BTreeMap<Name, AccountState>,
    manifest: &Manifest,
    file: Option<&PolicyFile>,
) -> Vec<Finding> {
    // What the manifest names itself is reached as it says, and judged with it.
    let mut states = Cow::Borrowed(states);
    give_wanted_settings(manifest, &mut states);
    let locations = states.values().flat_map(AccountState::locations);
    let reached = locations.flat_map(|(address, location)| {
        let what = format!("sink `{}` of `{address}`, which state remembers,", location.sink);
        location.at.reaches().into_iter().map(move |reached| (what.clone(), reached, None))
    });
    judge_all(reached.collect(), manifest, file)
}

fn judge_all(
    reached: Vec<(String, Reached<'_>, Option<&Position>)>,
    manifest: &Manifest,
    file: Option<&PolicyFile>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (what, reached, position) in reached {
        let own = (&manifest.policy, "the manifest's policy");
        let file = file.map(|file| (&file.policy, "the policy file"));
        for (policy, name) in std::iter::once(own).chain(file) {
            findings.extend(judge(policy, name, &what, &reached, position));
        }
    }
    findings
}

fn judge(
    policy: &Policy,
    name: &str,
    what: &str,
    reached: &Reached<'_>,
    position: Option<&Position>,
) -> Option<Finding> {
    let (code, message, rule) = match reached {
        Reached::Command(command) => {
            let allowed = policy.allow_commands.as_ref()?;
            if allowed.iter().any(|pattern| is_command(pattern, command)) {
                return None;
            }
            let message = format!("{what} runs `{}`, which {name} does not allow", command.join(" "));
            (Code::CommandNotAllowed, message, "allow_commands")
        }
        Reached::Endpoint(address) => {
            let allowed = policy.allow_endpoints.as_ref()?;
            if origin(address).is_some_and(|origin| {
                allowed.iter().any(|pattern| matches_pattern(pattern.trim_end_matches('/'), &origin))
            }) {
                return None;
            }
            let message = format!("{what} talks to `{address}`, which {name} does not allow");
            (Code::EndpointNotAllowed, message, "allow_endpoints")
        }
    };
    Some(Finding {
        severity: Severity::Blocks,
        code,
        account: None,
        address: None,
        message,
        help: Some(format!("whoever keeps the policy can add it to `{rule}`; nothing was run or called")),
        position: position.cloned(),
    })
}

/// Everything that a manifest names, with words for what names it.
fn all(manifest: &Manifest) -> Vec<(String, Reached<'_>, Option<&Position>)> {
    let mut all = Vec::new();
    for account in manifest.accounts.values() {
        let credentials =
            [("api_key", Some(&account.api_key)), ("plan_api_key", account.plan_api_key.as_ref())];
        for (field, credential) in credentials {
            if let Some(Credential::Command(command)) = credential {
                let what = format!("`{field}` of account `{}`", account.name);
                all.push((what, Reached::Command(command), Some(&account.position)));
            }
        }
    }
    match &manifest.state {
        StoreSettings::Postgres(settings) => {
            if let Credential::Command(command) = &settings.url {
                all.push(("`state`".to_string(), Reached::Command(command), None));
            }
        }
        StoreSettings::S3(settings) => {
            all.extend(
                settings.endpoint.as_deref().map(|at| ("`state`".to_string(), Reached::Endpoint(at), None)),
            );
        }
        StoreSettings::Local(_) | StoreSettings::Gcs(_) | StoreSettings::AzureBlob(_) => {}
    }
    for key in manifest.keys.values() {
        for location in &key.sinks {
            let what = format!("sink `{}` of `{}`", location.sink, key.address);
            all.extend(
                location.at.reaches().into_iter().map(|reached| (what.clone(), reached, Some(&key.position))),
            );
        }
        for hook in &key.hooks {
            let what = format!("{} of `{}`", hook.whose(), key.address);
            let reached = hook.does.reaches().into_iter();
            all.extend(reached.map(|reached| (what.clone(), reached, Some(&key.position))));
        }
    }
    all
}

/// Whether a pattern stands for a command: word by word, and a last `*` for any further words. A word of the
/// pattern never spans two of the command, so that an argument with spaces cannot pass for several.
fn is_command(pattern: &str, command: &[String]) -> bool {
    let words: Vec<&str> = pattern.split_whitespace().collect();
    let before_rest = words.strip_suffix(&["*"]).filter(|words| !words.is_empty());
    let (words, rest) = (before_rest.unwrap_or(&words), before_rest.is_some());
    let lengths = if rest { command.len() >= words.len() } else { command.len() == words.len() };
    lengths && words.iter().zip(command).all(|(pattern, word)| matches_pattern(pattern, word))
}

/// Scheme, host and port of an address; `None` where it has something that could hide the real host.
fn origin(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '_');
    let good = !authority.is_empty() && authority.chars().all(plain) && !rest.contains('\\');
    good.then(|| format!("{scheme}://{authority}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_matched_word_by_word() {
        let words = |text: &[&str]| text.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (pattern, command, matches) in [
            ("op read *", words(&["op", "read", "op://mail/key"]), true),
            ("op read *", words(&["op", "read"]), true),
            ("op read *", words(&["op", "delete", "x"]), false),
            ("op", words(&["op"]), true),
            ("op", words(&["op", "read"]), false),
            ("op", words(&["/tmp/op"]), false),
            ("op read", words(&["op read"]), false),
            ("vault kv get secret/*", words(&["vault", "kv", "get", "secret/mail"]), true),
            ("vault kv get secret/*", words(&["vault", "kv", "get", "secret/mail", "-output"]), false),
            ("*", words(&["anything"]), true),
            ("*", words(&["sh", "-c"]), false),
        ] {
            assert_eq!(is_command(pattern, &command), matches, "{pattern} {command:?}");
        }
    }

    #[test]
    fn only_the_server_of_an_address_counts() {
        for (address, expected) in [
            ("https://vault.internal:8200", Some("https://vault.internal:8200")),
            ("https://Vault.Internal/v1", Some("https://vault.internal")),
            ("https://evil.example/?.internal", Some("https://evil.example")),
            ("https://vault.internal@evil.example", None),
            ("https://evil.example\\.vault.internal", None),
            ("vault.internal", None),
        ] {
            assert_eq!(origin(address).as_deref(), expected, "{address}");
        }
    }
}
