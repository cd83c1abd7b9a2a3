//! The name by which a server of the Redis protocol knows a script that it has run before.

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;

/// The SHA-1 of its text, in 40 hexadecimal digits, as `EVALSHA` takes it. It tells scripts apart, and protects nothing.
pub fn script_hash(text: &str) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    HEXLOWER.encode(hash.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_named_as_the_server_names_it() {
        // As `SCRIPT LOAD "return 1"` answers.
        let hash = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
        assert_eq!(script_hash("return 1"), hash);
    }
}
