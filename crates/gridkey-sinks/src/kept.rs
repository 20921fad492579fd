//! Logins that outlast one call: made once, and anew when the service no longer knows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gridkey_engine::ports::SinkError;
use tokio::sync::Mutex;

use crate::http::{Answer, Unanswered};

/// Logins, by what they are made from.
pub(crate) struct Kept<K, V>(Mutex<BTreeMap<K, Arc<V>>>);

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
        if let Some(found) = kept.get(key) {
            return Ok(Arc::clone(found));
        }
        let made = Arc::new(make.await?);
        kept.insert(key.clone(), Arc::clone(&made));
        Ok(made)
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
        if kept.get(key).is_some_and(|found| Arc::ptr_eq(found, refused)) {
            kept.remove(key);
        }
    }
}
