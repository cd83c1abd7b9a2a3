//! LiteLLM's settings around the deployments, as far as they were read.

use crate::import::importer::Importer;
use crate::import::source::SourceNode;
use crate::import::table::{FieldRow, FieldRule, read_fields};
use crate::import::tree::YamlTree;

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

/// What is said of the cache.
#[derive(Default)]
pub(super) struct CacheSettings {
    pub(super) on: bool,
    /// Where something is said of it.
    pub(super) places: Vec<String>,
    /// Its type; nothing is Redis.
    pub(super) store: Option<String>,
    pub(super) url: Option<YamlTree>,
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    pub(super) password: Option<YamlTree>,
    pub(super) tls: bool,
    pub(super) ttl: Option<YamlTree>,
    pub(super) prefix: Option<String>,
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
    /// How long calls may take, in milliseconds.
    pub(super) timeout: Option<u64>,
    pub(super) tags: bool,
    pub(super) allowed_fails: Option<u64>,
    pub(super) cooldown: Option<YamlTree>,
    pub(super) same_upstream: Option<u64>,
    pub(super) affinity: bool,
    pub(super) groups: Vec<(Vec<String>, &'static str)>,
    pub(super) budgets: Vec<ProviderBudget>,
    pub(super) cache: CacheSettings,
    pub(super) budget: (Option<YamlTree>, Option<YamlTree>),
}

/// A row of a table of settings.
pub(super) type SettingRow = FieldRow<RouterSettings>;

impl RouterSettings {
    /// Reads a section by its table.
    pub(super) fn read(
        &mut self,
        rows: &[SettingRow],
        node: &SourceNode,
        path: &str,
        importer: &mut Importer<'_>,
    ) {
        let others = FieldRule::Lacks("there is no such setting here");
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
