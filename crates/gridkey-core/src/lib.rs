//! The part of gridkey that decides: it touches nothing, so that every decision can be tested as a function.
