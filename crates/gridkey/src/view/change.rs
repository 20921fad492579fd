//! One change as people read it: its columns, and below them what differs, what is done, and the notes.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::access::Scope;
use gridkey_core::manifest::OnDelete;
use gridkey_core::plan::RevokeOld;
use gridkey_core::plan::{
    Action, Adopt, Change, Delete, DeleteKey, FinishPending, KeyValues, Mint, Note, Put, Settings, Step,
    UncertainKey,
};
use gridkey_core::state::{Purpose, RetiringReason};
use gridkey_core::{Access, LocationId, SinkLocation};

use super::style::Tone;
use super::table::Cell;
use super::words::{access, count, duration, rotation, safe, time};

/// A created key's scopes are named up to this many: a pattern can cover hundreds, and JSON has them all.
pub(super) const SCOPES_NAMED: usize = 12;

/// The columns of a change, and the lines below them.
pub(super) fn row(change: &Change) -> (Vec<Cell>, Vec<Cell>) {
    let Change {
        address,
        account: _,
        action,
        cause: _,
        reasons,
        before,
        after,
        notes,
        steps,
        rotation: _,
        position: _,
    } = change;
    let tone = Tone::of(*action);
    let head = vec![
        Cell::toned(tone, format!("{} {address}", action.sign())),
        Cell::toned(tone, action.as_str()),
        Cell::new(summary(*action, before.as_ref(), after.as_ref())),
        Cell::toned(
            Tone::Faint,
            reasons.iter().map(|reason| reason.as_words()).collect::<Vec<_>>().join("; "),
        ),
    ];
    let mut below = match (action, before, after) {
        (Action::Create, _, Some(after)) => made(after),
        (_, Some(before), Some(after)) => differences(before, after),
        (_, None, _) | (_, Some(_), None) => Vec::new(),
    };
    below.extend(steps.iter().flat_map(done_by));
    below.extend(notes.iter().map(|words| Cell::toned(Tone::Faint, note(words))));
    (head, below)
}

/// The key in a few words, and where its secret goes where that is one place.
fn summary(action: Action, before: Option<&KeyValues>, after: Option<&KeyValues>) -> String {
    let Some(values) = after.or(before) else { return String::new() };
    let may = access(&values.access);
    let names_all = match action {
        Action::Create | Action::Rotate => true,
        Action::Adopt => false,
        Action::Recover
        | Action::Move
        | Action::Forget
        | Action::Retire
        | Action::Delete
        | Action::Update
        | Action::Deliver
        | Action::Keep => return may,
    };
    match &values.sinks[..] {
        [sink] => format!("{may} → {}", place(sink)),
        [_, ..] if names_all => format!("{may} → {}", count(values.sinks.len(), "location")),
        [] | [_, ..] => may,
    }
}

/// What a key that is not there yet will be.
fn made(after: &KeyValues) -> Vec<Cell> {
    let KeyValues {
        address: _,
        account: _,
        id: _,
        name,
        access,
        left_out: _,
        sinks,
        owner,
        protect,
        on_delete: _,
        rotate,
        ttl,
    } = after;
    let mut lines = vec![Cell::new(format!("name {}", quoted(name)))];
    if let Some(scopes) = access.scopes() {
        // What is more than reading is always named: a reviewer looks for just that.
        let reads = |scope: &&Scope| scope.as_str().ends_with(".read");
        let all = scopes.as_set().len();
        let (reading, others): (Vec<&Scope>, Vec<&Scope>) = scopes.iter().partition(reads);
        let reading_named =
            if all <= SCOPES_NAMED { reading.len() } else { SCOPES_NAMED.saturating_sub(others.len()) };
        let mut named: Vec<&Scope> = reading.iter().take(reading_named).copied().chain(others).collect();
        named.sort();
        let more = match all - named.len() {
            0 => String::new(),
            more if named.is_empty() => format!("{more} that only read"),
            more => format!(" and {more} that only read"),
        };
        let named: Vec<String> = named.into_iter().map(|scope| safe(scope.as_str())).collect();
        lines.push(Cell::new(format!("scopes {}{more}", named.join(", "))));
    }
    if let Some(owner) = owner {
        lines.push(Cell::new(format!("owner {}", safe(owner))));
    }
    if *protect {
        lines.push(Cell::new("protected"));
    }
    if rotate.is_some() {
        lines.push(Cell::new(format!("rotate {}", rotation(rotate.as_ref()))));
    }
    if let Some(ttl) = ttl {
        lines.push(Cell::new(format!("ttl {}", duration(*ttl))));
    }
    if sinks.len() > 1 {
        lines.extend(sinks.iter().map(|sink| Cell::new(format!("→ {}", place(sink)))));
    }
    lines
}

