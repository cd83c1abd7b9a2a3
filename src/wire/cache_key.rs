//! What a kept answer is found by: a hash over everything that the answer depends on. The request's whole body counts, but
//! for the few fields that no answer depends on: a list of those that do would miss the next one.

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};
use http::{HeaderMap, HeaderName};

use super::canonical::{self, NotCanonical};
use crate::domain::dialect::Operation;
use crate::domain::session_affinity;

/// Changes with what is hashed: entries of another version are not found.
const VERSION: &[u8] = b"pointsman-cache-2";
/// Bytes of bodies that are copied to be hashed at once with what is beside them.
const SMALL: usize = 4 * 1024;
/// Fields of a body on which no answer depends. The model is hashed as what it means.
const NEUTRAL: [&[u8]; 10] = [
    b"model",
    b"user",
    b"metadata",
    b"safety_identifier",
    b"prompt_cache_key",
    b"prompt_cache_options",
    b"prompt_cache_retention",
    b"stream",
    b"stream_options",
    b"service_tier",
];
/// A caller's headers by which an answer may differ.
const HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("openai-beta"),
];

/// What an answer depends on, beside the body.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'a> {
    /// Whose answers they are.
    pub scope: (u8, &'a str),
    /// What is asked for.
    pub operation: Operation,
    /// The target, and what tells its upstreams and their settings from others.
    pub target: &'a str,
    /// The target's upstreams, in any order.
    pub upstreams: &'a [UpstreamPart<'a>],
    /// What is done where an upstream's dialect has no place for something.
    pub unsupported: &'a str,
    /// What the request said of its way and is no longer in its body.
    pub hints: &'a str,
    /// The caller's headers.
    pub headers: &'a HeaderMap,
}

/// What tells one upstream from others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct UpstreamPart<'a> {
    /// The name of its provider.
    pub provider: &'a str,
    /// Its model.
    pub model: &'a str,
    /// A hash of the provider's settings.
    pub settings: [u8; 32],
}

/// What of a body counts, in one form for all bodies that mean the same.
///
/// # Errors
/// A body of which it cannot be said whether it equals another one.
pub fn counted(body: &[u8]) -> Result<Vec<u8>, NotCanonical> {
    canonical::object(body, is_neutral)
}

/// Everything that counts beside the body, in one form.
pub fn beside(parts: KeyParts<'_>) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    let mut add = |part: &[u8]| {
        // With its length in front, no part runs into the next one.
        head.extend_from_slice(&(part.len() as u64).to_be_bytes());
        head.extend_from_slice(part);
    };
    add(VERSION);
    add(&[parts.scope.0]);
    add(parts.scope.1.as_bytes());
    add(parts.operation.path().as_bytes());
    add(parts.target.as_bytes());
    let mut upstreams = parts.upstreams.to_vec();
    upstreams.sort_unstable();
    add(&(upstreams.len() as u64).to_be_bytes());
    for upstream in upstreams {
        add(upstream.provider.as_bytes());
        add(upstream.model.as_bytes());
        add(&upstream.settings);
    }
    add(parts.unsupported.as_bytes());
    add(parts.hints.as_bytes());
    for name in &HEADERS {
        let mut values = parts.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => add(&[]),
            (Some(value), None) => add(value.as_bytes()),
            (Some(_), Some(_)) => {
                let values = parts.headers.get_all(name).iter();
                let values: Vec<&[u8]> = values.map(|value| value.as_bytes()).collect();
                add(&values.join(&b','));
            }
        }
    }
    head
}

/// The key of a request of whose body this is [`counted`], and of all else [`beside`]. Of the body itself: what a question that
/// is sent again as it was has in common.
pub fn of(counted: &[u8], beside: &[u8]) -> [u8; 32] {
    let length = (counted.len() as u64).to_be_bytes();
    if counted.len() > SMALL {
        let mut hash = Context::new(&SHA256);
        hash.update(beside);
        hash.update(&length);
        hash.update(counted);
        return bytes_of(&hash.finish());
    }
    // Each call of the hash function costs as much as some hundred bytes: small parts are one.
    let mut all = Vec::with_capacity(beside.len() + length.len() + counted.len());
    all.extend_from_slice(beside);
    all.extend_from_slice(&length);
    all.extend_from_slice(counted);
    bytes_of(&digest(&SHA256, &all))
}

/// What of a key says whose answers they are, for those who sort by it: a hash of the scope's name. Nothing depends on its
/// being hard to meet: the whole name is in the key as well.
pub fn scope_hash(scope: &str) -> [u8; 8] {
    session_affinity::hash(scope.as_bytes()).to_be_bytes()
}

/// The hash of these parts, for what does not change from request to request.
pub fn hash_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    bytes_of(&hash.finish())
}

