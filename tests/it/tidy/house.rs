//! The plan of the house: which module is on which floor, which crate may be named where, and what is
//! known to be out of order.

/// Every top-level module, its floor, and its neighbours on that floor that it may use.
pub const FLOORS: [(&str, u8, &[&str]); 20] = [
    ("domain", 0, &[]),
    ("wire", 1, &[]),
    ("config", 2, &[]),
    ("access", 3, &[]),
    ("affinity", 3, &["runtime"]),
    ("budgets", 3, &["runtime", "telemetry"]),
    ("import", 3, &[]),
    ("runtime", 3, &[]),
    ("store", 3, &[]),
    ("telemetry", 3, &["runtime"]),
    ("upstream", 3, &["runtime"]),
    ("actors", 4, &[]),
    ("dispatch", 5, &[]),
    ("admin", 6, &[]),
    ("api", 6, &[]),
    ("listener", 6, &[]),
    ("app", 7, &[]),
    ("cli", 7, &["app"]),
    ("main", 7, &["app", "cli"]),
    ("lib", 7, &[]),
];

/// Every dependency, where it may be named, and where else its job is done.
pub const CRATES: &[(&str, &[&str], &str)] = &[
    (
        "ractor",
        &["actors"],
        "actors stay behind `actors::tree::TreeClient` and its statuses",
    ),
    ("axum", &["admin", "api"], "HTTP towards callers is floor 6"),
    (
        "hyper",
        &["admin", "api", "listener", "upstream"],
        "HTTP towards callers is floor 6, towards providers `upstream::Transport`",
    ),
    (
        "hyper_util",
        &["admin", "api", "listener", "upstream"],
        "HTTP towards callers is floor 6, towards providers `upstream::Transport`",
    ),
    (
        "tokio_rustls",
        &[
            "listener/tls.rs",
            "listener/connection.rs",
            "upstream/clients.rs",
            "upstream/client_options.rs",
            "upstream/connector.rs",
        ],
        "towards callers use `listener::Tls`, towards providers `upstream::Transport`",
    ),
    ("socket2", &["listener/socket.rs"], "use `listener::bind`"),
    (
        "rustix",
        &["runtime/descriptors.rs"],
        "use `runtime::descriptors`",
    ),
    ("tempfile", &["runtime/spool.rs"], "use `runtime::spool`"),
    (
        "memmap2",
        &["runtime/gathered_bytes.rs"],
        "use `runtime::gathered_bytes`",
    ),
    (
        "listenfd",
        &["listener/passed.rs"],
        "use `listener::Passed`",
    ),
    (
        "sd_notify",
        &["app.rs"],
        "the service manager hears of the whole process",
    ),
    (
        "clap",
        &["cli"],
        "arguments become a `config::LoadRequest` on floor 7",
    ),
    (
        "clap_complete",
        &["cli"],
        "the command line is described on floor 7",
    ),
    (
        "clap_mangen",
        &["cli"],
        "the command line is described on floor 7",
    ),
    (
        "yaml_rust2",
        &["import/source.rs"],
        "others' files are read by `import::source`, the configuration by `config`",
    ),
    (
        "ratatui",
        &["cli/top"],
        "only `pointsman top` draws; other commands print",
    ),
    (
        "reqwest",
        &["telemetry/otlp.rs"],
        "calls to providers go by `upstream::Transport`",
    ),
    (
        "tower_service",
        &["upstream/connector.rs", "upstream/dns.rs"],
        "connections to providers are made there",
    ),
    (
        "hyper_rustls",
        &["upstream/connector.rs"],
        "connections to providers are made there",
    ),
    (
        "rustls_platform_verifier",
        &["upstream/clients.rs"],
        "certificates of providers are verified there",
    ),
    (
        "url",
        &["upstream/http_client.rs", "upstream/clients.rs"],
        "URLs of calls are made there",
    ),
    ("config", &["config"], "use `crate::config::Config`"),
    (
        "regex",
        &["config", "wire"],
        "texts are recognised on floors 1 and 2",
    ),
    (
        "tracing_subscriber",
        &["telemetry"],
        "emit events with `tracing`",
    ),
    (
        "tracing",
        &[
            "telemetry",
            "upstream",
            "actors",
            "dispatch",
            "api",
            "listener",
            "app",
            "cli",
        ],
        "floors 0 to 2 return what there is to log",
    ),
    (
        "tokio",
        &[
            "affinity",
            "budgets",
            "runtime",
            "telemetry",
            "upstream",
            "actors",
            "dispatch",
            "admin",
            "api",
            "listener",
            "app",
            "cli",
        ],
        "floors 0 to 2 take time as an argument and wait for nothing",
    ),
    (
        "arc_swap",
        &[
            "actors",
            "admin/state.rs",
            "api/state.rs",
            "listener/tls.rs",
            "telemetry/feed.rs",
            "telemetry/history.rs",
            "telemetry/level.rs",
            "telemetry/metrics",
            "telemetry/totals.rs",
            "telemetry/traces.rs",
            "telemetry/recent.rs",
        ],
        "published state is read through the actors' statuses, the configuration through `Api::serving`",
    ),
    (
        "opentelemetry",
        &["telemetry"],
        "tell `telemetry::recorder::Recorder`",
    ),
    (
        "opentelemetry_sdk",
        &["telemetry"],
        "tell `telemetry::recorder::Recorder`",
    ),
    (
        "opentelemetry_otlp",
        &["telemetry"],
        "what is told goes out from one place",
    ),
    (
        "opentelemetry_prometheus",
        &["telemetry"],
        "what is told goes out from one place",
    ),
    (
        "prometheus",
        &["telemetry"],
        "what is told goes out from one place",
    ),
    (
        "secrecy",
        &["domain/secret.rs"],
        "use `domain::secret::ApiKey`",
    ),
    (
        "zeroize",
        &["domain/secret.rs", "config", "app/watch.rs"],
        "what has become an `ApiKey` wipes itself",
    ),
    (
        "rustls_pki_types",
        &["config/outbound.rs", "upstream/clients.rs", "wire/grant.rs"],
        "certificates of the configuration are read there, and keys that sign assertions",
    ),
    (
        "tiktoken_rs",
        &["dispatch/tokens.rs"],
        "ask `dispatch::tokens`",
    ),
    (
        "brotli_decompressor",
        &["wire/encoding.rs"],
        "use `wire::encoding::Decoder`",
    ),
    (
        "zstd",
        &["wire/encoding.rs"],
        "use `wire::encoding::Decoder`",
    ),
    (
        "form_urlencoded",
        &["wire/token.rs", "wire/grant.rs"],
        "queries are read for the client's token only, and forms written for token servers",
    ),
    (
        "flate2",
        &["wire/encoding.rs", "wire/encoding"],
        "use `wire::encoding::Decoder`",
    ),
    (
        "httpdate",
        &["wire"],
        "wall-clock headers become durations on floor 1",
    ),
    (
        "aws_lc_rs",
        &["wire/token.rs", "wire/grant.rs", "store/fingerprint.rs"],
        "tokens are compared as `wire::token::TokenDigest`, keys known again by `domain::persisted::Fingerprint`",
    ),
    (
        "aws_sigv4",
        &["wire/sigv4.rs"],
        "calls are signed by `wire::sigv4::Signing`",
    ),
    (
        "aws_credential_types",
        &["wire/sigv4.rs"],
        "calls are signed by `wire::sigv4::Signing`",
    ),
    (
        "aws_smithy_eventstream",
        &["wire/framing"],
        "frames become events in `wire::framing`",
    ),
    (
        "aws_smithy_types",
        &["wire/framing"],
        "frames become events in `wire::framing`",
    ),
    ("memchr", &["wire"], "bytes are searched on floor 1"),
    (
        "bytes",
        &["wire", "runtime", "upstream", "dispatch", "api", "listener"],
        "below and beside them there are no bodies; runtime counts them",
    ),
    (
        "http",
        &[
            "wire",
            "config",
            "telemetry/otlp.rs",
            "upstream",
            "dispatch",
            "admin",
            "api",
            "listener",
            "app",
        ],
        "the domain knows classes, not statuses and headers",
    ),
    (
        "http_body_util",
        &["upstream", "api", "listener"],
        "bodies of either edge",
    ),
    (
        "futures_util",
        &[
            "runtime",
            "telemetry",
            "upstream",
            "dispatch",
            "admin",
            "api",
            "app/refresher",
            "app/refresher.rs",
        ],
        "below floor 3 nothing is polled",
    ),
    (
        "serde",
        &[
            "wire",
            "config",
            "store",
            "admin/requests.rs",
            "admin/spend.rs",
        ],
        "the domain has no outer form",
    ),
    (
        "serde_json",
        &[
            "wire",
            "config",
            "store",
            "import/source.rs",
            "telemetry",
            "upstream",
            "dispatch",
            "admin",
            "api",
            "app",
            "cli",
        ],
        "the domain has no outer form",
    ),
    (
        "data_encoding",
        &["api", "store", "wire"],
        "hexadecimal digits are made and read by `data_encoding::HEXLOWER`",
    ),
    (
        "strsim",
        &["domain/near.rs"],
        "names are compared by `domain::near`",
    ),
    (
        "nix",
        &["listener/socket_file.rs"],
        "users and groups are looked up for the socket's file only",
    ),
    (
        "cel",
        &["config/cel"],
        "expressions become a `domain::when::Condition` there",
    ),
    (
        "jiff",
        &["config/zone.rs"],
        "zones of time become a function of moments there",
    ),
    (
        "foldhash",
        &["domain/hash_map.rs"],
        "tables that each request looks into are a `domain::hash_map`",
    ),
    (
        "fastrand",
        &[
            "domain",
            "telemetry/otlp.rs",
            "upstream",
            "dispatch",
            "api",
            "listener",
            "app",
        ],
        "the domain takes a generator or a number as an argument",
    ),
    (
        "mimalloc",
        &["main.rs"],
        "the allocator is the binary's choice",
    ),
    ("thiserror", &[""], "anywhere"),
];

/// Files that use each other in a circle, sorted, each circle with its way out.
pub type Circle = (&'static [&'static str], &'static str);

/// The circles that are known; an entry that is no longer true is a failure too.
pub const KNOWN_CYCLES: &[Circle] = &[];
