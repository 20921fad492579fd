//! Faults, as data: which request, and what becomes of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Create,
    List,
    Get,
    Rename,
    Update,
    Delete,
    Scopes,
    Subusers,
    MailSend,
    Other,
}

/// Which requests fail, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    pub operation: Operation,
    /// How many matching requests go well first.
    #[serde(default)]
    pub after: u32,
    /// How many fail; `None` is all that follow.
    #[serde(default)]
    pub count: Option<u32>,
    pub fault: Fault,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An answer with this status; `done` says whether the effect happens all the same.
    Status {
        status: u16,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        done: bool,
    },
    /// The connection is closed without an answer.
    Drop {
        #[serde(default)]
        done: bool,
    },
    /// The connection is closed, and the effect happens later.
    Late { milliseconds: u64 },
    /// The answer comes later.
    Delay { milliseconds: u64 },
}

/// Counts requests against the rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<(FaultRule, u32)>,
}

impl Faults {
    pub fn new(rules: &[FaultRule]) -> Self {
        Self { rules: rules.iter().map(|rule| (rule.clone(), 0)).collect() }
    }

    /// The first fault that is due for a request; every matching rule counts it.
    pub fn due(&mut self, operation: Operation) -> Option<Fault> {
        let mut due = None;
        for (rule, seen) in self.rules.iter_mut().filter(|(rule, _)| rule.operation == operation) {
            let number = *seen;
            *seen += 1;
            let over = rule.count.is_some_and(|count| number >= rule.after.saturating_add(count));
            if due.is_none() && number >= rule.after && !over {
                due = Some(rule.fault.clone());
            }
        }
        due
    }
}

pub(crate) fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}
