//! The binary: parses its arguments and turns the result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    pointsman::cli::main()
}
