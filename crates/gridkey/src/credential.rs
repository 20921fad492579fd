//! Credentials: found where the manifest says, held in memory, never shown.

use std::path::Path;

use gridkey_core::KeyId;
use gridkey_core::inventory::{Unreadable, UnreadableReason};
use gridkey_core::manifest::Credential;
use gridkey_sinks::credential::Found;
use secrecy::SecretString;

/// Finds a credential; `base` is the folder that relative paths start from.
///
/// # Errors
/// Why the account cannot be read.
pub async fn find(credential: &Credential, base: &Path) -> Result<SecretString, Unreadable> {
    let found = gridkey_sinks::credential::find(credential, base, |name| std::env::var(name)).await;
    let Found { value, place } = found.map_err(missing)?;
    if value.to_ascii_lowercase().contains("bearer ") {
        return Err(missing(format!(
            "{place} holds a header, `Bearer` and the key; leave the key alone there"
        )));
    }
    if value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(missing(format!("{place} holds more than one key: it has blanks or line breaks inside")));
    }
    if let Some(what) = no_key(&value) {
        return Err(missing(format!("{place} {what}")));
    }
    Ok(SecretString::from(value.to_string()))
}

/// Why a value cannot be a SendGrid key, for a message that does not show it. SendGrid would say no more than that it is wrong.
fn no_key(value: &str) -> Option<String> {
    if KeyId::of_secret(value).is_some() {
        return None;
    }
    let says = match value {
        _ if value.starts_with(['"', '\'', '`']) => "holds a key in quotes; take them off".to_string(),
        _ if value.contains('=') => {
            "holds a line `NAME=…` and not a key alone; take the name off".to_string()
        }
        _ if value.starts_with("SG.") => format!(
            "holds no whole key: one has `SG.`, an id of 22 characters, a dot and 43 characters, 69 in all, and this has {}",
            value.chars().count()
        ),
        _ if value.len() == KeyId::LENGTH => {
            "holds a key's id and not the key, which begins with `SG.`".to_string()
        }
        _ => "holds no SendGrid API key, which begins with `SG.`".to_string(),
    };
    Some(says)
}

fn missing(message: String) -> Unreadable {
    Unreadable { reason: UnreadableReason::Credential, message, only_plans: false }
}
