//! What happened in all schedules together: a harness in which nothing happens proves nothing.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Default)]
pub struct Tally {
    pub schedules: u64,
    counts: BTreeMap<String, u64>,
}

impl Tally {
    pub fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} schedules", self.schedules)?;
        self.counts.iter().try_for_each(|(what, count)| write!(f, ", {what}: {count}"))
    }
}
