//! Commands that store a secret. The secret goes to standard input, never to arguments or the environment.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use gridkey_core::sink::CommandSettings;
use gridkey_engine::Secret;
use gridkey_engine::ports::{PutError, SinkError};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zeroize::{Zeroize, Zeroizing};

/// How long a command may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How much of what a command says is quoted.
const QUOTED: usize = 400;

/// A command that gave no answer.
enum CommandError {
    /// It did not start.
    NotStarted(String),
    /// It started, and what it did is not known.
    Unknown(String),
}

fn program(argv: &[String], base: &Path) -> Option<PathBuf> {
    let program = argv.first()?;
    Some(if program.contains('/') { base.join(program) } else { PathBuf::from(program) })
}

/// Whether the program can be found and run.
pub(crate) fn check(settings: &CommandSettings, base: &Path, search_path: &[PathBuf]) -> Result<(), String> {
    let program = program(&settings.put, base).ok_or("the command `put` is empty")?;
    let candidates: Vec<PathBuf> = if program.components().count() > 1 {
        vec![program.clone()]
    } else {
        search_path.iter().map(|folder| folder.join(&program)).collect()
    };
    let found = candidates.iter().any(|path| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    });
    if found {
        Ok(())
    } else {
        Err(format!("the program `{}` cannot be found, or not be run", program.display()))
    }
}

pub(crate) async fn put(settings: &CommandSettings, base: &Path, secret: &Secret) -> Result<(), PutError> {
    match run(&settings.put, base, Some(secret)).await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(PutError::Unclear(told(&settings.put, &output))),
        Err(CommandError::NotStarted(reason)) => Err(PutError::Refused(reason)),
        Err(CommandError::Unknown(reason)) => Err(PutError::Unclear(reason)),
    }
}

/// What the command shows of the stored secret; `None` where it shows nothing.
pub(crate) async fn read(
    settings: &CommandSettings,
    base: &Path,
) -> Result<Option<Zeroizing<String>>, String> {
    let Some(argv) = &settings.read else { return Err("the sink has no command to read with".to_string()) };
    let mut output = match run(argv, base, None).await {
        Ok(output) => output,
        Err(CommandError::NotStarted(reason) | CommandError::Unknown(reason)) => return Err(reason),
    };
    if !output.status.success() {
        output.stdout.zeroize();
        return Err(told(argv, &output));
    }
    let text =
        String::from_utf8(output.stdout).map_err(|_| format!("`{}` printed no UTF-8 text", argv[0]))?;
    let text = Zeroizing::new(text);
    let value = text.trim_end_matches(['\n', '\r']);
    Ok((!value.is_empty()).then(|| Zeroizing::new(value.to_string())))
}

pub(crate) async fn remove(settings: &CommandSettings, base: &Path) -> Result<(), SinkError> {
    let Some(argv) = &settings.remove else {
        return Err(SinkError::Unsupported("the sink has no command to remove with".to_string()));
    };
    match run(argv, base, None).await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(SinkError::Failed(told(argv, &output))),
        Err(CommandError::NotStarted(reason) | CommandError::Unknown(reason)) => {
            Err(SinkError::Failed(reason))
        }
    }
}

async fn run(argv: &[String], base: &Path, secret: Option<&Secret>) -> Result<Output, CommandError> {
    let Some(program) = program(argv, base) else {
        return Err(CommandError::NotStarted("the command is empty".to_string()));
    };
    let name = program.display().to_string();
    let mut child = Command::new(&program)
        .args(&argv[1..])
        .current_dir(base)
        .stdin(if secret.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| CommandError::NotStarted(format!("`{name}` could not be started: {error}")))?;
    let input = child.stdin.take();
    let talk = async {
        if let (Some(mut input), Some(secret)) = (input, secret) {
            // A program that closes its input early says with its exit code whether that was well.
            let _ = input.write_all(secret.expose().as_bytes()).await;
        }
        child.wait_with_output().await
    };
    match tokio::time::timeout(TIMEOUT, talk).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(CommandError::Unknown(format!("`{name}`: {error}"))),
        Err(_) => Err(CommandError::Unknown(format!("`{name}` did not end within {} s", TIMEOUT.as_secs()))),
    }
}

/// What a command said as it failed, without anything that looks like a key.
fn told(argv: &[String], output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String =
        said.split_whitespace().map(hide).collect::<Vec<_>>().join(" ").chars().take(QUOTED).collect();
    let code = output.status.code().map_or("a signal".to_string(), |code| format!("code {code}"));
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    format!("`{}` ended with {code}{said}", argv.first().map_or("", String::as_str))
}

fn hide(word: &str) -> &str {
    if word.contains("SG.") { "SG.…" } else { word }
}
