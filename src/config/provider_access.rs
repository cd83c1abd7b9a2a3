//! How calls to a provider are let in: its keys, the credentials of its cloud, and what is made of them.

use super::catalog::BuiltIn;
use super::clouds;
use super::context::Context;
use super::credentials::{self, CredentialList};
use super::provider_keys::keys_of;
use super::raw;
use super::read::Report;
use super::resolved::KeyConfig;
use crate::wire::auth::AuthScheme;

/// How calls are let in.
pub(super) struct Access {
    /// What is made of a key; `None`: what the dialect makes of it.
    pub(super) scheme: Option<AuthScheme>,
    pub(super) keys: Vec<KeyConfig>,
    /// The file or the environment names a key.
    pub(super) written: bool,
}

/// The scheme and the keys of the provider at `path`; `variables` are those that may hold its keys, `entry` is the
/// catalogue's, where it is that provider.
pub(super) fn resolve(
    raw: &mut raw::ProviderSection,
    entry: Option<&BuiltIn>,
    variables: &[String],
    path: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> Access {
    let list = raw.credentials.take();
    let told = |list: &CredentialList| list.0.iter().find_map(|(one, _)| one.scheme());
    let named = raw.auth.or_else(|| list.as_ref().and_then(told));
    let mut scheme = named.or_else(|| match &list {
        Some(_) => entry.and_then(clouds::made_scheme),
        None => entry.and_then(clouds::usual_scheme),
    });
    let variables = if list.is_some() { &[] } else { variables };
    let makes = scheme.is_some_and(AuthScheme::makes);
    let (mut keys, _) = keys_of(raw, variables, !makes, path, context, report);
    if let Some(list) = list {
        if !makes {
            let message = "nothing says what the credentials are for";
            report.problem(
                &format!("{path}.credentials"),
                message,
                "write auth: aws, azure or google",
            );
        }
        keys.extend(credentials::keys_of(list, &context.dir, report));
    }
    if keys.is_empty() && context.with_environment {
        let made = named.or_else(|| entry.and_then(clouds::made_scheme));
        if let Some((found, key)) = made.and_then(|made| credentials::from_env(made, context)) {
            scheme = Some(found);
            keys.push(key);
        }
    }
    if let Some(scheme) = scheme.filter(|scheme| scheme.makes()) {
        keys = credentials::settle(keys, scheme, path, &context.dir, report);
    }
    Access {
        scheme,
        written: !keys.is_empty(),
        keys,
    }
}
