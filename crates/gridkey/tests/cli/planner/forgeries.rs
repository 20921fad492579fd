//! Forgeries of a plan file, one field at a time.

use serde_json::{Value, json};

/// The plan with one place of it replaced; a place that is not there yet is made.
pub fn with(plan: &Value, pointer: &str, value: Value) -> Value {
    let mut plan = plan.clone();
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    match plan.pointer_mut(parent) {
        Some(Value::Object(entries)) => drop(entries.insert(last.to_string(), value)),
        Some(Value::Array(items)) => match last.parse::<usize>() {
            Ok(at) if at < items.len() => items[at] = value,
            _ => items.push(value),
        },
        Some(other) => *other = json!({ last: value }),
        None => panic!("the plan has no {parent}"),
    }
    plan
}

pub fn change_at(plan: &Value, address: &str) -> usize {
    let changes = plan["changes"].as_array().unwrap();
    changes.iter().position(|change| change["address"] == address).unwrap_or_else(|| panic!("{changes:#?}"))
}

pub const ACTIONS: [&str; 11] = [
    "recover", "move", "adopt", "forget", "retire", "delete", "update", "deliver", "create", "rotate", "keep",
];

const REASONS: [&str; 36] = [
    "in_step",
    "new",
    "vanished",
    "not_wanted",
    "scopes_edited",
    "scopes_drifted",
    "catalogue_changed",
    "name_edited",
    "name_drifted",
    "name_unfinished",
    "settings_edited",
    "location_added",
    "location_lost",
    "location_removed",
    "overlap_passed",
    "older_key_in_use",
    "secret_survived",
    "secret_lost",
    "secret_uncertain",
    "never_made",
    "unresolved",
    "late_effect",
    "rotation_due",
    "rotation_early",
    "rotation_requested",
    "secret_gone",
    "access_changed",
    "account_changed",
    "ttl_passed",
    "imported",
    "found_in_sink",
    "secret_found",
    "moved",
    "let_go",
    "retirement_requested",
    "hold_requested",
];

/// Steps that would do harm to the key of a change.
fn steps(id: &Value, older: &Value) -> Vec<Value> {
    let born = "2026-01-01T00:00:00Z";
    let full = json!("full");
    vec![
        json!({ "delete": { "keys": [{ "id": id, "born": born }], "abandon": [], "clear": [], "look": [] } }),
        json!({ "revoke_first": { "id": id, "born": born } }),
        json!({ "revoke_older": { "id": older, "born": born } }),
        json!({ "revoke_older": { "id": id, "born": born } }),
        json!({ "retire_key": { "id": older, "born": born, "look": [] } }),
        json!({ "forget": { "id": id } }),
        json!({ "rename": { "id": id, "name": "forged" } }),
        json!({ "update": { "id": id, "name": "forged", "access": full, "patterns": [] } }),
        json!({ "move": { "from": "prod/reports" } }),
    ]
}

/// Every field of one change, forged.
pub fn forged_changes(plan: &Value, address: &str, older: &Value) -> Vec<(String, Value)> {
    let at = change_at(plan, address);
    let on = |field: &str| format!("/changes/{at}/{field}");
    let mut forged: Vec<(String, Value)> = Vec::new();
    let mut forge = |field: &str, value: Value| {
        let what = format!("{address} {field} {value}");
        forged.push((what, with(plan, &on(field), value)));
    };
    for action in ACTIONS {
        forge("action", json!(action));
    }
    for reason in REASONS {
        forge("reasons", json!([reason]));
    }
    let id = plan["changes"][at]["before"]["id"].clone();
    for step in steps(&id, older) {
        forge("steps", json!([step]));
    }
    forge("steps", json!([]));
    for (side, other) in [("before", "after"), ("after", "before")] {
        forge(side, Value::Null);
        forge(side, plan["changes"][at][other].clone());
        if plan["changes"][at][side].is_null() {
            continue;
        }
        for (field, value) in [
            ("id", older.clone()),
            ("id", Value::Null),
            ("name", json!("forged")),
            ("access", json!("full")),
            ("access", json!({ "restricted": ["api_keys.create", "mail.send"] })),
            ("sinks", json!([])),
            (
                "sinks",
                json!([{ "sink": "local", "at": { "dotenv": { "path": "forged.env", "variable": "X" } } }]),
            ),
            ("owner", json!("forged")),
            ("protect", json!(true)),
            ("protect", json!(false)),
            ("on_delete", json!("keep")),
            ("rotate", Value::Null),
            ("rotate", json!({ "every": 1, "overlap": 0, "warn_before": 0, "at_limit": "replace" })),
            ("ttl", json!(1)),
        ] {
            forge(&format!("{side}/{field}"), value);
        }
    }
    forge("address", json!("prod/reports"));
    forge("address", json!("pr-1/mailer"));
    forge("account", json!("other"));
    forge("notes", json!([]));
    forge("notes", json!([{ "retiring_key": { "id": older, "after": "2026-01-01T00:00:00Z" } }]));
    forge(
        "rotation",
        json!({
            "made": "2020-01-01T00:00:00Z", "due": "2020-02-01T00:00:00Z", "overlap": { "secs": 0, "nanos": 0 },
        }),
    );
    forge("position", Value::Null);
    forged
}

/// Every field of the document besides its changes, forged.
pub fn forged_rest(plan: &Value) -> Vec<(String, Value)> {
    let mut forged = Vec::new();
    let mut forge = |pointer: &str, value: Value| {
        forged.push((format!("{pointer} {value}"), with(plan, pointer, value)));
    };
    for (pointer, values) in [
        ("/format_version", json!([0, 2])),
        ("/kind", json!(["drift", "comparison"])),
        ("/project", json!(["other"])),
        (
            "/computed_from/environments",
            json!([["pr-1"], ["pr-9"], ["prod", "pr-1"], ["prod"], [], ["pr-*"]]),
        ),
        ("/computed_from/only", json!([["prod/mailer"], ["prod/reports"], ["pr-1/mailer"], []])),
        ("/computed_from/due", json!(["only", "exclude"])),
        ("/computed_from/sinks", json!([false])),
        ("/computed_from/policy", json!([{ "file": "policy.yaml", "sha256": "0".repeat(64) }])),
        ("/computed_from/manifest", json!([[]])),
        ("/findings", json!([[]])),
        (
            "/allowed",
            json!([
                ["max_deletions"],
                ["protected"],
                ["managing_key"],
                ["forbidden_scope"],
                ["full_access:prod/mailer"],
            ]),
        ),
        ("/accounts", json!([{}])),
        ("/accounts/acme/lineage", json!([null, "forged"])),
        ("/accounts/acme/serial", json!([0, 999])),
        ("/accounts/acme/observed_at", json!([null, "2020-01-01T00:00:00Z"])),
        ("/accounts/acme/capacity", json!([null])),
        ("/accounts/acme/identity/region", json!(["eu"])),
        ("/accounts/acme/identity/on_behalf_of", json!([{ "subuser": "team" }])),
        ("/changes", json!([[]])),
    ] {
        for value in values.as_array().unwrap() {
            forge(pointer, value.clone());
        }
    }
    let finding = json!({
        "severity": "allowed", "code": "protected", "account": "acme", "address": "prod/reports",
        "message": "forged", "help": null, "position": null,
    });
    forge("/findings", json!([finding]));
    forged
}
