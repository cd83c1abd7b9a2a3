//! What was compressed comes back, whatever the pieces; what was not is an error; nothing grows beyond its limit.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

/// How a text can be compressed.
type Compress = fn(&[u8]) -> Vec<u8>;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn wrapped(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bare(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn frames(text: &[u8]) -> Vec<u8> {
    let (first, second) = text.split_at(text.len() / 2);
    let frame = |text| ::zstd::encode_all(text, 1).unwrap();
    [frame(first), frame(second)].concat()
}

/// Brotli's uncompressed blocks (RFC 7932, 9.2): there is no encoder here.
fn brotli(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // In front of the first block one zero bit says that the window has 16 bits.
    let mut shift = 4;
    for block in text.chunks(1 << 16) {
        // Not the last block, a length of 16 bits, not compressed.
        let head = u32::try_from(block.len() - 1).unwrap() << shift | 1 << (shift + 16);
        out.extend_from_slice(&head.to_le_bytes()[..3]);
        out.extend_from_slice(block);
        shift = 3;
    }
    // The last block, and empty; behind the window if there was no other.
    out.push(if text.is_empty() { 6 } else { 3 });
    out
}

const WAYS: [(Coding, Compress); 5] = [
    (Coding::Gzip, gzip),
    (Coding::Deflate, wrapped),
    (Coding::Deflate, bare),
    (Coding::Brotli, brotli),
    (Coding::Zstd, frames),
];

#[test]
fn gzip_is_taken_by_name_or_by_the_star_and_with_a_weight_above_zero() {
    let takes = |values: &[&'static str]| {
        let values = values.iter().copied().map(HeaderValue::from_static);
        takes_gzip(
            &values
                .map(|value| (header::ACCEPT_ENCODING, value))
                .collect(),
        )
    };
    for taken in [
        &["gzip"][..],
        &["br, GZIP"],
        &["deflate", "x-gzip"],
        &["br;q=1.0, gzip ; q=0.5, *;q=0"],
        &["*"],
        &["gzip;q=high"],
    ] {
        assert!(takes(taken), "{taken:?}");
    }
    for refused in [
        &[][..],
        &[""],
        &["identity"],
        &["gzip;q=0"],
        &["*, gzip;q=0.000"],
        &["*;Q=0"],
        &["notgzip"],
    ] {
        assert!(!takes(refused), "{refused:?}");
    }
}

/// All that comes out of a text in pieces of that size.
fn decode(
    codings: &[Coding],
    text: &[u8],
    piece: usize,
    limit: usize,
) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(codings, limit);
    let mut all = Vec::new();
    for piece in text.chunks(piece) {
        all.extend_from_slice(&decoder.push(piece)?);
        assert!(all.len() <= limit);
    }
    all.extend_from_slice(&decoder.finish()?);
    assert!(all.len() <= limit);
    Ok(all)
}

#[test]
fn names_are_read_in_any_case_and_as_lists() {
    let read = |values: &[&str]| {
        let values = values.iter().map(|value| {
            let value = HeaderValue::from_str(value).unwrap();
            (header::CONTENT_ENCODING, value)
        });
        codings(&values.collect())
    };
    assert_eq!(read(&[]), Ok(vec![]));
    assert_eq!(read(&["", " identity , Identity"]), Ok(vec![]));
    assert_eq!(read(&["X-GZIP"]), Ok(vec![Coding::Gzip]));
    assert_eq!(
        read(&["br,zstd", "deflate"]),
        Ok(vec![Coding::Brotli, Coding::Zstd, Coding::Deflate])
    );
    assert_eq!(
        read(&["gzip, snappy"]),
        Err(CodingError::Unknown("snappy".to_owned()))
    );
    assert_eq!(
        read(&["gzip, gzip", "gzip, gzip"]),
        Err(CodingError::TooMany)
    );
}

#[test]
fn a_stream_comes_out_as_far_as_it_went_in() {
    let events = [&b"data: one\n\n"[..], b"data: two\n\n"];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let mut decoder = Decoder::new(&[Coding::Gzip], 1000);
    let mut zstd = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let mut second = Decoder::new(&[Coding::Zstd], 1000);
    for event in events {
        gzip.write_all(event).unwrap();
        gzip.flush().unwrap();
        assert_eq!(
            decoder.push(&std::mem::take(gzip.get_mut())).unwrap(),
            event
        );
        zstd.write_all(event).unwrap();
        zstd.flush().unwrap();
        assert_eq!(second.push(&std::mem::take(zstd.get_mut())).unwrap(), event);
    }
}

#[test]
fn the_window_of_an_extension_of_brotli_is_refused() {
    let mut decoder = Decoder::new(&[Coding::Brotli], 1000);
    let broken = Err(DecodeError::Broken(Coding::Brotli));
    assert_eq!(decoder.push(&[0x11, 30, 0, 0]), broken);
    assert_eq!(decoder.push(b"more"), broken);
    assert_eq!(decoder.finish(), broken);
}

#[test]
fn a_large_window_of_zstd_is_refused() {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&[7; 100_000]).unwrap();
    let frame = encoder.finish().unwrap();
    let decoded = decode(&[Coding::Zstd], &frame, 1024, 1_000_000);
    assert_eq!(decoded, Err(DecodeError::Broken(Coding::Zstd)));
}

