//! Requests and answers, as far as the model looks at them.

use std::time::Duration;

use serde_json::{Value, json};

/// A request.
#[derive(Clone, Default)]
pub struct Request {
    pub method: String,
    /// With the query, as in `/v3/api_keys?limit=5`.
    pub target: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The `On-Behalf-Of` header, and whether it was spelled so.
    pub on_behalf_of: Option<(String, bool)>,
    pub body: Vec<u8>,
}

/// What comes back, and after how long.
#[derive(Clone, Debug)]
pub struct Reply {
    pub delay: Duration,
    /// `None` closes the connection without an answer.
    pub answer: Option<Answer>,
}

/// An answer.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// JSON, or nothing.
    pub body: Option<Value>,
}

impl std::fmt::Debug for Answer {
    /// Without the body, which can hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body) }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// The shape of SendGrid's errors: `{"errors": [{"field": …, "message": …}]}`.
    pub(crate) fn error(status: u16, field: Option<&str>, message: &str) -> Self {
        Self::json(status, json!({ "errors": [{ "field": field, "message": message }] }))
    }
}
