//! An audit as CSV (RFC 4180): a line for each key, columns that stay.

use gridkey_core::audit::{Audit, AuditedKey};
use jiff::Timestamp;

use super::super::words::{safe, time};

const COLUMNS: [&str; 17] = [
    "risk",
    "status",
    "account",
    "address",
    "id",
    "name",
    "owner",
    "access",
    "scopes",
    "made",
    "first_seen",
    "generation",
    "due",
    "revoke_after",
    "secret",
    "sinks",
    "concerns",
];

/// The header and the keys. Lists are separated by spaces, times are RFC 3339 in UTC.
pub fn csv(audit: &Audit) -> String {
    let mut text = line(COLUMNS.map(ToString::to_string));
    for key in &audit.keys {
        text.push_str(&line(cells(key)));
    }
    text
}

fn cells(key: &AuditedKey) -> [String; COLUMNS.len()] {
    let AuditedKey {
        risk,
        account,
        status,
        address,
        id,
        name,
        owner,
        access,
        scopes,
        made,
        first_seen,
        generation,
        due,
        revoke_after,
        secret,
        // The columns stay as they are; JSON has it.
        made_by: _,
        sinks,
        concerns,
    } = key;
    fn text<T: ToString>(value: &Option<T>) -> String {
        value.as_ref().map(ToString::to_string).unwrap_or_default()
    }
    let at = |at: &Option<Timestamp>| at.map(time).unwrap_or_default();
    let secret = secret.map(|secret| match secret {
        gridkey_core::state::SecretStatus::Delivered => "delivered",
        gridkey_core::state::SecretStatus::Unknown => "unknown",
    });
    // Some 250 scopes in a row say less.
    let scopes: Vec<&str> = match access.as_deref() {
        Some("full") => vec!["full"],
        Some(_) | None => scopes.iter().map(gridkey_core::Scope::as_str).collect(),
    };
    let sinks: Vec<String> =
        sinks.iter().map(|sink| format!("{} {}", sink.location, sink.standing.as_words())).collect();
    let concerns: Vec<&str> = concerns.iter().map(|concern| concern.as_str()).collect();
    let shown = |value: &Option<String>| value.as_ref().map(safe).unwrap_or_default();
    [
        risk.as_str().to_string(),
        status.as_str().to_string(),
        account.to_string(),
        text(address),
        text(id),
        shown(name),
        shown(owner),
        text(access),
        scopes.join(" "),
        at(made),
        at(first_seen),
        text(generation),
        at(due),
        at(revoke_after),
        text(&secret),
        safe(sinks.join("; ")),
        concerns.join(" "),
    ]
}

fn line(cells: [String; COLUMNS.len()]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A cell in quotes where it needs them. One that a spreadsheet would take for a formula gets a `'` in front:
/// whoever may name a key could have it run there otherwise.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_string() };
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_a_formula() {
        for (cell, expected) in [
            ("plain", "plain"),
            ("a, b", "\"a, b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("-2, +3", "\"'-2, +3\""),
        ] {
            assert_eq!(quoted(cell), expected);
        }
    }
}
