//! Laws of the entries that are kept in a server: whatever is read there is an entry or refused; what was read is written
//! and read again as it is; nothing grows beyond what its head says, nor is it read under another name.
//!
//! The input is a line with the entry's name, a line with its flags and the length that its head claims, and the content
//! as it is stored. The whole of it is read as an entry, too.

use aws_lc_rs::digest::{Context, SHA256};
use pointsman::domain::secret::EncryptionKey;
use pointsman::store::valkey::codec::{HEAD, LabelHashes, SharedEntry, decode, encode, head};
use pointsman::store::valkey::sealing::Sealing;

use super::line;

const LARGEST: usize = 100_000;

pub fn hold(data: &[u8]) {
    let sealing = Sealing::new(&EncryptionKey::new(&[7; 32]).unwrap()).unwrap();
    let (name, rest) = line(data);
    let (settings, content) = line(rest);
    // As they come.
    for sealing in [None, Some(&sealing)] {
        assert!(decode(data, name, sealing, LARGEST).is_err());
    }
    // Put by somebody who knows how the checksum is made.
    let settings = String::from_utf8_lossy(settings);
    let mut numbers = settings
        .split_whitespace()
        .map_while(|word| word.parse().ok());
    let flags: u32 = numbers.next().unwrap_or_default();
    let length: u32 = numbers.next().unwrap_or_default();
    let mut bytes = vec![1, flags.to_le_bytes()[0]];
    bytes.extend_from_slice(&[b'a'; HEAD - 6]);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(content);
    let bytes = summed(bytes, name);
    assert!(decode(&bytes, name, Some(&sealing), LARGEST).is_err());
    if let Ok(entry) = decode(&bytes, name, None, LARGEST) {
        assert!(entry.content.len() <= LARGEST);
        assert_eq!(u32::try_from(entry.content.len()), Ok(length));
        assert_eq!(head(&bytes).unwrap().labels, entry.labels);
        comes_back(&entry, name, &sealing);
    }
    // Put by us.
    let entry = SharedEntry {
        labels: LabelHashes {
            target: [1; 8],
            scope: [2; 8],
            stored: u64::from(length),
        },
        content: content.to_vec(),
    };
    comes_back(&entry, name, &sealing);
}

fn comes_back(entry: &SharedEntry, name: &[u8], sealing: &Sealing) {
    let other = [name, b"x"].concat();
    for sealing in [None, Some(sealing)] {
        let bytes = encode(entry, name, sealing).unwrap();
        let largest = entry.content.len();
        assert_eq!(decode(&bytes, name, sealing, largest).as_ref(), Ok(entry));
        assert!(decode(&bytes, &other, sealing, largest).is_err());
        assert_eq!(head(&bytes).unwrap().labels, entry.labels);
    }
}

/// With the checksum that belongs to this name.
fn summed(mut bytes: Vec<u8>, name: &[u8]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in [name, &bytes] {
        context.update(&u64::try_from(part.len()).unwrap().to_be_bytes());
        context.update(part);
    }
    bytes.extend_from_slice(&context.finish().as_ref()[..8]);
    bytes
}
