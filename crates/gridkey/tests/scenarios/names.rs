//! Names for what differs from run to run: ids, markers, times, the folder and the URL.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

/// How far apart two dates may be that one run wrote: it reads SendGrid's clock, which has whole seconds,
/// and its own.
const ONE_RUN: i64 = 5;

/// Puts dates of one run that come up one after another in the order of their words, as which of them is the
/// sooner depends on when a second ended.
fn settle_dates(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let dated = |line: &str| -> Option<Timestamp> { line.strip_prefix("|   ")?.get(..20)?.parse().ok() };
    lines
        .chunk_by_mut(|one, next| match (dated(one), dated(next)) {
            (Some(one), Some(next)) => next.as_second() - one.as_second() <= ONE_RUN,
            (None, _) | (_, None) => false,
        })
        .for_each(|dates| dates.sort_by_key(|line| line.get(24..)));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Leaves out who ran a command on which machine, where a key is said to be made by them.
fn without_makers(text: &str) -> String {
    let without = |line: &str| match line.split_once(", by ") {
        Some((made, _)) if made.starts_with("|   made ") => format!("{made}, by SOMEBODY\n"),
        Some(_) | None => format!("{line}\n"),
    };
    text.lines().map(without).collect()
}

/// Gives ids, markers and times names that are the same in every run.
#[derive(Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// A transcript without anything that differs from run to run.
    pub fn replace(&mut self, text: &str, folder: &Path, url: &str) -> String {
        let text = text.replace(&folder.display().to_string(), "FOLDER").replace(url, "URL");
        let text = without_makers(&settle_dates(&text));
        let mut named = String::new();
        let mut word = String::new();
        for c in text.chars().chain(['\n']) {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':') {
                word.push(c);
                continue;
            }
            // One marker in fifteen has no digit that would tell it from a word.
            let line = named.rsplit('\n').next().unwrap_or_default();
            let is_item = line.strip_prefix("| ").is_some_and(|line| line.trim_start() == "\"");
            let fits = word.len() == 13 && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            let is_marked = (line.ends_with("marked `") || is_item) && fits;
            named.push_str(&self.name(&word, is_marked));
            word.clear();
            named.push(c);
        }
        named.truncate(named.len() - 1);
        named
    }

    fn name(&mut self, word: &str, is_marked: bool) -> String {
        let mixed = word.chars().any(char::is_uppercase) && word.chars().any(char::is_lowercase);
        let is_id = word.len() == 22 && mixed && !word.contains(':');
        let is_time = word.len() == 20 && word.starts_with("20") && word.ends_with('Z');
        let is_lineage =
            word.len() == 26 && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let is_marker = word.len() == 13
            && word.chars().any(|c| c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let kind = match (is_id, is_time, is_lineage, is_marker || is_marked) {
            (true, _, _, _) => "KEY",
            (_, true, _, _) => return "TIME".to_string(),
            (_, _, true, _) => "LINEAGE",
            (_, _, _, true) => "MARKER",
            _ => return word.to_string(),
        };
        let number = self.0.len() + 1;
        self.0.entry(word.to_string()).or_insert_with(|| format!("{kind}-{number}")).clone()
    }
}

/// The one test of the harness itself, beside the scenarios: the clock cannot be chosen there.
pub fn dates_of_one_run_have_one_order() {
    let told = |first: &str, then: &str| {
        let text = format!("| Coming up:\n|   {first}\n|   {then}\n| \n");
        Names::default().replace(&text, Path::new("/nowhere"), "http://nowhere")
    };
    let (a, b) = ("2026-01-01T00:00:00Z  a: older key is revoked", "2026-01-01T00:00:01Z  b: is cleared");
    let (late_a, much_later) =
        ("2026-01-01T00:00:01Z  a: older key is revoked", "2026-01-01T01:00:00Z  a: ends");
    assert_eq!(told("2026-01-01T00:00:00Z  b: is cleared", late_a), told(a, b));
    assert!(told(b, much_later).find("b: ") < told(b, much_later).find("a: "), "hours apart they stay");
}
