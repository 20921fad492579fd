//! The tests of what people see of a plan: its views, and the report in a browser.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod report;
mod views;
