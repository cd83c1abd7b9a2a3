//! Forms as programs send them, and as they would be read differently elsewhere.

use proptest::prelude::*;

use super::*;

fn read(boundary: &str, body: &[u8], step: usize) -> Result<FormDocument, FormError> {
    let mut reader = FormReader::new(boundary.as_bytes().into());
    for piece in body.chunks(step) {
        reader.push(piece)?;
    }
    reader.finish()
}

fn part(head: &str, value: &str) -> String {
    format!("--B\r\n{head}\r\n\r\n{value}\r\n")
}

fn field(name: &str, value: &str) -> String {
    part(
        &format!("Content-Disposition: form-data; name=\"{name}\""),
        value,
    )
}

fn head_of(name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\nb")
}

const FILE: &str =
    "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav";

fn replaced(body: &[u8], with: &Replacement) -> Vec<u8> {
    let at = |place: u64| usize::try_from(place).unwrap();
    [
        &body[..at(with.at.start)],
        &with.with,
        &body[at(with.at.end)..],
    ]
    .concat()
}

#[test]
fn the_model_is_found_and_replaced_wherever_the_pieces_end() {
    let file = "x\r\n--Bnot\r\n".repeat(50);
    let body = [
        field("language", "de"),
        part(FILE, &file.replace("--B", "--C")),
        field("model", "smart"),
        field("stream", "true"),
        "--B--\r\n".to_owned(),
    ]
    .concat();
    for step in 1..90 {
        let form = read("B", body.as_bytes(), step).unwrap();
        let fields: Value = serde_json::from_slice(&form.fields).unwrap();
        let wanted = serde_json::json!({"language": "de", "model": "smart", "stream": true});
        assert_eq!(fields, wanted);
        let other = replaced(body.as_bytes(), &form.for_model("whisper-1"));
        assert_eq!(other, body.replace("smart", "whisper-1").as_bytes());
    }
}

#[test]
fn a_model_that_is_missing_is_put_in_front() {
    let body = format!("{}--B--", part(FILE, "abc"));
    let form = read("B", body.as_bytes(), 7).unwrap();
    let other = replaced(body.as_bytes(), &form.for_model("m"));
    let again = read("B", &other, 7).unwrap();
    assert_eq!(&*again.fields, br#"{"model":"m"}"#);
}

#[test]
fn what_others_may_read_in_another_way_is_refused() {
    let model = field("model", "a");
    for (body, why) in [
        (format!("hello\r\n{model}--B--"), "before the first part"),
        (
            format!("{model}--B--\r\n{model}--B--"),
            "after the last one",
        ),
        (format!("{model}{model}--B--"), "two models"),
        (
            format!("{model}{}--B--", field("Model", "b")),
            "a lookalike",
        ),
        (
            format!(
                "{model}{}--B--",
                part("Content-Disposition: form-data; name*=utf-8''model", "b")
            ),
            "an encoded name",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"x\"; name=\"model\"",
                "b",
            ) + "--B--",
            "two names",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"model\"; filename=\"m\"",
                "b",
            ) + "--B--",
            "a file",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"x\"\r\nContent-Type: multipart/mixed",
                "b",
            ) + "--B--",
            "a form in the form",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: base64",
                "b",
            ) + "--B--",
            "encoded",
        ),
        (
            part("X: y\nContent-Disposition: form-data; name=\"model\"", "b") + "--B--",
            "a bare line feed",
        ),
        (format!("{model}--B"), "no end"),
        (
            format!(
                "{}--B--",
                field("x", &format!("--B\r\n{}", head_of("model")))
            ),
            "a boundary in front of a value",
        ),
        (
            format!(
                "{}--B--",
                field("x", &format!("a\n--B\n{}", head_of("model")))
            ),
            "a boundary behind a bare line feed",
        ),
        (
            format!(
                "{}--B--",
                field("x", &format!("a\r--B\r{}", head_of("model")))
            ),
            "a boundary behind a bare carriage return",
        ),
        (
            format!("{model}{}--B--", field("mod\\el", "b")),
            "a name with a backslash",
        ),
        (
            format!("{model}{}--B--", field("mod%65l", "b")),
            "a name in percent signs",
        ),
        (
            format!("{model}{}--B--", field("=?utf-8?q?model?=", "b")),
            "a name in an encoded word",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"x\"; name*0=\"mo\"; name*1=\"del\"",
                "b",
            ) + "--B--",
            "a name in pieces",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"x\"; word; name=\"model\"",
                "b",
            ) + "--B--",
            "two names around a word without a value",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"x\"; filename=a b name=\"model\"",
                "b",
            ) + "--B--",
            "a name that a space divides",
        ),
        (
            part(
                "Content-Disposition: form-data; filename=\"a\\\"; name=\"model\"; name=\"x\"",
                "b",
            ) + "--B--",
            "a quote that a backslash escapes for some",
        ),
        (
            part(
                "Content-Disposition : form-data; name=\"model\"\r\nContent-Disposition: form-data; name=\"x\"",
                "b",
            ) + "--B--",
            "a space in front of a colon",
        ),
        (
            part("Content-Disposition: form-data; name=\"model", "b") + "--B--",
            "no second quote",
        ),
    ] {
        assert!(read("B", body.as_bytes(), 5).is_err(), "{why}");
    }
}

