//! LiteLLM's settings: `router_settings`, `litellm_settings` and `general_settings`, a row for each.

use crate::import::field_report::{
    FieldVerdict, approximated, mapped, mapped_with, needless, unsupported,
};
use crate::import::importer::Importer;
use crate::import::source::SourceNode;
use crate::import::spans::{amount, count, seconds, window};
use crate::import::table::{FieldRow, FieldRule, SourceField, read_fields};
use crate::import::tree::YamlTree;

use FieldRule::{Lacks, Needless, Read};

/// Groups that requests go on to, with where that is written.
pub(super) struct FallbackList {
    pub(super) path: String,
    pub(super) from: String,
    pub(super) to: Vec<String>,
}

/// What a provider may cost.
pub(super) struct ProviderBudget {
    pub(super) path: String,
    pub(super) provider: String,
    pub(super) budget: YamlTree,
}

/// The settings that groups of deployments are built by.
#[derive(Default)]
pub(super) struct RouterSettings {
    pub(super) strategy: Option<(String, String)>,
    /// Settings of policy `latency`, with where they stand.
    pub(super) latency: Vec<(String, &'static str, YamlTree)>,
    pub(super) fallbacks: Vec<FallbackList>,
    pub(super) default_fallbacks: Vec<String>,
    pub(super) larger: Vec<FallbackList>,
    pub(super) aliases: Vec<(String, String, String)>,
    pub(super) retries: Option<u64>,
    pub(super) timeout: Option<f64>,
    pub(super) tags: bool,
    pub(super) allowed_fails: Option<u64>,
    pub(super) cooldown: Option<YamlTree>,
    pub(super) same_upstream: Option<u64>,
    pub(super) affinity: bool,
    pub(super) groups: Vec<(Vec<String>, &'static str)>,
    pub(super) budgets: Vec<ProviderBudget>,
    budget: (Option<YamlTree>, Option<YamlTree>),
}

type Row = FieldRow<RouterSettings>;

/// `router_settings`.
pub(super) const ROUTER: &[Row] = &[
    (&["routing_strategy"], Read(strategy)),
    (&["routing_strategy_args"], Read(strategy_args)),
    (
        &["fallbacks"],
        Read(|it, field, _| fallbacks(&mut it.fallbacks, field, false)),
    ),
    (
        &["context_window_fallbacks"],
        Read(|it, field, _| fallbacks(&mut it.larger, field, true)),
    ),
    (&["default_fallbacks"], Read(default_fallbacks)),
    (
        &["content_policy_fallbacks"],
        Lacks("what a policy on content refused goes back to its caller"),
    ),
    (&["model_group_alias"], Read(aliases)),
    (&["num_retries", "max_retries"], Read(retries)),
    (
        &["max_fallbacks"],
        Needless("a chain is walked to its end, within max_attempts and the deadline"),
    ),
    (&["timeout"], Read(timeout)),
    (
        &["stream_timeout"],
        Lacks("write it as timeouts.first_byte of the providers"),
    ),
    (
        &["retry_after"],
        Needless("waits are retry.waits of a provider; an upstream's own word comes first"),
    ),
    (&["retry_policy"], Read(retry_policy)),
    (
        &["model_group_retry_policy"],
        Lacks("retries are settings of a provider (retry.same_upstream), not of a group"),
    ),
    (&["allowed_fails"], Read(allowed_fails)),
    (
        &["allowed_fails_policy"],
        Lacks("the class of a failure decides what it counts"),
    ),
    (&["cooldown_time"], Read(cooldown)),
    (&["disable_cooldowns"], Read(no_cooldowns)),
    (
        &["enable_pre_call_checks"],
        Needless("windows and limits are looked at before each call"),
    ),
    (
        &["enable_tag_filtering"],
        Read(|it, field, _| {
            it.tags = field.node.is_true();
            match it.tags {
                true => approximated(
                    "llm.virtual[].upstreams[].when.header",
                    "by the header x-litellm-tags; tags in a request's body are not looked at",
                ),
                false => needless("is off here too"),
            }
        }),
    ),
    (
        &["tag_filtering_match_any"],
        Read(|_, field, _| match field.node.is_true() {
            true => needless("any of the tags leads to a deployment here too"),
            false => approximated(
                "llm.virtual[].upstreams[].when.header",
                "ours match any of the tags, not all",
            ),
        }),
    ),
    (&["provider_budget_config"], Read(provider_budgets)),
    (&["routing_groups"], Read(routing_groups)),
    (&["optional_pre_call_checks"], Read(checks)),
    (
        &[
            "redis_host",
            "redis_port",
            "redis_password",
            "redis_url",
            "redis_db",
            "redis_ssl",
            "cache_kwargs",
        ],
        Lacks("limits and cooldowns are of this process; processes do not share them by Redis"),
    ),
    (
        &[
            "cache_responses",
            "client_ttl",
            "caching_groups",
            "polling_interval",
            "default_cache_time_seconds",
        ],
        Lacks("answers are not cached"),
    ),
    (
        &["default_litellm_params"],
        Lacks("write them as params of the providers"),
    ),
    (&["set_verbose", "debug_level"], Read(verbose)),
    (
        &["alerting_config"],
        Lacks("alerts are rules on metrics (deploy/compose/rules)"),
    ),
    (
        &["retry_on_status_codes"],
        Lacks("the class of a failure decides"),
    ),
];

/// `litellm_settings`.
pub(super) const LITELLM: &[Row] = &[
    (
        &["fallbacks"],
        Read(|it, field, _| fallbacks(&mut it.fallbacks, field, false)),
    ),
    (
        &["context_window_fallbacks"],
        Read(|it, field, _| fallbacks(&mut it.larger, field, true)),
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
    (
        &["cache", "cache_params", "enable_redis_auth_cache"],
        Lacks("answers are not cached"),
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

/// `general_settings`.
pub(super) const GENERAL: &[Row] = &[
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

impl RouterSettings {
    /// Reads a section by its table.
    pub(super) fn read(
        &mut self,
        rows: &[Row],
        node: &SourceNode,
        path: &str,
        importer: &mut Importer<'_>,
    ) {
        let others = Lacks("there is no such setting here");
        read_fields(rows, &others, self, node, path, importer);
        if let (Some(amount), every) = std::mem::take(&mut self.budget) {
            let mut budget = YamlTree::map();
            budget.set(&["amount"], amount);
            budget.set(&["every"], every.unwrap_or_else(|| YamlTree::bare("total")));
            budget.set(&["unpriced"], YamlTree::bare("allow"));
            importer.draft.rest.push(&["dispatch", "budgets"], budget);
        }
    }
}

/// The policy that a strategy is.
fn policy(strategy: &str) -> Option<&'static str> {
    Some(match strategy {
        "simple-shuffle" => "weighted",
        "least-busy" => "least_busy",
        "usage-based-routing" | "usage-based-routing-v2" => "usage",
        "latency-based-routing" => "latency",
        "cost-based-routing" => "cost",
        _ => return None,
    })
}

fn strategy(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    let said = field.node.text().unwrap_or_default();
    let Some(policy) = policy(said) else {
        return match said {
            "provider-budget-routing" => approximated(
                "llm.virtual[].policy",
                "weighted, with the budgets of the providers",
            ),
            _ => unsupported("there is no such policy: the groups are weighted"),
        };
    };
    it.strategy = Some((field.path.clone(), policy.to_owned()));
    match policy {
        "cost" => mapped_with(
            "llm.virtual[].policy: cost",
            "what has no price (prices, catalog.sources) comes last",
        ),
        policy => mapped(format!("llm.virtual[].policy: {policy}")),
    }
}

fn strategy_args(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    const ARGS: &[Row] = &[
        (
            &["lowest_latency_buffer"],
            Read(|it, field, _| {
                match field
                    .node
                    .number()
                    .filter(|share| (0.0..=1.0).contains(share))
                {
                    Some(share) => {
                        it.latency
                            .push((field.path.clone(), "band", YamlTree::bare(share)));
                        approximated(
                            "llm.virtual[].policy.band",
                            "of policy latency: loads within it go at random",
                        )
                    }
                    None => field.wrong("a share from 0 to 1"),
                }
            }),
        ),
        (
            &["ttl"],
            Read(|it, field, _| match field.node.number().and_then(seconds) {
                Some(span) => {
                    it.latency.push((field.path.clone(), "decay", span));
                    approximated(
                        "llm.virtual[].policy.decay",
                        "of policy latency: an average that fades, not a time after which all is forgotten",
                    )
                }
                None => field.wrong("seconds"),
            }),
        ),
    ];
    let others = Lacks("there is no such setting of a policy");
    read_fields(ARGS, &others, it, field.node, &field.path, importer);
    FieldVerdict::Nested
}

/// The names in a list of groups: names, or maps that name a model.
fn names(node: &SourceNode) -> Vec<String> {
    let name = |item: &SourceNode| {
        item.name()
            .or_else(|| item.get("model")?.name())
            .map(str::to_owned)
    };
    node.items().iter().filter_map(name).collect()
}

fn fallbacks(list: &mut Vec<FallbackList>, field: &SourceField<'_>, larger: bool) -> FieldVerdict {
    let entries: Vec<(usize, &(String, SourceNode))> = match field.node {
        SourceNode::List(items) => items
            .iter()
            .enumerate()
            .flat_map(|(at, item)| item.entries().iter().map(move |entry| (at, entry)))
            .collect(),
        other => other.entries().iter().map(|entry| (0, entry)).collect(),
    };
    for (at, (from, to)) in entries {
        list.push(FallbackList {
            path: field.path.clone() + &format!("[{at}]"),
            from: from.clone(),
            to: names(to),
        });
    }
    match larger {
        false => mapped_with(
            "llm.virtual[].upstreams",
            "a group and what it falls back to are one ordered chain",
        ),
        true => approximated(
            "llm.virtual[].upstreams",
            "at the end of the chain; prompts that are too long walk on to it by themselves",
        ),
    }
}

fn default_fallbacks(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.default_fallbacks = names(field.node);
    approximated(
        "llm.virtual[].upstreams",
        "at the end of every chain; theirs count only for groups without fallbacks of their own",
    )
}

fn aliases(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    for (name, target) in field.node.entries() {
        let path = crate::import::table::joined(&field.path, name);
        let hidden = target.get("hidden").is_some_and(SourceNode::is_true);
        let Some(to) = target.name().or_else(|| target.get("model")?.name()) else {
            importer.reports.add(
                &path,
                String::new(),
                unsupported("expected the name of a group"),
            );
            continue;
        };
        it.aliases.push((path.clone(), name.clone(), to.to_owned()));
        let verdict = match hidden {
            true => approximated(
                "llm.virtual[].name",
                "it is listed in GET /v1/models; theirs is hidden",
            ),
            false => mapped("llm.virtual[].name"),
        };
        importer.reports.add(&path, to.to_owned(), verdict);
    }
    FieldVerdict::Nested
}

fn whole(field: &SourceField<'_>) -> Option<u64> {
    match field.node.number() {
        Some(0.0) => Some(0),
        _ => count(field.node).filter(|count| *count <= 1000),
    }
}

fn retries(it: &mut RouterSettings, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let Some(count) = whole(field) else {
        return field.wrong("a whole number");
    };
    // router_settings comes before litellm_settings, wherever it stands.
    if it.retries.is_none() || field.path.starts_with("router_settings") {
        it.retries = Some(count);
    }
    approximated(
        "dispatch.max_attempts",
        "ours counts the attempts of the whole chain; it is no smaller than the longest one",
    )
}

fn timeout(it: &mut RouterSettings, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    it.timeout = field
        .node
        .number()
        .filter(|number| seconds(*number).is_some());
    match it.timeout {
        Some(_) => approximated(
            "llm.providers[].timeouts.response",
            "of answers that are not streamed, where a deployment has none of its own",
        ),
        None => field.wrong("seconds, above 0"),
    }
}

fn deadline(
    _: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let Some(span) = field.node.number().and_then(seconds) else {
        return field.wrong("seconds, above 0");
    };
    importer.draft.rest.set(&["dispatch", "deadline"], span);
    mapped_with(
        "dispatch.deadline",
        "of the whole request, all attempts and waits",
    )
}

fn retry_policy(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    let passing = [
        "TimeoutErrorRetries",
        "InternalServerErrorRetries",
        "ServiceUnavailableErrorRetries",
        "DefaultRetries",
    ];
    let counts = passing
        .iter()
        .filter_map(|name| field.node.get(name)?.number());
    let most = counts.fold(None, |most: Option<f64>, count| {
        Some(most.map_or(count, |most| most.max(count)))
    });
    it.same_upstream = most.and_then(|most| format!("{most:.0}").parse().ok());
    match it.same_upstream {
        Some(_) => approximated(
            "llm.providers[].retry.same_upstream",
            "one number for all that may pass by itself; other failures go to the next key or upstream",
        ),
        None => unsupported("the class of a failure decides whether it is tried again"),
    }
}

fn allowed_fails(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.allowed_fails = whole(field);
    match it.allowed_fails {
        Some(_) => approximated(
            "llm.providers[].circuit_breaker.failure_threshold",
            "one more: theirs is left alone after more than so many failures a minute, ours after so many in a row",
        ),
        None => field.wrong("a whole number"),
    }
}

fn cooldown(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.cooldown = field.node.number().and_then(seconds);
    match it.cooldown {
        Some(_) => approximated(
            "llm.cooldown",
            "and circuit_breaker.recovery_time; what an upstream itself says of its limit comes first",
        ),
        None => field.wrong("seconds, above 0"),
    }
}

fn no_cooldowns(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    if !field.node.is_true() {
        return needless("cooldowns are on here too");
    }
    it.cooldown = Some(YamlTree::bare("0s"));
    approximated(
        "llm.cooldown",
        "what an upstream itself says of its limit is kept to all the same",
    )
}

fn provider_budgets(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    for (provider, node) in field.node.entries() {
        let path = crate::import::table::joined(&field.path, provider);
        let get = |names: [&str; 2]| names.iter().find_map(|name| node.get(name));
        let limit = get(["budget_limit", "max_budget"]).and_then(amount);
        let every = get(["time_period", "budget_duration"])
            .and_then(SourceNode::text)
            .and_then(window);
        let Some(amount) = limit else {
            importer.reports.add(
                &path,
                String::new(),
                unsupported("expected budget_limit and time_period"),
            );
            continue;
        };
        let mut budget = YamlTree::map();
        budget.set(&["amount"], amount);
        budget.set(&["every"], every.unwrap_or_else(|| YamlTree::bare("total")));
        budget.set(&["unpriced"], YamlTree::bare("allow"));
        it.budgets.push(ProviderBudget {
            path: path.clone(),
            provider: provider.clone(),
            budget,
        });
        let why = "windows are those of the calendar; without a price (prices, catalog.sources) calls count as nothing";
        let shown = node
            .entries()
            .iter()
            .map(|(key, value)| format!("{key} {}", value.scalar().unwrap_or_default()));
        let shown = shown.collect::<Vec<_>>().join(", ");
        importer
            .reports
            .add(&path, shown, approximated("llm.providers[].budgets", why));
    }
    FieldVerdict::Nested
}

fn routing_groups(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    for (at, group) in field.node.items().iter().enumerate() {
        let path = format!("{}[{at}]", field.path);
        let said = group
            .get("routing_strategy")
            .and_then(SourceNode::text)
            .and_then(policy);
        let verdict = match said {
            Some(policy) => {
                let models = group.get("models").map(names).unwrap_or_default();
                it.groups.push((models, policy));
                approximated(
                    format!("llm.virtual[].policy: {policy}"),
                    "of each of its groups",
                )
            }
            None => unsupported("there is no such policy"),
        };
        let name = group
            .get("group_name")
            .and_then(SourceNode::text)
            .unwrap_or_default();
        importer.reports.add(&path, name.to_owned(), verdict);
    }
    FieldVerdict::Nested
}

fn checks(it: &mut RouterSettings, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let sticky = [
        "prompt_caching",
        "deployment_affinity",
        "session_affinity",
        "responses_api_deployment_check",
    ];
    let wanted = field.node.items().iter().filter_map(SourceNode::text);
    let wanted: Vec<&str> = wanted.collect();
    it.affinity = wanted.iter().any(|check| sticky.contains(check));
    match (
        it.affinity,
        wanted
            .iter()
            .all(|check| sticky.contains(check) || *check == "router_budget_limiting"),
    ) {
        (true, true) => approximated(
            "llm.virtual[].affinity: auto",
            "a conversation stays at one upstream",
        ),
        (true, false) => approximated(
            "llm.virtual[].affinity: auto",
            "the other checks have no counterpart",
        ),
        (false, true) => needless("budgets are looked at before each call"),
        (false, false) => unsupported("there is no such check"),
    }
}

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

fn verbose(
    _: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    if !field.node.is_true() {
        return needless("info is the usual level");
    }
    importer
        .draft
        .rest
        .set(&["log", "level"], YamlTree::bare("debug"));
    mapped("log.level")
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
