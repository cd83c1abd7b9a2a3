//! Bodies as content codings make them.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// `text` in the coding of this name (`content-encoding`). `raw deflate` is deflate without zlib's head.
pub fn encoded(coding: &str, text: &[u8]) -> Vec<u8> {
    streamed(coding, &[text.to_vec()]).concat()
}

/// The same for a body in parts, each of which can be read as soon as it is there. The last piece ends the body.
pub fn streamed(coding: &str, parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let level = Compression::best();
    let mut all = Vec::new();
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            for part in parts {
                encoder.write_all(part).unwrap();
                encoder.flush().unwrap();
                all.push(std::mem::take(encoder.get_mut()));
            }
            all.push(encoder.finish().unwrap());
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            for part in parts {
                encoder.write_all(part).unwrap();
                encoder.flush().unwrap();
                all.push(std::mem::take(encoder.get_mut()));
            }
            all.push(encoder.finish().unwrap());
        }
        "raw deflate" => {
            // RFC 1950: two bytes in front of RFC 1951, four behind it.
            let whole = encoded("deflate", &parts.concat());
            all.push(whole[2..whole.len() - 4].to_vec());
        }
        "zstd" => {
            // A frame each; RFC 8878, 3 lets them follow each other.
            all.extend(
                parts
                    .iter()
                    .map(|part| zstd::encode_all(&part[..], 3).unwrap()),
            );
        }
        "br" => all = brotli(parts),
        other => panic!("{other} is no coding"),
    }
    all
}

/// Brotli's uncompressed blocks (RFC 7932, 9.2): its compressor is no dependency.
fn brotli(parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    // In front of the first block one zero bit says that the window has 16 bits.
    let mut shift = 4;
    let mut block = |text: &[u8]| {
        // Not the last block, a length of 16 bits, not compressed; then the bytes, aligned.
        let head = u32::try_from(text.len() - 1).unwrap() << shift | 1 << (shift + 16);
        shift = 3;
        [&head.to_le_bytes()[..3], text].concat()
    };
    let mut all: Vec<Vec<u8>> = parts
        .iter()
        .map(|part| part.chunks(1 << 16).flat_map(&mut block).collect())
        .collect();
    // The last block, and empty.
    all.push(vec![3]);
    all
}
