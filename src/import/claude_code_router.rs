//! Claude Code Router: `config.json` with `Providers`, `Router` and transformers.

mod providers;
mod transformers;

use self::providers::{RoutedProvider, read_provider};
use super::draft::{DraftMember, DraftVirtual, MemberTarget};
use super::error::ImportError;
use super::field_report::{FieldVerdict, approximated, mapped, mapped_with, needless, unsupported};
use super::importer::Importer;
use super::source::SourceNode;
use super::spans::{count, millis};
use super::table::{FieldRow, FieldRule, SourceField, read_fields};
use super::tree::YamlTree;

use FieldRule::{Lacks, Needless, Read};

/// Tokens above which a prompt is long, where the file says nothing.
const LONG: u64 = 60_000;

/// What is known while the file is read.
#[derive(Default)]
struct CodeRouter {
    host: Option<String>,
    port: Option<String>,
    /// How long calls may take, in milliseconds.
    timeout: Option<u64>,
    /// Routes by their names: where they are written, and the `provider,model` that they lead to.
    routes: Vec<(String, String, Vec<String>)>,
    fallbacks: Vec<(String, String, Vec<String>)>,
    threshold: Option<u64>,
    keyed: bool,
}

const ROOT: &[FieldRow<CodeRouter>] = &[
    (
        &["Providers", "providers"],
        Read(|_, _, _| FieldVerdict::Nested),
    ),
    (&["Router", "router"], Read(routes)),
    (&["fallback", "Fallback"], Read(fallback_lists)),
    (&["APIKEY"], Read(api_key)),
    (
        &["HOST"],
        Read(|it, field, _| optional(&mut it.host, field)),
    ),
    (
        &["PORT"],
        Read(|it, field, _| optional(&mut it.port, field)),
    ),
    (&["PROXY_URL"], Read(proxy)),
    (&["API_TIMEOUT_MS"], Read(timeout)),
    (&["LOG"], Needless("the log goes to standard output")),
    (&["LOG_LEVEL", "logLevel"], Read(level)),
    (
        &[
            "NON_INTERACTIVE_MODE",
            "CLAUDE_PATH",
            "StatusLine",
            "statusLine",
            "tools",
        ],
        Needless("is a setting of Claude Code itself"),
    ),
    (
        &["CUSTOM_ROUTER_PATH", "REWRITE_SYSTEM_PROMPT"],
        Lacks("scripts are not run: write conditions as `when` of upstreams"),
    ),
    (
        &["transformers", "plugins"],
        Lacks("scripts are not run: dialects and params are what there is"),
    ),
    (
        &["OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"],
        Lacks("write it as a provider: newer versions do not read it either"),
    ),
    (
        &["presets", "Settings", "forceUseImageAgent"],
        Lacks("there is no such setting here"),
    ),
];

const ROUTES: &[FieldRow<CodeRouter>] = &[
    (
        &["longContextThreshold"],
        Read(|it, field, _| {
            it.threshold = count(field.node);
            match it.threshold {
                Some(_) => mapped("llm.virtual[].upstreams[].when.min_prompt_tokens"),
                None => field.wrong("a number of tokens"),
            }
        }),
    ),
    (&["fallback"], Read(fallback_lists)),
    (
        &["custom", "customRouter", "contextRouting"],
        Lacks("scripts and patterns are not run: write conditions as `when` of upstreams"),
    ),
];

pub(super) fn read(node: &SourceNode, importer: &mut Importer<'_>) -> Result<(), ImportError> {
    let providers = node.get("Providers").or_else(|| node.get("providers"));
    let Some(providers) = providers else {
        return Err(ImportError::Foreign("there are no Providers"));
    };
    let mut router = CodeRouter::default();
    read_fields(
        ROOT,
        &Lacks("there is no such setting here"),
        &mut router,
        node,
        "",
        importer,
    );
    listen(&router, importer);
    let mut routed: Vec<RoutedProvider> = Vec::new();
    match providers {
        SourceNode::Map(entries) => {
            for (name, entry) in entries {
                let path = super::table::joined("Providers", name);
                routed.extend(read_provider(
                    Some(name),
                    entry,
                    &path,
                    router.timeout,
                    importer,
                ));
            }
        }
        list => {
            for (at, entry) in list.items().iter().enumerate() {
                let path = format!("Providers[{at}]");
                routed.extend(read_provider(None, entry, &path, router.timeout, importer));
            }
        }
    }
    build(&router, &mut routed, importer);
    Ok(())
}

