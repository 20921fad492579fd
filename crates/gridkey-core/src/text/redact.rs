//! The one place that stars out secrets, for every text that leaves gridkey.

use std::ops::Range;

pub(crate) fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// A message without control characters and without anything that looks like a SendGrid key.
pub(crate) fn clean(text: &str) -> String {
    redact(text).chars().map(printable).collect()
}

/// Whether a text holds anything that must not be shown, so that no other text is made of it either.
pub(crate) fn is_secret(text: &str) -> bool {
    redact(text) != text
}

/// The same text with the tail of everything that looks like a SendGrid key (`SG.…`) starred out.
///
/// *Guarantees:* the result has as many bytes as the text.
pub fn redact(text: &str) -> String {
    let mut shown = text.to_string();
    for secret in secrets(text) {
        hide(&mut shown, secret);
    }
    shown
}

/// Stars out a range of bytes. Line breaks stay, so that lines keep their numbers.
pub(crate) fn hide(shown: &mut String, range: Range<usize>) {
    let Some(part) = shown.get(range.clone()) else { return };
    let stars: String = part.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
    shown.replace_range(range, &stars);
}

/// The byte ranges of what follows `SG.` in a text, where it is long enough to be more than a mention.
pub(crate) fn secrets(text: &str) -> Vec<Range<usize>> {
    const SHORTEST: usize = 8;
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, start) in text.match_indices("SG.") {
        let from = at + start.len();
        if found.last().is_some_and(|last| last.end > from) {
            continue;
        }
        let length = text.as_bytes()[from..].iter().take_while(|byte| token(byte)).count();
        if length >= SHORTEST {
            found.push(from..from + length);
        }
    }
    found
}
