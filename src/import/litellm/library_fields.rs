//! `litellm_settings` of LiteLLM, a row for each.

use super::cache_fields::{cache, params};
use super::setting_readers::{
    aliases, allowed_fails, cooldown, deadline, default_fallbacks, fallbacks, retries, verbose,
};
use super::settings::{RouterSettings, SettingRow};
use crate::import::field_report::{FieldVerdict, approximated, mapped, needless, unsupported};
use crate::import::importer::Importer;
use crate::import::source::SourceNode;
use crate::import::spans::{amount, window};
use crate::import::table::{FieldRule, SourceField};
use crate::import::tree::YamlTree;

use FieldRule::{Lacks, Needless, Read};

/// `litellm_settings`.
pub(super) const LITELLM: &[SettingRow] = &[
    (
        &["fallbacks"],
        Read(|it, field, importer| fallbacks(&mut it.fallbacks, field, false, importer)),
    ),
    (
        &["context_window_fallbacks"],
        Read(|it, field, importer| fallbacks(&mut it.larger, field, true, importer)),
    ),
    (&["default_fallbacks"], Read(default_fallbacks)),
    (
        &["content_policy_fallbacks"],
        Lacks("what a policy on content refused goes back to its caller"),
    ),
    (&["num_retries"], Read(retries)),
    (&["request_timeout"], Read(deadline)),
    (&["allowed_fails"], Read(allowed_fails)),
    (&["cooldown_time"], Read(cooldown)),
    (&["model_alias_map", "model_group_alias"], Read(aliases)),
    (&["max_budget"], Read(budget)),
    (&["budget_duration"], Read(budget_duration)),
    (&["cache"], Read(cache)),
    (&["cache_params"], Read(params)),
    (
        &["enable_redis_auth_cache"],
        Needless("clients are looked up in memory"),
    ),
    (
        &["drop_params", "additional_drop_params"],
        Needless("what a dialect has no place for is dropped and named (unsupported: drop)"),
    ),
    (
        &[
            "modify_params",
            "enable_preview_features",
            "disable_stop_sequence_limit",
            "merge_reasoning_content_in_choices",
            "use_chat_completions_url_for_anthropic_messages",
        ],
        Needless("translation between dialects decides that"),
    ),
    (&["set_verbose", "verbose"], Read(verbose)),
    (&["json_logs"], Read(json_logs)),
    (
        &[
            "telemetry",
            "litellm_dashboard",
            "suppress_debug_info",
            "disable_end_user_cost_tracking",
        ],
        Needless("nothing is sent to anybody unless telemetry.otlp says so"),
    ),
    (
        &[
            "turn_off_message_logging",
            "redact_messages_in_exceptions",
            "redact_user_api_key_info",
        ],
        Needless("prompts and keys are in no log"),
    ),
    (
        &[
            "callbacks",
            "success_callback",
            "failure_callback",
            "service_callback",
        ],
        Read(callbacks),
    ),
    (
        &["tag_budget_config"],
        Lacks("budgets are of clients, providers and targets"),
    ),
    (
        &["ssl_verify", "ssl_certificate"],
        Lacks(
            "certificates are always verified: name others' authorities in ca_file of a provider",
        ),
    ),
    (
        &[
            "default_team_settings",
            "default_internal_user_params",
            "default_key_generate_params",
            "upperbound_key_generate_params",
            "team_settings",
        ],
        Lacks("there are no teams and no generated keys: callers are clients"),
    ),
    (
        &["mcp_servers", "mcp_aliases"],
        Lacks("tools are not called by the dispatcher"),
    ),
    (
        &["custom_provider_map"],
        Lacks("handlers in Python are not called"),
    ),
    (
        &["force_ipv4", "disable_aiohttp_transport", "http2"],
        Needless("the connection decides"),
    ),
    (
        &["allow_requests_on_db_unavailable"],
        Needless("there is no database"),
    ),
];

fn budget(it: &mut RouterSettings, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    it.budget.0 = amount(field.node);
    match it.budget.0 {
        Some(_) => approximated(
            "dispatch.budgets",
            "of all requests; without a price (prices, catalog.sources) calls count as nothing",
        ),
        None => field.wrong("an amount"),
    }
}

fn budget_duration(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.budget.1 = field.node.text().and_then(window);
    match it.budget.1 {
        Some(_) => approximated(
            "dispatch.budgets[].every",
            "windows are those of the calendar, in UTC; the shortest is an hour",
        ),
        None => field.wrong("a window such as 30d"),
    }
}

fn json_logs(
    _: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let format = if field.node.is_true() { "json" } else { "text" };
    importer
        .draft
        .rest
        .set(&["log", "format"], YamlTree::bare(format));
    mapped("log.format")
}

fn callbacks(
    _: &mut RouterSettings,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    let wanted: Vec<&str> = field
        .node
        .items()
        .iter()
        .filter_map(SourceNode::text)
        .collect();
    let known = |name: &&str| ["prometheus", "otel", "opentelemetry"].contains(name);
    match wanted.iter().all(known) {
        true if wanted.contains(&"prometheus") => needless(
            "GET /metrics of the admin listener has Prometheus' form; telemetry.otlp pushes",
        ),
        true => approximated(
            "telemetry.otlp",
            "set OTEL_EXPORTER_OTLP_ENDPOINT, or telemetry.otlp.endpoint",
        ),
        false => {
            unsupported("requests are told of by the log, metrics and traces (telemetry.otlp) only")
        }
    }
}
