//! One plan of a size and shape: how long it took, on the clock and on the processor, and how much memory the
//! process had at most.
//!
//! `cargo run --release -p gridkey-core --example once -- 1000 100 "no change"`

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is not part of the core, and run to be read"
)]

#[path = "project.rs"]
mod project;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use project::{Project, Shape};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = match arguments.as_slice() {
        [accounts, keys, shape] => {
            let shape = Shape::ALL.into_iter().find(|known| known.as_str() == shape);
            accounts.parse().ok().zip(keys.parse().ok()).zip(shape)
        }
        _ => None,
    };
    let Some(((accounts, keys), shape)) = asked else {
        let shapes = Shape::ALL.map(|shape| format!("\"{}\"", shape.as_str())).join(" | ");
        eprintln!("usage: once ACCOUNTS KEYS {shapes}");
        return ExitCode::from(64);
    };
    let project = Project::new(accounts, keys, shape);
    let before = peak();
    let (started, worked) = (Instant::now(), on_processor());
    let plan = project.plan();
    let (took, worked) = (started.elapsed(), on_processor().saturating_sub(worked));
    let after = peak();
    project.check(&plan);
    println!(
        "{accounts} × {keys}, {}: {:.3} s, {:.3} s of them on the processor, {after} MB at most, of which {before} MB before the plan",
        shape.as_str(),
        took.as_secs_f64(),
        worked.as_secs_f64(),
    );
    ExitCode::SUCCESS
}

/// How long this thread was on a processor so far, which other work on the machine changes less than the clock;
/// zero where the system does not tell.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

/// The most memory that the process had so far, in megabytes; 0 where the system does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    kilobytes.unwrap_or(0_u64) * 1024 / 1_000_000
}