/// What differs between two states of a key.
fn differences(before: &KeyValues, after: &KeyValues) -> Vec<Cell> {
    // Another id is what a rotation is about, and not worth a line.
    let KeyValues {
        // The notes say where the key was.
        address: _,
        account: _,
        id: _,
        name,
        access,
        left_out: _,
        sinks,
        owner,
        protect,
        on_delete,
        rotate,
        ttl,
    } = before;
    let mut lines = Vec::new();
    if *name != after.name {
        lines.push(changed(format!("name {} → {}", quoted(name), quoted(&after.name))));
    }
    if access.kind() != after.access.kind() {
        lines.push(changed(format!("access {} → {}", access.kind(), after.access.kind())));
    }
    scope_differences(access, &after.access, &mut lines);
    sink_differences(sinks, &after.sinks, &mut lines);
    if *owner != after.owner {
        let words = |owner: &Option<String>| owner.as_ref().map_or_else(|| "none".to_string(), safe);
        lines.push(changed(format!("owner {} → {}", words(owner), words(&after.owner))));
    }
    if *protect != after.protect {
        lines.push(changed(if after.protect { "protected from now on" } else { "no longer protected" }));
    }
    if *on_delete != after.on_delete {
        lines.push(changed(format!("on_delete {} → {}", word(*on_delete), word(after.on_delete))));
    }
    if *rotate != after.rotate {
        let (before, after) = (rotation(rotate.as_ref()), rotation(after.rotate.as_ref()));
        lines.push(changed(format!("rotate {before} → {after}")));
    }
    if *ttl != after.ttl {
        let words = |ttl: Option<std::time::Duration>| ttl.map_or_else(|| "none".to_string(), duration);
        lines.push(changed(format!("ttl {} → {}", words(*ttl), words(after.ttl))));
    }
    lines
}

fn scope_differences(before: &Access, after: &Access, lines: &mut Vec<Cell>) {
    let (Some(before), Some(after)) = (before.scopes(), after.scopes()) else { return };
    let (before, after): (&BTreeSet<Scope>, _) = (before.as_set(), after.as_set());
    lines.extend(after.difference(before).map(|scope| added(safe(scope.as_str()))));
    lines.extend(before.difference(after).map(|scope| removed(safe(scope.as_str()))));
}

