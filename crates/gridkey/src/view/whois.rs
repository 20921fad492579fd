//! Whose key it is, as people read it: some lines for each key, or one for each place of a file.

use gridkey_core::audit::{AuditedKey, Standing, Status};
use gridkey_core::whois::{Answer, AskedAccount, Whois};
use gridkey_core::{KeyId, OnBehalfOf};
use jiff::Timestamp;

use super::style::{Style, Tone};
use super::table::{Cell, Table};
use super::words::{count, safe, time};

/// A block of lines for each key.
pub fn answers(found: &Whois, style: Style, now: Timestamp) -> String {
    let blocks: Vec<String> = found.answers.iter().map(|answer| block(found, answer, style, now)).collect();
    blocks.join("\n")
}

/// A line for each place, in the order of the answers.
pub fn places(found: &Whois, style: Style, _now: Timestamp) -> String {
    let mut table = Table::new();
    for answer in &found.answers {
        for place in &answer.places {
            let row = vec![
                liveness(answer),
                Cell::new(format!("{}:{}", safe(&place.file), place.line)),
                Cell::new(answer.id.to_string()),
                Cell::new(in_a_line(found, answer)),
            ];
            table.row(row, Vec::new());
        }
    }
    table.to_text(style, "")
}

fn liveness(answer: &Answer) -> Cell {
    match answer.live {
        Some(true) => Cell::toned(Tone::Bad, "live"),
        None => Cell::toned(Tone::Changed, "not known"),
        Some(false) => Cell::toned(Tone::Faint, "not live"),
    }
}

/// `prod/mailer, current key, full access, account acme, owner growth`.
fn in_a_line(found: &Whois, answer: &Answer) -> String {
    let Some(key) = &answer.key else { return nowhere(found, answer) };
    let whose = match (&key.address, &key.name) {
        (Some(address), _) => Some(address.to_string()),
        (None, Some(name)) => Some(format!("\"{}\"", safe(name))),
        (None, None) => None,
    };
    let owner = key.owner.as_ref().map(|owner| format!("owner {}", safe(owner)));
    let account = Some(format!("account {}", key.account));
    let parts = [whose, Some(status(key)), access(key, false), account, owner];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What can be said of a key that neither state nor an account knows.
fn nowhere(found: &Whois, answer: &Answer) -> String {
    let unread: Vec<String> = found
        .accounts
        .iter()
        .filter_map(|(name, account)| {
            Some(format!("account {name} was not read: {}", safe(account.unreadable.as_ref()?)))
        })
        .collect();
    let length = answer.id.as_str().chars().count();
    let whole = KeyId::LENGTH;
    let cut = match length == whole {
        true => String::new(),
        false => format!("; an ID has {whole} characters and this has {length}, so it may not be whole"),
    };
    match (answer.live, unread.is_empty()) {
        (None, false) => format!("not in any account that could be read; {}{cut}", unread.join("; ")),
        _ => format!("not live in any account of project {}{cut}", found.project),
    }
}

fn block(found: &Whois, answer: &Answer, style: Style, now: Timestamp) -> String {
    let mut text = style.paint(Tone::Strong, format!("key {}", answer.id)) + "\n";
    let lines = match &answer.key {
        Some(key) => {
            let mut lines = vec![("status", standing(answer, key))];
            lines.extend(about(key, found.accounts.get(&key.account), now));
            lines.extend(sinks(key));
            lines.extend(concerns(key));
            lines
        }
        None => vec![("status", Cell::new(nowhere(found, answer)))],
    };
    let held = answer.held_by.iter().map(|location| safe(location.to_string()));
    let own = |held: &String| {
        let sinks = answer.key.iter().flat_map(|key| &key.sinks);
        sinks.map(|sink| safe(sink.location.to_string())).any(|sink| sink == *held)
    };
    let held = held.filter(|held| !own(held)).map(|held| ("held by", Cell::new(held)));
    let notes = answer.notes.iter().map(|note| ("note", Cell::new(safe(note))));
    let command =
        |command: &Option<String>| command.as_ref().map(|command| Cell::toned(Tone::Strong, command));
    let leaked = command(&answer.if_leaked).map(|cell| ("if it leaked", cell));
    let uses = command(&answer.who_uses_it).map(|cell| ("who uses it", cell));
    let mut table = Table::new();
    let all = lines.into_iter().chain(held).chain(notes).chain(leaked).chain(uses);
    all.for_each(|(what, cell)| table.row(vec![Cell::toned(Tone::Faint, what), cell], Vec::new()));
    text.push_str(&table.to_text(style, "  "));
    text
}

/// What is known of a key, as pairs of a word and what it says.
pub fn about(key: &AuditedKey, account: Option<&AskedAccount>, now: Timestamp) -> Vec<(&'static str, Cell)> {
    let mut lines = Vec::new();
    let mut line = |what: &'static str, text: Option<String>| {
        lines.extend(text.map(|text| (what, Cell::new(text))));
    };
    line("address", key.address.as_ref().map(ToString::to_string));
    line("account", Some(in_words(key, account)));
    line("name", key.name.as_ref().map(|name| format!("\"{}\"", safe(name))));
    line("access", access(key, true));
    line("owner", key.owner.as_ref().map(safe));
    line("made", key.made.map(|made| format!("{}{}", since(made, now), by(key))));
    line("first seen", key.first_seen.map(|seen| format!("{}{}", since(seen, now), by(key))));
    line("generation", key.generation.map(|generation| generation.to_string()));
    line("due", key.due.map(|due| format!("for rotation {}", time(due))));
    lines
}

