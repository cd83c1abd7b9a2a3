//! By what the requests of one conversation are known, so that they can go where its prompt is cached.

use std::hash::Hasher;

use super::affinity_choice::AffinityChoice;
use super::request::Request;
use crate::domain::hash_map::fixed_hasher;
use crate::domain::session_affinity::AffinityBy;

/// Headers by which clients name a conversation: OpenRouter's and xAI's.
const HEADERS: [&str; 2] = ["x-session-id", "x-grok-conv-id"];
/// Fields by which they do.
const FIELDS: [&str; 2] = ["session_id", "prompt_cache_key"];

/// The hash of a conversation that is known by its name.
pub(super) fn named(client: Option<&str>, target: &str, name: &str) -> u64 {
    let mut hasher = of_target(client.unwrap_or_default(), target);
    hasher.write(name.as_bytes());
    hasher.finish()
}

fn of_target(client: &str, target: &str) -> impl Hasher + Clone {
    let mut hasher = fixed_hasher();
    for part in [client, target] {
        hasher.write(part.as_bytes());
        hasher.write_u8(0xff);
    }
    hasher
}

/// The hash of what a request's conversation is known by; `None` where it is known by nothing. Names are those of their
/// client and target: two clients that count their sessions from 1 have nothing in common.
pub(super) fn of(request: &Request, target: &str, by: AffinityBy) -> Option<u64> {
    let client = request.client.as_ref().map_or("", |client| client.name());
    let mut hasher = of_target(client, target);
    let named = |text: &[u8]| {
        let mut hasher = hasher.clone();
        hasher.write(text);
        hasher.finish()
    };
    if by == AffinityBy::User {
        let user = request.doc.user();
        let known = user.is_some() || !client.is_empty();
        return known.then(|| named(user.as_deref().unwrap_or_default().as_bytes()));
    }
    if let Some(AffinityChoice::Session(session)) = &request.affinity {
        return Some(named(session.as_bytes()));
    }
    let header = |name: &&str| Some(request.headers.get(*name)?.as_bytes());
    let given = |text: &&[u8]| !text.is_empty();
    if by == AffinityBy::Header {
        return HEADERS.iter().filter_map(header).find(given).map(named);
    }
    let mut fields = FIELDS.into_iter();
    if let Some(name) = fields.find_map(|name| request.doc.text_of(name)) {
        return Some(named(name.as_bytes()));
    }
    if let Some(name) = HEADERS.iter().filter_map(header).find(given) {
        return Some(named(name));
    }
    let mut any = false;
    request.doc.opening(|text| {
        any |= !text.is_empty();
        hasher.write(text);
        hasher.write_u8(0xff);
    });
    any.then(|| hasher.finish())
}
