//! How probable the tokens of an answer were: `logprobsResult` of a candidate, and the mean beside it.

use serde_json::{Number, Value, json};

use super::fields::UNKNOWN;
use crate::wire::gemini::names::camel;
use crate::wire::ir::fields::{Encoder, list, number, text};
use crate::wire::ir::{Extra, TokenLogprob};

/// Google's form: `logprobsResult` of a candidate. The number of a token in the vocabulary, which only Google tells, stays
/// behind.
pub(super) fn take(candidate: &mut Extra) -> Vec<TokenLogprob> {
    let Some(Value::Object(told)) = candidate.get("logprobsResult") else {
        return Vec::new();
    };
    let mut told = told.clone();
    camel(&mut told);
    let mut numbered = false;
    let mut tops = list(&mut told, "topCandidates")
        .unwrap_or_default()
        .into_iter();
    let chosen = list(&mut told, "chosenCandidates").unwrap_or_default();
    let mut read = |value: Value| {
        let Value::Object(mut fields) = value else {
            return None;
        };
        camel(&mut fields);
        numbered |= fields.remove("tokenId").is_some();
        Some(TokenLogprob {
            token: text(&mut fields, "token").unwrap_or_default(),
            logprob: number(&mut fields, "logProbability").unwrap_or_else(|| 0.into()),
            bytes: None,
            top: Vec::new(),
        })
    };
    let mut tokens = Vec::with_capacity(chosen.len());
    for one in chosen {
        let Some(mut token) = read(one) else {
            return Vec::new();
        };
        let top = tops
            .next()
            .and_then(|mut top| match top.get_mut("candidates") {
                Some(Value::Array(all)) => Some(std::mem::take(all)),
                _ => None,
            });
        token.top = top.into_iter().flatten().filter_map(&mut read).collect();
        tokens.push(token);
    }
    if tokens.is_empty() {
        return tokens;
    }
    candidate.remove("logprobsResult");
    for (name, value) in told {
        candidate.insert(format!("logprobsResult.{name}"), value);
    }
    if numbered {
        candidate.insert("logprobsResult.tokenId".to_owned(), true.into());
    }
    tokens
}

/// The same back.
fn write(tokens: &[TokenLogprob]) -> Value {
    let one = |token: &TokenLogprob| json!({"token": token.token, "logProbability": token.logprob});
    let chosen: Vec<Value> = tokens.iter().map(one).collect();
    let top = |token: &TokenLogprob| {
        let all: Vec<Value> = token.top.iter().map(one).collect();
        json!({"candidates": all})
    };
    let told = json!({"chosenCandidates": chosen});
    match (told, tokens.iter().any(|token| !token.top.is_empty())) {
        (Value::Object(mut fields), true) => {
            let tops: Vec<Value> = tokens.iter().map(top).collect();
            fields.insert("topCandidates".to_owned(), tops.into());
            Value::Object(fields)
        }
        (told, _) => told,
    }
}

/// The mean of the logarithms of an answer's tokens, which Google tells beside them.
#[derive(Debug, Default)]
pub(super) struct MeanLogprob {
    sum: f64,
    count: u32,
}

impl MeanLogprob {
    /// Adds tokens, and says them; `None` where there are none. Bytes that are not those of a token's text have no field.
    pub(super) fn add(&mut self, encoder: &mut Encoder, tokens: &[TokenLogprob]) -> Option<Value> {
        for token in tokens {
            self.sum += token.logprob.as_f64().unwrap_or_default();
            self.count = self.count.saturating_add(1);
        }
        if any_bytes(tokens) {
            encoder.lose("logprobs.bytes", UNKNOWN);
        }
        (!tokens.is_empty()).then(|| write(tokens))
    }

    /// The mean; `None` where there are no tokens.
    pub(super) fn told(&self) -> Option<Number> {
        let count = Some(self.count).filter(|count| *count > 0)?;
        Number::from_f64(self.sum / f64::from(count))
    }
}

fn any_bytes(tokens: &[TokenLogprob]) -> bool {
    tokens
        .iter()
        .any(|token| token.bytes.is_some() || any_bytes(&token.top))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_tokens_come_back_and_their_numbers_are_left() {
        let told = json!({"chosenCandidates": [{"token": "ok", "logProbability": -0.5}],
            "topCandidates": [{"candidates": [{"token": "ok", "logProbability": -0.5}]}]});
        let mut candidate = Extra::from_iter([("logprobsResult".to_owned(), told.clone())]);
        assert_eq!(write(&take(&mut candidate)), told);
        assert!(candidate.is_empty());
        let numbered =
            json!({"chosen_candidates": [{"token": "ok", "token_id": 5, "log_probability": -0.5}]});
        let mut candidate = Extra::from_iter([("logprobsResult".to_owned(), numbered)]);
        assert_eq!(take(&mut candidate).len(), 1);
        assert_eq!(
            candidate.keys().collect::<Vec<_>>(),
            ["logprobsResult.tokenId"]
        );
    }
}
