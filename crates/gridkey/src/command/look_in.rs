//! `--look-in`: where in files the secrets of live keys are. Nothing that was not looked at is passed over in silence.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use gridkey_core::manifest_from_account::LiveAccount;
use gridkey_core::{KeyId, SinkSettings};
use gridkey_sinks::{Discovery, Elsewhere, FileKind, discover};

use crate::exit::CommandError;
use crate::print;
use crate::view::words::{count, safe};

/// Adds to each account where its secrets were found, and says what no manifest can name.
pub async fn look_in(
    paths: &[(Option<FileKind>, PathBuf)],
    folder: &Path,
    accounts: &mut [LiveAccount],
) -> Result<(), CommandError> {
    for (kind, prefix) in paths {
        let found = discover(*kind, prefix, folder).await.map_err(|error| failed(prefix, &error))?;
        say_passed(&found);
        for held in &found.elsewhere {
            say_elsewhere(held, accounts);
        }
        for (at, id) in found.found {
            add(at, id, accounts);
        }
    }
    Ok(())
}

fn failed(prefix: &Path, error: &io::Error) -> CommandError {
    let failed = CommandError::new(format!("{} cannot be looked through", prefix.display())).because(error);
    match error.kind() {
        io::ErrorKind::NotFound => {
            let here =
                std::env::current_dir().map(|here| format!(", {}", here.display())).unwrap_or_default();
            failed.help(format!(
                "`--look-in` takes a file or a folder, from the folder that gridkey runs in{here}; nothing was written"
            ))
        }
        _ => failed.help("nothing was written"),
    }
}

fn say_passed(found: &Discovery) {
    let Discovery { found: _, elsewhere: _, skipped, passed_by, binary } = found;
    for (path, why) in skipped {
        print::say(&format!("note: {} was not looked at: {}", safe(path.display().to_string()), safe(why)));
    }
    for path in passed_by {
        print::say(&format!("note: {} was passed by", safe(path.display().to_string())));
    }
    if *binary > 0 {
        print::say(&format!("note: {} were passed by: not text", count(*binary, "file")));
    }
}

/// A key that stands in a list, a comment or a part of a value.
fn say_elsewhere(held: &Elsewhere, accounts: &[LiveAccount]) {
    let Elsewhere { path, id, lines, named, why } = held;
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let place = format!("{}:{}", safe(path.display().to_string()), lines.join(","));
    let what = match name_of(id, accounts) {
        None => "which is not live in the account".to_string(),
        Some(name) if *named == 0 => {
            format!("named \"{}\", and no manifest can name that place", safe(name))
        }
        Some(name) => format!("named \"{}\", and a manifest can name {named} of these places", safe(name)),
    };
    let why = why.as_ref().map(|why| format!(": {}", safe(why))).unwrap_or_default();
    print::say(&format!("note: {place} holds the key {id}, {what}{why}"));
}

fn name_of<'a>(id: &KeyId, accounts: &'a [LiveAccount]) -> Option<&'a str> {
    let mut keys = accounts.iter().flat_map(|account| &account.keys);
    keys.find(|key| key.id == *id).map(|key| key.name.as_str())
}

fn add(at: SinkSettings, id: KeyId, accounts: &mut [LiveAccount]) {
    let account = accounts.iter_mut().find(|account| account.keys.iter().any(|key| key.id == id));
    let Some(LiveAccount { found, .. }) = account else {
        let place = safe(at.place());
        print::say(&format!("note: {place} holds the key {id}, which is not live in the account"));
        return;
    };
    let known: &mut Vec<SinkSettings> = BTreeMap::entry(found, id).or_default();
    if !known.contains(&at) {
        known.push(at);
    }
}
