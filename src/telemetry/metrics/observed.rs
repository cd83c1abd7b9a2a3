//! The instruments that are observed on demand, all from one reading of the state.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::process::Process;
use super::specs::{self, InstrumentKind, Spec};
use super::state::{CacheGauges, FleetGauges, StateGauges, StateObserver};
use crate::domain::ids::Upstream;
use crate::telemetry::once_map::OnceMap;
use crate::telemetry::{feed, sink};

/// The label for what the configuration does not name.
pub(super) const OTHER: &str = "other";

/// What the callbacks read.
#[derive(Default)]
pub(super) struct Observed {
    look: OnceLock<StateObserver>,
    state: ArcSwap<StateGauges>,
    process: ArcSwap<Process>,
    reloads: OnceMap<(&'static str, bool), AtomicU64>,
    /// 1 or 0.
    reload_good: AtomicU64,
    /// Milliseconds since 1970.
    reloaded_at: AtomicU64,
    started: f64,
    exports: OnceMap<(&'static str, bool), AtomicU64>,
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observed")
    }
}

fn now() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

impl Observed {
    pub(super) fn new() -> Arc<Self> {
        let this = Self {
            started: now().as_secs_f64(),
            ..Self::default()
        };
        this.reload_good.store(1, Ordering::Relaxed);
        this.stamp();
        Arc::new(this)
    }

    fn stamp(&self) {
        let millis = u64::try_from(now().as_millis()).unwrap_or(u64::MAX);
        self.reloaded_at.store(millis, Ordering::Relaxed);
    }

    /// From now on this is where the state comes from.
    pub(super) fn look_with(&self, look: StateObserver) {
        // A second one changes nothing.
        drop(self.look.set(look));
    }

    pub(super) fn reloaded(&self, trigger: &'static str, good: bool) {
        let count = self.reloads.get((trigger, good), AtomicU64::default);
        count.fetch_add(1, Ordering::Relaxed);
        self.reload_good.store(u64::from(good), Ordering::Relaxed);
        if good {
            self.stamp();
        }
    }

