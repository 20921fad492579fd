//! What goes wrong, and whether the request surely had no effect.

use std::fmt;

/// A request that did not do what was asked.
#[derive(Clone, Debug)]
pub struct Error {
    pub kind: Kind,
    /// SendGrid's words, or the transport's; a fragment without secrets.
    pub message: String,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 400: the request itself is refused.
    BadRequest,
    /// 401: the managing key is not valid.
    Unauthorized,
    /// 403: the managing key may not do that.
    Forbidden,
    /// 403 to a creation: the account is full.
    CapReached,
    /// 404 to a request about a key, or a 200 that says so.
    NotFound,
    /// 429, after waiting as long as it was worth.
    RateLimited,
    /// 451: the account lives in another region.
    DataResidency,
    /// 5xx. On a creation it can mean a scope that the managing key cannot grant.
    ServerError,
    /// An answer came that is not SendGrid's, or makes no sense.
    Unintelligible,
    /// No answer came: the connection failed or took too long.
    NoAnswer,
    /// The request never left this machine.
    NotSent,
}

impl Kind {
    /// Whether the request surely had no effect, now or later.
    pub fn is_definite(self) -> bool {
        match self {
            Self::BadRequest
            | Self::Unauthorized
            | Self::Forbidden
            | Self::CapReached
            | Self::NotFound
            | Self::RateLimited
            | Self::NotSent => true,
            Self::DataResidency | Self::ServerError | Self::Unintelligible | Self::NoAnswer => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Takes out of a text what looks like a key: SendGrid's words are quoted in errors.
pub(crate) fn redact(text: &str) -> String {
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("SG.") {
        clean.push_str(&rest[..at]);
        let tail = &rest[at + 3..];
        let end = tail.find(|c| !is_key(c)).unwrap_or(tail.len());
        clean.push_str("SG.…");
        rest = &tail[end..];
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn keys_are_taken_out_of_quoted_words() {
        assert_eq!(redact("bad key SG.abc.def-_1, sorry"), "bad key SG.…, sorry");
        assert_eq!(redact("SG.a SG.b"), "SG.… SG.…");
        assert_eq!(redact("nothing here"), "nothing here");
    }
}
