//! How the fields of LiteLLM's deployments are read.

use super::deployment::Deployment;
use crate::import::field_report::{
    FieldVerdict, approximated, is_secret_name, mapped, mapped_with, needless, unsupported,
};
use crate::import::importer::Importer;
use crate::import::spans::{amount, count, millis_of, per_million, seconds, window};
use crate::import::table::SourceField;
use crate::import::tree::YamlTree;

pub(super) fn text(target: &mut String, field: &SourceField<'_>, became: &str) -> FieldVerdict {
    match field.node.name() {
        Some(text) => {
            text.clone_into(target);
            mapped(became)
        }
        None => field.wrong("a text"),
    }
}

pub(super) fn optional(
    target: &mut Option<String>,
    field: &SourceField<'_>,
    became: &str,
) -> FieldVerdict {
    match field.node.name() {
        Some(text) => {
            *target = Some(text.to_owned());
            mapped(became)
        }
        None => field.wrong("a text"),
    }
}

pub(super) fn secret(
    it: &mut Deployment,
    name: &'static str,
    field: &SourceField<'_>,
) -> FieldVerdict {
    match field.node.text() {
        Some(text) => {
            it.secrets.push((name, field.path.clone(), text.to_owned()));
            mapped("")
        }
        None => field.wrong("a text"),
    }
}

pub(super) fn header(
    it: &mut Deployment,
    name: &str,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let Some(text) = field.node.text() else {
        return field.wrong("a text");
    };
    set_header(it, name, text, importer);
    mapped(format!("llm.providers[].headers.{name}"))
}

pub(super) fn set_header(
    it: &mut Deployment,
    name: &str,
    value: &str,
    importer: &mut Importer<'_>,
) {
    let secret = is_secret_name(name)
        .then(|| importer.secret(value, name))
        .flatten();
    let value = match secret {
        Some((tree, _)) => tree,
        None => importer.guarded(value, name),
    };
    it.set(&["headers", name], value);
}

/// Headers that each request makes anew.
pub(super) fn is_made_per_request(name: &str) -> bool {
    let made = [
        "host",
        "connection",
        "content-length",
        "content-type",
        "accept-encoding",
        "transfer-encoding",
        "expect",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "proxy-connection",
    ];
    made.contains(&name.to_ascii_lowercase().as_str())
}

pub(super) fn headers(
    it: &mut Deployment,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    if field.node.entries().is_empty() {
        return field.wrong("a map of names and texts");
    }
    let mut left_out = Vec::new();
    for (name, value) in field.node.entries() {
        match value.scalar().filter(|_| !is_made_per_request(name)) {
            Some(value) => set_header(it, name, &value, importer),
            None => left_out.push(name.as_str()),
        }
    }
    match left_out.is_empty() {
        true => mapped("llm.providers[].headers"),
        false => approximated(
            "llm.providers[].headers",
            format!("{} is made for each request", left_out.join(", ")),
        ),
    }
}

pub(super) fn limit(
    it: &mut Deployment,
    name: &str,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let value = match (count(field.node), field.node.text()) {
        (Some(count), _) => YamlTree::bare(count),
        (None, Some(text)) if importer.refers(text) => importer.text(text),
        _ => return field.wrong("a whole number, 1 or more"),
    };
    it.set(&["limits", name], value);
    let became = format!("llm.providers[].limits.{name}");
    approximated(
        became,
        "theirs is of a deployment, ours of each key of the provider",
    )
}

pub(super) fn span(field: &SourceField<'_>) -> Option<YamlTree> {
    field.node.number().and_then(seconds)
}

pub(super) fn timeout(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.timeout = field.node.number().and_then(millis_of);
    if it.timeout.is_none() {
        return field.wrong("seconds, above 0");
    }
    approximated(
        "llm.providers[].timeouts.response",
        "of answers that are not streamed; streams have first_byte, first_token and idle",
    )
}

pub(super) fn stream_timeout(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    let Some(span) = span(field) else {
        return field.wrong("seconds, above 0");
    };
    it.set(&["timeouts", "first_byte"], span);
    approximated(
        "llm.providers[].timeouts.first_byte",
        "until a stream begins; its silences are bounded by idle",
    )
}

pub(super) fn weight(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.weight = field.node.number().filter(|weight| *weight >= 0.0);
    match it.weight {
        Some(_) => mapped("llm.virtual[].upstreams[].weight"),
        None => field.wrong("a number, 0 or more"),
    }
}

pub(super) fn order(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.order = count(field.node).or_else(|| (field.node.number() == Some(0.0)).then_some(0));
    match it.order {
        Some(_) => mapped("llm.virtual[].upstreams[].priority"),
        None => field.wrong("a whole number"),
    }
}

