//! What the client believes: every operation, answered with every status and kind of body, against a table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use gridkey_sendgrid::{Behalf, Client, Deleted, Error, KeyAccess, Kind, Limits, Operation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{client, scopes};

const ID: &str = "ngeVfQFYQlKU0ufo8x5d1A";
const KEY: &str = "SG.managing.managing-managing-managing-managing-managing";

pub(crate) const OPERATIONS: [Operation; 8] = [
    Operation::List,
    Operation::Get,
    Operation::Create,
    Operation::Rename,
    Operation::Update,
    Operation::Delete,
    Operation::Scopes,
    Operation::Subusers,
];

/// Those that SendGrid documents, and those that proxies, gateways and load balancers are known to send.
const STATUSES: [u16; 46] = [
    200, 201, 202, 203, 204, 206, 300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408,
    409, 410, 412, 413, 415, 418, 421, 422, 423, 425, 429, 431, 444, 451, 499, 500, 501, 502, 503, 504, 505,
    511, 520, 524, 599,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Nothing,
    Page,
    /// What SendGrid answers when it has done the operation.
    Right,
    /// The same about another key.
    OfAnotherKey,
    /// The first half of it.
    Cut,
    /// SendGrid's shape of an error.
    Refused,
    /// The same, and it says that there is no such key.
    Missing,
    NoErrors,
    ErrorOfOthers,
}

const BODIES: [Body; 9] = [
    Body::Nothing,
    Body::Page,
    Body::Right,
    Body::OfAnotherKey,
    Body::Cut,
    Body::Refused,
    Body::Missing,
    Body::NoErrors,
    Body::ErrorOfOthers,
];

/// What a caller may take for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Believed {
    Done,
    NoSuchKey,
    /// Nothing happened, and nothing will.
    Refused,
    Unclear,
}

/// The table: what an answer proves, in a few lines.
fn expected(operation: Operation, status: u16, body: Body) -> Believed {
    let is_error = matches!(body, Body::Refused | Body::Missing);
    let has_body = status != 204;
    let is_done = match operation {
        Operation::Delete => status == 204,
        Operation::Create => (200..300).contains(&status) && has_body && body == Body::Right,
        Operation::List | Operation::Scopes | Operation::Subusers => {
            status == 200 && matches!(body, Body::Right | Body::OfAnotherKey)
        }
        Operation::Get | Operation::Rename | Operation::Update => status == 200 && body == Body::Right,
    };
    let may_be_missing =
        !matches!(operation, Operation::List | Operation::Scopes | Operation::Subusers | Operation::Create);
    let says_missing = (status == 404 && is_error)
        || (status == 200 && body == Body::Missing && operation != Operation::Delete);
    if is_done {
        Believed::Done
    } else if may_be_missing && says_missing {
        Believed::NoSuchKey
    } else if is_error && matches!(status, 400 | 401 | 403 | 429) {
        Believed::Refused
    } else {
        Believed::Unclear
    }
}

