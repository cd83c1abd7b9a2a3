//! How probable the tokens of an answer were. OpenAI's two APIs write it in one form, which is read and written here.

use serde_json::{Number, Value, json};

use super::fields::{list, take, text};
use super::loss::Extra;

/// One token, and how probable it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenLogprob {
    /// The token as text.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: Number,
    /// Its bytes, where they are not those of the text: a token may be a part of a character.
    pub bytes: Option<Vec<u8>>,
    /// The most probable tokens in its place. Theirs are empty.
    pub top: Vec<TokenLogprob>,
}

/// What stands for a probability of nothing, as OpenAI writes it.
const NEVER: f64 = -9999.0;

/// Reads a list of tokens. `None` where something in it has no place in the neutral form.
pub(in crate::wire) fn read(value: &Value) -> Option<Vec<TokenLogprob>> {
    let all = value.as_array().filter(|all| !all.is_empty())?;
    all.iter().map(read_token).collect()
}

fn read_token(value: &Value) -> Option<TokenLogprob> {
    let mut fields = value.as_object()?.clone();
    let token = text(&mut fields, "token")?;
    let logprob = match fields.remove("logprob")? {
        Value::Number(number) => number,
        Value::Null => Number::from_f64(NEVER)?,
        _ => return None,
    };
    let bytes = take(&mut fields, "bytes", |bytes| {
        let bytes = bytes.as_array()?.iter();
        bytes
            .map(|byte| u8::try_from(byte.as_u64()?).ok())
            .collect::<Option<Vec<u8>>>()
    });
    let top = list(&mut fields, "top_logprobs").unwrap_or_default();
    let top = top.iter().map(read_token).collect::<Option<Vec<_>>>()?;
    fields.retain(|_, value| !value.is_null() && *value != json!([]));
    fields.is_empty().then(|| TokenLogprob {
        bytes: bytes.filter(|bytes| bytes != token.as_bytes()),
        token,
        logprob,
        top,
    })
}

/// Writes a list of tokens as [`read`] reads it.
pub(in crate::wire) fn write(tokens: &[TokenLogprob]) -> Vec<Value> {
    let one = |token: &TokenLogprob| {
        let bytes = token.bytes.as_deref().unwrap_or(token.token.as_bytes());
        json!({"token": token.token, "logprob": token.logprob, "bytes": bytes})
    };
    let whole = |token: &TokenLogprob| {
        let mut own = one(token);
        let top: Vec<Value> = token.top.iter().map(one).collect();
        if let Value::Object(fields) = &mut own {
            fields.insert("top_logprobs".to_owned(), top.into());
        }
        own
    };
    tokens.iter().map(whole).collect()
}

/// Takes the tokens of a choice out of chat completions' `logprobs`. What stays behind has no place in the neutral form.
pub(in crate::wire) fn take_choice(choice: &mut Extra) -> Vec<TokenLogprob> {
    let Some(Value::Object(told)) = choice.get_mut("logprobs") else {
        return Vec::new();
    };
    let tokens = take(told, "content", read).unwrap_or_default();
    if told.values().all(Value::is_null) {
        choice.remove("logprobs");
    }
    tokens
}

/// The same back; `None` where there are none.
pub(in crate::wire) fn choice(tokens: &[TokenLogprob]) -> Option<Value> {
    (!tokens.is_empty()).then(|| json!({"content": write(tokens), "refusal": null}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_were_and_only_odd_bytes_are_kept() {
        let told = json!([
            {"token": "ok", "logprob": -0.5, "bytes": [111, 107], "top_logprobs": [{"token": "no", "logprob": -1.5, "bytes": [110, 111]}]},
            {"token": "\u{fffd}", "logprob": -9999.0, "bytes": [240, 159], "top_logprobs": []},
        ]);
        let tokens = read(&told).unwrap();
        assert_eq!(tokens[0].bytes, None);
        assert_eq!(tokens[1].bytes.as_deref(), Some([240, 159].as_slice()));
        assert_eq!(Value::from(write(&tokens)), told);
        assert_eq!(
            read(&json!([{"token": "a", "logprob": -1, "odd": 1}])),
            None
        );
        assert_eq!(read(&json!([])), None);
    }
}
