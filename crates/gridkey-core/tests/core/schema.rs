//! The JSON Schema: committed, and of one mind with the parser.

use std::path::Path;

use gridkey_core::manifest::{SourceFile, load, manifest_schema};
use serde_json::Value;

use crate::corpus::cases;

/// Errors that a schema can see: in the form of one block, whatever stands elsewhere.
const OF_FORM: [&str; 31] = [
    "empty_list",
    "empty_scopes",
    "empty_override",
    "empty_text",
    "full_with_scopes",
    "invalid_address",
    "invalid_duration",
    "invalid_name",
    "invalid_share",
    "invalid_variable",
    "invalid_version",
    "literal_credential",
    "missing_field",
    "missing_version",
    "newer_version",
    "no_api_key",
    "no_identity",
    "no_parent",
    "not_allowable",
    "out_of_range",
    "ttl_without_pattern",
    "two_accounts",
    "two_identities",
    "two_imports",
    "two_removals",
    "unexpected_tag",
    "unknown_code",
    "unknown_field",
    "unknown_kind",
    "unknown_value",
    "wrong_type",
];

/// Cases that the schema cannot speak about: a schema sees one tree, after anchors.
const NOT_A_TREE: [&str; 2] = ["an_alias_bomb_is_stopped", "an_empty_file_is_no_manifest"];

#[test]
fn the_committed_schema_is_the_one_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/manifest.schema.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let made = format!("{:#}\n", manifest_schema());
    assert!(committed == made, "schema/manifest.schema.json is stale: run `cargo xtask generate`");
}

#[test]
fn every_field_has_a_description() {
    fn walk(path: &str, schema: &Value) {
        let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (name, field) in fields {
            let path = format!("{path}.{name}");
            // What only narrows a field that is described elsewhere needs no words of its own.
            let narrows = field.get("const").is_some() && field.get("type").is_none();
            assert!(narrows || field.get("description").is_some(), "{path} has no description");
        }
        match schema {
            Value::Object(object) => object.iter().for_each(|(name, value)| {
                if !matches!(name.as_str(), "if" | "then" | "else" | "not" | "oneOf") {
                    walk(&format!("{path}.{name}"), value);
                }
            }),
            Value::Array(items) => items.iter().for_each(|value| walk(path, value)),
            _ => {}
        }
    }
    walk("", &manifest_schema());
}

#[test]
fn schema_and_parser_are_of_one_mind() {
    let validator = jsonschema::draft202012::new(&manifest_schema()).unwrap();
    for kind in ["good", "bad"] {
        for case in cases(kind) {
            if NOT_A_TREE.contains(&case.name.as_str()) {
                continue;
            }
            let Some(documents) = case.sources.iter().map(as_json).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let refused: Vec<_> =
                documents.iter().filter_map(|document| validator.validate(document).err()).collect();
            let codes: Vec<_> = match load(&case.sources, &case.requested) {
                Ok(_) => Vec::new(),
                Err(diagnostics) => diagnostics.errors.iter().map(|error| error.code).collect(),
            };
            let of_form: Vec<_> = codes.iter().filter(|code| OF_FORM.contains(code)).collect();
            assert_eq!(
                of_form.is_empty(),
                refused.is_empty(),
                "`{}`: the parser says {codes:?}, the schema {refused:?}",
                case.name
            );
        }
    }
}

/// Blocks of the schema, and where in a manifest each can stand.
const BLOCKS: [(&str, &str); 17] = [
    ("ManifestFile", ""),
    ("AccountBlock", "accounts: {acme: {@}}"),
    ("DefaultsBlock", "defaults: {@}"),
    ("EnvironmentBlock", "environments: {prod: {@}}"),
    ("PatternBlock", "environments: {\"pr-*\": {@}}"),
    ("ExceptionBlock", "environments: {prod: {keys: {mailer: {@}}}}"),
    ("KeyBlock", "keys: {mailer: {@}}"),
    ("RotateBlock", "keys: {mailer: {rotate: {@}}}"),
    ("MovedBlock", "moved: [{@}]"),
    ("ImportBlock", "import: [{@}]"),
    ("RemovedBlock", "removed: [{@}]"),
    ("PolicyBlock", "policy: {@}"),
    ("ShareBlock", "policy: {max_deletions: {@}}"),
    ("AllowBlock", "policy: {allow: [{@}]}"),
    ("RequireRotationBlock", "policy: {require_rotation: {@}}"),
    ("ForeignBlock", "policy: {foreign: {@}}"),
    ("CredentialBlock", ""),
];

/// Every block is in the table, and every field of it is looked at: nonsense in it is refused.
#[test]
fn the_parser_reads_every_field_of_the_schema() {
    let schema = manifest_schema();
    let blocks = schema["$defs"].as_object().unwrap().keys().filter(|name| name.ends_with("Block"));
    for block in blocks.filter(|name| *name != "RuleBlock" && !name.starts_with("Named")) {
        assert!(BLOCKS.iter().any(|(known, _)| known == block), "`{block}` is not in the table");
    }
    for (block, place) in BLOCKS {
        let definition = if block == "ManifestFile" { &schema } else { &schema["$defs"][block] };
        let fields = definition.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (field, _) in fields.filter(|(field, _)| *field != "version") {
            let nonsense = format!("{field}:\n    {{Of No Use: {{}}}}");
            let text = match place {
                "" => format!("version: 1\n{nonsense}\n"),
                place => format!("version: 1\n{}\n", place.replace('@', &nonsense)),
            };
            let source = SourceFile { name: "gridkey.yaml".to_string(), bytes: text.clone().into_bytes() };
            let found = load(&[source], &[]).expect_err("it is nonsense");
            let lines =
                found.errors.iter().filter_map(|error| error.position()).map(|position| position.line);
            let seen = lines.into_iter().any(|line| line == 3);
            assert!(seen, "`{field}` of `{block}` is not read:\n{text}\n{}", found.to_text());
        }
    }
}

/// A file as JSON, as an editor's language server sees it; `None` where it is no YAML.
fn as_json(source: &SourceFile) -> Option<Value> {
    serde_yaml::from_slice(&source.bytes).ok()
}
