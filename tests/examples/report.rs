//! Prints the report of the sample plan, for the picture in the docs.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

fn main() {
    println!("{}", gridkey::view::html::html(&gridkey_tests::plans::sample()));
}
