//! Paths in which a model stands in front of what is asked of it, as Google writes them.

use super::dialect::{AnswerList, Operation};

/// What a path in which the model stands asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ModelMethod<'a> {
    /// What is to be done.
    pub operation: Operation,
    /// By which model, as it is written in the path.
    pub model: &'a str,
    /// Whether the answer is to be streamed.
    pub stream: bool,
}

impl<'a> ModelMethod<'a> {
    /// Reads what stands behind `/models/`, such as `a/b:c:generateContent`: the method is what follows the last colon,
    /// since models have colons and slashes in their names. `None` for a method that is not known.
    pub fn read(tail: &'a str) -> Option<Self> {
        let (model, method) = tail.rsplit_once(':')?;
        let streamed = method.strip_prefix("streamG");
        let mut asked = Operation::ALL.into_iter().filter(|one| one.has_callers());
        let (operation, stream) = asked.find_map(|operation| {
            let own = operation.method()?;
            let streams = operation.spec().answer == AnswerList::Candidates
                && streamed.is_some_and(|rest| own.strip_prefix('g') == Some(rest));
            (own == method || streams).then_some((operation, streams))
        })?;
        (!model.is_empty()).then_some(Self {
            operation,
            model,
            stream,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_follows_the_last_colon() {
        for (tail, operation, model, stream) in [
            ("m:generateContent", Operation::GenerateContent, "m", false),
            (
                "a:b/c-1:streamGenerateContent",
                Operation::GenerateContent,
                "a:b/c-1",
                true,
            ),
            ("m:countTokens", Operation::CountTokens, "m", false),
        ] {
            let read = ModelMethod {
                operation,
                model,
                stream,
            };
            assert_eq!(ModelMethod::read(tail), Some(read));
        }
        for tail in [
            "m",
            "m:",
            ":generateContent",
            "m:streamCountTokens",
            "m:predict",
        ] {
            assert_eq!(ModelMethod::read(tail), None, "{tail}");
        }
    }
}
