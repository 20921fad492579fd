//! The model: requests and a time in, answers out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::data::{Account, Flight, Key, KeyView, Snapshot};
use crate::fault::{Fault, Faults, Operation, milliseconds};
use crate::http::{Answer, Reply, Request};
use crate::rate::Windows;
use crate::scopes;
use crate::settings::{EmptyScopes, Settings, UnknownSubuser};

/// A SendGrid in memory.
pub struct Model {
    settings: Settings,
    data: Snapshot,
    faults: Faults,
    windows: Windows,
    random: StdRng,
    log: Vec<LogEntry>,
    issued: Vec<String>,
}

/// One request, as far as it may be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub operation: Operation,
    /// The account that it was about.
    pub account: String,
    pub method: String,
    pub target: String,
    /// `None` where the connection was closed without an answer.
    pub status: Option<u16>,
}

/// A key that was made by hand.
#[derive(Clone)]
pub struct NewKey {
    pub id: String,
    /// `SG.<id>.<secret>`, shown this once.
    pub secret: String,
}

/// Who asks, and for which account.
struct Caller {
    account: String,
    scopes: BTreeSet<String>,
    /// The scopes of the key itself; `None` where it has Full Access.
    own_scopes: Option<BTreeSet<String>>,
}

impl Model {
    /// An empty SendGrid. The same seed makes the same keys.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self::with_data(settings, seed, Snapshot::default())
    }

    /// A SendGrid that goes on where another ended.
    pub fn with_data(settings: Settings, seed: u64, data: Snapshot) -> Self {
        let faults = Faults::new(&settings.faults);
        let random = StdRng::seed_from_u64(seed);
        Self {
            settings,
            data,
            faults,
            windows: Windows::default(),
            random,
            log: Vec::new(),
            issued: Vec::new(),
        }
    }

    /// Makes a parent account, if it is not there, and returns its managing key, which is the same every
    /// time: this is no real service, and nobody has to keep it.
    pub fn parent(&mut self, name: &str, now: Timestamp) -> String {
        let id = {
            let mut bytes: [u8; 16] = first(&Sha256::digest(format!("managing key id of {name}")));
            uuid_v4(&mut bytes);
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let secret = URL_SAFE_NO_PAD.encode(Sha256::digest(format!("managing key of {name}")));
        let whole = format!("SG.{id}.{secret}");
        let account = self.data.accounts.entry(name.to_string()).or_default();
        account.keys.entry(id).or_insert_with(|| Key {
            name: "managing key".to_string(),
            scopes: Some(scopes::restricted()),
            hash: hash(&whole),
            created_at: now,
            revoked_at: None,
        });
        self.remember(&whole);
        whole
    }

    /// Makes a subuser of a parent, or, as `account-id X`, one of its customer accounts.
    pub fn child(&mut self, parent: &str, on_behalf_of: &str) {
        self.data.accounts.entry(format!("{parent}/{on_behalf_of}")).or_default();
    }

    /// Makes a key by hand, as a person does in the web page. Without scopes it has Full Access.
    pub fn add_key(&mut self, account: &str, name: &str, scopes: Option<&[&str]>, now: Timestamp) -> NewKey {
        let scopes = scopes.map(|scopes| scopes.iter().map(ToString::to_string).collect());
        self.make(account, name.to_string(), scopes, now)
    }

    /// Revokes a key by hand; says whether it was there.
    pub fn revoke(&mut self, account: &str, id: &str, now: Timestamp) -> bool {
        let key = self.data.accounts.get_mut(account).and_then(|account| account.keys.get_mut(id));
        match key.filter(|key| key.revoked_at.is_none()) {
            Some(key) => {
                key.revoked_at = Some(now);
                true
            }
            None => false,
        }
    }

    /// Gives a key other scopes by hand, as a person does in the web page.
    pub fn change(&mut self, account: &str, id: &str, scopes: &[String]) {
        if let Some(key) = self.data.accounts.get_mut(account).and_then(|account| account.keys.get_mut(id)) {
            key.scopes = Some(scopes.iter().cloned().collect());
        }
    }

    /// Gives a key another name by hand.
    pub fn name_by_hand(&mut self, account: &str, id: &str, name: &str) {
        if let Some(key) = self.data.accounts.get_mut(account).and_then(|account| account.keys.get_mut(id)) {
            key.name = name.to_string();
        }
    }

    /// Every key that an account ever had.
    pub fn keys(&self, account: &str) -> Vec<KeyView> {
        let keys = self.data.accounts.get(account).into_iter().flat_map(|account| &account.keys);
        keys.map(|(id, key)| KeyView {
            id: id.clone(),
            name: key.name.clone(),
            scopes: key.scopes.clone(),
            live: key.revoked_at.is_none(),
        })
        .collect()
    }

    /// Whether a secret is that of a live key.
    pub fn authenticates(&self, secret: &str, now: Timestamp) -> bool {
        self.holder(secret, now).is_some()
    }

    /// What was asked for so far.
    pub fn log(&self) -> &[LogEntry] {
        &self.log
    }

    pub fn clear_log(&mut self) {
        self.log.clear();
    }

    /// Every secret ever made, where the settings say to remember them.
    pub fn issued_secrets(&self) -> &[String] {
        &self.issued
    }

    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Replaces the faults and counts anew.
    pub fn set_faults(&mut self, rules: Vec<crate::FaultRule>) {
        self.faults = Faults::new(&rules);
        self.settings.faults = rules;
    }

    /// Everything that outlives the process.
    pub fn snapshot(&self) -> &Snapshot {
        &self.data
    }

    /// Lets effects come about that were due by now.
    pub fn advance(&mut self, now: Timestamp) {
        let flights = std::mem::take(&mut self.data.flights);
        let (due, waiting): (Vec<_>, Vec<_>) = flights.into_iter().partition(|flight| flight.due <= now);
        self.data.flights = waiting;
        for flight in due {
            let Flight { due, account, method, target, body } = flight;
            let scopes = scopes::restricted();
            let caller = Caller { account, own_scopes: Some(scopes.clone()), scopes };
            let request = Request { method, target, body, ..Request::default() };
            self.perform(operation(&request), &request, &caller, due);
        }
    }

    /// Answers a request.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Reply {
        self.advance(now);
        let operation = operation(request);
        let fault = self.faults.due(operation);
        let mut delay = Duration::ZERO;
        let mut account = String::new();
        let answer = match self.caller(request, operation, now) {
            Err(refused) => Some(refused),
            Ok(caller) => {
                account = caller.account.clone();
                match self.limit(operation, &account, now) {
                    Err(limited) => Some(limited),
                    Ok(headers) => {
                        self.faulty(operation, request, &caller, fault, &mut delay, now).map(|mut answer| {
                            answer.headers.extend(headers);
                            answer
                        })
                    }
                }
            }
        };
        let answer = answer.map(|mut answer| {
            answer.headers.push(("Date", http_date(now)));
            answer
        });
        self.log.push(LogEntry {
            operation,
            account,
            method: request.method.clone(),
            target: request.target.clone(),
            status: answer.as_ref().map(|answer| answer.status),
        });
        Reply { delay, answer }
    }

    /// Performs a request, or fails in the way that is due; `None` closes the connection.
    fn faulty(
        &mut self,
        operation: Operation,
        request: &Request,
        caller: &Caller,
        fault: Option<Fault>,
        delay: &mut Duration,
        now: Timestamp,
    ) -> Option<Answer> {
        match fault {
            None => Some(self.perform(operation, request, caller, now)),
            Some(Fault::Delay { milliseconds: by }) => {
                *delay = milliseconds(by);
                Some(self.perform(operation, request, caller, now))
            }
            Some(Fault::Status { status, message, done }) => {
                if done {
                    self.perform(operation, request, caller, now);
                }
                Some(Answer::error(status, None, message.as_deref().unwrap_or(default_message(status))))
            }
            Some(Fault::Drop { done }) => {
                if done {
                    self.perform(operation, request, caller, now);
                }
                None
            }
            Some(Fault::Late { milliseconds: by }) => {
                self.data.flights.push(Flight {
                    due: after(now, milliseconds(by)),
                    account: caller.account.clone(),
                    method: request.method.clone(),
                    target: request.target.clone(),
                    body: request.body.clone(),
                });
                None
            }
        }
    }

    /// Who asks, for which account, and whether they may.
    fn caller(&self, request: &Request, operation: Operation, now: Timestamp) -> Result<Caller, Answer> {
        let unauthorized = || Answer::error(401, None, "authorization required");
        let bearer = request.authorization.as_deref().and_then(|header| header.strip_prefix("Bearer "));
        let (home, key) = bearer.and_then(|bearer| self.holder(bearer, now)).ok_or_else(unauthorized)?;
        let own_scopes = key.scopes.clone();
        let scopes = own_scopes.clone().unwrap_or_else(scopes::full);
        let needed: &[&str] = match operation {
            Operation::Create => &["api_keys.create"],
            Operation::List | Operation::Get => &["api_keys.read"],
            Operation::Rename | Operation::Update => &["api_keys.update"],
            Operation::Delete => &["api_keys.delete"],
            Operation::Subusers => &["subusers.read"],
            Operation::MailSend => &["mail.send"],
            Operation::Scopes => &[],
            Operation::Other if path(request) == "/v3/templates" => &["templates.read"],
            Operation::Other if path(request) == "/v3/stats" => &["stats.read"],
            Operation::Other => &[],
        };
        let forbidden = || Answer::error(403, None, "access forbidden");
        if needed.iter().any(|scope| !scopes.contains(*scope)) {
            return Err(forbidden());
        }
        // SendGrid documents that On-Behalf-Of does not work with mail/send.
        let behalf = request.on_behalf_of.as_ref().filter(|_| operation != Operation::MailSend);
        let behalf = behalf.filter(|(_, spelled)| *spelled || !self.settings.title_case_only);
        let account = match behalf {
            None => home.to_string(),
            Some((child, _)) => {
                let account = format!("{home}/{child}");
                match (self.data.accounts.contains_key(&account), self.settings.unknown_subuser) {
                    (true, _) => account,
                    (false, UnknownSubuser::Parent) => home.to_string(),
                    (false, UnknownSubuser::Forbidden) => return Err(forbidden()),
                }
            }
        };
        Ok(Caller { account, scopes, own_scopes })
    }

    /// The account and key of a secret that works.
    fn holder(&self, secret: &str, now: Timestamp) -> Option<(&str, &Key)> {
        let id = secret.split('.').nth(1)?;
        let hash = hash(secret);
        let delay = self.settings.propagation;
        self.data.accounts.iter().find_map(|(account, data)| {
            let key = data.keys.get(id).filter(|key| key.hash == hash)?;
            let known = after(key.created_at, delay) <= now;
            let revoked = key.revoked_at.is_some_and(|at| after(at, delay) <= now);
            (known && !revoked).then_some((account.as_str(), key))
        })
    }

    /// Counts a request; the headers that tell of it, or the answer that refuses it.
    fn limit(
        &mut self,
        operation: Operation,
        account: &str,
        now: Timestamp,
    ) -> Result<Vec<(&'static str, String)>, Answer> {
        let tight = matches!(operation, Operation::Create | Operation::Delete);
        let allowance = match self.settings.write_rate_limit.filter(|_| tight) {
            Some(limit) => self.windows.take(&format!("write {account}"), limit, now),
            None => self.windows.take(&format!("{operation:?} {account}"), self.settings.rate_limit, now),
        };
        let headers = vec![
            ("X-RateLimit-Limit", allowance.limit.to_string()),
            ("X-RateLimit-Remaining", allowance.remaining.to_string()),
            ("X-RateLimit-Reset", allowance.reset.to_string()),
        ];
        if allowance.allowed {
            return Ok(headers);
        }
        let mut answer = Answer::error(429, None, "too many requests");
        if !self.settings.bare_429 {
            answer.headers = headers;
        }
        Err(answer)
    }

    fn perform(
        &mut self,
        operation: Operation,
        request: &Request,
        caller: &Caller,
        now: Timestamp,
    ) -> Answer {
        let id = path(request).rsplit('/').next().unwrap_or_default().to_string();
        match operation {
            Operation::Create => self.create(request, caller, now),
            Operation::List => self.list(caller, now),
            Operation::Get => self.get(&id, caller, now),
            Operation::Rename => self.rename(&id, request, caller, now),
            Operation::Update => self.update(&id, request, caller, now),
            Operation::Delete => self.delete(&id, caller, now),
            Operation::Scopes => Answer::json(200, json!({ "scopes": self.grantable(caller) })),
            Operation::Subusers => self.subusers(request, caller),
            Operation::MailSend => mail_send(request),
            Operation::Other => match path(request) {
                "/v3/templates" => Answer::json(200, json!({ "templates": [] })),
                "/v3/stats" => Answer::json(200, json!([])),
                _ => Answer::error(404, None, "not found"),
            },
        }
    }

    /// What the caller holds, with what SendGrid adds by itself.
    fn grantable(&self, caller: &Caller) -> BTreeSet<String> {
        let held = caller.scopes.iter().filter(|scope| !self.settings.ungrantable_scopes.contains(*scope));
        held.chain(&self.settings.automatic_scopes).cloned().collect()
    }

    /// Whether the caller may put these scopes on a key. A misspelt scope, one it does not hold, one that
    /// SendGrid assigns by itself, and billing mixed with others: users report 500 for each.
    fn may_give(&self, asked: &BTreeSet<String>, caller: &Caller) -> bool {
        let billing = scopes::billing();
        if asked.iter().any(|scope| billing.contains(scope)) {
            return self.settings.billing_keys && asked.is_subset(&billing);
        }
        asked
            .iter()
            .all(|scope| caller.scopes.contains(scope) && !self.settings.ungrantable_scopes.contains(scope))
    }

    fn cannot_give(&self) -> Answer {
        if self.settings.strict_scopes {
            Answer::error(400, Some("scopes"), "invalid or unassignable scopes were given")
        } else {
            Answer::error(500, None, "internal server error")
        }
    }

    fn create(&mut self, request: &Request, caller: &Caller, now: Timestamp) -> Answer {
        let body = body(request);
        let Some(name) = body.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
            return Answer::error(400, Some("name"), "missing required argument");
        };
        let asked = match scopes_in(&body) {
            Err(()) => return Answer::error(400, Some("scopes"), "invalid type"),
            Ok(Some(scopes)) if scopes.is_empty() => match self.settings.empty_scopes {
                EmptyScopes::FullAccess => None,
                EmptyScopes::Refused => {
                    return Answer::error(400, Some("scopes"), "missing required argument");
                }
            },
            Ok(scopes) => scopes,
        };
        if asked.as_ref().is_some_and(|asked| !self.may_give(asked, caller)) {
            return self.cannot_give();
        }
        let limit = self.settings.key_limit;
        let live = self.account(caller).keys.values().filter(|key| key.revoked_at.is_none()).count();
        if live >= limit {
            return Answer::error(403, None, &format!("Cannot create more than {limit} API Keys"));
        }
        let echo: Vec<_> = match &asked {
            Some(asked) => asked.iter().cloned().collect(),
            None => caller.scopes.iter().cloned().collect(),
        };
        let name = self.kept_name(name);
        let inherited =
            || self.settings.full_access_is_inherited.then(|| caller.own_scopes.clone()).flatten();
        let kept = asked.or_else(inherited);
        let kept = kept.map(|kept| kept.difference(&self.settings.dropped_scopes).cloned().collect());
        let NewKey { id, secret } = self.make(&caller.account, name.clone(), kept, now);
        Answer::json(201, json!({ "api_key": secret, "api_key_id": id, "name": name, "scopes": echo }))
    }

    /// What is held of a name that was asked for.
    fn kept_name(&self, name: &str) -> String {
        let name = match self.settings.names_as_html {
            true => escaped(name),
            false => name.to_string(),
        };
        name.chars().take(self.settings.name_length.unwrap_or(usize::MAX)).collect()
    }

    fn make(
        &mut self,
        account: &str,
        name: String,
        scopes: Option<BTreeSet<String>>,
        now: Timestamp,
    ) -> NewKey {
        let mut bytes: [u8; 16] = self.random.random();
        uuid_v4(&mut bytes);
        let id = URL_SAFE_NO_PAD.encode(bytes);
        let secret: [u8; 32] = self.random.random();
        let secret = format!("SG.{id}.{}", URL_SAFE_NO_PAD.encode(secret));
        self.remember(&secret);
        let key = Key { name, scopes, hash: hash(&secret), created_at: now, revoked_at: None };
        self.data.accounts.entry(account.to_string()).or_default().keys.insert(id.clone(), key);
        NewKey { id, secret }
    }

    fn remember(&mut self, secret: &str) {
        if self.settings.remember_secrets {
            self.issued.push(secret.to_string());
        }
    }

    fn account(&mut self, caller: &Caller) -> &mut Account {
        self.data.accounts.entry(caller.account.clone()).or_default()
    }

    /// Whether reads show the key.
    fn shows(&self, key: &Key, now: Timestamp) -> bool {
        let lag = self.settings.read_lag;
        match key.revoked_at {
            Some(at) => after(at, lag) > now && !lag.is_zero(),
            None => after(key.created_at, lag) <= now,
        }
    }

    fn list(&mut self, caller: &Caller, now: Timestamp) -> Answer {
        let keys = self.data.accounts.get(&caller.account).map(|account| &account.keys);
        let shown = keys.into_iter().flatten().filter(|(_, key)| self.shows(key, now));
        let result: Vec<_> = shown.map(|(id, key)| json!({ "name": key.name, "api_key_id": id })).collect();
        Answer::json(200, json!({ "result": result }))
    }

    fn not_found(&self, message: &str) -> Answer {
        let status = if self.settings.not_found_is_200 { 200 } else { 404 };
        Answer::error(status, None, message)
    }

    fn get(&mut self, id: &str, caller: &Caller, now: Timestamp) -> Answer {
        let key = self.data.accounts.get(&caller.account).and_then(|account| account.keys.get(id));
        let Some(key) = key.filter(|key| self.shows(key, now)) else {
            return self.not_found("unable to find API Key");
        };
        let mut scopes = key.scopes.clone().unwrap_or_else(scopes::full);
        if !scopes.iter().any(|scope| scope.starts_with("billing.")) {
            scopes.extend(self.settings.automatic_scopes.iter().cloned());
        }
        // The specification wraps this in a list; every client that works reads it flat.
        Answer::json(200, json!({ "api_key_id": id, "name": key.name, "scopes": scopes }))
    }

    /// The key that a write is about, if the answering replica has heard of it.
    fn known(&mut self, id: &str, caller: &Caller, now: Timestamp) -> Option<&mut Key> {
        let lag = self.settings.read_lag;
        let key = self.account(caller).keys.get_mut(id)?;
        (key.revoked_at.is_none() && after(key.created_at, lag) <= now).then_some(key)
    }

    fn rename(&mut self, id: &str, request: &Request, caller: &Caller, now: Timestamp) -> Answer {
        let body = body(request);
        let Some(name) = body.get("name").and_then(Value::as_str) else {
            return Answer::error(400, None, "expected JSON request body with 'name' property");
        };
        let name = self.kept_name(name);
        match self.known(id, caller, now) {
            Some(key) => {
                key.name.clone_from(&name);
                Answer::json(200, json!({ "api_key_id": id, "name": name }))
            }
            None => self.not_found("unable to find API Key to update"),
        }
    }

    fn update(&mut self, id: &str, request: &Request, caller: &Caller, now: Timestamp) -> Answer {
        let body = body(request);
        let Some(name) = body.get("name").and_then(Value::as_str) else {
            return Answer::error(400, None, "expected JSON request body with 'name' property");
        };
        let scopes = match scopes_in(&body) {
            Ok(Some(scopes)) if !scopes.is_empty() => scopes,
            _ => return Answer::error(400, Some("scopes"), "missing required argument"),
        };
        if !self.may_give(&scopes, caller) {
            return self.cannot_give();
        }
        let kept = scopes.difference(&self.settings.dropped_scopes).cloned().collect();
        let name = self.kept_name(name);
        match self.known(id, caller, now) {
            Some(key) => {
                key.name.clone_from(&name);
                key.scopes = Some(kept);
                Answer::json(200, json!({ "api_key_id": id, "name": name }))
            }
            None => self.not_found("unable to find API Key to update"),
        }
    }

    fn delete(&mut self, id: &str, caller: &Caller, now: Timestamp) -> Answer {
        match self.known(id, caller, now) {
            Some(key) => {
                key.revoked_at = Some(now);
                Answer::empty(204)
            }
            None => self.not_found("unable to find API Key for deletion"),
        }
    }

    /// A page of the subusers; their regions only where that is asked for, as SendGrid documents it.
    fn subusers(&self, request: &Request, caller: &Caller) -> Answer {
        let number = |name| parameter(request, name).and_then(|text| text.parse::<usize>().ok());
        let most = self.settings.subuser_page;
        let limit = number("limit").unwrap_or(most).min(most);
        let with_region = parameter(request, "include_region") == Some("true");
        let prefix = format!("{}/", caller.account);
        let names = self.data.accounts.keys().filter_map(|account| account.strip_prefix(&prefix));
        let users = names.filter(|name| !name.starts_with("account-id ")).enumerate();
        let list: Vec<_> = users
            .skip(number("offset").unwrap_or_default())
            .take(limit)
            .map(|(number, name)| {
                let mut user = json!({
                    "disabled": false,
                    "id": number + 1,
                    "username": name,
                    "email": format!("{name}@example.com"),
                });
                if with_region {
                    let is_eu = self.settings.eu_subusers.contains(name);
                    user["region"] = json!(if is_eu { "eu" } else { "global" });
                }
                user
            })
            .collect();
        Answer::json(200, json!(list))
    }
}

