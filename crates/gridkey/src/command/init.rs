//! `init`: a commented manifest to start from.

use std::io::Write;
use std::path::Path;

use crate::args::InitArguments;
use crate::exit::{CommandError, Exit};
use crate::print;

/// What is written; it is a valid manifest as it stands.
const MANIFEST: &str = include_str!("init.yaml");

/// Lines that keep state and secrets of the examples out of a repository, and what repositories want to have in.
const IGNORED: [&str; 4] = [".gridkey/", ".env", ".env.*", "!.env.example"];

pub fn run(arguments: &InitArguments) -> Result<Exit, CommandError> {
    write(&arguments.folder, MANIFEST)?;
    print::say("try it without an account: `gridkey --emulator apply`");
    Ok(Exit::Done)
}

/// Writes a manifest into a folder that has none, and the lines of `.gitignore`.
pub fn write(folder: &Path, text: &str) -> Result<(), CommandError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| CommandError::new(format!("{} cannot be made", folder.display())).because(&error))?;
    let manifest = folder.join("gridkey.yaml");
    let mut file = std::fs::File::create_new(&manifest).map_err(|error| {
        let failed = CommandError::new(format!("{} cannot be written", manifest.display())).because(&error);
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => failed.help("it is there already; nothing was changed"),
            _ => failed,
        }
    })?;
    file.write_all(text.as_bytes()).map_err(|error| {
        CommandError::new(format!("{} cannot be written", manifest.display())).because(&error)
    })?;
    let ignored = ignore(&folder.join(".gitignore"))?;
    print::say(&format!("wrote {}", manifest.display()));
    if ignored {
        print::say(&format!("added {} to {}", IGNORED.join(" and "), folder.join(".gitignore").display()));
    }
    Ok(())
}

/// Adds what is missing from a `.gitignore`; says whether anything was.
fn ignore(path: &Path) -> Result<bool, CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::new(format!("{} cannot be written", path.display())).because(&error)
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let missing: Vec<_> =
        IGNORED.into_iter().filter(|line| !text.lines().any(|known| known.trim() == *line)).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    std::fs::write(path, format!("{text}{gap}{}\n", missing.join("\n"))).map_err(failed)?;
    Ok(true)
}
