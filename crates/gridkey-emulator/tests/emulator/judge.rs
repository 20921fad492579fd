//! SendGrid's own OpenAPI documents judge each reply.

use gridkey_emulator::{Answer, Settings};
use serde_json::{Value, json};

use super::Desk;

const KEYS: &str = include_str!("../../openapi/tsg_api_keys_v3.json");
const SCOPES: &str = include_str!("../../openapi/tsg_scopes_v3.json");
const SUBUSERS: &str = include_str!("../../openapi/tsg_subusers_v3.json");

/// Follows `$ref`, which the documents use for whole answers too.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// What stands against an answer, by the document's entry for it.
fn judge(document: &str, path: &str, method: &str, answer: &Answer) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap();
    let answers = &document["paths"][path][method]["responses"];
    let Some(entry) = answers.get(answer.status.to_string()) else {
        return vec![format!("{} is not documented for {method} {path}", answer.status)];
    };
    let entry = resolve(&document, entry);
    let Some(schema) = entry.pointer("/content/application~1json/schema") else {
        let empty = answer.body.is_none();
        return if empty { Vec::new() } else { vec![format!("{method} {path} has a body")] };
    };
    // The documents mark no field of a reply as required, so what they name must be there.
    let resolved = resolve(&document, schema);
    let named = resolved.get("properties").and_then(Value::as_object).into_iter().flatten();
    let names: Vec<_> = named.map(|(name, _)| name.clone()).filter(|name| name != "id").collect();
    let whole = json!({ "components": document["components"], "allOf": [schema, { "required": names }] });
    let whole = if resolved["type"] == "array" {
        json!({ "components": document["components"], "allOf": [schema] })
    } else {
        whole
    };
    let validator = jsonschema::validator_for(&whole).unwrap();
    let body = answer.body.clone().unwrap_or_default();
    // The documents' own examples of errors have `"field": null`, which their schemas call a string.
    let errors =
        validator.iter_errors(&body).filter(|error| !error.instance_path().to_string().ends_with("/field"));
    errors.map(|error| format!("{method} {path}: {error}")).collect()
}

#[test]
fn every_reply_has_the_documented_shape() {
    let mut desk = Desk::new(Settings { key_limit: 3, ..Settings::default() });
    let all = "/v3/api_keys";
    let one = "/v3/api_keys/{api_key_id}";
    let body = |name: &str| Some(json!({ "name": name, "scopes": ["mail.send"] }));
    let created = desk.ask("POST", all, body("a")).unwrap();
    let id = created.body.as_ref().unwrap()["api_key_id"].as_str().unwrap().to_string();
    let target = format!("{all}/{id}");
    let mut wrong: Vec<String> = judge(KEYS, all, "post", &created);
    for (path, method, target, body) in [
        (all, "get", all.to_string(), None),
        (one, "patch", target.clone(), Some(json!({ "name": "b" }))),
        (one, "put", target.clone(), body("c")),
        (one, "put", target.clone(), Some(json!({ "scopes": [] }))),
        (one, "get", format!("{all}/nothing"), None),
        (one, "patch", format!("{all}/nothing"), Some(json!({ "name": "b" }))),
        (one, "delete", format!("{all}/nothing"), None),
        (one, "delete", target.clone(), None),
        (all, "post", all.to_string(), Some(json!({}))),
        (all, "post", all.to_string(), Some(json!({ "name": "x", "scopes": ["nothing"] }))),
    ] {
        let answer = desk.ask(&method.to_uppercase(), &target, body).unwrap();
        wrong.extend(judge(KEYS, path, method, &answer));
    }
    desk.ask("POST", all, body("d"));
    desk.ask("POST", all, body("e"));
    let full = desk.ask("POST", all, body("f")).unwrap();
    assert_eq!(full.status, 403);
    wrong.extend(judge(KEYS, all, "post", &full));
    let stranger = desk.ask_as("SG.no.key", None, "GET", all, None).unwrap();
    assert_eq!(stranger.status, 401);
    wrong.extend(judge(KEYS, all, "get", &stranger));
    wrong.extend(judge(SCOPES, "/v3/scopes", "get", &desk.ask("GET", "/v3/scopes", None).unwrap()));
    wrong.extend(judge(SUBUSERS, "/v3/subusers", "get", &desk.ask("GET", "/v3/subusers", None).unwrap()));
    desk.model.child("acme", "team-a");
    let some = desk.ask("GET", "/v3/subusers?limit=5&offset=0&include_region=true", None).unwrap();
    assert_eq!(some.body.as_ref().unwrap()[0]["region"], "global");
    wrong.extend(judge(SUBUSERS, "/v3/subusers", "get", &some));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn subusers_come_in_pages_that_may_be_smaller_than_asked_for() {
    let mut desk = Desk::new(Settings { subuser_page: 2, ..Settings::default() });
    for name in ["a", "b", "c"] {
        desk.model.child("acme", name);
    }
    let mut page = |offset| {
        let target = format!("/v3/subusers?limit=500&offset={offset}");
        let body = desk.ask("GET", &target, None).unwrap().body.unwrap();
        let names =
            body.as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(page(0), ["a", "b"]);
    assert_eq!(page(2), ["c", "shop"], "the desk has one of its own");
    assert!(page(4).is_empty());
}

/// The document wraps one key in a list; every client that works reads it flat. The key itself is judged.
#[test]
fn one_key_is_flat_and_has_the_documented_fields() {
    let mut desk = Desk::new(Settings::default());
    let key = desk.model.add_key("acme", "a", Some(&["mail.send"]), desk.now);
    let answer = desk.ask("GET", &format!("/v3/api_keys/{}", key.id), None).unwrap();
    let document: Value = serde_json::from_str(KEYS).unwrap();
    let schema = json!({
        "components": document["components"],
        "$ref": "#/components/schemas/ApiKeyScopesResponse",
    });
    let validator = jsonschema::validator_for(&schema).unwrap();
    let body = answer.body.unwrap();
    assert!(validator.is_valid(&body), "{body}");
    assert!(["api_key_id", "name", "scopes"].iter().all(|field| body.get(field).is_some()));
}

#[test]
fn the_judge_refuses_what_is_wrong() {
    let mut desk = Desk::new(Settings::default());
    let mut answer = desk.ask("GET", "/v3/api_keys", None).unwrap();
    answer.body = Some(json!({ "result": [{ "name": 5 }] }));
    assert!(!judge(KEYS, "/v3/api_keys", "get", &answer).is_empty());
    answer.body = Some(json!({}));
    assert!(!judge(KEYS, "/v3/api_keys", "get", &answer).is_empty());
    answer.status = 418;
    assert!(!judge(KEYS, "/v3/api_keys", "get", &answer).is_empty());
}
