//! Words that several views share: counts, times, durations, and text from elsewhere made fit to print.

use std::time::Duration;

use gridkey_core::Access;
use gridkey_core::manifest::{AtLimit, Rotation};
use gridkey_core::plan::Action;
use jiff::Timestamp;

/// `1 key`, `2 keys`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// UTC, RFC 3339, whole seconds.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The two largest units, such as `1 h 30 min`; tenths below 10 seconds.
pub fn duration(length: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let tenths = (length.as_millis() + 50) / 100;
    if tenths < 100 && !tenths.is_multiple_of(10) {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let mut left = (length + Duration::from_millis(500)).as_secs();
    let mut parts = Vec::new();
    for (size, unit) in UNITS {
        if left >= size {
            parts.push(format!("{} {unit}", left / size));
            left %= size;
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0 s".to_string() } else { parts.join(" ") }
}

/// `every 30 d, overlap 1 d`, or `never`.
pub fn rotation(rotation: Option<&Rotation>) -> String {
    let Some(Rotation { every, overlap, warn_before, at_limit }) = rotation else {
        return "never".to_string();
    };
    let warn = warn_before.map(|before| format!(", up to {} ahead", duration(before))).unwrap_or_default();
    let limit = match at_limit {
        AtLimit::Postpone => "",
        AtLimit::Replace => ", replacing at the limit",
        AtLimit::Block => ", blocking at the limit",
    };
    format!("every {}, overlap {}{warn}{limit}", duration(*every), duration(*overlap))
}

/// `restricted, 3 scopes`.
pub fn access(access: &Access) -> String {
    let kind = access.kind();
    match access.scopes() {
        None => "full access".to_string(),
        Some(scopes) => format!("{kind}, {}", count(scopes.as_set().len(), "scope")),
    }
}

/// What is going on while a change is carried out.
pub fn doing(action: Action) -> &'static str {
    match action {
        Action::Recover => "recovering",
        Action::Move => "moving",
        Action::Adopt => "adopting",
        Action::Forget => "letting go",
        Action::Retire => "retiring",
        Action::Delete => "deleting",
        Action::Update => "updating",
        Action::Deliver => "delivering",
        Action::Create => "creating",
        Action::Rotate => "rotating",
        Action::Keep => "keeping",
    }
}

/// What a change that was carried out has become.
pub fn done(action: Action) -> &'static str {
    match action {
        Action::Recover => "recovered",
        Action::Move => "moved",
        Action::Adopt => "adopted",
        Action::Forget => "forgotten",
        Action::Retire => "retired",
        Action::Delete => "deleted",
        Action::Update => "updated",
        Action::Deliver => "delivered",
        Action::Create => "created",
        Action::Rotate => "rotated",
        Action::Keep => "kept",
    }
}

/// Actions in the order in which summaries count them.
pub const COUNTED: [Action; 10] = [
    Action::Create,
    Action::Adopt,
    Action::Move,
    Action::Forget,
    Action::Update,
    Action::Deliver,
    Action::Rotate,
    Action::Delete,
    Action::Retire,
    Action::Recover,
];

/// Text that others wrote (names of keys at SendGrid, a server's message), with escapes such as `\u{200b}` for what a
/// terminal would act upon, show in another order, or not show at all: two names that look alike are told apart.
pub fn safe(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match is_shown(c) {
            true => safe.push(c),
            false => safe.extend(c.escape_unicode()),
        }
    }
    safe
}

/// A message that others had a part in, on one line: where it had several, a blank stands between them.
pub fn on_one_line(text: impl AsRef<str>) -> String {
    let lines = text.as_ref().split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    safe(lines.collect::<Vec<_>>().join(" ").replace('\t', " "))
}

/// Whether a character is seen, and moves no other.
fn is_shown(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_two_units_at_most() {
        for (milliseconds, words) in [
            (0, "0 s"),
            (2_900, "2.9 s"),
            (3_000, "3 s"),
            (45_400, "45 s"),
            (5_400_000, "1 h 30 min"),
            (604_800_000, "7 d"),
            (90_061_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), words);
        }
    }

    #[test]
    fn times_are_whole_seconds_in_utc() {
        let at: Timestamp = "2026-03-01T12:00:00.987+01:00".parse().expect("a time");
        assert_eq!(time(at), "2026-03-01T11:00:00Z");
    }

    #[test]
    fn a_message_of_several_lines_is_read_as_one() {
        assert_eq!(
            on_one_line("refused:\r\n  Action: get\tset\n\nCaller: me\n"),
            "refused: Action: get set Caller: me"
        );
        assert_eq!(on_one_line("a\u{1b}[2J"), "a\\u{1b}[2J");
        assert_eq!(on_one_line(""), "");
    }

    #[test]
    fn text_from_elsewhere_cannot_steer_a_terminal() {
        assert_eq!(safe("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\u{a}");
        assert_eq!(safe("acme\u{200b} prod\u{feff}"), "acme\\u{200b} prod\\u{feff}");
        assert_eq!(safe("Zoë → 日本 👍"), "Zoë → 日本 👍");
    }
}
