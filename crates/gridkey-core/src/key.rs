//! What names a key at SendGrid: its id, and the marker that a creation under way carries.

use std::fmt;

use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// SendGrid's id of a key: the 22 characters between the dots of `SG.<id>.<secret>`.
///
/// It is not secret: the list of keys shows it, and the published examples decode as version 4 UUIDs.
/// The type takes whatever SendGrid names as an id, as the format is nowhere promised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct KeyId(#[schemars(with = "String")] CompactString);

/// A text is not an id. It is not kept, as it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a key ID, which is up to 36 letters, digits, `-` and `_`")]
pub struct NotAnId;

impl KeyId {
    /// How many characters every id has that was seen so far.
    pub const LENGTH: usize = 22;

    pub fn new(id: impl Into<CompactString>) -> Self {
        Self(id.into())
    }

    /// Takes what a person gave as an id.
    ///
    /// # Errors
    /// [`NotAnId`], where it may be a secret: a whole key has dots in it, and its private part is longer than an id.
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        /// An id has 22 characters; a UUID as text has 36, a key's private part 43.
        const LONGEST: usize = 36;
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match !text.is_empty() && text.len() <= LONGEST && text.chars().all(good) {
            true => Ok(Self::new(text)),
            false => Err(NotAnId),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id inside a whole key, `SG.<id>.<secret>`; `None` where the text is not of that form.
    ///
    /// Takes the text by reference and returns the public middle part alone.
    pub fn of_secret(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.');
        let (prefix, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let plausible = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
            lengths.contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let whole = prefix == "SG" && parts.next().is_none();
        (whole && plausible(id, 20..=24) && plausible(secret, 39..=50)).then(|| Self::new(id))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The random word that names one attempt to create a key: `<name> [gridkey:<marker>]`.
///
/// Every attempt at a POST has its own, so that a late effect can be told from a repeated request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Marker(#[schemars(with = "String")] CompactString);

const MARKER_OPEN: &str = " [gridkey:";

/// How many characters, and bytes, a pending name has at most. SendGrid documents no limit; other clients of its
/// API refuse names that are longer than this.
const LONGEST_NAME: usize = 100;

impl Marker {
    pub fn new(text: impl Into<CompactString>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that a key has at SendGrid until it is recorded: no more than `LONGEST_NAME` characters, and bytes.
    ///
    /// How long a name may be is not known. A name that is cut there must not lose the marker, so the name gives way.
    pub fn pending_name(&self, name: &str) -> String {
        let marker = format!("{MARKER_OPEN}{self}]");
        let room = LONGEST_NAME.saturating_sub(marker.len());
        let end = (0..=room.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        format!("{}{marker}", &name[..end])
    }

    /// The marker that a live key's name carries, if any.
    pub fn in_name(name: &str) -> Option<Self> {
        let (_, tail) = name.rsplit_once(MARKER_OPEN)?;
        let marker = tail.strip_suffix(']')?;
        (!marker.is_empty()).then(|| Self::new(marker))
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_middle_of_a_key() {
        let id = "ngeVfQFYQlKU0ufo8x5d1A";
        let key = format!("SG.{id}.{}", "x".repeat(43));
        assert_eq!(KeyId::of_secret(&key), Some(KeyId::new(id)));
        assert_eq!(KeyId::of_secret(&format!("{key}\n")), Some(KeyId::new(id)));
        for other in ["", "SG.", "changeme", id, &key[..40], &format!("{key}.more"), "SG.a b.c"] {
            assert_eq!(KeyId::of_secret(other), None, "{other}");
        }
    }

    #[test]
    fn a_marker_is_read_back_from_the_pending_name() {
        let marker = Marker::new("k3x9");
        let name = marker.pending_name("Mailer [eu] prod");
        assert_eq!(name, "Mailer [eu] prod [gridkey:k3x9]");
        assert_eq!(Marker::in_name(&name), Some(marker));
        let old = format!("{} [gridkey:k3x9]", "n".repeat(120));
        assert_eq!(Marker::in_name(&old), Some(Marker::new("k3x9")), "names of earlier versions are longer");
        for other in ["Mailer", "Mailer [gridkey:]", "[gridkey:x] Mailer", "Mailer [gridkey:x"] {
            assert_eq!(Marker::in_name(other), None, "{other}");
        }
    }

    #[test]
    fn a_pending_name_that_is_cut_at_100_keeps_its_marker() {
        let marker = Marker::new("0123456789abc");
        for letter in ["n", "é", "鍵", "🔑"] {
            for length in [1, 24, 75, 76, 77, 100, 300] {
                let name = letter.repeat(length);
                let pending = marker.pending_name(&name);
                assert!(pending.len() <= 100, "{pending}");
                assert_eq!(Marker::in_name(&pending), Some(marker.clone()), "{pending}");
                let kept = pending.split(" [").next().unwrap_or_default();
                assert!(name.starts_with(kept) && !kept.is_empty(), "{pending}");
            }
        }
        assert_eq!(marker.pending_name(&"n".repeat(76)).len(), 100, "no more is cut than must be");
        assert!(marker.pending_name(&"n".repeat(76)).starts_with(&"n".repeat(76)));
    }
}