fn sinks(key: &AuditedKey) -> impl Iterator<Item = (&'static str, Cell)> {
    key.sinks.iter().map(|sink| {
        let standing = match sink.standing {
            Standing::InStep => "holds it",
            Standing::Empty
            | Standing::Other
            | Standing::Unreadable
            | Standing::WriteOnly
            | Standing::NotLookedAt => sink.standing.as_words(),
        };
        ("sink", Cell::new(format!("{}: {standing}", safe(sink.location.to_string()))))
    })
}

/// What may be worrying about it.
pub fn concerns(key: &AuditedKey) -> Option<(&'static str, Cell)> {
    let words: Vec<&str> = key.concerns.iter().map(|concern| concern.as_words()).collect();
    (!words.is_empty()).then(|| ("look at", Cell::new(words.join("; "))))
}

fn standing(answer: &Answer, key: &AuditedKey) -> Cell {
    let status = status(key);
    match answer.live {
        Some(true) => Cell::toned(Tone::Bad, format!("live: {status}")),
        Some(false) => Cell::new(format!("not live: {status}")),
        None => Cell::new(format!("{status}; whether it is live is not known")),
    }
}

/// What a key is to the project.
pub fn status(key: &AuditedKey) -> String {
    match (key.status, key.revoke_after) {
        (Status::Owned, _) => "the current key of its address".to_string(),
        (Status::Retiring, Some(after)) => format!("an older key, to be revoked after {}", time(after)),
        (Status::Retiring, None) => "an older key, kept until `gridkey retire` says otherwise".to_string(),
        (Status::Pending, _) => "a creation that was begun and is not settled".to_string(),
        (Status::Abandoned, _) => "a creation that was given up and took effect after all".to_string(),
        (Status::Foreign, _) => "foreign, not a key of this project".to_string(),
        (Status::Managing, _) => "the managing key, which gridkey works with".to_string(),
    }
}

/// `acme-prod (subuser acme-prod of acme)`.
fn in_words(key: &AuditedKey, account: Option<&AskedAccount>) -> String {
    let Some(AskedAccount { parent, on_behalf_of, observed_at: _, unreadable }) = account else {
        return key.account.to_string();
    };
    let behalf = match on_behalf_of {
        None => String::new(),
        Some(OnBehalfOf::Subuser(name)) => format!("subuser {}", safe(name)),
        Some(OnBehalfOf::AccountId(id)) => format!("account id {}", safe(id)),
    };
    let parent = parent.as_ref().map(|parent| format!(" of {parent}")).unwrap_or_default();
    let place = if behalf.is_empty() { String::new() } else { format!(" ({behalf}{parent})") };
    let unread =
        unreadable.as_ref().map(|why| format!("; it was not read: {}", safe(why))).unwrap_or_default();
    format!("{}{place}{unread}", key.account)
}

/// `restricted: mail.send, stats.read`, or with their number alone. Full Access is not a list of scopes.
fn access(key: &AuditedKey, with_scopes: bool) -> Option<String> {
    let kind = match key.access.as_deref() {
        Some("full") => return Some("full access".to_string()),
        Some(kind) => kind,
        None if key.scopes.is_empty() => return None,
        None => "restricted",
    };
    let scopes: Vec<String> = key.scopes.iter().map(|scope| safe(scope.as_str())).collect();
    Some(match (with_scopes, scopes.len()) {
        (_, 0) => kind.to_string(),
        (true, _) => format!("{kind}: {}", scopes.join(", ")),
        (false, number) => format!("{kind}, {}", count(number, "scope")),
    })
}

/// `2026-03-01T11:00:00Z, 12 d ago`.
fn since(at: Timestamp, now: Timestamp) -> String {
    match now.duration_since(at).as_hours() / 24 {
        days @ 1.. => format!("{}, {days} d ago", time(at)),
        _ => time(at),
    }
}

fn by(key: &AuditedKey) -> String {
    key.made_by.as_ref().map(|by| format!(", by {}", safe(by))).unwrap_or_default()
}