/// The upstream that `provider,model` means.
fn target(
    said: &str,
    routed: &mut [RoutedProvider],
    importer: &mut Importer<'_>,
) -> Result<MemberTarget, String> {
    let Some((name, model)) = said.split_once(',') else {
        return Err(format!(
            "`{said}` is no provider and model with a comma between them"
        ));
    };
    let (name, model) = (name.trim(), model.trim());
    let found = routed
        .iter_mut()
        .find(|provider| provider.name.eq_ignore_ascii_case(name));
    match found {
        Some(provider) => Ok(provider.upstream(model, importer)),
        None => Err(format!("the provider {name} was not taken over")),
    }
}

/// Each route becomes a virtual provider; the default one asks the others first, where their conditions hold.
fn build(router: &CodeRouter, routed: &mut [RoutedProvider], importer: &mut Importer<'_>) {
    let mut made: Vec<(&str, Vec<DraftMember>)> = Vec::new();
    for (path, name, said) in &router.routes {
        let mut members = Vec::new();
        let more = router.fallbacks.iter().filter(|(_, of, _)| of == name);
        let more = more.flat_map(|(path, _, said)| said.iter().map(move |said| (path, said)));
        for (path, said) in said.iter().map(|said| (path, said)).chain(more) {
            match target(said, routed, importer) {
                Ok(target) => members.push(DraftMember::of(target)),
                Err(why) => importer.reports.revise(path, unsupported(why)),
            }
        }
        if !members.is_empty() {
            made.push((name, members));
        }
    }
    let conditions = |name: &str| {
        let mut when = YamlTree::map();
        match name {
            "longContext" => when.set(
                &["min_prompt_tokens"],
                YamlTree::bare(router.threshold.unwrap_or(LONG)),
            ),
            "image" => when.set(&["has"], YamlTree::names(["images"])),
            "think" => when.set(&["has"], YamlTree::names(["reasoning"])),
            _ => return None,
        }
        Some(when)
    };
    // In the order in which they are looked at there.
    let mut first = Vec::new();
    for name in ["longContext", "image", "think"] {
        let Some((_, members)) = made.iter().find(|(known, _)| *known == name) else {
            continue;
        };
        for member in members {
            first.push(DraftMember {
                when: conditions(name),
                ..member.clone()
            });
        }
    }
    for (name, members) in made {
        let is_default = name == "default";
        let members = match is_default {
            true => std::mem::take(&mut first)
                .into_iter()
                .chain(members)
                .collect(),
            false => members,
        };
        if is_default {
            importer
                .draft
                .rest
                .set(&["llm", "default_model"], YamlTree::literal(name));
        }
        importer.draft.virtuals.push(DraftVirtual {
            name: name.to_owned(),
            settings: YamlTree::map(),
            members,
        });
    }
}

fn listen(router: &CodeRouter, importer: &mut Importer<'_>) {
    let Some(port) = router
        .port
        .as_deref()
        .filter(|port| port.parse::<u16>().is_ok())
    else {
        if router.port.is_some() {
            importer.reports.revise("PORT", unsupported("is no port"));
        }
        if router.host.is_some() {
            importer.reports.revise(
                "HOST",
                approximated(
                    "server.listen",
                    "write it with a port; it is 127.0.0.1:8080 now",
                ),
            );
        }
        return;
    };
    // Without a key the router itself listens on this machine only.
    let host = router
        .host
        .as_deref()
        .filter(|_| router.keyed)
        .unwrap_or("127.0.0.1");
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    importer.draft.rest.set(
        &["server", "listen"],
        YamlTree::literal(&format!("{host}:{port}")),
    );
}

fn optional(target: &mut Option<String>, field: &SourceField<'_>) -> FieldVerdict {
    *target = field.node.name().map(str::to_owned);
    match target {
        Some(_) => mapped("server.listen"),
        None => field.wrong("a text"),
    }
}

