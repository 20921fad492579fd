//! Tests of the core through its public interface: one binary, as linking is what takes the time.

mod corpus;
mod manifest;
mod schema;
