//! Forms (`multipart/form-data`, RFC 7578): what their fields say and where the field `model` stands, found as the bytes come,
//! so that files pass without being held.
//!
//! Another reader must not find another field `model` than this one, so whatever readers understand in different ways is
//! refused: bytes before the first part or after the last one, parts without a name or with several, nested forms, encoded
//! parts and names, lines that end with a bare line feed, and boundaries where only some readers see one: in a head, in
//! front of a value (Go's `mime/multipart`), behind half a line end (Werkzeug, Python's `email`).

use std::ops::Range;

use bytes::Bytes;
use http::HeaderName;
use memchr::memmem;
use serde_json::{Map, Value};

use super::segment;
use parameters::parameters;

mod parameters;

/// Longest value of a field that is kept, in bytes. Longer ones are passed on all the same.
const LONGEST_VALUE: usize = 64 * 1024;
/// Bytes of all values that are kept together.
const MOST_VALUES: usize = 1024 * 1024;
/// Longest head of a part, in bytes.
const LONGEST_HEAD: usize = 8 * 1024;
/// Most parts of a form.
const MOST_PARTS: usize = 1024;
/// What ends a line.
const LINE_BREAK: &[u8] = b"\r\n";
/// Longest boundary (RFC 2046, 5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// What is wrong with a form.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FormError {
    /// The content type names no boundary, or one that is none.
    #[error("the content type multipart/form-data needs a boundary of 1 to 70 characters")]
    NoBoundary,
    /// The bytes are no form.
    #[error("the body is not a valid multipart/form-data: {0}")]
    Malformed(&'static str),
    /// A field stands there twice.
    #[error("the field `{0}` is given twice: which one is meant?")]
    Duplicate(&'static str),
    /// A field that some readers take for another one.
    #[error("the field `{0}` must be written like this, in small letters")]
    Lookalike(&'static str),
    /// A field that cannot be a file is one.
    #[error("the field `{0}` must be a text, and not a file")]
    NotText(&'static str),
}

/// The boundary that a content type names, where it is one of a form; `None` for any other content type.
///
/// # Errors
/// A form's type without a boundary.
pub fn boundary(content_type: &[u8]) -> Option<Result<Box<[u8]>, FormError>> {
    let text = std::str::from_utf8(content_type).ok()?;
    let (kind, rest) = text.split_once(';').unwrap_or((text, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut found = None;
    let Some(all) = parameters(rest) else {
        return Some(Err(FormError::NoBoundary));
    };
    for (name, value) in all {
        if name.eq_ignore_ascii_case("boundary") {
            // Two of them would be two forms.
            if found.is_some() {
                return Some(Err(FormError::NoBoundary));
            }
            found = Some(value);
        }
    }
    // A space at its end (RFC 2046 forbids it) is a part of it for some alone.
    let fits = |text: &String| (1..=LONGEST_BOUNDARY).contains(&text.len()) && text.trim() == text;
    let found = found.filter(fits).map(|text| text.into_bytes().into());
    Some(found.ok_or(FormError::NoBoundary))
}

/// What a form says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormDocument {
    boundary: Box<[u8]>,
    /// The fields that are no files, as the fields of a JSON object: `model` and `stream` of the types that they have in
    /// JSON, all others as texts.
    pub fields: Bytes,
    /// Where the value of `model` stands.
    model: Option<Range<u64>>,
}

/// Bytes that take the place of a part of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replacement {
    /// Which part; an empty one is a place.
    pub at: Range<u64>,
    /// What stands there instead.
    pub with: Bytes,
}

impl FormDocument {
    /// What makes the form ask for this model.
    pub fn for_model(&self, model: &str) -> Replacement {
        match &self.model {
            Some(at) => Replacement {
                at: at.clone(),
                with: Bytes::copy_from_slice(model.as_bytes()),
            },
            None => {
                let mut part = b"--".to_vec();
                part.extend_from_slice(&self.boundary);
                part.extend_from_slice(
                    b"\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n",
                );
                part.extend_from_slice(model.as_bytes());
                part.extend_from_slice(b"\r\n");
                Replacement {
                    at: 0..0,
                    with: part.into(),
                }
            }
        }
    }
}

/// Where in a form the reader is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FormPlace {
    /// At the first boundary.
    Start,
    /// Behind a boundary: another part follows, or the end.
    Behind,
    Head,
    Value,
    /// Behind the last boundary.
    End,
}

/// The part that is being read.
#[derive(Debug, Default)]
struct FormPart {
    name: String,
    is_file: bool,
    value: Vec<u8>,
    start: u64,
}

/// A form is read in parts of at most so many bytes.
const PART: usize = 8 * 1024;

/// Reads a form as it comes.
#[derive(Debug)]
pub struct FormReader {
    boundary: Box<[u8]>,
    /// What stands between a part and the next one: a line break, two hyphens, the boundary.
    delimiter: Box<[u8]>,
    place: FormPlace,
    /// Bytes that are not understood yet: never more than a delimiter or a head, and [`PART`].
    rest: Vec<u8>,
    /// Where in the body these begin.
    at: u64,
    part: FormPart,
    parts: usize,
    kept: usize,
    fields: Map<String, Value>,
    model: Option<Range<u64>>,
}

impl FormReader {
    /// Of a form with this boundary.
    pub fn new(boundary: Box<[u8]>) -> Self {
        let delimiter = [b"\r\n--", &*boundary].concat().into();
        Self {
            boundary,
            delimiter,
            place: FormPlace::Start,
            rest: Vec::new(),
            at: 0,
            part: FormPart::default(),
            parts: 0,
            kept: 0,
            fields: Map::new(),
            model: None,
        }
    }

    /// Reads on.
    ///
    /// # Errors
    /// What is wrong with the form.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), FormError> {
        // In small parts: what is kept of them stays small, too.
        for part in piece.chunks(PART) {
            self.rest.extend_from_slice(part);
            while self.step()? {}
        }
        Ok(())
    }

    /// All of it was there.
    ///
    /// # Errors
    /// What is wrong with the form; it ends before its last boundary.
    pub fn finish(self) -> Result<FormDocument, FormError> {
        let end = matches!(&*self.rest, b"" | b"\r\n");
        if self.place != FormPlace::End || !end {
            return Err(FormError::Malformed(
                "it does not end with its last boundary",
            ));
        }
        Ok(FormDocument {
            boundary: self.boundary,
            fields: Value::Object(self.fields).to_string().into(),
            model: self.model,
        })
    }

    /// Takes so many bytes off the front.
    fn take(&mut self, length: usize) {
        self.rest.drain(..length.min(self.rest.len()));
        self.at += u64::try_from(length).unwrap_or(u64::MAX);
    }

    /// One step; false where more bytes are needed for the next one.
    fn step(&mut self) -> Result<bool, FormError> {
        match self.place {
            FormPlace::Start => {
                // The first boundary has no line break before it.
                let wanted = self.mark();
                if self.rest.len() < wanted.len() {
                    return Ok(false);
                }
                if !self.rest.starts_with(wanted) {
                    return Err(FormError::Malformed("it does not begin with its boundary"));
                }
                let length = wanted.len();
                self.take(length);
                self.place = FormPlace::Behind;
            }
            FormPlace::Behind => {
                let next = match self.rest.get(..2) {
                    None => return Ok(false),
                    Some(b"\r\n") => FormPlace::Head,
                    Some(b"--") => FormPlace::End,
                    Some(_) => {
                        return Err(FormError::Malformed("a boundary does not end its line"));
                    }
                };
                self.take(2);
                self.place = next;
            }
            FormPlace::Head => return self.head(),
            FormPlace::Value => return self.value(),
            FormPlace::End => {
                return match self.rest.len() > 2 {
                    true => Err(FormError::Malformed("bytes follow its last boundary")),
                    false => Ok(false),
                };
            }
        }
        Ok(true)
    }

    fn head(&mut self) -> Result<bool, FormError> {
        /// What ends a head.
        const END: &[u8] = b"\r\n\r\n";
        let longest = LONGEST_HEAD + END.len();
        let looked = self.rest.get(..longest).unwrap_or(&self.rest);
        let Some(end) = memmem::find(looked, END) else {
            return match looked.len() == longest {
                true => Err(FormError::Malformed("the head of a part is too long")),
                false => Ok(false),
            };
        };
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(FormError::Malformed("it has too many parts"));
        }
        let head = self.rest.get(..end).unwrap_or_default();
        self.part = part_of(head, self.mark())?;
        self.take(end + 4);
        self.part.start = self.at;
        self.place = FormPlace::Value;
        Ok(true)
    }

    /// The delimiter without its line break.
    fn mark(&self) -> &[u8] {
        self.delimiter.get(LINE_BREAK.len()..).unwrap_or_default()
    }

    fn value(&mut self) -> Result<bool, FormError> {
        if let Some(end) = self.value_end()? {
            self.keep(end)?;
            self.take(end);
            self.ended()?;
            let length = self.delimiter.len();
            self.take(length);
            self.place = FormPlace::Behind;
            return Ok(true);
        }
        // What may be the beginning of a delimiter stays.
        let sure = self.rest.len().saturating_sub(self.delimiter.len());
        self.keep(sure)?;
        self.take(sure);
        Ok(false)
    }

    /// Where the delimiter behind the value begins. What stays of a value that goes on is as long as a delimiter: a mark
    /// that comes later has its line break before it.
    fn value_end(&self) -> Result<Option<usize>, FormError> {
        let starts = self.at == self.part.start;
        for at in memmem::find_iter(&self.rest, self.mark()) {
            let before = self.rest.get(..at).unwrap_or_default();
            if let Some(value) = before.strip_suffix(LINE_BREAK) {
                return Ok(Some(value.len()));
            }
            let is_line = matches!(before.last(), Some(b'\r' | b'\n'));
            if is_line || (starts && before.is_empty()) {
                return Err(FormError::Malformed(
                    "a boundary has no line break of its own before it",
                ));
            }
        }
        Ok(None)
    }

    /// The first bytes of what is there belong to the value of the part.
    fn keep(&mut self, length: usize) -> Result<(), FormError> {
        if self.part.is_file || length == 0 {
            return Ok(());
        }
        self.kept += length;
        if self.part.value.len() + length > LONGEST_VALUE || self.kept > MOST_VALUES {
            return Err(FormError::Malformed(
                "the value of a field that is no file is too long",
            ));
        }
        let value = self.rest.get(..length).unwrap_or_default();
        self.part.value.extend_from_slice(value);
        Ok(())
    }

    /// The value of the part is over.
    fn ended(&mut self) -> Result<(), FormError> {
        let part = std::mem::take(&mut self.part);
        for name in ["model", "stream"] {
            if part.name != name && plain(&part.name).eq_ignore_ascii_case(name) {
                return Err(FormError::Lookalike(name));
            }
            if part.name == name && part.is_file {
                return Err(FormError::NotText(name));
            }
            if part.name == name && self.fields.contains_key(name) {
                return Err(FormError::Duplicate(name));
            }
        }
        if part.is_file {
            return Ok(());
        }
        let text = String::from_utf8(part.value)
            .map_err(|_| FormError::Malformed("the value of a field is no text"))?;
        let value = match &*part.name {
            "model" => {
                self.model = Some(part.start..self.at);
                Value::from(text)
            }
            "stream" => match text.trim() {
                "true" | "True" | "1" => Value::from(true),
                "false" | "False" | "0" | "" => Value::from(false),
                _ => Value::from(text),
            },
            _ => Value::from(text),
        };
        self.fields.insert(part.name, value);
        Ok(())
    }
}

