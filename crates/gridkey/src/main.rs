//! Hands the arguments to the library and exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    gridkey::main()
}
