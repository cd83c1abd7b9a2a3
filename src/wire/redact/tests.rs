use proptest::prelude::*;

use super::*;

const KEY: &str = "sk-proj-Ab3/dE+fGh1jKlMn0pQrStUvWxYz";

fn masked(text: &str) -> String {
    let redactor = Redactor::new(Some(KEY));
    redactor
        .masked_text(text)
        .unwrap_or_else(|| text.to_owned())
}

#[test]
fn a_whole_key_is_masked_and_the_rest_stays() {
    let text = format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}. Get one"}}}}"#);
    assert_eq!(
        masked(&text),
        r#"{"error":{"message":"Incorrect API key provided: ****. Get one"}}"#
    );
    let twice = format!("{KEY}{KEY} and {KEY}");
    assert_eq!(masked(&twice), "**** and ****");
}

#[test]
fn a_part_is_masked_too() {
    for (text, expected) in [
        ("key sk-proj-Ab3 is bad", "key **** is bad"),
        ("key …GhijKl? no: fGh1jKlMn", "key …GhijKl? no: ****"),
        ("sk-proj-***********WxYz.", "****."),
        ("sk-p********************************WxYz", "****"),
        ("sk-...Yz!", "****!"),
        ("key: \u{2022}\u{2022}\u{2022}\u{2022}WxYz", "key: ****"),
        ("key sk-pro\u{2026}", "key ****"),
        (r#"{"key":"sk-p\u2026\u2026WxYz"}"#, r#"{"key":"****"}"#),
        (
            "the key ending in 'WxYz' is revoked",
            "the key ending in '****' is revoked",
        ),
    ] {
        assert_eq!(masked(text), expected, "{text}");
    }
}

#[test]
fn escapes_do_not_hide_it() {
    let slashes = KEY.replace('/', r"\/");
    let unicode = KEY.replace('+', r"\u002B").replace('/', r"\u002f");
    let percent = KEY.replace('+', "%2B").replace('/', "%2f");
    let html = KEY.replace('+', "&#43;").replace('/', "&#x2F;");
    let nested = KEY.replace('+', r"\\u002B").replace('/', r"\\\/");
    let all: String = KEY.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let wide: String = KEY.chars().flat_map(|c| [c, '\0']).collect();
    for text in [slashes, unicode, percent, html, nested, all, wide] {
        let quoted = format!("\"{text}\"");
        let masked = masked(&quoted);
        assert_eq!(masked.replace('\0', ""), "\"****\"", "{text}");
    }
}

#[test]
fn what_is_no_trace_of_it_is_left_alone() {
    for text in [
        "",
        "The model `gpt-5` does not exist, see https://platform.example/docs...",
        r#"{"error":{"message":"bad","code":null,"param":true,"n":1234567890}}"#,
        "sk-other-key**** and *** and 100%",
        "100%zz \\u12 &; &#;",
    ] {
        assert_eq!(masked(text), text);
        assert!(Redactor::new(Some(KEY)).masked(text.as_bytes()).is_none());
    }
    let dummy = Redactor::new(Some("none"));
    assert!(dummy.masked(b"none of these").is_none());
    assert!(Redactor::new(None).masked(b"anything").is_none());
}

#[test]
fn an_end_that_is_a_number_or_a_word_of_json_does_not_break_a_document() {
    for (key, text) in [
        ("sk-planted-alpha-2048", r#"{"limit":2048}"#),
        ("sk-planted-alpha-true", r#"{"limit":true}"#),
    ] {
        assert!(Redactor::new(Some(key)).masked(text.as_bytes()).is_none());
    }
}

#[test]
fn headers_that_carry_credentials_are_masked_in_pieces_and_others_whole() {
    let redactor = Redactor::new(None)
        .with_header("x-auth", b"Bearer tok-0123456789abcdef")
        .with_header("http-referer", b"https://example.com/me");
    let masked = |text: &str| {
        redactor
            .masked_text(text)
            .unwrap_or_else(|| text.to_owned())
    };
    assert_eq!(masked("bad tok-01234567"), "bad ****");
    assert_eq!(
        masked("see https://example.com/docs"),
        "see https://example.com/docs"
    );
    assert_eq!(masked("from https://example.com/me?"), "from ****?");
}

proptest! {
    #[test]
    fn no_eight_bytes_of_a_key_are_ever_left(
        key in "[A-Za-z0-9/+_-]{8,60}", before in "\\PC{0,30}", after in "\\PC{0,30}",
        cut in 0_usize..60, length in 8_usize..60,
    ) {
        prop_assume!(!is_words(key.as_bytes()));
        let from = cut.min(key.len() - 8);
        let piece = &key[from..(from + length).min(key.len())];
        let text = format!("{before}{piece}{after}");
        let masked = Redactor::new(Some(&key)).masked_text(&text).unwrap();
        for window in key.as_bytes().windows(8) {
            prop_assert!(memmem::find(masked.as_bytes(), window).is_none(), "{}", masked);
        }
    }

    #[test]
    fn nothing_panics(key in "\\PC{0,20}", text in "[\\\\u0-9a-f%&#;*.x\\PC]{0,60}") {
        let _ = Redactor::new(Some(&key)).masked_text(&text);
    }
}

#[test]
fn every_part_of_a_configured_cookie_is_masked() {
    let redactor = Redactor::new(None)
        .with_header(
            "cookie",
            b"session=abcdefgh12345678; theme=dark; csrf=\"ZYXWVUTS98765432\"",
        )
        .with_header("authorization", b"Basic dXNlcjpwYXNzd29yZA==")
        .with_header("x-api-keys", b"first-0123456, second-7890123");
    for (text, secret) in [
        ("got abcdefgh12345678", "abcdefgh"),
        ("got ZYXWVUTS98765432 too", "ZYXWVUTS"),
        ("got dXNlcjpwYXNzd29yZA== too", "dXNlcjpwYXNz"),
        ("got first-0123456", "first-01"),
        ("got second-7890123", "second-7"),
    ] {
        let masked = redactor
            .masked_text(text)
            .unwrap_or_else(|| text.to_owned());
        assert!(!masked.contains(secret), "{masked}");
    }
    assert_eq!(redactor.masked_text("Basic, theme, dark, session"), None);
}

#[test]
fn a_placeholder_made_of_words_is_masked_only_as_a_whole() {
    for (key, text) in [
        (
            "sk-no-key-required",
            "field tools is required: missing_required",
        ),
        (
            "lm-studio",
            "LM Studio cannot load lmstudio-community/gemma",
        ),
        ("not-needed", "this is needed"),
    ] {
        let redactor = Redactor::new(Some(key));
        assert_eq!(redactor.masked_text(text), None, "{key}");
        let whole = format!("key {key}!");
        assert_eq!(redactor.masked_text(&whole).unwrap(), "key ****!");
        assert!(
            redactor.is_told_in(whole.as_bytes())
                && redactor.for_heads().is_told_in(whole.as_bytes())
        );
    }
}

#[test]
fn a_header_is_a_credential_by_the_words_of_its_name() {
    for name in [
        "x-api-key",
        "Ocp-Apim-Subscription-Key",
        "accessToken",
        "X-Amz-Security-Token",
        "cookie",
        "proxy-authorization",
        "x-goog-api-key",
        "apikey",
        "clientSecret",
        "sig",
    ] {
        assert!(names_a_credential(name), "{name}");
    }
    for name in [
        "x-portkey-custom-host",
        "x-monkey",
        "x-author",
        "design",
        "x-compass",
        "x-title",
    ] {
        assert!(!names_a_credential(name), "{name}");
    }
    let redactor = Redactor::new(None)
        .with_header("x-portkey-custom-host", b"https://api.example.com/v1")
        .with_header("x-auth-client", b"application");
    assert!(!redactor.is_told_in(b"application/json"));
    let text = "see https://example.com: application/json";
    assert_eq!(redactor.masked_text(text), None);
}

/// Letters as they are written with something between them.
fn parted(text: &str, every: usize, between: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let groups: Vec<String> = letters
        .chunks(every)
        .map(|group| group.iter().collect())
        .collect();
    groups.join(between)
}

fn base64(bytes: &[u8], alphabet: &[u8; 64], padded: bool) -> String {
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let number = group.iter().enumerate().fold(0_u32, |number, (at, byte)| {
            number | u32::from(*byte) << (16 - 8 * at)
        });
        for at in 0..=group.len() {
            let symbol = number >> (18 - 6 * at) & 63;
            out.push(char::from(alphabet[symbol as usize]));
        }
        if padded {
            out.extend(std::iter::repeat_n('=', 3 - group.len()));
        }
    }
    out
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn each(text: &str, form: impl Fn(u8) -> String) -> String {
    text.bytes().map(form).collect()
}

/// The disguises: what each is called, and how it is put on.
#[derive(Clone, Copy, Debug)]
enum Disguise {
    Grouped(&'static str, usize),
    Base64 {
        url: bool,
        lead: usize,
    },
    Hex {
        upper: bool,
        between: &'static str,
        before: &'static str,
    },
    Decimal(&'static str),
    Percent,
    Entities,
    Unicode,
    JavaScript,
    Json,
    Upper,
    Lower,
    Wide,
}

impl Disguise {
    fn put_on(self, text: &str) -> String {
        match self {
            Self::Grouped(between, every) => parted(text, every, between),
            Self::Base64 { url, lead } => {
                let text = format!("{}{text}", &"u:x"[..lead]);
                base64(text.as_bytes(), if url { URL } else { STANDARD }, !url)
            }
            Self::Hex {
                upper,
                between,
                before,
            } => {
                let digits: Vec<String> = text
                    .bytes()
                    .map(|byte| {
                        if upper {
                            format!("{before}{byte:02X}")
                        } else {
                            format!("{before}{byte:02x}")
                        }
                    })
                    .collect();
                digits.join(between)
            }
            Self::Decimal(between) => {
                let bytes: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
                bytes.join(between)
            }
            Self::Percent => each(text, |byte| format!("%{byte:02X}")),
            Self::Entities => each(text, |byte| format!("&#{byte};")),
            Self::Unicode => each(text, |byte| format!("\\u{byte:04x}")),
            Self::JavaScript => each(text, |byte| format!("\\x{byte:02x}")),
            Self::Json => {
                let quoted = serde_json::to_string(text).unwrap();
                quoted[1..quoted.len() - 1].replace('/', "\\/")
            }
            Self::Upper => text.to_uppercase(),
            Self::Lower => text.to_lowercase(),
            Self::Wide => each(text, |byte| format!("{}\0", char::from(byte))),
        }
    }

    /// Whether nothing can be read any more: the case of base64 has changed, or an escape is torn.
    fn is_lost_in(self, other: Self) -> bool {
        let cased = matches!(self, Self::Base64 { .. } | Self::JavaScript | Self::Unicode);
        let escaped = matches!(
            self,
            Self::Percent
                | Self::Entities
                | Self::Unicode
                | Self::JavaScript
                | Self::Json
                | Self::Decimal(_)
                | Self::Grouped("<wbr>" | "&shy;", _)
                | Self::Hex { before: "0x", .. }
        );
        match other {
            Self::Upper | Self::Lower => cased,
            Self::Grouped(..) => escaped,
            _ => false,
        }
    }
}

const DISGUISES: [Disguise; 31] = [
    Disguise::Grouped(" ", 4),
    Disguise::Grouped("-", 4),
    Disguise::Grouped("\n", 7),
    Disguise::Grouped("\r\n", 5),
    Disguise::Grouped("\t", 3),
    Disguise::Grouped("\u{ad}", 1),
    Disguise::Grouped("\u{200b}", 1),
    Disguise::Grouped("\u{feff}", 2),
    Disguise::Grouped("\u{2060}", 6),
    Disguise::Grouped("\u{2011}", 4),
    Disguise::Grouped("<wbr>", 4),
    Disguise::Grouped("&shy;", 4),
    Disguise::Base64 {
        url: false,
        lead: 0,
    },
    Disguise::Base64 {
        url: false,
        lead: 1,
    },
    Disguise::Base64 {
        url: false,
        lead: 2,
    },
    Disguise::Base64 { url: true, lead: 0 },
    Disguise::Base64 { url: true, lead: 1 },
    Disguise::Base64 { url: true, lead: 3 },
    Disguise::Hex {
        upper: false,
        between: "",
        before: "",
    },
    Disguise::Hex {
        upper: true,
        between: " ",
        before: "",
    },
    Disguise::Hex {
        upper: false,
        between: ":",
        before: "",
    },
    Disguise::Hex {
        upper: false,
        between: ", ",
        before: "0x",
    },
    Disguise::Decimal(", "),
    Disguise::Percent,
    Disguise::Entities,
    Disguise::Unicode,
    Disguise::JavaScript,
    Disguise::Json,
    Disguise::Upper,
    Disguise::Lower,
    Disguise::Wide,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// What is left of a disguised key is so short that no eight characters can be read out of it.
    #[test]
    fn no_disguise_hides_a_key(
        key in "[A-Za-z0-9]{3}[A-Za-z0-9/+_.-]{8,40}[A-Za-z0-9]{9}", first in 0..DISGUISES.len(), second in 0..=DISGUISES.len(),
        before in "[a-z .,:(\"]{0,20}", after in "[a-z .,:)\"]{0,20}",
    ) {
        let first = DISGUISES[first];
        let mut text = first.put_on(&key);
        if let Some(second) = DISGUISES.get(second) {
            prop_assume!(!first.is_lost_in(*second));
            text = second.put_on(&text);
        }
        let whole = format!("{before}\u{1}{text}\u{1}{after}");
        let redactor = Redactor::new(Some(&key));
        let masked = redactor.masked(whole.as_bytes());
        prop_assert!(masked.is_some(), "{}", whole);
        let masked = masked.unwrap();
        prop_assert!(!redactor.is_told_in(&masked), "{}", String::from_utf8_lossy(&masked));
        // Of the key's own writing little more than one character's is left at each end.
        let left = String::from_utf8_lossy(&masked).replace("****", "").replace("*\0*\0*\0*", "");
        let left = left.split('\u{1}').nth(1).map_or(0, str::len);
        prop_assert!(left <= 12.max(text.len() / 3), "{} of {}", String::from_utf8_lossy(&masked), whole);
    }

    #[test]
    fn a_text_without_the_key_stays(key in "sk-[A-Za-z0-9]{24}", text in "\\PC{0,200}", words in "([a-z]{1,9}[ .,:-]){0,40}") {
        let redactor = Redactor::new(Some(&key));
        for text in [&text, &words] {
            let end = key[key.len() - 7..].to_owned();
            // Its end may be there by chance.
            let chance = text.contains(&end[3..]) || text.contains("**") || text.contains("..") || text.contains('…');
            prop_assume!(!chance);
            prop_assert_eq!(redactor.masked_text(text), None);
        }
    }
}

#[test]
fn a_text_in_utf_16_stays_one() {
    for little in [true, false] {
        let wide = |text: &str| -> Vec<u8> {
            let units = text.encode_utf16();
            let bytes = units.map(|unit| {
                if little {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                }
            });
            bytes.flatten().collect()
        };
        let text = format!("{{\"message\":\"bad {KEY} \u{fc}\"}}");
        let masked = Redactor::new(Some(KEY)).masked(&wide(&text)).unwrap();
        assert_eq!(masked, wide("{\"message\":\"bad **** \u{fc}\"}"));
    }
}

#[test]
fn a_mask_makes_no_escape_of_what_stands_before_it() {
    for (key, text) in [
        ("n0123456789abcdef", r#"{"m":"bad\n0123456789abcdef"}"#),
        ("1bcdefgh2jklmnop", r#"{"m":"bad\u0061bcdefgh2jklmnop"}"#),
        ("n0123456789abcdef", r#"{"m":"bad\\n0123456789abcdef"}"#),
    ] {
        let masked = Redactor::new(Some(key)).masked_text(text).unwrap();
        let read = serde_json::from_str::<serde_json::Value>(&masked);
        assert!(read.is_ok() && !masked.contains("23456789"), "{masked}");
    }
}

/// What a search looks at grows with the text and not faster, whatever the text: what takes longer is withheld.
#[test]
fn the_longest_texts_are_searched_once_in_each_disguise() {
    let size = 256 * 1024;
    let long = format!("sk-{}", "aB3dE5fG7hJ9".repeat(150));
    let redactor = Redactor::new(Some(KEY)).with(&long);
    let json = r#"{\"error\":{\"message\":\"it is not, as one says, \\\"good\\\" at 100%\\n\",\"data\":\"AAECAwQF+/8=\"}}"#;
    for (unit, whole) in [
        ("A", true),
        ("ab..", true),
        ("sk-****", true),
        ("s\0", true),
        ("the quick brown fox, ", true),
        (json, true),
        (&KEY[..8], true),
        (&long[..700], true),
        ("%2525252541", true),
        ("&amp;amp;amp;#65;", true),
    ] {
        let text = &unit.repeat(size / unit.len() + 1)[..size];
        let found = redactor.found(text.as_bytes(), true);
        assert_eq!(found.too_deep, !whole, "{}", &unit[..unit.len().min(20)]);
    }
    // Base64 of text that is base64, hexadecimal, escapes and numbers.
    let mut text = "%41414141-41414141_41, 65, 65, 65, 65, 65, 65, 65, 65, ".repeat(5000);
    for _ in 0..2 {
        text = base64(text.as_bytes(), STANDARD, true);
    }
    let found = redactor.found(text.as_bytes(), true);
    assert!(found.work <= text.len() * MAX_WORK);
}
