//! The id of a version that gridkey makes, which says which key it holds.
//!
//! AWS documents for how long an id may be (32 to 64 characters) and not of what. The ids here have lower-case letters, digits and
//! hyphens alone, as a UUID has, and as those have that Terraform's provider hands out (`terraform-20260214054755040800000002`), so
//! that no character is tried for the first time. A key's id, which has others, is therefore written in hexadecimal digits.

use gridkey_core::KeyId;
use sha2::{Digest, Sha256};

const PREFIX: &str = "gridkey";

/// What hexadecimal digits stand for, six bits each: the alphabet of key ids.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What a version was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of<'f> {
    /// The whole value, which is text.
    Text,
    /// The whole value, which AWS keeps as bytes.
    Bytes,
    /// A member of the object that the value is.
    Field(&'f str),
}

/// The id of the version that puts a key into a part of the version `base`.
///
/// The same key into the same part of the same version has the same id, so that a put can be repeated; `attempt` tells versions
/// apart that AWS knows with another value.
pub(super) fn of(key: Option<&KeyId>, part: Of<'_>, base: Option<&str>, attempt: u8) -> String {
    let content = match key.and_then(|key| digits(key.as_str())) {
        Some(digits) => digits,
        None => "0".to_string(),
    };
    let base = short(&format!("{attempt}{}", base.unwrap_or_default()));
    // The service asks for 32 characters.
    format!("{PREFIX}-{content:0<15}-{}-{base}", word(part))
}

/// The key that a version holds in a part of it, where gridkey made it to put that key there.
pub(super) fn key_of(version: &str, part: Of<'_>) -> Option<KeyId> {
    let mut parts = version.split('-');
    let (prefix, content, of_part, _base) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_own = prefix == PREFIX && of_part == word(part) && parts.next().is_none();
    let key = is_own.then(|| letters(content)).flatten()?;
    Some(KeyId::new(key))
}

/// A word for a part. A field's name is no secret: the manifest has it.
pub(super) fn word(part: Of<'_>) -> String {
    match part {
        Of::Text => "whole".to_string(),
        Of::Bytes => "bytes".to_string(),
        Of::Field(field) => short(field),
    }
}

fn short(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Six bits for each character; `None` where a character is not of the alphabet.
fn digits(id: &str) -> Option<String> {
    let mut bits = Vec::with_capacity(id.len() * 6 + 3);
    for byte in id.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == byte)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1));
    }
    bits.resize(bits.len().next_multiple_of(4), 0);
    Some(bits.chunks(4).map(|bits| format!("{:x}", bits.iter().fold(0, |all, bit| all << 1 | bit))).collect())
}

/// The reverse, for ids of the lengths that key ids have.
fn letters(digits: &str) -> Option<String> {
    if !(30..=36).contains(&digits.len()) {
        return None;
    }
    let mut bits = Vec::with_capacity(digits.len() * 4);
    for digit in digits.chars() {
        let value = digit.to_digit(16).filter(|_| !digit.is_ascii_uppercase())?;
        bits.extend((0..4).rev().map(|bit| (value >> bit & 1) as usize));
    }
    let (whole, rest) = bits.as_chunks::<6>();
    let padded = rest.iter().all(|bit| *bit == 0);
    let letter = |bits: &[usize; 6]| char::from(ALPHABET[bits.iter().fold(0, |all, bit| all << 1 | bit)]);
    padded.then(|| whole.iter().map(letter).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_the_key_and_the_part_that_it_is_in() {
        for id in [
            "AAAAAAAAAAAAAAAAAAAA",
            "ngeVfQFYQlKU0ufo8x5d1",
            "ngeVfQFYQlKU0ufo8x5d1A",
            "-_-_-_-_-_-_-_-_-_-_-_-",
            "________________________",
        ] {
            let key = KeyId::new(id);
            for (part, base) in
                [(Of::Text, None), (Of::Field("api.key"), Some("some-version")), (Of::Bytes, None)]
            {
                let version = of(Some(&key), part, base, 0);
                assert_eq!(key_of(&version, part), Some(key.clone()), "{version}");
                assert_eq!(key_of(&version, Of::Field("other")), None);
                assert!((32..=64).contains(&version.len()), "{version}");
                assert!(version.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'));
                assert_eq!(version, of(Some(&key), part, base, 0), "a repeat is the same version");
                assert_ne!(version, of(Some(&key), part, Some("other"), 0));
                assert_ne!(version, of(Some(&key), part, base, 1));
            }
        }
    }

    #[test]
    fn other_ids_tell_no_key() {
        let cleared = of(None, Of::Field("field"), Some("base"), 0);
        assert!((32..=64).contains(&cleared.len()), "{cleared}");
        for version in [
            cleared.as_str(),
            "",
            "gridkey",
            "terraform-20260214054755040800000002",
            "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        ] {
            assert_eq!(key_of(version, Of::Text), None, "{version}");
            assert_eq!(key_of(version, Of::Field("field")), None, "{version}");
        }
    }
}
