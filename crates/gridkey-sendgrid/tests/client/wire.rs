//! What goes over the wire, seen by a server that answers as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gridkey_sendgrid::{BaseUrl, Behalf, Client, Clock, KeyAccess, Kind, Limits};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::answers::{OPERATIONS, send};
use super::client;

/// Answers every connection with the same bytes, and keeps what was asked.
async fn scripted(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 8192];
            let length = stream.read(&mut bytes).await.unwrap_or(0);
            kept.lock().unwrap().push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked)
}

const KEY: &str = "SG.ngeVfQFYQlKU0ufo8x5d1A.managing-managing-managing-managing-managin";

#[tokio::test]
async fn the_header_is_spelled_on_behalf_of_in_title_case() {
    let (url, asked) = scripted("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"result\":[]}").await;
    let client = client(&url, KEY);
    client.list(&Behalf::Subuser("shop".to_string())).await.unwrap();
    client.list(&Behalf::AccountId("x1".to_string())).await.unwrap();
    client.list(&Behalf::Own).await.unwrap();
    let asked = asked.lock().unwrap();
    assert!(asked[0].contains("\r\nOn-Behalf-Of: shop\r\n"), "{}", asked[0].replace(KEY, "…"));
    assert!(asked[1].contains("\r\nOn-Behalf-Of: account-id x1\r\n"));
    assert!(!asked[2].to_lowercase().contains("on-behalf-of"));
    assert!(asked.iter().all(|request| request.contains(&format!("\r\nAuthorization: Bearer {KEY}\r\n"))));
}

/// Without the header the parent answers, and its 404 would be read as "revoked".
#[tokio::test]
async fn every_request_says_on_whose_behalf_it_is_made() {
    let (url, asked) =
        scripted("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
    let client = client(&url, KEY);
    for operation in OPERATIONS {
        for (behalf, header) in [
            (Behalf::Subuser("shop".to_string()), Some("\r\nOn-Behalf-Of: shop\r\n")),
            (Behalf::AccountId("x1".to_string()), Some("\r\nOn-Behalf-Of: account-id x1\r\n")),
            (Behalf::Own, None),
        ] {
            send(&client, &behalf, operation).await.unwrap_err();
            let asked = std::mem::take(&mut *asked.lock().unwrap());
            assert!(!asked.is_empty(), "{operation:?}");
            for request in asked {
                let is_right = match header {
                    Some(header) => request.contains(header),
                    None => !request.to_lowercase().contains("on-behalf-of"),
                };
                assert!(is_right, "{operation:?} for {behalf}: {}", request.replace(KEY, "…"));
            }
        }
    }
}

/// What was sent may have been done, however long the answer takes.
#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_unclear_and_not_waited_for_longer() {
    for begins in ["", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 8192]).await;
                let _ = stream.write_all(begins.as_bytes()).await;
                held.push(stream);
            }
        });
        let limits = Limits { request: Duration::from_millis(250), attempts: 1, ..Limits::default() };
        let base = BaseUrl::new(&url).unwrap();
        let client = Client::new(base, SecretString::from(KEY.to_string()), limits).unwrap();
        for operation in OPERATIONS {
            let asked = send(&client, &Behalf::Own, operation);
            let ended = tokio::time::timeout(Duration::from_secs(30), asked).await;
            let error = ended.expect("it gives up").unwrap_err();
            assert_eq!(error.kind, Kind::NoAnswer, "{operation:?} {begins:?}: {error:?}");
            assert_eq!(error.message, "no answer in time", "{operation:?}");
        }
    }
}