    pub(super) fn exported(&self, signal: &'static str, good: bool) -> u64 {
        let count = self.exports.get((signal, good), AtomicU64::default);
        count.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn refresh(&self) {
        if let Some(look) = self.look.get() {
            self.state.store(Arc::new(look()));
        }
        self.process.store(Arc::new(Process::look()));
    }
}

/// Takes an observed value and its labels.
type Tell<'a> = &'a mut dyn FnMut(f64, &[KeyValue]);

/// Makes them. The first one that is asked looks for all.
pub(super) fn register(meter: &Meter, observed: &Arc<Observed>) {
    add(meter, &specs::IN_FLIGHT, observed, |it, tell| {
        it.refresh();
        tell(count(it.state.load().in_flight), &[]);
    });
    add(meter, &specs::BUFFERED, observed, |it, tell| {
        tell(count(it.state.load().buffered.0), &[]);
    });
    add(meter, &specs::BUFFERED_LIMIT, observed, |it, tell| {
        tell(count(it.state.load().buffered.1), &[]);
    });
    requests(meter, observed);
    upstreams(meter, observed);
    budgets(meter, observed);
    cache(meter, observed);
    fleet(meter, observed);
    keys(meter, observed);
    actors(meter, observed);
    process(meter, observed);
    counted(meter, observed);
}

fn cache(meter: &Meter, observed: &Arc<Observed>) {
    type CacheFigure = fn(&CacheGauges) -> f64;
    let figures: [(&Spec, CacheFigure); 3] = [
        (&specs::CACHE_ENTRIES, |it| it.entries),
        (&specs::CACHE_SIZE, |it| it.bytes),
        (&specs::CACHE_LIMIT, |it| it.most),
    ];
    for (spec, figure) in figures {
        add(meter, spec, observed, move |it, tell| {
            if let Some(cache) = &it.state.load().cache {
                tell(figure(cache), &[]);
            }
        });
    }
}

fn fleet(meter: &Meter, observed: &Arc<Observed>) {
    type FleetFigure = fn(&FleetGauges) -> Option<f64>;
    let figures: [(&Spec, FleetFigure); 5] = [
        (&specs::FLEET_UP, |it| {
            Some(if it.is_up { 1.0 } else { 0.0 })
        }),
        (&specs::FLEET_LAG, |it| it.lag),
        (&specs::FLEET_NODES, |it| Some(count(it.nodes))),
        (&specs::FLEET_FACTS, |it| Some(count(it.facts))),
        (&specs::FLEET_UNSENT, |it| Some(count(it.unsent))),
    ];
    for (spec, figure) in figures {
        add(meter, spec, observed, move |it, tell| {
            if let Some(figure) = it.state.load().fleet.as_ref().and_then(figure) {
                tell(figure, &[]);
            }
        });
    }
    add(meter, &specs::FLEET_SHARE, observed, |it, tell| {
        let state = it.state.load();
        for (of, name, limit, share) in state.fleet.iter().flat_map(|fleet| &fleet.shares) {
            let labels = [
                KeyValue::new("of", *of),
                KeyValue::new("name", name.clone()),
                KeyValue::new("limit", *limit),
            ];
            tell(*share, &labels);
        }
    });
    add(meter, &specs::FLEET_CLAIM, observed, |it, tell| {
        let state = it.state.load();
        for (of, name, every, claim) in state.fleet.iter().flat_map(|fleet| &fleet.claims) {
            let labels = [
                KeyValue::new("of", *of),
                KeyValue::new("name", name.clone()),
                KeyValue::new("every", every.clone()),
            ];
            tell(*claim, &labels);
        }
    });
}

/// Counts never reach the numbers that an `f64` cannot represent.
#[expect(clippy::cast_precision_loss, reason = "counts of things in memory")]
fn count(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn whole(count: u64) -> f64 {
    count as f64
}

fn flag(flag: bool) -> f64 {
    f64::from(u8::from(flag))
}

fn text(name: &'static str, value: impl Into<String>) -> KeyValue {
    KeyValue::new(name, value.into())
}

fn requests(meter: &Meter, observed: &Arc<Observed>) {
    add(meter, &specs::WAITING, observed, |it, tell| {
        tell(f64::from(it.state.load().waiting), &[]);
    });
    add(meter, &specs::CLIENT_IN_FLIGHT, observed, |it, tell| {
        for (name, in_flight) in &it.state.load().clients {
            tell(f64::from(*in_flight), &[text("client", &**name)]);
        }
    });
}

fn upstreams(meter: &Meter, observed: &Arc<Observed>) {
    add(meter, &specs::BREAKER, observed, |it, tell| {
        for one in &it.state.load().upstreams {
            let upstream = text("upstream", one.upstream.to_string());
            tell(
                1.0,
                &[upstream, KeyValue::new("state", one.breaker.as_str())],
            );
        }
    });
    add(meter, &specs::UPSTREAM_KEYS, observed, |it, tell| {
        for one in &it.state.load().upstreams {
            tell(
                count(one.keys),
                &[text("upstream", one.upstream.to_string())],
            );
        }
    });
    add(meter, &specs::UPSTREAM_USABLE, observed, |it, tell| {
        for one in &it.state.load().upstreams {
            tell(
                count(one.usable),
                &[text("upstream", one.upstream.to_string())],
            );
        }
    });
}

fn budgets(meter: &Meter, observed: &Arc<Observed>) {
    macro_rules! each_budget {
        ($($spec:ident: $field:ident;)*) => {$(
            add(meter, &specs::$spec, observed, |it, tell| {
                for one in &it.state.load().budgets {
                    let labels = [
                        KeyValue::new("of", one.of),
                        text("name", one.name.clone()),
                        text("number", one.number.clone()),
                        text("every", one.every.clone()),
                    ];
                    tell(one.$field, &labels);
                }
            });
        )*};
    }
    each_budget! {
        BUDGET_AMOUNT: amount;
        BUDGET_SPENT: spent;
        BUDGET_RESERVED: reserved;
    }
}

fn keys(meter: &Meter, observed: &Arc<Observed>) {
    add(meter, &specs::KEY_STATE, observed, |it, tell| {
        for key in &it.state.load().keys {
            let id = text("key", key.id.to_string());
            tell(1.0, &[id, KeyValue::new("state", key.state.as_str())]);
        }
    });
    macro_rules! each_key {
        ($($spec:ident: |$key:ident| $value:expr;)*) => {$(
            add(meter, &specs::$spec, observed, |it, tell| {
                for $key in &it.state.load().keys {
                    if let Some(value) = $value {
                        tell(value, &[text("key", $key.id.to_string())]);
                    }
                }
            });
        )*};
    }
    each_key! {
        KEY_COOLDOWN: |key| Some(key.cooldown);
        KEY_IN_FLIGHT: |key| Some(f64::from(key.in_flight));
        KEY_ATTEMPTS: |key| Some(whole(key.attempts));
        KEY_CONCURRENCY: |key| key.concurrency.map(f64::from);
    }
    macro_rules! each_limit {
        ($($spec:ident: $field:ident;)*) => {$(
            add(meter, &specs::$spec, observed, |it, tell| {
                let state = it.state.load();
                // Callers make up names of models.
                let named: HashSet<&Upstream> =
                    state.upstreams.iter().map(|one| &one.upstream).collect();
                for key in &state.keys {
                    for limit in &key.limits {
                        let Some(value) = limit.$field else { continue };
                        let model = if named.contains(&limit.upstream) { limit.upstream.model.as_str() } else { OTHER };
                        let unit = KeyValue::new("unit", limit.unit);
                        tell(value, &[text("key", key.id.to_string()), text("model", model), unit]);
                    }
                }
            });
        )*};
    }
    each_limit! {
        KEY_LIMIT: limit;
        KEY_REMAINING: remaining;
    }
}

fn actors(meter: &Meter, observed: &Arc<Observed>) {
    add(meter, &specs::ACTOR_STATE, observed, |it, tell| {
        for actor in &it.state.load().actors {
            let name = text("actor", actor.name.as_str());
            tell(1.0, &[name, KeyValue::new("state", actor.life.as_str())]);
        }
    });
    add(meter, &specs::ACTOR_RESTARTS, observed, |it, tell| {
        for actor in &it.state.load().actors {
            tell(
                f64::from(actor.restarts),
                &[text("actor", actor.name.as_str())],
            );
        }
    });
    add(meter, &specs::MAILBOX, observed, |it, tell| {
        for actor in &it.state.load().actors {
            // Below zero for as long as it takes to count.
            let depth = actor
                .mailbox
                .map(|depth| u32::try_from(depth).unwrap_or_default());
            if let Some(depth) = depth {
                tell(f64::from(depth), &[text("actor", actor.name.as_str())]);
            }
        }
    });
}

fn process(meter: &Meter, observed: &Arc<Observed>) {
    add(meter, &specs::DRAINING, observed, |it, tell| {
        tell(flag(it.state.load().draining), &[]);
    });
    add(meter, &specs::GENERATION, observed, |it, tell| {
        tell(whole(it.state.load().generation), &[]);
    });
    add(meter, &specs::RELOAD_GOOD, observed, |it, tell| {
        tell(whole(it.reload_good.load(Ordering::Relaxed)), &[]);
    });
    add(meter, &specs::RELOADED_AT, observed, |it, tell| {
        let millis = it.reloaded_at.load(Ordering::Relaxed);
        tell(Duration::from_millis(millis).as_secs_f64(), &[]);
    });
    add(meter, &specs::BUILD, observed, |_, tell| {
        tell(1.0, &[KeyValue::new("version", env!("CARGO_PKG_VERSION"))]);
    });
    add(meter, &specs::STARTED, observed, |it, tell| {
        tell(it.started, &[]);
    });
    macro_rules! of_process {
        ($($spec:ident: $field:ident;)*) => {$(
            add(meter, &specs::$spec, observed, |it, tell| {
                if let Some(value) = it.process.load().$field {
                    tell(value, &[]);
                }
            });
        )*};
    }
    of_process! {
        MEMORY: resident;
        CPU: cpu;
        FILES: files;
    }
}

fn counted(meter: &Meter, observed: &Arc<Observed>) {
    add(meter, &specs::RELOADS, observed, |it, tell| {
        it.reloads.each(|(trigger, good), count| {
            let result = if good { "success" } else { "failure" };
            let labels = [
                KeyValue::new("trigger", trigger),
                KeyValue::new("result", result),
            ];
            tell(whole(count.load(Ordering::Relaxed)), &labels);
        });
    });
    add(meter, &specs::EXPORTS, observed, |it, tell| {
        it.exports.each(|(signal, good), count| {
            let result = if good { "success" } else { "failure" };
            let labels = [
                KeyValue::new("signal", signal),
                KeyValue::new("result", result),
            ];
            tell(whole(count.load(Ordering::Relaxed)), &labels);
        });
    });
    add(meter, &specs::SPANS, observed, |it, tell| {
        let Some(spans) = it.state.load().spans else {
            return;
        };
        for (result, count) in [
            ("success", spans.exported),
            ("failure", spans.failed),
            ("dropped", spans.dropped),
        ] {
            tell(whole(count), &[KeyValue::new("result", result)]);
        }
    });
    add(meter, &specs::EVENTS, observed, |_, tell| {
        feed::feed().each_count(|name, count| {
            tell(whole(count), &[KeyValue::new("event", name)]);
        });
    });
    add(meter, &specs::LOG_DROPPED, observed, |_, tell| {
        tell(whole(sink::dropped()), &[]);
    });
}

fn add(
    meter: &Meter,
    spec: &Spec,
    observed: &Arc<Observed>,
    read: impl Fn(&Observed, Tell<'_>) + Send + Sync + 'static,
) {
    let observed = Arc::clone(observed);
    let callback = move |instrument: &dyn AsyncInstrument<f64>| {
        read(&observed, &mut |value, labels| {
            instrument.observe(value, labels);
        });
    };
    // The instruments live as long as the meter, whether they are held or not.
    match spec.kind {
        InstrumentKind::Counter => drop(
            meter
                .f64_observable_counter(spec.name)
                .with_unit(spec.unit)
                .with_description(spec.about)
                .with_callback(callback)
                .build(),
        ),
        InstrumentKind::Gauge | InstrumentKind::Histogram(_) => drop(
            meter
                .f64_observable_gauge(spec.name)
                .with_unit(spec.unit)
                .with_description(spec.about)
                .with_callback(callback)
                .build(),
        ),
    }
}