/// A name as the most generous reader understands it: without backslashes and spaces around it, percent signs decoded.
fn plain(name: &str) -> String {
    let plain = segment::decoded(name).replace('\\', "");
    plain.trim().to_owned()
}

/// What the head of a part says of it. `mark` is the boundary with its hyphens.
fn part_of(head: &[u8], mark: &[u8]) -> Result<FormPart, FormError> {
    let head = std::str::from_utf8(head)
        .map_err(|_| FormError::Malformed("the head of a part is no text"))?;
    let mut part = None;
    for line in head.split("\r\n") {
        if line.contains(['\n', '\r', '\0']) || line.starts_with([' ', '\t']) {
            return Err(FormError::Malformed("a line of a part's head is broken"));
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(FormError::Malformed("a line of a part's head has no colon"));
        };
        let is_mark = line.as_bytes().starts_with(mark);
        if is_mark || HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(FormError::Malformed("a line of a part's head is no header"));
        }
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" => {
                if part.is_some() {
                    return Err(FormError::Malformed("a part has two names"));
                }
                part = Some(disposition(value)?);
            }
            "content-type" if value.to_ascii_lowercase().starts_with("multipart/") => {
                return Err(FormError::Malformed("a part is a form itself"));
            }
            "content-transfer-encoding"
                if !["binary", "7bit", "8bit"]
                    .into_iter()
                    .any(|plain| value.eq_ignore_ascii_case(plain)) =>
            {
                return Err(FormError::Malformed("a part is encoded"));
            }
            _ => {}
        }
    }
    part.ok_or(FormError::Malformed("a part has no name"))
}

const ENCODED: FormError = FormError::Malformed("the name of a part is encoded");

/// What a part's `content-disposition` says of it.
fn disposition(value: &str) -> Result<FormPart, FormError> {
    let (kind, rest) = value.split_once(';').unwrap_or((value, ""));
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(FormError::Malformed("a part is not form-data"));
    }
    let mut part = FormPart::default();
    let mut named = false;
    let Some(all) = parameters(rest) else {
        return Err(FormError::Malformed("the name of a part is not clear"));
    };
    for (name, value) in all {
        match name.to_ascii_lowercase().as_str() {
            "name" if named => return Err(FormError::Malformed("a part has two names")),
            // An encoded word (RFC 2047).
            "name" if value.trim_start().starts_with("=?") => return Err(ENCODED),
            "name" => {
                named = true;
                part.name = value;
            }
            // Encoded, or in pieces (RFC 2231).
            name if name.starts_with("name*") => return Err(ENCODED),
            name if name == "filename" || name.starts_with("filename*") => part.is_file = true,
            _ => {}
        }
    }
    match named {
        true => Ok(part),
        false => Err(FormError::Malformed("a part has no name")),
    }
}

#[cfg(test)]
mod tests;