/// Mail is taken and goes nowhere.
fn mail_send(request: &Request) -> Answer {
    let body = body(request);
    let missing = ["personalizations", "from"].into_iter().find(|field| body.get(field).is_none());
    match missing {
        Some(field) => Answer::error(400, Some(field), &format!("The {field} field is required.")),
        None => Answer::empty(202),
    }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or(Value::Null)
}

/// The scopes that a body asks for; `None` where it leaves them out.
fn scopes_in(body: &Value) -> Result<Option<BTreeSet<String>>, ()> {
    match body.get("scopes") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => list
            .iter()
            .map(|scope| scope.as_str().map(str::to_string).ok_or(()))
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(()),
    }
}

/// The value of a parameter of the query.
fn parameter<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let (_, query) = request.target.split_once('?')?;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

fn path(request: &Request) -> &str {
    request.target.split('?').next().unwrap_or_default()
}

fn operation(request: &Request) -> Operation {
    let path = path(request);
    let one_key = path.strip_prefix("/v3/api_keys/").is_some_and(|id| !id.is_empty() && !id.contains('/'));
    match (request.method.as_str(), path) {
        ("POST", "/v3/api_keys") => Operation::Create,
        ("GET", "/v3/api_keys") => Operation::List,
        ("GET", "/v3/scopes") => Operation::Scopes,
        ("GET", "/v3/subusers") => Operation::Subusers,
        ("POST", "/v3/mail/send") => Operation::MailSend,
        ("GET", _) if one_key => Operation::Get,
        ("PATCH", _) if one_key => Operation::Rename,
        ("PUT", _) if one_key => Operation::Update,
        ("DELETE", _) if one_key => Operation::Delete,
        _ => Operation::Other,
    }
}

fn escaped(name: &str) -> String {
    let mut escaped = String::new();
    for character in name.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn default_message(status: u16) -> &'static str {
    let messages: BTreeMap<u16, &str> = BTreeMap::from([
        (400, "bad request"),
        (401, "authorization required"),
        (403, "access forbidden"),
        (404, "not found"),
        (429, "too many requests"),
        (451, "unavailable due to data residency restrictions"),
    ]);
    messages.get(&status).copied().unwrap_or("internal server error")
}

fn after(at: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| at.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn hash(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut taken = [0; N];
    taken.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    taken
}

/// SendGrid's published key ids decode as version 4 UUIDs.
fn uuid_v4(bytes: &mut [u8; 16]) {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
}
