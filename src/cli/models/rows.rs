//! The models of a configuration, one row each.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::Config;
use crate::domain::catalog::capability::Capability;
use crate::domain::catalog::entry::{Freshness, Origin};
use crate::domain::catalog::facts::{Facts, Sourced};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ModelName, Upstream};
use crate::domain::money::Pico;
use crate::domain::price_sheet::Rates;

/// One model of a provider.
pub(super) struct ModelRow {
    pub upstream: Upstream,
    /// Whether `GET /v1/models` lists it. A provider without a list of its own may be asked for others.
    pub listed: bool,
    pub facts: Arc<Facts>,
}

/// Models that are listed, in that order, and those of each provider that only lists of models know, by their ids.
pub(super) fn of(config: &Config) -> Vec<ModelRow> {
    let mut seen: HashMap<Upstream, ()> = HashMap::default();
    let mut rows = Vec::new();
    let lines = config.targets.listed().iter();
    for line in lines.filter(|line| line.provider.is_some()) {
        for upstream in &line.chain.upstreams {
            if seen.insert(upstream.clone(), ()).is_none() {
                rows.push(ModelRow {
                    upstream: upstream.clone(),
                    listed: true,
                    facts: config.facts(upstream),
                });
            }
        }
    }
    let known = config.known.iter();
    for (provider, catalog) in config
        .providers
        .iter()
        .flat_map(|provider| known.clone().map(move |catalog| (provider, catalog)))
    {
        let by_id: BTreeMap<&str, &Arc<Facts>> = catalog.models(&provider.name).collect();
        for (id, facts) in by_id {
            let upstream = Upstream::new(provider.name.clone(), ModelName::from(id));
            if seen.insert(upstream.clone(), ()).is_none() {
                rows.push(ModelRow {
                    upstream,
                    listed: false,
                    facts: Arc::clone(facts),
                });
            }
        }
    }
    rows
}

/// A value of a row by its name, and where it comes from.
pub(super) type ToldFact<'a> = (&'static str, String, &'a Origin);

impl ModelRow {
    /// The rates that hold at this moment, in seconds since 1970.
    pub fn rates(&self, now: u64) -> Option<(Rates, &Origin)> {
        let sheet = self.facts.sheet.as_ref()?;
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let rates = sheet.value.at(now)?.rates;
        Some((rates, &sheet.origin))
    }

    /// The names of what it is known to be able to do.
    pub fn can(&self) -> Vec<&'static str> {
        let all = Capability::ALL.into_iter();
        let able = all.filter(|capability| self.facts.can(*capability) == Some(true));
        able.map(Capability::name).collect()
    }

    /// Everything that is known, each with where it comes from.
    pub fn told(&self, now: u64) -> Vec<ToldFact<'_>> {
        fn of<T>(
            known: &Option<Sourced<T>>,
            text: impl Fn(&T) -> String,
        ) -> Option<(String, &Origin)> {
            let known = known.as_ref()?;
            Some((text(&known.value), &known.origin))
        }
        let facts = &self.facts;
        let mut told = Vec::new();
        let mut add = |name, value: Option<(String, _)>| {
            told.extend(value.map(|(value, origin)| (name, value, origin)));
        };
        add("context_window", of(&facts.window, u64::to_string));
        add("max_output_tokens", of(&facts.max_output, u64::to_string));
        if let Some((rates, origin)) = self.rates(now) {
            for (name, rate) in [
                ("input", rates.input),
                ("output", rates.output),
                ("cached_input", rates.cache_read()),
                ("cache_write", rates.cache_write),
            ] {
                add(name, rate.map(|rate| (million(rate), origin)));
            }
        }
        for capability in Capability::ALL {
            let known = facts.capabilities.get(capability);
            add(capability.name(), of(known, bool::to_string));
        }
        add(
            "status",
            of(&facts.status, |status| status.name().to_owned()),
        );
        add("deprecation_date", of(&facts.retires, ToString::to_string));
        told
    }

    /// Who says most of it: whose price it is, or whose window.
    pub fn origin(&self) -> Option<Arc<Origin>> {
        let priced = self
            .facts
            .sheet
            .as_ref()
            .map(|sheet| Arc::clone(&sheet.origin));
        priced.or_else(|| self.facts.origins().into_iter().next())
    }

    /// The row for machines.
    pub fn to_json(&self, now: u64) -> Value {
        let mut row = json!({
            "provider": self.upstream.provider.as_str(),
            "model": self.upstream.model.as_str(),
            "listed": self.listed,
            "free": self.facts.free,
        });
        for (name, value, origin) in self.told(now) {
            let value = match value.parse::<u64>() {
                Ok(number) if name.ends_with("_window") || name.ends_with("_tokens") => {
                    number.into()
                }
                _ => match value.as_str() {
                    "true" => true.into(),
                    "false" => false.into(),
                    _ => Value::from(value),
                },
            };
            row[name] = json!({
                "value": value,
                "source": origin.name,
                "age_seconds": origin.age(now),
                "old": origin.freshness(now) > Freshness::Fresh,
            });
        }
        row
    }
}

/// A price for a million tokens.
pub(super) fn million(rate: Pico) -> String {
    rate.decimal(6)
}