fn routes(
    it: &mut CodeRouter,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    read_fields(ROUTES, &Read(route), it, field.node, &field.path, importer);
    FieldVerdict::Nested
}

fn route(it: &mut CodeRouter, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let said: Vec<String> = field
        .node
        .items()
        .iter()
        .filter_map(|item| item.name().map(str::to_owned))
        .collect();
    if said.is_empty() {
        return match field.node.text() {
            Some("") => needless("nothing stands there"),
            _ => field.wrong("`provider,model`"),
        };
    }
    it.routes
        .push((field.path.clone(), field.name.to_owned(), said));
    match field.name {
        "default" => mapped_with(
            "llm.default_model",
            "Claude Code asks for it with ANTHROPIC_MODEL=default",
        ),
        "longContext" => mapped("llm.virtual[default].upstreams[].when.min_prompt_tokens"),
        "think" => approximated(
            "llm.virtual[default].upstreams[].when.has: reasoning",
            "when that fails, the default is asked",
        ),
        "image" => approximated(
            "llm.virtual[default].upstreams[].when.has: images",
            "when that fails, the default is asked",
        ),
        "background" => approximated(
            "llm.virtual[background]",
            "asked for by name: set ANTHROPIC_DEFAULT_HAIKU_MODEL=background; theirs goes by `haiku` in the model's name",
        ),
        "webSearch" => approximated(
            "llm.virtual[webSearch]",
            "asked for by name only: there is no condition on the search tool",
        ),
        name => approximated(format!("llm.virtual[{name}]"), "asked for by name only"),
    }
}

fn fallback_lists(
    it: &mut CodeRouter,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    if field.node.entries().is_empty() {
        return unsupported("expected lists by the names of routes");
    }
    for (name, list) in field.node.entries() {
        let path = super::table::joined(&field.path, name);
        let said: Vec<String> = list
            .items()
            .iter()
            .filter_map(|item| item.name().map(str::to_owned))
            .collect();
        importer.reports.add(
            &path,
            said.join("; "),
            mapped(format!("llm.virtual[{name}].upstreams")),
        );
        it.fallbacks.push((path, name.clone(), said));
    }
    FieldVerdict::Nested
}

fn api_key(
    it: &mut CodeRouter,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let key = field
        .node
        .text()
        .and_then(|text| importer.secret(text, "CCR_API_KEY"));
    let Some((token, why)) = key else {
        return needless("no key is asked for");
    };
    let mut client = YamlTree::map();
    client.set(&["name"], YamlTree::literal("claude-code"));
    client.set(&["token"], token);
    importer.draft.rest.push(&["clients"], client);
    it.keyed = true;
    mapped_with("clients[claude-code].token", why)
}

fn proxy(_: &mut CodeRouter, field: &SourceField<'_>, importer: &mut Importer<'_>) -> FieldVerdict {
    match field.node.name() {
        None => needless("nothing stands there"),
        Some(url)
            if importer.refers(url)
                || url.starts_with("http://")
                || url.starts_with("https://") =>
        {
            let url = importer.guarded(url, "HTTPS_PROXY");
            importer.draft.rest.set(&["llm", "proxy"], url);
            mapped_with(
                "llm.proxy",
                "to providers that are not in a private network",
            )
        }
        Some(_) => unsupported("proxies are spoken to in http or https"),
    }
}

fn timeout(it: &mut CodeRouter, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    it.timeout = field.node.number().and_then(millis);
    if it.timeout.is_none() {
        return field.wrong("milliseconds, above 0");
    }
    approximated(
        "llm.providers[].timeouts.response",
        "of answers that are not streamed; streams have first_byte, first_token and idle",
    )
}

fn level(_: &mut CodeRouter, field: &SourceField<'_>, importer: &mut Importer<'_>) -> FieldVerdict {
    let level = match field.node.text().unwrap_or_default() {
        "fatal" | "error" => "error",
        level @ ("warn" | "info" | "debug" | "trace") => level,
        _ => return field.wrong("a level"),
    };
    importer
        .draft
        .rest
        .set(&["log", "level"], YamlTree::bare(level));
    mapped("log.level")
}
