//! Rate limits: fixed windows, told in `X-RateLimit-*` headers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// So many requests in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub requests: u32,
    pub seconds: u32,
}

/// What the headers say of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub allowed: bool,
    pub limit: u32,
    pub remaining: u32,
    /// Epoch seconds.
    pub reset: i64,
}

/// The windows that are open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows(BTreeMap<String, (i64, u32)>);

impl Windows {
    /// Counts a request against the window of `bucket`.
    pub fn take(&mut self, bucket: &str, limit: RateLimit, now: Timestamp) -> Allowance {
        let seconds = i64::from(limit.seconds.max(1));
        let (reset, used) = self.0.entry(bucket.to_string()).or_insert((0, 0));
        if now.as_second() >= *reset {
            *reset = now.as_second() + seconds;
            *used = 0;
        }
        let allowed = *used < limit.requests;
        if allowed {
            *used += 1;
        }
        Allowance { allowed, limit: limit.requests, remaining: limit.requests - *used, reset: *reset }
    }
}
