//! How much of a run is under way at once.

use std::num::NonZeroUsize;

/// How many things of each kind are worked on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// Keys of an account. Creations are asked for one after another all the same; this lets one key's
    /// delivery go on while the next is made.
    pub keys: NonZeroUsize,
    /// Accounts, and the locations that are looked at.
    pub accounts: NonZeroUsize,
    /// Reads of one account. Reads are limited per endpoint, and the client paces itself; this only bounds
    /// sockets.
    pub reads: NonZeroUsize,
    /// Sinks that are checked before the first key is made.
    pub checks: NonZeroUsize,
}

impl Default for Concurrency {
    fn default() -> Self {
        let four = NonZeroUsize::MIN.saturating_add(3);
        let eight = NonZeroUsize::MIN.saturating_add(7);
        Self { keys: four, accounts: eight, reads: eight, checks: eight }
    }
}

impl Concurrency {
    /// The same number of everything. With one, what happens has a single order: that of the plan.
    pub fn of_each(count: NonZeroUsize) -> Self {
        Self { keys: count, accounts: count, reads: count, checks: count }
    }
}
