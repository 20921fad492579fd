//! Whole SendGrid keys wherever they stand in a text: in code, in comments, in logs, behind `Bearer`, and in base64 as
//! Kubernetes keeps them. What is told of one is its id.

use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridkey_core::KeyId;
use zeroize::Zeroizing;

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// More bytes than a key has in any form, so that one that a chunk cuts is seen in the next.
const LONGEST: usize = 256;

/// How a text that is no text is told, as git does: by a zero among its first bytes.
const PEEK: usize = 8_000;

/// A key in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The first is 1.
    pub line: u64,
    pub id: KeyId,
}

/// Every key that a text mentions, in order; `None` where it is not a text.
///
/// *Guarantees*: a text of any length takes the same memory, which is wiped.
///
/// # Errors
/// The text cannot be read to its end.
pub fn mentions(text: &mut dyn Read) -> io::Result<Option<Vec<Mention>>> {
    let mut buffer = Zeroizing::new(vec![0; CHUNK + LONGEST]);
    let (mut filled, mut line) = (0, 1);
    let mut wide: Option<bool> = None;
    let mut found = Vec::new();
    loop {
        let read = match text.read(&mut buffer[filled..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let new = &mut buffer[filled..filled + read];
        let is_first = wide.is_none();
        let is_wide = *wide.get_or_insert_with(|| is_utf16(new));
        if is_first && !is_wide && new.iter().take(PEEK).any(|byte| *byte == 0) {
            return Ok(None);
        }
        filled += if is_wide { without_zeros(new) } else { read };
        let is_last = read == 0;
        let settled = if is_last { filled } else { filled.saturating_sub(LONGEST) };
        let mut counted = 0;
        for (at, id) in keys_in(&buffer[..filled]).into_iter().filter(|(at, _)| *at < settled) {
            line += line_ends(&buffer[counted..at]);
            counted = at;
            found.push(Mention { line, id });
        }
        line += line_ends(&buffer[counted..settled]);
        buffer.copy_within(settled..filled, 0);
        filled -= settled;
        if is_last {
            return Ok(Some(found));
        }
    }
}

fn line_ends(text: &[u8]) -> u64 {
    text.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// Whether a text begins with the byte order mark of UTF-16, as files from Windows do.
fn is_utf16(text: &[u8]) -> bool {
    text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff])
}

/// Moves what is not zero to the front, and says how much that is: a key in UTF-16 is one with zeros between.
fn without_zeros(text: &mut [u8]) -> usize {
    let mut kept = 0;
    for at in 0..text.len() {
        if text[at] != 0 {
            text[kept] = text[at];
            kept += 1;
        }
    }
    kept
}

/// The keys of a text, by where they begin.
fn keys_in(text: &[u8]) -> Vec<(usize, KeyId)> {
    let mut found = Vec::new();
    for at in 0..text.len() {
        let rest = &text[at..];
        let key = match rest {
            [b'S', b'G', b'.', ..] => plain(rest),
            [b'U', b'0', b'c', b'u', ..] => in_base64(rest),
            _ => None,
        };
        found.extend(key.map(|id| (at, id)));
    }
    found
}

/// `SG.<id>.<secret>`, whatever follows: the secret may end a sentence, or have a word behind it.
fn plain(text: &[u8]) -> Option<KeyId> {
    const SECRET: usize = 43;
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let run = |from: usize| text.iter().skip(from).take_while(|byte| is_token(byte)).count();
    let id = run(3);
    let secret_at = 3 + id + 1;
    if text.get(secret_at - 1) != Some(&b'.') {
        return None;
    }
    let secret = run(secret_at).min(SECRET);
    KeyId::of_secret(std::str::from_utf8(&text[..secret_at + secret]).ok()?)
}

/// A whole key in base64.
fn in_base64(text: &[u8]) -> Option<KeyId> {
    /// Of 69 bytes, which is a number that needs no padding.
    const ENCODED: usize = 92;
    let mut decoded = Zeroizing::new([0; ENCODED]);
    let length = STANDARD.decode_slice(text.get(..ENCODED)?, decoded.as_mut()).ok()?;
    KeyId::of_secret(std::str::from_utf8(&decoded[..length]).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ngeVfQFYQlKU0ufo8x5d1A";

    fn key() -> String {
        format!("SG.{ID}.{}", "aB3-_".repeat(9).split_at(43).0)
    }

    fn found(text: impl AsRef<[u8]>) -> Option<Vec<u64>> {
        let found = mentions(&mut text.as_ref()).expect("it is in memory")?;
        assert!(found.iter().all(|mention| mention.id.as_str() == ID), "{found:?}");
        Some(found.into_iter().map(|mention| mention.line).collect())
    }

    #[test]
    fn a_key_is_found_whatever_stands_around_it() {
        let key = key();
        for text in [
            key.clone(),
            format!("# KEY={key}"),
            format!("- \"Bearer {key}\","),
            format!("the key is {key}."),
            format!("<{key}>"),
            format!("{{\"text\":\"one\\n{key}\\n\"}}"),
            format!("{key}_old"),
            format!("x{key}"),
            format!("\u{fc} latin {key}"),
            format!("data: {}", STANDARD.encode(&key)),
            format!("data: {}", STANDARD.encode(format!("{key}\n"))),
        ] {
            assert_eq!(found(&text), Some(vec![1]), "{text}");
        }
        for other in ["", "SG.", "SG.short.secret", &key[..50], &format!("SG.{ID}"), "U0cubm90IGEga2V5"] {
            assert_eq!(found(other), Some(Vec::new()), "{other}");
        }
    }

    #[test]
    fn lines_are_counted_and_one_line_may_have_several() {
        let key = key();
        assert_eq!(found(format!("\n\n{key} {key}\r\n{key}")), Some(vec![3, 3, 4]));
        let latin = [b"\xe9\n".as_slice(), key.as_bytes()].concat();
        assert_eq!(found(latin), Some(vec![2]));
    }

    #[test]
    fn a_key_at_any_place_of_a_long_text_is_found_once() {
        let key = key();
        let start = CHUNK - LONGEST - key.len();
        for at in (start..CHUNK + LONGEST + 80).step_by(7) {
            let mut text = vec![b'\n'; at];
            text.extend_from_slice(key.as_bytes());
            text.extend(std::iter::repeat_n(b' ', LONGEST * 3));
            assert_eq!(found(text), Some(vec![at as u64 + 1]), "at {at}");
        }
    }

    #[test]
    fn a_text_that_comes_a_byte_at_a_time_is_read_like_any_other() {
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0.read(&mut into[..1])
            }
        }
        let text = format!("a\n{}\n{}\n", key(), key());
        let found = mentions(&mut Slow(text.as_bytes())).expect("it is in memory").expect("a text");
        assert_eq!(found.iter().map(|mention| mention.line).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn text_in_utf_16_is_text_and_what_has_zeros_is_not() {
        let text = format!("\u{feff}one\r\n{}", key());
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let wide: Vec<u8> = text.encode_utf16().flat_map(bytes).collect();
            assert_eq!(found(wide), Some(vec![2]));
        }
        assert_eq!(found([b"\0".as_slice(), key().as_bytes()].concat()), None);
    }
}
