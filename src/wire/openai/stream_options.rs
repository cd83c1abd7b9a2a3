//! What a caller asks of a stream beside its content.

use serde::Deserialize;

use crate::wire::request::RequestDoc;

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

/// Whether the caller asked for token counts at the end of its stream (`stream_options.include_usage`).
pub fn asks_for_usage(doc: &RequestDoc) -> bool {
    let options: Option<StreamOptions> = doc
        .raw("stream_options")
        .and_then(|raw| serde_json::from_slice(raw).ok());
    options.unwrap_or_default().include_usage.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_asks_for_usage() {
        for (options, asks) in [
            (r#","stream_options":{"include_usage":true}"#, true),
            (r#","stream_options":{"x":1,"include_usage":true}"#, true),
            (r#","stream_options":{"include_usage":false}"#, false),
            (r#","stream_options":{"include_usage":null}"#, false),
            (r#","stream_options":null"#, false),
            (r#","stream_options":[]"#, false),
            ("", false),
        ] {
            let body = format!(r#"{{"model":"m","stream":true{options}}}"#);
            let doc = RequestDoc::parse(body.into()).unwrap();
            assert_eq!(asks_for_usage(&doc), asks, "{options}");
        }
    }
}