#[tokio::test]
async fn nothing_that_is_no_list_is_taken_for_an_empty_account() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"result\":[]",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        "garbage",
        "",
    ] {
        let (url, _) = scripted(answer).await;
        assert!(client(&url, KEY).list(&Behalf::Own).await.is_err(), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_to_a_creation_without_a_secret_is_unclear() {
    for answer in [
        "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 201 Created\r\nContent-Length: 200\r\n\r\n{\"api_key\":\"SG.a",
        "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (url, asked) = scripted(answer).await;
        let error = client(&url, KEY).create(&Behalf::Own, "x", &KeyAccess::Full).await.unwrap_err();
        assert!(!error.kind.is_definite(), "{answer:?}: {error:?}");
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_cannot_be_reached_was_not_sent_and_names_no_key() {
    let error =
        client("http://127.0.0.1:1", KEY).create(&Behalf::Own, "x", &KeyAccess::Full).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotSent);
    assert!(error.to_string().contains("SendGrid could not be reached"), "{error}");
    assert!(!format!("{error:?}{error}").contains("managing-managing"));
}

#[tokio::test]
async fn an_answer_is_read_up_to_a_size_that_no_list_has() {
    const LARGEST: usize = 4 << 20;
    for (size, is_read) in [(LARGEST, true), (LARGEST + 1, false)] {
        let list = "{\"result\":[]}";
        let body = format!("{list}{}", " ".repeat(size - list.len()));
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{body}");
        let (url, _) = scripted(answer.leak()).await;
        let listed = client(&url, KEY).list(&Behalf::Own).await;
        match is_read {
            true => assert!(listed.unwrap().value.is_empty()),
            false => assert!(listed.unwrap_err().to_string().contains("too large")),
        }
    }
}

#[tokio::test]
async fn an_error_names_the_field_that_sendgrid_names() {
    for (field, says) in
        [("\"name\"", "is required (name)"), ("null", "is required"), ("\"\"", "is required")]
    {
        let body = format!("{{\"errors\":[{{\"field\":{field},\"message\":\"is required\"}}]}}");
        let answer = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let (url, _) = scripted(answer.leak()).await;
        let error = client(&url, KEY).create(&Behalf::Own, "", &KeyAccess::Full).await.unwrap_err();
        assert!(error.to_string().ends_with(says), "{error}");
    }
}

#[tokio::test]
async fn once_a_run_is_to_stop_an_answer_is_waited_for_a_moment_alone() {
    // It accepts, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let client = client(&url, KEY).with_stop(stopped);
    let creating = tokio::spawn(async move { client.create(&Behalf::Own, "x", &KeyAccess::Full).await });
    let (_held, _) = listener.accept().await.unwrap();
    assert!(!creating.is_finished());
    stop.send(true).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), creating).await.expect("it gives up");
    let error = ended.unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::NoAnswer, "a key may have been made");
}

/// The next list has whole seconds, too, and a key must not seem to be younger than it.
#[tokio::test]
async fn a_new_keys_time_has_whole_seconds() {
    let secret = "s".repeat(43);
    let body = format!(
        r#"{{"api_key":"SG.ngeVfQFYQlKU0ufo8x5d1A.{secret}","api_key_id":"ngeVfQFYQlKU0ufo8x5d1A"}}"#
    );
    let head = "HTTP/1.1 201 Created\r\nDate: Mon, 23 Nov 2026 08:00:00 GMT\r\nContent-Length:";
    let answer = format!("{head} {}\r\n\r\n{body}", body.len());
    let (url, _) = scripted(answer.leak()).await;
    let date: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    let machine = Arc::new(Machine { says: date, elapsed: Mutex::default() });
    let client = client(&url, KEY).with_clock(Arc::clone(&machine) as _);
    assert!(client.list(&Behalf::Own).await.is_err(), "no list, and yet an answer with a time");
    machine.sleep(Duration::from_millis(1900)).await;
    let made = client.create(&Behalf::Own, "x", &KeyAccess::Full).await.unwrap();
    assert_eq!(made.at, date + Duration::from_secs(machine.elapsed().as_secs()));
}

/// A machine whose own clock says something, and where so much time has passed.
struct Machine {
    says: Timestamp,
    elapsed: Mutex<Duration>,
}

#[async_trait::async_trait]
impl Clock for Machine {
    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap()
    }

    fn now(&self) -> Timestamp {
        self.says + self.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        *self.elapsed.lock().unwrap() += duration;
    }
}

#[tokio::test]
async fn time_goes_on_from_the_last_answer_and_of_clocks_far_apart_the_careful_one_counts() {
    let answer =
        "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 08:00:00 GMT\r\nContent-Length: 13\r\n\r\n{\"result\":[]}";
    let (url, _) = scripted(answer).await;
    let date: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    for (own, listed, now) in [
        (date + minute, date, date),
        (date - minute, date, date),
        // What is due is due by the earlier clock, and what is made is made by the later one.
        (date + 3 * hour, date, date + 3 * hour),
        (date - 3 * hour, date - 3 * hour, date),
    ] {
        let machine = Arc::new(Machine { says: own - hour, elapsed: Mutex::new(hour) });
        let client = client(&url, KEY).with_clock(Arc::clone(&machine) as _);
        assert_eq!(client.now(), None, "nothing was heard yet");
        assert_eq!(client.list(&Behalf::Own).await.unwrap().at, listed, "{own}");
        assert_eq!(client.now(), Some(now), "{own}");
        machine.sleep(2 * hour).await;
        assert_eq!(client.now(), Some(now + 2 * hour), "{own}: time at a question passes, too");
        // The same old answer again does not turn time back.
        client.list(&Behalf::Own).await.unwrap();
        assert_eq!(client.now(), Some(now + 2 * hour), "{own}");
    }
}
