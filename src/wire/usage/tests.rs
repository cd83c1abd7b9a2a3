//! What is read of the counts of many hosts.

use proptest::prelude::*;

use super::*;

/// Prompt, answer, cached, reasoning.
fn counts(json: &str) -> [Option<u64>; 4] {
    let usage = read(json.as_bytes()).unwrap();
    [
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
    ]
}

fn details_of(json: &str) -> UsageDetails {
    read(json.as_bytes()).unwrap().details
}

#[test]
fn each_dialect_says_what_its_counts_include() {
    for (what, json, expected) in [
        (
            "both spellings at once",
            r#"{"prompt_tokens":3,"input_tokens":3,"output_tokens":4,"completion_tokens_details":{"reasoning_tokens":2}}"#,
            [Some(3), Some(4), None, Some(2)],
        ),
        (
            "openai",
            r#"{"prompt_tokens":12000,"completion_tokens":1500,"total_tokens":13500,"prompt_tokens_details":{"cached_tokens":8000},"completion_tokens_details":{"reasoning_tokens":500}}"#,
            [Some(12000), Some(1500), Some(8000), Some(500)],
        ),
        (
            "responses",
            r#"{"input_tokens":100,"output_tokens":20,"total_tokens":120,"input_tokens_details":{"cached_tokens":40,"cache_write_tokens":10},"output_tokens_details":{"reasoning_tokens":5}}"#,
            [Some(100), Some(20), Some(40), Some(5)],
        ),
        (
            "anthropic",
            r#"{"input_tokens":200,"cache_read_input_tokens":50000,"cache_creation_input_tokens":3000,"output_tokens":400,"output_tokens_details":{"thinking_tokens":100}}"#,
            [Some(53200), Some(400), Some(50000), Some(100)],
        ),
        (
            "anthropic without a cache",
            r#"{"input_tokens":200,"cache_read_input_tokens":null,"output_tokens":400}"#,
            [Some(200), Some(400), None, None],
        ),
        (
            "google",
            r#"{"promptTokenCount":100,"toolUsePromptTokenCount":10,"candidatesTokenCount":20,"thoughtsTokenCount":30,"cachedContentTokenCount":40,"totalTokenCount":160}"#,
            [Some(110), Some(50), Some(40), Some(30)],
        ),
        (
            "google without candidates",
            r#"{"promptTokenCount":100,"totalTokenCount":160}"#,
            [Some(100), Some(60), None, None],
        ),
        (
            "bedrock",
            r#"{"inputTokens":5,"outputTokens":7,"totalTokens":42,"cacheReadInputTokens":10,"cacheWriteInputTokens":20}"#,
            [Some(35), Some(7), Some(10), None],
        ),
        (
            "xai: reasoning beside the answer",
            r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"prompt_tokens_details":{"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":94}}"#,
            [Some(32), Some(103), Some(6), Some(94)],
        ),
        (
            "xai: less reasoning than answer",
            r#"{"prompt_tokens":10,"completion_tokens":90,"total_tokens":120,"completion_tokens_details":{"reasoning_tokens":20}}"#,
            [Some(10), Some(110), None, Some(20)],
        ),
        (
            "xai: more from the cache than the prompt has",
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":90}}"#,
            [Some(100), Some(5), Some(90), None],
        ),
        (
            "deepseek",
            r#"{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}"#,
            [Some(100), Some(5), Some(64), None],
        ),
        (
            "moonshot",
            r#"{"prompt_tokens":100,"completion_tokens":5,"cached_tokens":64}"#,
            [Some(100), Some(5), Some(64), None],
        ),
        (
            "a gateway before anthropic, which counts as openai does",
            r#"{"prompt_tokens":53200,"completion_tokens":4,"cache_read_input_tokens":50000,"cache_creation_input_tokens":3000}"#,
            [Some(53200), Some(4), Some(50000), None],
        ),
        (
            "cohere",
            r#"{"billed_units":{"input_tokens":1},"tokens":{"input_tokens":7,"output_tokens":5}}"#,
            [Some(7), Some(5), None, None],
        ),
        (
            "embeddings",
            r#"{"total_tokens":7}"#,
            [Some(7), None, None, None],
        ),
        (
            "odd values",
            r#"{"prompt_tokens":3.0,"completion_tokens":"4","total_tokens":-7,"prompt_tokens_details":[],"completion_tokens_details":{"reasoning_tokens":{}},"cost":null}"#,
            [Some(3), Some(4), None, None],
        ),
        (
            "nothing used is not missing",
            r#"{"prompt_tokens":0,"completion_tokens":0}"#,
            [Some(0), Some(0), None, None],
        ),
        ("nothing told", r#"{"prompt_tokens":null}"#, [None; 4]),
    ] {
        assert_eq!(counts(json), expected, "{what}");
    }
    assert_eq!(read(b"[1,2]"), None);
    assert_eq!(read(b"null"), None);
}

