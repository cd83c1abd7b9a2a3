//! The seam between Pointsman and the APIs that it speaks: one trait for the side of upstreams, one for that of callers.
//!
//! A dialect is a folder of `wire/` that implements one of them or both, and a line in `wire/dialects.rs`; nothing else
//! names it. Where an upstream takes an operation as the caller's dialect has it, bytes pass as they came
//! (`wire/exchange.rs`); all others go through the neutral form of `wire/ir`.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::auth::AuthScheme;
use super::error_body::{ErrorBody, Trouble};
use super::inspection::{Inspection, StreamEvent};
use super::ir::{ChatAnswer, ChatRequest, Loss, Losses, StreamItem};
use super::model_entry::ModelEntry;
use super::overlong::Overlong;
use super::pieces::ReplayOptions;
use super::progress::Progress;
use super::request::{RequestDoc, RequestError};
use super::seals::Seals;
use super::spelling::Spelling;
use super::sse::RawEvent;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::rescue::Prefill;
use crate::domain::secret::ApiKey;

/// What an upstream speaks.
pub trait UpstreamDialect: fmt::Debug + Send + Sync {
    /// Its name in the configuration.
    fn id(&self) -> &'static str;

    /// The kind of provider that made it: in its words an upstream fails of which nothing better is known. Empty where others
    /// have words of their own.
    fn maker(&self) -> &'static str {
        self.id()
    }

    /// Whether calls go over a network, with keys and to an address; false for one that this process answers itself.
    fn is_remote(&self) -> bool {
        true
    }

    /// The same API as Google's cloud hosts it, where it does: there the model stands in the path.
    fn on_google(&self) -> Option<&'static dyn UpstreamDialect> {
        None
    }

    /// Whose models these are there, as its paths have it.
    fn publisher(&self) -> Option<&'static str> {
        None
    }

    /// The path below the API root for an operation that it takes in the caller's own form; `None` for all others. The
    /// path does not depend on the model.
    fn path(&self, operation: Operation) -> Option<&'static str>;

    /// Whether some providers of this dialect do not have an operation although [`path`](Self::path) knows it.
    fn is_doubtful(&self, _operation: Operation) -> bool {
        false
    }

    /// The path that a configured URL may end with, when it is the full URL of one operation and not an API root.
    fn full_path(&self) -> &'static str;

    /// The API root that a configured URL without a trailing slash stands for. Some providers have another API below the
    /// same host, whose root is often typed.
    fn root<'a>(&self, url: &'a str) -> &'a str {
        url
    }

    /// Whether its streams are lines of JSON and no events.
    fn streams_lines(&self) -> bool {
        false
    }

    /// The scheme by which [`authenticate`](Self::authenticate) lets a call in, for people.
    fn scheme(&self) -> AuthScheme {
        AuthScheme::Bearer
    }

    /// Puts the key where the API looks for it, marked as sensitive.
    fn authenticate(&self, headers: &mut HeaderMap, key: &ApiKey);

    /// Adds the other headers that the API wants to those of a call; `callers` are the caller's own.
    fn complete_headers(&self, _callers: &HeaderMap, _headers: &mut HeaderMap) {}

    /// The body of a translated conversation with `model`, with what the caller's headers say that has its place in bodies
    /// here. What has none is named.
    fn complete_body(
        &self,
        _model: &str,
        _callers: &HeaderMap,
        body: Bytes,
        _losses: &mut Losses,
    ) -> Bytes {
        body
    }

    /// The body of a call for `model`, with `params` filled in where the request does not say: the caller's bytes as far
    /// as they need no change.
    fn body(
        &self,
        _operation: Operation,
        doc: &RequestDoc,
        model: &str,
        params: &Map<String, Value>,
    ) -> Bytes {
        doc.rewritten(model, params)
    }

    /// What of a caller's bytes [`body`](Self::body) leaves out, because this upstream refuses it.
    fn left_out(&self, _operation: Operation, _doc: &RequestDoc) -> Losses {
        Losses::new()
    }

    /// Looks at the body of a 2xx, and notes what a good one says of itself.
    fn inspect(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        body: &Bytes,
        answered: Option<&mut ResponseMeta>,
    ) -> Inspection;

    /// Looks at one event of a stream.
    fn event(&self, operation: Operation, event: &RawEvent) -> StreamEvent;

    /// Adds what an event says of its answer: meant for the first events of a stream, and for those that complete a
    /// choice.
    fn note(&self, answered: &mut ResponseMeta, event: &RawEvent);

    /// The id of an answer, where its headers have it and its body does not.
    fn answer_id(&self, _headers: &HeaderMap) -> Option<String> {
        None
    }

    /// Whether `model` goes on from the beginning of an answer, when that is the last message of the conversation.
    fn takes_prefill(&self, _model: &str) -> bool {
        false
    }

    /// Whether such a message is refused where it ends in white space.
    fn trims_prefill(&self) -> bool {
        false
    }

    /// The body of a call whose last message is the beginning of the answer, with what says so in this form.
    fn marked(&self, body: Bytes, _form: Prefill) -> Bytes {
        body
    }

    /// Whether answers stay plain text, one to each request, with these `params` filled in.
    fn leaves_plain(&self, _params: &Map<String, Value>) -> bool {
        true
    }

    /// The operation of its own by which a conversation in the neutral form is asked for. `None` where it takes none:
    /// then the four below are not used.
    fn conversation(&self) -> Option<Operation> {
        None
    }

    /// Where a call of such an operation goes, where that depends on the model or on streaming.
    fn call_path(&self, operation: Operation, _model: &str, _stream: bool) -> Cow<'static, str> {
        self.path(operation).unwrap_or_default().into()
    }

    /// The body of a call from the neutral form, and what had no place in it. `params` are filled in where it does not
    /// say.
    fn encode_request(&self, request: ChatRequest, params: &Map<String, Value>) -> (Bytes, Losses);

    /// A whole answer in the neutral form.
    ///
    /// # Errors
    /// What makes it unreadable.
    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Loss>;

    /// Reads one streamed answer.
    fn event_decoder(&self) -> Box<dyn EventDecoder>;

    /// Reads one streamed answer for callers of the same dialect: what other dialects are to read in another way stays as it
    /// came.
    fn own_event_decoder(&self) -> Box<dyn EventDecoder> {
        self.event_decoder()
    }

    /// The operation of its own that counts the tokens of a conversation without answering it. `None` where it has none:
    /// then the two below are not used.
    fn counting(&self) -> Option<Operation> {
        None
    }

    /// The body of a call that counts.
    fn encode_count(&self, _request: ChatRequest) -> Bytes {
        Bytes::new()
    }

    /// What such a call's answer counts.
    fn decode_count(&self, _body: &[u8]) -> Option<u64> {
        None
    }

    /// What serves an operation of another dialect that is no conversation, such as embeddings.
    fn adapter(&self, _operation: Operation) -> Option<&'static dyn Adapter> {
        None
    }
}

