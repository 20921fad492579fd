//! The emulated SendGrid, held against what is known of the real one, and its replies against the OpenAPI
//! documents.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod judge;

use std::time::Duration;

use gridkey_emulator::{
    Answer, EmptyScopes, Fault, FaultRule, Model, Operation, RateLimit, Request, Settings, Snapshot,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A model, a managing key, and a clock that is moved by hand.
pub struct Desk {
    pub model: Model,
    pub key: String,
    pub now: Timestamp,
}

impl Desk {
    pub fn new(settings: Settings) -> Self {
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        let mut model = Model::new(settings, 1);
        let key = model.parent("acme", now);
        model.child("acme", "shop");
        Self { model, key, now }
    }

    pub fn ask(&mut self, method: &str, target: &str, body: Option<Value>) -> Option<Answer> {
        let key = self.key.clone();
        self.ask_as(&key, None, method, target, body)
    }

    pub fn ask_as(
        &mut self,
        key: &str,
        on_behalf_of: Option<(&str, bool)>,
        method: &str,
        target: &str,
        body: Option<Value>,
    ) -> Option<Answer> {
        let request = Request {
            method: method.to_string(),
            target: target.to_string(),
            authorization: Some(format!("Bearer {key}")),
            on_behalf_of: on_behalf_of.map(|(value, spelled)| (value.to_string(), spelled)),
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
        };
        self.model.handle(&request, self.now).answer
    }

    fn create(&mut self, body: Value) -> (u16, Value) {
        let answer = self.ask("POST", "/v3/api_keys", Some(body)).unwrap();
        (answer.status, answer.body.unwrap_or_default())
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.checked_add(SignedDuration::try_from(time).unwrap()).unwrap();
    }
}

fn message(body: &Value) -> &str {
    body["errors"][0]["message"].as_str().unwrap()
}

#[test]
fn keys_have_sendgrids_form_and_the_answer_echoes_what_was_asked_for() {
    let mut desk = Desk::new(Settings::default());
    let (status, body) = desk.create(json!({ "name": "Mailer", "scopes": ["mail.send"], "sample": "data" }));
    assert_eq!((status, &body["scopes"], &body["name"]), (201, &json!(["mail.send"]), &json!("Mailer")));
    let (key, id) = (body["api_key"].as_str().unwrap(), body["api_key_id"].as_str().unwrap());
    assert_eq!((key.len(), id.len()), (69, 22));
    assert!(key.starts_with(&format!("SG.{id}.")));
    assert!(matches!(id.chars().last(), Some('A' | 'Q' | 'g' | 'w')), "the id is a version 4 UUID");
    let one = desk.ask("GET", &format!("/v3/api_keys/{id}"), None).unwrap().body.unwrap();
    assert_eq!(one["scopes"], json!(["2fa_required", "mail.send", "sender_verification_eligible"]));
    let list = desk.ask("GET", "/v3/api_keys", None).unwrap().body.unwrap();
    assert!(list["result"].as_array().unwrap().iter().all(|key| key.get("scopes").is_none()));
}

#[test]
fn scopes_left_out_or_empty_mean_full_access() {
    let mut desk = Desk::new(Settings::default());
    for body in [json!({ "name": "a" }), json!({ "name": "b", "scopes": [] })] {
        assert_eq!(desk.create(body).0, 201);
    }
    let keys = desk.model.keys("acme");
    assert_eq!(keys.iter().filter(|key| key.scopes.is_none()).count(), 2);
    let mut strict = Desk::new(Settings { empty_scopes: EmptyScopes::Refused, ..Settings::default() });
    assert_eq!(strict.create(json!({ "name": "b", "scopes": [] })).0, 400);
}

#[test]
fn names_are_cut_and_escaped_where_the_switches_say_so_and_answers_tell() {
    let mut desk = Desk::new(Settings { name_length: Some(10), names_as_html: true, ..Settings::default() });
    let (_, body) = desk.create(json!({ "name": "A & B", "scopes": ["mail.send"] }));
    assert_eq!(body["name"], "A &amp; B");
    let one = format!("/v3/api_keys/{}", body["api_key_id"].as_str().unwrap());
    let long = json!({ "name": "Mailer of the shop", "scopes": ["mail.send"] });
    for method in ["PATCH", "PUT"] {
        let answer = desk.ask(method, &one, Some(long.clone())).unwrap().body.unwrap();
        assert_eq!(answer["name"], "Mailer of ");
    }
    assert_eq!(desk.ask("GET", &one, None).unwrap().body.unwrap()["name"], "Mailer of ");
}

#[test]
fn a_key_without_scopes_gets_what_its_maker_has_where_the_switch_says_so() {
    for (inherits, expected) in [(false, None), (true, Some(2))] {
        let mut desk = Desk::new(Settings { full_access_is_inherited: inherits, ..Settings::default() });
        let narrow = desk.model.add_key("acme", "narrow", Some(&["api_keys.create", "mail.send"]), desk.now);
        let whole = desk.model.add_key("acme", "whole", None, desk.now);
        let mut made = |key: &str, name: &str| {
            let body = Some(json!({ "name": name }));
            assert_eq!(desk.ask_as(key, None, "POST", "/v3/api_keys", body).unwrap().status, 201);
            let keys = desk.model.keys("acme");
            let new = keys.iter().find(|key| key.name == name).unwrap();
            new.scopes.as_ref().map(std::collections::BTreeSet::len)
        };
        assert_eq!(made(&narrow.secret, "a"), expected);
        assert_eq!(made(&whole.secret, "b"), None);
    }
}

#[test]
fn scopes_that_cannot_be_given_are_a_server_error() {
    let mut desk = Desk::new(Settings::default());
    for scopes in
        [json!(["suppressions.read"]), json!(["2fa_required"]), json!(["mail.send", "billing.read"])]
    {
        let (status, body) = desk.create(json!({ "name": "a", "scopes": scopes }));
        assert_eq!((status, message(&body)), (500, "internal server error"));
    }
    let mut strict = Desk::new(Settings { strict_scopes: true, ..Settings::default() });
    assert_eq!(strict.create(json!({ "name": "a", "scopes": ["nothing"] })).0, 400);
}

#[test]
fn the_cap_is_a_403_with_its_number_and_each_subuser_has_its_own() {
    let mut desk = Desk::new(Settings { key_limit: 2, ..Settings::default() });
    assert_eq!(desk.create(json!({ "name": "a" })).0, 201);
    let (status, body) = desk.create(json!({ "name": "b" }));
    assert_eq!((status, message(&body)), (403, "Cannot create more than 2 API Keys"));
    let key = desk.key.clone();
    let body = Some(json!({ "name": "c" }));
    assert_eq!(desk.ask_as(&key, Some(("shop", true)), "POST", "/v3/api_keys", body).unwrap().status, 201);
}

#[test]
fn on_behalf_of_in_another_spelling_is_ignored_silently() {
    let mut desk = Desk::new(Settings::default());
    let key = desk.key.clone();
    let mut count = |spelled| {
        let answer = desk.ask_as(&key, Some(("shop", spelled)), "GET", "/v3/api_keys", None).unwrap();
        answer.body.unwrap()["result"].as_array().unwrap().len()
    };
    assert_eq!((count(true), count(false)), (0, 1), "the second is the parent's list");
}

#[test]
fn a_key_does_what_its_scopes_say_until_it_is_revoked() {
    let mut desk = Desk::new(Settings::default());
    let mailer = desk.model.add_key("acme", "mailer", Some(&["mail.send"]), desk.now);
    let mail = json!({ "personalizations": [], "from": { "email": "a@example.com" } });
    let send = |desk: &mut Desk| {
        desk.ask_as(&mailer.secret, None, "POST", "/v3/mail/send", Some(mail.clone())).unwrap().status
    };
    assert_eq!(send(&mut desk), 202);
    for target in ["/v3/stats", "/v3/api_keys", "/v3/templates"] {
        assert_eq!(desk.ask_as(&mailer.secret, None, "GET", target, None).unwrap().status, 403, "{target}");
    }
    assert_eq!(desk.ask("DELETE", &format!("/v3/api_keys/{}", mailer.id), None).unwrap().status, 204);
    assert_eq!(send(&mut desk), 401);
}

#[test]
fn reads_trail_writes_by_the_lag() {
    let lag = Duration::from_secs(10);
    let mut desk = Desk::new(Settings { read_lag: lag, ..Settings::default() });
    desk.pass(lag);
    let id = desk.create(json!({ "name": "a" })).1["api_key_id"].as_str().unwrap().to_string();
    let target = format!("/v3/api_keys/{id}");
    let count = |desk: &mut Desk| {
        let list = desk.ask("GET", "/v3/api_keys", None).unwrap().body.unwrap();
        list["result"].as_array().unwrap().len()
    };
    assert_eq!(count(&mut desk), 1);
    assert_eq!(desk.ask("GET", &target, None).unwrap().status, 404);
    assert_eq!(desk.ask("DELETE", &target, None).unwrap().status, 404, "a replica has not heard of it");
    desk.pass(lag);
    assert_eq!(count(&mut desk), 2);
    assert_eq!(desk.ask("DELETE", &target, None).unwrap().status, 204);
    assert_eq!(count(&mut desk), 2, "the list still shows it");
    desk.pass(lag);
    assert_eq!(count(&mut desk), 1);
}

#[test]
fn faults_come_where_they_are_due() {
    let rule = |after, fault| FaultRule { operation: Operation::Create, after, count: Some(1), fault };
    let mut desk = Desk::new(Settings::default());
    desk.model.set_faults(vec![
        rule(0, Fault::Drop { done: false }),
        rule(1, Fault::Drop { done: true }),
        rule(2, Fault::Late { milliseconds: 5_000 }),
        rule(3, Fault::Status { status: 503, message: None, done: false }),
    ]);
    let live = |desk: &Desk| desk.model.keys("acme").len() - 1;
    for expected in [0, 1, 1] {
        assert!(desk.ask("POST", "/v3/api_keys", Some(json!({ "name": "a" }))).is_none());
        assert_eq!(live(&desk), expected);
    }
    assert_eq!(desk.create(json!({ "name": "a" })).0, 503);
    desk.pass(Duration::from_secs(5));
    desk.model.advance(desk.now);
    assert_eq!(live(&desk), 2, "the late one came about");
    assert_eq!(desk.create(json!({ "name": "a" })).0, 201);
}

#[test]
fn rate_limits_are_told_in_headers_and_start_anew() {
    let limit = RateLimit { requests: 1, seconds: 3 };
    let mut desk = Desk::new(Settings { write_rate_limit: Some(limit), ..Settings::default() });
    let header = |answer: &Answer, name: &str| {
        let found = answer.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    let first = desk.ask("POST", "/v3/api_keys", Some(json!({ "name": "a" }))).unwrap();
    assert_eq!((first.status, header(&first, "X-RateLimit-Remaining")), (201, Some("0".to_string())));
    assert_eq!(header(&first, "Date"), Some("Mon, 23 Nov 2026 08:00:00 GMT".to_string()));
    let second = desk.ask("POST", "/v3/api_keys", Some(json!({ "name": "a" }))).unwrap();
    let reset = (desk.now.as_second() + 3).to_string();
    assert_eq!((second.status, header(&second, "X-RateLimit-Reset")), (429, Some(reset)));
    desk.pass(Duration::from_secs(3));
    assert_eq!(desk.create(json!({ "name": "a" })).0, 201);
}

#[test]
fn the_data_holds_no_secret_and_reads_back() {
    let mut desk = Desk::new(Settings { remember_secrets: true, ..Settings::default() });
    desk.create(json!({ "name": "a" }));
    let bytes = desk.model.snapshot().to_bytes();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert_eq!(desk.model.issued_secrets().len(), 2, "the managing key and the new one");
    assert!(desk.model.issued_secrets().iter().all(|secret| !text.contains(secret.as_str())));
    let again = Model::with_data(Settings::default(), 2, Snapshot::parse(&bytes).unwrap());
    assert!(again.authenticates(&desk.model.issued_secrets()[1], desk.now));
    assert!(Snapshot::parse(br#"{"format_version": 2}"#).is_err());
    assert!(Snapshot::parse(b"{").is_err());
}
