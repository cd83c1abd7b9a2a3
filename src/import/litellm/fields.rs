//! The fields of LiteLLM's deployments, a row for each.

use super::deployment::Deployment;
use super::field_readers::{
    base_model, budget, budget_duration, capability, cooldown, extra_body, header, headers, limit,
    max_input, mode, optional, order, param, pass_through, piece, price, retries, secret,
    stream_timeout, tags, text, timeout, weight,
};
use crate::import::field_report::{FieldVerdict, mapped, needless, unsupported};
use crate::import::importer::Importer;
use crate::import::table::{FieldRow, FieldRule, SourceField};

use FieldRule::{Lacks, Needless, Read};

type DeploymentRow = FieldRow<Deployment>;

/// The keys of an entry of `model_list`.
pub(super) const ENTRY: &[DeploymentRow] = &[
    (
        &["model_name"],
        Read(|_, _, _| mapped("llm.virtual[].name")),
    ),
    (&["litellm_params"], Read(|_, _, _| FieldVerdict::Nested)),
    (&["model_info"], Read(|_, _, _| FieldVerdict::Nested)),
    (
        &["weight"],
        Lacks("LiteLLM reads it in litellm_params only"),
    ),
];

/// The keys of `litellm_params`. What is not here is a parameter of requests.
pub(super) const PARAMS: &[DeploymentRow] = &[
    (
        &["model"],
        Read(|it, field, _| text(&mut it.model, field, "llm.virtual[].upstreams")),
    ),
    (
        &["custom_llm_provider"],
        Read(|it, field, _| optional(&mut it.prefix, field, "llm.providers[].dialect")),
    ),
    (
        &["api_base", "base_url"],
        Read(|it, field, _| optional(&mut it.base, field, "llm.providers[].base_url")),
    ),
    (
        &["api_version"],
        Read(|it, field, _| optional(&mut it.version, field, "llm.providers[].query.api-version")),
    ),
    (
        &["api_key"],
        Read(|it, field, _| secret(it, "api_key", field)),
    ),
    (
        &["litellm_credential_name"],
        Read(|_, _, _| FieldVerdict::Nested),
    ),
    (
        &["organization"],
        Read(|it, field, importer| header(it, "OpenAI-Organization", field, importer)),
    ),
    (&["extra_headers", "headers"], Read(headers)),
    (
        &["rpm"],
        Read(|it, field, importer| {
            it.rpm = field.node.number();
            limit(it, "rpm", field, importer)
        }),
    ),
    (
        &["tpm"],
        Read(|it, field, importer| {
            it.tpm = field.node.number();
            limit(it, "tpm", field, importer)
        }),
    ),
    (
        &["rpd"],
        Read(|it, field, importer| limit(it, "rpd", field, importer)),
    ),
    (
        &["max_parallel_requests"],
        Read(|it, field, importer| limit(it, "max_in_flight", field, importer)),
    ),
    (&["timeout", "request_timeout"], Read(timeout)),
    (&["stream_timeout"], Read(stream_timeout)),
    (&["weight"], Read(weight)),
    (&["order"], Read(order)),
    (&["tags"], Read(tags)),
    (&["max_retries", "num_retries"], Read(retries)),
    (&["cooldown_time"], Read(cooldown)),
    (&["max_budget"], Read(budget)),
    (&["budget_duration"], Read(budget_duration)),
    (
        &["aws_region_name", "region_name", "aws_region"],
        Read(|it, field, _| optional(&mut it.region, field, "llm.providers[].region")),
    ),
    (
        &["aws_access_key_id"],
        Read(|it, field, _| secret(it, "access_key_id", field)),
    ),
    (
        &["aws_secret_access_key"],
        Read(|it, field, _| secret(it, "secret_access_key", field)),
    ),
    (
        &["aws_session_token"],
        Read(|it, field, _| secret(it, "session_token", field)),
    ),
    (
        &["aws_bedrock_runtime_endpoint"],
        Read(|it, field, _| optional(&mut it.base, field, "llm.providers[].base_url")),
    ),
    (
        &["aws_profile_name"],
        Lacks("profiles of AWS are not read: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ),
    (
        &[
            "aws_role_name",
            "aws_session_name",
            "aws_web_identity_token",
            "aws_sts_endpoint",
            "aws_external_id",
        ],
        Lacks(
            "roles of AWS are not assumed: give the temporary access key, with its session token",
        ),
    ),
    (
        &["vertex_project", "vertex_ai_project"],
        Read(|it, field, _| optional(&mut it.project, field, "llm.providers[].project")),
    ),
    (
        &["vertex_location", "vertex_ai_location"],
        Read(|it, field, _| optional(&mut it.region, field, "llm.providers[].region")),
    ),
    (
        &["vertex_credentials", "vertex_ai_credentials"],
        Read(|it, field, _| secret(it, "google", field)),
    ),
    (
        &["tenant_id"],
        Read(|it, field, _| secret(it, "tenant_id", field)),
    ),
    (
        &["client_id"],
        Read(|it, field, _| secret(it, "client_id", field)),
    ),
    (
        &["client_secret"],
        Read(|it, field, _| secret(it, "client_secret", field)),
    ),
    (
        &["azure_ad_token"],
        Read(|it, field, _| secret(it, "azure_ad_token", field)),
    ),
    (
        &["azure_username", "azure_password", "azure_scope"],
        Lacks("a user's password does not let in: use a program's credentials"),
    ),
    (
        &["input_cost_per_token"],
        Read(|it, field, _| price(it, "input", field)),
    ),
    (
        &["output_cost_per_token"],
        Read(|it, field, _| price(it, "output", field)),
    ),
    (
        &["cache_read_input_token_cost"],
        Read(|it, field, _| price(it, "cached_input", field)),
    ),
    (
        &["cache_creation_input_token_cost"],
        Read(|it, field, _| price(it, "cache_write", field)),
    ),
    (
        &["output_cost_per_reasoning_token"],
        Read(|it, field, _| price(it, "reasoning", field)),
    ),
    (
        &["input_cost_per_audio_token"],
        Read(|it, field, _| price(it, "input_audio", field)),
    ),
    (
        &["output_cost_per_audio_token"],
        Read(|it, field, _| price(it, "output_audio", field)),
    ),
    (
        &["output_cost_per_image"],
        Read(|it, field, _| piece(it, "per_image", field)),
    ),
    (
        &["input_cost_per_character"],
        Read(|it, field, _| piece(it, "per_character", field)),
    ),
    (
        &["input_cost_per_query", "cost_per_query"],
        Read(|it, field, _| piece(it, "per_request", field)),
    ),
    (
        &["input_cost_per_second", "output_cost_per_second"],
        Lacks("time of computing has no price here; per_second is a second of sound"),
    ),
    (
        &[
            "input_cost_per_image",
            "input_cost_per_pixel",
            "output_cost_per_pixel",
        ],
        Lacks("there is no such price"),
    ),
    (&["max_input_tokens"], Read(max_input)),
    (&["base_model"], Read(base_model)),
    (&["mode"], Read(mode)),
    (&["extra_body"], Read(extra_body)),
    (
        &["drop_params", "additional_drop_params"],
        Needless("what a dialect has no place for is dropped and named (unsupported: drop)"),
    ),
    (
        &[
            "allowed_openai_params",
            "modify_params",
            "merge_reasoning_content_in_choices",
            "use_chat_completions_api",
            "use_litellm_proxy",
        ],
        Needless("translation between dialects decides that"),
    ),
    (&["use_in_pass_through"], Read(pass_through)),
    (
        &[
            "supports_function_calling",
            "supports_tool_choice",
            "supports_parallel_function_calling",
        ],
        Read(|it, field, _| capability(it, "tools", field)),
    ),
    (
        &["supports_vision", "supports_images"],
        Read(|it, field, _| capability(it, "images", field)),
    ),
    (
        &["supports_response_schema"],
        Read(|it, field, _| capability(it, "json_schema", field)),
    ),
    (
        &["supports_reasoning"],
        Read(|it, field, _| capability(it, "reasoning", field)),
    ),
    (
        &["supports_audio_input"],
        Read(|it, field, _| capability(it, "audio", field)),
    ),
    (
        &["mock_response", "mock_timeout", "mock_tool_calls"],
        Lacks("a provider of dialect echo answers without a network"),
    ),
    (
        &[
            "model_info",
            "id",
            "guardrails",
            "cache",
            "caching",
            "litellm_session_id",
            "metadata",
            "logger_fn",
            "fallbacks",
        ],
        Lacks("there is no such setting of a provider"),
    ),
    (
        &["cache_control_injection_points"],
        Lacks("nothing marks parts of prompts for a cache: callers send cache_control themselves"),
    ),
    (
        &[
            "prompt_id",
            "prompt_variables",
            "prompt_version",
            "prompt_label",
            "initial_prompt_value",
            "final_prompt_value",
            "roles",
            "bos_token",
            "eos_token",
            "user_continue_message",
            "assistant_continue_message",
            "ensure_alternating_roles",
            "supports_system_message",
        ],
        Lacks("prompts are passed on as callers write them"),
    ),
    (
        &[
            "auto_router_config",
            "auto_router_config_path",
            "auto_router_default_model",
            "auto_router_embedding_model",
            "complexity_router_config",
            "complexity_router_default_model",
        ],
        Lacks("no model chooses among models: write conditions as `when` of upstreams"),
    ),
    (
        &["context_window_fallback_dict"],
        Lacks("write it as context_window_fallbacks of the router"),
    ),
    (
        &["retry_policy", "retry_strategy"],
        Lacks("the class of a failure decides whether it is tried again"),
    ),
    (
        &["configurable_clientside_auth_params"],
        Lacks("keys and addresses are the operator's: callers name none"),
    ),
    (
        &[
            "default_api_key_tpm_limit",
            "default_api_key_rpm_limit",
            "tag_regex",
            "allowed_model_region",
            "fastest_response",
            "hf_model_name",
            "azure_ad_token_provider",
            "caching_groups",
            "preset_cache_key",
            "cache_key",
            "ttl",
            "no-log",
            "verbose",
            "litellm_metadata",
            "litellm_trace_id",
            "litellm_call_id",
            "provider_specific_header",
            "proxy_server_request",
            "secret_fields",
            "model_config",
            "force_timeout",
            "max_fallbacks",
            "s3_bucket_name",
            "s3_region_name",
            "gcs_bucket_name",
            "vector_store_id",
            "search_tool_name",
            "max_file_size_mb",
        ],
        Lacks("is a setting of LiteLLM's own, and there is none like it here"),
    ),
    (
        &["stream"],
        Needless("each request says whether it streams"),
    ),
    (
        &["model_list", "messages", "input", "prompt"],
        Lacks("is decided by each request"),
    ),
];

/// The keys of `model_info` that are no parameters; the other ones are those of `litellm_params`.
pub(super) const INFO: &[DeploymentRow] = &[
    (
        &["max_tokens", "max_output_tokens"],
        Needless("lists of models tell how long answers may be"),
    ),
    (
        &[
            "id",
            "db_model",
            "team_id",
            "access_groups",
            "litellm_provider",
            "tier",
            "supported_environments",
        ],
        Needless("names the deployment for LiteLLM's own bookkeeping"),
    ),
];

pub(super) const OTHER_PARAM: FieldRule<Deployment> = Read(param);
pub(super) const OTHER_INFO: FieldRule<Deployment> = Read(info);

/// What describes a model.
fn info(it: &mut Deployment, field: &SourceField<'_>, importer: &mut Importer<'_>) -> FieldVerdict {
    // Prices, windows and capabilities may stand in either place.
    match PARAMS.iter().find(|(names, _)| names.contains(&field.name)) {
        Some((_, Read(read))) if field.name != "weight" => read(it, field, importer),
        Some((_, Lacks(why))) => unsupported(*why),
        _ => needless("describes the model; nothing is routed by it"),
    }
}