/// Serves one operation that is no conversation by one of an upstream's own.
pub trait Adapter: fmt::Debug + Send + Sync {
    /// The upstream's operation.
    fn own(&self) -> Operation;

    /// The body of the call for `model`, with `params` filled in where the request does not say, and what had no place
    /// in it.
    ///
    /// # Errors
    /// A request that the upstream's operation cannot serve.
    fn request(
        &self,
        doc: &RequestDoc,
        model: &str,
        params: &Map<String, Value>,
    ) -> Result<(Bytes, Losses), Loss>;

    /// The answer to the request `doc` as its caller reads it.
    ///
    /// # Errors
    /// What makes it unreadable.
    fn answer(&self, doc: &RequestDoc, body: &[u8]) -> Result<Bytes, Loss>;
}

/// Reads one streamed answer into the neutral form, event by event.
pub trait EventDecoder: Send {
    /// What one event says.
    fn event(&mut self, event: &RawEvent) -> Vec<StreamItem>;
}

/// A decoder, and what makes its items such as other dialects are to read them.
pub struct SettledDecoder<D> {
    inner: D,
    settle: fn(Vec<StreamItem>) -> Vec<StreamItem>,
}

impl<D> SettledDecoder<D> {
    /// The items of `inner`, settled event by event.
    pub fn new(inner: D, settle: fn(Vec<StreamItem>) -> Vec<StreamItem>) -> Self {
        Self { inner, settle }
    }
}

