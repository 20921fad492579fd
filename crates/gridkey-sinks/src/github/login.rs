//! Logging in to GitHub: a token that is found, or one that a GitHub App is given for an hour.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use gridkey_core::sink::{GithubAppSettings, GithubAuthSettings};
use gridkey_engine::ports::{SinkError, SinkFault};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use zeroize::Zeroizing;

use crate::machine::Machine;

/// Variables that hold a token where the settings name none.
const VARIABLES: [&str; 2] = ["GH_TOKEN", "GITHUB_TOKEN"];

/// An app's proof of who it is may be valid for ten minutes at most. It begins a minute ago, as clocks differ.
const BEFORE: u64 = 60;
const AFTER: u64 = 8 * 60;

/// What requests are sent with.
#[derive(PartialEq)]
pub(super) struct Login {
    pub token: Zeroizing<String>,
    /// What an app was allowed to do; other tokens do not tell.
    pub permissions: Option<BTreeMap<String, String>>,
}

/// What an app is given for its proof.
#[derive(Deserialize)]
pub(super) struct InstallationToken {
    #[serde(deserialize_with = "wiped")]
    token: Zeroizing<String>,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
}

fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

impl From<InstallationToken> for Login {
    fn from(InstallationToken { token, permissions }: InstallationToken) -> Self {
        Self { token, permissions: Some(permissions) }
    }
}

/// The token of the settings, or that of the environment.
pub(super) async fn token(machine: &Machine, auth: Option<&GithubAuthSettings>) -> Result<Login, SinkError> {
    let token = match auth {
        Some(GithubAuthSettings::Token(credential)) => machine.credential(credential).await?,
        Some(GithubAuthSettings::App(_)) | None => machine.first_variable(&VARIABLES).ok_or_else(|| {
            let message = "no token for GitHub: neither `GH_TOKEN` nor `GITHUB_TOKEN` is set";
            SinkError::new(SinkFault::Unauthenticated, message)
                .help("set one of them, or say where a token or the key of an app is found under `auth`")
        })?,
    };
    Ok(Login { token, permissions: None })
}

/// What an app proves itself with: a JSON Web Token that its private key signed.
pub(super) async fn proof(
    machine: &Machine,
    app: &GithubAppSettings,
) -> Result<Zeroizing<String>, SinkError> {
    let pem = machine.credential(&app.private_key).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    signed(&pem, &app.client_id, now)
}

fn signed(pem: &str, client_id: &str, now: u64) -> Result<Zeroizing<String>, SinkError> {
    let key = key_pair(pem)?;
    let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "alg": "RS256", "typ": "JWT" }));
    let claims = part(json!({ "iat": now.saturating_sub(BEFORE), "exp": now + AFTER, "iss": client_id }));
    let text = format!("{header}.{claims}");
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| SinkError::failed("the app's private key does not sign"))?;
    Ok(Zeroizing::new(format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
}

fn key_pair(pem: &str) -> Result<RsaKeyPair, SinkError> {
    let bad = |why: &str| {
        let message = format!("the app's private key cannot be used: {why}");
        SinkError::new(SinkFault::Unauthenticated, message).help(
            "it is the `.pem` file that GitHub gave, from `-----BEGIN RSA PRIVATE KEY-----` on, with its line ends",
        )
    };
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map(Zeroizing::new);
    match der.as_deref() {
        Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        Ok(_) => return Err(bad("it is not an RSA key")),
        Err(_) => return Err(bad("it holds no private key in PEM")),
    }
    .map_err(|_| bad("it is not an RSA key of 2048 bits or more"))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn pem(key: &RsaKeyPair) -> String {
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().expect("its bytes");
        let text = BASE64_STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
    }

    #[test]
    fn a_proof_says_who_and_for_how_long_and_is_signed() {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let proof = signed(&pem(&key), "Iv23abc", 1_800_000_000).expect("a proof");
        let (text, signature) = proof.rsplit_once('.').expect("three parts");
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64");
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref())
            .verify(text.as_bytes(), &signature)
            .expect("its own signature");
        let (header, claims) = text.split_once('.').expect("two parts");
        let part = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
        };
        assert_eq!(part(header), json!({"alg": "RS256", "typ": "JWT"}));
        let expected = json!({"iat": 1_799_999_940, "exp": 1_800_000_480, "iss": "Iv23abc"});
        assert_eq!(part(claims), expected);
    }

    #[test]
    fn what_is_no_key_is_not_shown() {
        for pem in ["c2VjcmV0", "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----"] {
            let error = signed(pem, "Iv23abc", 0).expect_err("no key");
            assert_eq!(error.fault, SinkFault::Unauthenticated);
            assert!(!format!("{error:?}").contains("c2VjcmV0"), "{error:?}");
        }
    }
}
