//! The project's own chores: generate what is committed, check that it is fresh.

fn main() {}
