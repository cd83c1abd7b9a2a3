//! A file with a key of AES-256: 32 bytes as they are, in hexadecimal digits or in base64.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use crate::domain::secret::EncryptionKey;

/// The content of a file is no such key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotAKey(&'static str);

/// The key that a file holds.
///
/// # Errors
/// The content is neither 32 bytes nor a text of 32 bytes.
pub fn read(content: &[u8]) -> Result<EncryptionKey, NotAKey> {
    let text = content.trim_ascii();
    let text = text.strip_suffix(b"==").unwrap_or(text);
    let text = text.strip_suffix(b"=").unwrap_or(text);
    if text.is_empty() {
        return Err(NotAKey("is empty"));
    }
    let mut is_text = false;
    for encoding in [&HEXLOWER_PERMISSIVE, &BASE64_NOPAD, &BASE64URL_NOPAD] {
        let Ok(bytes) = encoding.decode(text).map(Zeroizing::new) else {
            continue;
        };
        is_text = true;
        if let Some(key) = EncryptionKey::new(&bytes) {
            return Ok(key);
        }
    }
    // Random bytes are no text but once in many millions of millions; a text of 32 characters has far less randomness.
    match EncryptionKey::new(content) {
        Some(key) if !is_text => Ok(key),
        _ if is_text => Err(NotAKey("is a text of another length than that of 32 bytes")),
        _ => Err(NotAKey("does not hold 32 bytes")),
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_key_is_read_in_every_form(bytes: [u8; 32]) {
            let key = EncryptionKey::new(&bytes).unwrap();
            let forms = [
                HEXLOWER.encode(&bytes),
                HEXUPPER.encode(&bytes),
                BASE64.encode(&bytes),
                BASE64URL.encode(&bytes),
                BASE64_NOPAD.encode(&bytes),
            ];
            for form in forms {
                prop_assert!(read(form.as_bytes()) == Ok(key.clone()));
                let line = format!("  {form}\r\n");
                prop_assert!(read(line.as_bytes()) == Ok(key.clone()));
            }
            // A text by accident is left out, as it is nearly always: this is about bytes.
            prop_assume!(!bytes.is_ascii());
            prop_assert!(read(&bytes) == Ok(key));
        }
    }

    #[test]
    fn what_is_shorter_than_it_looks_is_refused() {
        for content in [
            &b""[..],
            b"\n",
            b"0123456789abcdef0123456789abcdef",
            b"correct horse battery staple",
            &[0xff; 31],
            &[0xff; 33],
        ] {
            assert!(read(content).is_err(), "{content:?}");
        }
    }
}
