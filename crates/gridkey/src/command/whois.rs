//! `whois`: whose key is it that was found. Nothing is changed, and no writer is made.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use gridkey_core::KeyId;
use gridkey_core::audit::AuditInput;
use gridkey_core::whois::{Answer, Place, Subject, Whois, search, whois};
use gridkey_engine::{Lookup, lookup};
use gridkey_sinks::{Scan, mentions};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::args::{Global, TextOrJson, WhoisArguments};
use crate::command::plan::progress;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::Project;
use crate::view;
use crate::view::words::{count, safe};

/// More of standard input than this is a file, and `--scan -` looks through one of any size.
const MOST_OF_INPUT: usize = 1 << 20;

/// The way that does not show a key.
const ON_INPUT: &str = "give it on standard input, as in `gridkey whois < FILE`, or give its id alone: the middle of \
                        `SG.<id>.<secret>`";

pub async fn run(global: &Global, arguments: &WhoisArguments) -> Result<Exit, CommandError> {
    if !global.environments.is_empty() {
        return Err(CommandError::usage("a key may be anywhere, so `whois` takes no `--env`")
            .help("every account of the manifest is looked at where it has to be"));
    }
    let named = arguments.ids.iter().map(|text| argument(text)).collect::<Result<Vec<_>, _>>()?;
    if arguments.scan.is_empty() {
        let subjects = if named.is_empty() { from_input()? } else { named };
        let found = find(global, arguments, without_places(subjects)).await?;
        show(&found, arguments.format, view::whois::answers);
        return Ok(exit(&found, arguments.fail_on_live));
    }
    let scan = look_through(&arguments.scan)?;
    let mut subjects = with_places(&scan);
    subjects.retain(|subject| named.is_empty() || named.contains(&subject.id));
    let mut found = find(global, arguments, subjects).await?;
    // Live ones first, and those that may be.
    found.answers.sort_by_key(|answer| (liveness(answer), answer.places.first().cloned()));
    show(&found, arguments.format, view::whois::places);
    say(&scan, &found);
    let is_live = found.answers.iter().any(|answer| answer.live != Some(false));
    Ok(if arguments.fail_on_live && is_live { Exit::Blocked } else { Exit::Done })
}

/// An id on the command line. What may be a secret is not repeated.
fn argument(text: &str) -> Result<KeyId, CommandError> {
    let is_secret = text.contains("SG.") || text.contains('.') || text.len() > 36;
    if is_secret {
        return Err(CommandError::usage(
            "what was given as an ID is not shown, as it may be a key: it is in the shell's history now, and others on \
             this machine could see it. Consider it leaked",
        )
        .help(ON_INPUT));
    }
    KeyId::parse(text).map_err(|error| {
        CommandError::usage(format!("what was given as an ID is not shown: {error}"))
            .help(format!("for an address there is `gridkey state show ADDRESS`; for a key, {ON_INPUT}"))
    })
}

/// The keys and ids of standard input, one a line.
fn from_input() -> Result<Vec<KeyId>, CommandError> {
    let text = read_input()?;
    let mut ids = Vec::new();
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match in_line(line) {
            Some(found) => ids.extend(found),
            None => wrong.push(number.to_string()),
        }
    }
    if !wrong.is_empty() {
        let lines = if wrong.len() == 1 { "line" } else { "lines" };
        let message =
            format!("neither a key nor an ID stands in {lines} {} of standard input", wrong.join(", "));
        return Err(CommandError::usage(message).help(
            "a line is a whole key, its beginning up to the second dot, or an id; `--scan -` finds keys in any text",
        ));
    }
    match ids.is_empty() {
        true => Err(CommandError::usage("standard input has no key and no ID").help(ON_INPUT)),
        false => Ok(ids),
    }
}

/// The ids of a line: of whole keys in it, of a key whose secret was cut or starred out, or the line itself.
fn in_line(line: &[u8]) -> Option<Vec<KeyId>> {
    let whole = mentions(&mut &line[..]).ok().flatten().unwrap_or_default();
    if !whole.is_empty() {
        return Some(whole.into_iter().map(|mention| mention.id).collect());
    }
    let text = std::str::from_utf8(line).ok()?;
    let text = text.trim_matches(['"', '\'', '`']);
    let id = match text.split_once("SG.") {
        Some((_, rest)) => rest.split('.').next()?,
        None => text,
    };
    KeyId::parse(id).ok().map(|id| vec![id])
}

/// All of standard input, or one line where a person writes it.
fn read_input() -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let failed = |error: &io::Error| CommandError::new("standard input cannot be read").because(error);
    let mut input = io::stdin().lock();
    let asks = input.is_terminal();
    if asks {
        print::say("The key, or its ID:");
    }
    // As large as it may ever be: growing would leave copies behind, and a read of this size goes past the buffer of
    // standard input, which is not wiped.
    let mut text = Zeroizing::new(vec![0; 2 * MOST_OF_INPUT]);
    let mut filled = 0;
    while filled <= MOST_OF_INPUT {
        let read = input.read(&mut text[filled..]).map_err(|error| failed(&error))?;
        filled += read;
        if read == 0 || asks {
            text.truncate(filled);
            return Ok(text);
        }
    }
    Err(CommandError::usage("standard input has more than 1 MiB")
        .help("`gridkey whois --scan -` looks for keys in a text of any size"))
}

