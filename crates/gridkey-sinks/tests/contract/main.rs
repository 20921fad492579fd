//! One contract, held by every sink, against a real server of its kind or a double that the vendor's own client has judged.

mod claim;
mod service;

fn main() {}
