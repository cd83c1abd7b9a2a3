//! Every instrument: what it is called, in which unit, by which labels it is split and what it means.
//! `docs/observability.md` says the same, and a test holds both together.

/// What kind of instrument it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum InstrumentKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often what was measured lay below each of these bounds.
    Histogram(&'static [f64]),
}

/// One instrument.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spec {
    /// Its name in OpenTelemetry.
    pub name: &'static str,
    /// Its unit in UCUM; in braces: a word for what is counted.
    pub unit: &'static str,
    /// The instrument's kind.
    pub kind: InstrumentKind,
    /// By what it is split.
    pub labels: &'static [&'static str],
    /// The instrument's description.
    pub about: &'static str,
    /// How many different sets of labels there may be; what comes beyond is counted as `otel_metric_overflow`.
    pub most: Most,
}

/// How many different sets of labels an instrument has room for. Its library takes memory for all of them at once, so it
/// is as many as the configuration can come to need at its start, and as many again for later ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Most {
    /// A fixed number of series.
    Fixed(usize),
    /// This many series for each upstream.
    PerUpstream(usize),
    /// This many series for each target.
    PerTarget(usize),
    /// This many series for each client and target.
    PerCaller(usize),
    /// This many series for each client and upstream.
    PerSpender(usize),
    /// This many series for each key.
    PerKey(usize),
}

/// What a configuration has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    /// Upstreams that it names.
    pub upstreams: usize,
    /// The number of clients.
    pub clients: usize,
    /// Targets that it names.
    pub targets: usize,
    /// The number of keys.
    pub keys: usize,
}

impl Most {
    /// Memory is bounded all the same.
    const EVER: usize = 20_000;

    /// The number of series for a configuration of these sizes.
    pub fn of(self, sizes: Sizes) -> usize {
        // What is not named needs a place too.
        let some = |count: usize| 2 * (count + 2);
        let most = match self {
            Self::Fixed(most) => most,
            Self::PerUpstream(each) => each * some(sizes.upstreams),
            Self::PerTarget(each) => each * some(sizes.targets),
            // Most clients ask for few of the targets.
            Self::PerCaller(each) => each * (some(sizes.clients) + some(sizes.targets)),
            // Most clients are served by few of the upstreams.
            Self::PerSpender(each) => each * (some(sizes.clients) + some(sizes.upstreams)),
            Self::PerKey(each) => each * some(sizes.keys),
        };
        most.clamp(1, Self::EVER)
    }
}

impl Spec {
    /// Its name in Prometheus's text form (OpenTelemetry's rules of translation).
    #[cfg(feature = "internals")]
    pub fn exposed(&self) -> String {
        let mut name = self.name.replace('.', "_");
        name.push_str(match self.unit {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        });
        if self.kind == InstrumentKind::Counter {
            name.push_str("_total");
        }
        name
    }

    /// Its kind in Prometheus's text form.
    #[cfg(feature = "internals")]
    pub fn exposed_kind(&self) -> &'static str {
        match self.kind {
            InstrumentKind::Counter => "counter",
            InstrumentKind::Gauge => "gauge",
            InstrumentKind::Histogram(_) => "histogram",
        }
    }

    /// The names of its labels in Prometheus's text form.
    #[cfg(feature = "internals")]
    pub fn exposed_labels(&self) -> impl Iterator<Item = String> {
        self.labels.iter().map(|label| label.replace('.', "_"))
    }
}

/// The bounds that HTTP's conventions name.
const HTTP: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// The bounds that the conventions of generative AI name for times.
const TIMES: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// The buckets for token counts.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Theirs for one token.
const PER_TOKEN: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];
/// Of whole requests: few, there may be many targets.
const WHOLE: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// Places in a ranking.
const PLACES: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 16.0, 32.0];
/// Attempts of one request.
const ATTEMPTS_EACH: &[f64] = &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 16.0, 32.0];
/// What we add: from ten microseconds.
const OWN_TIME: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05,
    0.25, 1.0,
];
/// In the waiting room.
const WAITS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

const ONE: Most = Most::Fixed(1);
/// Of words of the program.
const WORDS: Most = Most::Fixed(48);

