//! `router_settings` of LiteLLM, a row for each.

use super::setting_readers::{
    aliases, allowed_fails, cooldown, default_fallbacks, fallbacks, names, retries, verbose,
};
use super::settings::{ProviderBudget, RouterSettings, SettingRow};
use crate::import::field_report::{
    FieldVerdict, approximated, mapped, mapped_with, needless, unsupported,
};
use crate::import::importer::Importer;
use crate::import::source::SourceNode;
use crate::import::spans::{amount, millis_of, seconds, window};
use crate::import::table::{FieldRule, SourceField, joined, read_fields};
use crate::import::tree::YamlTree;

use FieldRule::{Lacks, Needless, Read};

/// `router_settings`.
pub(super) const ROUTER: &[SettingRow] = &[
    (&["routing_strategy"], Read(strategy)),
    (&["routing_strategy_args"], Read(strategy_args)),
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
    const ARGS: &[SettingRow] = &[
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

fn timeout(it: &mut RouterSettings, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    it.timeout = field.node.number().and_then(millis_of);
    match it.timeout {
        Some(_) => approximated(
            "llm.providers[].timeouts.response",
            "of answers that are not streamed, where a deployment has none of its own",
        ),
        None => field.wrong("seconds, above 0"),
    }
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
        let path = joined(&field.path, provider);
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
