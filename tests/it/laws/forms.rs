//! Laws of forms: whatever pieces they come in, they say the same; a reader that takes more for a boundary and for a
//! name than the standard does finds no other model in what is let through; a changed form is one, with nothing else
//! changed.
//!
//! The input is a line with the value of `content-type`, then the body, in which `<pad>` stands for 4,000 letters.

use pointsman::wire::multipart::{FormDocument, FormError, FormReader, boundary};
use serde_json::{Map, Value};

use super::line;

pub fn hold(data: &[u8]) {
    let (head, body) = line(data);
    let boundary = match boundary(head) {
        None => return,
        Some(Err(error)) => return assert!(!error.to_string().is_empty()),
        Some(Ok(boundary)) => boundary,
    };
    assert!((1..=70).contains(&boundary.len()));
    let body = padded(body);
    let whole = read(&boundary, &body, body.len().max(1));
    // Single bytes of a long one take too long.
    for size in if body.len() < 4000 {
        [1, 7]
    } else {
        [509, 4097]
    } {
        let pieces = read(&boundary, &body, size);
        assert_eq!(pieces, whole, "in pieces of {size}");
    }
    let form = match whole {
        Err(error) => return assert!(!error.to_string().is_empty()),
        Ok(form) => form,
    };
    let fields = fields(&form);
    let own = fields.get("model").map(|model| model.as_str().unwrap());
    let others = models(&boundary, &body);
    assert!(
        others
            .iter()
            .all(|other| Some(other.as_slice()) == own.map(str::as_bytes)),
        "the model is {own:?}, or {:?} to others",
        others
            .iter()
            .map(|other| String::from_utf8_lossy(other))
            .collect::<Vec<_>>()
    );
    // A changed one says that it is changed, and nothing else; changed back it is as it was.
    let changed = replaced(&form, &body, "other-1");
    let again = read(&boundary, &changed, changed.len()).unwrap();
    let mut expected = fields.clone();
    expected.insert("model".to_owned(), "other-1".into());
    assert_eq!(self::fields(&again), expected);
    if let Some(own) = own {
        assert_eq!(replaced(&again, &changed, own), body);
    }
}

fn read(boundary: &[u8], body: &[u8], size: usize) -> Result<FormDocument, FormError> {
    let mut reader = FormReader::new(boundary.into());
    for piece in body.chunks(size) {
        reader.push(piece)?;
    }
    reader.finish()
}

fn fields(form: &FormDocument) -> Map<String, Value> {
    serde_json::from_slice(&form.fields).unwrap()
}

fn replaced(form: &FormDocument, body: &[u8], model: &str) -> Vec<u8> {
    let change = form.for_model(model);
    let at = |place: u64| usize::try_from(place).unwrap();
    let (before, after) = (&body[..at(change.at.start)], &body[at(change.at.end)..]);
    [before, &change.with, after].concat()
}

fn padded(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(b"<pad>") {
            // A few of them: more are not worth the time.
            Some(after) if out.len() < 20_000 => {
                out.extend_from_slice(&[b'x'; 4000]);
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// The values of all that any reader may take for the field `model`: line ends of every kind, boundaries wherever a line
/// begins and in front of a value, names in any letters and of any spelling.
fn models(boundary: &[u8], body: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for part in parts(boundary, body) {
        let Some((head, value)) = headed(part) else {
            continue;
        };
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let named = head.split(['\r', '\n']).any(|line| {
            let (name, value) = line.split_once(':').unwrap_or_default();
            let is_model = |escapes| parameters(value, escapes).iter().any(|one| is_model(one));
            name.trim() == "content-disposition" && (is_model(true) || is_model(false))
        });
        if named {
            all.push(value.to_vec());
        }
    }
    all
}

/// What stands between semicolons outside of quotes, where a backslash escapes a quote or not.
fn parameters(text: &str, escapes: bool) -> Vec<String> {
    let mut all = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for letter in text.chars() {
        quoted ^= letter == '"' && !escaped;
        escaped = escapes && quoted && letter == '\\' && !escaped;
        match letter {
            ';' if !quoted => all.push(String::new()),
            letter => all.last_mut().unwrap().push(letter),
        }
    }
    all
}

/// Whether a parameter of a part's name says `model`, in one of the ways to write it.
fn is_model(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    let plain = value.replace(['"', '\\'], "").replace("%6f", "o");
    let is_name = matches!(name.trim(), "name" | "name*" | "name*0" | "name*0*");
    is_name && plain.trim().trim_start_matches("utf-8''") == "model"
}

/// What stands between boundaries.
fn parts<'b>(boundary: &[u8], body: &'b [u8]) -> Vec<&'b [u8]> {
    let mark = [b"--", boundary].concat();
    let mut all = Vec::new();
    let mut start = None;
    let mut at = 0;
    while at + mark.len() <= body.len() {
        let is_line = at == 0 || matches!(body[at - 1], b'\r' | b'\n');
        if !is_line || !body[at..].starts_with(&mark) {
            at += 1;
            continue;
        }
        let rest = &body[at + mark.len()..];
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
        let blank = blank.count();
        let end = match &rest[blank..] {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            [b'-', b'-', ..] => 0,
            _ => {
                at += 1;
                continue;
            }
        };
        all.extend(start.map(|start: usize| without_end(&body[start.min(at)..at])));
        if end == 0 {
            break;
        }
        // Its line end may be that in front of the next one.
        at += mark.len() + blank;
        start = Some(at + end);
    }
    all
}

fn without_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

/// Head and value of a part.
fn headed(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let ends = [&b"\r\n\r\n"[..], b"\n\n", b"\r\r", b"\n\r\n"];
    (0..part.len()).find_map(|at| {
        let end = ends.iter().find(|end| part[at..].starts_with(end))?;
        Some((&part[..at], &part[at + end.len()..]))
    })
}
