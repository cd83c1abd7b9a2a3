//! `cache`: what is typed of kept answers, at the top, on virtual providers and on providers, and what it means.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::cache_keys::{CacheServerForm, KeyPrefix, ValkeyUrl};
use super::cache_server::CacheServer;
use super::context::Context;
use super::read::{ConfigNode, FromNode, Report, section};
use super::values::{Names, PositiveSpan, Size, Span, choice};
use crate::domain::caching::{
    CachePolicy, CacheRules, CacheScope, CacheStoreKind, CacheTable, CacheWhen, LONGEST_TTL,
};
use crate::domain::ids::ProviderName;

/// Bytes of answers that are kept in memory.
const MAX_SIZE: u64 = 256 * 1024 * 1024;

section! {
    /// `cache`
    CacheSection {
        /// Whether answers are kept. Default true where the section is there.
        enabled: bool,
        /// Where they are kept: in the `memory` of the process, or in a server that processes share (`valkey`), with memory in
        /// front. Default: `valkey` where there is a `url`, else `memory`.
        store: CacheStoreKind,
        /// The server, Valkey or any other that speaks the Redis protocol: `redis://host:6379`,
        /// `rediss://user:password@host:6379/0` (with TLS) or `unix:/path`. Never shown with its password.
        url: ValkeyUrl,
        /// What the names of entries in the server begin with. Absent: `pointsman`.
        prefix: KeyPrefix,
        /// A file with the key that entries in the server are encrypted with, relative to this file: 32 bytes as they are, in
        /// hexadecimal digits or in base64. Absent: they are not encrypted.
        encrypt_key_file: String,
        /// Files of certificate authorities (PEM), relative to this file, that vouch for the server in place of the system's.
        ca_file | ca_files: Names,
        /// So many bytes of answers are kept in memory; what is asked for most stays. Default `256MiB`.
        max_size: Size,
        /// How long an answer serves, up to 30 days. Default `5m`.
        ttl: PositiveSpan,
        /// Larger answers are not kept. Default `1MiB`.
        max_entry: Size,
        /// Which requests are looked up: `deterministic` (`temperature` 0, embeddings, rankings, moderations, counts) or
        /// `always`. Default `deterministic`.
        when: CacheWhen,
        /// Whose answers serve whom: `client` (each client's its own requests), `shared` (everybody's everybody), or any
        /// other word, which is a scope of that name. Default `client`.
        scope: String,
        /// How much longer an answer serves where no upstream can. Default `0s`.
        stale_if_error: Span,
        /// How kept answers are streamed.
        replay: ReplaySection,
    }
}

section! {
    /// `llm.virtual[].cache`, `llm.providers[].cache`
    TargetCacheSection {
        /// Whether answers are kept. Of a provider `false` holds for every target that may be served by it. Default true
        /// where the section is there.
        enabled: bool,
        /// How long an answer serves, up to 30 days. Default: as in `cache`.
        ttl: PositiveSpan,
        /// Larger answers are not kept. Default: as in `cache`.
        max_entry: Size,
        /// Which requests are looked up: `deterministic` or `always`. Default: as in `cache`.
        when: CacheWhen,
        /// Whose answers serve whom: `client`, `shared` or the name of a scope. Default: as in `cache`.
        scope: String,
        /// How much longer an answer serves where no upstream can. Default: as in `cache`.
        stale_if_error: Span,
        /// How kept answers are streamed.
        replay: ReplaySection,
    }
}

section! {
    /// `cache.replay`
    ReplaySection {
        /// So many tokens a second, roughly. Default: all at once.
        tokens_per_second: NonZeroU32,
    }
}

impl FromNode for CacheStoreKind {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let all = Self::ALL.map(|one| (one.as_str(), one));
        choice(node, &all, report)
    }
}

impl FromNode for CacheWhen {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let all = Self::ALL.map(|one| (one.as_str(), one));
        choice(node, &all, report)
    }
}

/// What a virtual provider says: its name, the path, and what is written there.
pub(super) type PlacedCache = (String, String, TargetCacheSection);

