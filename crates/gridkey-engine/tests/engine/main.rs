//! The engine over a modelled SendGrid, sinks and stores: crashes, leases, order, and what random runs hold to.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it ran"
)]

mod crash;
mod handover;
mod last_looks;
mod lease;
mod leaving;
mod names;
mod observe;
mod order;
mod properties;
mod protocol;
mod random_lifecycles;
mod recovery;
mod room;
mod stage;
mod unclear;
mod write_only;
mod year;
