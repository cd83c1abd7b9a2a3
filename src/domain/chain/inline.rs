//! Several targets in one `model` (`fast, groq:llama`): an ordered chain that is made for the request.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Chain, ResolveError, Targets};

/// The most targets in one name.
const MOST: usize = 32;

/// The targets in a name with commas; `None` for a name without one, or with more than can be meant.
fn parts(name: &str) -> Option<Vec<&str>> {
    if !name.contains(',') {
        return None;
    }
    let parts = name.split(',').map(str::trim);
    let parts: Vec<&str> = parts
        .filter(|part| !part.is_empty())
        .take(MOST + 1)
        .collect();
    (1..=MOST).contains(&parts.len()).then_some(parts)
}

impl Targets {
    /// The chain of the targets in a name, each by the usual rules, each upstream where it first occurs. `None`: it is one
    /// name.
    pub(super) fn inline(&self, name: &str) -> Option<Result<Arc<Chain>, ResolveError>> {
        let mut upstreams = Vec::new();
        let mut seen = HashSet::new();
        for part in parts(name)? {
            let chain = match self.named(part) {
                Ok(chain) => chain,
                Err(error) => return Some(Err(error)),
            };
            let new = chain
                .upstreams
                .iter()
                .filter(|upstream| seen.insert((*upstream).clone()));
            upstreams.extend(new.cloned());
        }
        Some(Ok(Arc::new(Chain {
            target: Arc::from(name),
            upstreams,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ProviderEntry, VirtualEntry};
    use super::*;

    fn targets() -> Targets {
        let provider = |name: &str| ProviderEntry {
            name: name.into(),
            model: Some("m".into()),
            models: Vec::new(),
            builtin: false,
            added: false,
        };
        let virtuals = [
            VirtualEntry::ordered("smart", ["b", "a"]),
            VirtualEntry::ordered("a, c", ["a"]),
        ];
        Targets::build(&[provider("a"), provider("b")], &virtuals, None).unwrap()
    }

    fn chain(name: &str) -> Vec<String> {
        let chain = targets().resolve(Some(name)).unwrap();
        chain.upstreams.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_list_of_targets_is_an_ordered_chain() {
        assert_eq!(chain("a:x, b"), ["a:x", "b:m"]);
        assert_eq!(chain("a,smart,"), ["a:m", "b:m"]);
        assert_eq!(chain("smart , a:x"), ["b:m", "a:m", "a:x"]);
    }

    #[test]
    fn a_name_with_a_comma_goes_first_and_a_part_that_means_nothing_is_named() {
        assert_eq!(chain("a, c"), ["a:m"]);
        let error = targets().resolve(Some("a, nothing")).unwrap_err();
        assert!(error.to_string().contains("`nothing`"), "{error}");
        let many = vec!["a"; MOST + 1].join(",");
        assert!(targets().resolve(Some(&many)).is_err());
        assert!(targets().resolve(Some(",")).is_err());
    }
}