impl<D> fmt::Debug for SettledDecoder<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SettledDecoder")
    }
}

impl<D: EventDecoder> EventDecoder for SettledDecoder<D> {
    fn event(&mut self, event: &RawEvent) -> Vec<StreamItem> {
        (self.settle)(self.inner.event(event))
    }
}

/// Writes one streamed answer from the neutral form.
pub trait EventEncoder: Send {
    /// The event or events that say all of this; empty for nothing.
    fn event(&mut self, items: Vec<StreamItem>) -> Bytes;

    /// What had no place in them, since it was last asked.
    fn losses(&mut self) -> Losses;
}

/// Reads what went out of one streamed answer, as far as another stream can go on from there.
pub trait SentEvents: fmt::Debug + Send {
    /// What an event says that went out; `None` when nothing can go on behind it.
    fn note(&mut self, event: &RawEvent) -> Option<Vec<StreamItem>>;

    /// Writes on from there, to the request `doc`, what is read from the dialect of the name `origin`.
    fn resumed(&self, doc: &RequestDoc, origin: &'static str) -> Box<dyn EventEncoder>;
}

impl PartialEq for dyn UpstreamDialect {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for dyn UpstreamDialect {}

/// How ids begin in a caller's dialect, as its vendor makes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdPrefixes {
    /// Those of answers.
    pub answer: &'static str,
    /// Those of tool calls.
    pub call: &'static str,
}

impl Default for IdPrefixes {
    fn default() -> Self {
        Self {
            answer: "",
            call: "call_",
        }
    }
}

/// What a caller speaks. Its routes are the operations whose rows name it (`domain/dialect.rs`).
pub trait CallerDialect: fmt::Debug + Send + Sync {
    /// Its name in the rows of operations.
    fn id(&self) -> &'static str;

    /// Whether a request to a route that is no operation, such as the list of models, shows that its caller speaks this.
    fn is_spoken(&self, _path: &str, _headers: &HeaderMap) -> bool {
        false
    }

    /// Reads the body of a request.
    ///
    /// # Errors
    /// What is wrong with it, in words for the caller.
    fn parse(&self, operation: Operation, body: Bytes) -> Result<RequestDoc, RequestError>;

    /// The same request for a streamed answer, with token counts at its end; `None` where it cannot be written.
    fn streamed(&self, _operation: Operation, doc: &RequestDoc) -> Option<RequestDoc> {
        doc.with(&[("stream", b"true".to_vec())])
    }

    /// Whether the request asks for token counts at the end of its stream.
    fn asks_for_usage(&self, doc: &RequestDoc) -> bool;

