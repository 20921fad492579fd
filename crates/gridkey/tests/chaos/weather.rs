//! What goes wrong at SendGrid, and on the way there.

use gridkey_emulator::{Fault, FaultRule, Operation};
use rand::RngExt;
use rand::rngs::StdRng;

/// Creations most of all: they cannot be repeated.
const OPERATIONS: [Operation; 10] = [
    Operation::Create,
    Operation::Create,
    Operation::Create,
    Operation::Delete,
    Operation::Delete,
    Operation::Rename,
    Operation::Update,
    Operation::List,
    Operation::Get,
    Operation::Scopes,
];

/// Longer than anything waits.
const NEVER: u64 = 120_000;

/// The faults of a round.
pub fn faults(random: &mut StdRng) -> Vec<FaultRule> {
    let count = [0, 0, 1, 1, 2, 3][random.random_range(0..6)];
    (0..count).map(|_| rule(random)).collect()
}

fn rule(random: &mut StdRng) -> FaultRule {
    let operation = OPERATIONS[random.random_range(0..OPERATIONS.len())];
    FaultRule {
        operation,
        after: random.random_range(0..6),
        count: Some(random.random_range(1..=3)),
        fault: fault(operation, random),
    }
}

fn fault(operation: Operation, random: &mut StdRng) -> Fault {
    let status = |status, done| Fault::Status { status, message: None, done };
    match random.random_range(0..8) {
        0 => status(429, false),
        1 => status([500, 502, 503][random.random_range(0..3)], false),
        2 => status([500, 502, 503][random.random_range(0..3)], true),
        3 => Fault::Drop { done: false },
        4 => Fault::Drop { done: true },
        5 if !is_read(operation) => Fault::Late { milliseconds: random.random_range(5..400) },
        6 => status([400, 401, 403][random.random_range(0..3)], false),
        _ => Fault::Delay { milliseconds: random.random_range(5..150) },
    }
}

fn is_read(operation: Operation) -> bool {
    matches!(operation, Operation::List | Operation::Get | Operation::Scopes)
}

/// An answer that does not come at all, though the request may have been done.
pub fn silence(random: &mut StdRng) -> FaultRule {
    let operation = OPERATIONS[random.random_range(0..OPERATIONS.len())];
    FaultRule {
        operation,
        after: random.random_range(0..3),
        count: None,
        fault: Fault::Delay { milliseconds: NEVER },
    }
}
