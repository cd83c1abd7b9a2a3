//! The binary: parses its arguments and turns the result into an exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Allocation is a tenth of a small request's CPU time with the system's allocator, half of that with this. What it
/// keeps after a flood is returned by `runtime::memory`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    pointsman::main()
}
