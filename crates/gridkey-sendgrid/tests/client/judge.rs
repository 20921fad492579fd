//! SendGrid's own OpenAPI document judges each request that the client builds.

use gridkey_sendgrid::request::{self, Method, Request};
use gridkey_sendgrid::{KeyAccess, ScopeList};
use jsonschema::Validator;
use serde_json::{Value, json};

const KEYS: &str = include_str!("../../../gridkey-emulator/openapi/tsg_api_keys_v3.json");
const SUBUSERS: &str = include_str!("../../../gridkey-emulator/openapi/tsg_subusers_v3.json");
const SCOPES: &str = include_str!("../../../gridkey-emulator/openapi/tsg_scopes_v3.json");

/// The document's entry for a request, if it has one.
fn entry<'d>(document: &'d Value, request: &Request) -> Option<&'d Value> {
    let (path, _) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let segments: Vec<_> = path.split('/').collect();
    let method = match request.method {
        Method::Get => "get",
        Method::Post => "post",
        Method::Put => "put",
        Method::Patch => "patch",
        Method::Delete => "delete",
    };
    let paths = document["paths"].as_object()?;
    paths.iter().find_map(|(path, item)| {
        let template: Vec<_> = path.split('/').collect();
        let fits = template.len() == segments.len()
            && template.iter().zip(&segments).all(|(part, segment)| part.starts_with('{') || part == segment);
        if fits { item.get(method) } else { None }
    })
}

/// Follows `$ref`, which the document uses for whole request bodies too.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

fn body_validator(document: &Value, operation: &Value) -> Option<Validator> {
    let body = resolve(document, operation.get("requestBody")?);
    let schema = &body["content"]["application/json"]["schema"];
    let whole = json!({ "components": document["components"], "allOf": [schema] });
    Some(jsonschema::validator_for(&whole).unwrap())
}

fn requests() -> Vec<Request> {
    let scopes = ScopeList::new(["mail.send".to_string(), "stats.read".to_string()]).unwrap();
    vec![
        request::list(),
        request::get("ngeVfQFYQlKU0ufo8x5d1A"),
        request::create("Mailer", &KeyAccess::Full),
        request::create("Mailer", &KeyAccess::Scopes(scopes.clone())),
        request::rename("ngeVfQFYQlKU0ufo8x5d1A", "Mailer"),
        request::update("ngeVfQFYQlKU0ufo8x5d1A", "Mailer", &scopes),
        request::delete("ngeVfQFYQlKU0ufo8x5d1A"),
        request::scopes(),
        request::subusers(500),
    ]
}

#[test]
fn every_request_is_one_that_sendgrid_documents() {
    let documents: Vec<Value> =
        [KEYS, SCOPES, SUBUSERS].into_iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    for request in requests() {
        let (document, operation) = documents
            .iter()
            .find_map(|document| entry(document, &request).map(|entry| (document, entry)))
            .unwrap_or_else(|| panic!("{request:?} is not documented"));
        match (&request.body, body_validator(document, operation)) {
            (Some(body), Some(validator)) => {
                let errors: Vec<_> = validator.iter_errors(body).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{request:?}: {errors:?}");
            }
            (None, None) => {}
            (body, validator) => {
                panic!("{request:?}: body {}, documented {}", body.is_some(), validator.is_some())
            }
        }
    }
}

#[test]
fn the_judge_refuses_what_is_wrong() {
    let document: Value = serde_json::from_str(KEYS).unwrap();
    let create = entry(&document, &request::create("x", &KeyAccess::Full)).unwrap();
    let validator = body_validator(&document, create).unwrap();
    assert!(!validator.is_valid(&json!({ "scopes": ["mail.send"] })));
    assert!(!validator.is_valid(&json!({ "name": 5 })));
}
