//! Pacing: SendGrid tells in headers how many requests an endpoint still takes, and when the count starts anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::request::{Behalf, Operation};

/// Why a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The endpoint takes no more requests for a while.
    RateLimit,
    /// A request failed and is tried again.
    Retry,
}

/// Hears of waits, so that people can be told what is being waited for.
pub trait WaitObserver: Send + Sync {
    fn waiting(&self, reason: WaitReason, operation: Operation, behalf: &Behalf, duration: Duration);
}

/// How long to wait where a 429 does not say. Users saw creations pass every one to three seconds.
const UNKNOWN_RESET: Duration = Duration::from_millis(1_100);

/// The longest wait. Windows seen by users are seconds long, a minute at most; a reset further ahead is a
/// mistake, and waiting for it would look like a hang.
const LONGEST: Duration = Duration::from_secs(60);

/// The shortest wait after a 429, as resets are whole seconds and may seem to have passed already.
const SHORTEST: Duration = Duration::from_millis(250);

/// What the headers of one answer say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RateHeaders {
    pub remaining: Option<u64>,
    /// Epoch seconds, by SendGrid's clock.
    pub reset: Option<i64>,
}

impl RateHeaders {
    pub fn read(header: impl Fn(&str) -> Option<String>) -> Self {
        let number =
            |name| header(name).and_then(|text| text.trim().parse::<f64>().ok()).filter(|n| n.is_finite());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturating is what is wanted"
        )]
        let this = Self {
            remaining: number("X-RateLimit-Remaining").map(|n| n.max(0.0) as u64),
            reset: number("X-RateLimit-Reset").map(|n| n as i64),
        };
        this
    }

    /// How long until the count starts anew, by the clock of the service that says so.
    pub fn until_reset(self, now: i64) -> Option<Duration> {
        let left = self.reset?.saturating_sub(now);
        Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)).min(LONGEST))
    }

    /// How long to wait after a 429.
    pub fn after_429(self, now: i64) -> Duration {
        self.until_reset(now).unwrap_or(UNKNOWN_RESET).clamp(SHORTEST, LONGEST)
    }
}

/// Until when each endpoint of each account takes no more requests, on the caller's monotonic clock.
#[derive(Default)]
pub(crate) struct Pacer(Mutex<BTreeMap<(Operation, Behalf), Duration>>);

impl Pacer {
    /// How long a request has to wait.
    pub fn wait(&self, operation: Operation, behalf: &Behalf, elapsed: Duration) -> Duration {
        let closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closed.get(&(operation, behalf.clone())).map_or(Duration::ZERO, |until| until.saturating_sub(elapsed))
    }

    /// Takes note of what an answer's headers say.
    pub fn heard(
        &self,
        operation: Operation,
        behalf: &Behalf,
        headers: RateHeaders,
        now: i64,
        elapsed: Duration,
    ) {
        if headers.remaining != Some(0) {
            return;
        }
        if let Some(wait) = headers.until_reset(now) {
            let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            closed.insert((operation, behalf.clone()), elapsed + wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(remaining: Option<&'static str>, reset: Option<&'static str>) -> RateHeaders {
        RateHeaders::read(|name| match name {
            "X-RateLimit-Remaining" => remaining.map(str::to_string),
            _ => reset.map(str::to_string),
        })
    }

    #[test]
    fn a_missing_past_or_far_off_reset_is_clamped() {
        assert_eq!(headers(None, None).after_429(1_000), UNKNOWN_RESET);
        assert_eq!(headers(None, Some("soon")).after_429(1_000), UNKNOWN_RESET);
        assert_eq!(headers(None, Some("NaN")).after_429(1_000), UNKNOWN_RESET);
        assert_eq!(headers(None, Some("900")).after_429(1_000), SHORTEST);
        assert_eq!(headers(None, Some("1003")).after_429(1_000), Duration::from_secs(3));
        assert_eq!(headers(None, Some("99999999999")).after_429(1_000), LONGEST);
    }

    #[test]
    fn an_endpoint_that_takes_no_more_is_waited_for() {
        let pacer = Pacer::default();
        let elapsed = Duration::from_secs(50);
        pacer.heard(Operation::Create, &Behalf::Own, headers(Some("0"), Some("1003")), 1_000, elapsed);
        assert_eq!(pacer.wait(Operation::Create, &Behalf::Own, elapsed), Duration::from_secs(3));
        assert_eq!(pacer.wait(Operation::List, &Behalf::Own, elapsed), Duration::ZERO);
        assert_eq!(pacer.wait(Operation::Create, &Behalf::Subuser("a".into()), elapsed), Duration::ZERO);
        pacer.heard(Operation::List, &Behalf::Own, headers(Some("1"), Some("1003")), 1_000, elapsed);
        assert_eq!(pacer.wait(Operation::List, &Behalf::Own, elapsed), Duration::ZERO);
    }

    #[test]
    fn a_window_that_seems_to_end_far_ahead_is_waited_for_a_minute_at_most() {
        let pacer = Pacer::default();
        let elapsed = Duration::from_secs(50);
        for (reset, wait) in [("1060", 60), ("1061", 60), ("99999999999", 60), ("1e30", 60), ("900", 0)] {
            let headers = headers(Some("0"), Some(reset));
            pacer.heard(Operation::List, &Behalf::Own, headers, 1_000, elapsed);
            let waits = pacer.wait(Operation::List, &Behalf::Own, elapsed);
            assert_eq!(waits, Duration::from_secs(wait), "{reset}");
        }
    }
}
