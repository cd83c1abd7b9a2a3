//! Every dialect, by its name: the one place outside of its own folder that names it.

use http::HeaderMap;

use super::anthropic::Anthropic;
use super::bedrock::Bedrock;
use super::dialect::{CallerDialect, UpstreamDialect};
use super::echo::EchoDialect;
use super::gemini::Gemini;
use super::ollama::Ollama;
use super::openai::OpenAi;
use super::responses::Responses;
use crate::domain::dialect::Operation;

/// What a provider speaks.
pub type Dialect = &'static dyn UpstreamDialect;

/// The dialects of upstreams. The first one is the default.
pub static UPSTREAM: [Dialect; 7] = [
    &OpenAi,
    &Anthropic,
    &Gemini,
    &Responses,
    &Bedrock,
    &Ollama,
    &EchoDialect,
];

/// What a caller may speak. The first one answers where no operation was asked for.
pub static CALLER: [&dyn CallerDialect; 4] = [&OpenAi, &Anthropic, &Gemini, &Responses];

/// What a provider speaks if its configuration does not say.
pub fn usual() -> Dialect {
    let [usual, ..] = UPSTREAM;
    usual
}

/// The upstream dialect of that name.
pub fn upstream(id: &str) -> Option<Dialect> {
    UPSTREAM.into_iter().find(|dialect| dialect.id() == id)
}

/// The dialect of a caller that asks for this operation.
pub fn caller(operation: Operation) -> &'static dyn CallerDialect {
    let id = operation.spec().dialect;
    let [usual, ..] = CALLER;
    CALLER
        .into_iter()
        .find(|dialect| dialect.id() == id)
        .unwrap_or(usual)
}

/// The caller dialect of that name, as far as there is one.
pub fn caller_named(id: &str) -> &'static dyn CallerDialect {
    let named = |dialect: &&dyn CallerDialect| dialect.id() == id;
    CALLER.into_iter().find(named).unwrap_or_else(usual_caller)
}

/// The dialect of whoever calls a route that is no operation.
pub fn caller_of(path: &str, headers: &HeaderMap) -> &'static dyn CallerDialect {
    let spoken = |dialect: &&dyn CallerDialect| dialect.is_spoken(path, headers);
    CALLER.into_iter().find(spoken).unwrap_or_else(usual_caller)
}

/// The dialect of a caller of which nothing more is known.
pub fn usual_caller() -> &'static dyn CallerDialect {
    let [usual, ..] = CALLER;
    usual
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::ApiKey;

    #[test]
    fn the_scheme_that_is_shown_is_the_one_that_lets_in() {
        let hosted = UPSTREAM.into_iter().filter_map(|one| one.on_google());
        for dialect in UPSTREAM.into_iter().chain(hosted) {
            let (mut put, mut shown) = (HeaderMap::new(), HeaderMap::new());
            let key = ApiKey::new("k");
            dialect.authenticate(&mut put, &key);
            dialect.scheme().put(&mut shown, &key);
            assert_eq!(put, shown, "{}", dialect.id());
        }
    }

    #[test]
    fn every_operation_has_a_caller_and_every_dialect_a_name_of_its_own() {
        let asked = Operation::ALL.into_iter().filter(|one| one.has_callers());
        for operation in asked {
            assert_eq!(caller(operation).id(), operation.spec().dialect);
        }
        for dialect in UPSTREAM {
            assert!(upstream(dialect.id()).is_some_and(|found| found == dialect));
            let full = dialect.full_path();
            assert!(
                Operation::ALL
                    .into_iter()
                    .any(|one| dialect.path(one) == Some(full))
            );
        }
    }
}
