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
    assert!(redactor.is_in(b"x tok-0123456789abcdef") && !redactor.is_in(b"tok-0123"));
}

proptest! {
    #[test]
    fn no_eight_bytes_of_a_key_are_ever_left(
        key in "[A-Za-z0-9/+_-]{8,60}", before in "\\PC{0,30}", after in "\\PC{0,30}",
        cut in 0_usize..60, length in 8_usize..60,
    ) {
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
        assert!(redactor.is_in(text.as_bytes()), "{text}");
    }
    assert_eq!(redactor.masked_text("Basic, theme, dark, session"), None);
}