macro_rules! specs {
    ($($kind:expr, $most:expr, $id:ident = $name:literal $unit:literal [$($label:literal),*] $about:literal;)*) => {
        $(
            #[doc = $about]
            pub(super) const $id: Spec = Spec {
                name: $name,
                unit: $unit,
                kind: $kind,
                labels: &[$($label),*],
                about: $about,
                most: $most,
            };
        )*
        /// All instruments.
        pub const ALL: &[Spec] = &[$($id),*];
    };
}

use InstrumentKind::{Counter, Gauge, Histogram};

specs! {
    // Requests.
    Histogram(HTTP), Most::Fixed(96), HTTP_DURATION = "http.server.request.duration" "s"
        ["http.request.method", "http.route", "http.response.status_code", "error.type"]
        "Time from a request's arrival to its end";
    Counter, Most::PerCaller(6), REQUESTS = "pointsman.requests" "{request}" ["target", "client", "outcome"]
        "Requests that have ended, those that were refused on arrival included";
    Histogram(WHOLE), Most::PerTarget(1), REQUEST_DURATION = "pointsman.request.duration" "s" ["target"]
        "Time from a request's arrival to its end, of those that were answered or failed, not refused on arrival or left by their caller";
    Histogram(ATTEMPTS_EACH), ONE, REQUEST_ATTEMPTS = "pointsman.request.attempts" "{attempt}" []
        "Attempts that one request took";
    Histogram(OWN_TIME), ONE, OVERHEAD = "pointsman.overhead" "s" []
        "What a request took beside its attempts and its waits: what Pointsman itself added";
    Histogram(WAITS), Most::Fixed(2), WAITS_TAKEN = "pointsman.queue.wait" "s" ["result"]
        "Time in the waiting room, of those that were there";
    Gauge, ONE, WAITING = "pointsman.queue.depth" "{request}" []
        "Requests in the waiting room";
    Gauge, ONE, IN_FLIGHT = "pointsman.requests.in_flight" "{request}" []
        "Requests under way";
    Gauge, ONE, BUFFERED = "pointsman.buffered" "By" []
        "Bytes of bodies and answers that are held";
    Gauge, ONE, BUFFERED_LIMIT = "pointsman.buffered.limit" "By" []
        "Bytes of bodies and answers that may be held (server.max_buffered)";
    Gauge, Most::PerCaller(1), CLIENT_IN_FLIGHT = "pointsman.client.in_flight" "{request}" ["client"]
        "Requests of a client under way";
    // Attempts.
    Counter, Most::PerUpstream(16), ATTEMPTS = "pointsman.attempts" "{attempt}" ["upstream", "outcome", "attempt_reason"]
        "Attempts that have ended, by what became of them and why they were made";
    Histogram(TIMES), Most::PerUpstream(10), OPERATION_DURATION = "gen_ai.client.operation.duration" "s"
        ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address", "error.type"]
        "Time that an attempt took";
    Histogram(TIMES), Most::PerUpstream(2), FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk" "s"
        ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address"]
        "Time from an attempt's start to the first content of its stream";
    Histogram(TOKENS), Most::PerUpstream(4), TOKEN_USAGE = "gen_ai.client.token.usage" "{token}"
        ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type"]
        "Tokens of one answer, as its upstream counted them";
    Histogram(PER_TOKEN), Most::PerUpstream(1), PER_OUTPUT_TOKEN = "pointsman.time_per_output_token" "s" ["upstream"]
        "Time for each token of a streamed answer after the first";
    Counter, Most::PerUpstream(5), TOKENS_USED = "pointsman.tokens" "{token}" ["upstream", "type"]
        "Tokens as upstreams counted them: input with cached_input and cache_write in it, output with reasoning in it";
    Counter, Most::PerSpender(3), COST = "pointsman.cost" "{currency}" ["upstream", "client", "kind"]
        "What attempts cost, as far as that is known, in the currency of the prices; kind: real, upstream (its own figure), estimated";
    Histogram(PLACES), Most::PerTarget(1), RANKED_PLACE = "pointsman.ranking.place" "{place}" ["target"]
        "Place in the ranking that was made for a request, from 1, of the upstream that served it; only of targets that are ranked for each request";
    Counter, Most::PerTarget(3), AFFINITY = "pointsman.affinity" "{request}" ["target", "result"]
        "Requests of conversations that are kept together, by where they were served: home, over_bound (home had its share), moved (home was out)";
    Counter, Most::PerTarget(1), CONDITIONS_FAILED = "pointsman.conditions.failed" "{condition}" ["target"]
        "Upstreams that were left out because their expression (when.cel, policy.cel) failed for a request";
    Gauge, Most::PerKey(8), BUDGET_AMOUNT = "pointsman.budget.amount" "{currency}" ["of", "name", "number", "every"]
        "What may be spent in a window of a budget";
    Gauge, Most::PerKey(8), BUDGET_SPENT = "pointsman.budget.spent" "{currency}" ["of", "name", "number", "every"]
        "What was spent in the present window of a budget";
    Gauge, Most::PerKey(8), BUDGET_RESERVED = "pointsman.budget.reserved" "{currency}" ["of", "name", "number", "every"]
        "What requests under way have reserved in a budget";
    // Kept answers.
    Counter, WORDS, CACHE_LOOKUPS = "pointsman.cache.lookups" "{request}" ["result"]
        "Requests for targets of which answers are kept or shared, by what came of it: hit, miss, bypass, coalesced, stale";
    Counter, ONE, CACHE_SAVED_TOKENS = "pointsman.cache.saved_tokens" "{token}" []
        "Tokens of answers that no upstream was asked for, as far as they are known";
    Counter, ONE, CACHE_SAVED_COST = "pointsman.cache.saved_cost" "{currency}" []
        "What these answers cost the first time, as far as that is known";
    Gauge, ONE, CACHE_ENTRIES = "pointsman.cache.entries" "{entry}" []
        "Answers that are kept in memory";
    Gauge, ONE, CACHE_SIZE = "pointsman.cache.size" "By" []
        "Bytes of answers that are kept in memory";
    Gauge, ONE, CACHE_LIMIT = "pointsman.cache.limit" "By" []
        "Bytes of answers that may be kept in memory (cache.max_size)";
    // The fleet.
    Gauge, ONE, FLEET_UP = "pointsman.fleet.up" "{state}" []
        "Whether the fleet's store can be asked: 1, or 0";
    Gauge, ONE, FLEET_LAG = "pointsman.fleet.lag" "s" []
        "How long the last fact of the fleet took from the store to here";
    Gauge, ONE, FLEET_NODES = "pointsman.fleet.nodes" "{process}" []
        "Processes of the fleet that were there at the last look";
    Gauge, ONE, FLEET_FACTS = "pointsman.fleet.facts" "{fact}" []
        "Facts of the fleet that are known";
    Gauge, ONE, FLEET_UNSENT = "pointsman.fleet.unsent_facts" "{fact}" []
        "Facts that the fleet's store has not got yet";
    Gauge, Most::PerKey(8), FLEET_SHARE = "pointsman.fleet.share" "{unit}" ["of", "name", "limit"]
        "What this process may use of a limit that a fleet shares";
    Gauge, Most::PerKey(8), FLEET_CLAIM = "pointsman.fleet.claim" "{currency}" ["of", "name", "every"]
        "What this process has claimed of a budget that a fleet shares, and not spent";
    // Upstreams.
    Gauge, Most::PerUpstream(1), BREAKER = "pointsman.breaker.state" "{state}" ["upstream", "state"]
        "1 for the state that an upstream's circuit breaker is in";
    Gauge, Most::PerUpstream(1), UPSTREAM_KEYS = "pointsman.upstream.keys" "{key}" ["upstream"]
        "Keys of an upstream";
    Gauge, Most::PerUpstream(1), UPSTREAM_USABLE = "pointsman.upstream.usable_keys" "{key}" ["upstream"]
        "Keys that an upstream may be asked with now; 0 too while its breaker is open or its provider is out";
    // Keys.
    Gauge, Most::PerKey(1), KEY_STATE = "pointsman.key.state" "{state}" ["key", "state"]
        "1 for the state that a key is in for all models";
    Gauge, Most::PerKey(1), KEY_COOLDOWN = "pointsman.key.cooldown" "s" ["key"]
        "Time until the last cooldown of a key ends, for whichever model; 0: none";
    Gauge, Most::PerKey(1), KEY_IN_FLIGHT = "pointsman.key.in_flight" "{attempt}" ["key"]
        "Attempts under way with a key";
    Counter, Most::PerKey(1), KEY_ATTEMPTS = "pointsman.key.attempts" "{attempt}" ["key"]
        "Attempts that were started with a key";
    Gauge, Most::PerKey(1), KEY_CONCURRENCY = "pointsman.key.concurrency_limit" "{attempt}" ["key"]
        "Attempts that a key may have under way, as far as configured or learned";
    Gauge, Most::PerKey(4), KEY_LIMIT = "pointsman.key.limit" "{unit}" ["key", "model", "unit"]
        "A limit of a key, as its upstream reported it";
    Gauge, Most::PerKey(4), KEY_REMAINING = "pointsman.key.remaining" "{unit}" ["key", "model", "unit"]
        "What is left of a limit of a key, by its upstream's last report";
    // Actors.
    Gauge, Most::PerKey(2), ACTOR_STATE = "pointsman.actor.state" "{state}" ["actor", "state"]
        "1 for the state that an actor is in: up, restarting, quarantined";
    Counter, Most::PerKey(2), ACTOR_RESTARTS = "pointsman.actor.restarts" "{restart}" ["actor"]
        "How often an actor was started again";
    Gauge, Most::PerKey(2), MAILBOX = "pointsman.mailbox.depth" "{message}" ["actor"]
        "Messages that an actor has still to handle";
    // The process and its configuration.
    Counter, WORDS, RELOADS = "pointsman.config.reloads" "{reload}" ["trigger", "result"]
        "Configurations that were read again, and whether they were taken over";
    Gauge, ONE, GENERATION = "pointsman.config.generation" "{generation}" []
        "The configuration that holds, counted from 0 at the start";
    Gauge, ONE, RELOAD_GOOD = "pointsman.config.last_reload.successful" "{flag}" []
        "Whether the last configuration that was read was taken over";
    Gauge, ONE, RELOADED_AT = "pointsman.config.last_reload.success_timestamp" "s" []
        "When the configuration that holds was taken over, since 1970";
    Gauge, ONE, DRAINING = "pointsman.draining" "{flag}" []
        "Whether the shutdown has begun";
    Counter, WORDS, EVENTS = "pointsman.events" "{event}" ["event"]
        "Changes of state in the log and the event feed";
    Counter, WORDS, EXPORTS = "pointsman.otlp.exports" "{export}" ["signal", "result"]
        "What was pushed by OTLP, and whether it arrived";
    Counter, WORDS, SPANS = "pointsman.otlp.spans" "{span}" ["result"]
        "Spans that a receiver took or did not take, and requests of which none were made because too many waited";
    Counter, ONE, LOG_DROPPED = "pointsman.log.dropped" "{line}" []
        "Log lines that were lost because they are not read as fast as they come";
    Gauge, ONE, BUILD = "pointsman.build.info" "{build}" ["version"]
        "1, with the version";
    Gauge, ONE, STARTED = "process.start_time" "s" []
        "When the process started, since 1970";
    Gauge, ONE, MEMORY = "process.resident_memory" "By" []
        "Memory that the process has";
    Counter, ONE, CPU = "process.cpu" "s" []
        "Processor time that the process took";
    Gauge, ONE, FILES = "process.open_fds" "{fd}" []
        "Files and connections that are open";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_bounds_grow() {
        let names: BTreeSet<String> = ALL.iter().map(Spec::exposed).collect();
        assert_eq!(names.len(), ALL.len());
        for spec in ALL {
            if let Histogram(bounds) = spec.kind {
                assert!(bounds.is_sorted() && bounds.len() < 15, "{}", spec.name);
            }
            assert!(!spec.about.ends_with('.'), "{}", spec.name);
        }
    }
}