/// The server that the top names, if answers are kept in one.
fn server(
    raw: Option<&mut CacheSection>,
    context: &Context<'_>,
    report: &mut Report,
) -> Option<CacheServer> {
    let raw = raw?;
    let form = CacheServerForm {
        url: raw.url.take(),
        prefix: raw.prefix.take(),
        encrypt_key_file: raw.encrypt_key_file.take(),
        ca_file: raw.ca_file.take(),
    };
    if form.url.is_some() {
        raw.store.get_or_insert(CacheStoreKind::Valkey);
    }
    let is_wanted = raw.store == Some(CacheStoreKind::Valkey);
    form.resolve(is_wanted, &context.dir, report)
}

/// What the top says, and where it is kept.
pub(super) fn usual(
    mut raw: Option<CacheSection>,
    coalesce: Option<bool>,
    context: &Context<'_>,
    report: &mut Report,
) -> (CacheTable, Option<CacheServer>) {
    let server = server(raw.as_mut(), context, report);
    let nothing = CacheTable {
        coalesce: coalesce.unwrap_or(false),
        max_size: MAX_SIZE,
        server: server.as_ref().map(CacheServer::fingerprint),
        ..CacheTable::default()
    };
    let Some(raw) = raw else {
        return (nothing, None);
    };
    let own = TargetCacheSection {
        enabled: raw.enabled,
        ttl: raw.ttl,
        max_entry: raw.max_entry,
        when: raw.when,
        scope: raw.scope,
        stale_if_error: raw.stale_if_error,
        replay: raw.replay,
    };
    let max_size = raw.max_size.and_then(|Size(size)| u64::try_from(size).ok());
    let table = CacheTable {
        store: raw.store.unwrap_or_default(),
        max_size: max_size.unwrap_or(MAX_SIZE),
        usual: CachePolicy::default().with(&rules(own, "cache", report)),
        ..nothing
    };
    (table, server)
}

/// With what virtual providers and providers say.
pub(super) fn settled(
    table: CacheTable,
    virtuals: Vec<PlacedCache>,
    providers: BTreeMap<ProviderName, CacheRules>,
    report: &mut Report,
) -> CacheTable {
    let own = virtuals.into_iter().map(|(name, path, raw)| {
        let rules = rules(raw, &path, report);
        (name, table.usual.with(&rules))
    });
    let own = own.collect();
    let providers = providers.into_iter();
    let providers = providers.map(|(name, rules)| (name, table.usual.with(&rules)));
    CacheTable {
        virtuals: own,
        providers: providers.collect(),
        ..table
    }
}

/// What one section says.
pub(super) fn rules(raw: TargetCacheSection, path: &str, report: &mut Report) -> CacheRules {
    let ttl = raw.ttl.map(|PositiveSpan(span)| span);
    let stale = raw.stale_if_error.map(|Span(span)| span);
    let most = |key: &str, span: Option<Duration>, report: &mut Report| {
        if span.is_some_and(|span| span > LONGEST_TTL) {
            let path = format!("{path}.{key}");
            report.problem(&path, "is longer than 30 days", "write 24h, say");
        }
    };
    most("ttl", ttl, report);
    most("stale_if_error", stale, report);
    let scope = raw.scope.as_deref().map(str::trim);
    let is_name = |scope: &str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !scope.is_empty() && scope.len() <= 64 && scope.bytes().all(letter)
    };
    if scope.is_some_and(|scope| !is_name(scope)) {
        report.problem(
            &format!("{path}.scope"),
            "is no name of a scope",
            "write client, shared, or up to 64 letters, digits, dots, dashes and underscores",
        );
    }
    let replay = raw.replay.unwrap_or_default();
    CacheRules {
        enabled: raw.enabled,
        ttl,
        max_entry: raw.max_entry.map(|Size(size)| size),
        when: raw.when,
        scope: scope.map(CacheScope::named),
        stale_if_error: stale,
        tokens_per_second: replay.tokens_per_second,
    }
}
