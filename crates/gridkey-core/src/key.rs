//! What names a key at SendGrid: its id, and the marker that a creation under way carries.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// SendGrid's id of a key: the 22 characters between the dots of `SG.<id>.<secret>`.
///
/// It is not secret: the list of keys shows it, and the published examples decode as version 4 UUIDs.
/// The type takes whatever SendGrid names as an id, as the format is nowhere promised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
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
pub struct Marker(String);

const MARKER_OPEN: &str = " [gridkey:";

impl Marker {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that a key has at SendGrid until it is recorded.
    pub fn pending_name(&self, name: &str) -> String {
        format!("{name}{MARKER_OPEN}{self}]")
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
        for other in ["Mailer", "Mailer [gridkey:]", "[gridkey:x] Mailer", "Mailer [gridkey:x"] {
            assert_eq!(Marker::in_name(other), None, "{other}");
        }
    }
}
