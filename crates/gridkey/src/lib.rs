//! The command line: arguments to engine to view. The only crate that prints, exits or reads the environment.

pub mod view;
