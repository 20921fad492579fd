//! Versions of what is encrypted, where nothing counts them.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The SHA-256 of what everybody may see, in hexadecimal digits; never of a secret.
pub(crate) fn sha256(public: &[u8]) -> String {
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(public) {
        write!(digits, "{byte:02x}").expect("text takes every write");
    }
    digits
}