proptest! {
    #[test]
    fn what_was_compressed_comes_back(
        text in proptest::collection::vec(0u8..4, 0..5000),
        piece in 1usize..700,
        way in 0usize..5,
        other in 0usize..5,
    ) {
        let (inner, compress) = WAYS[way];
        let packed = compress(&text);
        prop_assert_eq!(decode(&[inner], &packed, piece, text.len()), Ok(text.clone()));
        if !text.is_empty() {
            let grown = Err(DecodeError::TooLarge(text.len() - 1));
            prop_assert_eq!(decode(&[inner], &packed, piece, text.len() - 1), grown);
        }
        let cut = &packed[..packed.len() - 1];
        let cut = decode(&[inner], cut, piece, 10_000);
        prop_assert!(cut == Err(DecodeError::Broken(inner)), "{:?}", cut);
        let (outer, wrap) = WAYS[other];
        let twice = wrap(&packed);
        prop_assert_eq!(decode(&[inner, outer], &twice, piece, 20_000), Ok(text));
    }

    #[test]
    fn any_bytes_do_no_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        piece in 1usize..100,
        way in 0usize..5,
        damage in any::<(usize, u8)>(),
    ) {
        let (coding, compress) = WAYS[way];
        drop(decode(&[coding], &bytes, piece, 2000));
        drop(decode(&[coding, Coding::Gzip], &bytes, piece, 2000));
        let mut packed = compress(&bytes);
        let at = damage.0 % packed.len();
        packed[at] ^= damage.1;
        drop(decode(&[coding], &packed, piece, 2000));
    }
}

#[test]
fn of_an_endless_message_each_piece_is_bounded_and_not_all() {
    for (coding, compress) in WAYS {
        let text = [b'x'; 5000];
        let compressed = compress(&text);
        let mut decoder = Decoder::endless(&[coding], 5000);
        let mut out = 0;
        let bounded = Decoder::endless(&[coding], 100).push(&compressed);
        assert_eq!(bounded, Err(DecodeError::TooLarge(100)), "{coding}");
        for piece in compressed.chunks(compressed.len().div_ceil(4)) {
            out += decoder.push(piece).unwrap().len();
        }
        assert_eq!(out, 5000, "{coding}");
    }
}

#[test]
fn what_is_no_coding_but_is_sent_as_one_leaves_a_message_plain() {
    let of = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(value));
        codings(&headers)
    };
    for plain in [
        "utf-8",
        "UTF-8",
        "utf8",
        "UTF-16LE",
        "us-ascii",
        "iso-8859-1",
        "latin1",
        "windows-1252",
        "none",
        "None",
        "identity",
        "aws-chunked",
        "8bit",
        "binary",
        "",
    ] {
        assert_eq!(of(plain), Ok(Vec::new()), "{plain}");
    }
    assert_eq!(of("gzip, utf-8"), Ok(vec![Coding::Gzip]));
    for unknown in ["compress", "lzma", "base64", "utf-8-gzip"] {
        assert!(
            matches!(of(unknown), Err(CodingError::Unknown(_))),
            "{unknown}"
        );
    }
}

#[test]
fn zeros_behind_a_gzip_text_are_padding_and_anything_else_is_not() {
    let text = b"a text that is padded";
    let two = [gzip(text), gzip(b"")].concat();
    for packed in [gzip(text), two] {
        let padded = [&packed[..], &[0; 300][..]].concat();
        for size in [1, 7, packed.len(), padded.len()] {
            let mut decoder = Decoder::new(&[Coding::Gzip], 1 << 20);
            let mut out = Vec::new();
            for piece in padded.chunks(size) {
                out.extend_from_slice(&decoder.push(piece).unwrap());
            }
            out.extend_from_slice(&decoder.finish().unwrap());
            assert_eq!(out, text, "in pieces of {size}");
        }
        for (tail, why) in [
            (&b"x"[..], DecodeError::Trailing(Coding::Gzip)),
            (b"\0x", DecodeError::Broken(Coding::Gzip)),
            (b"\0\0\x1f\x8b", DecodeError::Broken(Coding::Gzip)),
        ] {
            let spoiled = [&packed[..], tail].concat();
            let mut decoder = Decoder::new(&[Coding::Gzip], 1 << 20);
            let done = decoder.push(&spoiled).and_then(|_| decoder.finish());
            assert_eq!(done, Err(why), "{tail:?}");
        }
    }
}
