//! Keys whose value is one of several words.

use super::read::{ConfigNode, FromNode, Report};
use super::resolved::LogFormat;
use super::values::choice;
use crate::domain::chain::NameMatch;
use crate::domain::cooldown::CooldownScope;
use crate::domain::dialect::NativeRoute;
use crate::domain::dropped::Unsupported;
use crate::domain::profile::Fetch;
use crate::domain::rotation::KeyRotation;
use crate::wire::auth::AuthScheme;
use crate::wire::dialects::{Dialect, UPSTREAM};

impl FromNode for Dialect {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let all = UPSTREAM.map(|dialect| (dialect.id(), dialect));
        choice(node, &all, report)
    }
}

impl FromNode for AuthScheme {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        choice(node, &Self::ALL, report)
    }
}

impl FromNode for KeyRotation {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        choice(
            node,
            &Self::ALL.map(|rotation| (rotation.as_str(), rotation)),
            report,
        )
    }
}

impl FromNode for CooldownScope {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let scopes = [
            ("key_model", Self::KeyModel),
            ("key", Self::Key),
            ("provider", Self::Provider),
        ];
        choice(node, &scopes, report)
    }
}

impl FromNode for LogFormat {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        choice(node, &[("text", Self::Text), ("json", Self::Json)], report)
    }
}

impl FromNode for NameMatch {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let all = Self::ALL.map(|one| (one.as_str(), one));
        choice(node, &all, report)
    }
}

impl FromNode for Unsupported {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let all = Self::ALL.map(|one| (one.as_str(), one));
        choice(node, &all, report)
    }
}

impl FromNode for Fetch {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let all = Self::ALL.map(|one| (one.as_str(), one));
        choice(node, &all, report)
    }
}

impl FromNode for NativeRoute {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let all = Self::ALL.map(|one| (one.as_str(), one));
        choice(node, &all, report)
    }
}