fn sink_differences(before: &[SinkLocation], after: &[SinkLocation], lines: &mut Vec<Cell>) {
    fn by_id(sinks: &[SinkLocation]) -> BTreeMap<LocationId, &SinkLocation> {
        sinks.iter().map(|sink| (sink.id(), sink)).collect()
    }
    let (before, after) = (by_id(before), by_id(after));
    for (id, sink) in &after {
        match before.get(id) {
            None => lines.push(added(format!("sink {}", place(sink)))),
            Some(older) if older != sink => {
                lines.push(changed(format!("sink {}: settings", place(sink))));
            }
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|(id, _)| !after.contains_key(*id));
    lines.extend(gone.map(|(_, sink)| removed(format!("sink {}", place(sink)))));
}

/// What the steps of a change do, a line each.
pub(super) fn steps(change: &Change) -> Vec<String> {
    change.steps.iter().flat_map(done_by).map(Cell::into_text).collect()
}

/// What a step does, where the values before and after do not say it.
fn done_by(step: &Step) -> Vec<Cell> {
    match step {
        // The notes say what the address was, and what stays live.
        Step::Move { from: _ } | Step::Forget { id: _ } => Vec::new(),
        Step::Adopt(Adopt { id, name: _, access: _, secret: _, settings: _ }) => {
            vec![Cell::toned(Tone::Added, format!("takes over the live key {id}, as it is"))]
        }
        Step::RevokeFirst { id, born: _ } => vec![takes_away(format!(
            "revokes older key {id} first, as there is no slot for both: what uses it fails until then"
        ))],
        Step::RevokeOlder { id, born: _ } => {
            vec![takes_away(format!("revokes older key {id} at once, without an overlap"))]
        }
        Step::FinishPending(finish) => finished(finish),
        Step::RevokePending { marker: _, id } => {
            vec![takes_away(format!("revokes key {id}, whose secret no sink has"))]
        }
        Step::DiscardPending { marker: _, id, clear } => {
            let mut lines = vec![takes_away(format!("revokes key {id}, which is no longer wanted"))];
            lines.extend(cleared(clear));
            lines
        }
        Step::AbandonPending { marker } => vec![Cell::new(format!(
            "gives up the creation marked `{marker}`, as SendGrid has no such key",
            marker = safe(marker.as_str()),
        ))],
        Step::RevokeAbandoned { id } => {
            vec![takes_away(format!("revokes key {id}, whose creation had been given up"))]
        }
        Step::RetireKey { id, born: _, look } if look.is_empty() => {
            vec![takes_away(format!("revokes older key {id}"))]
        }
        Step::RetireKey { id, born: _, look: _ } => {
            vec![takes_away(format!("revokes older key {id}, unless a sink still holds it"))]
        }
        Step::PostponeRetirement { id, overlap } => {
            vec![Cell::new(format!("leaves older key {id} working for another {}", duration(*overlap)))]
        }
        Step::RetireLocation { location, holding: _, kept_for: None } => {
            cleared(std::slice::from_ref(location)).collect()
        }
        Step::RetireLocation { location, holding: _, kept_for: Some(user) } => {
            vec![Cell::new(format!("leaves {} to `{user}`", place(location)))]
        }
        Step::Delete(Delete { keys, abandon, clear, look: _, successors: _ }) => {
            let keys = keys.iter().map(|DeleteKey { id, born: _ }| takes_away(format!("revokes key {id}")));
            let abandoned = abandon
                .iter()
                .map(|marker| Cell::new(format!("gives up the creation marked `{}`", safe(marker.as_str()))));
            keys.chain(abandoned).chain(cleared(clear)).collect()
        }
        Step::Deliver { id: _, source, to, hooks: _ } => {
            vec![Cell::new(format!("copies the secret from {} to {}", place(source), places(to),))]
        }
        Step::Mint(mint) => minted(mint),
        // These are what the values before and after say.
        Step::Rename { id: _, name: _ } | Step::Update { id: _, name: _, access: _, patterns: _ } => {
            Vec::new()
        }
        Step::Record(Settings {
            owner: _,
            protect: _,
            on_delete: _,
            patterns: _,
            locations: _,
            left_alone: _,
            overlap: _,
            lifecycle: _,
            hooks: _,
        }) => Vec::new(),
        // Its notes say what it does.
        Step::RunHooks { hooks: _, begun: _, due: _ } => Vec::new(),
    }
}

fn finished(finish: &FinishPending) -> Vec<Cell> {
    let FinishPending {
        marker: _,
        id,
        source,
        puts,
        generation: _,
        first_made: _,
        settings: _,
        overlap,
        retire: _,
        uncertain,
    } = finish;
    let mut lines =
        vec![Cell::toned(Tone::Added, format!("takes up key {id}, whose secret is in {}", place(source)))];
    if !puts.is_empty() {
        lines.push(Cell::new(format!("copies the secret to {}", places(puts))));
    }
    lines.extend(uncertain.iter().map(|key| unsure(key, *overlap)));
    lines
}

fn minted(mint: &Mint) -> Vec<Cell> {
    let Mint {
        markers: _,
        purpose,
        name: _,
        access: _,
        puts,
        generation: _,
        first_made: _,
        settings: _,
        overlap,
        retire,
        older: what_then,
        uncertain,
    } = mint;
    let mut lines = Vec::new();
    if let Purpose::Replace(older) = purpose {
        if puts.len() > 1 {
            lines.push(Cell::new(format!("the new secret goes to {}", places(puts))));
        }
        let after = duration(*overlap);
        match retire {
            Some(RetiringReason::Vanished) => lines.push(Cell::new(format!(
                "key {older} is revoked {after} later, in case it is there after all"
            ))),
            // The steps before or after this one say so.
            Some(RetiringReason::Replaced | RetiringReason::Uncertain)
                if matches!(what_then, RevokeOld::Now | RevokeOld::First) => {}
            Some(RetiringReason::Replaced | RetiringReason::Uncertain) if *what_then == RevokeOld::Hold => {
                lines.push(Cell::new(format!(
                    "older key {older} is held until released with `gridkey retire`"
                )));
            }
            Some(RetiringReason::Replaced | RetiringReason::Uncertain) => {
                lines.push(Cell::new(format!("older key {older} goes on working for {after} after that")));
            }
            None => {}
        }
    }
    lines.extend(uncertain.iter().map(|key| unsure(key, *overlap)));
    lines
}

fn unsure(key: &UncertainKey, overlap: std::time::Duration) -> Cell {
    let UncertainKey { marker: _, id } = key;
    Cell::new(format!("key {id}, which a write-only sink may hold, is revoked {} later", duration(overlap)))
}

fn note(note: &Note) -> String {
    let words = match note {
        Note::AutomaticScopes(scopes) => format!("SendGrid added {} by itself", scope_list(scopes)),
        Note::LeftOut(scopes) => {
            format!("left out, as the managing key cannot grant them: {}", scope_list(scopes))
        }
        Note::NotHeld(scopes) => {
            format!("accepted by SendGrid, yet the key does not hold {}", scope_list(scopes))
        }
        Note::RetiringKey { id, after } => format!("older key {id} is revoked after {}", time(*after)),
        Note::RetiringLocation { location, after } => {
            format!("older location {} is cleared after {}", place(location), time(*after))
        }
        Note::MayBeGone => {
            "the key could not be found, and it is too early to say that it is gone".to_string()
        }
        Note::Overwrites { location, holder: Some(id) } => {
            format!("overwrites key {id} in {}", place(location))
        }
        Note::Overwrites { location, holder: None } if !location.at.is_readable() => {
            format!("overwrites what another program wrote to {}", place(location))
        }
        Note::Overwrites { location, holder: None } => {
            format!("overwrites a value that is not a SendGrid key in {}", place(location))
        }
        Note::Creation { marker, id: Some(id) } => {
            format!("the creation marked `{}` made key {id}", safe(marker.as_str()))
        }
        Note::Creation { marker, id: None } => {
            format!("no key is known of the creation marked `{}`", safe(marker.as_str()))
        }
        Note::NotReadable(location) => {
            format!("{} cannot be read, so what it holds is not known", place(location))
        }
        Note::SinkEdited(location) => format!("the settings of {} were edited", place(location)),
        Note::HeldKey(id) => format!("older key {id} is held until released with `gridkey retire`"),
        Note::SecretUnknown => "no sink proves that a program has the secret".to_string(),
        Note::MovedFrom(address) => format!("it was {address}"),
        Note::MovesFrom(account) => {
            format!("the older key, in account {account}, is revoked there once the overlap has passed")
        }
        Note::Expires(at) => format!("its environment's keys are revoked after {}", time(*at)),
        Note::LeftBehind(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            format!("stays live, no longer managed by gridkey: {}", ids.join(", "))
        }
        Note::RunsHook(hook) => match &hook.sink {
            Some(sink) => format!("once delivered to {sink}, {}", safe(hook.does.to_string())),
            None => format!("once delivered, {}", safe(hook.does.to_string())),
        },
        Note::LeftAlone(location) => format!(
            "{} is not cleared: the key was in the new place before it was delivered there, so the two may be one",
            place(location)
        ),
        Note::NameNotHeld(name) => {
            format!("SendGrid does not hold the name, and has {} instead", quoted(name))
        }
    };
    format!("note: {words}")
}

fn cleared(locations: &[SinkLocation]) -> impl Iterator<Item = Cell> {
    locations.iter().map(|location| takes_away(format!("clears {}", place(location))))
}

fn places(puts: &[Put]) -> String {
    let places = puts.iter().map(|Put { location, replaces: _, foreign: _ }| place(location));
    places.collect::<Vec<_>>().join(", ")
}

fn place(location: &SinkLocation) -> String {
    safe(location.to_string())
}

fn scope_list(scopes: &BTreeSet<Scope>) -> String {
    scopes.iter().map(|scope| safe(scope.as_str())).collect::<Vec<_>>().join(", ")
}

pub(super) fn word(on_delete: OnDelete) -> &'static str {
    match on_delete {
        OnDelete::Clear => "clear",
        OnDelete::Keep => "keep",
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", safe(name))
}

fn added(text: impl AsRef<str>) -> Cell {
    Cell::toned(Tone::Added, format!("+ {}", text.as_ref()))
}

fn removed(text: impl AsRef<str>) -> Cell {
    Cell::toned(Tone::Removed, format!("- {}", text.as_ref()))
}

/// A step that leaves less than there was.
fn takes_away(text: String) -> Cell {
    Cell::toned(Tone::Removed, text)
}

fn changed(text: impl AsRef<str>) -> Cell {
    Cell::toned(Tone::Changed, format!("~ {}", text.as_ref()))
}