/// Each key once, in the order given.
fn without_places(ids: Vec<KeyId>) -> Vec<Subject> {
    let mut seen = BTreeSet::new();
    let new = ids.into_iter().filter(|id| seen.insert(id.clone()));
    new.map(|id| Subject { id, places: Vec::new() }).collect()
}

fn look_through(paths: &[PathBuf]) -> Result<Scan, CommandError> {
    let mut scan = Scan::default();
    for path in paths {
        let looked = match path.as_path() == Path::new("-") {
            true => scan.read("standard input", &mut io::stdin().lock()),
            false => scan.look_at(path),
        };
        looked.map_err(|error| {
            let failed =
                CommandError::new(format!("{} cannot be looked through", path.display())).because(&error);
            match error.kind() {
                io::ErrorKind::NotFound => failed.help("`--scan` takes files and folders"),
                _ => failed,
            }
        })?;
    }
    Ok(scan)
}

fn with_places(scan: &Scan) -> Vec<Subject> {
    let mut places: BTreeMap<&KeyId, Vec<Place>> = BTreeMap::new();
    for (file, mention) in &scan.found {
        let place = Place { file: file.display().to_string(), line: mention.line };
        places.entry(&mention.id).or_default().push(place);
    }
    places.into_iter().map(|(id, places)| Subject { id: id.clone(), places }).collect()
}

/// Asks state, and accounts and sinks as far as that needs it.
async fn find(
    global: &Global,
    arguments: &WhoisArguments,
    subjects: Vec<Subject>,
) -> Result<Whois, CommandError> {
    let project = Project::open(global).await?;
    let states = project.states().await?;
    project.check_external_targets(&states)?;
    let manifest = project.manifest();
    let ids: BTreeSet<KeyId> = subjects.iter().map(|subject| subject.id.clone()).collect();
    let search = search(manifest, &states, &ids);
    let progress = progress(global);
    // Without a key to look for there is nothing to ask.
    let accounts = if ids.is_empty() { BTreeSet::new() } else { search.accounts.clone() };
    let readers = project.readers(&accounts, &progress).await;
    let inventory = lookup(&Lookup {
        ids: &ids,
        search: &search,
        readers: &readers,
        sinks: (!arguments.no_sinks && !ids.is_empty()).then_some(project.sinks.as_ref() as _),
        events: progress.as_ref(),
        concurrency: project.concurrency,
    })
    .await;
    progress.finish();
    let input = AuditInput {
        manifest,
        states: &states,
        inventory: &inventory,
        policy: project.policy.as_ref(),
        sinks: !arguments.no_sinks,
    };
    Ok(whois(&input, &subjects))
}

fn show(found: &Whois, format: TextOrJson, text: fn(&Whois, view::Style, Timestamp) -> String) {
    match format {
        TextOrJson::Text => print::text(&text(found, print::style(), Timestamp::now())),
        TextOrJson::Json => print::json(found),
    }
}

fn liveness(answer: &Answer) -> u8 {
    match answer.live {
        Some(true) => 0,
        None => 1,
        Some(false) => 2,
    }
}

/// Of several keys, one that may be somewhere comes before one that is nowhere.
fn exit(found: &Whois, fail_on_live: bool) -> Exit {
    let lost: Vec<&Answer> = found.answers.iter().filter(|answer| !answer.is_found()).collect();
    let is_live = found.answers.iter().any(|answer| answer.live != Some(false));
    if lost.iter().any(|answer| answer.live.is_none()) || (fail_on_live && is_live) {
        Exit::Blocked
    } else if !lost.is_empty() {
        Exit::Error
    } else {
        Exit::Done
    }
}

/// What was looked through, and what was passed over.
fn say(scan: &Scan, found: &Whois) {
    let Scan { found: _, files, binary, folders, links, special, too_large, unreadable } = scan;
    for path in too_large {
        print::say(&format!("not looked at: {}: it is larger than 64 MiB", safe(path.display().to_string())));
    }
    for (path, why) in unreadable {
        print::say(&format!("not looked at: {}: {}", safe(path.display().to_string()), safe(why)));
    }
    let places = found.answers.iter().map(|answer| answer.places.len()).sum();
    let live = found.answers.iter().filter(|answer| answer.live == Some(true)).count();
    let keys = match found.answers.len() {
        0 => "no key".to_string(),
        keys => format!("{} in {}, {live} of them live", count(keys, "key"), count(places, "place")),
    };
    print::say(&format!("looked at {}: {keys}", count(*files, "file")));
    let passed =
        [(*binary, "binary file"), (*folders, ".git folder"), (*links, "link"), (*special, "special file")];
    let passed: Vec<String> =
        passed.iter().filter(|(number, _)| *number > 0).map(|(number, what)| count(*number, what)).collect();
    if !passed.is_empty() {
        print::say(&format!("passed over: {}", passed.join(", ")));
    }
}