fn text(operation: Operation, body: Body) -> String {
    let right = |id: &str| match operation {
        Operation::List => format!(r#"{{"result":[{{"api_key_id":"{id}","name":"Mail"}}]}}"#),
        Operation::Get => format!(r#"{{"api_key_id":"{id}","name":"Mail","scopes":["mail.send"]}}"#),
        Operation::Create => {
            format!(r#"{{"api_key":"SG.{ID}.{}","api_key_id":"{id}","name":"Mail"}}"#, "s".repeat(43))
        }
        Operation::Rename | Operation::Update => format!(r#"{{"api_key_id":"{id}","name":"Mail"}}"#),
        Operation::Delete => String::new(),
        Operation::Scopes => r#"{"scopes":["mail.send"]}"#.to_string(),
        Operation::Subusers => format!(r#"[{{"username":"{id}","id":1,"region":"eu"}}]"#),
    };
    let error = |message: &str| format!(r#"{{"errors":[{{"field":null,"message":"{message}"}}]}}"#);
    match body {
        Body::Nothing => String::new(),
        Body::Page => "<html><h1>Please sign in</h1></html>".to_string(),
        Body::Right => right(ID),
        Body::OfAnotherKey => right("another"),
        Body::Cut => {
            let whole = right(ID);
            whole[..whole.len() / 2].to_string()
        }
        Body::Refused => error("access forbidden"),
        Body::Missing => error("unable to find API Key"),
        Body::NoErrors => r#"{"errors":[]}"#.to_string(),
        Body::ErrorOfOthers => r#"{"error":"upstream said no","message":"no"}"#.to_string(),
    }
}

/// Asks once: what came of it, where the answer was no error.
pub(crate) async fn send(client: &Client, behalf: &Behalf, operation: Operation) -> Result<Believed, Error> {
    let done = match operation {
        Operation::List => client.list(behalf).await.map(drop),
        Operation::Scopes => client.scopes(behalf).await.map(drop),
        Operation::Subusers => client.subusers(behalf, 0).await.map(drop),
        Operation::Create => client.create(behalf, "Mail", &KeyAccess::Full).await.map(drop),
        Operation::Rename => client.rename(behalf, ID, "Mail").await.map(drop),
        Operation::Update => client.update(behalf, ID, "Mail", &scopes(&["mail.send"])).await,
        Operation::Get => match client.get(behalf, ID).await {
            Ok(None) => return Ok(Believed::NoSuchKey),
            other => other.map(drop),
        },
        Operation::Delete => match client.delete(behalf, ID).await {
            Ok(Deleted::NotFound) => return Ok(Believed::NoSuchKey),
            other => other.map(drop),
        },
    };
    done.map(|()| Believed::Done)
}

/// Asks once, and says what a caller would take for sure.
async fn ask(client: &Client, operation: Operation) -> Believed {
    send(client, &Behalf::Own, operation).await.unwrap_or_else(|error| match error.kind {
        Kind::NotFound => Believed::NoSuchKey,
        kind if kind.is_definite() => Believed::Refused,
        _ => Believed::Unclear,
    })
}

/// How often a request is sent: patience is for limits, and repetition for reads that may yet succeed.
fn times(operation: Operation, status: u16, body: Body) -> u32 {
    let Limits { attempts, rate_limit_attempts, .. } = Limits::default();
    let is_error = status != 204 && matches!(body, Body::Refused | Body::Missing);
    match status {
        429 if operation.is_read() || is_error => rate_limit_attempts,
        200 => 1,
        400 | 401 | 403 | 451 if is_error => 1,
        404 if is_error && operation == Operation::Get => 1,
        _ if operation.is_read() => attempts,
        _ => 1,
    }
}

#[derive(Default)]
struct Script {
    status: u16,
    body: String,
    /// How many requests came since it was set.
    asked: u32,
}

/// A server that answers as it is told at the time.
async fn told() -> (String, Arc<Mutex<Script>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let script = Arc::new(Mutex::new(Script::default()));
    let told = Arc::clone(&script);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 8192];
            let _ = stream.read(&mut bytes).await;
            let answer = {
                let mut script = told.lock().unwrap();
                script.asked += 1;
                let Script { status, body, asked: _ } = &*script;
                // Neither has a body, and a length would be an error of its own.
                let length = match status {
                    204 | 304 => String::new(),
                    _ => format!("Content-Length: {}\r\n", body.len()),
                };
                let body = if length.is_empty() { "" } else { body };
                format!("HTTP/1.1 {status} Told\r\nConnection: close\r\n{length}\r\n{body}")
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, script)
}

#[tokio::test]
async fn only_what_an_answer_proves_is_believed() {
    let (url, script) = told().await;
    let client = client(&url, KEY);
    let mut seen: BTreeMap<Believed, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for operation in OPERATIONS {
        for status in STATUSES {
            for body in BODIES {
                *script.lock().unwrap() = Script { status, body: text(operation, body), asked: 0 };
                let believed = ask(&client, operation).await;
                let expected = expected(operation, status, body);
                let case = format!("{operation:?} {status} {body:?}");
                if believed != expected {
                    wrong.push(format!("{case}: {believed:?}, not {expected:?}"));
                }
                let asked = script.lock().unwrap().asked;
                let times = times(operation, status, body);
                if asked != times {
                    wrong.push(format!("{case}: asked {asked} times, not {times}"));
                }
                *seen.entry(believed).or_default() += 1;
            }
        }
    }
    println!("{seen:?}");
    assert!(wrong.is_empty(), "{} of the answers are misread:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen.len() == 4 && seen.values().all(|count| *count > 10), "{seen:?}");
}

/// SendGrid's words are shown to people and kept in logs, and some of its errors quote what was sent.
#[tokio::test]
async fn no_error_shows_a_key_that_an_answer_quotes() {
    let (url, script) = told().await;
    let client = client(&url, KEY);
    let quoted = format!("SG.{ID}.{}", "s".repeat(43));
    let body = format!(r#"{{"errors":[{{"field":"{quoted}","message":"{quoted} is no key"}}]}}"#);
    let mut shown = 0;
    for operation in OPERATIONS {
        for status in STATUSES {
            *script.lock().unwrap() = Script { status, body: body.clone(), asked: 0 };
            let Err(error) = send(&client, &Behalf::Own, operation).await else { continue };
            let text = format!("{error} {error:?}");
            assert!(!text.contains(&"s".repeat(43)), "{operation:?} {status}: it is shown");
            shown += u32::from(text.contains("is no key"));
        }
    }
    assert!(shown > 200, "SendGrid's words are shown without it: {shown}");
}
