//! Secrets: whatever is wrong with a file, and wherever in it a secret stands, nothing that is shown quotes it.

use gridkey_core::manifest::{SourceFile, load, load_policy};
use gridkey_core::text::diagnostic::{Diagnostics, Sources};

use crate::corpus::folder;

const ID: &str = "ngeVfQFYQlKU0ufo8x5d1A";
const SECRET: &str = "TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr";
const PASSWORD: &str = "hunter2-hunter2";
const TOKEN: &str = "a8b7c6d5e4f3a2b1";

/// Ways in which a secret stands in a file; some of them leave what is no YAML.
fn forms() -> Vec<String> {
    let escaped: String =
        SECRET.chars().map(|c| if c == 'T' { "\\x54".to_string() } else { c.into() }).collect();
    let (first, last) = SECRET.split_at(20);
    vec![
        format!("SG.{ID}.{SECRET}"),
        format!("\"SG.{ID}.{SECRET}\""),
        format!("\"SG.{ID}.{SECRET}"),
        format!("SG.{ID}: SG.{ID}.{SECRET}: {SECRET}"),
        format!("\"\\x53G.{ID}.{SECRET}\""),
        format!("\"SG\\u002e{ID}.{escaped}\""),
        format!("\"SG.{ID}\\x2e{escaped}"),
        format!("\"SG.{ID}.{first}\\\n            {last}\""),
        format!("\"SG.{ID}.{first}\\\n            {last}"),
        format!("SG.{ID}.{first}\n            {last}"),
        format!("[SG.{ID}., {SECRET}]"),
        format!("{{ SG: {ID}.{SECRET} }}"),
        format!("{ID}.{SECRET}"),
        SECRET.to_string(),
        format!("# {SECRET}"),
        format!("postgres://me:{PASSWORD}@db.internal/gridkey"),
        format!("\"postgres://me:{PASSWORD}@db.internal/gridkey"),
        format!("[postgres://me:{PASSWORD}@db.internal: x"),
        format!("\"host=db password={PASSWORD} user=me\""),
        format!("\"Authorization: Bearer {TOKEN}\""),
        format!("\"Authorization: Bearer {TOKEN}"),
        format!("!bearer {TOKEN}"),
        format!("\"hvs.{SECRET}\""),
    ]
}

/// Every word of a file, by its bytes.
fn words(text: &str) -> Vec<std::ops::Range<usize>> {
    let of_word = |c: char| c.is_ascii_alphanumeric() || "_-.*:/{}!".contains(c);
    let mut words: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, _) in text.char_indices().filter(|(_, c)| of_word(*c)) {
        match words.last_mut().filter(|word| word.end == at) {
            Some(word) => word.end = at + 1,
            None => words.push(at..at + 1),
        }
    }
    words
}

/// Everything that is said, and the texts that are quoted from.
fn shown(text: &str, said: String, sources: &Sources) -> String {
    let quoted = sources.get("file.yaml").unwrap_or_default();
    assert!(quoted.is_empty() || quoted.len() == text.len(), "places in it stay right");
    said + quoted
}

fn said(found: &Diagnostics) -> String {
    format!("{}{:?}{:?}", found.to_text(), found.errors, found.warnings)
}

fn check(text: &str, shown: &str) {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let shown_plain = plain(shown);
    for secret in [SECRET, PASSWORD, TOKEN] {
        // Any piece of it, also as a tidied name would have it.
        for piece in secret.as_bytes().windows(9) {
            let piece = plain(std::str::from_utf8(piece).unwrap());
            assert!(!shown_plain.contains(&piece), "`{piece}` of `{secret}` is shown:\n{shown}\n---\n{text}");
        }
    }
}

/// Every fifth word of a file for each form, another fifth for the next.
fn each(text: &str, mut look: impl FnMut(&str)) {
    for (number, form) in forms().iter().enumerate() {
        for (_, word) in words(text).into_iter().enumerate().filter(|(at, _)| (at + number) % 5 == 0) {
            look(&format!("{}{form}{}", &text[..word.start], &text[word.end..]));
        }
    }
}

