//! A key before and after a change, side by side.

use gridkey_core::plan::{Change, KeyValues};
use gridkey_core::{Access, SinkLocation};
use maud::{Markup, html};

use super::super::change::{self, word};
use super::super::words::{access, duration, rotation, safe};

/// A key can hold hundreds of scopes, and a plan a thousand keys: so many are listed, and the others counted.
const SCOPES_LISTED: usize = 60;

/// What a key is, before and after. Where it is made, the lines above say so already, up to some scopes.
pub(super) fn table(of: &Change) -> Markup {
    let (before, after) = (of.before.as_ref(), of.after.as_ref());
    let scopes = after.and_then(|after| after.access.scopes()).map_or(0, |scopes| scopes.as_set().len());
    if before.is_none() && scopes <= change::SCOPES_NAMED {
        return html! {};
    }
    let (before, after) = (before.map(rows), after.map(rows));
    let labels = before.iter().chain(&after).next().into_iter().flatten().map(|(label, _)| *label);
    html! {
        table.values {
            thead { tr {
                td {}
                @if before.is_some() { th scope="col" { "before" } }
                @if after.is_some() { th scope="col" { "after" } }
            } }
            tbody {
                @for (index, label) in labels.enumerate() {
                    @match (cell(before.as_ref(), index), cell(after.as_ref(), index)) {
                        (Some([]), Some([]) | None) | (None, Some([]) | None) => {},
                        (Some(had), Some(has)) if had == has => {
                            @if is_told(label) { tr { th scope="row" { (label) } td.same colspan="2" { (lines(had)) } } }
                        },
                        (Some(had), Some(has)) => {
                            tr { th scope="row" { (label) } td { (lines(had)) } td.new { (lines(has)) } }
                        },
                        (Some(only), None) | (None, Some(only)) => {
                            tr { th scope="row" { (label) } td { (lines(only)) } }
                        },
                    }
                }
            }
        }
    }
}

/// Whether it is worth a line where it does not change.
fn is_told(label: &str) -> bool {
    matches!(label, "name" | "key id" | "scopes" | "sinks")
}

/// A label, and what is to be said under it, a line each.
type Row = (&'static str, Vec<String>);

/// The same labels in the same order for each key, so that two of them can stand side by side.
fn rows(values: &KeyValues) -> Vec<Row> {
    let KeyValues {
        address,
        account,
        id,
        name,
        access: may,
        left_out: _,
        sinks,
        owner,
        protect,
        on_delete,
        rotate,
        ttl,
    } = values;
    vec![
        ("name", vec![safe(name)]),
        (
            "key id",
            vec![id.as_ref().map_or_else(|| "known once it is made".to_string(), ToString::to_string)],
        ),
        ("access", vec![access(may)]),
        ("scopes", scopes(may)),
        ("sinks", sinks.iter().map(|sink: &SinkLocation| safe(sink.to_string())).collect()),
        ("owner", owner.iter().map(safe).collect()),
        // Nothing is said of a key that is not protected, unless it was.
        ("protected", protect.then(|| "yes".to_string()).into_iter().collect()),
        ("on delete", vec![word(*on_delete).to_string()]),
        ("rotate", vec![rotation(rotate.as_ref())]),
        ("ttl", ttl.iter().map(|ttl| duration(*ttl)).collect()),
        ("address", vec![address.to_string()]),
        ("account", vec![account.to_string()]),
    ]
}

fn scopes(access: &Access) -> Vec<String> {
    let Some(scopes) = access.scopes() else { return vec!["everything but billing".to_string()] };
    let mut lines: Vec<String> =
        scopes.iter().take(SCOPES_LISTED).map(|scope| safe(scope.as_str())).collect();
    if let more @ 1.. = scopes.as_set().len() - lines.len() {
        lines.push(format!("and {more} more"));
    }
    lines
}

fn cell(rows: Option<&Vec<Row>>, index: usize) -> Option<&[String]> {
    rows.and_then(|rows| rows.get(index)).map(|(_, lines)| &lines[..])
}

fn lines(lines: &[String]) -> Markup {
    html! {
        @if lines.is_empty() { "none" }
        @for (index, line) in lines.iter().enumerate() { @if index > 0 { br; } (line) }
    }
}