    /// An error of our own as an answer.
    fn error(&self, error: &ErrorBody<'_>) -> Bytes;

    /// The event that ends a stream which cannot be finished. No end mark follows. `so_far` is what the caller has of
    /// the answer, where [`repeats_progress`](Self::repeats_progress) says that it is needed.
    fn error_event(
        &self,
        operation: Operation,
        trouble: Trouble<'_>,
        request_id: &str,
        so_far: &Progress,
    ) -> Bytes;

    /// The same made from an upstream's own error, whose words are the best there are. `kind` is taken where it names
    /// none.
    fn error_event_from_body(
        &self,
        operation: Operation,
        body: &[u8],
        kind: &str,
        request_id: &str,
        so_far: &Progress,
    ) -> Bytes;

    /// Whether the caller's program understands an upstream's own error event as it came.
    fn is_understood(&self, operation: Operation, event: &RawEvent) -> bool;

    /// Whether an event that ends a stream must repeat what the caller has of it.
    fn repeats_progress(&self, operation: Operation) -> bool;

    /// Whether another attempt may continue a streamed answer to this request: one of plain text, bound to no form.
    fn may_be_rescued(&self, _operation: Operation, _doc: &RequestDoc) -> bool {
        false
    }

    /// The request for the rest of an answer of which `sent` is there, which took about `spent` tokens. `None` when it cannot
    /// be expressed: the conversation ends with the beginning of an answer already, or is none.
    fn continued(
        &self,
        _operation: Operation,
        _doc: &RequestDoc,
        _sent: &str,
        _spent: u64,
    ) -> Option<RequestDoc> {
        None
    }

    /// Whether the request of this operation for the rest of an answer is one like all others, which every upstream can serve:
    /// its prompt is a text that is gone on with.
    fn continues_itself(&self, _operation: Operation) -> bool {
        false
    }

    /// What reads the events that go out, where another stream must go on in their state; `None` where each event stands by
    /// itself, as the chunks of chat completions do.
    fn sent_events(&self) -> Option<Box<dyn SentEvents>> {
        None
    }

    /// How the ids begin that are made for answers whose upstream gives none.
    fn id_prefixes(&self, _operation: Operation) -> IdPrefixes {
        IdPrefixes::default()
    }

    /// How this id of a call is written for its callers.
    fn call_id(&self, id: &str) -> String {
        id.to_owned()
    }

    /// The words for a request that fits into no context window, as its vendor's clients look for them.
    fn too_long(&self, size: Overlong) -> String {
        size.in_usual_words()
    }

    /// What marks the end of a whole stream, where the operation has such a mark.
    fn end_mark(&self, operation: Operation) -> Option<Bytes>;

    /// Bytes of text that an answer, or one event's data, says.
    fn text_bytes(&self, data: &[u8]) -> u64;

    /// The list of models.
    fn models(&self, entries: &[ModelEntry]) -> Bytes;

    /// The description of one model.
    fn model(&self, entry: &ModelEntry) -> Bytes;

    /// What it calls the fields of the neutral form, for naming those that were lost.
    fn spelling(&self) -> Spelling {
        &[]
    }

    /// The field of a request that refers to what a provider holds, such as an earlier answer: only that provider can
    /// serve it.
    fn held_state(&self, _operation: Operation, _doc: &RequestDoc) -> Option<&'static str> {
        None
    }

    /// The request without such sealed content; `None` where it has none.
    fn without_seals(
        &self,
        _operation: Operation,
        _doc: &RequestDoc,
        _seals: Seals,
    ) -> Option<RequestDoc> {
        None
    }

    /// The request in the neutral form; `None` for an operation that is no conversation.
    fn decode_request(
        &self,
        operation: Operation,
        doc: &RequestDoc,
    ) -> Option<Result<ChatRequest, Loss>>;

    /// A whole answer to the request `doc` from the neutral form, and what had no place in it.
    fn encode_answer(
        &self,
        operation: Operation,
        doc: &RequestDoc,
        answer: ChatAnswer,
    ) -> (Bytes, Losses);

    /// Writes one streamed answer to the request `doc` that is read from the dialect of the name `origin`.
    fn event_encoder(
        &self,
        operation: Operation,
        doc: &RequestDoc,
        origin: &'static str,
    ) -> Box<dyn EventEncoder>;

    /// A whole answer in this dialect as the events of a streamed one; `None` for an operation that has no streams.
    fn replayed(
        &self,
        _operation: Operation,
        _answer: Value,
        _options: ReplayOptions,
    ) -> Option<Vec<Bytes>> {
        None
    }

    /// The answer to a request that only counts its tokens.
    fn encode_count(&self, _operation: Operation, _tokens: u64) -> Bytes {
        Bytes::new()
    }
}
