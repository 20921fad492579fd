//! What becomes of waits once the run is to stop.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use gridkey_engine::Cancel;

/// How long something is still waited for then: a delivery that is under way is the only way of its secret, and CI systems
/// kill what is still there after ten seconds.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// Says when the run is to stop; by default never. Clones share the last moment, so that it is one, however many wait.
#[derive(Clone)]
pub(crate) struct Stop {
    told: Cancel,
    noticed: Arc<OnceLock<Instant>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new(Cancel::never())
    }
}

impl Stop {
    pub fn new(told: Cancel) -> Self {
        Self { told, noticed: Arc::default() }
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
        if self.told.is_set() && self.left().is_zero() {
            let message = "interrupted while another process edits files of its folder";
            return Err(io::Error::new(io::ErrorKind::Interrupted, message));
        }
        Ok(())
    }

    /// Comes back when the last moment is over.
    pub async fn last_moment_is_over(&self) {
        self.told.set().await;
        tokio::time::sleep(self.left()).await;
    }
}

#[cfg(test)]
impl Stop {
    /// Told, and with nothing left of the last moment.
    pub fn over() -> Self {
        let (switch, told) = Cancel::new();
        switch.send_replace(true);
        let noticed = Instant::now().checked_sub(LAST_MOMENT).expect("the machine runs for longer than that");
        Self { told, noticed: Arc::new(OnceLock::from(noticed)) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;

    /// Told or not, with all of the last moment or none of it.
    fn stop(told: bool, is_over: bool) -> (watch::Sender<bool>, Stop) {
        let (switch, cancel) = Cancel::new();
        switch.send_replace(told);
        let stop = Stop::new(cancel);
        let noticed = match is_over {
            true => Instant::now().checked_sub(LAST_MOMENT),
            // However slow the machine is.
            false => Instant::now().checked_add(Duration::from_secs(3600)),
        };
        stop.noticed.set(noticed.unwrap()).unwrap();
        (switch, stop)
    }

    /// Whether it comes back at once: timers fire in their order.
    async fn is_over_at_once(stop: &Stop) -> bool {
        tokio::select! {
            biased;
            () = stop.last_moment_is_over() => true,
            () = tokio::time::sleep(Duration::from_millis(5)) => false,
        }
    }

    #[tokio::test]
    async fn what_waits_goes_on_until_it_is_told_and_for_a_moment_more() {
        for (told, is_over, goes_on) in
            [(false, false, true), (false, true, true), (true, false, true), (true, true, false)]
        {
            let (_sender, stop) = stop(told, is_over);
            assert_eq!(stop.may_wait().is_ok(), goes_on, "told {told}, over {is_over}");
            assert_eq!(!is_over_at_once(&stop).await, goes_on, "told {told}, over {is_over}");
        }
        let error = stop(true, true).1.may_wait().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }

    #[tokio::test]
    async fn what_cannot_be_told_goes_on() {
        let (sender, stop) = stop(false, true);
        drop(sender);
        for stop in [stop, Stop::default()] {
            stop.may_wait().unwrap();
            assert!(!is_over_at_once(&stop).await);
        }
    }
}