#[test]
fn a_line_of_a_head_is_no_boundary() {
    let field = "Content-Disposition: form-data; name=\"x\"\r\n--a:b\r\n\r\n1\r\n";
    let body = format!("--a:b\r\n{field}--a:b--");
    assert!(read("a:b", body.as_bytes(), 7).is_err());
    let body = body.replacen("\"x\"\r\n--", "\"x\"\r\nx--", 1);
    assert!(read("a:b", body.as_bytes(), 7).is_ok());
}

#[test]
fn a_head_may_be_as_long_in_pieces_as_it_may_be_whole() {
    for (length, fits) in [
        (LONGEST_HEAD, true),
        (LONGEST_HEAD + 1, false),
        (3 * LONGEST_HEAD, false),
    ] {
        let head = format!("{FILE}\r\nX: ");
        let head = format!("{head}{}", "y".repeat(length - head.len()));
        let body = part(&head, "abc") + "--B--";
        let whole = read("B", body.as_bytes(), body.len());
        assert_eq!(whole.is_ok(), fits, "{length}");
        for step in [1, 2, 3, 4096, 8191, 8192, 8193] {
            assert_eq!(
                read("B", body.as_bytes(), step),
                whole,
                "{length} in steps of {step}"
            );
        }
    }
}

#[test]
fn a_boundary_is_read_as_clients_write_it() {
    let of = |text: &str| {
        boundary(text.as_bytes())
            .map(|found| found.map(|text| String::from_utf8_lossy(&text).into_owned()))
    };
    for (text, expected) in [
        ("multipart/form-data; boundary=abc", Some(Ok("abc"))),
        (
            "Multipart/Form-Data;charset=utf-8;Boundary=\"a b\"",
            Some(Ok("a b")),
        ),
        ("multipart/form-data", Some(Err(FormError::NoBoundary))),
        (
            "multipart/form-data; boundary=a; boundary=b",
            Some(Err(FormError::NoBoundary)),
        ),
        (
            "multipart/form-data; boundary=\"a\"b",
            Some(Err(FormError::NoBoundary)),
        ),
        (
            "multipart/form-data; boundary=\"a",
            Some(Err(FormError::NoBoundary)),
        ),
        (
            "multipart/form-data; boundary=\"a \"",
            Some(Err(FormError::NoBoundary)),
        ),
        ("application/json", None),
    ] {
        assert_eq!(
            of(text),
            expected.map(|found| found.map(str::to_owned)),
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(
        pieces in prop::collection::vec(prop_oneof![
            Just(b"--B".to_vec()), Just(b"\r\n".to_vec()), Just(b"--".to_vec()),
            Just(b"Content-Disposition: form-data; name=\"model\"".to_vec()),
            prop::collection::vec(any::<u8>(), 0..20),
        ], 0..30),
        step in 1usize..40,
    ) {
        let body = pieces.concat();
        let one = read("B", &body, body.len().max(1));
        let many = read("B", &body, step);
        prop_assert_eq!(one.is_ok(), many.is_ok());
        if let (Ok(one), Ok(many)) = (one, many) {
            prop_assert_eq!(&one, &many);
            let again = read("B", &replaced(&body, &one.for_model("other")), step).unwrap();
            let fields: Value = serde_json::from_slice(&again.fields).unwrap();
            prop_assert_eq!(&fields["model"], "other");
        }
    }

    #[test]
    fn any_header_is_read_without_a_panic(text in "\\PC{0,60}") {
        let _ = boundary(text.as_bytes());
        let _ = boundary(format!("multipart/form-data;{text}").as_bytes());
        let _ = part_of(text.as_bytes(), b"--B");
    }
}
