//! Sealed boxes: what GitHub takes secrets in, so that nothing between here and its vault can read them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crypto_box::PublicKey;
use crypto_box::aead::OsRng;
use gridkey_engine::ports::SinkError;
use gridkey_engine::secret::Secret;
use serde::Deserialize;

/// A store's public key, as GitHub gives it.
#[derive(Deserialize)]
pub(super) struct StoreKey {
    pub key_id: String,
    key: String,
}

impl StoreKey {
    /// The secret in a box that only the store can open, in base64.
    ///
    /// # Errors
    /// Where the key is none.
    pub fn seal(&self, secret: &Secret) -> Result<String, SinkError> {
        let bad = || SinkError::failed("GitHub's public key is not one of 32 bytes in base64");
        let bytes = BASE64_STANDARD.decode(&self.key).map_err(|_| bad())?;
        let key: [u8; crypto_box::KEY_SIZE] = bytes.try_into().map_err(|_| bad())?;
        // Anyone could open a box that was made with an empty key.
        if key.iter().all(|byte| *byte == 0) {
            return Err(bad());
        }
        let sealed = PublicKey::from(key)
            .seal(&mut OsRng, secret.expose().as_bytes())
            .map_err(|_| SinkError::failed("the secret could not be sealed"))?;
        Ok(BASE64_STANDARD.encode(sealed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_of_the_key_can_open_the_box() {
        let owner = crypto_box::SecretKey::generate(&mut OsRng);
        let other = crypto_box::SecretKey::generate(&mut OsRng);
        let key =
            StoreKey { key_id: "1".to_string(), key: BASE64_STANDARD.encode(owner.public_key().as_bytes()) };
        let secret = Secret::from("SG.a.b".to_string());
        let sealed = key.seal(&secret).expect("a box");
        let sealed = BASE64_STANDARD.decode(sealed).expect("base64");
        assert_eq!(owner.unseal(&sealed).expect("its own box"), b"SG.a.b");
        assert!(other.unseal(&sealed).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for key in ["", "AAAA", "no base64", &BASE64_STANDARD.encode([0; 32])] {
            let key = StoreKey { key_id: "1".to_string(), key: key.to_string() };
            assert!(key.seal(&Secret::from("SG.a.b".to_string())).is_err());
        }
    }
}
