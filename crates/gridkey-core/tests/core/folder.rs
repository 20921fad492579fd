//! Folders: what one file says is never dropped because another file says something of another kind.

use gridkey_core::manifest::{SourceFile, load, manifest_schema};
use serde_json::Value;

/// Every kind of value that YAML has, and what JSON Schema calls it.
const VALUES: [(&str, &str); 8] = [
    ("", "null"),
    ("true", "boolean"),
    ("7", "number"),
    ("7.5", "number"),
    ("text", "string"),
    ("[]", "array"),
    ("[text, {a: b}]", "array"),
    ("{of-no-use: {of-no-use: 1}}", "object"),
];

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.to_string(), bytes: text.as_bytes().to_vec() }
}

/// A value that the field can have, as far as its kind goes.
fn good(field: &str) -> &'static str {
    match field {
        "project" => "mailing",
        "moved" | "import" | "removed" => "[]",
        "keys" => "{ mailer: { scopes: [mail.send], sinks: [local] } }",
        "sinks" => "{ local: { dotenv: { path: .env, variable: A } } }",
        "accounts" => "{ acme: { api_key: { env: KEY } } }",
        "state" => "{ local: { path: here } }",
        _ => "{}",
    }
}

/// Both files say a field, and the second says it with a value of another kind; the places told must be in it.
#[test]
fn a_field_of_another_kind_is_an_error_in_every_file() {
    let schema = manifest_schema();
    let fields = schema["properties"].as_object().unwrap().keys();
    for field in fields.filter(|field| *field != "version") {
        let definition = match schema["properties"][field].get("$ref").and_then(Value::as_str) {
            Some(at) => &schema["$defs"][at.rsplit('/').next().unwrap()],
            None => &schema["properties"][field],
        };
        let expected = definition.get("type").and_then(Value::as_str).unwrap_or("object");
        for (value, kind) in VALUES.iter().filter(|(_, kind)| *kind != expected) {
            let right = file("right.yaml", &format!("version: 1\n{field}: {}\n", good(field)));
            let wrong = file("wrong.yaml", &format!("version: 1\n{field}: {value}\n"));
            for files in [[right.clone(), wrong.clone()], [wrong.clone(), right.clone()]] {
                let found = load(&files, &[]).expect_err("it is refused");
                let told = found.errors.iter().filter(|error| {
                    error.labels.iter().any(|label| label.file == "wrong.yaml" && label.position.line == 2)
                        && error.message.contains(field.as_str())
                });
                assert_eq!(told.count(), 1, "`{field}: {value}` ({kind}):\n{}", found.to_text());
            }
        }
    }
}

/// The same one level below: the fields of `defaults` and `policy` are merged too.
#[test]
fn a_field_of_a_section_that_is_merged_is_an_error_in_every_file() {
    for (section, field, right, wrong) in [
        ("policy", "allow", "[{ code: full_access, reason: agreed }]", "text"),
        ("policy", "allow", "[{ code: full_access, reason: agreed }]", "{ code: full_access }"),
        ("policy", "require_owner", "true", "[true]"),
        ("defaults", "sinks", "[]", "local"),
    ] {
        let right = file("right.yaml", &format!("version: 1\n{section}: {{ {field}: {right} }}\n"));
        let wrong = file("wrong.yaml", &format!("version: 1\n{section}: {{ {field}: {wrong} }}\n"));
        for files in [[right.clone(), wrong.clone()], [wrong.clone(), right.clone()]] {
            let found = load(&files, &[]).expect_err("it is refused");
            let told = found.errors.iter().flat_map(|error| &error.labels);
            assert!(
                told.clone().any(|label| label.file == "wrong.yaml"),
                "{section} {field}\n{}",
                found.to_text()
            );
        }
    }
}
