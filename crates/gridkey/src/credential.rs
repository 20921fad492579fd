//! Credentials: found where the manifest says, held in memory, never shown.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use gridkey_core::KeyId;
use gridkey_core::inventory::{Unreadable, UnreadableReason};
use gridkey_core::manifest::Credential;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// How long a command that prints a credential may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Finds a credential; `base` is the folder that relative paths start from.
///
/// # Errors
/// Why the account cannot be read.
pub async fn find(credential: &Credential, base: &Path) -> Result<SecretString, Unreadable> {
    let (text, place) = match credential {
        Credential::Env(name) => {
            let text = std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => {
                    missing(format!("the environment variable `{name}` is not set"))
                }
                std::env::VarError::NotUnicode(_) => {
                    missing(format!("the environment variable `{name}` is not text"))
                }
            })?;
            (Zeroizing::new(text), format!("the environment variable `{name}`"))
        }
        Credential::File(path) => {
            let path = base.join(path);
            let place = path.display().to_string();
            let cannot = |error| missing(format!("the credential file {place} cannot be read: {error}"));
            // Opening a pipe waits for whoever writes it, and nothing ends that.
            if !std::fs::metadata(&path).map_err(cannot)?.is_file() {
                let message = format!(
                    "the credential file {place} is not a regular file; for what prints the key, use `command`"
                );
                return Err(missing(message));
            }
            let text = std::fs::read_to_string(&path).map_err(cannot)?;
            (Zeroizing::new(text), place)
        }
        Credential::Command(argv) => (run(argv, base).await?, format!("the command `{}`", argv.join(" "))),
    };
    let value = text.trim_start_matches('\u{feff}').trim();
    if value.is_empty() {
        return Err(missing(format!("{place} holds nothing")));
    }
    if value.to_ascii_lowercase().contains("bearer ") {
        return Err(missing(format!(
            "{place} holds a header, `Bearer` and the key; leave the key alone there"
        )));
    }
    if value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(missing(format!("{place} holds more than one key: it has blanks or line breaks inside")));
    }
    if let Some(what) = no_key(value) {
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

async fn run(argv: &[String], base: &Path) -> Result<Zeroizing<String>, Unreadable> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(missing("the command for the credential is empty".to_string()));
    };
    let path = if program.contains('/') { base.join(program) } else { program.into() };
    let running = tokio::process::Command::new(path)
        .args(arguments)
        .current_dir(if base.as_os_str().is_empty() { Path::new(".") } else { base })
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(TIMEOUT, running).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(missing(format!("`{program}` could not be run: {error}"))),
        Err(_) => return Err(missing(format!("`{program}` did not end within {} s", TIMEOUT.as_secs()))),
    };
    let text = Zeroizing::new(String::from_utf8_lossy(&output.stdout).into_owned());
    drop(Zeroizing::new(output.stdout));
    if output.status.success() {
        Ok(text)
    } else {
        Err(missing(format!("`{program}` ended with {}", output.status)))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_credential_file_that_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .expect("a pipe");
        for path in ["pipe", "."] {
            let found = find(&Credential::File(path.to_string()), folder.path()).await;
            let error = found.expect_err("it is no file");
            assert!(error.message.contains("is not a regular file"), "{}", error.message);
        }
    }
}
