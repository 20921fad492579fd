//! Logins that outlast one call: made once, and anew when the service no longer knows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gridkey_engine::ports::{SinkError, SinkFault};
use tokio::sync::Mutex;

use crate::http::{Answer, Unanswered};

/// Logins, by what they are made from.
///
/// One that was refused is not tried again in the same run: it would be refused again, and services lock out who tries too
/// often.
pub(crate) struct Kept<K, V>(Mutex<BTreeMap<K, Result<Arc<V>, SinkError>>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone, V> Kept<K, V> {
    /// The one that is kept, or the one that `make` makes. Calls at the same time make one.
    ///
    /// # Errors
    /// Those of `make`.
    pub async fn get(
        &self,
        key: &K,
        make: impl Future<Output = Result<V, SinkError>> + Send,
    ) -> Result<Arc<V>, SinkError> {
        let mut kept = self.0.lock().await;
        if let Some(known) = kept.get(key) {
            return known.clone();
        }
        let made = make.await.map(Arc::new);
        if made.as_ref().err().is_none_or(|error| error.fault == SinkFault::Unauthenticated) {
            kept.insert(key.clone(), made.clone());
        }
        made
    }

    /// Asks with the login that `log_in` gets from here, and once more with another where the service does not know it any
    /// longer: it did nothing then. One that comes out the same would be refused again.
    pub async fn ask<L, S>(
        &self,
        key: &K,
        log_in: impl Fn() -> L,
        send: impl Fn(Arc<V>) -> S,
    ) -> Result<Answer, Unanswered>
    where
        V: PartialEq,
        L: Future<Output = Result<Arc<V>, SinkError>>,
        S: Future<Output = Result<Answer, Unanswered>>,
    {
        let ended = log_in().await.map_err(Unanswered::NotSent)?;
        let answer = send(Arc::clone(&ended)).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        self.forget(key, &ended).await;
        let other = log_in().await.map_err(Unanswered::NotSent)?;
        if other == ended { Ok(answer) } else { send(other).await }
    }

    /// Forgets one that the service refused, unless another call has replaced it already.
    pub async fn forget(&self, key: &K, refused: &Arc<V>) {
        let mut kept = self.0.lock().await;
        if matches!(kept.get(key), Some(Ok(found)) if Arc::ptr_eq(found, refused)) {
            kept.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// How often a login is made, where each one ends like this.
    async fn made(fault: Option<SinkFault>) -> u32 {
        let kept: Kept<&str, ()> = Kept::default();
        let count = AtomicU32::new(0);
        for _ in 0..3 {
            let make = async {
                count.fetch_add(1, Ordering::Relaxed);
                fault.map_or(Ok(()), |fault| Err(SinkError::new(fault, "why")))
            };
            assert_eq!(kept.get(&"role", make).await.err().map(|error| error.fault), fault);
        }
        count.into_inner()
    }

    #[tokio::test]
    async fn a_login_is_made_once_and_one_that_was_refused_is_not_tried_again() {
        assert_eq!(made(None).await, 1);
        assert_eq!(made(Some(SinkFault::Unauthenticated)).await, 1);
        assert_eq!(made(Some(SinkFault::Unreachable)).await, 3);
    }
}
