//! `fmt`: the layout of manifests, with their comments.

use std::io::Read;
use std::path::{Path, PathBuf};

use pretty_yaml::config::{FormatOptions, LayoutOptions};

use crate::args::{FmtArguments, Global};
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::{MOST_OF_A_FILE, Sources, read_sources};

/// As wide as the examples are.
const WIDTH: usize = 120;

pub fn run(global: &Global, arguments: &FmtArguments) -> Result<Exit, CommandError> {
    if arguments.paths == [Path::new("-")] {
        return standard_input(arguments.check);
    }
    let given = match arguments.paths.is_empty() {
        true => std::slice::from_ref(&global.manifest),
        false => &arguments.paths,
    };
    let mut otherwise = 0;
    for path in given {
        check_is_plain(path)?;
        for file in sources(path, global)?.files {
            let old = text(&file.bytes, &file.name)?;
            let new = formatted(&old, &file.name)?;
            if old == new || old.trim().is_empty() {
                continue;
            }
            let file_path = PathBuf::from(&file.name);
            check_is_plain(&file_path)?;
            otherwise += 1;
            if !arguments.check {
                write(&file_path, &new)?;
            }
            print::out(&format!("{}\n", file.name));
        }
    }
    Ok(if arguments.check && otherwise > 0 { Exit::Changes } else { Exit::Done })
}

/// The files at a path; one that is not there was named to this command, unless it is the manifest.
fn sources(path: &Path, global: &Global) -> Result<Sources, CommandError> {
    let read = read_sources(path);
    if path == global.manifest || path.exists() {
        return read;
    }
    read.map_err(|error| {
        error.help(
            "see that the name is right; without one, `gridkey fmt` lays out the manifest of this folder",
        )
    })
}

/// A device or a pipe has no layout, and a link may lead to a file that somebody else laid out.
fn check_is_plain(path: &Path) -> Result<(), CommandError> {
    let refused = |what: &str| {
        let message = format!("{} is {what}, and is left as it is", path.display());
        Err(CommandError::new(message)
            .help("name the file itself, or give its text on standard input: `gridkey fmt -`"))
    };
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => refused("a link"),
        Ok(found) if !found.is_file() && !found.is_dir() => refused("not a regular file"),
        // What cannot be looked at is told by who reads it.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn standard_input(check: bool) -> Result<Exit, CommandError> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MOST_OF_A_FILE).read_to_end(&mut bytes);
    read.map_err(|error| CommandError::new("standard input cannot be read").because(&error))?;
    let old = text(&bytes, "standard input")?;
    let new = formatted(&old, "standard input")?;
    if check {
        return Ok(if old == new { Exit::Done } else { Exit::Changes });
    }
    print::out(&new);
    Ok(Exit::Done)
}

fn text(bytes: &[u8], name: &str) -> Result<String, CommandError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| CommandError::new(format!("{name} is not UTF-8")).help("save it as UTF-8"))?;
    Ok(text.to_string())
}

fn formatted(old: &str, name: &str) -> Result<String, CommandError> {
    let layout = LayoutOptions { print_width: WIDTH, indent_width: 2, ..LayoutOptions::default() };
    let options = FormatOptions { layout, ..FormatOptions::default() };
    // Where the syntax is wrong, the manifest's own reader says it better.
    let new = pretty_yaml::format_text(old, &options).map_err(|_| {
        CommandError::new(format!("{name} is not laid out, as it is not YAML"))
            .help("`gridkey validate` says where")
    })?;
    // A layout must change nothing that is read, so that is looked at and not believed.
    if !is_same(old, &new) || comments(old) != comments(&new) {
        return Err(CommandError::new(format!(
            "{name} is left as it is: a new layout would change what it says"
        ))
        .help("`gridkey validate` says whether something in it is given twice or cannot be read"));
    }
    Ok(new)
}

fn is_same(old: &str, new: &str) -> bool {
    let read = |text: &str| serde_yaml::from_str::<serde_json::Value>(text);
    match (read(old), read(new)) {
        (Ok(old), Ok(new)) => old == new,
        // What one of them cannot be read as is no manifest.
        (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

/// What stands behind each `#`, whether in a comment or in a text, in no order.
fn comments(text: &str) -> Vec<&str> {
    let mut all: Vec<&str> =
        text.lines().filter_map(|line| line.split_once('#')).map(|(_, rest)| rest.trim()).collect();
    all.sort_unstable();
    all
}

/// A manifest is replaced whole, so that a run beside this one never reads half of it.
fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::new(format!("{} cannot be written", path.display())).because(&error)
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut temporary, text.as_bytes()).map_err(failed)?;
    let permissions = std::fs::metadata(path).map_err(failed)?.permissions();
    temporary.as_file().set_permissions(permissions).map_err(failed)?;
    temporary.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
