//! What state says of an address, as people read it, in the words of `whois`.

use std::collections::BTreeMap;

use gridkey_core::audit::{AuditedKey, Status};
use gridkey_core::state::{Delivery, OwnedKey, PendingKey};
use gridkey_core::whois::AskedAccount;
use gridkey_core::{KeyId, Name};
use jiff::Timestamp;

use super::style::{Style, Tone};
use super::table::{Cell, Table};
use super::whois::{about, concerns, status};
use super::words::{rotation, safe, time};

/// A block of lines for each key of an address: the current one, older ones, and creations that were begun.
pub fn address(
    keys: &[AuditedKey],
    accounts: &BTreeMap<Name, AskedAccount>,
    owned: &BTreeMap<KeyId, &OwnedKey>,
    begun: &[&PendingKey],
    style: Style,
    now: Timestamp,
) -> String {
    let blocks: Vec<String> = keys
        .iter()
        .map(|key| {
            let owned = key.id.as_ref().and_then(|id| owned.get(id)).copied();
            let begun = if key.status == Status::Pending { begun } else { &[] };
            block(key, accounts.get(&key.account), owned, begun, style, now)
        })
        .collect();
    blocks.join("\n")
}

fn block(
    key: &AuditedKey,
    account: Option<&AskedAccount>,
    owned: Option<&OwnedKey>,
    begun: &[&PendingKey],
    style: Style,
    now: Timestamp,
) -> String {
    let id =
        key.id.as_ref().map_or_else(|| "a key that state has no ID of".to_string(), |id| format!("key {id}"));
    let mut lines = vec![("status", Cell::new(status(key)))];
    lines.extend(about(key, account, now));
    lines.extend(owned.into_iter().flat_map(kept));
    let places = begun.iter().flat_map(|begun| &begun.locations);
    lines.extend(places.map(|location| ("sink", Cell::new(safe(location.to_string())))));
    lines.extend(concerns(key));
    let mut table = Table::new();
    for (what, cell) in lines {
        table.row(vec![Cell::toned(Tone::Faint, what), cell], Vec::new());
    }
    format!("{}\n{}", style.paint(Tone::Strong, id), table.to_text(style, "  "))
}

/// What state alone knows of a key.
fn kept(owned: &OwnedKey) -> Vec<(&'static str, Cell)> {
    let mut lines = Vec::new();
    if owned.protect {
        lines.push((
            "protected",
            Cell::new("it is neither deleted nor let go of until `protect: false` is applied"),
        ));
    }
    lines.extend(
        owned.lifecycle.as_ref().map(|known| ("rotated", Cell::new(rotation(known.rotate.as_ref())))),
    );
    for Delivery { location, at, receipt: _ } in &owned.sinks {
        let text = format!("{}: delivered {}", safe(location.to_string()), time(*at));
        lines.push(("sink", Cell::new(text)));
    }
    for leaving in &owned.retiring_locations {
        let text =
            format!("{}: to be cleared after {}", safe(leaving.location.to_string()), time(leaving.after));
        lines.push(("older sink", Cell::new(text)));
    }
    lines
}