#[test]
fn what_was_written_to_a_cache_is_told_in_many_ways() {
    for (json, whole, hour) in [
        (
            r#"{"input_tokens":200,"cache_creation_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000}}"#,
            3000,
            2000,
        ),
        (
            r#"{"input_tokens":200,"cache_creation":{"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":2000}}"#,
            3000,
            2000,
        ),
        (
            r#"{"input_tokens":200,"cache_creation_input_tokens":3000}"#,
            3000,
            0,
        ),
        (
            r#"{"prompt_tokens":9000,"prompt_tokens_details":{"cache_write_tokens":3000}}"#,
            3000,
            0,
        ),
        (
            r#"{"inputTokens":1,"cacheWriteInputTokens":3000,"cacheDetails":[{"ttl":"5m","inputTokens":1000},{"ttl":"1h","inputTokens":2000}]}"#,
            3000,
            2000,
        ),
    ] {
        let details = details_of(json);
        assert_eq!(
            (details.cache_write, details.cache_write_1h),
            (whole, hour),
            "{json}"
        );
    }
    let broken_down = r#"{"input_tokens":200,"cache_creation":{"ephemeral_1h_input_tokens":2000}}"#;
    assert_eq!(counts(broken_down)[0], Some(2200));
}

#[test]
fn sound_pictures_and_searches_are_found() {
    let openai = details_of(
        r#"{"prompt_tokens":50,"completion_tokens":30,"prompt_tokens_details":{"audio_tokens":20,"cached_tokens_details":{"audio_tokens":5}},"completion_tokens_details":{"audio_tokens":10,"image_tokens":3},"server_tool_use":{"web_search_requests":2}}"#,
    );
    let seen = |it: &UsageDetails| {
        [
            it.input_audio,
            it.cached_audio,
            it.output_audio,
            it.output_images,
            it.searches,
        ]
    };
    assert_eq!(seen(&openai), [20, 5, 10, 3, 2]);
    let google = details_of(
        r#"{"promptTokenCount":50,"promptTokensDetails":[{"modality":"TEXT","tokenCount":30},{"modality":"AUDIO","tokenCount":20}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":5}],"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":10},{"modality":"IMAGE","tokenCount":3}]}"#,
    );
    assert_eq!(seen(&google), [20, 5, 10, 3, 0]);
    assert_eq!(details_of(r#"{"num_search_queries":4}"#).searches, 4);
    assert_eq!(
        details_of(r#"{"type":"duration","seconds":12.3}"#).seconds,
        13
    );
    assert_eq!(details_of(r#"{"type":"tokens","seconds":12}"#).seconds, 0);
}

#[test]
fn an_upstreams_own_cost_is_read_as_it_is_written() {
    for (json, expected) in [
        (r#"{"cost":0.00014}"#, "0.000140"),
        (r#"{"cost":1.4e-4}"#, "0.000140"),
        (r#"{"cost":"0.00014"}"#, "0.000140"),
        (r#"{"cost":0}"#, "0.000000"),
        (r#"{"cost":-1}"#, "0.000000"),
        (
            r#"{"cost":{"input_tokens_cost":0.1,"request_cost":0.005,"total_cost":0.105}}"#,
            "0.105000",
        ),
        (r#"{"estimated_cost":0.0000372}"#, "0.0000372"),
        (r#"{"cost_in_usd_ticks":37756000}"#, "0.0037756"),
        (
            r#"{"cost":0.001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.02}}"#,
            "0.021000",
        ),
        (
            r#"{"cost":0.02,"is_byok":false,"cost_details":{"upstream_inference_cost":0.02}}"#,
            "0.020000",
        ),
        (r#"{"cost":0.02,"cost_details":null}"#, "0.020000"),
    ] {
        let told = details_of(json).cost;
        assert_eq!(told, Pico::parse(expected).unwrap(), "{json}");
    }
}

#[test]
fn what_is_paid_by_the_piece_is_counted() {
    assert_eq!(
        details_of(r#"{"pages_processed":29,"doc_size_bytes":null}"#).pages,
        29
    );
    let pieces = |operation, usage: Option<&str>, answer: &str| {
        let usage = usage.and_then(|usage| read(usage.as_bytes()));
        let counted = with_pieces(usage, operation, answer.as_bytes());
        counted.map(|it| (it.total(), it.details.images, it.details.seconds))
    };
    use Operation::{Chat, ImageEdits, ImageGenerations, Transcriptions, Translations};
    let tokens = Some(r#"{"input_tokens":4,"output_tokens":5}"#);
    for (operation, usage, answer, expected) in [
        (
            ImageGenerations,
            None,
            r#"{"created":1,"data":[{"url":"x"},{"b64_json":"y"}]}"#,
            Some((None, 2, 0)),
        ),
        (
            ImageEdits,
            tokens,
            r#"{"data":[{"url":"x"}]}"#,
            Some((Some(9), 1, 0)),
        ),
        (ImageGenerations, None, r#"{"data":[]}"#, None),
        (ImageGenerations, None, r#"{"data":3}"#, None),
        (
            Transcriptions,
            None,
            r#"{"text":"hi","duration":8.470000267}"#,
            Some((None, 0, 9)),
        ),
        (
            Translations,
            None,
            r#"{"text":"hi","duration":"12.0"}"#,
            Some((None, 0, 12)),
        ),
        (
            Transcriptions,
            tokens,
            r#"{"text":"hi","duration":8}"#,
            Some((Some(9), 0, 0)),
        ),
        (Transcriptions, None, r#"{"text":"hi"}"#, None),
        (Chat, None, r#"{"data":[1],"duration":3}"#, None),
    ] {
        let seen = pieces(operation, usage, answer);
        assert_eq!(seen, expected, "{operation:?} {answer}");
    }
}

#[test]
fn tiers_places_and_speeds_are_words() {
    let details = details_of(
        r#"{"input_tokens":1,"service_tier":"priority","inference_geo":"us","speed":"fast"}"#,
    );
    let words = [details.tier, details.geo, details.speed];
    assert_eq!(
        words.each_ref().map(ShortWord::as_str),
        ["priority", "us", "fast"]
    );
    let beside = RawTier::of(r#""Flex""#);
    let usage = read(br#"{"prompt_tokens":1}"#);
    let usage = with_tier(usage, Some(&beside.0)).unwrap();
    assert_eq!(usage.details.tier.as_str(), "flex");
    let google = details_of(r#"{"promptTokenCount":1,"trafficType":"ON_DEMAND"}"#);
    assert_eq!(google.tier.as_str(), "on_demand");
}

struct RawTier(Box<serde_json::value::RawValue>);

impl RawTier {
    fn of(json: &str) -> Self {
        Self(serde_json::from_str(json).unwrap())
    }
}

proptest! {
    #[test]
    fn nothing_panics(json in "\\{(\"(prompt_tokens|input_tokens|total_tokens|cost|completion_tokens)\":(-?[0-9]{1,25}(\\.[0-9]{1,20})?(e[0-9]{1,3})?|null|\"[0-9a-z]{0,3}\"|\\{\\}|\\[\\]),?)\\}") {
        let _ = read(json.as_bytes());
    }

    #[test]
    fn any_bytes_are_read_or_not(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = read(&bytes);
    }
}
