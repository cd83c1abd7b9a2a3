//! The fields of a Portkey config, a row for each. Names are written in snake case or camel case.

use super::conditions::read_conditions;
use super::node::PortkeyNode;
use crate::import::field_report::{
    FieldVerdict, approximated, is_secret_name, mapped, unsupported,
};
use crate::import::importer::Importer;
use crate::import::source::SourceNode;
use crate::import::spans::{count, kept, millis};
use crate::import::table::{FieldRow, FieldRule, SourceField, read_fields};

use FieldRule::{Lacks, Needless, Read};

type TargetRow = FieldRow<PortkeyNode>;

const NODE: &[TargetRow] = &[
    (
        &["strategy"],
        Read(|it, field, importer| nested(STRATEGY, it, field, importer)),
    ),
    (&["targets"], Read(|_, _, _| FieldVerdict::Nested)),
    (
        &["name"],
        Read(|it, field, _| optional(&mut it.name, field, "llm.virtual[].name")),
    ),
    (
        &["provider"],
        Read(|it, field, _| optional(&mut it.provider, field, "llm.providers[]")),
    ),
    (
        &["virtual_key", "virtualKey"],
        Read(|it, field, _| optional(&mut it.virtual_key, field, "llm.providers[].api_key")),
    ),
    (
        &["api_key", "apiKey"],
        Read(|it, field, _| secret(it, "api_key", field)),
    ),
    (
        &["custom_host", "customHost", "base_url"],
        Read(|it, field, _| optional(&mut it.host, field, "llm.providers[].base_url")),
    ),
    (&["weight"], Read(weight)),
    (
        &["override_params", "overrideParams"],
        Read(override_params),
    ),
    (
        &["retry"],
        Read(|it, field, importer| nested(RETRY, it, field, importer)),
    ),
    (&["request_timeout", "requestTimeout"], Read(timeout)),
    (
        &["on_status_codes", "onStatusCodes"],
        Read(|_, _, _| codes()),
    ),
    (
        &["cache"],
        Read(|it, field, importer| {
            let verdict = nested(CACHE, it, field, importer);
            if !it.cached {
                let why = "only equal requests have one answer";
                importer.reports.drop_below(&field.path, why);
            }
            verdict
        }),
    ),
    (
        &[
            "index",
            "id",
            "slug",
            "version",
            "created_at",
            "last_updated_at",
            "status",
            "is_default",
            "organisation_id",
            "workspace_id",
        ],
        Needless("names the config for Portkey's own bookkeeping"),
    ),
    (
        &[
            "azure_resource_name",
            "azureResourceName",
            "resource_name",
            "resourceName",
        ],
        Read(|it, field, _| place(it, "resource", field, "llm.providers[].base_url")),
    ),
    (
        &[
            "azure_deployment_id",
            "azureDeploymentId",
            "deployment_id",
            "deploymentId",
        ],
        Read(|it, field, _| optional(&mut it.model, field, "llm.virtual[].upstreams")),
    ),
    (
        &[
            "azure_api_version",
            "azureApiVersion",
            "api_version",
            "apiVersion",
        ],
        Read(|it, field, _| place(it, "version", field, "llm.providers[].query.api-version")),
    ),
    (
        &["azure_model_name", "azureModelName"],
        Needless("the deployment tells the model"),
    ),
    (
        &["azure_auth_mode", "azureAuthMode"],
        Read(|it, field, _| place(it, "auth_mode", field, "llm.providers[].auth")),
    ),
    (
        &["azure_ad_token", "azureAdToken"],
        Read(|it, field, _| secret(it, "azure_ad_token", field)),
    ),
    (
        &["azure_entra_tenant_id", "azureEntraTenantId"],
        Read(|it, field, _| secret(it, "tenant_id", field)),
    ),
    (
        &[
            "azure_entra_client_id",
            "azureEntraClientId",
            "azure_managed_client_id",
        ],
        Read(|it, field, _| secret(it, "client_id", field)),
    ),
    (
        &["azure_entra_client_secret", "azureEntraClientSecret"],
        Read(|it, field, _| secret(it, "client_secret", field)),
    ),
    (
        &["aws_access_key_id", "awsAccessKeyId"],
        Read(|it, field, _| secret(it, "access_key_id", field)),
    ),
    (
        &["aws_secret_access_key", "awsSecretAccessKey"],
        Read(|it, field, _| secret(it, "secret_access_key", field)),
    ),
    (
        &["aws_session_token", "awsSessionToken"],
        Read(|it, field, _| secret(it, "session_token", field)),
    ),
    (
        &["aws_region", "awsRegion"],
        Read(|it, field, _| place(it, "region", field, "llm.providers[].region")),
    ),
    (
        &[
            "aws_role_arn",
            "awsRoleArn",
            "aws_external_id",
            "awsExternalId",
            "aws_auth_type",
            "awsAuthType",
        ],
        Lacks("roles of AWS are not assumed: give an access key"),
    ),
    (
        &["vertex_project_id", "vertexProjectId"],
        Read(|it, field, _| place(it, "project", field, "llm.providers[].project")),
    ),
    (
        &["vertex_region", "vertexRegion"],
        Read(|it, field, _| place(it, "region", field, "llm.providers[].region")),
    ),
    (
        &["vertex_service_account_json", "vertexServiceAccountJson"],
        Read(|it, field, _| secret(it, "google", field)),
    ),
    (
        &["openai_organization", "openaiOrganization"],
        Read(|it, field, importer| header(it, "OpenAI-Organization", field, importer)),
    ),
    (
        &["openai_project", "openaiProject"],
        Read(|it, field, importer| header(it, "OpenAI-Project", field, importer)),
    ),
    (
        &["anthropic_version", "anthropicVersion"],
        Needless("the dialect sends its version"),
    ),
    (
        &["anthropic_beta", "anthropicBeta"],
        Read(|it, field, importer| header(it, "anthropic-beta", field, importer)),
    ),
    (
        &["strict_open_ai_compliance", "strictOpenAiCompliance"],
        Needless("answers have the form of their caller's dialect"),
    ),
    (
        &["forward_headers", "forwardHeaders"],
        Lacks("headers of callers do not go to providers"),
    ),
    (
        &["metadata"],
        Lacks("what is to be known of a request comes with it"),
    ),
    (
        &[
            "input_guardrails",
            "inputGuardrails",
            "output_guardrails",
            "outputGuardrails",
            "before_request_hooks",
            "beforeRequestHooks",
            "after_request_hooks",
            "afterRequestHooks",
            "default_input_guardrails",
            "default_output_guardrails",
            "guardrails",
        ],
        Lacks("there are no guardrails and hooks"),
    ),
    (
        &["prompt_id", "promptId", "mcp_servers"],
        Lacks("there is no such setting of a provider"),
    ),
];

