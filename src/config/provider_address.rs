//! Where a provider is called: the address of the file, of the catalogue or of a cloud.

use super::catalog::{self, BuiltIn, Cloud};
use super::clouds::{self, CloudSettings};
use super::context::Context;
use super::endpoint::ProviderAddress;
use super::outbound;
use super::read::Report;
use super::resolved::KeyConfig;
use crate::domain::near::near;
use crate::wire::dialects::Dialect;

/// The address as it is written, else as the catalogue has it, completed by what a cloud makes of it. `called`: the dialect,
/// whether that is hosted by Google, and the keys.
pub(super) fn address(
    url: Option<String>,
    name: &str,
    entry: Option<&'static BuiltIn>,
    (dialect, hosted, keys): (Dialect, bool, &[KeyConfig]),
    cloud: &mut CloudSettings,
    (path, context): (&str, &Context<'_>),
    report: &mut Report,
) -> String {
    let is_azure = entry.is_some_and(|entry| entry.cloud == Some(Cloud::Azure));
    match (url, entry) {
        (Some(url), _) if is_azure => clouds::azure_root(&url, cloud),
        (Some(url), _) if hosted => clouds::published(url, dialect),
        (Some(url), _) => url,
        // What is missing of an address is told only where there is a key for it.
        (None, Some(entry)) if keys.is_empty() => entry.base_url.clone(),
        (None, Some(entry)) => clouds::base_url(entry, dialect, keys, cloud, context.env)
            .unwrap_or_else(|(message, suggestion)| {
                report.problem(path, format!("provider {name}: {message}"), &suggestion);
                entry.base_url.clone()
            }),
        (None, None) => String::new(),
    }
}

/// Reads it, and reports what is wrong with it.
pub(super) fn endpoint(
    url: &str,
    name: &str,
    dialect: Dialect,
    path: &str,
    report: &mut Report,
) -> ProviderAddress {
    let none = ProviderAddress {
        base_url: String::new(),
        chat_url: None,
        local: true,
    };
    if !dialect.is_remote() {
        return none;
    }
    if url.is_empty() {
        let names = catalog::all().iter().map(|entry| entry.id.as_str());
        let suggestion = match near(name, names).first() {
            Some(near) => format!("add `base_url:`; or did you mean the built-in `{near}`?"),
            None => "add `base_url:`".to_owned(),
        };
        let message = format!("provider {name} has no base_url, and is no built-in provider");
        report.problem(path, message, &suggestion);
        return none;
    }
    ProviderAddress::parse(url, dialect).unwrap_or_else(|message| {
        let message = format!("base_url {message}");
        report.problem(
            &format!("{path}.base_url"),
            message,
            "write https://host/v1",
        );
        none
    })
}

/// Where a provider takes the beginnings of answers, if elsewhere.
pub(super) fn prefill_url(
    url: Option<String>,
    dialect: Dialect,
    allow_link_local: bool,
    path: &str,
    report: &mut Report,
) -> Option<String> {
    let place = format!("{path}.prefill_url");
    let problem = match ProviderAddress::parse(&url?, dialect) {
        Ok(endpoint) if endpoint.chat_url.is_none() => {
            outbound::check_address(&endpoint.base_url, allow_link_local, &place, report);
            return Some(endpoint.base_url);
        }
        Ok(_) => "must be an API root".to_owned(),
        Err(message) => message,
    };
    report.problem(&place, problem, "write https://host/v1");
    None
}
