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
    ] {
        assert!(read("B", body.as_bytes(), 5).is_err(), "{why}");
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
        let _ = part_of(text.as_bytes());
    }
}