const STRATEGY: &[TargetRow] = &[
    (&["mode"], Read(mode)),
    (
        &["on_status_codes", "onStatusCodes"],
        Read(|_, _, _| codes()),
    ),
    (
        &["conditions"],
        Read(|it, field, importer| {
            it.conditions = read_conditions(field.node, &field.path, importer);
            FieldVerdict::Nested
        }),
    ),
    (
        &["default"],
        Read(|it, field, _| optional(&mut it.default, field, "llm.virtual[].upstreams")),
    ),
    (
        &["sticky", "sticky_session", "stickySession"],
        Lacks("write affinity: auto for conversations"),
    ),
];

const CACHE: &[TargetRow] = &[
    (
        &["mode"],
        Read(|it, field, _| match field.node.text() {
            Some("simple") => {
                it.cached = true;
                mapped("cache")
            }
            _ => unsupported("only equal requests have one answer"),
        }),
    ),
    (
        &["max_age", "maxAge"],
        Read(|it, field, _| {
            let Some((span, _)) = field.node.number().and_then(kept) else {
                return field.wrong("seconds, above 0");
            };
            it.max_age = Some(span);
            approximated(
                "cache.ttl",
                "taken as seconds, as it is documented; the gateway takes it as milliseconds. 30 days are the most",
            )
        }),
    ),
];

const RETRY: &[TargetRow] = &[
    (
        &["attempts", "count"],
        Read(|it, field, _| {
            it.attempts = match field.node.number() {
                Some(0.0) => Some(0),
                _ => count(field.node).map(|count| count.min(5)),
            };
            match it.attempts {
                Some(_) => approximated(
                    "dispatch.max_attempts",
                    "ours counts the attempts of the whole chain; it is no smaller than the longest one",
                ),
                None => field.wrong("a whole number"),
            }
        }),
    ),
    (
        &["on_status_codes", "onStatusCodes"],
        Read(|_, _, _| codes()),
    ),
    (
        &[
            "use_retry_after_header",
            "useRetryAfterHeaders",
            "useRetryAfterHeader",
        ],
        Needless("an upstream's word on when to come back is always kept to"),
    ),
];

