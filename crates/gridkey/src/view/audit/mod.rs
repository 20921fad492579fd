//! An audit as people read it: a table, the worst first, and what is worrying about each key.

pub mod csv;
pub mod html;

use std::collections::BTreeMap;

use gridkey_core::audit::{Audit, AuditedKey, Level, Standing, Status};
use jiff::Timestamp;

use super::style::{Style, Tone};
use super::table::{Cell, Table};
use super::words::{count, safe, time};

/// The table, the accounts that could not be read, and one sentence that counts.
pub fn text(audit: &Audit, style: Style) -> String {
    let mut table = Table::new();
    for key in &audit.keys {
        let AuditedKey { risk, account, status, owner, .. } = key;
        let head = vec![
            Cell::toned(tone(*risk), risk.as_str()),
            Cell::new(status.as_str()),
            Cell::new(title(key)),
            Cell::new(account.to_string()),
            Cell::new(may(key)),
            Cell::new(age(audit, key)),
            Cell::new(owner.as_ref().map(safe).unwrap_or_default()),
        ];
        table.row(head, below(key));
    }
    let mut blocks = vec![format!("{}\n{}\n", style.paint(Tone::Strong, heading(audit)), accounts(audit))];
    if !table.is_empty() {
        blocks.push(table.to_text(style, ""));
    }
    let unread: String = audit
        .accounts
        .iter()
        .filter_map(|(name, account)| {
            let why = account.unreadable.as_ref()?;
            let word = style.paint(Tone::Bad, "not read");
            Some(format!("{word} {name}: {}; what is listed of it is what state says\n", safe(why)))
        })
        .collect();
    if !unread.is_empty() {
        blocks.push(unread);
    }
    blocks.push(style.paint(Tone::Strong, summary(audit)) + "\n");
    blocks.join("\n")
}

/// `Audit of project mailing, 2026-03-01T11:00:00Z`
pub fn heading(audit: &Audit) -> String {
    let at = audit.observed_at().map(|at| format!(", {}", time(at))).unwrap_or_default();
    format!("Audit of project {}{at}", audit.project)
}

/// `accounts: acme (12 of 100 keys), team (not read)`
pub fn accounts(audit: &Audit) -> String {
    let each = audit.accounts.iter().map(|(name, account)| match (account.live, account.limit) {
        (Some(live), Some(limit)) => format!("{name} ({live} of {limit} keys)"),
        (Some(live), None) => format!("{name} ({})", count(live as usize, "key")),
        (None, _) => format!("{name} (not read)"),
    });
    format!("accounts: {}", each.collect::<Vec<_>>().join(", "))
}

/// `60 keys in 2 accounts: 1 high, 3 medium, 56 none.`
pub fn summary(audit: &Audit) -> String {
    let mut levels: BTreeMap<Level, usize> = BTreeMap::new();
    for key in &audit.keys {
        *levels.entry(key.risk).or_default() += 1;
    }
    let keys = format!("{} in {}", count(audit.keys.len(), "key"), count(audit.accounts.len(), "account"));
    let levels: Vec<String> =
        levels.into_iter().map(|(level, number)| format!("{number} {}", level.as_str())).collect();
    match levels.is_empty() {
        true => format!("{keys}."),
        false => format!("{keys}; risk: {}.", levels.join(", ")),
    }
}

fn tone(level: Level) -> Tone {
    match level {
        Level::High => Tone::Bad,
        Level::Medium => Tone::Changed,
        Level::Low | Level::None => Tone::Faint,
    }
}

/// By what people know the key: its address, and its name at SendGrid where that is another.
fn title(key: &AuditedKey) -> String {
    match (&key.address, &key.name) {
        // What was given up has the name of its marker.
        (Some(address), Some(name))
            if key.status != Status::Abandoned && *name != address.to_string().replace('/', "-") =>
        {
            format!("{address} \"{}\"", safe(name))
        }
        (Some(address), _) => address.to_string(),
        (None, Some(name)) => format!("\"{}\"", safe(name)),
        (None, None) => key.id.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

/// What it may do, in few words.
fn may(key: &AuditedKey) -> String {
    match key.access.as_deref() {
        Some("full") => "full access".to_string(),
        Some(access) => format!("{access}, {}", count(key.scopes.len(), "scope")),
        None => String::new(),
    }
}

/// How old it is in whole days, as far as anybody knows; some seconds less than a day are one.
fn age(audit: &Audit, key: &AuditedKey) -> String {
    let now = audit.accounts.get(&key.account).and_then(|account| account.observed_at);
    let days = |since: Timestamp| now.map(|now| (now.duration_since(since).as_mins() + 30) / (24 * 60));
    match key.since().and_then(|(since, is_older)| Some((days(since)?, is_older))) {
        Some((days, false)) => format!("{days} d"),
        Some((days, true)) => format!("over {days} d"),
        None => String::new(),
    }
}

fn below(key: &AuditedKey) -> Vec<Cell> {
    let mut lines = Vec::new();
    if !key.concerns.is_empty() {
        let words: Vec<&str> = key.concerns.iter().map(|concern| concern.as_words()).collect();
        lines.push(Cell::new(words.join("; ")));
    }
    if let (Some(id), Status::Foreign | Status::Retiring | Status::Managing) = (&key.id, key.status) {
        lines.push(Cell::toned(Tone::Faint, format!("id {id}")));
    }
    if let Some(due) = key.due {
        lines.push(Cell::toned(Tone::Faint, format!("due for rotation {}", time(due))));
    }
    if let Some(after) = key.revoke_after {
        lines.push(Cell::toned(Tone::Faint, format!("to be revoked after {}", time(after))));
    }
    let odd =
        key.sinks.iter().filter(|sink| !matches!(sink.standing, Standing::InStep | Standing::WriteOnly));
    lines.extend(odd.map(|sink| {
        Cell::toned(Tone::Faint, format!("{}: {}", safe(sink.location.to_string()), sink.standing.as_words()))
    }));
    lines
}
