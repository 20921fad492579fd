//! How a secret is spelt in a file: as it is, or in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridkey_core::sink::Encoding;
use zeroize::{Zeroize, Zeroizing};

use super::Held;

/// A value as it is written.
pub(crate) fn encoded(encoding: Encoding, value: &str) -> Zeroizing<String> {
    Zeroizing::new(match encoding {
        Encoding::Plain => value.to_string(),
        Encoding::Base64 => STANDARD.encode(value),
    })
}

/// What is held, as it was before it was written. What is not spelt so is nothing that gridkey wrote.
pub(crate) fn decoded(encoding: Encoding, held: Held) -> Held {
    match (encoding, held) {
        (Encoding::Base64, Held::Text(text)) => match STANDARD.decode(text.trim()).map(String::from_utf8) {
            Ok(Ok(text)) => Held::Text(Zeroizing::new(text)),
            Ok(Err(other)) => {
                other.into_bytes().zeroize();
                Held::Other
            }
            Err(_) => Held::Other,
        },
        (Encoding::Plain | Encoding::Base64, held) => held,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(held: &Held) -> Option<&str> {
        match held {
            Held::Text(text) => Some(text),
            Held::Nothing | Held::Other => None,
        }
    }

    #[test]
    fn what_is_encoded_is_read_as_it_was() {
        for (encoding, written) in [(Encoding::Plain, "SG.a_b-c"), (Encoding::Base64, "U0cuYV9iLWM=")] {
            let encoded = encoded(encoding, "SG.a_b-c");
            assert_eq!(encoded.as_str(), written);
            assert_eq!(text(&decoded(encoding, Held::Text(encoded))), Some("SG.a_b-c"));
        }
        let read = |text: &str| decoded(Encoding::Base64, Held::Text(Zeroizing::new(text.to_string())));
        for other in ["SG.a_b-c", "U0cu_", "/w=="] {
            assert!(matches!(read(other), Held::Other), "{other}");
        }
        assert_eq!(text(&read("U0cuYV9iLWM=\n")), Some("SG.a_b-c"), "as a block of text ends");
        assert_eq!(text(&read("")), Some(""));
        assert!(matches!(decoded(Encoding::Base64, Held::Nothing), Held::Nothing));
    }
}
