//! The names of spans, their attributes and their events. OpenTelemetry's names come from the conventions behind
//! [`SCHEMA_URL`], which are still in development where they are about generative AI; the crate with constants has moved
//! those out. Names of our own begin with `pointsman.`. `docs/observability.md` explains each; a test compares.

use crate::domain::dialect::Operation;
use crate::wire::providers;

/// The conventions that the names are from: GenAI's, which include the general ones.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/gen-ai-dev/1.43.0-dev";

macro_rules! names {
    ($(#[$doc:meta])* $all:ident: $($name:ident = $text:literal,)*) => {
        $(
            #[doc = concat!("`", $text, "`")]
            pub const $name: &str = $text;
        )*
        $(#[$doc])*
        #[cfg(feature = "internals")]
        pub const $all: &[&str] = &[$($text),*];
    };
}

names! {
    /// The attributes of spans, their events and links.
    ATTRIBUTES:
    // Of requests: HTTP.
    HTTP_METHOD = "http.request.method",
    HTTP_ROUTE = "http.route",
    HTTP_STATUS = "http.response.status_code",
    HTTP_RESEND = "http.request.resend_count",
    URL_PATH = "url.path",
    URL_SCHEME = "url.scheme",
    ERROR_TYPE = "error.type",
    SERVER_ADDRESS = "server.address",
    SERVER_PORT = "server.port",
    // Of attempts: GenAI.
    GEN_AI_OPERATION = "gen_ai.operation.name",
    GEN_AI_PROVIDER = "gen_ai.provider.name",
    GEN_AI_REQUEST_MODEL = "gen_ai.request.model",
    GEN_AI_REQUEST_STREAM = "gen_ai.request.stream",
    GEN_AI_RESPONSE_ID = "gen_ai.response.id",
    GEN_AI_RESPONSE_MODEL = "gen_ai.response.model",
    GEN_AI_FINISH_REASONS = "gen_ai.response.finish_reasons",
    GEN_AI_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk",
    GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens",
    GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens",
    GEN_AI_CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens",
    GEN_AI_REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens",
    GEN_AI_INPUT = "gen_ai.input.messages",
    GEN_AI_OUTPUT = "gen_ai.output.messages",
    GEN_AI_INSTRUCTIONS = "gen_ai.system_instructions",
    // Our own.
    REQUEST_ID = "pointsman.request.id",
    TARGET = "pointsman.target",
    COST = "pointsman.cost",
    COST_KIND = "pointsman.cost.kind",
    RANKING = "pointsman.ranking",
    AFFINITY = "pointsman.affinity",
    LEFT_OUT = "pointsman.left_out",
    RESERVED = "pointsman.budget.reserved",
    CLIENT = "pointsman.client",
    OUTCOME = "pointsman.outcome",
    ATTEMPTS = "pointsman.attempts",
    KEPT = "pointsman.sampling.reason",
    UPSTREAM = "pointsman.upstream",
    FROM = "pointsman.from",
    KEY = "pointsman.key",
    WHY = "pointsman.attempt_reason",
    REASON = "pointsman.reason",
    UNTIL = "pointsman.until",
    WAITED = "pointsman.queue.wait",
    LINK = "pointsman.link",
    FIELDS = "pointsman.fields",
}

names! {
    /// The events of spans.
    EVENTS:
    DECLINED = "pointsman.declined",
    WAIT = "pointsman.wait",
    RETRY = "pointsman.retry",
    FAILOVER = "pointsman.failover",
    HEDGE = "pointsman.hedge",
    RESCUE = "pointsman.rescue",
    RESCUE_OBSTACLE = "pointsman.rescue_obstacle",
    REFUSED = "pointsman.refused",
    CALLER_LEFT = "pointsman.caller_left",
    FIRST_TOKEN = "pointsman.first_token",
    CANCELLED = "pointsman.cancelled",
    DROPPED = "pointsman.dropped",
}

/// What the convention calls an operation; it has no word for moderations.
pub const fn operation(operation: Operation) -> &'static str {
    operation.spec().convention
}

/// The convention's name of a provider, by its id in the catalogue; where the convention has none, the id.
pub fn provider(kind: &str) -> &str {
    providers::telemetry_name(kind)
}
