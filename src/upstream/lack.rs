//! What this machine may lack for a connection, by what the operating system says. None of it says anything about the
//! upstream that was to be called.

use std::io;

/// ENFILE, EMFILE: no file descriptor is left, on the machine or in the process. The same on Linux, the BSDs and macOS.
const NO_DESCRIPTOR: [i32; 2] = [23, 24];
/// ENOBUFS on Linux, and on the BSDs and macOS.
const NO_BUFFERS: i32 = if cfg!(target_os = "linux") { 105 } else { 55 };

/// Whether an error says that this machine lacks something: descriptors, buffers, memory, or a local address with a port
/// that is free (EADDRNOTAVAIL, EADDRINUSE when connecting).
pub(super) fn is_local(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, OutOfMemory};
    let code = error.raw_os_error();
    code.is_some_and(|code| NO_DESCRIPTOR.contains(&code) || code == NO_BUFFERS)
        || matches!(error.kind(), AddrInUse | AddrNotAvailable | OutOfMemory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_lacks_is_told_from_what_an_upstream_does() {
        // As Linux numbers them: ENFILE, EMFILE, ENOMEM, EADDRINUSE, EADDRNOTAVAIL, ENOBUFS.
        for code in [23, 24, 12, 98, 99, 105] {
            let error = io::Error::from_raw_os_error(code);
            assert!(!cfg!(target_os = "linux") || is_local(&error), "{error}");
        }
        // EPIPE, ENETUNREACH, ECONNRESET, ETIMEDOUT, ECONNREFUSED, EHOSTUNREACH.
        for code in [32, 101, 104, 110, 111, 113] {
            let error = io::Error::from_raw_os_error(code);
            assert!(!cfg!(target_os = "linux") || !is_local(&error), "{error}");
        }
    }
}