#[test]
fn no_error_of_a_manifest_shows_a_secret_wherever_it_stands() {
    let text = std::fs::read_to_string(folder("good").join("the_whole_language.yaml")).unwrap();
    each(&text, |text| {
        let source = SourceFile { name: "file.yaml".to_string(), bytes: text.as_bytes().to_vec() };
        let all = match load(&[source], &[]) {
            Err(found) => shown(text, said(&found), &found.sources),
            Ok(loaded) => {
                let said = format!("{:?}{:?}", loaded.warnings, loaded.unknown_scopes);
                shown(text, said, &loaded.sources)
            }
        };
        check(text, &all);
    });
}

#[test]
fn no_error_of_a_policy_file_shows_a_secret_wherever_it_stands() {
    let manifest = folder("good").join("every_policy_rule_can_be_given_by_place.yaml");
    let text = std::fs::read_to_string(manifest).unwrap();
    let (_, rules) = text.split_once("policy:\n").unwrap();
    let rules = rules.replace("\n  ", "\n").trim_start().to_string();
    each(&rules, |text| {
        let source = SourceFile { name: "file.yaml".to_string(), bytes: text.as_bytes().to_vec() };
        let all = match load_policy(&source) {
            Err(found) => shown(text, said(&found), &found.sources),
            Ok(loaded) => shown(text, format!("{:?}", loaded.warnings), &loaded.sources),
        };
        check(text, &all);
    });
}

/// The single cases that were reported.
#[test]
fn secrets_in_fields_for_credentials_are_not_shown_however_they_are_written() {
    let head = "version: 1\nkeys: {}\n";
    for (text, secret) in [
        ("accounts: { acme: { apikey: opensesame } }\n", "opensesame"),
        ("accounts: { acme: { api-key: opensesame } }\n", "opensesame"),
        ("accounts: { acme: { api_key: { env: KEY }, api_key: opensesame } }\n", "opensesame"),
        ("accounts: { acme: { api_key: { env: open-sesame! } } }\n", "open-sesame"),
        ("accounts: { acme: { api_key: { value: opensesame } } }\n", "opensesame"),
        ("accounts: { acme: { api_key: [opensesame] } }\n", "opensesame"),
        ("accounts: { acme: { api_key: >-\n      open\n      sesame\n    } }\n", "sesame"),
        ("accounts:\n  acme:\n    api_key: >-\n      open\n      sesame\n", "sesame"),
        ("state: { postgres: { url: opensesame, tabel: x } }\n", "opensesame"),
        ("state: { postgres: { url: opensesame, table: x: y } }\n", "opensesame"),
        ("import: [{ to: mailer, id: ngeVfQFYQlKU0ufo8x5d1A.opensesame }]\n", "opensesame"),
        ("import: [{ to: mailer, id: opensesameopensesameopensesameopensesame }]\n", "opensesame"),
    ] {
        let source =
            SourceFile { name: "file.yaml".to_string(), bytes: format!("{head}{text}").into_bytes() };
        let found = load(&[source], &[]).expect_err("it is refused");
        let all = said(&found) + found.sources.get("file.yaml").unwrap_or_default();
        assert!(!all.contains(secret), "{text}\n{all}");
    }
}

/// A key with an escape or a line break in it is a key.
#[test]
fn a_key_is_refused_however_it_is_written() {
    for text in [
        format!("\"\\x53G.{ID}.{SECRET}\""),
        format!("\"SG.{ID}.{}\\\n      {}\"", &SECRET[..9], &SECRET[9..]),
    ] {
        let text = format!(
            "version: 1\naccounts: {{ acme: {{ api_key: {{ env: KEY }} }} }}\nkeys: {{ mailer: {{ description: {text} }} }}\n"
        );
        let source = SourceFile { name: "file.yaml".to_string(), bytes: text.into_bytes() };
        let found = load(&[source], &[]).expect_err("it is refused");
        assert!(found.errors.iter().any(|error| error.code == "secret_in_manifest"), "{}", found.to_text());
    }
}