/// Reads a strategy or a target, and all inside.
pub(super) fn read_node(node: &SourceNode, path: &str, importer: &mut Importer<'_>) -> PortkeyNode {
    let mut read = PortkeyNode {
        path: path.to_owned(),
        ..PortkeyNode::default()
    };
    read_fields(
        NODE,
        &Lacks("there is no such field here"),
        &mut read,
        node,
        path,
        importer,
    );
    let inside = node
        .get("targets")
        .map(SourceNode::items)
        .unwrap_or_default();
    for (at, target) in inside.iter().enumerate() {
        let path = crate::import::table::joined(path, "targets");
        read.targets
            .push(read_node(target, &format!("{path}[{at}]"), importer));
    }
    read
}

fn nested(
    rows: &[TargetRow],
    it: &mut PortkeyNode,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    // In older configs the strategy is a word.
    if let Some(word) = field.node.name().filter(|_| field.name == "strategy") {
        it.mode = Some(word.to_owned());
        return mode(it, field, importer);
    }
    read_fields(
        rows,
        &Lacks("there is no such field here"),
        it,
        field.node,
        &field.path,
        importer,
    );
    FieldVerdict::Nested
}

fn codes() -> FieldVerdict {
    approximated(
        "",
        "the class of a failure decides: what the caller did wrong is not tried elsewhere, everything else is",
    )
}

fn optional(target: &mut Option<String>, field: &SourceField<'_>, became: &str) -> FieldVerdict {
    match field.node.name() {
        Some(text) => {
            *target = Some(text.to_owned());
            mapped(became)
        }
        None => field.wrong("a text"),
    }
}

fn secret(it: &mut PortkeyNode, name: &'static str, field: &SourceField<'_>) -> FieldVerdict {
    let text = match (field.node, field.node.text()) {
        (_, Some(text)) => text.to_owned(),
        // A service account may be written as an object.
        (SourceNode::Map(_), None) if name == "google" => "{".to_owned(),
        _ => return field.wrong("a text"),
    };
    it.secrets.push((name, field.path.clone(), text));
    mapped("")
}

fn place(
    it: &mut PortkeyNode,
    name: &'static str,
    field: &SourceField<'_>,
    became: &str,
) -> FieldVerdict {
    match field.node.name() {
        Some(text) => {
            it.places.push((name, text.to_owned()));
            mapped(became)
        }
        None => field.wrong("a text"),
    }
}

fn header(
    it: &mut PortkeyNode,
    name: &str,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    match field.node.name() {
        Some(text) => {
            let value = importer.guarded(text, name);
            it.headers.push((name.to_owned(), value));
            mapped(format!("llm.providers[].headers.{name}"))
        }
        None => field.wrong("a text"),
    }
}

fn weight(it: &mut PortkeyNode, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    it.weight = field.node.number().filter(|weight| *weight >= 0.0);
    match it.weight {
        Some(_) => mapped("llm.virtual[].upstreams[].weight"),
        None => field.wrong("a number, 0 or more"),
    }
}

fn timeout(it: &mut PortkeyNode, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    it.timeout = field.node.number().and_then(millis);
    match it.timeout {
        Some(_) => approximated(
            "llm.providers[].timeouts.response",
            "of answers that are not streamed; streams have first_byte, first_token and idle",
        ),
        None => field.wrong("milliseconds, above 0"),
    }
}

fn mode(it: &mut PortkeyNode, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let mode = field.node.text().unwrap_or_default();
    it.mode = Some(mode.to_owned());
    match mode {
        "fallback" => mapped("llm.virtual[].policy: ordered"),
        "single" => mapped("llm.virtual[].upstreams"),
        "loadbalance" => approximated(
            "llm.virtual[].policy: weighted",
            "when the drawn one fails the next is asked; theirs does not go on",
        ),
        "conditional" => approximated(
            "llm.virtual[].upstreams[].when",
            "when the one whose condition holds fails, the next such one and the default are asked; theirs does not go on",
        ),
        _ => unsupported("there is no such strategy: the targets are asked in order"),
    }
}

fn override_params(
    it: &mut PortkeyNode,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    for (name, value) in field.node.entries() {
        let path = crate::import::table::joined(&field.path, name);
        let shown = crate::import::field_report::shown(name, value);
        let verdict = match (name.as_str(), value.name()) {
            ("model", Some(model)) => {
                it.model = Some(model.to_owned());
                mapped("llm.virtual[].upstreams")
            }
            ("stream" | "messages" | "prompt" | "input", _) => unsupported("is each request's own"),
            (name, _) if is_secret_name(name) => unsupported("looks like a credential"),
            (name, _) => {
                let value = importer.tree(name, value);
                it.params.push((name.to_owned(), value));
                approximated(
                    format!("llm.providers[].params.{name}"),
                    "filled in where the request has none; theirs takes the place of the request's",
                )
            }
        };
        importer.reports.add(&path, shown, verdict);
    }
    FieldVerdict::Nested
}
