//! LiteLLM's cache of answers: `cache` and `cache_params`, a row for each.

use super::settings::{CacheSettings, RouterSettings, SettingRow};
use crate::import::field_report::{
    FieldVerdict, approximated, mapped, mapped_with, needless, unsupported,
};
use crate::import::importer::Importer;
use crate::import::spans::kept;
use crate::import::table::{FieldRule, SourceField, read_fields};
use crate::import::tree::YamlTree;

use FieldRule::{Lacks, Needless, Read};

const PARAMS: &[SettingRow] = &[
    (&["type"], Read(store)),
    (&["url", "redis_url"], Read(url)),
    (&["host"], Read(host)),
    (&["port"], Read(port)),
    (&["password"], Read(password)),
    (&["ssl"], Read(tls)),
    (&["ttl", "default_in_redis_ttl"], Read(ttl)),
    (&["namespace"], Read(namespace)),
    (
        &["supported_call_types"],
        Read(|_, _, _| {
            approximated(
                "",
                "chats, embeddings, rankings, moderations and counts are looked up",
            )
        }),
    ),
    (&["mode"], Read(mode)),
    (&["max_connections"], Needless("one connection is kept")),
    (
        &[
            "similarity_threshold",
            "redis_semantic_cache_embedding_model",
        ],
        Lacks(ONLY_EQUAL),
    ),
];

/// Why an answer to a request that is like another one is not kept.
const ONLY_EQUAL: &str = "only equal requests have one answer";

/// `cache`: yes, or the older form with the parameters in it.
pub(super) fn cache(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    if !field.node.entries().is_empty() {
        it.cache.on = true;
        return params(it, field, importer);
    }
    it.cache.places.push(field.path.clone());
    it.cache.on = field.node.is_true();
    match it.cache.on {
        true => mapped_with(
            "cache",
            "for all requests and callers, as there (when: always, scope: shared)",
        ),
        false => needless("is off here too"),
    }
}

/// `cache_params`.
pub(super) fn params(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    it.cache.places.push(field.path.clone());
    let others = Lacks("there is no such setting of the cache");
    read_fields(PARAMS, &others, it, field.node, &field.path, importer);
    FieldVerdict::Nested
}

/// Writes the section, if answers are kept.
pub(super) fn write(settings: CacheSettings, importer: &mut Importer<'_>) {
    let semantic = |store: &String| store.contains("semantic");
    if !settings.on {
        for place in &settings.places {
            let why = "the cache is off, there and here";
            importer.reports.spare_below(place, why);
        }
        return;
    }
    if settings.store.as_ref().is_some_and(semantic) {
        // None of it, rather than another cache than the one that was meant.
        for place in &settings.places {
            importer.reports.drop_below(place, ONLY_EQUAL);
        }
        return;
    }
    let mut section = YamlTree::map();
    let is_redis = settings
        .store
        .as_deref()
        .is_none_or(|store| store == "redis");
    if is_redis {
        let url = settings.url.unwrap_or_else(|| match &settings.host {
            Some(host) => address(
                host,
                settings.port.as_deref(),
                settings.password,
                settings.tls,
                importer,
            ),
            None => importer.variable("REDIS_URL"),
        });
        section.set(&["store"], YamlTree::bare("valkey"));
        section.set(&["url"], url);
    } else {
        section.set(&["store"], YamlTree::bare("memory"));
    }
    if let Some(ttl) = settings.ttl {
        section.set(&["ttl"], ttl);
    }
    if let Some(prefix) = settings.prefix.filter(|_| is_redis) {
        section.set(&["prefix"], YamlTree::literal(&prefix));
    }
    section.set(&["when"], YamlTree::bare("always"));
    section.set(&["scope"], YamlTree::bare("shared"));
    importer.draft.rest.set(&["cache"], section);
}

/// The URL of a server, from its parts.
fn address(
    host: &str,
    port: Option<&str>,
    password: Option<YamlTree>,
    tls: bool,
    importer: &mut Importer<'_>,
) -> YamlTree {
    let text = |tree: YamlTree| match tree {
        YamlTree::Text(text) => text,
        _ => String::new(),
    };
    let scheme = if tls { "rediss" } else { "redis" };
    let password = password.map(|password| format!(":{}@", text(password)));
    let host = text(importer.text(host));
    let port = port.map(|port| format!(":{}", text(importer.text(port))));
    let (password, port) = (password.unwrap_or_default(), port.unwrap_or_default());
    YamlTree::Text(format!("{scheme}://{password}{host}{port}"))
}

fn store(it: &mut RouterSettings, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let store = field.node.text().unwrap_or_default();
    it.cache.store = Some(store.to_owned());
    match store {
        "redis" => mapped("cache.store: valkey"),
        "local" => mapped("cache.store: memory"),
        store if store.contains("semantic") => unsupported(ONLY_EQUAL),
        _ => approximated("cache.store: memory", "there is no such store"),
    }
}

fn url(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let Some(text) = field.node.name() else {
        return field.wrong("a URL");
    };
    // It may hold a password.
    let hidden = text.contains('@') && !importer.refers(text);
    let url = match hidden {
        true => importer.secret(text, "REDIS_URL"),
        false => Some((importer.text(text), String::new())),
    };
    let (url, why) = url.unzip();
    it.cache.url = url;
    mapped_with("cache.url", why.unwrap_or_default())
}

fn host(it: &mut RouterSettings, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    it.cache.host = field.node.name().map(str::to_owned);
    mapped("cache.url")
}

fn port(it: &mut RouterSettings, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    it.cache.port = field.node.name().map(str::to_owned);
    mapped("cache.url")
}

fn password(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let text = field.node.text().unwrap_or_default();
    let Some((password, why)) = importer.secret(text, "REDIS_PASSWORD") else {
        return needless("none is asked for");
    };
    it.cache.password = Some(password);
    mapped_with("cache.url", why)
}

fn tls(it: &mut RouterSettings, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    it.cache.tls = field.node.is_true();
    mapped("cache.url")
}

fn ttl(it: &mut RouterSettings, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let Some((span, whole)) = field.node.number().and_then(kept) else {
        return field.wrong("seconds, above 0");
    };
    it.cache.ttl = Some(span);
    match whole {
        true => mapped("cache.ttl"),
        false => approximated("cache.ttl", "30 days are the most"),
    }
}

fn namespace(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.cache.prefix = field.node.name().map(str::to_owned);
    mapped("cache.prefix")
}

fn mode(_: &mut RouterSettings, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    match field.node.text() {
        Some("default_off") => unsupported(
            "requests that want no kept answer say so (cache-control: no-cache); none has to ask for one",
        ),
        _ => needless("is on here too"),
    }
}
