//! Reads one HTTP/1.1 answer of a process of ours, in whatever pieces it comes: for commands that measure, where a client
//! library would take as long as what is measured.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::json::value;

/// The longest head, in bytes.
const MOST_HEAD: usize = 64 * 1024;
/// The longest line with the length of a chunk, in bytes.
const MOST_LINE: usize = 1024;

/// Why an answer cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("what came is no HTTP/1.1 answer")]
pub struct NotAnAnswer;

/// Where in an answer the next byte belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ReadState {
    Head,
    /// So many bytes of the body.
    Length(usize),
    /// The line with the length of a chunk.
    ChunkLine,
    /// So many bytes of a chunk.
    Chunk(usize),
    /// The end of the line behind a chunk.
    ChunkEnd,
    /// What follows the last chunk.
    Trailer,
    /// Everything up to the end of the connection.
    UntilClose,
    Done,
}

/// Reads one answer.
#[derive(Debug)]
pub struct AnswerReader {
    state: ReadState,
    /// A head, or a line, that is not complete yet.
    line: Vec<u8>,
    head: String,
    /// Of the head; 0 while it is not there.
    status: u16,
    body: Vec<u8>,
}

impl Default for AnswerReader {
    fn default() -> Self {
        Self {
            state: ReadState::Head,
            line: Vec::new(),
            head: String::new(),
            status: 0,
            body: Vec::new(),
        }
    }
}

impl AnswerReader {
    /// Takes what came next. Bytes behind the answer's end are left out.
    ///
    /// # Errors
    /// It is no HTTP/1.1.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), NotAnAnswer> {
        while !bytes.is_empty() && self.state != ReadState::Done {
            bytes = match self.state {
                ReadState::Head => self.feed_head(bytes)?,
                ReadState::Length(left) => {
                    let (taken, rest) = self.take(bytes, left);
                    self.state = match left - taken {
                        0 => ReadState::Done,
                        left => ReadState::Length(left),
                    };
                    rest
                }
                ReadState::Chunk(left) => {
                    let (taken, rest) = self.take(bytes, left);
                    self.state = match left - taken {
                        0 => ReadState::ChunkEnd,
                        left => ReadState::Chunk(left),
                    };
                    rest
                }
                ReadState::UntilClose => self.take(bytes, usize::MAX).1,
                ReadState::ChunkLine | ReadState::ChunkEnd | ReadState::Trailer => {
                    self.feed_line(bytes)?
                }
                ReadState::Done => return Ok(()),
            };
        }
        Ok(())
    }

    /// Takes at most so many bytes into the body.
    fn take<'b>(&mut self, bytes: &'b [u8], most: usize) -> (usize, &'b [u8]) {
        let (now, rest) = bytes.split_at(bytes.len().min(most));
        self.body.extend_from_slice(now);
        (now.len(), rest)
    }

    fn feed_head<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], NotAnAnswer> {
        let before = self.line.len();
        // Most often all of it comes at once.
        let all = match before {
            0 => bytes,
            _ => {
                self.line.extend_from_slice(bytes);
                &self.line
            }
        };
        let Some(end) = memchr::memmem::find(all, b"\r\n\r\n") else {
            if before == 0 {
                self.line.extend_from_slice(bytes);
            }
            return match self.line.len() > MOST_HEAD {
                true => Err(NotAnAnswer),
                false => Ok(&[]),
            };
        };
        let head = all.get(..end).unwrap_or_default();
        self.head = String::from_utf8_lossy(head).into_owned();
        self.line = Vec::new();
        let status = self.head.split_whitespace().nth(1);
        self.status = status.and_then(|it| it.parse().ok()).unwrap_or(0);
        if !self.head.starts_with("HTTP/1.") || self.status == 0 {
            return Err(NotAnAnswer);
        }
        self.state = if matches!(self.status, 100..=199) {
            ReadState::Head
        } else if self.header("transfer-encoding").is_some() {
            ReadState::ChunkLine
        } else {
            match self.header("content-length").map(str::parse) {
                Some(Ok(0)) => ReadState::Done,
                Some(Ok(length)) => ReadState::Length(length),
                Some(Err(_)) => return Err(NotAnAnswer),
                None if matches!(self.status, 204 | 304) => ReadState::Done,
                None => ReadState::UntilClose,
            }
        };
        Ok(bytes.get(end + 4 - before..).unwrap_or_default())
    }

    fn feed_line<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], NotAnAnswer> {
        let end = memchr::memchr(b'\n', bytes);
        let (now, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        self.line.extend_from_slice(now);
        if self.line.len() > MOST_LINE {
            return Err(NotAnAnswer);
        }
        if end.is_none() {
            return Ok(rest);
        }
        let line = std::mem::take(&mut self.line);
        let text = std::str::from_utf8(&line).map_err(|_| NotAnAnswer)?.trim();
        self.state = match self.state {
            ReadState::ChunkLine => {
                let digits = text.split(';').next().unwrap_or_default().trim();
                match usize::from_str_radix(digits, 16).map_err(|_| NotAnAnswer)? {
                    0 => ReadState::Trailer,
                    length => ReadState::Chunk(length),
                }
            }
            ReadState::ChunkEnd if text.is_empty() => ReadState::ChunkLine,
            ReadState::Trailer if text.is_empty() => ReadState::Done,
            ReadState::Trailer => ReadState::Trailer,
            _ => return Err(NotAnAnswer),
        };
        Ok(rest)
    }

    /// Whether all of it is there.
    pub fn is_done(&self) -> bool {
        self.state == ReadState::Done
    }

    /// Whether all of it is there, now that the connection has ended.
    pub fn is_done_at_end(&self) -> bool {
        matches!(self.state, ReadState::Done | ReadState::UntilClose)
    }

    /// Whether its head is there.
    pub fn has_head(&self) -> bool {
        self.state != ReadState::Head
    }

    /// Whether anything came.
    pub fn has_begun(&self) -> bool {
        self.has_head() || !self.line.is_empty()
    }

    /// Its status; 0 while it is not there.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.head.as_bytes();
        let mut ends = memchr::memchr_iter(b'\n', head);
        // Each line by where the one before it ends: the first has no field.
        let value = ends.find_map(|end| {
            let (named, value) = self.head.get(end + 1..)?.split_at_checked(name.len())?;
            let is_it = value.starts_with(':') && named.eq_ignore_ascii_case(name);
            is_it.then(|| value.get(1..)?.lines().next())?
        });
        value.map(str::trim)
    }

    /// The part of the body that came since this was last asked.
    pub fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }
}

