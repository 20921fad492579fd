//! What becomes of waits once the run is to stop.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// How long something is still waited for then: a delivery that is under way is the only way of its secret, and CI systems
/// kill what is still there after ten seconds.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// Says when the run is to stop; by default never. Clones share the last moment, so that it is one, however many wait.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    told: Option<watch::Receiver<bool>>,
    noticed: Arc<OnceLock<Instant>>,
}

impl Stop {
    pub fn new(told: watch::Receiver<bool>) -> Self {
        Self { told: Some(told), noticed: Arc::default() }
    }

    /// What is left of the last moment.
    fn left(&self) -> Duration {
        LAST_MOMENT.saturating_sub(self.noticed.get_or_init(Instant::now).elapsed())
    }

    /// Whether a wait for another process may go on.
    ///
    /// # Errors
    /// Where the last moment is over.
    pub fn may_wait(&self) -> io::Result<()> {
        let told = self.told.as_ref().is_some_and(|told| *told.borrow());
        if told && self.left().is_zero() {
            let message = "interrupted while another process edits files of its folder";
            return Err(io::Error::new(io::ErrorKind::Interrupted, message));
        }
        Ok(())
    }

    /// Comes back when the last moment is over.
    pub async fn last_moment_is_over(&self) {
        match &self.told {
            Some(told) if told.clone().wait_for(|told| *told).await.is_ok() => {
                tokio::time::sleep(self.left()).await;
            }
            // Nobody can say so any more.
            Some(_) | None => std::future::pending().await,
        }
    }
}