fn bytes_of(digest: &Digest) -> [u8; 32] {
    let mut key = [0; 32];
    for (byte, value) in key.iter_mut().zip(digest.as_ref()) {
        *byte = *value;
    }
    key
}

/// Whether no answer depends on this field of a body. What is not to be stored is not, wherever it is not.
fn is_neutral(name: &[u8], value: &[u8]) -> bool {
    NEUTRAL.contains(&name) || (name == b"store" && value == b"false")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"model":"a","temperature":0,"messages":[{"role":"user","content":"x"}],
        "tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]}"#;

    fn parts(headers: &HeaderMap) -> KeyParts<'_> {
        KeyParts {
            scope: (0, "ci"),
            operation: Operation::Chat,
            target: "a",
            upstreams: &[],
            unsupported: "drop",
            hints: "",
            headers,
        }
    }

    fn upstream(provider: &str, settings: u8) -> UpstreamPart<'_> {
        UpstreamPart {
            provider,
            model: "m",
            settings: [settings; 32],
        }
    }

    fn key(body: &str) -> [u8; 32] {
        let headers = HeaderMap::new();
        of(&counted(body.as_bytes()).unwrap(), &beside(parts(&headers)))
    }

    fn with(fields: &str) -> String {
        format!("{},{fields}}}", BODY.strip_suffix('}').unwrap())
    }

    #[test]
    fn what_no_answer_depends_on_makes_no_difference() {
        for same in [
            BODY.replace(r#""temperature":0"#, r#""temperature":0.0"#),
            BODY.replace(
                r#""model":"a","temperature":0,"#,
                r#""temperature":0,"model":"b","#,
            ),
            with(r#""user":"u""#),
            with(r#""metadata":{"a":"b"}"#),
            with(r#""stream":true,"stream_options":{"include_usage":true}"#),
            with(r#""store":false"#),
            with(r#""service_tier":"flex","prompt_cache_key":"k","safety_identifier":"s""#),
        ] {
            assert_eq!(key(&same), key(BODY), "{same}");
        }
    }

    #[test]
    fn everything_else_counts() {
        let mut others = vec![
            BODY.replace(r#""name":"f""#, r#""name":"h""#),
            BODY.replace(r#""content":"x""#, r#""content":[{"type":"text","text":"x"}]"#),
            r#"{"model":"a","temperature":0,"messages":[{"role":"user","content":"x"}],
            "tools":[{"type":"function","function":{"name":"g"}},{"type":"function","function":{"name":"f"}}]}"#
                .to_owned(),
        ];
        for fields in [
            r#""top_p":1"#,
            r#""seed":1"#,
            r#""seed":2"#,
            r#""parallel_tool_calls":true"#,
            r#""nobody_knows_this":1"#,
            r#""store":true"#,
            r#""n":2"#,
        ] {
            others.push(with(fields));
        }
        let mut keys: Vec<_> = others.iter().map(|other| key(other)).collect();
        keys.push(key(BODY));
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn so_does_all_that_is_beside_the_body() {
        let none = HeaderMap::new();
        let mut beta = HeaderMap::new();
        beta.insert("anthropic-beta", "x".parse().unwrap());
        let plain = parts(&none);
        let mut keys = Vec::new();
        for parts in [
            plain,
            KeyParts {
                scope: (0, "web"),
                ..plain
            },
            KeyParts {
                scope: (1, "ci"),
                ..plain
            },
            KeyParts {
                operation: Operation::Messages,
                ..plain
            },
            KeyParts {
                target: "b",
                ..plain
            },
            KeyParts {
                upstreams: &[upstream("a", 1)],
                ..plain
            },
            KeyParts {
                upstreams: &[upstream("a", 2)],
                ..plain
            },
            KeyParts {
                upstreams: &[upstream("b", 1)],
                ..plain
            },
            KeyParts {
                upstreams: &[upstream("a", 1), upstream("b", 1)],
                ..plain
            },
            KeyParts {
                unsupported: "reject",
                ..plain
            },
            KeyParts {
                hints: "only",
                ..plain
            },
            KeyParts {
                headers: &beta,
                ..plain
            },
        ] {
            keys.push(of(&counted(BODY.as_bytes()).unwrap(), &beside(parts)));
        }
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
        let order = |upstreams| of(b"{}", &beside(KeyParts { upstreams, ..plain }));
        let (a, b) = (upstream("a", 1), upstream("b", 2));
        assert_eq!(order(&[a, b]), order(&[b, a]));
    }

    #[test]
    fn what_is_given_twice_has_no_key() {
        let body = br#"{"messages":[],"seed":1,"seed":2}"#;
        assert_eq!(counted(body), Err(NotCanonical::NameTwice));
    }
}