pub(super) fn tags(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    let tags = field.node.items().iter().filter_map(|tag| tag.name());
    it.tags = tags.map(str::to_owned).collect();
    // What it means depends on router_settings: it is told with the groups.
    needless("only requests are counted by it: router_settings.enable_tag_filtering is not set")
}

pub(super) fn retries(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    let number = field
        .node
        .number()
        .filter(|number| (0.0..=100.0).contains(number) && number.fract() == 0.0);
    let Some(number) = number else {
        return field.wrong("a whole number");
    };
    it.set(&["retry", "same_upstream"], YamlTree::bare(number));
    approximated(
        "llm.providers[].retry.same_upstream",
        "only what may pass by itself is tried again there; other keys and upstreams are tried in any case",
    )
}

pub(super) fn cooldown(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    let Some(span) = span(field) else {
        return field.wrong("seconds, above 0");
    };
    it.set(&["cooldown", "default"], span);
    approximated(
        "llm.providers[].cooldown.default",
        "ours is for rate limits and grows while they repeat; what the upstream itself says comes first",
    )
}

pub(super) fn budget(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.budget.0 = amount(field.node);
    match it.budget.0 {
        Some(_) => approximated(
            "llm.providers[].budgets",
            "windows are those of the calendar; without a price (prices, catalog.sources) calls count as nothing",
        ),
        None => field.wrong("an amount"),
    }
}

pub(super) fn budget_duration(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.budget.1 = field.node.text().and_then(window);
    match it.budget.1 {
        Some(_) => approximated(
            "llm.providers[].budgets[].every",
            "windows are those of the calendar, in UTC; the shortest is an hour",
        ),
        None => field.wrong("a window such as 1d"),
    }
}

pub(super) fn price(
    it: &mut Deployment,
    name: &'static str,
    field: &SourceField<'_>,
) -> FieldVerdict {
    priced(
        it,
        name,
        per_million(field.node),
        "per million tokens",
        field,
    )
}

pub(super) fn piece(
    it: &mut Deployment,
    name: &'static str,
    field: &SourceField<'_>,
) -> FieldVerdict {
    priced(it, name, amount(field.node), "", field)
}

pub(super) fn priced(
    it: &mut Deployment,
    name: &'static str,
    price: Option<YamlTree>,
    unit: &str,
    field: &SourceField<'_>,
) -> FieldVerdict {
    let Some(price) = price else {
        return field.wrong("a price, 0 or more");
    };
    it.prices.retain(|(known, _)| *known != name);
    it.prices.push((name, price));
    mapped_with(format!("llm.providers[].prices.{name}"), unit)
}

pub(super) fn max_input(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    match count(field.node) {
        Some(tokens) => {
            it.windows.push((field.path.clone(), tokens));
            mapped("llm.providers[].context_window")
        }
        None => field.wrong("a number of tokens"),
    }
}

pub(super) fn base_model(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    match field.node.name() {
        Some(name) => {
            it.base_model = Some((field.path.clone(), name.to_owned()));
            mapped("catalog.aliases")
        }
        None => field.wrong("a text"),
    }
}

pub(super) fn mode(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    if field.node.text() == Some("responses") {
        it.needs_responses = true;
    }
    needless("the route that a request takes tells what it is for")
}

pub(super) fn pass_through(
    it: &mut Deployment,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    if !field.node.is_true() {
        return needless("is off here too");
    }
    it.set(&["passthrough"], YamlTree::bare("true"));
    approximated(
        "llm.providers[].passthrough",
        "its paths are called under /passthrough/NAME/",
    )
}

pub(super) fn capability(it: &mut Deployment, name: &str, field: &SourceField<'_>) -> FieldVerdict {
    if field.node.is_true() {
        return needless("what is not denied is believed");
    }
    it.set(&["capabilities", name], YamlTree::bare("false"));
    mapped(format!("llm.providers[].capabilities.{name}"))
}

pub(super) fn extra_body(
    it: &mut Deployment,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    for (name, value) in field.node.entries() {
        let value = importer.tree(name, value);
        it.set(&["params", name], value);
    }
    approximated(
        "llm.providers[].params",
        "filled in where the request has none",
    )
}

/// A parameter of requests: OpenAI's, or one of the provider's own.
pub(super) fn param(
    it: &mut Deployment,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    if is_secret_name(field.name) {
        return unsupported("looks like a credential, and none of this name is known");
    }
    let value = importer.tree(field.name, field.node);
    it.set(&["params", field.name], value);
    mapped(format!("llm.providers[].params.{}", field.name))
}
