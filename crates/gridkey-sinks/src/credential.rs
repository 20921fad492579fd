//! Credentials: found where a manifest says, held in memory, never shown.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use gridkey_core::KeyId;
use gridkey_core::credential::Credential;
use gridkey_core::text::redact::quote;
use zeroize::Zeroizing;

/// How long a command that prints a credential may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many characters of what a command said go into an error.
const MAX_QUOTED: usize = 400;

/// A credential, and where it was found, in words.
pub struct Found {
    /// Without blanks and line ends around it.
    pub value: Zeroizing<String>,
    pub place: String,
}

/// Finds a credential. `base` is the folder that relative paths start from, and `variable` looks one up in the
/// environment.
///
/// # Errors
/// Why there is none, in a message that does not show it.
pub async fn find(
    credential: &Credential,
    base: &Path,
    variable: impl Fn(&str) -> Result<String, std::env::VarError>,
) -> Result<Found, String> {
    let (text, place) = match credential {
        Credential::Env(name) => {
            let text = variable(name).map_err(|error| match error {
                std::env::VarError::NotPresent => format!("the environment variable `{name}` is not set"),
                std::env::VarError::NotUnicode(_) => format!("the environment variable `{name}` is not text"),
            })?;
            (Zeroizing::new(text), format!("the environment variable `{name}`"))
        }
        Credential::File(path) => {
            let path = base.join(path);
            let place = path.display().to_string();
            let cannot = |error| format!("the credential file {place} cannot be read: {error}");
            // Opening a pipe waits for whoever writes it, and nothing ends that.
            if !std::fs::metadata(&path).map_err(cannot)?.is_file() {
                return Err(format!(
                    "the credential file {place} is not a regular file; for what prints the key, use `command`"
                ));
            }
            let text = std::fs::read_to_string(&path).map_err(cannot)?;
            (Zeroizing::new(text), place)
        }
        Credential::Command(argv) => (run(argv, base).await?, format!("the command `{}`", argv.join(" "))),
    };
    let value = Zeroizing::new(text.trim_start_matches('\u{feff}').trim().to_string());
    if value.is_empty() {
        return Err(format!("{place} holds nothing"));
    }
    Ok(Found { value, place })
}

async fn run(argv: &[String], base: &Path) -> Result<Zeroizing<String>, String> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err("the command for the credential is empty".to_string());
    };
    let path = if program.contains('/') { base.join(program) } else { program.into() };
    let running = tokio::process::Command::new(path)
        .args(arguments)
        .env_clear()
        .envs(std::env::vars_os().filter(|(_, value)| !holds_key(value)))
        .current_dir(if base.as_os_str().is_empty() { Path::new(".") } else { base })
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(TIMEOUT, running).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("`{program}` could not be run: {error}")),
        Err(_) => return Err(format!("`{program}` did not end within {} s", TIMEOUT.as_secs())),
    };
    let text = Zeroizing::new(String::from_utf8_lossy(&output.stdout).into_owned());
    drop(Zeroizing::new(output.stdout));
    let errors = Zeroizing::new(output.stderr);
    if output.status.success() {
        return Ok(text);
    }
    // It may have said the credential there.
    let said = quote(&String::from_utf8_lossy(&errors), None);
    let said: String = said.chars().take(MAX_QUOTED).collect();
    let said = if said.is_empty() { "it said nothing".to_string() } else { said };
    Err(format!("`{program}`, which is to print a credential, ended with {}: {said}", output.status))
}

/// Whether a variable holds a SendGrid key: a command that prints another credential has no use for the one that manages them all.
fn holds_key(value: &OsStr) -> bool {
    value.to_str().is_some_and(|value| value.split_whitespace().any(|word| KeyId::of_secret(word).is_some()))
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
        for path in ["pipe", "/dev/zero", "."] {
            let found =
                find(&Credential::File(path.to_string()), folder.path(), |name| std::env::var(name)).await;
            let error = found.err().expect("no credential");
            assert!(error.contains("is not a regular file"), "{path}: {error}");
        }
    }
}
