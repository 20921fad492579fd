//! Chaos: real processes that are killed and told to stop anywhere, several at a time, over edits of the manifest at random, an
//! emulated SendGrid that fails, and files that they share. Whatever happened, two or three runs in peace have to put everything right.
//!
//! `GRIDKEY_CHAOS_SEED=n` runs one schedule again; `GRIDKEY_CHAOS_SCHEDULES=n` runs so many, from that seed on, however long it takes.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it ran"
)]

mod location;
mod orders;
#[path = "../support/process.rs"]
mod process;
mod project;
mod promises;
mod run;
mod schedule;
mod site;
mod tally;
mod watch;
mod weather;

use std::time::{Duration, Instant};

use tally::Tally;
use tokio::signal::unix::{SignalKind, signal};

/// How long schedules are begun where nobody says how many.
const LONG_ENOUGH: Duration = Duration::from_secs(25);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// An interrupt that is ignored here, as in what a shell runs in the background, would be ignored by every process from its
/// start on. One that is listened for is not handed down.
fn hand_down_no_ignored_interrupt() {
    let mut interrupts = signal(SignalKind::interrupt()).unwrap();
    tokio::spawn(async move {
        interrupts.recv().await;
        std::process::exit(130);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_off_is_put_right_in_peace() {
    hand_down_no_ignored_interrupt();
    let seed = number("GRIDKEY_CHAOS_SEED");
    let schedules = number("GRIDKEY_CHAOS_SCHEDULES").or(seed.map(|_| 1));
    let first = seed.unwrap_or_default();
    match schedules {
        Some(count) => println!("seeds {first} to {}", first + count - 1),
        None => println!("seeds from {first} on, for {LONG_ENOUGH:?}"),
    }
    let begun = Instant::now();
    let (mut tally, mut failures) = (Tally::default(), Vec::new());
    let goes_on = |done| schedules.map_or(done == 0 || begun.elapsed() < LONG_ENOUGH, |count| done < count);
    while goes_on(tally.schedules) {
        let seed = first + tally.schedules;
        if let Err(story) = schedule::play(seed, &mut tally).await {
            println!("{story}");
            failures.push(seed);
        }
    }
    println!("{tally}, in {:.1?}", begun.elapsed());
    assert!(failures.is_empty(), "schedules that break a promise, by their seeds: {failures:?}");
}
