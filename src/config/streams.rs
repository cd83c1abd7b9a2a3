//! What is typed about streams: hedging, rescue and prefills, and what it means.

use std::time::Duration;

use config::ValueKind;

use super::read::{ConfigNode, FromNode, Report, section};
use super::values::{Fraction, Span, choice, share};
use crate::domain::hedge::{HedgeAfter, HedgePolicy};
use crate::domain::profile::Profile;
use crate::domain::rescue::{Prefill, RescueMode, RescuePolicy};

/// `dispatch.hedge.after`: a time, or `p95`.
pub(super) struct HedgeTime(pub HedgeAfter);

impl FromNode for HedgeTime {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        if node.text().is_some_and(|text| text.trim() == "p95") {
            return Some(Self(HedgeAfter::P95));
        }
        match Span::of(node) {
            Some(Span(span)) if !span.is_zero() => Some(Self(HedgeAfter::Span(span))),
            _ => node.wrong("p95, or a time above zero such as 500ms, 2s", report),
        }
    }
}

section! {
    /// `dispatch.hedge`
    Hedge {
        /// A time, or `p95`: the slowest twentieth of what was learned of the upstream. Default `p95`.
        after: HedgeTime,
        /// Second attempts per request, 0 to 1. Default 0.05.
        max_ratio: Fraction,
    }
}

/// The policy, if there is one.
pub(super) fn hedge(raw: Option<Hedge>) -> Option<HedgePolicy> {
    let raw = raw?;
    let usual = HedgePolicy::default();
    Some(HedgePolicy {
        after: raw.after.map_or(usual.after, |HedgeTime(after)| after),
        max_ratio: share(raw.max_ratio, usual.max_ratio),
    })
}

section! {
    /// `llm.virtual[].rescue`
    RescueTable {
        /// `off`, `restart` or `continue`.
        mode: RescueModeForm = required,
        /// How long events are kept back before they go out. Default `0ms`.
        hold: Span,
    }
}

/// `llm.virtual[].rescue.mode`
#[derive(Clone, Copy)]
pub(super) struct RescueModeForm(Option<RescueMode>);

impl FromNode for RescueModeForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        // YAML's own idea of `off`.
        if node.value.kind == ValueKind::Boolean(false) {
            return Some(Self(None));
        }
        let modes = [
            ("off", Self(None)),
            ("restart", Self(Some(RescueMode::Restart))),
            ("continue", Self(Some(RescueMode::Continue))),
        ];
        choice(node, &modes, report)
    }
}

/// `llm.virtual[].rescue`, also as a mode alone.
#[derive(Clone, Copy)]
pub(super) struct RescueForm(pub Option<RescuePolicy>);

/// What is held back delays every stream: more is a slip.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

impl FromNode for RescueForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let with = |mode: RescueMode, hold| RescuePolicy { mode, hold };
        if !matches!(node.value.kind, ValueKind::Table(_)) {
            let RescueModeForm(mode) = RescueModeForm::read(node, report)?;
            return Some(Self(mode.map(|mode| with(mode, Duration::ZERO))));
        }
        let table = RescueTable::read(node, report)?;
        let hold = table.hold.map_or(Duration::ZERO, |Span(span)| span);
        if hold > LONGEST_HOLD {
            return node.reject("hold is longer than a minute", "write 200ms, say", report);
        }
        let Some(RescueModeForm(mode)) = table.mode else {
            return node.reject(
                "has no mode",
                "add mode: restart, or mode: continue",
                report,
            );
        };
        Some(Self(mode.map(|mode| with(mode, hold))))
    }
}

/// `profile`, on a virtual provider and under `dispatch`
#[derive(Clone, Copy)]
pub(super) struct ProfileForm(pub Option<Profile>);

impl FromNode for ProfileForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        // YAML's own idea of `off`.
        if node.value.kind == ValueKind::Boolean(false) {
            return Some(Self(None));
        }
        let interactive = Profile::Interactive;
        let profiles = [
            ("off", Self(None)),
            (interactive.as_str(), Self(Some(interactive))),
        ];
        choice(node, &profiles, report)
    }
}

/// `llm.providers[].prefill`
#[derive(Clone, Copy)]
pub(super) struct PrefillForm(pub Option<Prefill>);

impl FromNode for PrefillForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        if node.value.kind == ValueKind::Boolean(false) {
            return Some(Self(None));
        }
        let mut forms = vec![("off", Self(None))];
        forms.extend(Prefill::ALL.map(|(name, form)| (name, Self(Some(form)))));
        choice(node, &forms, report)
    }
}