/// What an answer, or one event of a stream, of chat completions says to those who measure.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ToldTokens {
    /// It has content: text, reasoning, a call of a tool.
    pub has_content: bool,
    /// It says how the answer ended.
    pub is_finished: bool,
    /// It is the mark behind the last event.
    pub is_last: bool,
    /// Tokens of prompt and answer.
    pub usage: Option<(u64, u64)>,
    /// The code of an error, or its kind.
    pub error: Option<String>,
}

/// What the data of an event, or a whole body, says.
pub fn told_tokens(data: &[u8]) -> ToldTokens {
    if data == b"[DONE]" {
        return ToldTokens {
            is_last: true,
            ..ToldTokens::default()
        };
    }
    let Ok(answer) = serde_json::from_slice::<ToldFields>(data) else {
        return ToldTokens::default();
    };
    let choices = answer.choices.and_then(|it| value(it.get().as_bytes()));
    let choice = choices.as_ref().map_or(&Value::Null, |it| &it[0]);
    let part = ["delta", "message"]
        .into_iter()
        .find_map(|name| choice.get(name));
    let is_said = |value: &Value| match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    let fields = [
        "content",
        "reasoning_content",
        "reasoning",
        "tool_calls",
        "refusal",
    ];
    let mut said = fields.iter().filter_map(|field| part?.get(field));
    ToldTokens {
        has_content: said.any(is_said),
        is_finished: choice["finish_reason"].is_string(),
        is_last: false,
        usage: answer.usage(),
        error: answer.error(),
    }
}

/// What a whole answer says of its tokens, and its error: all that is to be known of it beside its head.
pub fn told_usage(body: &[u8]) -> (Option<(u64, u64)>, Option<String>) {
    let answer = serde_json::from_slice::<ToldFields>(body);
    answer.map_or((None, None), |answer| (answer.usage(), answer.error()))
}

/// The members of an answer that matter here, unread: texts are most of it.
#[derive(Deserialize)]
struct ToldFields<'a> {
    #[serde(borrow, default)]
    choices: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl ToldFields<'_> {
    fn usage(&self) -> Option<(u64, u64)> {
        let usage = value(self.usage?.get().as_bytes())?;
        let count = |name: &str| usage[name].as_u64();
        count("completion_tokens").map(|output| (count("prompt_tokens").unwrap_or(0), output))
    }

    fn error(&self) -> Option<String> {
        let error = value(self.error?.get().as_bytes()).filter(|error| !error.is_null())?;
        let word = ["code", "type"]
            .into_iter()
            .find_map(|name| error[name].as_str());
        Some(word.unwrap_or("error").to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-pointsman-attempts: 2\r\n\r\nhelloHTTP";
    const CHUNKED: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                           5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nx: y\r\n\r\n";

    fn read(text: &str, size: usize) -> (AnswerReader, String) {
        let mut reader = AnswerReader::default();
        let mut body = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            reader.feed(piece).unwrap();
            body.extend(reader.take_body());
        }
        (reader, String::from_utf8(body).unwrap())
    }

    #[test]
    fn an_answer_is_read_in_any_pieces() {
        for size in 1..80 {
            let (reader, body) = read(WHOLE, size);
            assert_eq!((body.as_str(), reader.status()), ("hello", 200), "{size}");
            assert_eq!(reader.header("x-pointsman-attempts"), Some("2"));
            let (reader, body) = read(CHUNKED, size);
            assert!(reader.is_done(), "{size}");
            assert_eq!(body, "hello world", "{size}");
        }
        let (reader, body) = read("HTTP/1.1 200 OK\r\n\r\nall", 2);
        assert!(!reader.is_done() && reader.is_done_at_end() && body == "all");
    }

    #[test]
    fn an_event_says_whether_a_token_came() {
        let told = |json: &str| told_tokens(json.as_bytes());
        assert!(!told(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#).has_content);
        assert!(told(r#"{"choices":[{"delta":{"content":"a"}}]}"#).has_content);
        assert!(told(r#"{"choices":[{"delta":{"reasoning_content":"a"}}]}"#).has_content);
        assert!(told(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#).is_finished);
        assert!(told("[DONE]").is_last);
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        assert_eq!(told(usage).usage, Some((3, 4)));
        assert_eq!(told_usage(usage.as_bytes()), (Some((3, 4)), None));
        let error = told(r#"{"error":{"code":null,"type":"api_error"}}"#).error;
        assert_eq!(error.as_deref(), Some("api_error"));
        assert_eq!(told("<html>"), ToldTokens::default());
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1usize..40) {
            let mut reader = AnswerReader::default();
            for piece in bytes.chunks(size) {
                let _ = reader.feed(piece);
            }
            let _ = told_tokens(&bytes);
        }

        #[test]
        fn lengths_that_are_none_are_refused(line in "[^\r\n]{0,20}") {
            let text = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{line}\r\n");
            let _ = AnswerReader::default().feed(text.as_bytes());
        }
    }
}
