//! Time for the client, so that tests need not sleep.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;

/// Measures, tells and waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Since some fixed moment; never goes back.
    fn elapsed(&self) -> Duration;
    /// The wall clock, for answers without a `Date` header.
    fn now(&self) -> Timestamp;
    async fn sleep(&self, duration: Duration);
}

/// A service's clock, as its answers tell it: when, and at what time of the machine's monotonic clock.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Option<(Timestamp, Duration)>>);

impl Heard {
    /// Takes an answer's time; says whether it is the first. Time does not go back: answers have whole seconds, and some
    /// come from elsewhere.
    pub fn hear(&self, at: Timestamp, elapsed: Duration) -> bool {
        let known = self.now(elapsed);
        let later = known.map_or(at, |known| known.max(at));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((later, elapsed));
        known.is_none()
    }

    pub fn now(&self, elapsed: Duration) -> Option<Timestamp> {
        let (at, then) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        at.checked_add(elapsed.saturating_sub(then)).ok()
    }
}

/// The machine's own.
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
