//! The one type that holds a key's secret, between SendGrid's answer and the sinks.

use std::fmt;

use gridkey_core::KeyId;
use secrecy::{ExposeSecret, SecretString};

/// A whole API key, `SG.<id>.<secret>`.
///
/// It has no `Display`, `Serialize` or `Clone`, its `Debug` shows nothing, and its memory is wiped when
/// it goes.
pub struct Secret(SecretString);

impl Secret {
    pub fn new(text: SecretString) -> Self {
        Self(text)
    }

    /// The text itself, for the sink that writes it and for the request that carries it; nowhere else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The id inside the key, which is public; `None` where the text is not a SendGrid key.
    pub fn key_id(&self) -> Option<KeyId> {
        KeyId::of_secret(self.expose())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
