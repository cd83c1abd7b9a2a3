//! `general_settings` of LiteLLM, a row for each.

use super::setting_readers::{deadline, verbose};
use super::settings::{RouterSettings, SettingRow};
use crate::import::field_report::{
    FieldVerdict, approximated, mapped, mapped_with, needless, unsupported,
};
use crate::import::importer::Importer;
use crate::import::spans::count;
use crate::import::table::{FieldRule, SourceField};
use crate::import::tree::YamlTree;

use FieldRule::{Lacks, Needless, Read};

/// `general_settings`.
pub(super) const GENERAL: &[SettingRow] = &[
    (&["master_key"], Read(master_key)),
    (&["completion_model"], Read(completion_model)),
    (&["global_max_parallel_requests"], Read(in_flight)),
    (
        &["max_parallel_requests"],
        Lacks("write it as limits.max_in_flight of the providers"),
    ),
    (&["request_timeout"], Read(deadline)),
    (
        &["routing_strategy"],
        Lacks("LiteLLM reads it in router_settings only"),
    ),
    (
        &["num_retries", "fallbacks"],
        Lacks("LiteLLM reads it in router_settings and litellm_settings only"),
    ),
    (&["max_request_size_mb"], Read(body_size)),
    (
        &[
            "database_url",
            "store_model_in_db",
            "database_connection_pool_limit",
            "database_connection_timeout",
            "proxy_batch_write_at",
            "proxy_budget_rescheduler_min_time",
            "proxy_budget_rescheduler_max_time",
            "use_redis_transaction_buffer",
            "store_prompts_in_spend_logs",
            "disable_spend_logs",
            "disable_reset_budget",
            "disable_adding_master_key_hash_to_db",
            "maximum_spend_logs_retention_period",
        ],
        Lacks(
            "there is no database: keys, teams and models of LiteLLM's stay there; clients are written into the configuration, spending is in GET /admin/v1/spend",
        ),
    ),
    (
        &[
            "enable_jwt_auth",
            "litellm_jwtauth",
            "custom_auth",
            "custom_sso",
            "ui",
            "ui_access_mode",
            "ui_username",
            "ui_password",
            "allow_user_auth",
            "enable_key_management",
            "oauth2_config_mappings",
            "enable_oauth2_auth",
        ],
        Lacks("callers are clients with tokens; there is no login"),
    ),
    (
        &["disable_auth"],
        Read(|_, field, _| match field.node.is_true() {
            true => unsupported(
                "leave clients empty for that, on a listener that only this machine reaches",
            ),
            false => needless("clients are asked for their tokens"),
        }),
    ),
    (
        &[
            "alerting",
            "alerting_threshold",
            "alert_types",
            "alerting_args",
            "alert_to_webhook_url",
            "spend_report_frequency",
        ],
        Lacks("alerts are rules on metrics (deploy/compose/rules)"),
    ),
    (
        &[
            "background_health_checks",
            "health_check_interval",
            "health_check_details",
            "disable_health_check",
        ],
        Needless("upstreams are known by the requests that they answer; nothing is sent for that"),
    ),
    (
        &[
            "pass_through_endpoints",
            "use_client_credentials_pass_through_routes",
        ],
        Lacks("any path of a provider is under /passthrough/NAME/ where it has passthrough: true"),
    ),
    (
        &["key_management_system", "key_management_settings"],
        Lacks("keys come from variables and files"),
    ),
    (
        &["allowed_ips", "trusted_proxy_ranges", "use_x_forwarded_for"],
        Lacks("who may connect is the firewall's business"),
    ),
    (
        &[
            "enforce_user_param",
            "allowed_routes",
            "enforced_params",
            "reject_clientside_metadata_tags",
        ],
        Lacks("what requests must say is not checked"),
    ),
    (&["debug"], Read(verbose)),
];

fn master_key(
    _: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let key = field
        .node
        .text()
        .and_then(|text| importer.secret(text, "LITELLM_MASTER_KEY"));
    let Some((token, why)) = key else {
        return field.wrong("a key");
    };
    let mut client = YamlTree::map();
    client.set(&["name"], YamlTree::literal("master"));
    client.set(&["token"], token);
    importer.draft.rest.push(&["clients"], client);
    let differs = "it may ask for every target; the admin listener has a token of its own (server.admin_token)";
    let why = if why.is_empty() {
        differs.to_owned()
    } else {
        format!("{why}; {differs}")
    };
    mapped_with("clients[master].token", why)
}

fn completion_model(
    _: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    match field.node.name() {
        Some(name) => {
            importer
                .draft
                .rest
                .set(&["llm", "default_model"], YamlTree::literal(name));
            approximated(
                "llm.default_model",
                "of requests that name no model; theirs takes the place of every model",
            )
        }
        None => field.wrong("the name of a group"),
    }
}

fn in_flight(
    _: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    match count(field.node) {
        Some(count) => {
            importer
                .draft
                .rest
                .set(&["server", "max_in_flight"], YamlTree::bare(count));
            mapped("server.max_in_flight")
        }
        None => field.wrong("a whole number, 1 or more"),
    }
}

fn body_size(
    _: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    match count(field.node).filter(|count| *count <= 1024) {
        Some(count) => {
            let size = YamlTree::Bare(format!("{count}MiB"));
            importer.draft.rest.set(&["server", "max_body"], size);
            mapped("server.max_body")
        }
        None => field.wrong("a number of megabytes"),
    }
}
